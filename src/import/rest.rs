//! Directives that stand for themselves: a key here, or a word about why there is none.

use super::document::{Document, array, quoted};
use super::note::{Notes, Outcome};
use super::read::Line;
use super::values::duration;

/// Times, by their keys.
const TIMES: [(&str, &str); 13] = [
    ("connect_timeout", "timeouts.dial"),
    ("peer_connect_timeout", "timeouts.dial"),
    ("read_timeout", "timeouts.response"),
    ("request_timeout", "timeouts.request_head"),
    ("request_start_timeout", "timeouts.request_head"),
    ("client_idle_pconn_timeout", "timeouts.http_idle"),
    ("persistent_request_timeout", "timeouts.http_idle"),
    ("pconn_timeout", "timeouts.http_idle"),
    ("server_idle_pconn_timeout", "timeouts.http_idle"),
    ("client_lifetime", "timeouts.tunnel_idle"),
    ("shutdown_lifetime", "timeouts.drain"),
    ("dns_timeout", "timeouts.dns"),
    ("positive_dns_ttl", "network.dns.max_ttl"),
];

/// What is about something that is not here, by the reason.
const WITHOUT: [(&str, &[&str]); 8] = [
    (
        "nothing is cached here: clients have caches of their own, and nearly everything comes by TLS and says that it is private",
        &[
            "cache",
            "cache_dir",
            "cache_mem",
            "cache_replacement_policy",
            "cache_store_log",
            "cache_swap_high",
            "cache_swap_low",
            "cache_swap_state",
            "memory_replacement_policy",
            "memory_cache_mode",
            "memory_cache_shared",
            "maximum_object_size",
            "maximum_object_size_in_memory",
            "minimum_object_size",
            "minimum_expiry_time",
            "refresh_pattern",
            "refresh_all_ims",
            "reload_into_ims",
            "refresh_stale_hit",
            "quick_abort_min",
            "quick_abort_max",
            "quick_abort_pct",
            "range_offset_limit",
            "collapsed_forwarding",
            "collapsed_forwarding_access",
            "store_avg_object_size",
            "store_objects_per_bucket",
            "store_dir_select_algorithm",
            "store_miss",
            "send_hit",
            "max_stale",
            "offline_mode",
            "negative_ttl",
            "vary_ignore_expire",
            "read_ahead_gap",
            "ipcache_size",
            "ipcache_low",
            "ipcache_high",
            "fqdncache_size",
            "no_cache",
            "hierarchy_stoplist",
            "cachemgr_passwd",
            "shared_memory_locking",
            "shared_transient_entries_limit",
            "max_open_disk_fds",
            "client_db",
            "relaxed_header_parser_cache",
        ],
    ),
    (
        "leaves are made and kept in the process: there is no helper and no database of them",
        &[
            "sslcrtd_program",
            "sslcrtd_children",
            "sslcrtvalidator_program",
            "sslcrtvalidator_children",
            "sslpassword_program",
            "sslproxy_session_ttl",
            "sslproxy_session_cache_size",
            "ssl_engine",
            "ssl_unclean_shutdown",
            "sslproxy_foreign_intermediate_certs",
        ],
    ),
    (
        "is for the service manager: systemd's unit says as whom the proxy runs, how often it starts anew and how many files it may open",
        &[
            "cache_effective_user",
            "cache_effective_group",
            "pid_filename",
            "coredump_dir",
            "chroot",
            "workers",
            "cpu_affinity_map",
            "max_filedescriptors",
            "max_filedesc",
            "memory_pools",
            "memory_pools_limit",
            "umask",
            "high_memory_warning",
            "high_page_fault_warning",
            "high_response_time_warning",
            "hopeless_kid_revival_delay",
            "mail_program",
            "mail_from",
            "service_name",
            "paranoid_hit_validation",
        ],
    ),
    (
        "talks with other caches, of which there are none",
        &[
            "icp_port",
            "icp_access",
            "icp_query_timeout",
            "icp_hit_stale",
            "htcp_port",
            "htcp_access",
            "htcp_clr_access",
            "snmp_port",
            "snmp_access",
            "snmp_community",
            "snmp_incoming_address",
            "snmp_outgoing_address",
            "digest_generation",
            "wccp_router",
            "wccp_version",
            "wccp2_router",
            "wccp2_service",
            "wccp2_service_info",
            "wccp2_forwarding_method",
            "wccp2_return_method",
            "wccp2_assignment_method",
            "wccp2_rebuild_wait",
            "wccp2_weight",
            "netdb_filename",
            "query_icmp",
            "test_reachability",
            "minimum_direct_hops",
            "minimum_direct_rtt",
            "dead_peer_timeout",
            "mcast_groups",
            "log_icp_queries",
            "announce_host",
            "announce_period",
            "udp_incoming_address",
            "udp_outgoing_address",
            "pinger_enable",
            "pinger_program",
            "nonhierarchical_direct",
            "prefer_direct",
            "mcast_icp_query_timeout",
            "maximum_icp_query_timeout",
            "minimum_icp_query_timeout",
            "background_ping_rate",
            "cache_miss_revalidate",
        ],
    ),
    (
        "the pages that people see are the proxy's own; [pages] and docs/pages.md say how to write others",
        &[
            "error_directory",
            "error_default_language",
            "error_log_languages",
            "err_page_stylesheet",
            "err_html_text",
            "email_err_data",
            "icon_directory",
            "short_icon_urls",
            "global_internal_static",
            "announce_file",
        ],
    ),
    (
        "the log of the operation is on standard error (log.level), and the access log is JSON lines (docs/access-log.md)",
        &[
            "cache_log",
            "debug_options",
            "logfile_rotate",
            "logfile_daemon",
            "buffered_logs",
            "log_mime_hdrs",
            "log_fqdn",
            "strip_query_terms",
            "emulate_httpd_log",
            "useragent_log",
            "referer_log",
            "log_ip_on_direct",
            "log_uses_indirect_client",
            "client_netmask",
            "stats_collection",
            "netdb_ping_period",
            "log_access",
        ],
    ),
    (
        "is about how Squid speaks HTTP, TLS or DNS; this proxy does it by the standards and needs no such switch",
        &[
            "half_closed_clients",
            "pipeline_prefetch",
            "client_persistent_connections",
            "server_persistent_connections",
            "persistent_connection_after_error",
            "detect_broken_pconn",
            "balance_on_multiple_ip",
            "relaxed_header_parser",
            "ignore_expect_100",
            "vary",
            "broken_posts",
            "ignore_unknown_nameservers",
            "check_hostnames",
            "allow_underscore",
            "dns_defnames",
            "dns_retransmit_interval",
            "dns_multicast_local",
            "dns_packet_max",
            "ignore_must_revalidate",
            "client_dst_passthru",
            "host_verify_strict",
            "uri_whitespace",
            "http_accel_surrogate_remote",
            "accept_filter",
            "tcp_recv_bufsize",
            "client_ip_max_connections_off",
            "forward_max_tries",
            "retry_on_error",
            "connect_retries",
            "unique_hostname",
            "max_forwards",
            "eui_lookup",
            "force_request_body_continuation",
            "ftp_user",
            "ftp_list_width",
            "ftp_passive",
            "ftp_epsv",
            "ftp_epsv_all",
            "ftp_eprt",
            "ftp_sanitycheck",
            "ftp_telnet_protocol",
            "ftp_client_idle_timeout",
            "mime_table",
            "diskd_program",
            "unlinkd_program",
            "incoming_udp_average",
            "incoming_tcp_average",
            "incoming_dns_average",
            "dns_children",
            "cache_dns_program",
            "sslproxy_version",
            "sslproxy_options",
            "sslproxy_cipher",
            "tls_key_log",
            "as_whois_server",
            "acl_uses_indirect_client",
            "url_rewrite_host_header",
            "client_request_buffer_max_size",
            "response_delay_pool",
            "via_version",
            "httpd_suppress_version_string",
            "server_pconn_for_nonretriable",
            "happy_eyeballs_connect_timeout",
            "happy_eyeballs_connect_gap",
            "happy_eyeballs_connect_limit",
            "write_timeout",
            "http_accel",
            "tcp_outgoing_priority",
            "read_ahead",
            "spoof_client_ip",
            "reply_header_max_size",
        ],
    ),
    (
        "is about the processes of a helper, of which there are none",
        &[
            "url_rewrite_children",
            "url_rewrite_bypass",
            "url_rewrite_concurrency",
            "url_rewrite_extras",
            "url_rewrite_timeout",
            "redirect_children",
            "redirector_bypass",
            "store_id_children",
            "store_id_bypass",
            "store_id_extras",
            "authenticate_ttl",
            "authenticate_cache_garbage_interval",
            "authenticate_ip_ttl",
            "location_rewrite_children",
        ],
    ),
];

