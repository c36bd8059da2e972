//! Configurations as people get them wrong: what is said has the line, the key, what is wrong and what to write instead.

use super::Dir;
use crate::settings::problem::Problem;

/// What is written, where the problem is said to be, and what has to be said of it.
const WRONG: &[(&str, &str, &[&str])] = &[
    // Keys.
    ("[listen]\nproxi = []", "2:1: listen.proxi", &["\"proxy\""]),
    ("[lissten]\nproxy = []", "1:2: lissten", &["\"listen\""]),
    ("[Listen]\nproxy = []", "1:2: Listen", &["\"listen\""]),
    ("port = 3128", "1:1: port", &["unknown key"]),
    ("proxy = []", "1:1: proxy", &["[listen]"]),
    ("include = 'x.toml'", "1:1: include", &["[inspect]"]),
    ("[[rule]]\nname = 'a'", "1:3: rule", &["[policy]"]),
    (
        "[timeouts]\nwebsocket-idle = '60s'",
        "2:1: timeouts.websocket-idle",
        &["\"websocket_idle\""],
    ),
    (
        "[ca]\ncertificate = 'ca.pem'",
        "2:1: ca.certificate",
        &["\"cert\""],
    ),
    (
        "[ca]\nfile = 'ca.pem'",
        "2:1: ca.file",
        &["known here: cert, key"],
    ),
    ("[policy]\npeek = '5s'", "2:1: policy.peek", &["[timeouts]"]),
    (
        "[limits]\nmax_connections = 5",
        "2:1: limits.max_connections",
        &["\"connections\""],
    ),
    // Types and units.
    (
        "[listen]\nproxy = '127.0.0.1:1'",
        "2:9: listen.proxy",
        &["[\"127.0.0.1:1\"]"],
    ),
    (
        "[listen]\nproxy = [3128]",
        "2:10: listen.proxy",
        &["127.0.0.1:3128"],
    ),
    (
        "[policy]\nsplice = [1]",
        "2:11: policy.splice",
        &["in quotes: \"1\""],
    ),
    ("[timeouts]\ndrain = 30", "2:9: timeouts.drain", &["\"30s\""]),
    (
        "[timeouts]\ndrain = '30sec'",
        "2:9: timeouts.drain",
        &["write \"30s\""],
    ),
    (
        "[timeouts]\ndrain = '5 Minutes'",
        "2:9: timeouts.drain",
        &["write \"5m\""],
    ),
    (
        "[timeouts]\ndrain = '-1s'",
        "2:9: timeouts.drain",
        &["does not start with a number"],
    ),
    (
        "[timeouts]\ndrain = '0'",
        "2:9: timeouts.drain",
        &["has no unit", "\"10s\""],
    ),
    (
        "[inspect]\nprocess_bytes = '256M'",
        "2:17: inspect.process_bytes",
        &["write \"256MiB\""],
    ),
    (
        "[inspect]\nprocess_bytes = '256 megabytes'",
        "2:17: inspect.process_bytes",
        &["write \"256MiB\""],
    ),
    (
        "[inspect]\nprocess_bytes = -4",
        "2:17: inspect.process_bytes",
        &["write a size from"],
    ),
    (
        "[limits]\nconnections = '10'",
        "2:15: limits.connections",
        &["without quotes"],
    ),
    (
        "[limits]\nconnections = 1e4",
        "2:15: limits.connections",
        &["whole number"],
    ),
    (
        "[inspect]\nenabled = 'yes'",
        "2:11: inspect.enabled",
        &["true or false, without quotes"],
    ),
    ("log = 'stdout'", "1:7: log", &["[log]"]),
    // Addresses and networks.
    (
        "[listen]\nproxy = ['::1:3128']",
        "2:10: listen.proxy",
        &["write [::1]:3128"],
    ),
    (
        "[listen]\nproxy = ['127.0.0.1:70000']",
        "2:10: listen.proxy",
        &["65535"],
    ),
    (
        "[listen]\nproxy = ['http://0.0.0.0:3128/']",
        "2:10: listen.proxy",
        &["write 0.0.0.0:3128"],
    ),
    (
        "[listen]\nproxy = ['proxy.corp:3128']",
        "2:10: listen.proxy",
        &["the address of proxy.corp"],
    ),
    (
        "[listen]\nproxy = ['127.0.0.1:3128', '127.0.0.1:3128']",
        "2:28: listen.proxy",
        &["twice"],
    ),
    (
        "[listen]\nproxy = ['127.0.0.2:3128', '0.0.0.0:3128']",
        "2:28: listen.proxy",
        &[
            "0.0.0.0:3128 takes the port on every address",
            "leave one of them out",
        ],
    ),
    (
        "[listen]\nproxy = ['127.0.0.1:9128']",
        "",
        &["127.0.0.1:9128 is listened on twice"],
    ),
    (
        "[network]\nallow = ['10.1.2.3/16']",
        "2:10: network.allow",
        &["write 10.1.0.0/16"],
    ),
    (
        "[network]\nallow = ['10.1.0.0/255.255.0.0']",
        "2:10: network.allow",
        &["write 10.1.0.0/16"],
    ),
    (
        "[network]\nallow = ['10.1.0.0/33']",
        "2:10: network.allow",
        &["0 to 32 bits"],
    ),
    (
        "[network]\nallow = ['intranet']",
        "2:10: network.allow",
        &["10.0.0.0/8"],
    ),
    (
        "[[parent]]\nname = 'p'\nurl = 'proxy.corp:3128'",
        "3:7: parent.url",
        &["write http://proxy.corp:3128"],
    ),
    (
        "[[parent]]\nname = 'p'\nurl = 'htp://proxy.corp:3128'",
        "3:7: parent.url",
        &["http://proxy.corp:3128?"],
    ),
    // Words.
    (
        "[[policy.rule]]\nname = 'a'\naction = 'block'",
        "3:10: policy.rule.action",
        &["\"deny\""],
    ),
    (
        "[[policy.rule]]\nname = 'a'\naction = 'Deny'",
        "3:10: policy.rule.action",
        &["\"deny\""],
    ),
    (
        "[[policy.rule]]\nname = 'a'\naction = 'bump'",
        "3:10: policy.rule.action",
        &["\"allow\""],
    ),
    (
        "[[policy.rule]]\nname = 'a'",
        "1:1: policy.rule.action",
        &["is missing", "\"deny\""],
    ),
    (
        "[[policy.rules]]\nname = 'a'",
        "1:10: policy.rules",
        &["\"rule\""],
    ),
    (
        "[policy.rule]\nname = 'a'",
        "1:1: policy.rule",
        &["[[policy.rule]]"],
    ),
    (
        "[[policy.rule]]\nname = 'a'\naction = 'deny'\ntime = ['MTWHF 9:00-17:00']",
        "4:9: policy.rule.time",
        &["Mon-Fri 08:00-18:00"],
    ),
    (
        "[[policy.rule]]\nname = 'a'\naction = 'deny'\npath = '('",
        "4:8: policy.rule.path",
        &["unclosed group"],
    ),
    (
        "[[policy.rule]]\nname = 'a'\naction = 'deny'\nports = ['https']",
        "4:9: policy.rule.ports",
        &["443"],
    ),
    (
        "[policy]\ndefault = 'bump'",
        "2:11: policy.default",
        &["\"allow\""],
    ),
    (
        "[policy]\nsplice = ['*.slack.com']",
        "2:11: policy.splice",
        &["names lists, and no hosts", "[[list]]"],
    ),
    ("[log]\nlevel = 'verbose'", "2:9: log.level", &["\"debug\""]),
    (
        "[[policy.setting]]\nset_headers = ['X-A: b']",
        "2:15: policy.setting.set_headers",
        &["{ NAME = \"VALUE\" }"],
    ),
    // Files.
    (
        "[[list]]\nname = 'a'\nfile = 'nope'",
        "3:8: list.file",
        &["there is no such file"],
    ),
    (
        "[[list]]\nname = 'a'\nfile = '~/list'",
        "3:8: list.file",
        &["~ means nothing here"],
    ),
    ("[list]\nname = 'a'\nfile = 'ca.pem'", "1:1: list", &["[[list]]"]),
    (
        "[log]\naccess = '/nowhere/x.log'",
        "2:10: log.access",
        &["there is no directory /nowhere"],
    ),
    // What is no TOML.
    (
        "[policy]\ndefault = 'allow'\n[policy]\nsplice = []",
        "3:2: policy",
        &["at line 1 already"],
    ),
    (
        "[limits]\nconnections = 1\nconnections = 2",
        "3:1: limits.connections",
        &["at line 2 already"],
    ),
    (
        "[inspect]\nenabled = yes",
        "2:11: inspect.enabled",
        &["write true"],
    ),
    (
        "[inspect]\nenabled = off",
        "2:11: inspect.enabled",
        &["write false"],
    ),
    (
        "[policy]\ndefault = allow # as before",
        "2:11: policy.default",
        &["write \"allow\""],
    ),
    (
        "[policy]\ndefault = \u{201c}allow\u{201d}",
        "2:11: policy.default",
        &["write \" instead"],
    ),
    ("[policy]\ndefault\u{a0}= 'allow'", "2:8", &["U+00A0"]),
    (
        "[ca]\ncert = \"C:\\certs\\ca.pem\"",
        "2:12: ca.cert",
        &["backslash"],
    ),
    ("; old\n[policy]", "1:1", &["a comment begins with #"]),
    ("// old\n[policy]", "1:1", &["a comment begins with #"]),
    ("# a\nlisten:\n  proxy: 127.0.0.1:3128", "2:1", &["YAML"]),
    ("{ \"listen\": { } }", "1:1", &["JSON"]),
    (
        "http_port 3128\nacl localnet src 10.0.0.0/8",
        "1:1",
        &["wsbump import"],
    ),
    ("[limits]\rconnections = 100\r", "1:10", &["line ends"]),
    ("[policy\ndefault = 'allow'", "1:8: policy", &["expected `]`"]),
    (
        "[policy]\ndefault = \"allow\nsplice = []",
        "2:17: policy.default",
        &["no end in this line"],
    ),
    (
        "[listen]\nproxy = ['127.0.0.1:1'\n[log]",
        "3:1: not TOML",
        &["a list above lacks its ]"],
    ),
];

