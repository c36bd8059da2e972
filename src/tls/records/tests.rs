use super::*;
use crate::tls::driver::{Feed, Unbuffered};
use crate::tls::testing::{Identity, client};
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs::{cipher_suite as suites, default_provider};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, InvalidMessage, ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

const SUITES: [SupportedCipherSuite; 6] = [
    suites::TLS13_AES_128_GCM_SHA256,
    suites::TLS13_AES_256_GCM_SHA384,
    suites::TLS13_CHACHA20_POLY1305_SHA256,
    suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];
const TLS13: SupportedCipherSuite = SUITES[0];
const TLS12: SupportedCipherSuite = SUITES[3];
const SIDES: [Side; 2] = [Side::Client, Side::Server];

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::new(&["a.example"]));

fn configs(suite: SupportedCipherSuite) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let mut provider = default_provider();
    provider.cipher_suites = vec![suite];
    let versions = &[suite.version()];
    let trusting = client(&IDENTITY.root, versions);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(IDENTITY.root.clone()).unwrap();
    drop(trusting);
    let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = IDENTITY.server(versions);
    (client.enable_secret_extraction, server.enable_secret_extraction) = (true, true);
    (Arc::new(client), Arc::new(server))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("a.example").unwrap()
}

/// Records at one end, with what they want to send.
struct Ours {
    records: Records,
    out: Outgoing,
    /// What has come and is not used up.
    wire: Vec<u8>,
    got: Vec<u8>,
}

impl Ours {
    fn new(connection: impl Unbuffered, wire: Vec<u8>) -> Self {
        Self {
            records: connection.into_records().unwrap(),
            out: Outgoing::default(),
            wire,
            got: Vec::new(),
        }
    }

    /// Takes in `bytes` as one read.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.wire.extend_from_slice(bytes);
        let got = &mut self.got;
        let used = self.records.open(&mut self.wire, &mut self.out, &mut |plain| {
            got.extend_from_slice(plain);
        })?;
        self.wire.drain(..used);
        assert!(self.wire.len() < MAX_RECORD);
        Ok(())
    }

    fn write(&mut self, plain: &[u8]) -> Vec<u8> {
        self.records.put(plain, &mut self.out).unwrap();
        self.sent()
    }

    /// A record of any type.
    fn say(&mut self, typ: ContentType, payload: &[u8]) {
        self.records.sealer.whole(typ, payload, &mut self.out).unwrap();
    }

    fn sent(&mut self) -> Vec<u8> {
        self.records.finish(&mut self.out).unwrap();
        self.out.take()
    }
}

fn take_in(peer: &mut Connection, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    while !bytes.is_empty() && peer.read_tls(&mut bytes).unwrap() > 0 {
        peer.process_new_packets()?;
        let _ = peer.reader().read_to_end(&mut plain);
    }
    Ok(plain)
}

fn give(peer: &mut Connection, plain: &[u8]) -> Vec<u8> {
    peer.set_buffer_limit(None);
    peer.writer().write_all(plain).unwrap();
    flush(peer)
}

fn flush(peer: &mut Connection) -> Vec<u8> {
    let mut out = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut out).unwrap();
    }
    out
}

fn shake<C: Unbuffered>(mut ours: C, mut peer: Connection) -> (Ours, Connection) {
    let mut feed = Feed::new(Vec::new());
    let mut out = Vec::new();
    loop {
        let done = feed.advance(&mut ours, &mut out).unwrap();
        take_in(&mut peer, &std::mem::take(&mut out)).unwrap();
        feed.wire.extend(flush(&mut peer));
        if done {
            return (Ours::new(ours, feed.wire), peer);
        }
    }
}

fn shake_by(ours: Side, config: &(Arc<ClientConfig>, Arc<ServerConfig>)) -> (Ours, Connection) {
    let (client, server) = (Arc::clone(&config.0), Arc::clone(&config.1));
    match ours {
        Side::Client => shake(
            UnbufferedClientConnection::new(client, name()).unwrap(),
            ServerConnection::new(server).unwrap().into(),
        ),
        Side::Server => shake(
            UnbufferedServerConnection::new(server).unwrap(),
            ClientConnection::new(client, name()).unwrap().into(),
        ),
    }
}

fn with_rustls(suite: SupportedCipherSuite, ours: Side) -> (Ours, Connection) {
    shake_by(ours, &configs(suite))
}

