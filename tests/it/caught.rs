//! Connections that the kernel catches on their way through the proxy's machine, in network namespaces of each test's own.

use crate::harness::certs::{Identity, certs, open_up};
use crate::harness::clients::chromium;
use crate::harness::netns::{Net, ORIGIN, OTHER, Place, usual};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{scratch, until};
use serde_json::Value;

const PORT: u16 = 3129;

/// A proxy for caught connections of this kind, on the router between clients and origins.
fn start(net: &Net, kind: &str, config: &str) -> Proxy {
    start_with(net, kind, "", config)
}

fn start_with(net: &Net, kind: &str, own: &str, config: &str) -> Proxy {
    Setup::new()
        .inside(&net.name(Place::Proxy))
        .file("spliced", "other.test\n")
        .file("closed", "wss-primary.slack.com\n")
        .file("allowed", "origin.test\n")
        .config(&format!(
            "listener = [{{ name = 'caught', kind = '{kind}', address = ['[::]:{PORT}'] {own} }}]\n\
             list = [{{ name = 'spliced', file = 'spliced', format = 'domains' }},\n\
             {{ name = 'closed', file = 'closed', format = 'domains' }},\n\
             {{ name = 'allowed', file = 'allowed', format = 'domains' }}]\n\
             network = {{ allow = ['10.9.0.0/16', 'fd09::/16', '127.0.0.0/8'], deny = ['10.9.2.99'] }}\n{config}"
        ))
        .host("origin.test", ORIGIN[0])
        .host("other.test", OTHER[0])
        .start()
}

/// Has the kernel catch what goes to ports 80 and 443.
fn catch(net: &Net, kind: &str) {
    if kind == "redirect" {
        return net.nft(&format!(
            "table inet caught {{ chain c {{ type nat hook prerouting priority dstnat;\n\
             tcp dport {{ 80, 443 }} redirect to :{PORT}\n }}\n }}\n"
        ));
    }
    net.nft(&format!(
        "table inet caught {{ chain c {{ type filter hook prerouting priority mangle;\n\
         meta l4proto tcp socket transparent 1 meta mark set 1 accept\n\
         tcp dport {{ 80, 443 }} tproxy to :{PORT} meta mark set 1 accept\n }}\n }}\n"
    ));
    for family in ["-4", "-6"] {
        net.inside(
            Place::Proxy,
            &["ip", family, "rule", "add", "fwmark", "1", "lookup", "100"],
        );
        net.inside(
            Place::Proxy,
            &[
                "ip", family, "route", "add", "local", "default", "dev", "lo", "table", "100",
            ],
        );
    }
}

struct Caught {
    // In the order in which they have to end.
    proxy: Proxy,
    _origins: Process,
    net: Net,
}

fn begin(kind: &str, identity: &Identity, own: &str, config: &str) -> Caught {
    let net = Net::new();
    let origins = net.origins(identity);
    let proxy = start_with(&net, kind, own, config);
    catch(&net, kind);
    Caught {
        proxy,
        _origins: origins,
        net,
    }
}

impl Caught {
    /// curl for a URL of this name, which the client believes to be at this address; trusting `ca`.
    fn curl(&self, ca: &std::path::Path, ip: &str, url: &str, more: &[&str]) -> (i32, String) {
        let host = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        let port = if url.starts_with("https") { 443 } else { 80 };
        let ip = if ip.contains(':') {
            format!("[{ip}]")
        } else {
            ip.to_owned()
        };
        let resolve = format!("{host}:{port}:{ip}");
        let arguments = [&["--resolve", &resolve, url], more].concat();
        self.net.curl(Place::Client, ca, &arguments)
    }

    fn json(&self, ip: &str, url: &str) -> Value {
        let (code, text) = self.curl(&self.proxy.ca, ip, url, &[]);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url} at {ip}: {code} {text}"))
    }
}

