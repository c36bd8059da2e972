//! Fixed work on the pure hot functions, for tests/instructions.sh to count the instructions of: times are noisy, and
//! these counts are not. Nothing here depends on a clock, on chance or on the machine's other work.
//!
//! `instructions NAME TIMES` prepares a workload and does it that many times; `instructions --list` names all; without
//! a name each is done once. Only what happens inside [`counted`] is counted: preparing hashes with random keys.
#![allow(missing_docs)]
#![allow(clippy::expect_used, reason = "a benchmark may stop when it cannot run")]

mod batch;
mod filter;
mod http1;
mod live;
mod policy;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;
use wsbump::decide::{Facts, Format, List, Policy, PolicyConfig};
use wsbump::handshake::LeafKey;
use wsbump::handshake::ca::Ca;
use wsbump::handshake::forge::{Forge, ForgeConfig, Mimic};
use wsbump::http::Watch;
use wsbump::inspect::filter::Pools;
use wsbump::inspect::{Mode, RuleSpec};
use wsbump::relay::Meter;
use wsbump::wire::frame::{Direction, Follower, Opcode, See};
use wsbump::wire::names::{Authority, Host};
use wsbump::wire::{client_hello, ws_handshake};

/// Prepares, and does the work so many times.
type Workload = fn(times: u32);

const WORKLOADS: [(&str, Workload); 22] = [
    ("follow_16KiB_of_64B_to_origin", |times| {
        follow(Direction::ToOrigin, times)
    }),
    ("follow_16KiB_of_64B_to_client", |times| {
        follow(Direction::ToClient, times)
    }),
    ("inspect_16KiB_of_64B_by_size", |times| {
        inspect(filter::counting(), 64, false, times)
    }),
    ("inspect_16KiB_of_1KiB_by_words", |times| {
        inspect(filter::searching(Mode::Enforce), 1024, false, times)
    }),
    ("inspect_16KiB_deflated_by_size", |times| {
        inspect(filter::counting(), 1024, true, times)
    }),
    ("client_hello_parse", hello),
    ("list_10k_hit", |times| list("cdn.host7777.example", times)),
    ("list_10k_miss", |times| list("edge.static.example.org", times)),
    ("policy_200_rules_connect", |times| {
        let table = policy::Table::of(200).expect("a policy");
        let (ask, hello) = (table.tunnel(), table.hello());
        counted(times, || {
            black_box(table.policy.at_ask(black_box(&ask)));
            black_box(table.policy.at_hello(black_box(&hello)));
        });
    }),
    ("policy_200_rules_request", |times| {
        let table = policy::Table::of(200).expect("a policy");
        let request = table.named_request();
        counted(times, || {
            black_box(table.policy.at_named_request(black_box(&request)));
        });
    }),
    ("policy_200_rules_in_tunnel", |times| {
        let table = policy::Table::of(200).expect("a policy");
        let (hello, request) = (table.hello(), table.request(table.hello()));
        let remaining = table.policy.at_hello(&hello).remaining.expect("rules that wait");
        counted(times, || {
            black_box(table.policy.at_request(black_box(&request), &remaining));
        });
    }),
    ("authority_parse", authority),
    ("ws_check_request", request),
    ("ws_check_response", response),
    ("leaf_cached", leaf),
    ("http1_request_of_12_fields", |times| {
        head(http1::request, http1::REQUEST, times)
    }),
    ("http1_response_of_12_fields", |times| {
        head(http1::response, http1::RESPONSE, times)
    }),
    ("http1_64KiB_in_chunks_of_1KiB", chunks),
    ("report_batch", report),
    ("report_request_unwatched", |times| stated(false, times)),
    ("report_request_watched", |times| stated(true, times)),
    ("relay_64B_message", |times| {
        let report = live::report();
        live::relayed(&report, times, |times, work| counted(times, work));
    }),
];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => WORKLOADS.iter().for_each(|(name, _)| println!("{name}")),
        [name, times] => {
            let (_, work) = WORKLOADS
                .iter()
                .find(|(known, _)| *known == name)
                .expect("a name of --list");
            work(times.parse().expect("how many times"));
        }
        ["--test"] => {}
        _ => WORKLOADS.iter().for_each(|(name, work)| {
            work(1);
            println!("{name}: done once");
        }),
    }
}