/// Both ends are ours: the client's, and the server's.
fn among_us(suite: SupportedCipherSuite) -> (Ours, Ours) {
    let config = configs(suite);
    let mut client = UnbufferedClientConnection::new(config.0, name()).unwrap();
    let mut server = UnbufferedServerConnection::new(config.1).unwrap();
    let (mut to_client, mut to_server) = (Feed::new(Vec::new()), Feed::new(Vec::new()));
    loop {
        let client_done = to_client.advance(&mut client, &mut to_server.wire).unwrap();
        let server_done = to_server.advance(&mut server, &mut to_client.wire).unwrap();
        if client_done && server_done {
            let client = Ours::new(client, to_client.wire);
            return (client, Ours::new(server, to_server.wire));
        }
    }
}

fn some_bytes(n: usize) -> Vec<u8> {
    (0..n).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Sizes around everything that the record layer counts in.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        0usize..200,
        4_000usize..4_200,
        16_300usize..16_500,
        30_000usize..50_000
    ];
    prop::collection::vec(size, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_byte_passes_both_ways_however_it_is_cut(
        which in 0..SUITES.len(), ours_is_client: bool, pieces in sizes(), cuts in sizes(), flush_each: bool,
    ) {
        let side = if ours_is_client { Side::Client } else { Side::Server };
        let (mut ours, mut peer) = with_rustls(SUITES[which], side);
        let mut wire = Vec::new();
        let mut all = Vec::new();
        for n in &pieces {
            let plain = some_bytes(*n);
            wire.extend(give(&mut peer, &plain));
            all.extend(plain);
        }
        let (mut left, mut cut) = (&wire[..], cuts.iter().cycle());
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(cut.next().unwrap() + 1));
            ours.read(now).unwrap();
            left = later;
        }
        prop_assert!(ours.got == all && ours.wire.is_empty());

        let mut wire = Vec::new();
        for n in &pieces {
            ours.records.put(&some_bytes(*n), &mut ours.out).unwrap();
            if flush_each {
                wire.extend(ours.sent());
            }
        }
        wire.extend(ours.sent());
        prop_assert!(take_in(&mut peer, &wire).unwrap() == all);
    }
}

#[test]
fn a_record_may_come_byte_by_byte_and_a_truncated_one_gives_nothing() {
    for suite in SUITES {
        for side in SIDES {
            let (mut ours, mut peer) = with_rustls(suite, side);
            let first = give(&mut peer, b"first");
            let second = give(&mut peer, b"second");
            for (at, byte) in first.iter().enumerate() {
                ours.read(&[*byte]).unwrap();
                let whole = at + 1 == first.len();
                assert_eq!(ours.got, if whole { &b"first"[..] } else { b"" }, "{at}");
            }
            for byte in &second[..second.len() - 1] {
                ours.read(&[*byte]).unwrap();
                assert_eq!(ours.got, b"first");
            }
            assert!(!ours.records.is_closed());
        }
    }
}

#[test]
fn of_a_corrupted_record_nothing_passes_and_the_session_stays_broken() {
    for suite in SUITES {
        for side in SIDES {
            let (mut ours, mut peer) = with_rustls(suite, side);
            let length = give(&mut peer, b"secret").len();
            for at in 0..length {
                let (mut ours, mut peer) = if at % 8 == 0 || at < 16 {
                    with_rustls(suite, side)
                } else {
                    continue;
                };
                let mut wire = give(&mut peer, b"secret");
                let good = give(&mut peer, b"good");
                wire[at] ^= 1;
                let read = ours.read(&wire).and_then(|()| ours.read(&good));
                let read = read.and_then(|()| ours.read(&vec![0; MAX_RECORD]));
                let error = read.expect_err("corrupted");
                assert!(ours.got.is_empty(), "{suite:?} {at} {error}");
                assert_eq!(ours.read(b"").unwrap_err(), error);
                assert!(ours.records.put(b"x", &mut ours.out).is_err());
                let told = take_in(&mut peer, &ours.out.take()).unwrap_err();
                assert!(matches!(told, Error::AlertReceived(_)), "{told}");
            }
            ours.read(&[]).unwrap();
        }
    }
}

#[test]
fn key_updates_of_the_peer_are_followed_and_answered() {
    for suite in &SUITES[..3] {
        for side in SIDES {
            let (mut ours, mut peer) = with_rustls(*suite, side);
            for round in 0..40u8 {
                peer.refresh_traffic_keys().unwrap();
                let mut wire = give(&mut peer, &[round]);
                if round % 3 == 0 {
                    peer.refresh_traffic_keys().unwrap();
                    wire.extend(give(&mut peer, b"again"));
                }
                for piece in wire.chunks(7) {
                    ours.read(piece).unwrap();
                }
                // The answer is there before the next data.
                let answer = ours.sent();
                assert!(!answer.is_empty());
                assert!(take_in(&mut peer, &answer).unwrap().is_empty());
                let data = ours.write(&[round, round]);
                assert_eq!(take_in(&mut peer, &data).unwrap(), [round, round]);
            }
            assert_eq!(ours.got.iter().filter(|byte| **byte < 40).count(), 40);
        }
    }
}