/// Plain and by TLS, over both families: what was dialled is dialled, and the name is the client's.
fn goes_where_its_client_wanted(kind: &str) {
    let it = begin(kind, usual(), "", "");
    for (own, router) in [
        (ORIGIN[0], "10.9.2.1"),
        (OTHER[0], "10.9.2.1"),
        (ORIGIN[1], "fd09:2::1"),
        (OTHER[1], "fd09:2::1"),
    ] {
        for (scheme, port, action) in [("https", 443, "bump"), ("http", 80, "serve")] {
            let seen = it.json(own, &format!("{scheme}://origin.test/x"));
            let seen_own = seen["own"].as_str().unwrap().trim_start_matches("::ffff:");
            let peer = seen["peer"].as_str().unwrap().trim_start_matches("::ffff:");
            assert_eq!(
                (seen_own, peer, seen["host"].as_str()),
                (own, router, Some("origin.test")),
                "{seen}"
            );
            let target = if own.contains(':') {
                format!("[{own}]:{port}")
            } else {
                format!("{own}:{port}")
            };
            let line = it.proxy.log("connection", |line| {
                line["target"] == target && line["requests"] == 1
            });
            assert_eq!(
                (
                    line["listener"].as_str(),
                    line["action"].as_str(),
                    line["origin"].as_str()
                ),
                (Some("caught"), Some(action), Some(&*target)),
                "{line}"
            );
            let client = if own.contains(':') {
                "fd09:1::2"
            } else {
                "10.9.1.2"
            };
            assert_eq!(line["client"], client, "{line}");
            let url = format!("{scheme}://origin.test/x");
            it.proxy.log("request", |line| line["url"] == url);
        }
    }
    // By its address alone, the certificate is held to the address; this one has no such name.
    let (code, text) = it.curl(
        &it.proxy.ca,
        ORIGIN[0],
        "https://10.9.2.2/",
        &["--write-out", "%{http_code}"],
    );
    assert!(text.ends_with("502"), "{code} {text}");
    let seen = it.json(ORIGIN[0], "http://10.9.2.2/");
    assert_eq!(seen["host"], "10.9.2.2", "{seen}");
}

#[test]
fn redirected_connections_go_where_their_clients_wanted() {
    goes_where_its_client_wanted("redirect");
}

#[test]
fn connections_by_tproxy_go_where_their_clients_wanted() {
    goes_where_its_client_wanted("tproxy");
}

/// As if there were no proxy on the way.
#[test]
fn origins_see_the_clients_own_address_by_tproxy_where_that_is_wanted() {
    let setting = "[[policy.setting]]\nas_client = true\n";
    let it = begin("tproxy", usual(), "", setting);
    for (own, client) in [(ORIGIN[0], "10.9.1.2"), (ORIGIN[1], "fd09:1::2")] {
        for scheme in ["https", "http"] {
            let seen = it.json(own, &format!("{scheme}://origin.test/x"));
            let peer = seen["peer"].as_str().unwrap().trim_start_matches("::ffff:");
            assert_eq!(peer, client, "{scheme} {own}: {seen}");
        }
    }
    for line in it.proxy.log_so_far("connection") {
        assert_eq!(line["outcome"], "ok", "{line}");
    }
}

fn websockets_pass(kind: &str) {
    let it = begin(kind, usual(), "", "policy = { splice = ['spliced'] }");
    for (place, names) in [(0, ["10.9.2.2", "10.9.2.3"]), (1, ["fd09:2::2", "fd09:2::3"])] {
        it.net.hosts(
            Place::Client,
            &[("origin.test", names[0]), ("other.test", names[1])],
        );
        for (url, trusted, action) in [
            ("wss://origin.test/ws", &it.proxy.ca, "bump"),
            ("ws://origin.test/ws", &it.proxy.ca, "serve"),
            ("wss://other.test/ws", &certs().root, "splice"),
        ] {
            let mut client = it.net.script(Place::Client, "client_websockets.py");
            client
                .arg("--url")
                .arg(url)
                .arg("--ca")
                .arg(trusted)
                .args(["--mode", "open"]);
            let done = Process::start("client_websockets.py", client).finish();
            assert!(
                done.status.success(),
                "{url} {place}: {:?} {:?}",
                done.out,
                done.err
            );
            it.proxy.log("connection", |line| {
                line["action"] == action && line["listener"] == "caught"
            });
        }
    }
    until("four lines of WebSockets", || {
        (it.proxy.log_so_far("websocket").len() == 4).then_some(())
    });
}

#[test]
fn redirected_websockets_are_bumped_and_spliced() {
    websockets_pass("redirect");
}

#[test]
fn websockets_by_tproxy_are_bumped_and_spliced() {
    websockets_pass("tproxy");
}