/// What has no counterpart, and what to do instead. Some of it guards.
const INSTEAD: [(&str, bool, &str); 39] = [
    (
        "url_rewrite_program",
        true,
        "squidGuard, ufdbGuard and the like are lists of domains: name their files `domains` as [[list]]s of format \"domains\" and deny them by rules (docs/lists.md). Nothing else asks a helper",
    ),
    (
        "redirect_program",
        true,
        "squidGuard, ufdbGuard and the like are lists of domains: name their files `domains` as [[list]]s of format \"domains\" and deny them by rules (docs/lists.md). Nothing else asks a helper",
    ),
    ("url_rewrite_access", false, "no helper is asked"),
    ("redirector_access", false, "no helper is asked"),
    ("location_rewrite_program", false, "responses are not redirected"),
    ("location_rewrite_access", false, "no helper is asked"),
    ("store_id_program", false, "is for caches, and nothing is cached"),
    (
        "storeurl_rewrite_program",
        false,
        "is for caches, and nothing is cached",
    ),
    ("store_id_access", false, "is for caches, and nothing is cached"),
    (
        "delay_pools",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "delay_class",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "delay_access",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "delay_parameters",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "delay_initial_bucket_level",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "client_delay_pools",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "client_delay_access",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "client_delay_parameters",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "request_body_max_size",
        true,
        "the size of uploads is not limited by a key; a rule of [inspect] with min_size and direction = \"to_origin\" stops large ones",
    ),
    (
        "reply_body_max_size",
        true,
        "the size of downloads is not limited by a key; a rule of [inspect] with min_size and direction = \"to_client\" stops large ones",
    ),
    (
        "deny_info",
        false,
        "pages are those of [pages]; a rule names one by `page` (docs/pages.md). Redirects are not sent",
    ),
    (
        "reply_header_access",
        false,
        "fields of responses are not taken out",
    ),
    (
        "reply_header_replace",
        false,
        "fields of responses are not changed",
    ),
    ("reply_header_add", false, "fields of responses are not added"),
    (
        "miss_access",
        true,
        "is about caches; what it forbids belongs into http_access",
    ),
    (
        "adapted_http_access",
        true,
        "requests are judged once, before they are changed; put what it forbids into http_access",
    ),
    (
        "http_reply_access",
        true,
        "responses are looked into by rules of [inspect]: content_type and files say what is meant, action = \"drop\" stops it (docs/inspection.md)",
    ),
    (
        "ident_lookup_access",
        false,
        "nobody is asked by ident; users log in (docs/authentication.md)",
    ),
    ("ident_timeout", false, "nobody is asked by ident"),
    (
        "ecap_enable",
        true,
        "eCAP has no counterpart; clamd and ICAP servers can be asked (docs/scanners.md)",
    ),
    (
        "ecap_service",
        true,
        "eCAP has no counterpart; clamd and ICAP servers can be asked (docs/scanners.md)",
    ),
    ("loadable_modules", false, "there are no modules"),
    ("tcp_outgoing_tos", false, "packets are not marked by rules"),
    ("tcp_outgoing_mark", false, "packets are not marked by rules"),
    ("clientside_tos", false, "packets are not marked by rules"),
    ("clientside_mark", false, "packets are not marked by rules"),
    ("qos_flows", false, "packets are not marked by rules"),
    ("mark_client_packet", false, "packets are not marked by rules"),
    ("mark_client_connection", false, "packets are not marked by rules"),
    (
        "note",
        false,
        "what is logged has its own fields (docs/access-log.md)",
    ),
];

