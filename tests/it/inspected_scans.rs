//! A scanner that a rule asks, through the whole proxy.

use crate::harness::clients::curl;
use crate::harness::proxy::Setup;
use crate::harness::raw::{Wire, frame, header, prepare};
use crate::harness::road::{Road, Talk, Version, over_both};
use crate::harness::scanners::{CIcap, Clamd, eicar};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

over_both!(
    clamd_stops_eicar_in_messages,
    c_icap_stops_eicar_in_messages,
    a_ping_does_not_wait_for_a_scan,
    an_icap_server_is_told_what_the_configuration_says_at_the_service_for_each_direction,
    a_scanner_is_left_alone_after_as_many_failures_as_the_configuration_says,
);

fn rules(url: &str) -> String {
    format!(
        "[[inspect.scanner]]\nname = \"clamav\"\nurl = \"{url}\"\ndeadline = \"20s\"\non_failure = \"close\"\n\
         [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"clamav\"\n\
         in = [\"message\"]\n"
    )
}

fn stops_eicar_and_nothing_else(version: Version, scanner: &str) {
    let proxy = Setup::new().config(&rules(scanner)).start();
    let mut talk = Talk::open(version, &proxy, version.websockets(), &[]);
    for line in ["before", &eicar(), "after"] {
        talk.say(line);
    }
    assert_eq!(talk.heard("after"), ["before", "after"]);
    drop(talk);
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["protocol"], version.logged(), "{line}");
    for (outcome, count) in [("found", 1.0), ("clean", 4.0)] {
        proxy.metric(
            "wsbump_inspect_scan_seconds_count",
            &[("scanner", "clamav"), ("outcome", outcome)],
            count,
        );
    }
}

fn clamd_stops_eicar_in_messages(version: Version) {
    let clamd = Clamd::start();
    stops_eicar_and_nothing_else(version, &format!("clamd://127.0.0.1:{}", clamd.port));
    stops_eicar_and_nothing_else(version, &format!("clamd+unix:{}", clamd.socket().display()));
}

fn c_icap_stops_eicar_in_messages(version: Version) {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    stops_eicar_and_nothing_else(version, &format!("icap://127.0.0.1:{}/scan", server.port));
}

fn a_ping_does_not_wait_for_a_scan(version: Version) {
    // A clamd that answers when the test lets it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("clamd://{}", listener.local_addr().unwrap());
    let (release, released) = channel();
    let (begun, scanning) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"slow\0\0\0\0") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        begun.send(()).unwrap();
        released.recv().unwrap();
        stream.write_all(b"stream: OK\0").unwrap();
    });
    let config = rules(&url).replace("in =", "direction = \"to_origin\"\nin =");
    let proxy = Setup::new().config(&config).start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    client.send(frame(0x81, Some([1, 2, 3, 4]), b"slow"));
    scanning.recv_timeout(crate::harness::DEADLINE).unwrap();
    // Both ways, while the message waits.
    let ping = frame(0x89, Some([1, 2, 3, 4]), b"there?");
    client.send(&ping);
    assert_eq!(origin.exactly(ping.len()), ping);
    let pong = frame(0x8a, None, b"there?");
    origin.send(&pong);
    assert_eq!(client.exactly(pong.len()), pong);
    release.send(()).unwrap();
    assert_eq!(origin.frame().unwrap().payload, b"slow");
}

/// An ICAP server that finds nothing, or fails, and tells each head that it is sent but those of OPTIONS.
fn icap_stand_in(answer: &'static str) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heads, told) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let heads = heads.clone();
            prepare(&socket);
            std::thread::spawn(move || {
                let mut wire = Wire::new(socket);
                while let Some(head) = wire.head() {
                    if head.starts_with("OPTIONS") {
                        wire.send(
                            "ICAP/1.0 200 OK\r\nISTag: \"1\"\r\nMethods: REQMOD, RESPMOD\r\nAllow: 204\r\n\
                             Encapsulated: null-body=0\r\n\r\n",
                        );
                        continue;
                    }
                    let inner = header(&head, "encapsulated")
                        .unwrap()
                        .rsplit_once("body=")
                        .unwrap();
                    wire.exactly(inner.1.parse().unwrap());
                    let mut body = Vec::new();
                    while !body.ends_with(b"\r\n0\r\n\r\n") {
                        body.extend(wire.exactly(1));
                    }
                    heads.send(head).unwrap();
                    wire.send(answer);
                }
            });
        }
    });
    (port, told)
}