/// A folder with a repository that git fetches as files, by HTTP alone.
fn repository() -> tempfile::TempDir {
    let folder = scratch();
    open_up(folder.path());
    let git = |words: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(folder.path()).env("HOME", folder.path());
        command.args(["-c", "user.name=Ada", "-c", "user.email=ada@corp.example"]);
        command.args(words);
        let done = Process::start("git", command).finish();
        assert!(done.status.success(), "{words:?}: {:?}", done.err);
    };
    git(&["init", "--quiet", "work"]);
    std::fs::write(folder.path().join("work/hello"), "hello").unwrap();
    git(&["-C", "work", "add", "hello"]);
    git(&["-C", "work", "commit", "--quiet", "--message", "hello"]);
    git(&["clone", "--quiet", "--bare", "work", "repo.git"]);
    git(&["-C", "repo.git", "update-server-info"]);
    folder
}

fn browsers_and_git_pass(kind: &str) {
    let net = Net::new();
    let files = repository();
    let _origins = net.origins_with(usual(), files.path());
    let proxy = start(&net, kind, "");
    catch(&net, kind);
    for (at, family) in [(ORIGIN[0], "v4"), (ORIGIN[1], "v6")] {
        net.hosts(Place::Client, &[("origin.test", at)]);
        for scheme in ["https", "http"] {
            let home = scratch();
            let found = chromium(home.path(), &proxy.ca)
                .inside(&net.name(Place::Client))
                .with("url", format!("{scheme}://origin.test/page"))
                .run();
            assert_eq!(
                (&found["status"], &found["heard"]),
                (&200.into(), &"hello".into()),
                "{scheme} {family}: {found}"
            );
            let url = format!("{scheme}://origin.test/files/repo.git");
            let copy = home.path().join("copy");
            let mut git = net.command(Place::Client, "git");
            git.env("HOME", home.path()).env("GIT_SSL_CAINFO", &proxy.ca);
            git.args(["clone", "--quiet", &url]).arg(&copy);
            let done = Process::start("git", git).finish();
            assert!(done.status.success(), "{url} {family}: {:?}", done.err);
            assert_eq!(std::fs::read_to_string(copy.join("hello")).unwrap(), "hello");
        }
    }
    let lines = until("four WebSockets in the log", || {
        let lines = proxy.log_so_far("websocket");
        (lines.len() == 4).then_some(lines)
    });
    assert!(
        lines
            .iter()
            .all(|line| line["url"].as_str().unwrap().ends_with("://origin.test/ws")),
        "{lines:?}"
    );
    proxy.log("request", |line| {
        line["url"] == "https://origin.test/files/repo.git/info/refs"
    });
}

#[test]
fn browsers_and_git_pass_by_redirect() {
    browsers_and_git_pass("redirect");
}

#[test]
fn browsers_and_git_pass_by_tproxy() {
    browsers_and_git_pass("tproxy");
}

#[test]
fn the_policy_goes_by_address_then_sni_then_host() {
    let it = begin("redirect", usual(), "", "policy = { deny = ['closed'] }");
    // A browser that begins with TLS can be told nothing; one in the open can.
    let (code, text) = it.curl(&it.proxy.ca, ORIGIN[0], "https://wss-primary.slack.com/", &[]);
    assert_ne!(code, 0, "{text}");
    let line = it
        .proxy
        .log("connection", |line| line["sni"] == "wss-primary.slack.com");
    assert_eq!(
        (&line["list"], &line["action"]),
        (&"closed".into(), &"deny".into()),
        "{line}"
    );
    let (_, text) = it.curl(
        &it.proxy.ca,
        ORIGIN[0],
        "http://wss-primary.slack.com/",
        &["--include"],
    );
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
    // An address that may not be dialled.
    let (_, text) = it.curl(&it.proxy.ca, "10.9.2.99", "http://origin.test/", &["--include"]);
    assert!(
        text.starts_with("HTTP/1.1 403") && text.contains("destination_ip_prohibited"),
        "{text}"
    );
    let (code, _) = it.curl(&it.proxy.ca, "10.9.2.99", "https://origin.test/", &[]);
    assert_ne!(code, 0);
    let line = it.proxy.log("connection", |line| {
        line["outcome"] == "destination_ip_prohibited" && line["sni"] == "origin.test"
    });
    assert_eq!(line["target"], "10.9.2.99:443", "{line}");
}

#[test]
fn a_refusal_is_a_page_inside_where_that_is_wanted() {
    let it = begin(
        "redirect",
        usual(),
        "",
        "policy = { deny = ['closed'] }\npages = { for_connect = true }",
    );
    for (ip, host, status) in [
        (ORIGIN[0], "wss-primary.slack.com", "403"),
        ("10.9.2.99", "origin.test", "403"),
        ("10.9.2.98", "origin.test", "502"),
    ] {
        let (code, text) = it.curl(
            &it.proxy.ca,
            ip,
            &format!("https://{host}/"),
            &["--write-out", "%{http_code}", "--output", "/dev/null"],
        );
        let told = text.trim_end().to_owned();
        assert!(
            told.ends_with(status) || status == "502" && told.ends_with("504"),
            "{host} at {ip}: {code} {text}"
        );
    }
}

