//! Directives without a counterpart, each with what to do instead.

/// What has no counterpart, and what to do instead. Some of it guards.
pub(super) const INSTEAD: [(&str, bool, &str); 41] = [
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
        "no key limits the size of uploads; an [[inspect.rule]] with mode = \"enforce\", action = \"drop\", direction = \"to_origin\" and min_size stops those whose length is announced (docs/inspection.md says what else it then holds)",
    ),
    (
        "reply_body_max_size",
        true,
        "no key limits the size of downloads; an [[inspect.rule]] with mode = \"enforce\", action = \"drop\", direction = \"to_client\" and min_size stops those whose length is announced (docs/inspection.md says what else it then holds)",
    ),
    (
        "client_delay_initial_bucket_level",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "delay_pool_uses_indirect_client",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "response_delay_pool_access",
        false,
        "bandwidth is not shared out; let the router or `tc` do so",
    ),
    (
        "auth_schemes",
        false,
        "everybody is offered every scheme that is configured: take those out of [auth] that are not to be offered",
    ),
    (
        "ftp_port",
        false,
        "FTP is not spoken: clients of FTP need another proxy",
    ),
    (
        "tproxy_uses_indirect_client",
        false,
        "a caught connection's client is the one whose address it comes from",
    ),
    ("zph_local", false, "packets are not marked by rules"),
    ("zph_mode", false, "packets are not marked by rules"),
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
