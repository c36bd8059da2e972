//! Which sessions a rule is about, whatever a client calls the host and however it writes the path.

use crate::harness::clients::{Curled, curl};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial, frame, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Bridge, End, Road, Version, over_both};

over_both!(
    a_guarded_host_is_guarded_by_any_of_its_names,
    a_guarded_host_is_guarded_on_websockets,
    a_path_is_guarded_however_it_is_written,
);

const LIST: &str = "[[list]]\nname = 'listed'\nfile = 'listed'\nformat = 'domains'\n";

fn proxy(rules: &str) -> Proxy {
    Setup::new()
        .file("listed", "other.test\n")
        .config(&format!("{LIST}{rules}"))
        .start()
}

/// Asks for `path` in a CONNECT to the first name, in TLS with the second, of the third.
fn ask(version: Version, proxy: &Proxy, [connect, sni, host]: [&str; 3], path: &str) -> Curled {
    let port = version.echo().port;
    let to = format!("{sni}:{port}:{connect}:{port}");
    let header = format!("Host: {host}:{port}");
    let url = format!("https://{sni}:{port}{path}");
    let arguments = [
        version.curl(),
        "--path-as-is",
        "--connect-to",
        &to,
        "-H",
        &header,
        &url,
    ];
    curl(Some(&proxy.url()), &proxy.ca, &arguments)
}

/// Whether the rule has answered, and not the origin.
fn is_refused(got: &Curled) -> bool {
    let is_refused = got.status == 403;
    assert_eq!(got.text.contains("\"guard\""), is_refused, "{got:?}");
    assert_eq!(got.code, 0, "{got:?}");
    is_refused
}

const FREE: &str = "origin.test";
const LISTED: &str = "other.test";
const ADDRESS: &str = "127.0.0.1";

/// What a client calls the host, and whether one of these names, and whether all of them, are in the list.
const NAMES: [([&str; 3], bool, bool); 8] = [
    ([FREE, FREE, FREE], false, false),
    ([LISTED, LISTED, LISTED], true, true),
    ([FREE, LISTED, LISTED], true, false),
    ([FREE, LISTED, FREE], true, false),
    ([LISTED, FREE, FREE], true, false),
    ([LISTED, FREE, LISTED], true, false),
    ([ADDRESS, LISTED, LISTED], true, false),
    ([ADDRESS, FREE, FREE], false, false),
];

fn a_guarded_host_is_guarded_by_any_of_its_names(version: Version) {
    let rule = |what: &str| {
        format!("[[inspect.rule]]\nname = 'guard'\nmode = 'enforce'\naction = 'drop'\nin = ['head']\n{what}")
    };
    let let_off = "[[inspect.rule]]\nname = 'off'\nmode = 'enforce'\naction = 'allow'\nin = ['head']\nhosts = ['listed']\n";
    let guarded = proxy(&rule("hosts = ['listed']\n"));
    let but = proxy(&rule("except_hosts = ['listed']\n"));
    let allowed = proxy(&format!("{let_off}{}", rule("")));
    for (names, any, all) in NAMES {
        let got = [&guarded, &but, &allowed].map(|proxy| is_refused(&ask(version, proxy, names, "/")));
        assert_eq!(got, [any, !all, !all], "{names:?}");
    }
    // A Host that is neither would reach what was never judged.
    let lied = ask(version, &guarded, [FREE, FREE, LISTED], "/");
    assert_eq!(lied.status, 421, "{lied:?}");
}

/// A client's end of a connection that asks for the first name, in TLS with the second.
fn client(road: &Road, proxy: &Proxy, connect: &str, sni: &str) -> (End, Option<Bridge>) {
    let target = road.target();
    let (_, port) = target.rsplit_once(':').unwrap();
    let (connect, sni) = (format!("{connect}:{port}"), format!("{sni}:{port}"));
    match road {
        Road::Http1(_) => {
            let secure = tls_over(tunnel(proxy, &connect), &sni, &proxy.ca);
            (Wire::new(Box::new(secure.stream)), None)
        }
        Road::Http2(_) | Road::Front(_) => {
            let bridge = Bridge::of_client(proxy, &format!("https://{sni}"), &["connect", &connect]);
            (
                Wire::new(Box::new(dial(&format!("127.0.0.1:{}", bridge.port)))),
                Some(bridge),
            )
        }
    }
}

