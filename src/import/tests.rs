use super::*;
use std::path::PathBuf;

/// A configuration in a folder of its own, imported.
fn imported(text: &str) -> Result<Imported, ReadError> {
    with(text, &[], Wishes::default())
}

fn with(text: &str, files: &[(&str, &str)], wishes: Wishes) -> Result<Imported, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squid.conf");
    std::fs::write(&path, text).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    import(&path, wishes)
}

/// What is written without comments, as one line for each table; of the policy alone.
fn policy(text: &str) -> Vec<String> {
    let imported = imported(text).unwrap();
    let written: toml::Table = imported.files[0].text.parse().unwrap();
    let policy = written["policy"].as_table().unwrap();
    let mut lines = vec![format!("default = {}", policy["default"])];
    for key in ["rule", "setting"] {
        let tables = policy
            .get(key)
            .and_then(|tables| tables.as_array())
            .cloned()
            .unwrap_or_default();
        for table in tables {
            let mut table = table.as_table().unwrap().clone();
            let name = table.remove("name").map(|name| name.as_str().unwrap().to_owned());
            let action = table
                .remove("action")
                .map(|action| action.as_str().unwrap().to_owned());
            let rest: Vec<_> = table
                .iter()
                .map(|(key, value)| format!("{key} = {value}"))
                .collect();
            let words = [
                name.unwrap_or_else(|| key.to_owned()),
                action.unwrap_or_default(),
                rest.join(" "),
            ];
            lines.push(words.join(" ").replace("  ", " ").trim().to_owned());
        }
    }
    lines
}

/// The notes of a line, as `OUTCOME: TEXT`.
fn notes(text: &str, line: usize) -> Vec<String> {
    let imported = imported(text).unwrap();
    let of_line = imported.notes.iter().filter(|note| note.place.line == line);
    of_line
        .map(|note| format!("{}: {}", note.outcome.word(), note.text))
        .collect()
}

const PORT: &str =
    "http_port 3128 ssl-bump\nacl step1 at_step SslBump1\nssl_bump peek step1\nssl_bump bump all\n";

#[test]
fn the_first_line_that_holds_decides_and_the_last_one_says_the_default() {
    let of = |lines: &str| {
        policy(&format!(
            "{PORT}acl a src 10.0.0.0/8\nacl b src 10.1.0.1-10.1.0.9\nacl p port 25\n{lines}"
        ))
    };
    assert_eq!(
        of("http_access deny p\nhttp_access allow a b\nhttp_access deny all"),
        [
            "default = \"deny\"",
            "p deny ports = [25]",
            "a-b allow clients = [\"10.1.0.1-10.1.0.9\"]"
        ]
    );
    // The opposite of the last line.
    assert_eq!(
        of("http_access deny b"),
        ["default = \"allow\"", "b deny clients = [\"10.1.0.1-10.1.0.9\"]"]
    );
    assert_eq!(
        of("http_access allow a"),
        ["default = \"deny\"", "a allow clients = [\"10.0.0.0/8\"]"]
    );
    assert_eq!(of(""), ["default = \"deny\""]);
    // What comes behind a line for all never counts.
    assert_eq!(
        of("http_access allow all\nhttp_access deny a"),
        ["default = \"allow\""]
    );
    assert_eq!(
        of("http_access deny !a !b\nhttp_access allow all"),
        [
            "default = \"allow\"",
            "not-a-not-b deny except = [{ clients = [\"10.0.0.0/8\"] }, { clients = [\"10.1.0.1-10.1.0.9\"] }]"
        ]
    );
    assert_eq!(
        of("http_access allow a\nhttp_access allow b\nhttp_access deny all")[1],
        "a allow clients = [\"10.0.0.0/8\", \"10.1.0.1-10.1.0.9\"]"
    );
}

#[test]
fn a_connect_and_the_requests_inside_are_judged_apart() {
    let of = |lines: &str| {
        policy(&format!(
            "{PORT}acl a dstdomain .a.example\nacl read method GET HEAD\nacl safe port 443\nhttp_access {}",
            lines.replace('|', "\nhttp_access ")
        ))
    };
    // Who may not CONNECT may not do so because a GET would be allowed.
    assert_eq!(
        of("allow read a|deny all"),
        [
            "default = \"deny\"",
            "deny deny methods = [\"CONNECT\"]",
            "read-a allow hosts = [\"a\"] methods = [\"GET\", \"HEAD\"]",
        ]
    );
    assert_eq!(
        of("allow CONNECT a|allow read a|deny all"),
        [
            "default = \"deny\"",
            "deny deny except_hosts = [\"a\"] methods = [\"CONNECT\"]",
            "read-a allow hosts = [\"a\"] methods = [\"GET\", \"HEAD\"]",
        ]
    );
    assert_eq!(
        of("deny CONNECT !safe|deny read|allow all"),
        [
            "default = \"allow\"",
            "CONNECT-not-safe deny except = [{ ports = [443] }] methods = [\"CONNECT\"]",
            "read deny methods = [\"GET\", \"HEAD\"]",
        ]
    );
    assert_eq!(
        of("allow CONNECT a|deny CONNECT|allow all"),
        [
            "default = \"allow\"",
            "CONNECT deny except_hosts = [\"a\"] methods = [\"CONNECT\"]"
        ]
    );
    assert_eq!(
        of("deny !CONNECT a|allow all"),
        [
            "default = \"allow\"",
            "not-CONNECT-a deny except = [{ methods = [\"CONNECT\"] }] hosts = [\"a\"]"
        ]
    );
}

#[test]
fn urls_are_searched_in_requests_and_hosts_with_ports_in_connects() {
    let text = format!(
        "{PORT}acl bad url_regex -i bad\\.example/x\nacl exe urlpath_regex -i \\.exe$\nhttp_access deny bad\nhttp_access deny exe\nhttp_access allow all"
    );
    assert_eq!(
        policy(&text),
        [
            "default = \"allow\"",
            "bad deny hosts = [\"bad\"] methods = [\"CONNECT\"]",
            "bad-2 deny url = '(?i)bad\\.example/x'",
            "exe deny path = '(?i)\\.exe$'",
        ]
    );
}

