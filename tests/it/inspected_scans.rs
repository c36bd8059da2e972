//! A scanner that a rule asks, through the whole proxy.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::frame;
use crate::harness::recorder::Recorder;
use crate::harness::scanners::{CIcap, Clamd, eicar};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::channel;

fn rules(url: &str) -> String {
    format!(
        "[[inspect.scanner]]\nname = \"clamav\"\nurl = \"{url}\"\ndeadline = \"20s\"\non_failure = \"close\"\n\
         [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"clamav\"\n\
         in = [\"message\"]\n"
    )
}

fn fact(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

fn talk(proxy: &Proxy, url: &str) -> Process {
    let client = Client::new("client_websockets.py")
        .with("mode", "dialogue")
        .with("url", url)
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca)
        .start();
    client.out("open", |line| fact(line).filter(|fact| fact["open"] == true));
    client
}

fn stops_eicar_and_nothing_else(scanner: &str) {
    let proxy = Setup::new().config(&rules(scanner)).start();

    let mut talk = talk(&proxy, &origins::websockets().url("wss", "/echo"));
    for line in ["before", &eicar(), "after"] {
        talk.say(line);
    }
    talk.out("the last echo", |line| {
        (fact(line)?["got"] == "after").then_some(())
    });
    let got: Vec<Value> = talk.out.all().iter().filter_map(|line| fact(line)).collect();
    let got: Vec<&str> = got.iter().filter_map(|fact| fact["got"].as_str()).collect();
    assert_eq!(got, ["before", "after"]);
}

#[test]
fn clamd_stops_eicar_in_messages() {
    let clamd = Clamd::start();
    stops_eicar_and_nothing_else(&format!("clamd://127.0.0.1:{}", clamd.port));
    stops_eicar_and_nothing_else(&format!("clamd+unix:{}", clamd.socket().display()));
}

#[test]
fn c_icap_stops_eicar_in_messages() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    stops_eicar_and_nothing_else(&format!("icap://127.0.0.1:{}/scan", server.port));
}

#[test]
fn a_ping_does_not_wait_for_a_scan() {
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
    let recorder = Recorder::start();
    let (mut client, mut origin) = recorder.websocket(&proxy);
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
