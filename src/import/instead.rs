//! Directives without a counterpart, each with what to do instead.

/// What has no counterpart, and what to do instead. Some of it guards.
pub(super) const INSTEAD: [(&str, bool, &str); 36] = [
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
        "no key limits the size of uploads; an [[inspect.rule]] with mode = \"enforce\", action = \"drop\", direction = \"to_origin\" and min_size stops large ones",
    ),
    (
        "reply_body_max_size",
        true,
        "no key limits the size of downloads; an [[inspect.rule]] with mode = \"enforce\", action = \"drop\", direction = \"to_client\" and min_size stops large ones",
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