/// Takes a directive over that asks for nothing else; false if it is not known.
pub(super) fn take(line: &Line, document: &mut Document, notes: &mut Notes) -> bool {
    let directive = &*line.directive;
    let place = &line.place;
    let about = format!("{place}: {}", line.text);
    let words: Vec<_> = line.words.iter().map(|word| &*word.text).collect();
    let first = words.first().copied().unwrap_or_default();
    let mut note = |outcome, text: String| notes.add(place, directive.to_owned(), outcome, text);
    if let Some((_, key)) = TIMES.iter().find(|(name, _)| *name == directive) {
        let (section, key) = key.rsplit_once('.').unwrap_or(("timeouts", key));
        let section = if section == "network.dns" {
            "network.dns"
        } else {
            "timeouts"
        };
        match duration(first, words.get(1).copied().unwrap_or("seconds")) {
            Some(text) if document.set(section, key, quoted(&text), &about) => {
                note(Outcome::Taken, format!("as {section}.{key}"));
            }
            Some(_) => note(
                Outcome::Changed,
                format!("{section}.{key} is set by a line above, and there is one such time"),
            ),
            None => note(
                Outcome::Changed,
                format!("is no time that could be used; {section}.{key} keeps its default"),
            ),
        }
        return true;
    }
    if let Some((why, _)) = WITHOUT.iter().find(|(_, names)| names.contains(&directive)) {
        note(Outcome::Taken, format!("is left out: {why}"));
        return true;
    }
    if let Some((_, guards, advice)) = INSTEAD.iter().find(|(name, ..)| *name == directive) {
        let outcome = if *guards {
            Outcome::GuardLost
        } else {
            Outcome::Lost
        };
        note(outcome, (*advice).to_owned());
        return true;
    }
    let mut key = |document: &mut Document, section: &'static str, key: &str, value: String| {
        let outcome = if document.set(section, key, value, &about) {
            Outcome::Taken
        } else {
            Outcome::Changed
        };
        let text = if outcome == Outcome::Taken {
            "as"
        } else {
            "is said twice, and the first counts:"
        };
        note(outcome, format!("{text} {section}.{key}"));
    };
    match directive {
        "dns_nameservers" => {
            let (good, bad): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.parse::<std::net::IpAddr>().is_ok());
            if !good.is_empty() {
                key(document, "network.dns", "servers", array(good));
            }
            if !bad.is_empty() {
                notes.add(place, directive, Outcome::Changed, format!("{} is no address of a server", bad.join(", ")));
            }
        }
        "dns_v4_first" if first == "on" => key(document, "network.dns", "prefer", quoted("ipv4")),
        "dns_v4_first" => note(Outcome::Taken, "as it is by default".into()),
        "hosts_file" => key(document, "network.dns", "hosts_file", quoted(first)),
        "append_domain" => key(document, "network.dns", "search", array([first.trim_start_matches('.')])),
        "negative_dns_ttl" => match duration(first, words.get(1).copied().unwrap_or("seconds")) {
            Some(text) => key(document, "network.dns", "negative_ttl", quoted(&text)),
            None => note(Outcome::Changed, "is no time that could be used".into()),
        },
        "visible_hostname" => note(Outcome::Taken, "Via and the pages say \"wsbump\": names of machines are not told".into()),
        "hostname_aliases" => note(Outcome::Taken, "is for caches that know each other".into()),
        "cache_mgr" => key(document, "pages", "contact", quoted(first)),
        "access_log" | "cache_access_log" if first == "none" => key(document, "log", "access", quoted("off")),
        "access_log" | "cache_access_log" => note(
            Outcome::Changed,
            "the access log is JSON lines on standard output, which the journal keeps; log.access names a file (docs/access-log.md has the fields)".into(),
        ),
        "logformat" => note(Outcome::Changed, format!("lines have fields with names of their own; {}", fields(line.rest(1)))),
        "via" if first == "off" => key(document, "origin", "via", "false".into()),
        "via" => note(Outcome::Taken, "as it is by default".into()),
        "forwarded_for" => match first {
            "off" | "delete" | "truncate" | "transparent" => note(Outcome::Taken, "the proxy tells servers of no client".into()),
            _ => note(Outcome::Changed, "the proxy tells servers of no client: there is no X-Forwarded-For of its own".into()),
        },
        "request_header_max_size" => match size(first, words.get(1).copied().unwrap_or("KB")) {
            Some(bytes) => key(document, "limits", "header_bytes", bytes.clamp(8192, 16_777_216).to_string()),
            None => note(Outcome::Changed, "is no size that could be read".into()),
        },
        "client_ip_max_connections" => match first.parse::<i64>() {
            Ok(count @ 0..=10_000_000) => key(document, "limits.client", "connections", count.to_string()),
            _ => note(Outcome::Taken, "sets no limit; the default of limits.client.connections holds".into()),
        },
        "on_unsupported_protocol" => match first {
            "tunnel" => key(document, "policy", "unknown_protocol", quoted("tunnel")),
            _ => note(Outcome::Taken, "as it is by default: what is neither TLS nor HTTP is refused".into()),
        },
        "httpd_suppress_version" => note(Outcome::Taken, "versions are not told".into()),
        _ => return false,
    }
    true
}