#[test]
fn key_updates_without_end_are_an_error() {
    let (mut ours, mut peer) = with_rustls(TLS13, Side::Server);
    let result: Result<Vec<()>, Error> = (0..40)
        .map(|_| {
            peer.refresh_traffic_keys().unwrap();
            ours.read(&flush(&mut peer))
        })
        .collect();
    assert_eq!(
        result.unwrap_err(),
        PeerMisbehaved::TooManyKeyUpdateRequests.into()
    );
}

#[test]
fn a_worn_out_key_is_replaced_or_not_used() {
    for suite in SUITES {
        for side in SIDES {
            let (mut ours, mut peer) = with_rustls(suite, side);
            ours.write(b"");
            let first = ours.write(b"first");
            assert_eq!(take_in(&mut peer, &first).unwrap(), b"first");
            ours.records.sealer.wear_out(3);
            if SUITES[3..].contains(&suite) {
                for _ in 0..3 {
                    let data = ours.write(b"last");
                    assert_eq!(take_in(&mut peer, &data).unwrap(), b"last");
                }
                let more = ours.records.put(b"more", &mut ours.out);
                assert_eq!(more, Err(Error::EncryptError));
                assert!(ours.out.is_empty(), "no plaintext is left behind");
                continue;
            }
            for round in 0..6u8 {
                let data = ours.write(&some_bytes(20_000));
                assert!(
                    take_in(&mut peer, &data).unwrap() == some_bytes(20_000),
                    "{round}"
                );
                // The peer was asked for an update of its own.
                let answer = give(&mut peer, b"answer");
                ours.read(&answer).unwrap();
            }
            assert_eq!(ours.got, b"answer".repeat(6));
        }
    }
}

#[test]
fn tickets_after_the_handshake_are_kept() {
    for suite in SUITES {
        let config = configs(suite);
        let (mut first, mut peer) = shake_by(Side::Client, &config);
        for byte in give(&mut peer, b"x") {
            first.read(&[byte]).unwrap();
        }
        assert_eq!(first.got, b"x");
        let (_, peer) = shake_by(Side::Client, &config);
        let kind = peer.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed), "{suite:?}");
    }
}

#[test]
fn a_close_notify_ends_the_stream_and_what_follows_is_not_looked_at() {
    for suite in SUITES {
        for side in SIDES {
            let (mut ours, mut peer) = with_rustls(suite, side);
            let mut wire = give(&mut peer, b"last");
            peer.send_close_notify();
            wire.extend(flush(&mut peer));
            wire.extend(b"whatever");
            ours.read(&wire).unwrap();
            ours.read(&[0; 100]).unwrap();
            assert!(ours.records.is_closed() && ours.got == b"last");

            let answer = ours.write(b"still open");
            assert_eq!(take_in(&mut peer, &answer).unwrap(), b"still open");
            ours.records.put(b"bye", &mut ours.out).unwrap();
            ours.records.close_notify(&mut ours.out);
            ours.records.close_notify(&mut ours.out);
            let end = ours.sent();
            assert_eq!(take_in(&mut peer, &end).unwrap(), b"bye");
            assert_eq!(peer.reader().read(&mut [0; 1]).unwrap(), 0, "a clean end");
            assert!(ours.records.put(b"x", &mut ours.out).is_err());
        }
    }
}

/// A NewSessionTicket without extensions (RFC 8446 section 4.6.1).
const TICKET: [u8; 19] = [4, 0, 0, 15, 0, 0, 0, 9, 1, 2, 3, 4, 1, 9, 0, 1, 7, 0, 0];

/// What only differs in what else might have come.
fn essence(error: &Error) -> String {
    match error {
        Error::InappropriateMessage { got_type, .. } => format!("inappropriate {got_type:?}"),
        Error::InappropriateHandshakeMessage { got_type, .. } => format!("inappropriate {got_type:?}"),
        // Both read a ChangeCipherSpec as it came, and an encrypted one begins with a random byte: one in 256 is a 1.
        Error::InvalidMessage(
            InvalidMessage::InvalidCcs | InvalidMessage::TrailingData("ChangeCipherSpecPayload"),
        ) => "invalid CCS".into(),
        Error::InvalidMessage(
            InvalidMessage::InvalidEmptyPayload | InvalidMessage::MissingData("AlertLevel"),
        ) => "an empty alert".into(),
        other => format!("{other:?}"),
    }
}

