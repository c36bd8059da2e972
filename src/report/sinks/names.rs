//! Every metric's name, labels and help text. A test holds `docs/metrics.md`, the dashboard and the alert
//! rules against what is registered from here.

/// One metric family as it is exported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Def {
    pub(super) name: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

const fn def(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Def {
    Def { name, labels, help }
}

macro_rules! names {
    ($($constant:ident = $name:literal $labels:expr, $help:literal;)*) => {
        $(pub(super) const $constant: Def = def($name, &$labels, $help);)*
    };
}

names! {
    BUILD_INFO = "wsbump_build_info" ["version"],
        "The running version; always 1.";

    CONNECTIONS_ACCEPTED = "wsbump_connections_accepted_total" [],
        "Connections accepted from clients.";
    CONNECTIONS_OPEN = "wsbump_connections_open" [],
        "Client connections open now.";
    CONNECTIONS_LIMIT = "wsbump_connections_limit" [],
        "How many client connections may be open at once; 0 if unlimited.";
    CONNECTIONS_ENDED = "wsbump_connections_ended_total" ["outcome"],
        "Client connections that ended, by outcome.";
    CLIENT_LIMITED = "wsbump_client_limited_total" ["limit"],
        "Connections, handshakes and WebSockets refused to clients that had reached a limit of their own, by limit.";
    ACCEPT_ERRORS = "wsbump_accept_errors_total" [],
        "Failed accepts, for instance for lack of file descriptors.";

    DECISIONS = "wsbump_decisions_total" ["action", "reason"],
        "Verdicts by what was decided and why.";
    POLICY_VERDICTS = "wsbump_policy_rule_verdicts_total" ["rule", "mode"],
        "Verdicts by this rule of the policy; mode observe: what it would have decided.";
    LIST_MATCHES = "wsbump_list_matches_total" ["list"],
        "Ended connections whose verdict came from an entry of this list.";
    DNS_LOOKUPS = "wsbump_dns_lookups_total" ["source", "outcome"],
        "Names looked up for clients, by where the answer came from and what it was.";
    DNS_QUERY_SECONDS = "wsbump_dns_query_seconds" ["outcome"],
        "Time of queries to DNS servers, each for one name and one family of addresses, by outcome.";
    DNS_CACHE_ENTRIES = "wsbump_dns_cache_entries" [],
        "Answers in the DNS cache, after the last query.";
    PARENT_SECONDS = "wsbump_parent_seconds" ["parent", "outcome"],
        "Time of asking a parent for a connection, by what came of it.";
    PARENT_UP = "wsbump_parent_up" ["parent"],
        "1 while a parent is asked; 0 while it is left alone since it has failed.";
    PARENT_DIRECT = "wsbump_parent_direct_total" [],
        "Origins that were dialled directly since no parent led there.";
    DIAL_SECONDS = "wsbump_dial_seconds" ["outcome"],
        "Time to resolve and connect to the origin, by outcome.";

    AUTH = "wsbump_auth_total" ["scheme", "outcome"],
        "Judgements of who asks, by how the client said so and what it came to.";
    AUTH_VERDICTS = "wsbump_auth_verdicts_total" ["source"],
        "Names and passwords that were judged, by where the verdict came from.";
    AUTH_LOCKOUTS = "wsbump_auth_lockouts_total" [],
        "Names for which no directory was asked any more for a while, since there were too many wrong passwords.";
    AUTH_DIRECTORY_SECONDS = "wsbump_auth_directory_seconds" ["directory", "answer"],
        "Time of questions to directories, by kind and by what they said.";
    AUTH_DIRECTORY_UP = "wsbump_auth_directory_up" ["directory"],
        "1 if the directory answered when it was last asked, else 0.";

    HANDSHAKE_SECONDS = "wsbump_tls_handshake_seconds" ["side", "outcome"],
        "Time of TLS handshakes, by side and outcome.";
    LISTENER_HANDSHAKE_SECONDS = "wsbump_listener_tls_handshake_seconds" ["outcome"],
        "Time of clients' TLS handshakes with the proxy itself, by outcome.";
    LEAF_MINTS = "wsbump_leaf_mints_total" ["key"],
        "Leaf certificates minted, by kind of key.";
    LEAF_MINT_SECONDS = "wsbump_leaf_mint_seconds" [],
        "Time to mint one leaf certificate.";
    LEAF_CACHE_HITS = "wsbump_leaf_cache_hits_total" ["key"],
        "Leaf certificates served from the cache, by kind of key.";
    CLIENT_REFUSED_CA = "wsbump_client_refused_ca_total" ["alert"],
        "Clients that refused the forged certificate, by TLS alert; the access log names the servers.";

    INTERMEDIATE_FETCH_SECONDS = "wsbump_intermediate_fetch_seconds" ["outcome"],
        "Time to fetch an intermediate certificate that an origin did not send, by outcome.";
    REVOCATION_CHECKS = "wsbump_revocation_checks_total" ["status"],
        "Certificates of origins that were looked up for their revocation, by what is known.";
    CRL_FETCH_SECONDS = "wsbump_crl_fetch_seconds" ["outcome"],
        "Time to fetch a certificate revocation list, by outcome.";
    CRL_NEXT_UPDATE = "wsbump_crl_next_update_timestamp_seconds" ["source"],
        "Unix time at which a certificate revocation list is out of date, by its file or address; 0 for one that there is not yet.";
    CA_NOT_AFTER = "wsbump_ca_not_after_timestamp_seconds" [],
        "Unix time at which the CA that signs leaf certificates expires.";

    TLS_KEY_LOG = "wsbump_tls_key_log_enabled" [],
        "1 while the keys of TLS sessions are written to a file, else 0.";
    TLS_KEY_LOG_DROPPED = "wsbump_tls_key_log_dropped_total" [],
        "Lines of the TLS key log that could not be written.";

    HTTP_REQUESTS = "wsbump_http_requests_total" ["method", "status"],
        "HTTP exchanges by method class and status class.";
    HTTP_HEAD_SECONDS = "wsbump_http_response_head_seconds" ["status"],
        "Time from the end of the request's head to the response's head, by status class.";
    HTTP_BODY_BYTES = "wsbump_http_body_bytes_total" ["direction"],
        "HTTP body bytes passed on, by direction.";
    HTTP_ERRORS = "wsbump_http_errors_total" ["error"],
        "Exchanges that the proxy answered by itself or cut, by cause.";
    HTTP_MALFORMED = "wsbump_http_malformed_total" ["side", "kind"],
        "Malformed messages of HTTP that were refused or cut, by the side that sent them and by what is wrong.";
    HTTP1_FALLBACKS = "wsbump_http1_fallbacks_total" [],
        "Origins that are spoken to over HTTP/1.1 since their HTTP/2 could not be understood.";

    HTTP2_STREAMS = "wsbump_http2_streams_total" ["kind"],
        "Exchanges carried by a stream of HTTP/2, by what they were: a request, or a WebSocket that opened.";
    HTTP2_FLOODS = "wsbump_http2_floods_total" ["kind"],
        "Client connections closed with ENHANCE_YOUR_CALM, by what the client did too often.";

    WEBSOCKET_OPENS = "wsbump_websocket_opens_total" [],
        "WebSockets opened.";
    WEBSOCKETS_OPEN = "wsbump_websockets_open" [],
        "WebSockets open now.";
    WEBSOCKET_OPEN_SECONDS = "wsbump_websocket_open_seconds" [],
        "How long ended WebSockets were open.";
    WEBSOCKET_FRAMES = "wsbump_websocket_frames_total" ["direction", "opcode"],
        "WebSocket frames passed on, by direction and opcode.";
    WEBSOCKET_PAYLOAD_BYTES = "wsbump_websocket_payload_bytes_total" ["direction", "opcode"],
        "Payload bytes of WebSocket frames passed on, by direction and opcode.";
    WEBSOCKET_FRAMES_STOPPED = "wsbump_websocket_frames_stopped_total" ["direction", "opcode"],
        "WebSocket frames that came and did not go on as they came, by direction and opcode.";
    WEBSOCKET_MESSAGES = "wsbump_websocket_messages_total" ["direction", "outcome"],
        "WebSocket messages by direction and by what became of them.";
    WEBSOCKET_INSIDE_SECONDS = "wsbump_websocket_frame_inside_seconds" ["direction"],
        "Time of frames inside the proxy: from the read that completed one to the end of the write.";
    WEBSOCKET_MESSAGE_BYTES = "wsbump_websocket_message_size_bytes" ["direction"],
        "Sizes of WebSocket messages as they were sent (compressed, if so agreed).";
    WEBSOCKET_ROUND_TRIP_SECONDS = "wsbump_websocket_ping_round_trip_seconds" ["side"],
        "Time from passing a ping on to the pong that answers it, by the side that answered.";
    WEBSOCKET_CLOSES = "wsbump_websocket_closes_total" ["code", "side", "cause"],
        "First Close frames by code (none: without a code), by who sent them, and by why the proxy did.";
    WEBSOCKET_ENDS = "wsbump_websocket_ends_total" ["end"],
        "Ended WebSockets by how they ended.";
    WEBSOCKET_PROTOCOL_ERRORS = "wsbump_websocket_protocol_errors_total" ["side", "violation"],
        "WebSockets closed with 1002 or 1007 because a side broke RFC 6455, by side and violation.";

    SERVICE_OPEN = "wsbump_service_websockets_open" ["service"],
        "WebSockets open now, by service.";
    SERVICE_OPENS = "wsbump_service_websocket_opens_total" ["service"],
        "WebSockets opened, by service.";
    SERVICE_CLOSES = "wsbump_service_websocket_closes_total" ["service", "code"],
        "Ended WebSockets, by service and by the class of the first Close's code (none: without a code, cut: without a Close).";
    SERVICE_MESSAGES = "wsbump_service_websocket_messages_total" ["service", "direction"],
        "Whole WebSocket messages passed on, by service and direction.";
    SERVICE_PAYLOAD_BYTES = "wsbump_service_websocket_payload_bytes_total" ["service", "direction"],
        "Payload bytes of WebSocket frames passed on, by service and direction.";

    TUNNEL_BYTES = "wsbump_tunnel_bytes_total" ["direction"],
        "Bytes of ended tunnels that were relayed unread, by direction.";

    ADMIN_REFUSED = "wsbump_admin_refused_total" ["reason"],
        "Requests for the admin pages that were refused, by reason.";
    RELOAD_SUCCESS = "wsbump_config_last_reload_successful" [],
        "1 if the last attempt to load the configuration succeeded, else 0.";
    RELOAD_TIMESTAMP = "wsbump_config_last_reload_success_timestamp_seconds" [],
        "Unix time at which the running configuration was loaded.";
    RELOADS = "wsbump_config_reloads_total" ["result"],
        "Reloads of the configuration, by result.";

    INSPECT_FINDINGS = "wsbump_inspect_findings_total" ["rule", "action", "mode"],
        "Findings by rule, by what the rule does, and by whether it was done (enforce) or would have been (observe).";
    INSPECT_BLIND = "wsbump_inspect_blind_total" ["reason", "stopped"],
        "Messages and bodies that could not be looked into, by reason and by whether they were stopped for that.";
    INSPECT_INFLATED = "wsbump_inspect_inflated_bytes_total" ["kind"],
        "Bytes of compressed messages and bodies that were decoded: as they came (compressed) and what they became (plain).";
    INSPECT_REFRAMED = "wsbump_inspect_reframed_messages_total" ["direction"],
        "WebSocket messages that the proxy wrote anew, by direction.";
    INSPECT_REFRAMED_BYTES = "wsbump_inspect_reframed_bytes_total" ["direction", "kind"],
        "Payload of the WebSocket messages that the proxy wrote anew, as it came (before) and as it went on (after), by direction.";
    INSPECT_BACKGROUND_SCANS = "wsbump_inspect_background_scans_total" ["what"],
        "Scans of content that had already gone on: begun (started), ended with an outcome (finished), and not begun since too many were under way (left_out).";
    INSPECT_INVALID_UTF8 = "wsbump_inspect_invalid_utf8_total" ["direction"],
        "WebSocket text messages that are not UTF-8, by direction.";
    INSPECT_SCAN_SECONDS = "wsbump_inspect_scan_seconds" ["scanner", "outcome"],
        "Time of scans by other processes, by scanner and outcome.";
    BUFFERED = "wsbump_buffered_bytes" ["kind"],
        "Memory that content takes which waits inside the proxy, by what it is.";
    BUFFERED_LIMIT = "wsbump_buffered_limit_bytes" [],
        "The most of it that there may be before something more is kept (inspect.process_bytes).";
    AUDIT_LOG_LINES = "wsbump_audit_log_lines_total" [],
        "Audit log lines written.";
    AUDIT_LOG_DROPPED = "wsbump_audit_log_dropped_total" ["cause"],
        "Audit log lines lost, because the queue was full or because writing failed.";

    RECORD_ENABLED = "wsbump_record_enabled" [],
        "1 while content is recorded, else 0.";
    RECORD_ENTRIES = "wsbump_record_entries_total" [],
        "Entries of recordings written.";
    RECORD_FILES = "wsbump_record_files_total" [],
        "Files of recordings that were completed.";
    RECORD_DROPPED = "wsbump_record_dropped_total" ["cause"],
        "Parts of recordings lost, because recordings took all the memory that they may or because writing failed.";
    RECORD_KEPT = "wsbump_record_kept_bytes" [],
        "Memory that recordings take: what waits to be written and what is still open.";

    ACCESS_LOG_LINES = "wsbump_access_log_lines_total" [],
        "Access log lines written.";
    ACCESS_LOG_DROPPED = "wsbump_access_log_dropped_total" ["cause"],
        "Access log lines lost, because the queue was full or because writing failed.";
}
