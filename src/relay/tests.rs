mod inside_tls;
mod inspected;

use super::*;
use crate::accept::{Carried, Prefixed};
use crate::drain::RelayDrain;
use crate::error::Side;
use crate::inspect::filter::FilterRoute;
use crate::tls::Transport;
use crate::tls::driver::{accept as shake_accept, connect as shake_connect};
use crate::wire::frame::{Direction, Opcode, Violation};
use bytes::Bytes;
use proptest::prelude::*;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENT: Duration = Duration::from_secs(600);
/// Long enough for anything here on a busy machine; whoever waits longer fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// Adds up what a relay states.
#[derive(Default)]
struct Seen {
    frames: Mutex<[[u64; 6]; 2]>,
    payload_bytes: Mutex<[u64; 2]>,
    messages: Mutex<[u64; 2]>,
    pongs: Mutex<Vec<(Side, Duration)>>,
}

impl Meter for Seen {
    fn batch(&self, batch: &Batch) {
        let direction = batch.direction.index();
        for (opcode, count) in batch.passed.frames.iter().enumerate() {
            self.frames.lock().unwrap()[direction][opcode] += u64::from(*count);
        }
        self.payload_bytes.lock().unwrap()[direction] += batch.passed.payload_bytes.iter().sum::<u64>();
        self.messages.lock().unwrap()[direction] += batch.passed.all_messages();
    }

    fn pong(&self, from: Side, round_trip: Duration) {
        self.pongs.lock().unwrap().push((from, round_trip));
    }
}

/// Nobody is told how far it has come.
const UNTOLD: WebSocketProgress<'_> = WebSocketProgress {
    every: None,
    tell: &|_| {},
};

async fn websocket_to_its_end(
    client: Transport,
    origin: Transport,
    settings: WebSocket,
    drain: &RelayDrain,
    meter: &dyn Meter,
) -> WebSocketTotals {
    let (mut legs, mut totals) = (WebSocketLegs::new(client, origin), None);
    websocket(&mut legs, settings, drain, meter, UNTOLD, &mut totals).await;
    *totals.unwrap()
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

fn tls_configs() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["leg.test".to_owned()]).unwrap();
    let cert = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let mut server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server.enable_secret_extraction, client.enable_secret_extraction) = (true, true);
    (Arc::new(server), Arc::new(client))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The client's end, the proxy's two legs, and the origin's end.
async fn ends(tls: bool) -> (Box<dyn Stream>, Transport, Transport, Box<dyn Stream>) {
    let (client, from_client) = sockets().await;
    let (to_origin, origin) = sockets().await;
    let from_client = Prefixed::new(Bytes::new(), from_client);
    if !tls {
        let to_origin = Prefixed::new(Bytes::new(), to_origin);
        return (
            Box::new(client),
            Transport::plain(from_client),
            Transport::plain(to_origin),
            Box::new(origin),
        );
    }
    let (server, connector) = tls_configs();
    let name = ServerName::try_from("leg.test").unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&server));
    let inner = Arc::clone(&connector);
    let connector = tokio_rustls::TlsConnector::from(connector);
    let (client, from_client, to_origin, origin) = tokio::join!(
        connector.connect(name.clone(), client),
        shake_accept(server, from_client),
        shake_connect(inner, name.clone(), to_origin),
        acceptor.accept(origin),
    );
    (
        Box::new(client.unwrap()),
        Transport::tls(from_client.unwrap().stream),
        Transport::tls(to_origin.unwrap().stream),
        Box::new(origin.unwrap()),
    )
}

struct Rig {
    client: Box<dyn Stream>,
    origin: Box<dyn Stream>,
    seen: Arc<Seen>,
    drain: RelayDrain,
    relay: tokio::task::JoinHandle<WebSocketTotals>,
}

async fn rig(tls: bool, idle: Duration) -> Rig {
    rig_with(tls, idle, None).await
}