#[test]
fn a_name_that_no_certificate_vouches_for_opens_nothing() {
    // The origin is somebody else's, and the client calls it by a name that is let be.
    let it = begin(
        "redirect",
        &certs().untrusted,
        "",
        "policy = { splice = ['spliced'] }",
    );
    let (_, text) = it.curl(&it.proxy.ca, ORIGIN[0], "https://other.test/", &["--insecure"]);
    assert!(!text.contains("\"own\""), "the origin's own answer: {text}");
    let (_, text) = it.curl(
        &it.proxy.ca,
        ORIGIN[0],
        "https://other.test/",
        &["--write-out", "%{http_code}"],
    );
    assert!(text.ends_with("502"), "{text}");
    let line = it
        .proxy
        .log("connection", |line| line["outcome"] == "tls_certificate_error");
    assert_eq!(line["action"], "bump", "{line}");
    assert!(
        it.proxy
            .log_so_far("connection")
            .iter()
            .all(|line| line["action"] != "splice")
    );
}

/// What openssl's client gets of the origin's address, with this name in its SNI, or none.
fn with_sni(it: &Caught, sni: &[&str]) -> String {
    let script = "printf 'GET / HTTP/1.1\\r\\nHost: 10.9.2.2\\r\\nConnection: close\\r\\n\\r\\n' | \
         timeout 20 openssl s_client -quiet -connect 10.9.2.2:443 \"$@\" 2>/dev/null || true";
    let words = [&["sh", "-c", script, "sh"][..], sni].concat();
    it.net.inside(Place::Client, &words)
}

/// A certificate of a root that is trusted has to belong with what was dialled, and with the name that a rule goes by.
#[test]
fn a_certificate_belongs_with_the_address_or_with_the_name_that_a_rule_goes_by() {
    let only = "[[policy.rule]]\nname = 'only'\nhosts = ['allowed']\naction = 'allow'\n";
    let by_name = format!("[policy]\ndefault = 'deny'\nsplice = ['spliced']\ndeny = ['closed']\n{only}");
    let status = |it: &Caught, host: &str| {
        let url = format!("https://{host}/");
        let (code, text) = it.curl(&it.proxy.ca, ORIGIN[0], &url, &["--include"]);
        assert_eq!(text.contains("\"own\""), text.contains("HTTP/1.1 200"), "{text}");
        match text.split_whitespace().nth(1) {
            Some(status) if code == 0 => status.to_owned(),
            _ => format!("curl {code}"),
        }
    };
    // Somebody else's address, which has a good certificate of its own.
    let it = begin("redirect", &certs().of(&["slack.com"]), "", &by_name);
    assert_eq!(status(&it, "origin.test"), "502", "an allowed name");
    it.proxy.log("connection", |line| {
        line["sni"] == "origin.test" && line["outcome"] == "tls_certificate_error"
    });
    for name in ["other.test", "slack.com"] {
        let said = status(&it, name);
        assert!(said.starts_with("curl "), "{name}: {said}");
        let line = it.proxy.log("connection", |line| line["sni"] == name);
        assert_eq!(line["action"], "deny", "{name}: {line}");
    }
    drop(it);

    // A denied server that is called by a name that is not.
    let denied = "[policy]\ndeny = ['closed']\n";
    let it = begin("redirect", &certs().of(&["wss-primary.slack.com"]), "", denied);
    assert_eq!(status(&it, "origin.test"), "502");
    let said = status(&it, "wss-primary.slack.com");
    assert!(said.starts_with("curl "), "{said}");
    drop(it);

    // The name's own.
    let it = begin("redirect", &certs().of(&["origin.test"]), "", &by_name);
    assert_eq!(status(&it, "origin.test"), "200");
    // Nobody names it: no rule by name holds, whatever its certificate says.
    assert_eq!(with_sni(&it, &["-noservername"]), "");
    drop(it);

    // Without a name, and with an address in the place of one, it is the address that was dialled.
    for (names, wanted) in [
        (["10.9.2.2"], "200"),
        (["10.9.2.3"], "502"),
        (["origin.test"], "502"),
    ] {
        let it = begin("redirect", &certs().of(&names), "", "");
        for sni in [
            &["-noservername"][..],
            &["-servername", "10.9.2.2"],
            &["-servername", "10.9.2.3"],
        ] {
            let said = with_sni(&it, sni);
            let status = said.split_whitespace().nth(1);
            assert_eq!(status, Some(wanted), "{names:?} {sni:?}: {said}");
        }
        let line = it.proxy.log("connection", |_| true);
        assert!(
            line["sni"].is_null() && line["target"] == "10.9.2.2:443",
            "{line}"
        );
    }
}

