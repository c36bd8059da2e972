//! What is kept of a body until it is judged takes about what it holds, however it comes.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tls;
use crate::harness::recorder::Recorder;
use crate::harness::road::{Road, Version, over_both};
use crate::harness::until;

const RULE: &str = "
[[inspect.rule]]
name = 'words'
mode = 'enforce'
action = 'drop'
in = ['body']
keywords = ['never said']
";

const DOCUMENTS: &str = "
[[inspect.rule]]
name = 'documents'
mode = 'enforce'
action = 'drop'
in = ['body']
json = [{ pointer = '/secret', exists = true }]
";

/// The most memory that the proxy ever had, in KiB.
fn peak(proxy: &Proxy) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process().pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn chunks_of_one_byte_are_kept_as_what_they_hold() {
    const CHUNKS: usize = 500_000;
    let (proxy, recorder) = (Setup::new().config(RULE).start(), Recorder::start());
    let target = recorder.target();
    let mut client = tls(&proxy, &target);
    let mut origin = recorder.accept();
    let before = peak(&proxy);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {target}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    ));
    let block = b"1\r\nx\r\n".repeat(10_000);
    for _ in 0..CHUNKS / 10_000 {
        client.send(&block);
    }
    client.send("0\r\n\r\n");
    // It goes on when it has been judged, and so has been held as a whole.
    let head = origin.head().unwrap();
    assert!(head.starts_with("POST / "), "{head}");
    let mut held = 0;
    loop {
        let line = origin.line();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        held += origin.exactly(size).iter().filter(|byte| **byte == b'x').count();
        assert_eq!(origin.exactly(2), b"\r\n");
        if size == 0 {
            break;
        }
    }
    assert_eq!(held, CHUNKS);
    let grown = peak(&proxy) - before;
    assert!(grown < 12 << 10, "{grown} KiB for a body of {CHUNKS} bytes");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

fn what_all_keep_together_is_bounded(version: Version) {
    let proxy = Setup::new()
        .config("inspect = { message_bytes = '8MiB', process_bytes = '1MiB', on_budget = 'close' }")
        .config(DOCUMENTS)
        .start();
    let road = Road::start(version);
    let ask = |path: &str, size: usize| {
        let mut client = road.client(&proxy);
        let target = road.target();
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {target}\r\nContent-Length: {size}\r\n\r\n"
        ));
        // Whoever is refused before its end cannot send it.
        let text = "x".repeat(size - r#"{"text":""}"#.len());
        let _ = client.try_send(format!(r#"{{"text":"{text}"}}"#));
        client
    };
    // A document is judged as a whole, for which there is no room.
    let _large = ask("/large", 3_000_000);
    let reason = [("reason", "process_budget"), ("stopped", "true")];
    proxy.metric("wsbump_inspect_blind_total", &reason, 1.0);
    let line = proxy.log("request", |line| line["error"] == "content_uninspected");
    assert_eq!(line["status"], 502, "{line}");
    // What it took is there again.
    let _small = ask("/small", 300_000);
    until("the small one", || {
        // A connection over which nothing was asked has nothing to say.
        let head = road.accept().head()?;
        head.starts_with("POST /small ").then_some(())
    });
    proxy.metric("wsbump_inspect_blind_total", &reason, 1.0);
}

over_both!(what_all_keep_together_is_bounded);