#[test]
fn steps_come_to_rules() {
    let of = |lines: &str| {
        let rules = policy(&format!(
            "http_port 1 ssl-bump\nacl s1 at_step SslBump1\nacl s2 at_step SslBump2\nacl s3 at_step SslBump3\n\
             acl n ssl::server_name .n.example\nacl m ssl::server_name .m.example\nacl c src 10.0.0.1\nhttp_access allow all\n{}",
            lines
                .split('|')
                .map(|line| format!("ssl_bump {line}\n"))
                .collect::<String>()
        ));
        rules[1..].join("; ")
    };
    for (lines, wanted) in [
        ("bump all", ""),
        ("peek s1|splice n|bump all", "splice-n splice hosts = [\"n\"]"),
        (
            "splice c|peek s1|bump all",
            "splice-c splice clients = [\"10.0.0.1\"]",
        ),
        (
            "peek s1|bump n|splice all",
            "splice-all splice except_hosts = [\"n\"]",
        ),
        // No line holds: it is spliced.
        ("peek s1|bump n", "splice splice except_hosts = [\"n\"]"),
        ("bump !n !m", "splice splice hosts = [\"m\", \"n\"]"),
        // Peeked at in step 2, nothing is decrypted any more.
        ("peek all|bump all", "splice splice"),
        (
            "peek s1|peek s2 n|splice s3 n|terminate all",
            "splice-s3-n splice hosts = [\"n\"]; terminate-all deny methods = [\"CONNECT\"]",
        ),
        ("stare s1|stare s2|bump all", ""),
        ("stare s1|stare s2|splice n", ""),
        (
            "peek s1|terminate n|splice m|bump all",
            "terminate-n deny hosts = [\"n\"] methods = [\"CONNECT\"]; splice-m splice hosts = [\"m\"]",
        ),
        // The words of old.
        ("none n|server-first all", "splice-n splice hosts = [\"n\"]"),
        (
            "none c|client-first n|server-first all",
            "splice-c splice clients = [\"10.0.0.1\"]",
        ),
        ("deny n|allow all", "splice-n splice hosts = [\"n\"]"),
        // They count in step 1 alone.
        (
            "none n|peek s1|server-first all",
            "splice-n splice hosts = [\"n\"]; splice splice",
        ),
        ("peek s1|none n|client-first c|bump all", ""),
        (
            "server-first c|peek all|splice n|none all",
            "splice-n splice except = [{ clients = [\"10.0.0.1\"] }] hosts = [\"n\"]; splice splice except = [{ clients = [\"10.0.0.1\"] }]",
        ),
        // What no line is for after step 2 is spliced, whatever step 1 did.
        ("stare s1|bump n", "splice splice except_hosts = [\"n\"]"),
        (
            "bump s3|peek s1|peek s2 n|stare s2",
            "splice splice hosts = [\"n\"]",
        ),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
}

#[test]
fn squids_surprises_are_told_at_their_lines() {
    let port = "http_port 1 ssl-bump\nhttp_access allow all\n";
    let said = |text: &str, line, words: &str| {
        let notes = notes(text, line);
        assert!(
            notes.iter().any(|note| note.contains(words)),
            "{words}: {notes:?}"
        );
    };
    said(
        &format!("{port}ssl_bump peek all\nssl_bump bump all"),
        4,
        "surprise: decrypts nothing, in Squid neither",
    );
    said(
        "http_port 1\nhttp_access allow all\nssl_bump bump all",
        3,
        "surprise: decides nothing, since no http_port has ssl-bump",
    );
    said(
        &format!("{port}request_header_add X y all"),
        3,
        "Squid leaves the client's own beside it",
    );
    said(
        "acl Safe_ports port 80 1025-65535\nhttp_access deny !Safe_ports",
        2,
        "surprise: forbids next to nothing",
    );
    said(
        "acl w url_regex ^a:443$\nhttp_access deny w",
        2,
        "surprise: :443$ matches the CONNECT and nothing inside",
    );
    said(
        &format!("{port}acl w url_regex ^https://a/\nssl_bump splice w\nssl_bump bump all"),
        4,
        "surprise: ^http matches no CONNECT",
    );
    said(
        &format!("{port}http_upgrade_request_protocols WebSocket allow all"),
        3,
        "surprise: Squid heeds case here",
    );
    said(
        "http_port 1 ssl-bump generate-host-certificates=off",
        1,
        "surprise: generate-host-certificates=off",
    );
    said(
        &format!("{port}acl n ssl::server_name a\nssl_bump splice n\nssl_bump bump all"),
        0,
        "whoever lies in it walks around the list",
    );
}

#[test]
fn what_guards_and_is_lost_is_said() {
    for (text, line) in [
        (
            "external_acl_type t %SRC /usr/lib/check\nacl e external t\nhttp_access deny e",
            3,
        ),
        ("acl m maxconn 5\nhttp_access deny m", 2),
        ("http_access deny nowhere", 1),
        ("never_direct allow all", 1),
        // What a parent resolves, what hangs on a request, and what is inside of another ACL.
        (
            "acl d dst 192.0.2.0/24\nacl c src 10.0.0.1\nhttp_access deny c d\ncache_peer 192.0.2.1 parent 1 0",
            3,
        ),
        (
            "acl d dst 192.0.2.0/24\nacl m method POST\nhttp_access deny m d",
            3,
        ),
        (
            "acl d dst 192.0.2.0/24\nacl a any-of d\nacl b all-of a\nhttp_access deny b",
            4,
        ),
        (
            "acl d dst 192.0.2.0/24\nacl n all-of !d\nhttp_access allow n\nhttp_access deny all",
            3,
        ),
        // A name is not resolved here.
        (
            "acl d dst host.example\nacl c src 10.0.0.1\nhttp_access deny c d",
            3,
        ),
        (
            "acl m random 0.5\nicap_enable on\nicap_service s reqmod_precache icap://127.0.0.1/s\nadaptation_access s allow m",
            4,
        ),
        ("acl m rep_mime_type mpeg\nhttp_reply_access deny m", 2),
        ("acl h rep_header X-Y z\nhttp_reply_access deny h", 2),
        ("acl d dstdomain \"nowhere\"\nhttp_access deny d", 1),
        (
            "http_port 1 ssl-bump\nacl e random 0.5\nssl_bump terminate e\nssl_bump bump all",
            3,
        ),
        ("icap_service s reqmod_postcache icap://127.0.0.1:1344/s", 1),
        ("icap_enable on\nadaptation_access nowhere allow all", 2),
        ("request_header_add X %>a all", 1),
        ("url_rewrite_program /usr/bin/squidGuard", 1),
    ] {
        let imported = imported(text).unwrap();
        assert_eq!(imported.outcome(), LineOutcome::GuardLost, "{text}");
        assert!(
            notes(text, line)
                .iter()
                .any(|note| note.starts_with("GUARD LOST")),
            "{text}: {:?}",
            imported.notes
        );
    }
    // What is only allowed by it is refused, and nothing is lost that guards.
    let text = "acl m maxconn 5\nhttp_access allow m\nhttp_access deny all";
    assert_eq!(imported(text).unwrap().outcome(), LineOutcome::Lost);
    assert_eq!(policy(text), ["default = \"deny\""]);
}

#[test]
fn verification_stays_on_unless_it_is_asked_to_be_off() {
    for line in [
        "sslproxy_flags DONT_VERIFY_PEER",
        "tls_outgoing_options flags=DONT_VERIFY_PEER",
        "sslproxy_cert_error allow all",
    ] {
        let of = |insecure| {
            let imported = with(line, &[], Wishes { insecure }).unwrap();
            (
                imported.files[0]
                    .text
                    .contains("\nallow_invalid_certificate = true"),
                imported.outcome(),
            )
        };
        assert_eq!(of(false), (false, LineOutcome::Changed), "{line}");
        assert_eq!(of(true), (true, LineOutcome::Changed), "{line}");
    }
    let of = |lines: &str| {
        policy(&format!(
            "acl p dstdomain .p.example\nacl e ssl_error X509_V_ERR_CERT_HAS_EXPIRED\n{lines}"
        ))[1..]
            .join("; ")
    };
    let lets = "setting allow_invalid_certificate = true hosts = [\"p\"]";
    assert_eq!(
        of("sslproxy_cert_error allow p\nsslproxy_cert_error deny all"),
        lets
    );
    assert_eq!(of("sslproxy_cert_error allow p"), lets);
    assert_eq!(
        of("sslproxy_cert_error allow p e\nsslproxy_cert_error deny all"),
        lets
    );
    assert_eq!(
        of("sslproxy_cert_error allow e\nsslproxy_cert_error deny all"),
        ""
    );
    // Squid lets all others through then; that is not taken over.
    assert_eq!(of("sslproxy_cert_error deny p"), "");
}

#[test]
fn headers_become_settings() {
    let of = |lines: &str| {
        policy(&format!("acl a src 10.0.0.1\nacl h dstdomain h.example\n{lines}"))[1..].join("; ")
    };
    for (lines, wanted) in [
        (
            "request_header_add X-A \"b c\" h",
            "setting hosts = [\"h\"] set_headers = { X-A = \"b c\" }",
        ),
        (
            "request_header_access From deny all",
            "setting remove_headers = [\"From\"]",
        ),
        (
            "request_header_access From allow a\nrequest_header_access From deny all",
            "setting except = [{ clients = [\"10.0.0.1\"] }] remove_headers = [\"From\"]",
        ),
        (
            "request_header_access From allow a",
            "setting except = [{ clients = [\"10.0.0.1\"] }] remove_headers = [\"From\"]",
        ),
        (
            "request_header_access User-Agent deny h\nrequest_header_replace User-Agent corp browser",
            "setting hosts = [\"h\"] set_headers = { User-Agent = \"corp browser\" }",
        ),
        ("request_header_access Connection deny all", ""),
        (
            "header_access From deny all",
            "setting remove_headers = [\"From\"]",
        ),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    assert!(
        imported("request_header_access Via deny all").unwrap().files[0]
            .text
            .contains("\nvia = false")
    );
}

#[test]
fn lists_are_written_as_they_were() {
    let text = "acl w url_regex -i \"w\"\nacl d dstdomain \"d\" *.c.example\nacl m dstdom_regex A -i b +i c\nhttp_access deny w\nhttp_access deny d\nhttp_access deny m\nhttp_access allow all";
    let files = [
        ("w", "# ours\n^a:443$ # why\n\n"),
        ("d", ".a.example\nb.example\n"),
    ];
    let imported = with(text, &files, Wishes::default()).unwrap();
    let list = |name: &str| {
        let file = imported
            .files
            .iter()
            .find(|file| file.path == format!("lists/{name}"))
            .unwrap();
        file.text.split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(list("w"), "^a:443$\n");
    assert_eq!(list("d"), ".a.example\nb.example\n.c.example\n");
    assert_eq!(list("m"), "A\n-i\nb\n+i\nc\n");
    let config = &imported.files[0].text;
    assert!(
        config.contains("name = \"w\"\nfile = \"lists/w\"\nformat = \"url_regex\"\nignore_case = true"),
        "{config}"
    );
    assert!(
        config.contains("name = \"m\"\nfile = \"lists/m\"\nformat = \"host_regex\"\nignore_case = false"),
        "{config}"
    );
}

#[test]
fn acls_of_acls_and_acls_of_one_name() {
    let of = |lines: &str| {
        policy(&format!("{PORT}acl a src 10.0.0.1\nacl a src 10.0.0.2\nacl h dstdomain h.example\nacl p port 8080\n{lines}\nhttp_access allow all"))[1..].join("; ")
    };
    assert_eq!(
        of("http_access deny a"),
        "a deny clients = [\"10.0.0.1\", \"10.0.0.2\"]"
    );
    assert_eq!(
        of("acl both all-of a h\nhttp_access deny both"),
        "both deny clients = [\"10.0.0.1\", \"10.0.0.2\"] hosts = [\"h\"]"
    );
    assert_eq!(
        of("acl one any-of h p\nhttp_access deny one"),
        "one deny hosts = [\"h\"]; one-2 deny ports = [8080]"
    );
    assert_eq!(
        of("acl both all-of a h\nhttp_access deny !both"),
        "not-both deny except = [{ clients = [\"10.0.0.1\", \"10.0.0.2\"], hosts = [\"h\"] }]"
    );
    assert_eq!(
        of("acl both all-of a !h\nhttp_access deny both"),
        "both deny clients = [\"10.0.0.1\", \"10.0.0.2\"] except_hosts = [\"h\"]"
    );
    let circle = imported("acl a any-of b\nacl b any-of a\nhttp_access deny a").unwrap();
    assert_eq!(circle.outcome(), LineOutcome::GuardLost);
}

#[test]
fn users_are_asked_for_where_squid_asks() {
    let of = |lines: &str| {
        policy(&format!(
            "{PORT}acl u proxy_auth REQUIRED\nacl ada proxy_auth ada Max\nacl h dstdomain h.example\n{lines}"
        ))
        .join("; ")
    };
    assert_eq!(
        of("http_access deny !u\nhttp_access allow all"),
        "default = \"allow\"; not-u authenticate"
    );
    assert_eq!(
        of("http_access allow h\nhttp_access allow u\nhttp_access deny all"),
        "default = \"deny\"; h allow hosts = [\"h\"]; u allow users = [\"*\"]"
    );
    assert_eq!(
        of("http_access allow ada\nhttp_access deny all"),
        "default = \"deny\"; ada allow users = [\"ada\", \"max\"]"
    );
}

#[test]
fn parents_are_chosen_by_settings() {
    let of = |lines: &str| {
        policy(&format!("acl p dstdomain .p.example\nacl i dstdomain .i.example\ncache_peer 192.0.2.1 parent 3128 0 name=a\ncache_peer 192.0.2.2 parent 3128 0 name=b\n{lines}"))[1..].join("; ")
    };
    for (lines, wanted) in [
        ("never_direct allow all", "setting parents = [\"a\", \"b\"]"),
        ("", "setting parents = [\"a\", \"b\"]; setting direct = \"last\""),
        (
            "cache_peer_access a deny p\ncache_peer_access a allow all\ncache_peer_access b allow p\ncache_peer_access b deny all\nnever_direct allow all\nalways_direct allow i",
            "setting except_hosts = [\"p\"] parents = [\"a\"]; setting hosts = [\"p\"] parents = [\"b\"]; setting hosts = [\"i\"] parents = []",
        ),
        (
            "cache_peer_access a allow p\ncache_peer_access a deny all\nnever_direct allow all",
            "setting except_hosts = [\"p\"] parents = [\"b\"]; setting hosts = [\"p\"] parents = [\"a\", \"b\"]",
        ),
        (
            "never_direct deny i\nnever_direct allow all",
            "setting parents = [\"a\", \"b\"]; setting direct = \"last\"; setting direct = \"never\" except_hosts = [\"i\"]",
        ),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    // What no parent serves may not go directly, and would.
    let text = "acl p dstdomain .p.example\ncache_peer 192.0.2.1 parent 3128 0\ncache_peer_access 192.0.2.1 deny p\nnever_direct allow all";
    assert!(
        notes(text, 4)
            .iter()
            .any(|note| note.starts_with("GUARD LOST: what no parent is allowed to serve"))
    );
    for (line, outcome) in [
        ("cache_peer a.example sibling 3128 3130", LineOutcome::Lost),
        ("cache_peer a.example parent 80 0 originserver", LineOutcome::Lost),
        (
            "cache_peer a.example parent 3128 0 login=PASS",
            LineOutcome::Changed,
        ),
        (
            "cache_peer a.example parent 3128 0 login=NEGOTIATE:wsbump@R",
            LineOutcome::Changed,
        ),
    ] {
        let said = notes(line, 1);
        assert!(
            said.iter().any(|note| note.starts_with(outcome.word())),
            "{line}: {said:?}"
        );
    }
    for (lines, wanted) in [
        (
            "cache_peer 192.0.2.1 parent 1 0 round-robin name=a connect-timeout=3 connect-fail-limit=4\ncache_peer 192.0.2.2 parent 1 0 round-robin name=b\nnever_direct allow all",
            "setting parent_order = \"round_robin\" parents = [\"a\", \"b\"]",
        ),
        (
            "cache_peer 192.0.2.1 parent 1 0 round-robin name=a\ncache_peer 192.0.2.2 parent 1 0 name=b\nnever_direct allow all",
            "setting parents = [\"a\", \"b\"]",
        ),
    ] {
        assert_eq!(policy(lines)[1..].join("; "), wanted, "{lines}");
    }
    assert_eq!(
        tables(
            "cache_peer 192.0.2.1 parent 1 0 connect-timeout=3 connect-fail-limit=4",
            &["parent"]
        ),
        [
            "breaker_failures = 4 connect_timeout = \"3s\" name = \"192.0.2.1\" plain_http = \"absolute\" url = \"http://192.0.2.1:1\""
        ]
    );
    let imported = imported("cache_peer a.example parent 3128 0 tls login=ada:s3cret name=up").unwrap();
    assert!(
        !imported.files[0].text.contains("s3cret")
            && imported.files[0]
                .text
                .contains("url = \"https://a.example:3128\"")
    );
    let secret = imported
        .files
        .iter()
        .find(|file| file.path == "parent-up")
        .unwrap();
    assert!(secret.is_secret && secret.text == "s3cret\n");
}

#[test]
fn icap_services_are_named_by_settings() {
    let services = "icap_enable on\nicap_service q reqmod_precache bypass=1 icap://127.0.0.1:1344/q\nicap_service p respmod_precache icap://127.0.0.1:1344/p\nicap_service d reqmod_precache 0 icap://127.0.0.1:1345/d\nacl h dstdomain .h.example\n";
    let of = |lines: &str| policy(&format!("{services}{lines}"))[1..].join("; ");
    for (lines, wanted) in [
        (
            "adaptation_access q allow all\nadaptation_access p allow all",
            "setting adapt_responses = [\"p\"]; setting adapt_requests = [\"q\"]",
        ),
        (
            "adaptation_access q deny h\nadaptation_access q allow all",
            "setting adapt_requests = [\"q\"] except_hosts = [\"h\"]",
        ),
        // Squid takes the first that holds, settings the last.
        (
            "adaptation_access q allow h\nadaptation_access d allow all",
            "setting adapt_requests = [\"d\"]; setting adapt_requests = [\"q\"] hosts = [\"h\"]",
        ),
        (
            "adaptation_service_chain c q d\nadaptation_access c allow all",
            "setting adapt_requests = [\"q\", \"d\"]",
        ),
        ("icap_enable off\nadaptation_access q allow all", ""),
        (
            "adaptation_service_set s q d\nadaptation_access s allow all",
            "setting adapt_requests = [\"q\"]",
        ),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    // The others of a set stand in for its first; those of another kind do not.
    let found = tables(
        &format!(
            "{services}adaptation_service_set s q d p\nicap_service_failure_limit 10\nicap_service_revival_delay 3 minutes\nicap_io_timeout 5 seconds\nicap_service r respmod_precache icap://127.0.0.1/r max-conn=7"
        ),
        &["inspect", "scanner"],
    );
    let of_all = "breaker_failures = 10 breaker_rest = \"3m\"";
    assert_eq!(
        found[0],
        format!(
            "{of_all} deadline = \"5s\" name = \"q\" on_failure = \"pass\" standby = [\"d\"] tell_client_ip = false url = \"icap://127.0.0.1:1344/q\""
        )
    );
    assert_eq!(
        found[3],
        format!(
            "{of_all} concurrency = 7 deadline = \"5s\" name = \"r\" on_failure = \"close\" tell_client_ip = false url = \"icap://127.0.0.1/r\""
        )
    );
    let config = &imported(services).unwrap().files[0].text;
    assert!(
        config.contains("url = \"icap://127.0.0.1:1344/q\"\non_failure = \"pass\""),
        "{config}"
    );
    assert!(
        config.contains("url = \"icap://127.0.0.1:1344/p\"\non_failure = \"close\""),
        "{config}"
    );
}

/// The tables of a name, each in one line.
fn tables(text: &str, path: &[&str]) -> Vec<String> {
    let imported = imported(text).unwrap();
    let written: toml::Value = toml::from_str(&imported.files[0].text).unwrap();
    let found = path.iter().try_fold(&written, |table, key| table.get(key));
    let one = |table: &toml::Value| {
        let keys = table.as_table().unwrap().iter();
        let keys: Vec<_> = keys.map(|(key, value)| format!("{key} = {value}")).collect();
        keys.join(" ")
    };
    match found {
        Some(toml::Value::Array(all)) => all.iter().map(one).collect(),
        Some(table) => vec![one(table)],
        None => Vec::new(),
    }
}

#[test]
fn ports_become_listeners_of_their_kinds() {
    let of = |lines: &str| tables(lines, &["listener"]).join("; ");
    for (lines, wanted) in [
        ("http_port 3128", ""),
        (
            "http_port 3129 intercept",
            "address = [\"[::]:3129\"] kind = \"redirect\" name = \"redirect-3129\"",
        ),
        (
            "https_port 10.0.0.1:3130 tproxy ssl-bump cert=/nowhere/ca.pem name=caught",
            "address = [\"10.0.0.1:3130\"] kind = \"tproxy\" name = \"caught\"",
        ),
        (
            "http_port 3128 require-proxy-header\nproxy_protocol_access allow lb\nproxy_protocol_access deny all\nacl lb src 192.0.2.1-192.0.2.3",
            "address = [\"[::]:3128\"] kind = \"http\" name = \"http-3128\" proxy_protocol = { from = [\"192.0.2.1/32\", \"192.0.2.2/31\"] }",
        ),
        (
            "http_port 3128 require-proxy-header",
            "address = [\"[::]:3128\"] kind = \"http\" name = \"http-3128\"",
        ),
        (
            "http_port 3128\nhttp_port 3129 intercept\nacl front src 192.0.2.4\nfollow_x_forwarded_for allow front\nfollow_x_forwarded_for deny all",
            "address = [\"[::]:3128\"] forwarded_for = { from = [\"192.0.2.4/32\"] } kind = \"http\" name = \"http-3128\"; address = [\"[::]:3129\"] kind = \"redirect\" name = \"redirect-3129\"",
        ),
        ("http_port 3128\nfollow_x_forwarded_for deny all", ""),
        ("http_port 80 accel defaultsite=a.example", ""),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    // What a port without ssl-bump brings is spliced; one that catches plain requests brings no TLS.
    let text = "http_port 3128\nhttp_port 3129 intercept\nhttps_port 3130 intercept ssl-bump\nacl s at_step SslBump1\nssl_bump peek s\nssl_bump bump all\nhttp_access allow all";
    assert_eq!(
        policy(text),
        ["default = \"allow\"", "splice splice listeners = [\"http-3128\"]"]
    );
    let said = notes("http_port 3128 require-proxy-header", 1).join("\n");
    assert!(said.contains("Squid closes every connection here"), "{said}");
    let said = notes("http_port 3128\nproxy_protocol_access allow all", 2).join("\n");
    assert!(said.contains("no port requires such a header"), "{said}");
    let said = notes("http_port 3129 intercept\nfollow_x_forwarded_for allow all", 2).join("\n");
    assert!(said.contains("read no X-Forwarded-For"), "{said}");
}

#[test]
fn connections_leave_as_settings_say() {
    let of =
        |lines: &str| policy(&format!("acl a src 10.0.0.1\nacl b src 10.0.0.2\n{lines}"))[1..].join("; ");
    for (lines, wanted) in [
        (
            "tcp_outgoing_address 192.0.2.1",
            "setting source = [\"192.0.2.1\"]",
        ),
        (
            "tcp_outgoing_address 192.0.2.1 a\ntcp_outgoing_address 2001:db8::1 a",
            "setting clients = [\"10.0.0.1\"] source = [\"192.0.2.1\", \"2001:db8::1\"]",
        ),
        // Squid takes the first that holds, settings the last.
        (
            "tcp_outgoing_address 192.0.2.1 a\ntcp_outgoing_address 192.0.2.2 b\ntcp_outgoing_address 192.0.2.3",
            "setting source = [\"192.0.2.3\"]; setting clients = [\"10.0.0.2\"] source = [\"192.0.2.2\"]; setting clients = [\"10.0.0.1\"] source = [\"192.0.2.1\"]",
        ),
        (
            "tcp_outgoing_tos 0x28 a",
            "setting clients = [\"10.0.0.1\"] dscp = 10",
        ),
        ("tcp_outgoing_address nowhere a", ""),
        ("tcp_outgoing_tos 0x128", ""),
        ("acl e ext_user x\ntcp_outgoing_address 192.0.2.1 e", ""),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
}

#[test]
fn servers_are_told_of_clients_where_a_line_says_so() {
    let of = |lines: &str| policy(lines)[1..].join("; ");
    for (lines, wanted) in [
        ("", ""),
        ("forwarded_for on", "setting tell_client = \"x_forwarded_for\""),
        ("forwarded_for off", ""),
        ("forwarded_for transparent", ""),
        (
            "forwarded_for delete",
            "setting remove_headers = [\"X-Forwarded-For\"]",
        ),
        (
            "forwarded_for truncate",
            "setting remove_headers = [\"X-Forwarded-For\"] tell_client = \"x_forwarded_for\"",
        ),
        (
            "forwarded_for on\nacl h dstdomain .h.example\nrequest_header_access X-Forwarded-For deny h",
            "setting tell_client = \"x_forwarded_for\"; setting hosts = [\"h\"] remove_headers = [\"X-Forwarded-For\"] tell_client = \"no\"",
        ),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    let port = "http_port 1 ssl-bump\nhttp_access allow all\nacl h dstdomain h\nhttp_access deny h\n";
    let is_told = |text: &str| {
        notes(text, 0)
            .iter()
            .any(|note| note.contains("servers are not told their clients' addresses"))
    };
    let silent = format!("acl h dstdomain h\nhttp_access deny h\n{port}");
    assert!(is_told(&silent) && !is_told(&format!("{silent}forwarded_for delete")));
}

#[test]
fn fields_of_responses_become_settings() {
    let of = |lines: &str| policy(&format!("acl h dstdomain h.example\n{lines}"))[1..].join("; ");
    for (lines, wanted) in [
        (
            "reply_header_access Server deny all",
            "setting remove_response_headers = [\"Server\"]",
        ),
        (
            "reply_header_access Set-Cookie allow h\nreply_header_access Set-Cookie deny all",
            "setting except_hosts = [\"h\"] remove_response_headers = [\"Set-Cookie\"]",
        ),
        (
            "reply_header_access Server deny h\nreply_header_replace Server corp",
            "setting hosts = [\"h\"] set_response_headers = { Server = \"corp\" }",
        ),
        (
            "reply_header_add X-By corp h",
            "setting add_response_headers = { X-By = \"corp\" } hosts = [\"h\"]",
        ),
        // Of requests it would be the proxy's own.
        (
            "reply_header_access X-Forwarded-For deny all",
            "setting remove_response_headers = [\"X-Forwarded-For\"]",
        ),
        ("reply_header_access Content-Length deny all", ""),
    ] {
        assert_eq!(of(lines), wanted, "{lines}");
    }
    let via = imported("reply_header_access Via deny all").unwrap();
    assert!(via.files[0].text.contains("\nvia = false"));
}

#[test]
fn responses_are_stopped_by_rules_of_their_own() {
    let of = |lines: &str| {
        tables(
            &format!("acl h dstdomain .h.example\nacl c src 10.0.0.1-10.0.0.2\nacl v rep_mime_type -i ^video/ ^audio/\nacl x urlpath_regex \\.x$\n{lines}"),
            &["inspect", "rule"],
        )
        .join("; ")
    };
    let common = "direction = \"to_client\"";
    for (lines, wanted) in [
        (
            "http_reply_access deny v",
            format!(
                "action = \"drop\" content_type = [\"audio/\", \"video/\"] {common} in = [\"body\"] mode = \"enforce\" name = \"reply-0-0-v\""
            ),
        ),
        (
            "http_reply_access allow h\nhttp_reply_access deny c v !h x",
            format!(
                "action = \"allow\" {common} hosts = [\"h\"] in = [\"body\"] mode = \"enforce\" name = \"reply-0-0-h\"; action = \"drop\" clients = [\"10.0.0.1/32\", \"10.0.0.2/32\"] content_type = [\"audio/\", \"video/\"] {common} except_hosts = [\"h\"] in = [\"body\"] mode = \"enforce\" name = \"reply-1-0-c-v-h-x\" path = '\\.x$'"
            ),
        ),
        // It is so anyway.
        ("http_reply_access allow all", String::new()),
        ("http_reply_access deny v !v", String::new()),
    ] {
        let found = of(lines).replace("path = \"\\\\.x$\"", "path = '\\.x$'");
        assert_eq!(found, wanted, "{lines}");
    }
}

#[test]
fn networks_that_are_forbidden_to_all_are_held_against_what_is_dialled() {
    let of = |lines: &str| {
        tables(&format!("acl d dst 192.0.2.0/24 198.51.100.1-198.51.100.2\nacl e dst 203.0.113.9\nacl c src 10.0.0.1\n{lines}"), &["network"]).join("")
    };
    assert_eq!(
        of("http_access deny d all\nhttp_access deny e"),
        "deny = [\"192.0.2.0/24\", \"198.51.100.1/32\", \"198.51.100.2/32\", \"203.0.113.9/32\"]"
    );
    for lines in [
        "http_access deny c d",
        "http_access deny !d",
        "http_access deny d e",
        "http_access allow d",
        "http_access deny to_localhost",
    ] {
        assert_eq!(of(lines), "", "{lines}");
    }
    let text = "acl d dst 192.0.2.0/24\nhttp_access deny d";
    assert_eq!(imported(text).unwrap().outcome(), LineOutcome::Changed);
}

#[test]
fn networks_that_are_forbidden_to_some_are_held_against_what_is_dialled() {
    let of = |lines: &str| {
        policy(&format!("acl d dst 192.0.2.0/24\nacl e dst 198.51.100.0-198.51.100.255\nacl c src 10.0.0.1\nacl b src 10.0.0.2\nacl h dstdomain h\nacl m method GET\n{lines}"))[1..].join("; ")
    };
    let not_d = "deny_networks = [\"0.0.0.0/1\", \"128.0.0.0/2\"";
    for (lines, wanted) in [
        (
            "deny c d|allow all",
            "c-d deny clients = [\"10.0.0.1\"] hosts = [\"d\"]; splice splice; setting clients = [\"10.0.0.1\"] deny_networks = [\"192.0.2.0/24\"]",
        ),
        // Whom a line above lets through is let through.
        (
            "allow h|deny d e|deny e|allow all",
            "splice splice hosts = [\"h\"]; h allow hosts = [\"h\"]; d-e deny also = [{ hosts = [\"e\"] }] hosts = [\"d\"]; e deny hosts = [\"e\"]; splice-2 splice; setting deny_networks = [\"198.51.100.0/24\"] except_hosts = [\"h\"]",
        ),
        (
            "allow c !d|allow h|deny all",
            "splice splice clients = [\"10.0.0.1\"] except_hosts = [\"d\"]; c-not-d allow clients = [\"10.0.0.1\"] except_hosts = [\"d\"]; splice-2 splice hosts = [\"h\"]; h allow hosts = [\"h\"]; setting clients = [\"10.0.0.1\"] deny_networks = [\"192.0.2.0/24\"] except_hosts = [\"h\"]",
        ),
    ] {
        let lines = format!("http_access {}", lines.replace('|', "\nhttp_access "));
        assert_eq!(of(&lines), wanted, "{lines}");
    }
    // All but these: a rule would refuse every name.
    let found = of("http_access deny c !d\nhttp_access allow all");
    assert!(
        found.starts_with(&format!(
            "splice splice; setting clients = [\"10.0.0.1\"] {not_d}"
        )) && found.ends_with("\"::/0\"]"),
        "{found}"
    );
    let found = of("http_access deny !d\nhttp_access allow all");
    assert!(
        found.starts_with(&format!("splice splice; setting {not_d}")),
        "{found}"
    );
    let text = "acl d dst 192.0.2.0/24\nacl c src 10.0.0.1\nacl m method GET\nhttp_access allow m\nhttp_access deny c d\nhttp_access allow all";
    let said = notes(text, 5).join("\n");
    assert!(
        said.contains("deny_networks of a setting") && said.contains("by a method"),
        "{said}"
    );
    // Names that lead there are refused, which guards too much and not too little.
    let text = "acl d dst 192.0.2.0/24\nacl m method GET\nhttp_access deny m !d\nhttp_access allow all";
    let said = notes(text, 3).join("\n");
    assert!(
        said.contains("names are refused that lead there") && !said.contains("GUARD LOST"),
        "{said}"
    );
}

#[test]
fn addresses_from_one_to_another_are_networks_of_a_list() {
    let text = "acl d dst 192.0.2.1-192.0.2.2 198.51.100.0/24 all\nhttp_access deny d\nhttp_access allow all";
    let found = imported(text).unwrap();
    let list = found.files.iter().find(|file| file.path == "lists/d").unwrap();
    let (_, lines) = list.text.split_once('\n').unwrap();
    assert_eq!(
        lines,
        "192.0.2.1/32\n192.0.2.2/32\n198.51.100.0/24\n0.0.0.0/0\n::/0\n"
    );
    assert_ne!(found.outcome(), LineOutcome::GuardLost, "{:?}", found.notes);
}

#[test]
fn who_is_known_and_not_allowed_is_told_of() {
    let of = |lines: &str| {
        let text =
            format!("acl known proxy_auth REQUIRED\nacl ada proxy_auth ada\nacl h dstdomain h\n{lines}");
        notes(&text, 4)
            .join("\n")
            .contains("Squid asks such a client for another name")
    };
    assert!(of("http_access deny h !ada") && of("http_access deny !ada"));
    assert!(!of("http_access deny !known") && !of("http_access deny ada h"));
}

#[test]
fn what_guards_nothing_is_no_guard_that_is_lost() {
    for text in [
        "request_body_max_size 0 KB",
        "reply_body_max_size none",
        "acl f transaction_initiator certificate-fetching\nhttp_access allow f\nhttp_access deny all",
        "acl m method GET\nicap_enable on\nicap_service s reqmod_precache icap://127.0.0.1/s\nadaptation_access s deny m\nadaptation_access s allow all",
        "icap_service s reqmod_precache icap://127.0.0.1/s\nadaptation_access s allow all",
    ] {
        let outcome = imported(text).unwrap().outcome();
        assert!(outcome < LineOutcome::GuardLost, "{text}: {outcome:?}");
    }
    let text = "icap_service s reqmod_precache icap://127.0.0.1/s\nadaptation_access s allow all";
    assert!(
        notes(text, 2)[0].starts_with("surprise: asks nobody"),
        "{:?}",
        notes(text, 2)
    );
    assert_eq!(
        imported("request_body_max_size 9 MB").unwrap().outcome(),
        LineOutcome::GuardLost
    );
}

/// What the check would refuse is left out, and said.
#[test]
fn what_no_configuration_may_say_is_left_out() {
    for (text, line, words) in [
        (
            "http_port 3128\nhttp_port 127.0.0.1:3128",
            2,
            "has the port already",
        ),
        ("acl m method GET (x)\nhttp_access deny m", 1, "is no method"),
        (
            "acl h req_header X(Y z\nhttp_access deny h",
            2,
            "is no name of a header",
        ),
        ("cache_peer 1j8.51.100.1 parent 3128 0", 1, "has no host and port"),
        (
            "icap_service s reqmod_precache icap://a/s#t",
            1,
            "characters that a URL cannot have",
        ),
        (
            "auth_param basic program /x/basic_ldap_auth -b dc=a -f ((uid=%s) ldap.example",
            1,
            "is no search filter",
        ),
        (
            "auth_param basic program /x/basic_ldap_auth -b dc=a -H http://ldap.example",
            1,
            "until then nobody can log in",
        ),
    ] {
        let said = notes(text, line).join("\n");
        assert!(said.contains(words), "{text}: {said}");
    }
}

/// All that Squid 5.7 documents.
const DIRECTIVES: &str = include_str!("../../tests/oracle/directives.txt");

#[test]
fn only_what_squid_does_not_know_either_is_unknown() {
    let names: Vec<_> = DIRECTIVES.lines().collect();
    assert!(names.len() > 380 && names.contains(&"http_access"));
    for name in names {
        // `include` is told of by what it reads.
        if matches!(name, "include") {
            continue;
        }
        let found = notes(&format!("{name} 1 a"), 1);
        assert!(!found.is_empty(), "{name}: nothing is said");
        assert!(!found.join("").contains("is no directive"), "{name}: {found:?}");
    }
    assert!(notes("cache_memory 1", 1)[0].contains("is no directive"));
}

#[test]
fn what_is_not_needed_is_no_difference() {
    let text = "http_port 127.0.0.1:3128\nacl inner dst 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16\nhttp_access deny to_localhost\n\
        http_access deny to_linklocal\nhttp_access deny inner\nhttp_access allow localhost\nhttp_access deny all\nforwarded_for delete\n\
        via off\ncache_mem 1 GB\ncoredump_dir /x\n";
    let whole = imported(text).unwrap();
    let told = || {
        whole
            .notes
            .iter()
            .map(Note::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(whole.outcome(), LineOutcome::Taken, "{}", told());
    for (line, without) in [
        (
            "http_access deny to_localhost\n",
            "private and other special addresses",
        ),
        ("forwarded_for delete\n", "tell_client"),
    ] {
        let text = text.replace(line, "");
        let said = notes(&text, 0).join("\n");
        assert!(said.contains(without), "{said}");
    }
    let text = text.replace("127.0.0.1:3128", "127.0.0.1:3128 ssl-bump\nssl_bump bump all");
    assert!(
        notes(&text, 0)
            .join("\n")
            .contains("a denial is a 403 to the CONNECT")
    );
}

#[test]
fn pages_of_denials_are_brought_along() {
    let text = "acl h dstdomain .h.example\nacl i dstdomain .i.example\nacl j dstdomain .j.example\nacl k dstdomain .k.example\n\
        http_access deny h\nhttp_access deny i\nhttp_access deny j\nhttp_access allow k\n\
        deny_info ERR_OURS h\ndeny_info 403:ERR_AWAY i\ndeny_info http://intranet/blocked j\ndeny_info TCP_RESET k\nerror_directory errors\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squid.conf");
    std::fs::write(&path, text).unwrap();
    std::fs::create_dir(folder.path().join("errors")).unwrap();
    std::fs::write(folder.path().join("errors/ERR_OURS"), "<p>%U %i</p>").unwrap();
    let imported = import(&path, Wishes::default()).unwrap();
    let page = |name: &str| {
        let path = format!("pages/{name}.en.html");
        let file = imported.files.iter().find(|file| file.path == path);
        file.map(|file| file.text.clone())
    };
    assert_eq!(page("ERR_OURS").as_deref(), Some("<p>{{url}} </p>"));
    assert!(page("ERR_AWAY").unwrap().contains("{{text}}"));
    let config = &imported.files[0].text;
    for wanted in [
        "hosts = [\"h\"]\naction = \"deny\"\npage = \"ERR_OURS\"",
        "hosts = [\"i\"]\naction = \"deny\"\npage = \"ERR_AWAY\"",
        "directory = \"pages\"",
    ] {
        assert!(config.contains(wanted), "{wanted}: {config}");
    }
    assert_eq!(config.matches("page = ").count(), 2, "{config}");
    let said = |line: usize| {
        let of_line = imported.notes.iter().filter(|note| note.place.line == line);
        of_line
            .map(|note| note.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        said(9).contains("changed: the rule's page") && said(9).contains("%i of it have no counterpart"),
        "{}",
        said(9)
    );
    assert!(
        said(10).contains("the file of ERR_AWAY is not here") && !said(10).contains("comes with"),
        "{}",
        said(10)
    );
    assert!(
        said(11).contains("clients are not sent elsewhere"),
        "{}",
        said(11)
    );
    assert!(said(12).contains("never the mere end"), "{}", said(12));
}

#[test]
fn a_page_with_another_status_is_told_of() {
    let text =
        "acl h dstdomain .h.example\nhttp_access deny h\nhttp_access allow all\ndeny_info 404:ERR_GONE h";
    let said = notes(text, 4).join("\n");
    assert!(
        said.contains("the page comes with 403, and not with 404"),
        "{said}"
    );
}

#[test]
fn hours_are_squids() {
    let of = |words: &str| {
        policy(&format!(
            "acl t time {words}\nhttp_access deny t\nhttp_access allow all"
        ))[1..]
            .join("; ")
    };
    assert_eq!(
        of("A S 9:00-10:00"),
        "t deny time = [\"Sat,Sun 09:00-10:01\"]; splice splice"
    );
    assert_eq!(of("M-F"), "t deny time = [\"Mon,Fri\"]; splice splice");
    let said = notes("acl t time M-F 9:00-10:00\nhttp_access deny t", 1).join("\n");
    assert!(said.contains("M-F is Monday and Friday"), "{said}");
    let text = "acl t time 22:00-06:00\nhttp_access deny t";
    assert_eq!(imported(text).unwrap().outcome(), LineOutcome::GuardLost);
}

/// Written by editors of all kinds: the same comes of it.
#[test]
fn marks_ends_of_lines_and_tabs_make_no_difference() {
    let text = "acl a src 10.0.0.1 \\\n   10.0.0.2\nacl d dstdomain \"list\"\nhttp_access allow a d\nhttp_access deny all\n";
    let list = "# ours\n.a.example\n";
    let of = |text: String, list: String| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("squid.conf");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("list"), list).unwrap();
        let imported = import(&path, Wishes::default()).unwrap();
        let here = folder.path().display().to_string();
        let files = imported.files.iter().map(|file| file.text.replace(&here, ""));
        (files.collect::<Vec<_>>(), imported.notes.len())
    };
    let usual = of(text.into(), list.into());
    assert!(usual.0[1].ends_with("\n.a.example\n"), "{usual:?}");
    let with_marks = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(
        of(with_marks(text).replace("\\\r\n", "\\\n"), with_marks(list)),
        usual
    );
    let ended = format!("{}\\", text.trim_end());
    assert_eq!(of(ended, list.trim_end().into()), usual);
    let latin: Vec<u8> = [b"# caf\xe9\n", text.as_bytes()].concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squid.conf");
    std::fs::write(&path, latin).unwrap();
    assert!(import(&path, Wishes::default()).is_ok());
}

/// What is not there, or cannot be read, is said at the line that names it.
#[test]
fn files_that_cannot_be_read_are_told_of_at_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squid.conf");
    let text = "acl a src 10.0.0.1\nacl d dstdomain \"nowhere\"\nacl e dstdomain \"folder\"\nhttp_access deny d\nhttp_access deny e\n";
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::write(&path, text).unwrap();
    let found = import(&path, Wishes::default()).unwrap();
    for line in [2, 3] {
        let mut of_line = found.notes.iter().filter(|note| note.place.line == line);
        assert!(
            of_line.any(|note| note.outcome == LineOutcome::GuardLost),
            "{line}: {:?}",
            found.notes
        );
    }
    // Squid does not start without what is to be included, either.
    for name in ["nowhere", "nowhere/*.conf", "folder"] {
        std::fs::write(&path, format!("acl a src 10.0.0.1\ninclude {name}\n")).unwrap();
        let error = import(&path, Wishes::default()).unwrap_err();
        assert!(error.place.ends_with("squid.conf:2"), "{error}");
    }
}

/// A list of a hundred thousand names, and as many lines, are read in seconds even without optimisation.
#[test]
fn large_files_take_no_time_that_grows_faster_than_they_do() {
    let list: String = (0..100_000).map(|at| format!(".host-{at}.example\n")).collect();
    let lines: String = (0..20_000)
        .map(|at| format!("acl n dstdomain host{at}.example\n"))
        .collect();
    let text = format!(
        "acl l dstdomain \"l\"\n{lines}http_access deny l\nhttp_access deny n\nhttp_access allow all\n"
    );
    let began = std::time::Instant::now();
    let found = with(&text, &[("l", list.as_str())], Wishes::default()).unwrap();
    let took = began.elapsed();
    let of = |name: &str| {
        let path = format!("lists/{name}");
        let file = found.files.iter().find(|file| file.path == path);
        file.map(|file| file.text.lines().count())
    };
    assert_eq!((of("l"), of("n")), (Some(100_001), Some(20_001)));
    assert!(took.as_secs() < 60, "{took:?}");
}

#[test]
fn every_line_gets_a_word() {
    let text = "acl a src 10.0.0.1\nhttp_access allow a\nhttp_port 3128\ncache_mem 1 GB\nnever_heard_of it\ndns_v4_first on\nvisible_hostname x\nlogformat l %ts\n";
    let imported = imported(text).unwrap();
    for line in 1..=8 {
        assert!(
            imported.notes.iter().any(|note| note.place.line == line),
            "line {line}: {:?}",
            imported.notes
        );
    }
    assert!(notes(text, 5)[0].contains("never_heard_of is no directive"));
}

/// The samples, with their folders.
fn samples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/squid");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.clone(),
                std::fs::read_to_string(path.join("squid.conf")).unwrap(),
            )
        })
        .collect();
    found.sort();
    assert!(found.len() >= 7);
    found
}

/// Imports a text as if it stood in a sample's folder, and holds what is always so.
fn hold(reader: &Path, text: &[u8]) {
    std::fs::write(reader, text).unwrap();
    match import(reader, Wishes::default()) {
        Ok(imported) => {
            let config = &imported.files[0].text;
            let parsed = config.parse::<toml::Table>();
            assert!(
                parsed.is_ok(),
                "{}: {parsed:?}\n{config}",
                String::from_utf8_lossy(text)
            );
        }
        Err(error) => {
            let (_, line) = error.place.rsplit_once(':').unwrap();
            assert!(line.parse::<usize>().is_ok(), "{error}");
        }
    }
}

#[test]
fn every_prefix_and_mutation_ends_in_a_configuration_or_a_message_with_its_line() {
    for (folder, text) in samples() {
        let here = tempfile::tempdir().unwrap();
        let lists = here.path().join("lists");
        std::fs::create_dir(&lists).unwrap();
        for list in std::fs::read_dir(folder.join("lists")).into_iter().flatten() {
            let list = list.unwrap();
            std::fs::copy(list.path(), lists.join(list.file_name())).unwrap();
        }
        let file = here.path().join("squid.conf");
        for end in (0..=text.len()).step_by(7) {
            hold(&file, &text.as_bytes()[..end]);
        }
        for (at, byte) in (0..text.len())
            .step_by(11)
            .zip(b"\n\"\\!#'[ \0\x7f-i/%{".iter().cycle())
        {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = *byte;
            hold(&file, &bytes);
        }
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_written_is_read(lines in proptest::collection::vec(
        proptest::sample::select(vec![
            "acl a src 10.0.0.0/8", "acl a src all", "acl b dstdomain .b.example x", "acl b dstdomain", "acl c port 1-9 x 443", "acl d any-of a !b c", "acl d all-of d",
            "acl e url_regex -i ^a:443$ (", "acl f method CONNECT GET", "acl g time MTWHF 8:00-17:00", "acl h proxy_auth REQUIRED", "acl i browser -i '", "acl j req_header X-\"Y z",
            "http_access allow a !b", "http_access deny !d f", "http_access deny CONNECT !c", "http_access allow f e", "http_access deny h", "http_access allow", "http_access",
            "ssl_bump peek a", "ssl_bump splice !b e", "ssl_bump bump d", "ssl_bump terminate f !g", "ssl_bump stare all", "http_port 1 ssl-bump name=\"x", "http_port :", "https_port [::1]:2",
            "request_header_access X deny !d", "request_header_add X \"a\\\"'b\" d", "sslproxy_cert_error allow b", "auth_param basic program /x/basic_ldap_auth -b", "auth_param basic realm \"'\\",
            "http_upgrade_request_protocols x deny d", "acl l rep_mime_type ^video/ '", "http_reply_access deny l !b", "http_reply_access allow d", "deny_info \"E' b", "deny_info E c d", "reply_header_add X \"'\\\"\" all",
            "tcp_outgoing_address ::1 a", "tcp_outgoing_tos 0x20 !d", "proxy_protocol_access allow a !b", "http_port 3 intercept require-proxy-header", "adaptation_service_set s t u", "icap_service t reqmod_precache icap://a/\"'",
            "include nowhere", "if true", "endif", "a \\", "external_acl_type t %LOGIN /x/ext_ldap_group_acl -f (cn=%g", "acl k external t a+b",
        ]), 0..24)) {
        let folder = tempfile::tempdir().unwrap();
        hold(&folder.path().join("squid.conf"), lines.join("\n").as_bytes());
    }
}