#[test]
fn a_name_is_resolved_where_that_is_wanted() {
    let only =
        "[policy]\ndefault = 'deny'\n[[policy.rule]]\nname = 'only'\nhosts = ['allowed']\naction = 'allow'\n";
    let it = begin("redirect", usual(), ", names = 'resolve'", only);
    let seen = it.json(ORIGIN[0], "https://origin.test/");
    assert_eq!(seen["host"], "origin.test");
    // The certificate vouches for it, and the name is somewhere else.
    let (code, text) = it.curl(&it.proxy.ca, OTHER[0], "https://origin.test/", &[]);
    assert_ne!(code, 0, "{text}");
    let line = it.proxy.log("connection", |line| line["action"] == "deny");
    assert_eq!(line["target"], "10.9.2.3:443", "{line}");
    drop(it);
    let it = begin("redirect", usual(), ", names = 'verify'", only);
    let seen = it.json(OTHER[0], "https://origin.test/");
    assert_eq!(
        seen["own"].as_str().unwrap().trim_start_matches("::ffff:"),
        OTHER[0],
        "{seen}"
    );
    // In the open there is no certificate.
    let (_, text) = it.curl(&it.proxy.ca, OTHER[0], "http://origin.test/", &["--include"]);
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
    assert_eq!(it.json(ORIGIN[0], "http://origin.test/")["host"], "origin.test");
    // And a certificate that is let off vouches for nothing.
    drop(it);
    let it = begin(
        "redirect",
        &certs().untrusted,
        "",
        "[policy]\ndefault = 'deny'\nallow_invalid_certificate = ['allowed']\n\
         [[policy.rule]]\nname = 'only'\nhosts = ['allowed']\naction = 'allow'\n",
    );
    let (_, text) = it.curl(
        &it.proxy.ca,
        OTHER[0],
        "https://origin.test/",
        &["--write-out", "%{http_code}"],
    );
    assert!(text.ends_with("403"), "{text}");
}

/// What is said on a connection of its own, raw, and what comes back.
fn raw(net: &Net, to: &str, port: u16, text: &str) -> String {
    let script = "import socket, sys\n\
         s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)\n\
         s.sendall(sys.argv[3].encode().decode('unicode_escape').encode())\n\
         s.settimeout(20)\n\
         try:\n\
         \x20 while True:\n\
         \x20   b = s.recv(65536)\n\
         \x20   if not b: break\n\
         \x20   sys.stdout.write(b.decode(errors='replace'))\n\
         except OSError: pass\n";
    net.inside(
        Place::Client,
        &["python3", "-c", script, to, &port.to_string(), text],
    )
}

#[test]
fn whatever_host_says_the_original_address_answers_or_nobody() {
    let it = begin("redirect", usual(), "", "timeouts = { http_idle = '1s' }");
    let get = |target: &str, host: &str| format!("GET {target} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n");
    let two = get("/", "origin.test") + &get("/", "other.test");
    let said = raw(&it.net, ORIGIN[0], 80, &two);
    assert!(
        said.contains("HTTP/1.1 200") && said.contains("HTTP/1.1 421"),
        "{said}"
    );
    for (target, host) in [
        ("/", "origin.test:8080"),
        ("http://other.test/", "origin.test"),
        ("/", "10.9.2.3"),
    ] {
        let said = raw(&it.net, ORIGIN[0], 80, &get(target, host));
        assert!(said.starts_with("HTTP/1.1 421"), "{target} {host}: {said}");
    }
    let said = raw(&it.net, ORIGIN[0], 80, &get("http://origin.test/", "origin.test"));
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let said = raw(
        &it.net,
        ORIGIN[0],
        80,
        "CONNECT other.test:443 HTTP/1.1\\r\\nHost: other.test:443\\r\\n\\r\\n",
    );
    assert_eq!(said, "");
    let said = raw(&it.net, ORIGIN[0], 80, "GET / HTTP/1.0\\r\\n\\r\\n");
    assert!(said.starts_with("HTTP/1.0 200"), "{said}");
}