/// Bytes of a number with a unit.
fn size(number: &str, unit: &str) -> Option<u64> {
    let number: u64 = number.parse().ok()?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "bytes" | "byte" => 1,
        "kb" => 1024,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// What the codes of a format are called here.
fn fields(format: &str) -> String {
    const FIELDS: [(&str, &str); 13] = [
        ("%>a", "client"),
        ("%ru", "url, target"),
        ("%rm", "method"),
        ("%>Hs", "status"),
        ("%<st", "bytes_to_client"),
        ("%un", "user"),
        ("%ul", "user"),
        ("%tr", "duration"),
        ("%<a", "origin"),
        ("%ssl::>sni", "sni"),
        ("%ssl::bump_mode", "action"),
        ("%{User-Agent}>h", "request_headers (log.request_headers)"),
        ("%Ss", "outcome, error"),
    ];
    let known: Vec<_> = FIELDS
        .iter()
        .filter(|(code, _)| format.contains(code))
        .map(|(code, field)| format!("{code} is {field}"))
        .collect();
    match known.is_empty() {
        true => "docs/access-log.md has them".to_owned(),
        false => known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_directive_is_told_of_twice() {
        let mut names: Vec<&str> = WITHOUT
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        names.extend(INSTEAD.iter().map(|(name, ..)| *name));
        names.extend(TIMES.iter().map(|(name, _)| *name));
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