/// Sends records from one of us to another and to rustls, and compares what they say.
fn same_as_rustls(suite: SupportedCipherSuite, receiver: Side, sent: &[(ContentType, &[u8])]) {
    let (client, server) = among_us(suite);
    let (mut sender, mut ours) = match receiver {
        Side::Client => (server, client),
        Side::Server => (client, server),
    };
    for (typ, payload) in sent {
        sender.say(*typ, payload);
    }
    let mine = ours.read(&sender.sent());
    ours.records.finish(&mut ours.out).unwrap();
    let told = sender.read(&ours.out.take());

    let other = match receiver {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    };
    let (mut sender, mut rustls) = with_rustls(suite, other);
    for (typ, payload) in sent {
        sender.say(*typ, payload);
    }
    let theirs = take_in(&mut rustls, &sender.sent());
    let their_alert = sender.read(&flush(&mut rustls));
    let what = format!("{suite:?} {receiver:?} {sent:?}");
    match (&mine, &theirs) {
        (Ok(()), Ok(plain)) => assert_eq!(&ours.got, plain, "{what}"),
        (Err(mine), Err(theirs)) => assert_eq!(essence(mine), essence(theirs), "{what}"),
        _ => panic!("{what}: {mine:?} {theirs:?}"),
    }
    // rustls tells a peer nothing of some errors, and of others something else: there is a table of them below.
    match mine {
        Ok(()) => assert_eq!(told, their_alert, "{what}"),
        Err(Error::AlertReceived(_)) => {}
        Err(_) => assert!(told.is_err(), "{what}"),
    }
}

#[test]
fn whatever_a_peer_sends_is_judged_as_rustls_judges_it() {
    use ContentType as T;
    let fragments: [&[u8]; 2] = [&[24, 0], &[0, 1, 0]];
    let many = [(T::ApplicationData, &[][..]); 33];
    let warnings = [(T::Alert, &[1, 90][..]); 5];
    let pleas = [(T::Handshake, &[0, 0, 0, 0][..]); 2];
    let mut cases: Vec<Vec<(ContentType, &[u8])>> = vec![
        many.to_vec(),
        many[..32].to_vec(),
        warnings.to_vec(),
        warnings[..4].to_vec(),
        pleas.to_vec(),
        vec![(T::Handshake, fragments[0]), (T::Handshake, fragments[1])],
        vec![(T::Handshake, fragments[0]), (T::ApplicationData, b"between")],
        vec![(T::Handshake, fragments[0]), (T::Alert, &[2, 40])],
        vec![
            (T::ApplicationData, b"data"),
            (T::Alert, &[1, 0]),
            (T::ApplicationData, b"late"),
        ],
    ];
    let alone: [(ContentType, &[u8]); 20] = [
        (T::Alert, &[]),
        (T::Alert, &[2]),
        (T::Alert, &[2, 40]),
        (T::Alert, &[2, 0]),
        (T::Alert, &[1, 40]),
        (T::Alert, &[1, 90]),
        (T::Alert, &[3, 40]),
        (T::Alert, &[2, 40, 0]),
        (T::Handshake, &[24, 0, 0, 1, 0]),
        (T::Handshake, &[24, 0, 0, 1, 1]),
        (T::Handshake, &[24, 0, 0, 1, 2]),
        (T::Handshake, &[24, 0, 0, 1, 0, 24]),
        (T::Handshake, &[24, 1, 0, 0]),
        (T::Handshake, &[0, 0, 0, 0]),
        (T::Handshake, &[20, 0, 0, 0]),
        (T::Handshake, &[99, 0, 0, 1, 0]),
        (T::ChangeCipherSpec, &[1]),
        (T::Heartbeat, &[1, 0, 0]),
        (T::Unknown(99), &[1]),
        (T::Unknown(0), &[1]),
    ];
    cases.extend(alone.map(|one| vec![one]));
    same_as_rustls(TLS13, Side::Client, &[(T::Handshake, &[4, 0, 0, 1, 0])]);
    // TLS 1.2 does not know these messages, and refuses them before it looks at what is in them.
    let only_of_tls13: [&[u8]; 3] = [&[24, 0, 0, 0], &[24, 0, 0, 2, 0, 0], &TICKET];
    for receiver in SIDES {
        for message in only_of_tls13 {
            same_as_rustls(TLS13, receiver, &[(T::Handshake, message)]);
        }
    }
    for suite in [TLS13, TLS12, SUITES[5]] {
        for receiver in SIDES {
            for case in &cases {
                same_as_rustls(suite, receiver, case);
            }
        }
    }
}