#[test]
fn what_people_write_wrongly_is_answered_by_what_is_right() {
    let dir = Dir::new();
    let mut bad = Vec::new();
    for (text, place, says) in WRONG {
        let problems = dir.problems(text);
        let [problem] = &problems[..] else {
            bad.push(format!("{text:?} has one mistake: {problems:#?}"));
            continue;
        };
        let is_there = problem.starts_with(&format!("w.toml:{place}"));
        if !is_there || !says.iter().all(|words| problem.contains(words)) {
            bad.push(format!(
                "{text:?}\n  wanted {place}: {says:?}\n  said   {problem}"
            ));
        }
        // Nothing that only Rust's programmers read.
        for word in ["Some(", "None", "Err(", "Spanned", "\\\""] {
            if problem.contains(word) {
                bad.push(format!("{text:?} is answered in Rust: {problem}"));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn what_others_write_oddly_is_right() {
    let dir = Dir::new();
    for text in [
        "\u{feff}[limits]\nconnections = 100\n",
        "[limits]\r\nconnections = 100\r\n",
        "[policy]\n\tdefault\t=\t'allow'\n",
        "limits.connections = 100\n",
        "# nothing\n",
    ] {
        assert!(dir.load(text).is_ok(), "{text:?}");
    }
    dir.refuses(
        "[limits]\r\n# \u{fc}\r\nfoo = 1\r\n",
        "w.toml:3:1: limits.foo",
        "unknown key",
    );
    let saved = |bytes: &[u8]| {
        dir.write("w.toml", bytes);
        let problems = crate::settings::load(Some(&dir.path("w.toml")), None).unwrap_err();
        let [Problem { message, .. }] = &problems.list[..] else {
            panic!("{problems}");
        };
        assert!(message.contains("save it as UTF-8"), "{message}");
    };
    saved(b"# gr\xfc\xdfe\n[limits]\n");
    saved(b"\xff\xfe[\0l\0]\0");
}

#[test]
fn a_log_with_the_name_of_a_stream_is_doubted() {
    let dir = Dir::new();
    let settings = dir.load("[log]\naccess = 'stdot'\n").unwrap();
    let doubt = settings.warnings.join("\n");
    assert!(
        doubt.contains("w.toml:2: log.access: \"stdot\"") && doubt.contains("\"stdout\""),
        "{doubt}"
    );
    let settings = dir.load("[log]\naccess = 'std.log'\n").unwrap();
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn a_ca_out_of_its_time_is_said_to_be_and_what_to_do() {
    let dir = Dir::new();
    let make = |folder: &str, from: i32, until: i32| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let cert = params.self_signed(&key).unwrap();
        std::fs::create_dir_all(dir.path(folder)).unwrap();
        dir.write(&format!("{folder}/ca.pem"), cert.pem());
        dir.write(&format!("{folder}/ca.key"), key.serialize_pem());
    };
    make("old", 2001, 2002);
    make("early", 2998, 2999);
    for (folder, says, advice, own) in [
        (
            "old",
            "expired on 2002",
            "name a new one",
            "to have a new CA made, and install that",
        ),
        (
            "early",
            "is not valid before 2998",
            "is the clock",
            "is the clock",
        ),
    ] {
        let text = format!("[ca]\ncert = '{folder}/ca.pem'\nkey = '{folder}/ca.key'\n");
        dir.refuses(&text, "w.toml:2:8: ca.cert", says);
        dir.refuses(&text, "w.toml:2:8: ca.cert", advice);
        let problems = crate::settings::load(None, Some(&dir.path(folder))).unwrap_err();
        let problems = problems.to_string();
        assert!(problems.contains(says) && problems.contains(own), "{problems}");
    }
}

#[test]
fn a_list_of_domains_says_what_its_lines_should_be() {
    let dir = Dir::new();
    let list = "[[list]]\nname = 'l'\nfile = 'l'\nformat = 'domains'\n[policy]\nsplice = ['l']\n";
    for (line, says) in [
        ("https://chat.example/", "write the host alone"),
        ("chat.example/path", "write the host alone"),
        ("*.chat.example", "`.example.com` stands for"),
        ("10.0.0.0/33", "this is no network"),
        ("10.0.0.1/8", "bits behind its prefix"),
        ("two words", "neither a name, an address nor a network"),
    ] {
        dir.write("l", format!("good.example\n{line}\n"));
        dir.refuses(list, "l:2:1: list l", says);
    }
}
