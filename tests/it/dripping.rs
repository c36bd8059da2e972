//! What drips does not go on for ever, and what is slow for a good reason does.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial, tls};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Road, Version, over_both, over_front};
use crate::harness::until;
use std::io::{Read, Write};
use std::time::Duration;

fn setup() -> Setup {
    Setup::new()
        .config("timeouts = { slow_body = '400ms' }\nlimits = { slow_body_bytes = 1000 }")
        .config("listen = { tls = ['127.0.0.1:0'] }")
}

/// One byte now and then.
fn drip<S: Read + Write>(wire: &mut Wire<S>) -> std::io::Result<()> {
    std::thread::sleep(Duration::from_millis(20));
    wire.try_send("x")
}

/// Drips until the proxy has given up, and says so.
fn drips_until<S: Read + Write>(wire: &mut Wire<S>, proxy: &Proxy, word: &str) {
    until(word, || {
        // Whoever has been cut off cannot go on.
        let _ = drip(wire);
        let lines = proxy.log_so_far("request");
        lines.iter().any(|line| line["error"] == word).then_some(())
    });
}

fn a_request_that_drips(version: Version) {
    let (proxy, road) = (setup().start(), Road::start(version));
    let mut client = road.client(&proxy);
    let target = road.target();
    client.send(format!(
        "POST /up HTTP/1.1\r\nHost: {target}\r\nContent-Length: 1000000\r\n\r\n"
    ));
    let mut origin = road.accept();
    origin.head().unwrap();
    drips_until(&mut client, &proxy, "client_too_slow");
    let line = proxy.log("request", |line| line["error"] == "client_too_slow");
    assert_eq!(
        (&line["status"], &line["protocol"]),
        (&408.into(), &version.logged().into())
    );
    let detail = line["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the client sent fewer than 1000 bytes"),
        "{line}"
    );
    assert_eq!(client.answer().status, 408);
    proxy.metric("wsbump_http_errors_total", &[("error", "client_too_slow")], 1.0);
}

fn a_response_that_drips(version: Version) {
    let (proxy, road) = (setup().start(), Road::start(version));
    let mut client = road.client(&proxy);
    client.send(format!("GET /down HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    drips_until(&mut origin, &proxy, "origin_too_slow");
    let line = proxy.log("request", |line| line["error"] == "origin_too_slow");
    assert_eq!(line["status"], 200, "{line}");
    proxy.metric("wsbump_http_errors_total", &[("error", "origin_too_slow")], 1.0);
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
    assert!(client.rest().len() < 1_000_000, "and then it was cut");
}

fn a_stream_of_events_that_drips(version: Version) {
    let (proxy, road) = (setup().start(), Road::start(version));
    let mut client = road.client(&proxy);
    client.send(format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\n");
    // Two seconds, which is five times as long as anything else may drip.
    (0..100).for_each(|_| drip(&mut origin).unwrap());
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(client.exactly(100), [b'x'; 100]);
    let line = proxy.log("request", |_| true);
    assert!(line["error"].is_null(), "{line}");
}

fn a_receiver_that_takes_its_time(version: Version) {
    const SIZE: usize = 16 << 20;
    let (proxy, road) = (setup().start(), Road::start(version));
    let mut client = road.client(&proxy);
    client.send(format!("GET /large HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    let sending = std::thread::spawn(move || {
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        origin.send(vec![b'x'; SIZE]);
        origin
    });
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
    // A user who has paused a download: the origin cannot help that nothing is taken. Others who began later have been
    // given up meanwhile, three of them one after the other.
    let others = Road::start(version);
    for _ in 0..3 {
        let (mut other, before) = (others.client(&proxy), proxy.log_so_far("request").len());
        other.send(format!("GET /drip HTTP/1.1\r\nHost: {}\r\n\r\n", others.target()));
        let mut dripping = others.accept();
        dripping.head().unwrap();
        dripping.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        until("one that drips is given up", || {
            let _ = drip(&mut dripping);
            (proxy.log_so_far("request").len() > before).then_some(())
        });
    }
    assert_eq!(client.exactly(SIZE).len(), SIZE);
    drop(sending.join().unwrap());
    let line = proxy.log("request", |line| {
        line["url"].as_str().is_some_and(|url| url.ends_with("/large"))
    });
    assert!(line["error"].is_null(), "{line}");
    let lines = proxy.log_so_far("request");
    let given_up = lines.iter().filter(|line| line["error"] == "origin_too_slow");
    assert_eq!((given_up.count(), lines.len()), (3, 4), "{lines:?}");
}

over_both!(
    a_request_that_drips,
    a_response_that_drips,
    a_stream_of_events_that_drips,
    a_receiver_that_takes_its_time,
);

over_front!(
    a_request_that_drips,
    a_response_that_drips,
    a_stream_of_events_that_drips,
    a_receiver_that_takes_its_time,
);

#[test]
fn heads_that_drip_have_a_deadline_that_no_byte_puts_off() {
    let proxy = Setup::new()
        .config("timeouts = { request_head = '500ms', response = '700ms' }")
        .start();
    // At the front door, and inside of TLS.
    let recorder = Recorder::start();
    let mut door = Wire::new(dial(&proxy.address));
    let mut inside = tls(&proxy, &recorder.target());
    let _origin = recorder.accept();
    door.send("GET http://origin.test/");
    inside.send("GET /");
    until("408 at the door", || {
        let _ = drip(&mut door);
        let _ = drip(&mut inside);
        (proxy
            .metrics()
            .sum("wsbump_http_requests_total", &[("status", "4xx")])
            >= 2.0)
            .then_some(())
    });
    assert_eq!((door.answer().status, inside.answer().status), (408, 408));

    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nX: ");
    drips_until(&mut origin, &proxy, "http_response_timeout");
    assert_eq!(client.answer().status, 504);
}