/// What the peer is told by whom these records were sent to.
fn told_by(
    suite: SupportedCipherSuite,
    receiver: Side,
    sent: &[(ContentType, &[u8])],
) -> Option<AlertDescription> {
    let (client, server) = among_us(suite);
    let (mut sender, mut ours) = match receiver {
        Side::Client => (server, client),
        Side::Server => (client, server),
    };
    for (typ, payload) in sent {
        sender.say(*typ, payload);
    }
    let failed = ours.read(&sender.sent());
    failed.expect_err("a violation");
    alert_of(&mut ours, &mut sender)
}

fn alert_of(ours: &mut Ours, peer: &mut Ours) -> Option<AlertDescription> {
    match peer.read(&ours.out.take()) {
        Ok(()) => None,
        Err(Error::AlertReceived(alert)) => Some(alert),
        Err(other) => panic!("{other}"),
    }
}

type SentRecords<'a> = Vec<(ContentType, &'a [u8])>;

#[test]
fn violations_end_with_the_alert_that_the_rfc_names() {
    use AlertDescription as A;
    use ContentType as T;
    let update: &[u8] = &[24, 0, 0, 1, 0];
    // (section of RFC 8446, records, alert)
    let table: [(&str, SentRecords<'_>, Option<A>); 19] = [
        (
            "4.6.3",
            vec![(T::Handshake, &[24, 0, 0, 1, 2])],
            Some(A::IllegalParameter),
        ),
        (
            "5.1",
            vec![(T::Handshake, &[24, 0, 0, 1, 0, 24])],
            Some(A::UnexpectedMessage),
        ),
        (
            "4.6.3",
            vec![(T::Handshake, &[24, 0, 0, 0])],
            Some(A::DecodeError),
        ),
        (
            "4.6.3",
            vec![(T::Handshake, &[24, 0, 0, 2, 0, 0])],
            Some(A::DecodeError),
        ),
        (
            "4",
            vec![(T::Handshake, &[20, 0, 0, 0])],
            Some(A::UnexpectedMessage),
        ),
        (
            "4",
            vec![(T::Handshake, &[1, 0, 0, 0])],
            Some(A::UnexpectedMessage),
        ),
        (
            "4",
            vec![(T::Handshake, &[99, 0, 0, 1, 0])],
            Some(A::UnexpectedMessage),
        ),
        ("6.2", vec![(T::Handshake, &[24, 1, 0, 0])], Some(A::DecodeError)),
        (
            "5.1",
            vec![(T::Handshake, &update[..2]), (T::ApplicationData, b"x")],
            Some(A::UnexpectedMessage),
        ),
        (
            "5.1",
            vec![(T::Handshake, &update[..2]), (T::Alert, &[1, 0])],
            Some(A::UnexpectedMessage),
        ),
        ("5.4", vec![(T::Handshake, &[])], Some(A::UnexpectedMessage)),
        ("5.4", vec![(T::Alert, &[])], Some(A::UnexpectedMessage)),
        ("5.4", vec![(T::Unknown(0), &[0, 0])], Some(A::UnexpectedMessage)),
        ("5", vec![(T::Unknown(99), &[1])], Some(A::UnexpectedMessage)),
        ("5", vec![(T::ChangeCipherSpec, &[1])], Some(A::UnexpectedMessage)),
        ("6", vec![(T::Alert, &[2])], Some(A::DecodeError)),
        ("6", vec![(T::Alert, &[2, 40, 0])], Some(A::DecodeError)),
        ("6.2", vec![(T::Alert, &[1, 40])], None),
        ("6.2", vec![(T::Alert, &[2, 40])], None),
    ];
    for receiver in SIDES {
        for (section, sent, alert) in &table {
            let what = format!("section {section}: {sent:?} to a {receiver:?}");
            assert_eq!(told_by(TLS13, receiver, sent), *alert, "{what}");
        }
    }
    // A ticket is for clients.
    let ticket: [(ContentType, &[u8]); 1] = [(T::Handshake, &TICKET)];
    assert_eq!(told_by(TLS13, Side::Server, &ticket), Some(A::UnexpectedMessage));
    // Floods, which have no alert of their own.
    let empty = [(T::ApplicationData, &[][..]); 33];
    let warnings = [(T::Alert, &[1, 90][..]); 5];
    let mixed: [&[(ContentType, &[u8])]; 2] = [&empty, &warnings];
    for sent in mixed {
        assert_eq!(told_by(TLS13, Side::Server, sent), Some(A::UnexpectedMessage));
    }
    // Records whose headers, which nobody encrypts, are wrong.
    let headers: [(&str, &[u8], A); 7] = [
        ("5", &[0x63, 3, 3, 0, 1, 1], A::UnexpectedMessage),
        ("5", &[0x14, 3, 3, 0, 1, 1], A::UnexpectedMessage),
        ("5", &[0x14, 3, 3, 0, 1, 2], A::UnexpectedMessage),
        ("5.1", &[0x16, 3, 3, 0, 0], A::UnexpectedMessage),
        ("5.2", &[0x16, 3, 3, 0, 5, 24, 0, 0, 1, 0], A::UnexpectedMessage),
        ("5.2", &[0x17, 3, 3, 0xFF, 0xFF], A::RecordOverflow),
        ("5.2", &[0x17, 3, 3, 0, 3, 1, 2, 3], A::BadRecordMac),
    ];
    for (section, bytes, alert) in headers {
        for receiver in SIDES {
            let (client, server) = among_us(TLS13);
            let (mut peer, mut ours) = match receiver {
                Side::Client => (server, client),
                Side::Server => (client, server),
            };
            ours.read(bytes).expect_err("a violation");
            assert_eq!(
                alert_of(&mut ours, &mut peer),
                Some(alert),
                "section {section}: {bytes:?}"
            );
        }
    }
}

/// What has been sent of the keys' updates and not been read does not grow, whatever comes between them.
#[test]
fn answers_to_key_updates_are_joined_while_the_peer_does_not_read() {
    let between: [&[(ContentType, &[u8])]; 3] = [
        &[(ContentType::ApplicationData, b"")],
        &[(ContentType::ApplicationData, b"data")],
        &[
            (ContentType::ApplicationData, b"x"),
            (ContentType::ApplicationData, b""),
        ],
    ];
    for records in between {
        for side in SIDES {
            let (client, server) = among_us(TLS13);
            let (mut peer, mut ours) = match side {
                Side::Client => (server, client),
                Side::Server => (client, server),
            };
            let mut most = 0;
            for round in 0..500u32 {
                peer.records
                    .refresh(true, &mut peer.out)
                    .map_err(|RecordError(_, error)| error)
                    .unwrap();
                for (typ, payload) in records {
                    peer.say(*typ, payload);
                }
                let wire = peer.sent();
                ours.read(&wire).unwrap();
                // A flush that gets nothing out asks for the end of a record each time.
                ours.records.finish(&mut ours.out).unwrap();
                most = most.max(ours.out.len());
                // Now and then the proxy has something to say itself.
                if round == 250 {
                    ours.records.put(b"said", &mut ours.out).unwrap();
                    ours.records.finish(&mut ours.out).unwrap();
                }
            }
            assert!(
                most > 0 && ours.out.len() < 200,
                "{records:?}: {}",
                ours.out.len()
            );
            // All of it can be read: the last answer comes with the next data.
            ours.records.put(b" and done", &mut ours.out).unwrap();
            peer.read(&ours.sent()).unwrap();
            assert_eq!(peer.got, b"said and done");
            ours.read(&peer.write(b"read")).unwrap();
            assert!(ours.got.ends_with(b"read"));
        }
    }
}

/// Early data (RFC 8446 section 4.2.10) of a client whose ticket is another server's, or whose key shares are not the
/// wanted ones.
mod early_data {
    use super::*;
    use rustls::NamedGroup;
    use rustls::server::ServerSessionMemoryCache;

    /// A client with a ticket that lets it send so much, from a server that this one knows nothing of.
    fn client_with_ticket(most: u32) -> Arc<ClientConfig> {
        let (client, server) = configs(TLS13);
        let (mut client, mut server) = (ClientConfig::clone(&client), ServerConfig::clone(&server));
        client.enable_early_data = true;
        server.max_early_data_size = most;
        server.session_storage = ServerSessionMemoryCache::new(8);
        server.ticketer = Arc::new(NoTickets);
        let client = Arc::new(client);
        let mut first: Connection = ClientConnection::new(Arc::clone(&client), name()).unwrap().into();
        let mut other: Connection = ServerConnection::new(Arc::new(server)).unwrap().into();
        for _ in 0..4 {
            take_in(&mut other, &flush(&mut first)).unwrap();
            take_in(&mut first, &flush(&mut other)).unwrap();
        }
        client
    }

    #[derive(Debug)]
    struct NoTickets;

    impl rustls::server::ProducesTickets for NoTickets {
        fn enabled(&self) -> bool {
            false
        }
        fn lifetime(&self) -> u32 {
            0
        }
        fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
        fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }

    /// A server that takes no early data; with `retry` it wants a key share that the client has not sent.
    fn server(retry: bool) -> Arc<ServerConfig> {
        let (_, server) = configs(TLS13);
        let mut server = ServerConfig::clone(&server);
        if retry {
            let mut provider = default_provider();
            provider
                .kx_groups
                .retain(|group| group.name() == NamedGroup::secp384r1);
            let crypto = Arc::new(provider);
            let mut other = ServerConfig::builder_with_provider(crypto)
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&server.cert_resolver));
            other.enable_secret_extraction = true;
            server = other;
        }
        Arc::new(server)
    }

    /// Sends these pieces as early data, each as a record of its own, and says how the handshake ends.
    fn shake(retry: bool, pieces: &[usize], cut: usize) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let mut client = ClientConnection::new(client_with_ticket(1 << 20), name()).unwrap();
        let mut early = client.early_data().expect("a ticket for early data");
        let mut coming = Vec::new();
        for piece in pieces {
            early.write_all(&vec![b'e'; *piece]).unwrap();
        }
        let mut peer: Connection = client.into();
        coming.extend(flush(&mut peer));
        let mut ours = UnbufferedServerConnection::new(server(retry)).unwrap();
        let mut feed = Feed::new(Vec::new());
        let mut out = Vec::new();
        loop {
            let mut done = false;
            // However the pieces of the client's flight are read.
            let mut rest = &coming[..];
            while !done && !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(cut));
                feed.wire.extend_from_slice(now);
                rest = later;
                done = feed.advance(&mut ours, &mut out)?;
            }
            let behind = rest.to_vec();
            take_in(&mut peer, &std::mem::take(&mut out)).unwrap();
            if done {
                feed.wire.extend(behind);
                let mut ours = Ours::new(ours, feed.wire);
                let sent = give(&mut peer, b"late data");
                ours.read(&sent).unwrap();
                let got = std::mem::take(&mut ours.got);
                let answer = ours.write(b"answer");
                return Ok((got, take_in(&mut peer, &answer).unwrap()));
            }
            coming = flush(&mut peer);
            assert!(!coming.is_empty(), "both wait");
        }
    }

    #[test]
    fn what_was_not_accepted_is_skipped() {
        let many = vec![1_000; 16];
        let sizes: [&[usize]; 6] = [&[], &[1], &[16_000], &many, &[1; 100], &[300, 1, 4_000, 20]];
        for retry in [false, true] {
            for pieces in sizes {
                for cut in [usize::MAX, 1_460, 7] {
                    let done = shake(retry, pieces, cut);
                    let wanted = (b"late data".to_vec(), b"answer".to_vec());
                    assert_eq!(done.unwrap(), wanted, "retry: {retry}, {pieces:?} cut to {cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_skipped_is_bounded() {
        for retry in [false, true] {
            for pieces in [&vec![1_000; 20][..], &[16_384, 16_384]] {
                assert!(shake(retry, pieces, 1_460).is_err(), "retry: {retry}");
            }
        }
    }
}

#[test]
fn headers_that_cannot_be_are_judged_as_rustls_judges_them() {
    let headers: [&[u8]; 8] = [
        &[0x17, 3, 3, 0xFF, 0xFF],
        &[0x17, 3, 3, 0x48, 0x00],
        &[0x17, 2, 3, 0, 1],
        &[0x16, 3, 3, 0, 0],
        &[0x63, 3, 3, 0, 1],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0x17, 3, 3, 0, 3, 1, 2, 3],
        &[0x14, 3, 3, 0, 1, 1],
    ];
    for suite in [TLS13, TLS12, SUITES[5]] {
        for side in SIDES {
            for bytes in headers {
                let (mut ours, _) = with_rustls(suite, side);
                let mine = ours.read(bytes).unwrap_err();
                let other = if side == Side::Client {
                    Side::Server
                } else {
                    Side::Client
                };
                let (_, mut rustls) = with_rustls(suite, other);
                let theirs = take_in(&mut rustls, bytes).unwrap_err();
                assert_eq!(essence(&mine), essence(&theirs), "{suite:?} {side:?} {bytes:?}");
            }
        }
    }
}

#[test]
fn any_bytes_at_all_do_not_panic() {
    let (mut ours, _) = with_rustls(TLS13, Side::Client);
    for typ in 0..=255 {
        for length in [0u16, 1, 2, 5, 16, 17, 40] {
            ours.records.failure = None;
            ours.wire.clear();
            let [high, low] = length.to_be_bytes();
            let mut wire = vec![typ, 3, 3, high, low];
            wire.extend(vec![0x5A; usize::from(length)]);
            assert!(ours.read(&wire).is_err() && ours.got.is_empty());
        }
    }
}

#[test]
fn the_largest_record_is_opened_and_a_larger_one_is_not() {
    for suite in [TLS13, TLS12] {
        let (mut client, mut server) = among_us(suite);
        client.say(ContentType::ApplicationData, &some_bytes(1 << 14));
        server.read(&client.sent()).unwrap();
        assert_eq!(server.got.len(), 1 << 14);
        client.say(ContentType::ApplicationData, &some_bytes((1 << 14) + 1));
        assert_eq!(server.read(&client.sent()), Err(Error::PeerSentOversizedRecord));
        assert_eq!(server.got.len(), 1 << 14);
        let told = client.read(&server.out.take()).unwrap_err();
        assert_eq!(told, Error::AlertReceived(AlertDescription::RecordOverflow));
    }
}

/// A handshake whose bytes come one by one, with the peer's records as small as they can be.
fn shake_slowly<C: Unbuffered>(mut ours: C, mut peer: Connection) -> (Ours, Connection) {
    let mut feed = Feed::new(Vec::new());
    let (mut out, mut coming) = (Vec::new(), Vec::new().into_iter());
    loop {
        let done = feed.advance(&mut ours, &mut out).unwrap();
        take_in(&mut peer, &std::mem::take(&mut out)).unwrap();
        let more = flush(&mut peer);
        if done {
            feed.wire.extend(coming);
            feed.wire.extend(more);
            return (Ours::new(ours, feed.wire), peer);
        }
        coming = coming.chain(more).collect::<Vec<u8>>().into_iter();
        feed.wire.extend(coming.next());
    }
}

#[test]
fn handshakes_and_tickets_may_come_in_pieces_of_any_size() {
    for suite in SUITES {
        let (mut client, mut server) = configs(suite);
        Arc::make_mut(&mut client).max_fragment_size = Some(64);
        Arc::make_mut(&mut server).max_fragment_size = Some(64);
        let connect = UnbufferedClientConnection::new(Arc::clone(&client), name()).unwrap();
        let accepting = ServerConnection::new(Arc::clone(&server)).unwrap();
        let (mut ours, mut peer) = shake_slowly(connect, accepting.into());
        ours.read(&give(&mut peer, b"behind the tickets")).unwrap();
        assert_eq!(ours.got, b"behind the tickets");
        let answer = ours.write(b"answer");
        assert_eq!(take_in(&mut peer, &answer).unwrap(), b"answer");

        let accept = UnbufferedServerConnection::new(Arc::clone(&server)).unwrap();
        let connecting = ClientConnection::new(Arc::clone(&client), name()).unwrap();
        let (mut ours, mut peer) = shake_slowly(accept, connecting.into());
        assert_eq!(peer.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
        ours.read(&give(&mut peer, b"data")).unwrap();
        assert_eq!(ours.got, b"data");
    }
}

#[test]
fn data_right_behind_the_handshake_is_left_to_the_record_layer() {
    for suite in SUITES {
        let (client, server) = configs(suite);
        let mut ours = UnbufferedServerConnection::new(server).unwrap();
        let mut peer: Connection = ClientConnection::new(client, name()).unwrap().into();
        // Sent as soon as the client may, in one read with the end of its handshake.
        peer.writer().write_all(b"at once").unwrap();
        let (mut feed, mut out) = (Feed::new(flush(&mut peer)), Vec::new());
        while !feed.advance(&mut ours, &mut out).unwrap() {
            take_in(&mut peer, &std::mem::take(&mut out)).unwrap();
            feed.wire.extend(flush(&mut peer));
        }
        let mut ours = Ours::new(ours, feed.wire);
        take_in(&mut peer, &out).unwrap();
        ours.read(&flush(&mut peer)).unwrap();
        assert_eq!(ours.got, b"at once", "{suite:?}");
    }
}

#[test]
fn what_is_no_handshake_is_refused_with_an_alert_and_never_panics() {
    let (client, server) = configs(TLS13);
    let mut connecting = ClientConnection::new(client, name()).unwrap().into();
    let hello = flush(&mut connecting);
    for at in 0..hello.len() {
        let mut mutated = hello.clone();
        mutated[at] ^= 0x55;
        let mut ours = UnbufferedServerConnection::new(Arc::clone(&server)).unwrap();
        let mut out = Vec::new();
        match Feed::new(mutated).advance(&mut ours, &mut out) {
            // Another hello that is as good, or the beginning of a longer record.
            Ok(done) => assert!(!done),
            Err(_) => assert!(out.is_empty() || out[0] == 0x15 || out[0] == 0x16),
        }
    }
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16, 3, 1, 0xFF, 0xFF],
        &[0x80; 40],
    ] {
        let mut ours = UnbufferedServerConnection::new(Arc::clone(&server)).unwrap();
        let mut out = Vec::new();
        let error = Feed::new(garbage.to_vec()).advance(&mut ours, &mut out);
        assert!(matches!(error, Err(Error::InvalidMessage(_))), "{error:?}");
        // A fatal alert: decode_error.
        assert_eq!(out, [0x15, 3, 3, 0, 2, 2, 50]);
    }
}
