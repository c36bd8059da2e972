use super::*;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

const REQUEST: [(&str, &str); 5] = [
    ("host", "chat.example"),
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", KEY),
];
const RESPONSE: [(&str, &str); 3] = [
    ("upgrade", "websocket"),
    ("connection", "Upgrade"),
    ("sec-websocket-accept", ACCEPT),
];

/// `lines` without those named `name`, and then with `values` under that name.
fn with(lines: &[(&'static str, &'static str)], name: &'static str, values: &[&str]) -> HeaderMap {
    let kept: Vec<_> = lines.iter().copied().filter(|line| line.0 != name).collect();
    let mut all = headers(&kept);
    for value in values {
        all.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    all
}

fn request(headers: HeaderMap) -> Result<Offer, RequestError> {
    check_request(&Method::GET, Version::HTTP_11, &headers)
}

fn offer() -> Offer {
    Offer {
        key: Some(KEY.into()),
        protocols: vec!["chat".into(), "superchat".into()],
        extensions: vec!["permessage-deflate".into(), "x-other".into()],
    }
}

fn respond(name: &'static str, values: &[&str]) -> Result<Accepted, ResponseError> {
    check_response(&offer(), &with(&RESPONSE, name, values))
}

#[test]
fn upgrade_tokens_in_any_case_and_over_several_lines() {
    let upgrade = |connection: &[&str], upgrade: &[&str]| {
        let mut all = with(&[], "connection", connection);
        all.extend(with(&[], "upgrade", upgrade));
        upgrade_token(&all)
    };
    let other = |text: &str| Some(Upgrade::Other(text.into()));
    for (connection, token, want) in [
        (&["Upgrade"][..], &["websocket"][..], Some(Upgrade::WebSocket)),
        (&["keep-alive, UPGRADE"], &["WebSocket"], Some(Upgrade::WebSocket)),
        (
            &["keep-alive", ",upgrade"],
            &["h2c", "foo/2, WEBSOCKET"],
            Some(Upgrade::WebSocket),
        ),
        (&["upgrade"], &["h2c"], other("h2c")),
        (&["upgrade"], &["TLS/1.0,", "h2c"], other("TLS/1.0, h2c")),
        (&["upgrade"], &["websocket/13"], other("websocket/13")),
        (&["upgrade"], &["\u{fc}"], other("\u{fc}")),
        (&["upgrade"], &[""], None),
        (&["upgrade"], &[], None),
        (&["keep-alive"], &["websocket"], None),
        (&["upgraded, not upgrade"], &["websocket"], None),
        (&[], &["websocket"], None),
    ] {
        assert_eq!(upgrade(connection, token), want, "{connection:?} {token:?}");
    }
}

#[test]
fn a_plain_request_offers_nothing_more() {
    let want = Offer {
        key: Some(KEY.into()),
        protocols: vec![],
        extensions: vec![],
    };
    assert_eq!(request(headers(&REQUEST)), Ok(want));
}

#[test]
fn over_http2_the_version_is_all_that_is_checked() {
    let ask =
        |method, lines: &[(&'static str, &str)]| check_request(&method, Version::HTTP_2, &headers(lines));
    let version = ("sec-websocket-version", "13");
    let deflate = ("sec-websocket-extensions", "permessage-deflate");
    let chat = ("sec-websocket-protocol", "chat");
    let offer = ask(Method::CONNECT, &[version, deflate, chat]).unwrap();
    assert_eq!(
        (&offer.key, &offer.extensions[..]),
        (&None, &["permessage-deflate".to_owned()][..])
    );
    // A key is ignored, even one that is none (RFC 8441 section 5).
    assert!(ask(Method::CONNECT, &[version, ("sec-websocket-key", "x")]).is_ok());
    assert_eq!(ask(Method::GET, &[version]), Err(RequestError::Method));
    assert_eq!(ask(Method::CONNECT, &[]), Err(RequestError::MissingVersion));
    assert_eq!(
        ask(Method::CONNECT, &[("sec-websocket-version", "8")]),
        Err(RequestError::UnsupportedVersion)
    );

    let answer = |lines: &[(&'static str, &str)]| check_response(&offer, &headers(lines));
    let accepted = answer(&[deflate, chat]).unwrap();
    assert_eq!(
        (accepted.protocol.as_deref(), accepted.allowed_rsv),
        (Some("chat"), 0x40)
    );
    assert!(answer(&[]).is_ok());
    let other = answer(&[("sec-websocket-protocol", "other")]).unwrap();
    assert_eq!(other.protocol.as_deref(), Some("other"));
    assert_eq!(
        answer(&[("sec-websocket-extensions", "x-other")]),
        Err(ResponseError::UnofferedExtension("x-other".into()))
    );
}

#[test]
fn offers_are_lists_over_several_lines() {
    let mut all = headers(&REQUEST);
    all.extend(headers(&[
        ("sec-websocket-protocol", "chat , superchat,"),
        ("sec-websocket-protocol", "v1.example"),
        (
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits, x-a; q=\"one, \\\"; two\"; b",
        ),
        ("sec-websocket-extensions", "x-b"),
    ]));
    let offer = request(all).unwrap();
    assert_eq!(offer.protocols, ["chat", "superchat", "v1.example"]);
    assert_eq!(offer.extensions, ["permessage-deflate", "x-a", "x-b"]);
}

#[test]
fn a_broken_request_is_named() {
    use RequestError::*;
    for (name, values, want) in [
        ("upgrade", &["h2c"][..], NoUpgrade),
        ("upgrade", &[], NoUpgrade),
        ("connection", &["keep-alive"], NoUpgrade),
        ("content-length", &["5"], Body),
        ("content-length", &["0", "5"], Body),
        ("transfer-encoding", &["chunked"], Body),
        ("sec-websocket-version", &[], MissingVersion),
        ("sec-websocket-version", &["13", "8"], UnsupportedVersion),
        ("sec-websocket-version", &["8", "13"], UnsupportedVersion),
        ("sec-websocket-version", &["8"], UnsupportedVersion),
        ("sec-websocket-version", &["13, 8"], UnsupportedVersion),
        ("sec-websocket-version", &["013"], UnsupportedVersion),
        ("sec-websocket-version", &[""], UnsupportedVersion),
        ("sec-websocket-key", &[], MissingKey),
        ("sec-websocket-key", &[KEY, KEY], RepeatedKey),
        ("sec-websocket-key", &[""], EmptyKey),
        ("sec-websocket-key", &[" \t "], EmptyKey),
        ("sec-websocket-key", &["", KEY], RepeatedKey),
    ] {
        let error = request(with(&REQUEST, name, values)).unwrap_err();
        assert_eq!(error, want, "{name} {values:?}");
        let status = if want == UnsupportedVersion { 426 } else { 400 };
        assert_eq!(error.status().as_u16(), status);
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn what_endangers_nobody_is_taken() {
    for (name, values) in [
        ("content-length", &["0"][..]),
        ("connection", &["keep-alive, Upgrade"]),
        ("upgrade", &["WebSocket"]),
        ("sec-websocket-version", &["13", "13"]),
        ("sec-websocket-version", &[" 13\t"]),
        ("sec-websocket-protocol", &["", "a b", "chat, chat"]),
    ] {
        assert!(request(with(&REQUEST, name, values)).is_ok(), "{name} {values:?}");
    }
}

#[test]
fn a_key_of_any_kind_is_answered_by_the_digest_of_what_was_sent() {
    for (key, accept) in [
        (&b"x"[..], "JVxkmtKFjDcI/Pm/AGPEKSN6wT8="),
        (b"not base64 at all, no no", "gmLVdLD4BA3763hcnEEEYwTjVwE="),
        (b"dGhlIHNhbXBsZSBub25jZQ==AAAA", "ANQKbVX4GgeG96CQIQcgUd4QjiU="),
        // Its last character has bits of no byte.
        (b"dGhlIHNhbXBsZSBub25jZR==", "Zgw8jYXtqX5qJr7MJ1Q/MqzeSRI="),
        (b"\xff\xfe", "kU7Uwz6SX4dX6+/IbbB/7WRvIgY="),
    ] {
        let mut asked = headers(&REQUEST);
        let mut padded = b" ".to_vec();
        padded.extend_from_slice(key);
        padded.extend_from_slice(b"\t ");
        asked.insert("sec-websocket-key", HeaderValue::from_bytes(&padded).unwrap());
        let offer = request(asked).unwrap();
        assert_eq!(offer.key.as_deref(), Some(key));
        let answer = |accept| check_response(&offer, &with(&RESPONSE, "sec-websocket-accept", &[accept]));
        assert!(answer(accept).is_ok(), "{key:?}");
        assert_eq!(answer(ACCEPT), Err(ResponseError::Accept), "{key:?}");
    }
}

#[test]
fn method_and_http_version() {
    let ask = |method, version| check_request(&method, version, &headers(&REQUEST));
    assert_eq!(ask(Method::GET, Version::HTTP_10), Err(RequestError::HttpVersion));
    assert!(ask(Method::GET, Version::HTTP_11).is_ok());
    assert_eq!(ask(Method::POST, Version::HTTP_11), Err(RequestError::Method));
}

#[test]
fn a_plain_response_agrees_to_nothing_more() {
    let want = Accepted {
        protocol: None,
        extensions: None,
        deflate: None,
        is_opaque: false,
        allowed_rsv: 0,
    };
    assert_eq!(check_response(&offer(), &headers(&RESPONSE)), Ok(want));
}

#[test]
fn a_broken_response_is_named() {
    use ResponseError::*;
    for (name, values, want) in [
        ("upgrade", &[][..], Upgrade),
        ("upgrade", &["h2c"], Upgrade),
        ("upgrade", &["websocket, h2c"], Upgrade),
        ("upgrade", &["h2c, websocket"], Upgrade),
        ("upgrade", &["websocket", "websocket"], Upgrade),
        ("connection", &[], Connection),
        ("connection", &["keep-alive"], Connection),
        ("sec-websocket-accept", &[], Accept),
        ("sec-websocket-accept", &[KEY], Accept),
        ("sec-websocket-accept", &[ACCEPT, ACCEPT], Accept),
        ("sec-websocket-accept", &["S3PPLMBITXAQ9KYGZZHZRBK+XOO="], Accept),
        (
            "sec-websocket-extensions",
            &["permessage-deflate, x-mine; a=1"],
            UnofferedExtension("x-mine".into()),
        ),
    ] {
        let error = respond(name, values).unwrap_err();
        assert_eq!(error, want, "{name} {values:?}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn the_choice_decides_the_rsv_bits() {
    const EXTENSIONS: &str = "sec-websocket-extensions";
    for (values, sent, allowed_rsv) in [
        (&[""][..], None, 0),
        (&["permessage-deflate"], Some("permessage-deflate"), 0x40),
        (
            &["Permessage-Deflate; server_no_context_takeover"],
            Some("Permessage-Deflate; server_no_context_takeover"),
            0x40,
        ),
        (&["x-other"], Some("x-other"), 0x70),
        (
            &["permessage-deflate;a", "x-other"],
            Some("permessage-deflate;a, x-other"),
            0x70,
        ),
    ] {
        let accepted = respond(EXTENSIONS, values).unwrap();
        assert_eq!(accepted.extensions.as_deref(), sent);
        assert_eq!(accepted.allowed_rsv, allowed_rsv, "{values:?}");
        assert_eq!(accepted.is_opaque, allowed_rsv == 0x70, "{values:?}");
        assert_eq!(accepted.deflate.is_some(), allowed_rsv == 0x40, "{values:?}");
    }
}

#[test]
fn whatever_subprotocol_is_chosen_is_between_the_ends() {
    for (values, protocol) in [
        (&["superchat"][..], Some("superchat")),
        (&["other"], Some("other")),
        (&["Chat"], Some("Chat")),
        (&["chat, superchat"], Some("chat, superchat")),
        (&["chat", "superchat"], Some("chat, superchat")),
        (&[""], None),
        (&[], None),
    ] {
        let accepted = respond("sec-websocket-protocol", values).unwrap();
        assert_eq!(accepted.protocol.as_deref(), protocol, "{values:?}");
    }
}

#[test]
fn every_mutation_of_every_line_is_an_answer() {
    let mut lines = REQUEST.to_vec();
    lines.push(("sec-websocket-protocol", "chat, superchat"));
    lines.push((
        "sec-websocket-extensions",
        "permessage-deflate; a=\"b, c\", x-other",
    ));
    for (name, value) in &lines {
        for at in 0..value.len() {
            for byte in 0..=255u8 {
                let mut bytes = value.as_bytes().to_vec();
                bytes[at] = byte;
                for bytes in [&bytes[..], &bytes[..at]] {
                    let Ok(changed) = HeaderValue::from_bytes(bytes) else {
                        continue;
                    };
                    let mut all = headers(&lines);
                    all.insert(*name, changed);
                    // A request that passes has the two things that the answer hangs on.
                    if let Ok(offer) = request(all.clone()) {
                        assert_eq!(upgrade_token(&all), Some(Upgrade::WebSocket));
                        assert!(offer.key.is_some_and(|key| !key.is_empty()));
                    }
                }
            }
        }
    }
}

proptest! {
    /// Whatever tokens are offered, choosing any of them is accepted, however the lines are divided.
    #[test]
    fn any_offered_choice_is_accepted(
        tokens in prop::collection::btree_set("[a-z0-9.+-]{1,12}", 1..6), choice in any::<prop::sample::Index>(),
        divided in any::<bool>(),
    ) {
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let line = tokens.join(",");
        let lines = if divided { tokens.clone() } else { vec![&line[..]] };
        let mut all = with(&REQUEST, "sec-websocket-protocol", &lines);
        all.extend(with(&[], "sec-websocket-extensions", &lines));
        let offer = request(all).unwrap();
        prop_assert_eq!(&offer.protocols, &tokens);
        prop_assert_eq!(&offer.extensions, &tokens);
        let chosen = tokens[choice.index(tokens.len())];
        let mut answer = with(&RESPONSE, "sec-websocket-protocol", &[chosen]);
        answer.extend(with(&[], "sec-websocket-extensions", &[chosen]));
        let accepted = check_response(&offer, &answer).unwrap();
        prop_assert_eq!(accepted.protocol.as_deref(), Some(chosen));
        prop_assert_eq!(accepted.extensions.as_deref(), Some(chosen));
        prop_assert_eq!(accepted.allowed_rsv, 0x70);
    }
}