#[test]
fn a_connection_that_was_meant_for_the_proxy_goes_nowhere() {
    for kind in ["redirect", "tproxy"] {
        let net = Net::new();
        let proxy = start(&net, kind, "");
        // Nothing has caught it, and perhaps nobody tracks it.
        let said = raw(
            &net,
            "10.9.1.1",
            PORT,
            "GET / HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n",
        );
        assert!(said.is_empty() || said.contains("proxy_loop_detected"), "{said}");
        let outcome = |line: &Value| line["outcome"].as_str().unwrap().to_owned();
        let line = proxy.log("connection", |_| true);
        assert!(
            ["no_original_destination", "proxy_loop_detected"].contains(&&*outcome(&line)),
            "{line}"
        );
        catch(&net, kind);
        for (count, to) in [(2, "10.9.1.1"), (3, "10.9.2.1"), (4, "fd09:1::1")] {
            let said = raw(
                &net,
                to,
                PORT,
                "GET / HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n",
            );
            assert!(said.is_empty() || said.contains("proxy_loop_detected"), "{said}");
            until("its line", || {
                (proxy.log_so_far("connection").len() == count).then_some(())
            });
            let lines = proxy.log_so_far("connection");
            assert_eq!(
                outcome(lines.last().unwrap()),
                "proxy_loop_detected",
                "{kind} {to}: {lines:?}"
            );
        }
    }
}

/// Nobody tracks what came to the listener's own port; and what TPROXY brings needs no tracking.
#[test]
fn without_a_record_of_the_kernels_a_redirected_connection_ends_and_tproxy_goes_on() {
    let net = Net::new();
    let proxy = start(&net, "redirect", "");
    let untracked = |port: &str| {
        net.nft(&format!(
            "table inet untracked {{ chain c {{ type filter hook prerouting priority raw; tcp dport {port} notrack\n }}\n\
             chain o {{ type filter hook output priority raw; tcp sport {port} notrack\n }}\n }}\n"
        ));
    };
    untracked(&PORT.to_string());
    let said = raw(
        &net,
        "10.9.1.1",
        PORT,
        "GET / HTTP/1.1\\r\\nHost: origin.test\\r\\n\\r\\n",
    );
    assert_eq!(said, "");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "no_original_destination", "{line}");
    assert!(line["target"].is_null(), "{line}");
    drop((proxy, net));
    let it = begin("tproxy", usual(), "", "");
    it.net.nft(
        "table inet untracked { chain c { type filter hook prerouting priority raw; tcp dport { 80, 443 } notrack\n }\n\
         chain o { type filter hook output priority raw; tcp sport { 80, 443 } notrack\n }\n }\n",
    );
    assert_eq!(it.json(ORIGIN[0], "https://origin.test/")["host"], "origin.test");
}

/// What docs/ways-in.md says of a proxy that is down.
#[test]
fn without_a_proxy_redirected_connections_are_refused_and_tproxy_lets_go() {
    for kind in ["redirect", "tproxy"] {
        let net = Net::new();
        let _origins = net.origins(usual());
        catch(&net, kind);
        let named = format!("origin.test:443:{}", ORIGIN[0]);
        let arguments = ["--resolve", &named, "https://origin.test/"];
        let (code, text) = net.curl(Place::Client, &certs().root, &arguments);
        match kind {
            "redirect" => assert_eq!(code, 7, "{text}"),
            _ => assert!(code == 0 && text.contains("\"own\""), "{code} {text}"),
        }
        // Unless it is dropped.
        net.nft("table inet closed { chain c { type filter hook forward priority filter; tcp dport { 80, 443 } reject with tcp reset\n }\n }\n");
        let (code, text) = net.curl(Place::Client, &certs().root, &arguments);
        assert_ne!(code, 0, "{text}");
    }
}

#[test]
fn a_tproxy_listener_without_its_rights_says_what_it_lacks() {
    let folder = crate::harness::scratch();
    let file = folder.path().join("wsbump.toml");
    let config =
        "[listen]\nadmin = []\n[[listener]]\nname = 'caught'\nkind = 'tproxy'\naddress = ['127.0.0.1:0']\n";
    std::fs::write(&file, config).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command
        .args([
            "--bounding-set=-net_admin,-net_raw",
            env!("CARGO_BIN_EXE_wsbump"),
            "run",
            "--config",
        ])
        .arg(&file)
        .arg("--data-dir")
        .arg(folder.path().join("data"));
    let done = Process::start("wsbump", command).finish();
    let said = done.err.join("\n");
    assert!(
        !done.status.success() && said.contains("needs CAP_NET_ADMIN or CAP_NET_RAW"),
        "{said}"
    );
}

