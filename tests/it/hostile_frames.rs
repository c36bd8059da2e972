//! Frames that break RFC 6455: both sides get Close 1002 or 1007, and the log says who did what.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Frame, Wire, frame};
use crate::harness::road::{Road, Version, over_both};
use crate::harness::{rules, until};
use serde_json::Value;
use std::io::{Read, Write};

over_both!(
    by_the_client,
    by_the_origin,
    whoever_is_still_sending_gets_its_close_too,
    what_follows_a_close_is_discarded,
    the_bit_of_an_agreed_extension_is_no_violation,
    a_violation_in_the_middle_of_a_frames_far_side_sends_no_broken_frame,
);

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What breaks, and the frames that break it, before masking is taken into account.
pub(crate) fn violations(mask: Option<[u8; 4]>) -> Vec<(&'static str, Vec<u8>)> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    // A header written by hand, then the mask and the payload.
    let by_hand = |header: &[u8], payload: &[u8]| {
        let mut bytes = header.to_vec();
        bytes[1] |= bit;
        bytes.extend(mask.iter().flatten());
        bytes.extend(payload);
        bytes
    };
    let close = |payload: &[u8]| ("bad_close_code", frame(0x88, mask, payload));
    let mut interrupted = frame(0x01, mask, b"begun");
    interrupted.extend(frame(0x81, mask, b"another"));
    let wrong_mask = if mask.is_some() { None } else { Some(MASK) };
    vec![
        ("reserved_opcode", frame(0x83, mask, b"x")),
        ("reserved_opcode", frame(0x87, mask, b"")),
        ("reserved_opcode", frame(0x8b, mask, b"x")),
        ("reserved_opcode", frame(0x8f, mask, b"")),
        ("reserved_bit", frame(0xc1, mask, b"x")),
        ("reserved_bit", frame(0xa2, mask, b"x")),
        ("reserved_bit", frame(0x91, mask, b"x")),
        ("fragmented_control", frame(0x09, mask, b"x")),
        ("fragmented_control", frame(0x08, mask, b"")),
        ("oversized_control", frame(0x89, mask, &[b'x'; 126])),
        ("oversized_control", frame(0x8a, mask, &[b'x'; 1_000])),
        (
            if mask.is_some() { "unmasked" } else { "masked" },
            frame(0x81, wrong_mask, b"x"),
        ),
        ("non_minimal_length", by_hand(&[0x81, 126, 0, 1], b"x")),
        ("non_minimal_length", by_hand(&[0x82, 126, 0, 125], &[0; 125])),
        (
            "non_minimal_length",
            by_hand(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], b"x"),
        ),
        (
            "length_overflow",
            by_hand(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1], b"x"),
        ),
        ("stray_continuation", frame(0x80, mask, b"x")),
        ("interrupted_message", interrupted),
        close(&[0x03]),
        close(&999_u16.to_be_bytes()),
        close(&1004_u16.to_be_bytes()),
        close(&1005_u16.to_be_bytes()),
        close(&1006_u16.to_be_bytes()),
        close(&1015_u16.to_be_bytes()),
        close(&5000_u16.to_be_bytes()),
        ("bad_close_reason", frame(0x88, mask, &[0x03, 0xe8, 0xff, 0xfe])),
    ]
}

/// Frames up to the first Close.
fn up_to_close<S: Read + Write>(end: &mut Wire<S>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = end.frame() {
        frames.push(frame);
        if frames.last().is_some_and(|frame| frame.first == 0x88) {
            break;
        }
    }
    frames
}

/// Each violation on a WebSocket of its own; `by_client` says who commits it.
fn each(version: Version, by_client: bool) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let mask = by_client.then_some(MASK);
    let (side, cases) = (if by_client { "client" } else { "origin" }, violations(mask));
    for (count, (label, bytes)) in cases.iter().enumerate() {
        let case = format!("{label} by the {side}: {:02x?}", &bytes[..bytes.len().min(16)]);
        let (mut client, mut origin) = road.websocket(&proxy);
        let mut sent = frame(0x81, mask, b"fine");
        sent.extend(bytes);
        // An oversized frame may meet a proxy that has hung up.
        let _ = if by_client {
            client.try_send(sent)
        } else {
            origin.try_send(sent)
        };
        let (at_client, at_origin) = (up_to_close(&mut client), up_to_close(&mut origin));
        drop((client, origin));

        let code = |frames: &[Frame]| frames.last().and_then(Frame::close_code);
        // As an endpoint would close for it (RFC 6455 section 8.1).
        let expected = if *label == "bad_close_reason" { 1007 } else { 1002 };
        assert_eq!(
            code(&at_client),
            Some(expected),
            "at the client, {case}: {at_client:?}"
        );
        assert_eq!(
            code(&at_origin),
            Some(expected),
            "at the origin, {case}: {at_origin:?}"
        );
        assert!(at_client.iter().all(|frame| !frame.masked), "{case}");
        assert!(at_origin.iter().all(|frame| frame.masked), "{case}");
        // What was in order before it was passed on; nothing of the violating frame was.
        let far = if by_client { &at_origin } else { &at_client };
        let begun = *label == "interrupted_message";
        let payloads: Vec<&[u8]> = far[..far.len() - 1]
            .iter()
            .map(|frame| &frame.payload[..])
            .collect();
        let expected: &[&[u8]] = if begun { &[b"fine", b"begun"] } else { &[b"fine"] };
        assert_eq!(payloads, expected, "{case}");

        let lines = until("a line in the access log", || {
            let lines = proxy.log_so_far("websocket");
            (lines.len() == count + 1).then_some(lines)
        });
        let line = &lines[count];
        assert_eq!(line["outcome"], "protocol_error", "{case}: {line}");
        assert_eq!(line["violation_by"], side, "{case}: {line}");
        assert_eq!(line["error"], *label, "{case}: {line}");
        assert_eq!(line["protocol"], version.logged(), "{case}: {line}");
    }
    let counted = proxy
        .metrics()
        .sum("wsbump_websocket_protocol_errors_total", &[("side", side)]);
    assert_eq!(counted as usize, cases.len());
}