/// Does the work. Valgrind counts between entering and leaving a function of this name, whatever it calls.
#[inline(never)]
fn counted(times: u32, mut work: impl FnMut()) {
    for _ in 0..times {
        work();
    }
}

/// Counts as the relay does.
#[derive(Default)]
struct Counts {
    frames: [u32; 6],
    bytes: [u64; 6],
    messages: u64,
}

impl See for Counts {
    fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.frames[opcode.index()] += 1;
        self.bytes[opcode.index()] += payload;
    }
    fn message(&mut self, size: u64) {
        self.messages += size;
    }
    fn ping(&mut self, _payload: &[u8]) {}
    fn pong(&mut self, _payload: &[u8]) {}
    fn close(&mut self, _said: Option<(u16, &str)>) {}
    fn discarded(&mut self, _bytes: u64) {}
}

/// A read of 16 KiB full of small text messages.
fn follow(direction: Direction, times: u32) {
    let mut frame = vec![0x81, 64];
    if direction == Direction::ToOrigin {
        frame = vec![0x81, 0x80 | 64, 1, 2, 3, 4];
    }
    frame.extend([b'x'; 64]);
    let bytes = frame.repeat((16 << 10) / frame.len());
    let mut follower = Follower::new(direction, 0);
    let mut counts = Counts::default();
    counted(times, || {
        let end = follower.follow(black_box(&bytes), &mut counts, &mut |passed| {
            black_box(passed);
        });
        assert_eq!(end, Ok(()));
    });
    black_box(counts.messages);
}

/// A read of 16 KiB of texts from the client, before they are compressed, through the rules of its direction.
fn inspect(specs: Vec<RuleSpec>, size: usize, deflated: bool, times: u32) {
    use flate2::{Compress, Compression, FlushCompress};
    let direction = Direction::ToOrigin;
    let side = deflated.then(wsbump::wire::deflate::DeflateSide::default);
    let mut sender = Compress::new(Compression::default(), false);
    let frames = (0..(16 << 10) / size).map(|n| {
        let plain = filter::text(n, size);
        if !deflated {
            return filter::frame(direction, false, &plain);
        }
        let mut payload = Vec::with_capacity(2 * size);
        let done = sender.compress_vec(&plain, &mut payload, FlushCompress::Full);
        assert!(done.is_ok());
        payload.truncate(payload.len() - 4);
        filter::frame(direction, true, &payload)
    });
    let read: Vec<u8> = frames.flatten().collect();
    let mut filter = filter::filter(specs, direction, side).expect("rules that look");
    let (mut pools, reads) = (Pools::default(), [read]);
    counted(times, || filter::take(&mut filter, &mut pools, &reads));
}

/// A hello as OpenSSL and browsers send it, byte by byte the same in each run.
fn hello_bytes() -> Vec<u8> {
    fn prefixed(bytes: &[u8]) -> Vec<u8> {
        let mut all = u16::try_from(bytes.len()).expect("short").to_be_bytes().to_vec();
        all.extend(bytes);
        all
    }
    let extension = |id: u16, body: &[u8]| [&id.to_be_bytes()[..], &prefixed(body)].concat();
    let name = [&[0][..], &prefixed(b"wss-primary.slack.com")].concat();
    let share = [&[0, 29][..], &prefixed(&[7; 32])].concat();
    let extensions = [
        extension(0, &prefixed(&name)),
        extension(23, &[]),
        extension(0xff01, &[0]),
        extension(10, &prefixed(&[0, 29, 0, 23, 0, 24])),
        extension(11, &[1, 0]),
        extension(35, &[]),
        extension(16, &prefixed(b"\x02h2\x08http/1.1")),
        extension(5, &[1, 0, 0, 0, 0]),
        extension(13, &prefixed(&[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1])),
        extension(51, &prefixed(&share)),
        extension(45, &[1, 1]),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(21, &[0; 150]),
    ]
    .concat();
    let suites = [
        0x13, 1, 0x13, 2, 0x13, 3, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30,
    ];
    let body = [
        &[3, 3][..],
        &[9; 32],
        &[32],
        &[5; 32],
        &prefixed(&suites),
        &[1, 0],
        &prefixed(&extensions),
    ]
    .concat();
    let message = [&[1, 0][..], &prefixed(&body)].concat();
    [&[22, 3, 1][..], &prefixed(&message)].concat()
}