async fn rig_with(tls: bool, idle: Duration, inspect: Option<FilterRoute>) -> Rig {
    let (client, from_client, to_origin, origin) = ends(tls).await;
    let (seen, drain) = (Arc::new(Seen::default()), RelayDrain::new());
    let settings = WebSocket {
        allowed_rsv: 0x40,
        tallies: Arc::default(),
        idle,
        mask: [1, 2, 3, 4],
        inspect,
    };
    let (meter, draining) = (Arc::clone(&seen), drain.clone());
    let relay = tokio::spawn(async move {
        websocket_to_its_end(from_client, to_origin, settings, &draining, &*meter).await
    });
    Rig {
        client,
        origin,
        seen,
        drain,
        relay,
    }
}

impl Rig {
    async fn ended(self) -> WebSocketTotals {
        tokio::time::timeout(DEADLINE, self.relay).await.unwrap().unwrap()
    }
}

/// A frame as it stands on the wire.
fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let masked = direction == Direction::ToOrigin;
    let bit = if masked { 0x80 } else { 0 };
    match payload.len() {
        n @ 0..=125 => out.push(bit | n as u8),
        n @ 126..=0xFFFF => {
            out.push(bit | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(bit | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    if masked {
        let mask = [9, 8, 7, 6];
        out.extend_from_slice(&mask);
        out.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    } else {
        out.extend_from_slice(payload);
    }
    out
}

async fn read_exactly(stream: &mut Box<dyn Stream>, n: usize) -> Vec<u8> {
    let mut got = vec![0; n];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    got
}

async fn read_to_end(stream: &mut Box<dyn Stream>) -> Vec<u8> {
    let mut got = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut got))
        .await
        .unwrap()
        .unwrap();
    got
}

#[tokio::test]
async fn a_conversation_passes_byte_for_byte_and_is_counted() {
    for tls in [false, true] {
        let mut rig = rig(tls, PATIENT).await;
        let mut out = frame(Direction::ToOrigin, 0x01, b"frag");
        out.extend(frame(Direction::ToOrigin, 0x89, b"ping"));
        out.extend(frame(Direction::ToOrigin, 0x80, &[7; 70_000]));
        out.extend(frame(Direction::ToOrigin, 0xC2, &[3; 200]));
        rig.client.write_all(&out).await.unwrap();
        assert!(read_exactly(&mut rig.origin, out.len()).await == out);

        let mut back = frame(Direction::ToClient, 0x8A, b"ping");
        back.extend(frame(Direction::ToClient, 0x81, &[b'x'; 40_000]));
        rig.origin.write_all(&back).await.unwrap();
        assert!(read_exactly(&mut rig.client, back.len()).await == back);

        let close = frame(Direction::ToOrigin, 0x88, &[0x03, 0xE8]);
        rig.client.write_all(&close).await.unwrap();
        assert_eq!(read_exactly(&mut rig.origin, close.len()).await, close);
        let answer = frame(Direction::ToClient, 0x88, &[0x03, 0xE8]);
        rig.origin.write_all(&answer).await.unwrap();
        rig.origin.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut rig.client).await, answer);
        rig.client.shutdown().await.unwrap();

        let seen = Arc::clone(&rig.seen);
        let totals = rig.ended().await;
        assert_eq!(totals.end, End::Closed);
        assert_eq!(
            totals.first_close,
            Some(FirstClose {
                by: Closer::Client,
                code: Some(1000),
                reason: String::new()
            })
        );
        assert_eq!(totals.frames, [5, 3]);
        assert_eq!(totals.messages, [2, 1]);
        assert_eq!(totals.payload_bytes, [4 + 4 + 70_000 + 200 + 2, 4 + 40_000 + 2]);
        let by_opcode = *seen.frames.lock().unwrap();
        assert_eq!(by_opcode[0][Opcode::Ping.index()], 1);
        assert_eq!(by_opcode[1][Opcode::Pong.index()], 1);
        assert_eq!(*seen.messages.lock().unwrap(), [2, 1]);
        let pongs = seen.pongs.lock().unwrap();
        assert!(matches!(pongs[..], [(Side::Client, _)]), "{pongs:?}");
    }
}

