//! The harness itself, without wsbump: what it would miss, no test that stands on it can find.

use crate::harness::certs::{ROOT_NAME, certs};
use crate::harness::clients::{Client, chromium, curl};
use crate::harness::metrics::Metrics;
use crate::harness::process::Process;
use crate::harness::raw::{Frame, connect_by, frame, tls_over};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::{free_port, origins, scratch, until};
use crate::hostile_frames::violations;
use crate::peers::{common_name, squid};
use crate::relay::{at_every_byte, everything};
use std::collections::HashSet;
use std::process::Command;
use tungstenite::protocol::frame::FrameHeader;

fn squids_address() -> String {
    squid().url().replace("http://", "")
}

#[test]
fn raw_bytes_pass_between_client_and_recorder() {
    let recorder = Recorder::start();
    let (tunnel, answer) = connect_by(&squids_address(), &recorder.target());
    assert_eq!(answer.status, 200, "{}", answer.head);
    let client = tls_over(tunnel, &recorder.target(), &certs().root);
    assert_eq!(client.leaf(), certs().origin.chain[0]);
    let (mut client, mut origin) = recorder.websocket_over(client, "", "");
    at_every_byte(&mut client, &mut origin, &everything(true));
    at_every_byte(&mut origin, &mut client, &everything(false));
    client.send(frame(0x88, Some([1, 2, 3, 4]), &1001_u16.to_be_bytes()));
    drop(client);
    let frames = origin.frames();
    assert_eq!(
        (frames.len(), frames[0].close_code(), frames[0].masked),
        (1, Some(1001), true)
    );
}

#[test]
fn half_closes_and_resets_are_seen() {
    let (listener, port) = tcp();
    let (mut client, _) = connect_by(&squids_address(), &format!("origin.test:{port}"));
    client.send("bytes");
    let mut origin = accept(&listener);
    assert_eq!(origin.exactly(5), b"bytes");
    origin.send("answer");
    drop(origin);
    assert_eq!(client.rest(), b"answer");
    let (_, refused) = connect_by(&squids_address(), &format!("origin.test:{}", free_port()));
    assert_eq!(refused.status, 503, "Squid's own answer: {}", refused.head);
    assert!(!refused.body.is_empty());
}

#[test]
fn a_frame_is_what_others_take_it_for() {
    for length in [0, 1, 125, 126, 65_535, 65_536] {
        for mask in [None, Some([1, 2, 3, 4])] {
            let bytes = frame(0x82, mask, &vec![0; length]);
            let mut cursor = std::io::Cursor::new(&bytes);
            let (header, payload) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!(
                (payload, header.mask, header.is_final),
                (length as u64, mask, true)
            );
            assert_eq!(cursor.position() as usize + length, bytes.len());
        }
    }
}

#[test]
fn others_refuse_what_is_called_a_violation() {
    // An endpoint that others wrote must agree that each of these is a failure: it may not echo, and it must
    // close with an error (1007 for a reason that is not UTF-8). How a length is written it does not look at.
    let origin = origins::websockets();
    let target = format!("origin.test:{}", origin.port);
    let looked_at = |label: &str| !matches!(label, "non_minimal_length" | "length_overflow");
    for (label, bytes) in violations(Some([0x37, 0xfa, 0x21, 0x3d]))
        .into_iter()
        .filter(|case| looked_at(case.0))
    {
        let (tunnel, _) = connect_by(&squids_address(), &target);
        let mut client = tls_over(tunnel, &target, &certs().root);
        client.ask_websocket(&target, "/echo", "");
        assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
        client.send(bytes);
        let code = client.frames().last().and_then(Frame::close_code);
        let expected = if label == "bad_close_reason" { 1007 } else { 1002 };
        assert_eq!(code, Some(expected), "{label}");
    }
}

#[test]
fn a_client_that_trusts_another_root_fails() {
    let stranger = &certs().untrusted.cert;
    let url =
        |scheme, origin: &origins::Origin| origin.url(scheme, "/echo").replace("origin.test", "localhost");
    let wss = url("wss", origins::node_ws());
    for script in ["client_websockets.py", "client_ws.mjs"] {
        let found = Client::new(script).with("ca", stranger).with("url", &wss).fail();
        assert!(
            found.text.to_ascii_lowercase().contains("certificate"),
            "{}",
            found.text
        );
    }
    let undici = Client::new("client_builtin.mjs").with("mode", "dispatcher");
    undici.with("ca", stranger).with("url", &wss).fail();
    Client::new("client_builtin.mjs")
        .env("NODE_EXTRA_CA_CERTS", stranger)
        .with("url", &wss)
        .fail();
    let done = curl(None, stranger, &[&url("https", origins::nginx())]);
    assert_eq!(done.code, 60, "{done:?}");
    let home = scratch();
    let browser = chromium(home.path(), stranger)
        .with("url", url("https", origins::node_ws()))
        .fail();
    assert!(
        browser.text.contains("ERR_CERT_AUTHORITY_INVALID"),
        "{}",
        browser.text
    );
}

#[test]
fn the_root_is_named_as_the_tests_say() {
    assert_eq!(common_name(&certs().root), ROOT_NAME);
}

#[test]
fn a_process_and_its_children_end_with_its_test() {
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 600 & echo child $!; wait"]);
    let process = Process::start("sh", command);
    let child: u32 = process.out("the child", |line| line.strip_prefix("child ")?.parse().ok());
    let alive = || std::path::Path::new(&format!("/proc/{child}/cmdline")).exists();
    assert!(alive());
    drop(process);
    let gone = || {
        // A zombie waits for whoever reaps orphans here; it is dead all the same.
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        (!alive() || status.contains("State:\tZ")).then_some(())
    };
    until("the child is gone", gone);
}

#[test]
fn metrics_are_summed_by_label() {
    let metrics = Metrics::parse(
        "# HELP a help 1\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4.5\na_total_more 9\nb 1e3\n",
    );
    let sum = |family, labels: &[(&str, &str)]| metrics.sum(family, labels);
    assert!((sum("a_total", &[]) - 7.5).abs() < 1e-9);
    assert!((sum("a_total", &[("y", "3")]) - 4.5).abs() < 1e-9);
    assert!(sum("a_total", &[("y", "4")]).abs() < 1e-9);
    assert!((sum("b", &[]) - 1000.0).abs() < 1e-9);
}

#[test]
fn ports_are_given_once() {
    let ports: Vec<u16> = (0..200).map(|_| free_port()).collect();
    assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
}