fn hello(times: u32) {
    let bytes = hello_bytes();
    assert!(format!("{:?}", client_hello::parse(&bytes)).contains("wss-primary.slack.com"));
    counted(times, || {
        black_box(client_hello::parse(black_box(&bytes)));
    });
}

/// A host against a Squid list of 10,000 domains with their subdomains.
fn list(host: &str, times: u32) {
    let lines: Vec<String> = (0..10_000)
        .map(|n| format!("^([^/][^/]*\\.)*host{n}\\.example:443$"))
        .collect();
    let list = List::parse("list", &lines.join("\n"), Format::UrlRegex, true).expect("a list");
    let policy = Policy::new(PolicyConfig {
        splice: vec![Arc::new(list)],
        ..PolicyConfig::default()
    });
    let target = Authority {
        host: Host::Name(host.into()),
        port: 443,
    };
    let facts = Facts::tunnel([127, 0, 0, 1].into(), &target).beginning(None);
    counted(times, || {
        black_box(policy.at_hello(black_box(&facts)));
    });
}

fn authority(times: u32) {
    counted(times, || {
        black_box(Authority::parse(black_box("WSS-Primary.slack.com:443"), None));
    });
}

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn upgrade() -> http::request::Parts {
    let request = http::Request::get("https://chat.example/socket")
        .header("host", "chat.example")
        .header("upgrade", "websocket")
        .header("connection", "keep-alive, Upgrade")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .header(
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        );
    request.body(()).expect("a request").into_parts().0
}

fn checked(request: &http::request::Parts) -> Result<ws_handshake::Offer, ws_handshake::RequestError> {
    ws_handshake::check_request(&request.method, request.version, &request.headers)
}

fn request(times: u32) {
    let request = upgrade();
    counted(times, || {
        assert!(checked(black_box(&request)).is_ok());
    });
}

fn response(times: u32) {
    let offer = checked(&upgrade()).expect("an offer");
    let response = http::Response::builder()
        .header("upgrade", "websocket")
        .header("connection", "Upgrade")
        .header("sec-websocket-accept", derive_accept_key(KEY.as_bytes()))
        .header("sec-websocket-extensions", "permessage-deflate")
        .body(())
        .expect("a response");
    counted(times, || {
        assert!(ws_handshake::check_response(&offer, black_box(response.headers())).is_ok());
    });
}

/// The leaf that a known host gets.
fn leaf(times: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let (ca, _) = Ca::generate("Bench CA").expect("a CA");
    let config = ForgeConfig {
        entries: 1_000,
        lifetime: Duration::from_secs(86_400),
    };
    let forge = Forge::new(Arc::new(ca), config).expect("a forge");
    let mimic = Mimic::Name(Host::Name("www.example.com".to_owned()));
    let leaf = || {
        let leaf = runtime.block_on(forge.leaf(black_box(&mimic), LeafKey::P256));
        black_box(leaf.expect("a leaf"));
    };
    // The first one is minted.
    leaf();
    counted(times, leaf);
}

/// A head of HTTP/1.1, read and written again as it came.
fn head(work: fn(&mut Vec<u8>), text: &str, times: u32) {
    let mut out = Vec::new();
    work(&mut out);
    assert_eq!(out, text.as_bytes());
    counted(times, || work(black_box(&mut out)));
}

/// Content of HTTP/1.1 out of its chunks.
fn chunks(times: u32) {
    let reads = http1::chunked();
    counted(times, || http1::decode(&reads));
}

/// What a request pays when it is told to all who listen, while somebody sees everything or nobody looks.
fn stated(is_watched: bool, times: u32) {
    let report = live::report();
    let mut watcher = is_watched.then(|| live::watcher(&report));
    let done = live::request();
    report.request_done(&done);
    counted(times, || report.request_done(black_box(&done)));
    let heard = std::iter::from_fn(|| watcher.as_mut()?.ready()).count();
    assert_eq!(heard as u32, if is_watched { times + 1 } else { 0 });
}

/// What one pass of the relay pays for its metrics.
fn report(times: u32) {
    let report = live::report();
    let batch = batch::one_message(Direction::ToOrigin);
    // A thread makes its counters when it first states something.
    report.batch(&batch);
    counted(times, || report.batch(black_box(&batch)));
}