#[tokio::test]
async fn a_broken_frame_closes_both_sides_with_1002_after_all_that_was_good() {
    for tls in [false, true] {
        let mut rig = rig(tls, PATIENT).await;
        let good = frame(Direction::ToOrigin, 0x81, b"good");
        let mut out = good.clone();
        out.extend(frame(Direction::ToOrigin, 0x83, b"bad"));
        rig.client.write_all(&out).await.unwrap();

        let at_origin = read_to_end(&mut rig.origin).await;
        assert_eq!(at_origin[..good.len()], good);
        let close = &at_origin[good.len()..];
        assert_eq!(close[0], 0x88);
        assert_eq!(close[1] & 0x80, 0x80, "masked towards the origin");
        assert_eq!([close[6] ^ 1, close[7] ^ 2], 1002u16.to_be_bytes());
        let at_client = read_to_end(&mut rig.client).await;
        assert_eq!(at_client[..4], [0x88, at_client[1], 0x03, 0xEA]);
        assert_eq!(&at_client[4..], b"reserved_opcode");
        drop((
            std::mem::replace(&mut rig.client, closed()),
            std::mem::replace(&mut rig.origin, closed()),
        ));
        assert_eq!(
            rig.ended().await.end,
            End::Violation(Side::Client, Violation::ReservedOpcode)
        );
    }
}

#[tokio::test]
async fn what_follows_both_closes_keeps_nothing_open() {
    // The origin answers the Close, or only ends its stream.
    for answers in [true, false] {
        let mut rig = rig(false, Duration::from_millis(500)).await;
        let close = frame(Direction::ToOrigin, 0x88, &[0x03, 0xE8]);
        rig.client.write_all(&close).await.unwrap();
        assert_eq!(read_exactly(&mut rig.origin, close.len()).await, close);
        if answers {
            let answer = frame(Direction::ToClient, 0x88, &[0x03, 0xE8]);
            rig.origin.write_all(&answer).await.unwrap();
            assert_eq!(read_exactly(&mut rig.client, answer.len()).await, answer);
        } else {
            rig.origin.shutdown().await.unwrap();
            assert!(read_to_end(&mut rig.client).await.is_empty());
        }
        let junk = frame(Direction::ToOrigin, 0x82, b"still here");
        let mut client = std::mem::replace(&mut rig.client, closed());
        let sending = tokio::spawn(async move {
            while client.write_all(&junk).await.is_ok() {
                tokio::task::yield_now().await;
            }
        });
        let mut origin = std::mem::replace(&mut rig.origin, closed());
        let totals = rig.ended().await;
        assert_eq!(totals.end, End::Closed);
        assert!(totals.discarded[0] > 0);
        assert_eq!((totals.discarded[1], totals.frames), (0, [1, u64::from(answers)]));
        assert!(read_to_end(&mut origin).await.is_empty());
        sending.await.unwrap();
    }
}

fn closed() -> Box<dyn Stream> {
    Box::new(tokio::io::duplex(1).0)
}

#[tokio::test]
async fn a_drain_closes_with_1001_between_frames_and_waits_for_the_answers() {
    let mut rig = rig(true, PATIENT).await;
    // A frame is under way to the origin when the drain begins.
    let whole = frame(Direction::ToOrigin, 0x82, &[5; 1000]);
    rig.client.write_all(&whole[..500]).await.unwrap();
    read_exactly(&mut rig.origin, 500).await;
    rig.drain.end();
    let close = read_exactly(&mut rig.client, 4).await;
    assert_eq!(close[2..], 1001u16.to_be_bytes());
    let reason = usize::from(close[1]) - 2;
    read_exactly(&mut rig.client, reason).await;

    // The frame is finished, what follows it is not passed on, and then comes the Close.
    rig.client.write_all(&whole[500..]).await.unwrap();
    rig.client
        .write_all(&frame(Direction::ToOrigin, 0x82, b"too late"))
        .await
        .unwrap();
    assert!(read_exactly(&mut rig.origin, whole.len() - 500).await == whole[500..]);
    let close = read_exactly(&mut rig.origin, 8 + reason).await;
    assert_eq!(
        (close[0], [close[6] ^ 1, close[7] ^ 2]),
        (0x88, 1001u16.to_be_bytes())
    );

    rig.client
        .write_all(&frame(Direction::ToOrigin, 0x88, &[0x03, 0xE9]))
        .await
        .unwrap();
    rig.origin
        .write_all(&frame(Direction::ToClient, 0x88, &[0x03, 0xE9]))
        .await
        .unwrap();
    assert!(
        read_to_end(&mut rig.origin).await.is_empty(),
        "the answers stay with the proxy"
    );
    assert!(read_to_end(&mut rig.client).await.is_empty());
    rig.client.shutdown().await.unwrap();
    rig.origin.shutdown().await.unwrap();
    assert_eq!(rig.ended().await.end, End::Drained);
}