/// A browser that takes HTTP/3 where it is told of it would pass by.
#[test]
fn clients_are_told_of_no_other_way_to_the_origin() {
    let it = begin("redirect", usual(), "", "");
    for scheme in ["https", "http"] {
        let (_, text) = it.curl(
            &it.proxy.ca,
            ORIGIN[0],
            &format!("{scheme}://origin.test/"),
            &["--include"],
        );
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(!text.to_lowercase().contains("alt-svc"), "{text}");
    }
    // Whoever is told that there is a proxy sees what the origin has said.
    let said = it
        .net
        .curl(
            Place::Proxy,
            &certs().root,
            &["--include", "--insecure", "https://10.9.2.2/"],
        )
        .1;
    assert!(said.to_lowercase().contains("alt-svc: h3"), "{said}");
}

#[test]
fn a_proxy_that_catches_itself_notices() {
    let it = begin("redirect", usual(), "", "");
    // Somebody forgot to exempt the proxy.
    it.net.nft(&format!(
        "table inet own {{ chain c {{ type nat hook output priority -100;\n\
         tcp dport {{ 80, 443 }} redirect to :{PORT}\n }}\n }}\n"
    ));
    let (_, text) = it.curl(&it.proxy.ca, ORIGIN[0], "http://origin.test/", &["--include"]);
    assert!(!text.contains("HTTP/1.1 200"), "{text}");
    let line = it
        .proxy
        .log("connection", |line| line["outcome"] == "proxy_loop_detected");
    assert!(
        line["detail"]
            .as_str()
            .unwrap()
            .contains("the proxy's own connection was caught"),
        "{line}"
    );
    // The client's own line comes when it has gone; nothing has multiplied.
    it.proxy.log("connection", |line| line["client"] == "10.9.1.2");
    let lines = it.proxy.log_so_far("connection");
    assert!(lines.len() <= 3, "{lines:?}");
}

#[test]
fn the_rules_that_are_printed_catch_and_what_is_missing_is_said() {
    for kind in ["redirect", "tproxy"] {
        let net = Net::new();
        let _origins = net.origins(usual());
        let proxy = start(&net, kind, "");
        let ask = |more: &[&str]| {
            let mut command = net.command(Place::Proxy, env!("CARGO_BIN_EXE_wsbump"));
            command
                .arg("transparent-rules")
                .arg("--config")
                .arg(proxy.folder().join("wsbump.toml"))
                .arg("--data-dir")
                .arg(proxy.folder().join("data"))
                .args(more);
            let done = Process::start("wsbump transparent-rules", command).finish();
            (done.status.code(), done.out.join("\n"))
        };
        let (code, said) = ask(&["--check"]);
        assert_eq!(code, Some(1), "{said}");
        let rule = format!("no {kind} rule leads to port {PORT}");
        assert!(said.contains(&rule), "{said}");
        assert_eq!(said.contains("rule add fwmark"), kind == "tproxy", "{said}");
        let (code, rules) = ask(&[]);
        assert_eq!(code, Some(0), "{rules}");
        net.nft(&format!("{rules}\n"));
        for line in rules.lines().filter_map(|line| line.strip_prefix("#   ")) {
            net.inside(Place::Proxy, &line.split(' ').collect::<Vec<_>>());
        }
        assert_eq!(ask(&["--check"]), (Some(0), "nothing is missing".to_owned()));
        if kind == "tproxy" {
            let mark = |value: &str| {
                let line = format!("echo {value} >/proc/sys/net/ipv4/conf/all/src_valid_mark");
                net.inside(Place::Proxy, &["sh", "-c", &line]);
            };
            mark("1");
            let (code, said) = ask(&["--check"]);
            assert!(code == Some(1) && said.contains("src_valid_mark"), "{said}");
            mark("0");
        }
        // QUIC is refused at once, and not left without an answer.
        let quic = "import socket\n\
             s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             s.settimeout(10)\n\
             s.connect(('10.9.2.2', 443))\n\
             s.send(b'hello')\n\
             try:\n\
             \x20 s.recv(1)\n\
             except ConnectionRefusedError:\n\
             \x20 print('refused')\n";
        assert_eq!(
            net.inside(Place::Client, &["python3", "-c", quic]).trim(),
            "refused"
        );
        for (family, at) in [("-4", ORIGIN[0]), ("-6", "[fd09:2::2]")] {
            let named = format!("origin.test:443:{at}");
            let arguments = [family, "--resolve", &named, "https://origin.test/"];
            let (code, text) = net.curl(Place::Client, &proxy.ca, &arguments);
            assert_eq!(code, 0, "{kind} {family}: {text}");
        }
    }
}

