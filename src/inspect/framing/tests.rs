use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const LIMITS: FramingLimits = FramingLimits {
    kept: 4096,
    inflated: 1 << 20,
};

fn decode(
    framing: AppFraming,
    state: &FramingState,
    data: &[u8],
    opcode: Option<Opcode>,
) -> (Option<Decoded>, FramingState) {
    let taken = super::decode(framing, state.again(), data, opcode, LIMITS);
    (taken.decoded, taken.after)
}

fn texts(decoded: &Decoded) -> Vec<Vec<String>> {
    let text = |piece: &FramedValue| String::from_utf8_lossy(&piece.text).into_owned();
    let units = decoded.units.iter();
    units.map(|unit| unit.pieces.iter().map(text).collect()).collect()
}

fn text(framing: AppFraming, data: &str) -> (Option<Decoded>, FramingState) {
    decode(framing, &FramingState::Begin, data.as_bytes(), Some(Opcode::Text))
}

#[test]
fn socketio_packets_are_read() {
    let (decoded, _) = text(AppFraming::SocketIo, r#"42/nsp,12["ev",{"a":"x\u0079"},7]"#);
    let decoded = decoded.unwrap();
    assert_eq!(texts(&decoded), [["/nsp", "ev", "a", "xy", "7"]]);
    assert_eq!(
        decoded.units[0].document,
        json!({"packet": "event", "namespace": "/nsp", "id": 12, "data": ["ev", {"a": "xy"}, 7]})
    );
    let (decoded, _) = text(AppFraming::SocketIo, "42[\"a\"]\u{1e}2\u{1e}40{\"token\":\"t\"}");
    let decoded = decoded.unwrap();
    let packets: Vec<_> = decoded
        .units
        .iter()
        .map(|unit| &unit.document["packet"])
        .collect();
    assert_eq!(packets, ["event", "ping", "connect"]);
    // Engine.IO 3 counts UTF-16 units.
    let (decoded, _) = text(AppFraming::SocketIo, "9:42[\"é𝄞\"]2:40");
    assert_eq!(texts(&decoded.unwrap()), [vec!["é𝄞"], vec![]]);
    for broken in [
        "",
        "42",
        "42{",
        "42[\"a\"]x",
        "9",
        "451[\"a\"]",
        "hello",
        "42{}",
        "3:40",
    ] {
        assert!(text(AppFraming::SocketIo, broken).0.is_none(), "{broken}");
    }
}

#[test]
fn attachments_belong_to_their_event() {
    let (_, state) = text(AppFraming::SocketIo, r#"452-["f",{"_placeholder":true,"num":0}]"#);
    let (_, state) = decode(AppFraming::SocketIo, &state, b"2", Some(Opcode::Text));
    let (first, state) = decode(AppFraming::SocketIo, &state, b"one", Some(Opcode::Binary));
    let first = first.unwrap();
    assert_eq!(first.units[0].document["data"][0], "f");
    assert!(first.needed.is_some() && !first.orphaned);
    let (second, mut state) = decode(AppFraming::SocketIo, &state, b"\x04two", Some(Opcode::Binary));
    assert_eq!(texts(&second.unwrap()), [["two"]]);
    assert!(!state.is_open());
    assert!(
        decode(AppFraming::SocketIo, &state, b"three", Some(Opcode::Binary))
            .0
            .is_none()
    );
    (_, state) = text(AppFraming::SocketIo, r#"451-["f",0]"#);
    state.left_out();
    let (orphan, _) = decode(AppFraming::SocketIo, &state, b"one", Some(Opcode::Binary));
    assert!(orphan.unwrap().orphaned);
}

proptest! {
    #[test]
    fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..200), is_text in any::<bool>()) {
        let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        for framing in ALL {
            let (_, state) = decode(framing, &FramingState::Begin, &data, Some(opcode));
            decode(framing, &state, &data, Some(Opcode::Binary));
        }
    }

    #[test]
    fn no_prefix_and_no_mutation_panics(at in 0..200_usize, byte in any::<u8>(), which in 0..SAMPLES.len()) {
        let mut data = SAMPLES[which].to_vec();
        for framing in ALL {
            decode(framing, &FramingState::Begin, &data[..at % data.len()], Some(Opcode::Text));
        }
        let at = at % data.len();
        data[at] = byte;
        for framing in ALL {
            if let (Some(decoded), _) = decode(framing, &FramingState::Begin, &data, Some(Opcode::Text)) {
                for unit in &decoded.units {
                    prop_assert!(unit.at.end <= data.len());
                    for place in unit.pieces.iter().filter_map(|piece| piece.at.as_ref()) {
                        prop_assert!(unit.at.start <= place.start && place.end <= unit.at.end);
                    }
                }
            }
        }
    }

    #[test]
    fn what_an_encoder_wrote_is_read_and_can_be_replaced(
        words in prop::collection::vec("[^/\u{1e}]{1,8}", 1..5),
        namespace in prop::option::of("/[a-z]{0,5}"),
        id in prop::option::of(0..1000_u32),
        new in ".{0,9}",
    ) {
        let content = serde_json::to_string(&words).unwrap();
        let prefix = namespace.as_ref().map_or(String::new(), |name| format!("{name},"));
        let id = id.map_or(String::new(), |id| id.to_string());
        let packet = format!("42{prefix}{id}{content}");
        let packets = format!("{packet}\u{1e}3");
        let decoded = text(AppFraming::SocketIo, &packets).0.unwrap();
        prop_assert_eq!(&decoded.units[0].document["data"], &json!(words));
        let last = decoded.units[0].pieces.last().unwrap();
        let edited = redact(&decoded, packets.as_bytes(), &[(last, new.clone().into_bytes())]).unwrap();
        let again = decode(AppFraming::SocketIo, &FramingState::Begin, &edited, Some(Opcode::Text)).0.unwrap();
        let mut wanted = words.clone();
        *wanted.last_mut().unwrap() = new.clone();
        prop_assert_eq!(&again.units[0].document["data"], &json!(wanted));
        prop_assert_eq!(again.units.len(), 2);
    }
}

const ALL: [AppFraming; 6] = [
    AppFraming::ZlibStream,
    AppFraming::SocketIo,
    AppFraming::SignalR,
    AppFraming::GraphQlWs,
    AppFraming::Stomp,
    AppFraming::Mqtt,
];
const SAMPLES: [&[u8]; 10] = [
    b"452-/nsp,12[\"event\",{\"a\":\"x\\u0079\",\"n\":-1.5e3}]\x1e2probe\x1e40",
    b"8:42[\"\xc3\xa9\"]2:40",
    b"{\"type\":1,\"target\":\"Send\",\"arguments\":[\"a\\n\"]}\x1e{\"type\":6}\x1e",
    b"{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":{\"query\":\"{ a }\",\"variables\":{\"x\":1}}}",
    b"\n\nSEND\ndestination:/a\\cb\ncontent-length:3\n\na\0b\0\n",
    b"MESSAGE\r\na:b\r\n\r\n{\"x\":[1,\"y\"]}\0CONNECT\naccept-version:1.2\n\n\0",
    b"\x10\x14\0\x04MQTT\x05\xc2\0\0\0\0\x01a\0\x01b\0\x01c\x32\x0a\0\x01t\0\x01\0{\"a\"\xc0\0",
    b"\x30\x08\0\x03a/bxyz\x30\x09\0\x01t[\"xy\"]",
    b"{}\x1e\x10\x96\x01\x80\xc0\xa4Send\x92\xa1a\xcd\x12\x67\x90\x02\x91\x06",
    b"\x11\x95\x03\x81\xa1h\xa1v\xa11\x03\xc4\x02\xff\0\xd6\xff\0\0\0\0",
];

/// Frames of STOMP as an encoder writes them, and what they say.
fn stomp_frames() -> impl Strategy<Value = Vec<(String, String, bool)>> {
    prop::collection::vec(("[a-z:\\\\\n\r]{0,6}", "[^\0]{0,30}", any::<bool>()), 1..5)
}

fn write_stomp(frames: &[(String, String, bool)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (header, body, sized) in frames {
        let header: String = (header.chars())
            .map(|char| match char {
                '\n' => "\\n".into(),
                '\r' => "\\r".into(),
                ':' => "\\c".into(),
                '\\' => "\\\\".into(),
                other => other.to_string(),
            })
            .collect();
        let size = if *sized {
            format!("content-length:{}\n", body.len())
        } else {
            String::new()
        };
        out.extend_from_slice(format!("SEND\nx:{header}\n{size}\n{body}\0\n").as_bytes());
    }
    out
}

fn write_mqtt(packets: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (topic, payload) in packets {
        out.push(0x30);
        let mut left = 2 + topic.len() + payload.len();
        while left > 0x7f {
            out.push(left as u8 & 0x7f | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
        out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        out.extend_from_slice(topic.as_bytes());
        out.extend_from_slice(payload);
    }
    out
}

/// A document and its values.
type Said = (Value, Vec<Vec<u8>>);

/// The documents and values of a stream that comes in messages of these sizes, and what is left of it.
fn say(framing: AppFraming, stream: &[u8], sizes: &[usize]) -> (Vec<Said>, usize) {
    let (mut state, mut found, mut from) = (FramingState::Begin, Vec::new(), 0);
    for size in sizes.iter().cycle() {
        let to = (from + size).min(stream.len());
        let taken = super::decode(framing, state, &stream[from..to], Some(Opcode::Binary), LIMITS);
        for unit in taken.decoded.unwrap().units {
            if !unit.document.is_null() {
                found.push((
                    unit.document,
                    unit.pieces.into_iter().map(|piece| piece.text).collect(),
                ));
            }
        }
        state = taken.after;
        from = to;
        if from == stream.len() {
            break;
        }
    }
    (found, state.held())
}

proptest! {
    #[test]
    fn where_a_stream_of_stomp_is_cut_does_not_matter(
        frames in stomp_frames(),
        sizes in prop::collection::vec(1..20_usize, 1..8),
    ) {
        let stream = write_stomp(&frames);
        let (found, left) = say(AppFraming::Stomp, &stream, &sizes);
        prop_assert_eq!(left, 0);
        prop_assert_eq!(&found, &say(AppFraming::Stomp, &stream, &[stream.len()]).0);
        prop_assert_eq!(found.len(), frames.len());
        for ((document, _), (header, body, _)) in found.iter().zip(&frames) {
            prop_assert_eq!(document["headers"]["x"].as_str(), Some(&header[..]));
            if serde_json::from_str::<Value>(body).is_err() && !body.is_empty() {
                prop_assert_eq!(document["body"].as_str(), Some(&body[..]));
            }
        }
    }

    #[test]
    fn where_a_stream_of_mqtt_is_cut_does_not_matter(
        packets in prop::collection::vec(("[a-z/]{0,9}", prop::collection::vec(any::<u8>(), 0..300)), 1..5),
        sizes in prop::collection::vec(1..90_usize, 1..8),
    ) {
        let stream = write_mqtt(&packets);
        let (found, left) = say(AppFraming::Mqtt, &stream, &sizes);
        prop_assert_eq!(left, 0);
        prop_assert_eq!(&found, &say(AppFraming::Mqtt, &stream, &[stream.len()]).0);
        prop_assert_eq!(found.len(), packets.len());
        for ((document, pieces), (topic, payload)) in found.iter().zip(&packets) {
            prop_assert_eq!(document["topic"].as_str(), Some(&topic[..]));
            if serde_json::from_slice::<Value>(payload).is_err() {
                prop_assert_eq!(&pieces[1], payload);
            }
        }
    }

    #[test]
    fn what_is_replaced_in_frames_is_as_if_it_had_been_written_so(
        frames in stomp_frames(),
        packets in prop::collection::vec(("[a-z]{1,9}", prop::collection::vec(0x80_u8.., 1..300)), 1..5),
        header in "[a-z:\\\\\n\r]{0,9}",
        new in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut frames: Vec<_> = frames.into_iter().map(|(header, body, sized)| (header, format!("={body}"), sized)).collect();
        let mut stream = write_stomp(&frames);
        let decoded = decode(AppFraming::Stomp, &FramingState::Begin, &stream, None).0.unwrap();
        let edits: Vec<_> = decoded.units.iter().flat_map(|unit| {
            [(&unit.pieces[0], header.clone().into_bytes()), (&unit.pieces[1], b"=new body".to_vec())]
        }).collect();
        stream = redact(&decoded, &stream, &edits).unwrap();
        for (old, body, _) in &mut frames {
            *old = header.clone();
            *body = "=new body".into();
        }
        prop_assert_eq!(stream, write_stomp(&frames));

        let mut packets = packets;
        let mut stream = write_mqtt(&packets);
        let decoded = decode(AppFraming::Mqtt, &FramingState::Begin, &stream, None).0.unwrap();
        let edits: Vec<_> = decoded.units.iter().flat_map(|unit| {
            [(&unit.pieces[0], b"other".to_vec()), (&unit.pieces[1], new.clone())]
        }).collect();
        stream = redact(&decoded, &stream, &edits).unwrap();
        for (topic, payload) in &mut packets {
            *topic = "other".into();
            *payload = new.clone();
        }
        prop_assert_eq!(stream, write_mqtt(&packets));
    }
}

#[test]
fn connecting_says_who_and_which_version() {
    let data = b"\x10\x14\0\x04MQTT\x05\xc2\0\0\0\0\x01a\0\x01b\0\x01c\x30\x06\0\x01t\0hi";
    let (decoded, state) = decode(AppFraming::Mqtt, &FramingState::Begin, data, Some(Opcode::Binary));
    let decoded = decoded.unwrap();
    assert_eq!(
        decoded.units[0].document,
        json!({"packet": "connect", "version": 5, "client_id": "a", "user_name": "b"})
    );
    // Version 5 has properties in front of the payload, here and from now on.
    assert_eq!(decoded.units[1].document["payload"], "hi");
    let (decoded, _) = decode(
        AppFraming::Mqtt,
        &state,
        b"\x30\x06\0\x01t\0ho",
        Some(Opcode::Binary),
    );
    assert_eq!(decoded.unwrap().units[0].document["payload"], "ho");
    let (_, state) = decode(AppFraming::Mqtt, &FramingState::Begin, b"\x20\x03\0\0\0", None);
    let (decoded, _) = decode(AppFraming::Mqtt, &state, b"\x30\x06\0\x01t\0ho", None);
    assert_eq!(decoded.unwrap().units[0].document["payload"], "ho");
}

#[test]
fn a_frame_that_is_too_long_is_not_kept() {
    let mut data = b"SEND\ncontent-length:100000\n\n".to_vec();
    let (decoded, state) = decode(AppFraming::Stomp, &FramingState::Begin, &data, None);
    assert!(decoded.unwrap().needed.is_some() && state.held() > 0);
    data.resize(LIMITS.kept + 1, b'x');
    let taken = super::decode(AppFraming::Stomp, FramingState::Begin, &data, None, LIMITS);
    assert_eq!(taken.blind, Some(Blind::MessageBudget));
    assert!(taken.decoded.is_none() && taken.after.held() == 0);
}

#[test]
fn lengths_that_cannot_be_written_are_refused() {
    let data = write_mqtt(&[("topic".into(), b"x".to_vec())]);
    let decoded = decode(AppFraming::Mqtt, &FramingState::Begin, &data, None)
        .0
        .unwrap();
    let topic = &decoded.units[0].pieces[0];
    assert!(redact(&decoded, &data, &[(topic, vec![b'x'; 65_536])]).is_err());
    assert!(redact(&decoded, &data, &[(topic, b"#".to_vec())]).is_err());
    let data = b"CONNECT\nlogin:a\n\n\0";
    let decoded = decode(AppFraming::Stomp, &FramingState::Begin, data, None)
        .0
        .unwrap();
    assert!(redact(&decoded, data, &[(&decoded.units[0].pieces[0], b"a\nb".to_vec())]).is_err());
}

#[test]
fn signalr_messages_are_read_in_both_encodings() {
    let json = "{\"type\":1,\"target\":\"Send\",\"arguments\":[\"a\",4711]}\u{1e}";
    let packed = b"{}\x1e\x10\x96\x01\x80\xc0\xa4Send\x92\xa1a\xcd\x12\x67\x90\x02\x91\x06";
    let written = text(AppFraming::SignalR, json).0.unwrap();
    let decoded = decode(
        AppFraming::SignalR,
        &FramingState::Begin,
        packed,
        Some(Opcode::Binary),
    )
    .0
    .unwrap();
    assert_eq!(texts(&decoded), [vec![], vec!["Send", "a", "4711"], vec![]]);
    for name in ["type", "target", "arguments"] {
        assert_eq!(decoded.units[1].document[name], written.units[0].document[name]);
    }
    assert_eq!(decoded.units[2].document, json!({"type": 6}));
    let completion = |kind: &[u8]| {
        let body = [b"\x95\x03\x80\xa11", kind].concat();
        let data = [&[body.len() as u8], &body[..]].concat();
        decode(
            AppFraming::SignalR,
            &FramingState::Begin,
            &data,
            Some(Opcode::Binary),
        )
        .0
        .unwrap()
        .units[0]
            .document
            .clone()
    };
    assert_eq!(
        completion(b"\x01\xa1e"),
        json!({"type": 3, "headers": {}, "invocationId": "1", "error": "e"})
    );
    assert_eq!(
        completion(b"\x03\xa1r"),
        json!({"type": 3, "headers": {}, "invocationId": "1", "result": "r"})
    );
    for broken in [
        &b""[..],
        b"\x02\x91",
        b"\x03\x91\x06",
        b"\x01\x06",
        b"\x02\x91\x0a",
        b"\x02\x91\xa1",
        b"\xff\xff\xff\xff\xff\x01",
        b"{}",
        b"\x03\x91\x06\x06",
        b"{}\x1e{",
    ] {
        assert!(
            decode(AppFraming::SignalR, &FramingState::Begin, broken, None)
                .0
                .is_none(),
            "{broken:x?}"
        );
    }
    // Arrays in arrays cost no stack.
    let mut deep = vec![0x92, 0x06];
    deep.resize(60_000, 0x91);
    deep.push(0xc0);
    let size = [
        deep.len() as u8 & 0x7f | 0x80,
        (deep.len() >> 7) as u8 & 0x7f | 0x80,
        (deep.len() >> 14) as u8,
    ];
    let deep = [&size[..], &deep].concat();
    assert!(
        decode(AppFraming::SignalR, &FramingState::Begin, &deep, None)
            .0
            .is_none()
    );
}

/// A call as SignalR's MessagePack protocol writes it.
fn write_call(target: &str, arguments: &[Value]) -> Vec<u8> {
    use rmp::encode;
    let mut body = Vec::new();
    encode::write_array_len(&mut body, 6).unwrap();
    encode::write_uint(&mut body, 1).unwrap();
    encode::write_map_len(&mut body, 0).unwrap();
    encode::write_nil(&mut body).unwrap();
    encode::write_str(&mut body, target).unwrap();
    write_packed(&mut body, &Value::Array(arguments.to_vec()));
    encode::write_array_len(&mut body, 0).unwrap();
    let (mut out, mut left) = (Vec::new(), body.len());
    while left > 0x7f {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
    out.extend(body);
    out
}

fn write_packed(out: &mut Vec<u8>, value: &Value) {
    use rmp::encode;
    match value {
        Value::Null => encode::write_nil(out).unwrap(),
        Value::Bool(value) => encode::write_bool(out, *value).unwrap(),
        Value::Number(value) => match (value.as_u64(), value.as_i64()) {
            (Some(value), _) => drop(encode::write_uint(out, value).unwrap()),
            (_, Some(value)) => drop(encode::write_sint(out, value).unwrap()),
            _ => encode::write_f64(out, value.as_f64().unwrap()).unwrap(),
        },
        Value::String(value) => encode::write_str(out, value).unwrap(),
        Value::Array(items) => {
            encode::write_array_len(out, items.len() as u32).unwrap();
            items.iter().for_each(|item| write_packed(out, item));
        }
        Value::Object(members) => {
            encode::write_map_len(out, members.len() as u32).unwrap();
            for (name, member) in members {
                encode::write_str(out, name).unwrap();
                write_packed(out, member);
            }
        }
    }
}

/// Documents of every kind, with strings of every size of head.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
        (30..300_usize).prop_map(|size| "s".repeat(size).into()),
        (65_530..65_540_usize).prop_map(|size| "l".repeat(size).into()),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn signalr_calls_are_read_as_they_were_written_and_changed_as_if_written_so(
        calls in prop::collection::vec((".{1,40}", prop::collection::vec(documents(), 0..4)), 1..4),
        new in ".{0,300}",
    ) {
        let stream: Vec<u8> = calls.iter().flat_map(|(target, arguments)| write_call(target, arguments)).collect();
        let decoded = decode(AppFraming::SignalR, &FramingState::Begin, &stream, Some(Opcode::Binary)).0.unwrap();
        prop_assert_eq!(decoded.units.len(), calls.len());
        for (unit, (target, arguments)) in decoded.units.iter().zip(&calls) {
            prop_assert_eq!(&unit.document["target"], target);
            prop_assert_eq!(&unit.document["arguments"], &Value::Array(arguments.clone()));
        }
        let edits: Vec<_> = decoded.units.iter().map(|unit| (&unit.pieces[0], new.clone().into_bytes())).collect();
        let changed = redact(&decoded, &stream, &edits).unwrap();
        let wanted: Vec<u8> = calls.iter().flat_map(|(_, arguments)| write_call(&new, arguments)).collect();
        prop_assert_eq!(changed, wanted);
    }
}
