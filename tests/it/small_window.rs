//! A permessage-deflate window of 8 bits, both ways, under rules that change messages.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::proxy::Setup;
use crate::harness::raw::{Frame, frame};
use crate::harness::recorder::Recorder;
use crate::harness::small_window::SmallWindow;
use flate2::{Decompress, FlushDecompress};
use serde_json::Value;

const RULES: &str = r##"
[[inspect.rule]]
name = "codename"
mode = "enforce"
action = "redact"
with = "******"
keywords = ["kestrel"]
"##;

/// What a receiver reads. Its zlib has no smaller window than 9 bits; that the encoder keeps to 8 is seen below.
struct Receiver(Decompress);

impl Receiver {
    fn new() -> Self {
        Self(Decompress::new_with_window_bits(false, 9))
    }

    fn reads(&mut self, frame: Frame) -> Vec<u8> {
        if frame.first & 0x40 == 0 {
            return frame.payload;
        }
        let wire = [&frame.payload[..], &[0, 0, 0xff, 0xff]].concat();
        let mut plain = Vec::with_capacity(4096);
        self.0
            .decompress_vec(&wire, &mut plain, FlushDecompress::Sync)
            .unwrap();
        plain
    }
}

#[test]
fn the_smallest_window_is_read_and_changed_both_ways() {
    let agreed = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8; client_max_window_bits=8\r\n";
    let offer =
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8; client_max_window_bits\r\n";
    let proxy = Setup::new().config(RULES).start();
    let recorder = Recorder::start();
    let (mut client, mut origin) = recorder.websocket_with(&proxy, offer, agreed);
    let (mut up, mut down) = (SmallWindow::default(), SmallWindow::default());
    let (mut at_origin, mut at_client) = (Receiver::new(), Receiver::new());
    let filler: String = (0..40).map(|at| format!("{at:03}, ")).collect();
    let texts = [
        "a first message that others refer to".to_owned(),
        format!("{filler}a first message that others refer to"),
        "about kestrel, a first message that others refer to".to_owned(),
        "nothing of that, a first message that others refer to".to_owned(),
        format!("{filler}kestrel again, and kestrel"),
        "the end, kestrel again".to_owned(),
    ];
    for text in texts {
        let wanted = text.replace("kestrel", "******");
        client.send(frame(0xc1, Some([1, 2, 3, 4]), &up.message(text.as_bytes())));
        assert_eq!(
            String::from_utf8(at_origin.reads(origin.frame().unwrap())).unwrap(),
            wanted
        );
        origin.send(frame(0xc1, None, &down.message(text.as_bytes())));
        assert_eq!(
            String::from_utf8(at_client.reads(client.frame().unwrap())).unwrap(),
            wanted
        );
    }
    assert!(
        (240..=256).contains(&up.furthest),
        "the window is used: {}",
        up.furthest
    );
    proxy.metric(
        "wsbump_inspect_findings_total",
        &[("rule", "codename"), ("mode", "enforce")],
        6.0,
    );
}

#[test]
fn a_server_that_others_wrote_keeps_to_a_window_of_8_bits() {
    let proxy = Setup::new().config(RULES).start();
    let fact = |line: &str| serde_json::from_str::<Value>(line).ok();
    let mut client = Client::new("client_websockets.py")
        .with("mode", "dialogue")
        .with("url", origins::node_ws().url("wss", "/echo"))
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca)
        .with("server-bits", "8")
        .start();
    let open = client.out("open", |line| fact(line).filter(|fact| fact["open"] == true));
    let extensions = open["extensions"].as_str().unwrap_or_default();
    assert!(extensions.contains("server_max_window_bits=8"), "{open}");
    let filler: String = (0..60).map(|at| format!("{at:03}, ")).collect();
    for at in 0..20 {
        for text in [format!("{filler}{at} kestrel"), format!("{at} words without it")] {
            client.say(&text);
            let wanted = text.replace("kestrel", "******");
            client.out(&wanted, |line| (fact(line)?["got"] == *wanted).then_some(()));
        }
    }
}