fn a_guarded_host_is_guarded_on_websockets(version: Version) {
    let guarded = proxy(
        "[[inspect.rule]]\nname = 'guard'\nmode = 'enforce'\naction = 'redact'\nwith = '*'\nhosts = ['listed']\n\
         keywords = ['kestrel']\n",
    );
    let mask = Some([1, 2, 3, 4]);
    for ([connect, sni, host], any, _) in NAMES {
        let road = Road::start(version);
        let (mut client, _bridge) = client(&road, &guarded, connect, sni);
        let target = road.target();
        let (_, port) = target.rsplit_once(':').unwrap();
        client.ask_websocket(&format!("{host}:{port}"), "/", "");
        let mut origin = road.accept();
        origin.accept_websocket("");
        let head = client.head().expect("an answer");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client.send(frame(0x81, mask, b"about kestrel"));
        let got = origin.frame().expect("a message").payload;
        let wanted = if any { "about *" } else { "about kestrel" };
        assert_eq!(String::from_utf8_lossy(&got), wanted, "{connect} {sni} {host}");
    }
}

fn a_path_is_guarded_however_it_is_written(version: Version) {
    let rules = "[[inspect.rule]]\nname = 'off'\nmode = 'enforce'\naction = 'allow'\nin = ['head']\npath = '^/public/'\n\
                 [[inspect.rule]]\nname = 'guard'\nmode = 'enforce'\naction = 'drop'\nin = ['head']\npath = '^/(public|admin)/'\n";
    let proxy = proxy(rules);
    for (path, refused) in [
        ("/free/", false),
        ("/admin/x", true),
        ("/%61dmin/x", true),
        ("/%61d%6Din/x", true),
        ("//admin/x", true),
        ("/free/../admin/x", true),
        ("/free/%2e%2E/admin/x", true),
        ("/./admin//x", true),
        ("/free//../admin/x", true),
        ("/public/x", false),
        ("/public/../admin/x", true),
        ("/public/%2e%2e/admin/x", true),
        ("/free/?next=/admin/x", false),
    ] {
        let got = ask(version, &proxy, [FREE; 3], path);
        assert_eq!(is_refused(&got), refused, "{path}: {got:?}");
    }
}

#[test]
fn a_rule_is_about_a_group_of_those_who_have_said_who_they_are() {
    use base64::Engine as _;
    let recorder = Recorder::start();
    let users = crate::harness::root().join("tests/oracle/lists/users");
    let proxy = Setup::new()
        .file("users", &std::fs::read_to_string(users).unwrap())
        .file("groups", "guests: max\n")
        .config(
            "[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n\
             [[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n\
             [[inspect.rule]]\nname = 'guard'\nmode = 'enforce'\naction = 'close'\nin = ['body']\ngroups = ['Guests']\n\
             keywords = ['confidential']",
        )
        .start();
    let target = recorder.target();
    for (user, status) in [("ada", 204), ("max", 403)] {
        let shown = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{user}-pw"));
        let mut client = Wire::new(dial(&proxy.address));
        client.send(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {shown}\r\n\r\n"
        ));
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut client = tls_over(client, &target, &proxy.ca);
        let mut origin = recorder.accept();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: {target}\r\nContent-Length: 12\r\n\r\nconfidential"
        ));
        if status == 204 {
            origin.head().unwrap();
            assert_eq!(origin.exactly(12), b"confidential");
            origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        }
        let answer = client.answer();
        assert_eq!(answer.status, status, "{user}: {}", answer.head);
        let line = proxy.log("request", |line| line["status"] == status);
        assert_eq!(line["user"], user, "{line}");
    }
    let found = proxy.log("finding", |_| true);
    assert_eq!(
        (&found["rule"], &found["user"]),
        (&"guard".into(), &"max".into()),
        "{found}"
    );
}