/// This machine's own connections, but for those of the proxy's user.
#[test]
fn the_rules_for_this_machines_own_connections_leave_out_the_proxys_user() {
    let net = Net::new();
    let _origins = net.origins(usual());
    let proxy = start(&net, "redirect", "");
    let mut command = net.command(Place::Proxy, env!("CARGO_BIN_EXE_wsbump"));
    command.args(["transparent-rules", "--own", "--user", "root", "--config"]);
    command
        .arg(proxy.folder().join("wsbump.toml"))
        .arg("--data-dir")
        .arg(proxy.folder().join("data"));
    let printed = Process::start("wsbump transparent-rules", command).finish();
    assert!(printed.status.success(), "{:?}", printed.err);
    net.nft(&format!("{}\n", printed.out.join("\n")));
    let named = format!("origin.test:443:{}", ORIGIN[0]);
    let arguments = ["--resolve", &*named, "https://origin.test/"];
    // Of the proxy's user it goes straight on.
    let (code, text) = net.curl(Place::Proxy, &certs().root, &arguments);
    assert!(code == 0 && text.contains("\"own\""), "{code} {text}");
    let mut other = net.command(Place::Proxy, "setpriv");
    other.args([
        "--reuid=65534",
        "--clear-groups",
        "curl",
        "--silent",
        "--insecure",
        "--max-time",
        "20",
    ]);
    other.args(arguments);
    let done = Process::start("curl", other).finish();
    assert!(
        done.out.join("").contains("\"own\""),
        "{:?} {:?}",
        done.out,
        done.err
    );
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(line["outcome"], "ok", "{line}");
    assert_eq!(proxy.log_so_far("connection").len(), 1);
}

/// The processor's time that a process has taken, in nanoseconds.
fn ran(proxy: &Proxy) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.process().pid())).unwrap();
    let each = tasks.flatten().filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    each.sum()
}

/// What the client did not have to ask for is not asked for in its place.
#[test]
fn a_caught_connection_costs_no_more_than_a_connect() {
    const COUNT: u64 = 200;
    let net = Net::new();
    let _origins = net.origins(usual());
    let proxy = start_with(
        &net,
        "redirect",
        "}, { name = 'asked', kind = 'http', address = ['10.9.1.1:3128']",
        "",
    );
    catch(&net, "redirect");
    let script = "import socket, sys\n\
         ask = sys.argv[1] == 'asked'\n\
         for _ in range(int(sys.argv[2])):\n\
         \x20 s = socket.create_connection(('10.9.1.1', 3128) if ask else ('10.9.2.2', 80), 20)\n\
         \x20 if ask:\n\
         \x20   s.sendall(b'CONNECT 10.9.2.2:80 HTTP/1.1\\r\\nHost: 10.9.2.2:80\\r\\n\\r\\n')\n\
         \x20   assert s.recv(4096).startswith(b'HTTP/1.1 200')\n\
         \x20 s.sendall(b'GET / HTTP/1.1\\r\\nHost: 10.9.2.2\\r\\nConnection: close\\r\\n\\r\\n')\n\
         \x20 said = b''\n\
         \x20 while b := s.recv(65536): said += b\n\
         \x20 assert said.startswith(b'HTTP/1.1 200'), said\n\
         \x20 s.close()\n";
    let mut took = [u64::MAX; 2];
    let mut done = 0;
    // The best of each is the one that others of this machine have disturbed least.
    for _ in 0..3 {
        for (at, how) in ["asked", "caught"].into_iter().enumerate() {
            let before = ran(&proxy);
            net.inside(Place::Client, &["python3", "-c", script, how, &COUNT.to_string()]);
            done += COUNT;
            until("all lines", || {
                (proxy.log_so_far("connection").len() as u64 == done).then_some(())
            });
            took[at] = took[at].min((ran(&proxy) - before) / COUNT);
        }
    }
    let [asked, caught] = took;
    println!("{asked} ns for a CONNECT with its request, {caught} ns for a caught connection with one");
    assert!(
        caught < asked + asked / 4,
        "{caught} ns, and {asked} ns for a CONNECT"
    );
}