fn an_icap_server_is_told_what_the_configuration_says_at_the_service_for_each_direction(version: Version) {
    // Of "Local://ada".
    let ada = "TG9jYWw6Ly9hZGE=";
    let asks =
        "[auth.basic]\nhtpasswd = \"users\"\n[[policy.rule]]\nname = \"who\"\naction = \"authenticate\"\n";
    for (tells, auth, client, user) in [
        ("", "", Some("127.0.0.1"), None),
        ("", asks, Some("127.0.0.1"), None),
        ("tell_client_ip = false\ntell_user = true\n", "", None, None),
        ("tell_user = true\n", asks, Some("127.0.0.1"), Some(("ada", ada))),
    ] {
        let (port, told) = icap_stand_in("ICAP/1.0 204 No Content\r\nISTag: \"1\"\r\n\r\n");
        let config = format!(
            "[[inspect.scanner]]\nname = \"icap\"\nurl = \"icap://127.0.0.1:{port}/request\"\n\
             respmod_url = \"icap://127.0.0.1:{port}/response\"\n{tells}\
             [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"icap\"\n\
             in = [\"body\"]\n{auth}"
        );
        // The password is "secret"; by openssl passwd.
        let users = "ada:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n";
        let proxy = Setup::new().file("users", users).config(&config).start();
        let url = version.echo().url("https", "/echo");
        let sent = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[
                version.curl(),
                "--proxy-user",
                "ADA:secret",
                "--data",
                "hello",
                &url,
            ],
        );
        assert_eq!(sent.status, 200, "{}", sent.text);
        let deadline = crate::harness::DEADLINE;
        for start in [
            format!("REQMOD icap://127.0.0.1:{port}/request ICAP/1.0\r\n"),
            format!("RESPMOD icap://127.0.0.1:{port}/response ICAP/1.0\r\n"),
        ] {
            let head = told.recv_timeout(deadline).unwrap();
            assert!(head.starts_with(&start), "{head}");
            assert_eq!(header(&head, "x-client-ip"), client, "{head}");
            let told = (
                header(&head, "x-client-username"),
                header(&head, "x-authenticated-user"),
            );
            assert_eq!(
                told,
                (user.map(|(name, _)| name), user.map(|(_, whole)| whole)),
                "{head}"
            );
        }
    }
}

fn a_scanner_is_left_alone_after_as_many_failures_as_the_configuration_says(version: Version) {
    for failures in [1, 3] {
        let (port, told) = icap_stand_in("ICAP/1.0 500 Server Error\r\nConnection: close\r\n\r\n");
        let config = format!(
            "[[inspect.scanner]]\nname = \"icap\"\nurl = \"icap://127.0.0.1:{port}/scan\"\n\
             breaker_failures = {failures}\nbreaker_rest = \"1h\"\n\
             [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"icap\"\n\
             in = [\"body\"]\ndirection = \"to_origin\"\n"
        );
        let proxy = Setup::new().config(&config).start();
        let url = version.echo().url("https", "/echo");
        for _ in 0..5 {
            let sent = curl(
                Some(&proxy.url()),
                &proxy.ca,
                &[version.curl(), "--data", "hello", &url],
            );
            assert_eq!(sent.status, 200, "what fails passes: {}", sent.text);
        }
        assert_eq!(told.try_iter().count(), failures);
        proxy.metric(
            "wsbump_inspect_scan_seconds_count",
            &[("scanner", "icap"), ("outcome", "failed")],
            5.0,
        );
    }
}