#[tokio::test]
async fn an_idle_websocket_is_closed_with_1001() {
    let mut rig = rig(false, Duration::from_millis(40)).await;
    let close = read_exactly(&mut rig.client, 4).await;
    assert_eq!(close[2..], 1001u16.to_be_bytes());
    drop((
        std::mem::replace(&mut rig.client, closed()),
        std::mem::replace(&mut rig.origin, closed()),
    ));
    assert_eq!(rig.ended().await.end, End::Idle);
}

#[tokio::test]
async fn a_stream_that_ends_without_a_close_ends_on_the_other_side_too() {
    for tls in [false, true] {
        let mut rig = rig(tls, PATIENT).await;
        rig.origin.shutdown().await.unwrap();
        assert!(read_to_end(&mut rig.client).await.is_empty());
        // The other direction still works.
        let late = frame(Direction::ToOrigin, 0x81, b"late");
        rig.client.write_all(&late).await.unwrap();
        assert_eq!(read_exactly(&mut rig.origin, late.len()).await, late);
        rig.client.shutdown().await.unwrap();
        assert!(read_to_end(&mut rig.origin).await.is_empty());
        let totals = rig.ended().await;
        assert_eq!(totals.end, End::Cut(Side::Origin));
        assert_eq!(totals.frames, [1, 0]);
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_read_stops_the_sender() {
    let Rig {
        mut client,
        mut origin,
        relay,
        ..
    } = rig(true, PATIENT).await;
    let message = frame(Direction::ToOrigin, 0x82, &vec![1; 1 << 20]);
    let total = message.len() * 64;
    let mut sent = 0;
    // The writes stall once the sockets' own buffers are full; far below what was meant to be sent.
    let stalled = tokio::time::timeout(Duration::from_millis(500), async {
        for _ in 0..64 {
            client.write_all(&message).await.unwrap();
            sent += message.len();
        }
    })
    .await;
    assert!(
        stalled.is_err() && sent < total,
        "{sent} of {total} bytes went out to nobody"
    );
    // What the client's own TLS has taken and not sent yet must go out while the origin reads.
    let flushing = tokio::spawn(async move { client.flush().await });
    let mut sink = vec![0; 1 << 16];
    let mut read = 0;
    while read < sent {
        read += tokio::time::timeout(DEADLINE, origin.read(&mut sink))
            .await
            .unwrap()
            .unwrap();
    }
    flushing.abort();
    drop(origin);
    tokio::time::timeout(DEADLINE, relay).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_came_with_the_handshake_goes_first() {
    let (mut client, from_client) = sockets().await;
    let (to_origin, mut origin) = sockets().await;
    let first = frame(Direction::ToOrigin, 0x81, b"first");
    let (head, tail) = first.split_at(3);
    let from_client = Transport::plain(Prefixed::new(Bytes::copy_from_slice(head), from_client));
    let to_origin = Transport::plain(Prefixed::new(Bytes::new(), to_origin));
    let relay = tokio::spawn(async move {
        tunnel(
            from_client,
            to_origin,
            PATIENT,
            &RelayDrain::new(),
            &Carried::default(),
        )
        .await
    });
    client.write_all(tail).await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    origin.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, first);
    drop(origin);
    let (totals, end) = relay.await.unwrap();
    assert_eq!(totals.bytes, [first.len() as u64, 0]);
    assert_eq!(end.label(), "ok");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any stream of valid frames, written in any pieces, arrives as it was.
    #[test]
    fn any_frames_in_any_pieces_arrive_as_they_were(
        messages in prop::collection::vec((prop::bool::ANY, prop::collection::vec(any::<u8>(), 0..3000)), 1..40),
        cuts in prop::collection::vec(1usize..5000, 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut stream = Vec::new();
            for (is_ping, payload) in &messages {
                let (first, payload) =
                    if *is_ping { (0x89, &payload[..payload.len().min(125)]) } else { (0x82, &payload[..]) };
                stream.extend(frame(Direction::ToOrigin, first, payload));
            }
            let mut rig = rig(true, PATIENT).await;
            let (expected, mut client) = (stream.clone(), std::mem::replace(&mut rig.client, closed()));
            let writer = tokio::spawn(async move {
                let mut rest = &stream[..];
                for cut in cuts.iter().cycle() {
                    let (piece, later) = rest.split_at(rest.len().min(*cut));
                    client.write_all(piece).await.unwrap();
                    client.flush().await.unwrap();
                    rest = later;
                    if rest.is_empty() { break; }
                }
                client.shutdown().await.unwrap();
                client
            });
            let got = read_to_end(&mut rig.origin).await;
            assert!(got == expected);
            drop((writer.await.unwrap(), std::mem::replace(&mut rig.origin, closed())));
            let totals = rig.ended().await;
            assert_eq!(totals.frames[0], messages.len() as u64);
        });
    }
}

#[tokio::test]
async fn a_relay_that_is_given_up_has_its_totals() {
    let (mut client, from_client, to_origin, mut origin) = ends(false).await;
    let settings = WebSocket {
        allowed_rsv: 0,
        tallies: Arc::default(),
        idle: PATIENT,
        mask: [1, 2, 3, 4],
        inspect: None,
    };
    let (seen, drain, mut totals) = (Seen::default(), RelayDrain::new(), None);
    let mut legs = WebSocketLegs::new(from_client, to_origin);
    let sent = frame(Direction::ToOrigin, 0x81, b"hello");
    let mut got = vec![0; sent.len()];
    let said = async {
        client.write_all(&sent).await.unwrap();
        origin.read_exact(&mut got).await.unwrap();
    };
    tokio::select! {
        () = websocket(&mut legs, settings, &drain, &seen, UNTOLD, &mut totals) => panic!("it goes on"),
        () = said => {}
    }
    assert_eq!(got, sent);
    let totals = totals.unwrap();
    assert_eq!((totals.end, totals.messages), (End::Aborted, [1, 0]));
}

#[tokio::test]
async fn who_asks_is_told_how_far_it_has_come_and_it_goes_idle_all_the_same() {
    const EVERY: Duration = Duration::from_millis(100);
    let (mut client, from_client, to_origin, mut origin) = ends(false).await;
    let settings = WebSocket {
        allowed_rsv: 0,
        tallies: Arc::default(),
        idle: EVERY * 15 / 2,
        mask: [1, 2, 3, 4],
        inspect: None,
    };
    let (seen, drain, mut totals) = (Seen::default(), RelayDrain::new(), None);
    let mut legs = WebSocketLegs::new(from_client, to_origin);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let tell = move |totals: &WebSocketTotals| {
        let _ = tell.send((Instant::now(), totals.messages));
    };
    let progress = WebSocketProgress {
        every: Some(EVERY),
        tell: &tell,
    };
    let sent = frame(Direction::ToOrigin, 0x81, b"hello");
    let begun = Instant::now();
    let talk = async move {
        let mut before = begun;
        for messages in 1..=3 {
            client.write_all(&sent).await.unwrap();
            origin.read_exact(&mut vec![0; sent.len()]).await.unwrap();
            loop {
                let (at, so_far) = told.recv().await.unwrap();
                assert!(at - before >= EVERY, "{:?} after the last", at - before);
                before = at;
                if so_far == [messages, 0] {
                    break;
                }
                assert_eq!(so_far, [messages - 1, 0]);
            }
        }
        // Now neither side says anything, and each sees the Close of the proxy.
        let closes = (client.read_u8().await.unwrap(), origin.read_u8().await.unwrap());
        assert_eq!(closes, (0x88, 0x88));
    };
    tokio::join!(
        websocket(&mut legs, settings, &drain, &seen, progress, &mut totals),
        talk
    );
    let totals = totals.unwrap();
    assert_eq!((totals.end, totals.messages), (End::Idle, [3, 0]));
}