fn by_the_client(version: Version) {
    each(version, true);
}

fn by_the_origin(version: Version) {
    each(version, false);
}

fn whoever_is_still_sending_gets_its_close_too(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    // The proxy has seen enough at the header. Were it to hang up with bytes unread, the kernel would answer
    // them with a reset, and that would throw away the Close on its way.
    let (mut client, origin) = road.websocket(&proxy);
    let _ = client.try_send(frame(0x8a, Some(MASK), &[b'x'; 70_000]));
    assert_eq!(
        up_to_close(&mut client).last().and_then(Frame::close_code),
        Some(1002)
    );
    drop((client, origin));
    let (client, mut origin) = road.websocket(&proxy);
    let _ = origin.try_send(frame(0x8a, None, &[b'x'; 70_000]));
    assert_eq!(
        up_to_close(&mut origin).last().and_then(Frame::close_code),
        Some(1002)
    );
    drop((client, origin));
}

/// A peer discards what follows a Close (RFC 6455 section 1.4). So does the proxy, which nobody can make pass there what
/// rules would stop; and the closing handshake goes on as it does without a proxy.
fn what_follows_a_close_is_discarded(version: Version) {
    let behind = |mask: Option<[u8; 4]>| {
        [
            frame(0x81, mask, b"late"),
            frame(0x01, mask, b"leave this out"),
            frame(0x89, mask, b"a ping"),
            frame(0x88, mask, b"\x03\xe9"),
            // This would break RFC 6455 anywhere else.
            vec![0xff; 200],
        ]
        .concat()
    };
    for (inspected, setup) in [
        (false, Setup::new()),
        (true, Setup::new().config(rules::MESSAGES)),
    ] {
        let proxy = setup.start();
        let road = Road::start(version);
        for by_client in [true, false] {
            for inside_a_message in [false, true] {
                let (mut client, mut origin) = road.websocket(&proxy);
                let case =
                    format!("inspected: {inspected}, by the client: {by_client}, inside: {inside_a_message}");
                let (near, far, mask) = if by_client {
                    (&mut client, &mut origin, Some(MASK))
                } else {
                    (&mut origin, &mut client, None)
                };
                let mut before = frame(0x82, mask, b"all of it");
                if inside_a_message && !inspected {
                    // Where rules may hold it, a message that is never whole is never judged, and does not go on.
                    before.extend(frame(0x01, mask, b"some of "));
                }
                before.extend(frame(0x88, mask, b"\x03\xe8"));
                let mut sent = before.clone();
                if inside_a_message {
                    sent.extend(frame(0x80, mask, b"a message"));
                }
                sent.extend(behind(mask));
                near.send(&sent);
                assert!(far.exactly(before.len()) == before, "{case}");
                // The rest comes in pieces of its own.
                let later = behind(mask);
                near.send(&later);
                let answer = frame(0x88, (!by_client).then_some(MASK), b"\x03\xe8");
                far.send(&answer);
                assert!(near.exactly(answer.len()) == answer, "{case}");
                let discarded = (sent.len() - before.len() + later.len()) as u64;
                let line = if by_client {
                    drop(client);
                    assert!(origin.rest().is_empty(), "{case}");
                    drop(origin);
                    proxy.log("websocket", |line| line["discarded_to_origin"] == discarded)
                } else {
                    drop(origin);
                    assert!(client.rest().is_empty(), "{case}");
                    drop(client);
                    proxy.log("websocket", |line| line["discarded_to_client"] == discarded)
                };
                let side = if by_client { "client" } else { "origin" };
                assert_eq!(
                    (
                        &line["outcome"],
                        &line["closed_by"],
                        &line["close_code"],
                        &line["error"]
                    ),
                    (&"closed".into(), &side.into(), &1000.into(), &Value::Null),
                    "{case}: {line}"
                );
            }
        }
        let errors = proxy.metrics().sum("wsbump_websocket_protocol_errors_total", &[]);
        assert!(errors < 0.1, "inspected: {inspected}");
    }
}

fn the_bit_of_an_agreed_extension_is_no_violation(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut client, mut origin) = road.websocket_with(&proxy, extension, extension);
    let sent = frame(0xc1, Some(MASK), &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    client.send(&sent);
    assert_eq!(origin.exactly(sent.len()), sent);
    // The second bit is nobody's.
    client.send(frame(0xa1, Some(MASK), b"x"));
    assert_eq!(
        up_to_close(&mut origin).last().and_then(Frame::close_code),
        Some(1002)
    );
    assert_eq!(
        up_to_close(&mut client).last().and_then(Frame::close_code),
        Some(1002)
    );
}

fn a_violation_in_the_middle_of_a_frames_far_side_sends_no_broken_frame(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    // Half of a frame is on its way to the client when the client breaks the protocol: a Close may not be
    // put into the middle of it.
    let half = &frame(0x82, None, &[7; 1000])[..500];
    origin.send(half);
    assert_eq!(client.exactly(500), half);
    client.send(frame(0x83, Some(MASK), b"x"));
    assert_eq!(
        up_to_close(&mut origin).last().and_then(Frame::close_code),
        Some(1002)
    );
    assert!(client.rest().is_empty());
}
