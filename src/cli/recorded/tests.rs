use super::*;

fn usual() -> RecordedItem {
    RecordedItem {
        facts: Arc::new(SessionFacts {
            connection: 1,
            client: [127, 0, 0, 1].into(),
            user: None,
            target: Authority::parse("example.com:443", None).unwrap(),
            aliases: Vec::new(),
            scheme: "wss",
            path: "/".into(),
            origin: None,
            subprotocol: None,
            websocket: None,
        }),
        surface: Surface::Message,
        direction: Direction::ToOrigin,
        opcode: Some(Opcode::Text),
        data: Vec::new(),
        heads: None,
        at: Duration::ZERO,
    }
}

fn lines(text: &str) -> Result<Vec<RecordedItem>, Problems> {
    json_lines(Path::new("m.jsonl"), text, &usual())
}

fn har_of(text: &str) -> Result<Vec<RecordedItem>, Problems> {
    har(Path::new("m.har"), text, &usual())
}

#[test]
fn json_lines_have_defaults_and_sessions() {
    let read = lines(
        "{\"data\": \"a\"}\n\n\
         {\"data_base64\": \"AAE=\", \"direction\": \"to_client\", \"host\": \"chat.example\", \"path\": \"/ws\", \"time\": 1.5}\n\
         {\"data\": \"b\", \"opcode\": \"binary\", \"host\": \"chat.example:443\", \"path\": \"/ws\"}\n",
    )
    .unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!((&*read[0].data, read[0].opcode), (&b"a"[..], Some(Opcode::Text)));
    assert_eq!(
        (&*read[1].data, read[1].opcode),
        (&b"\0\x01"[..], Some(Opcode::Binary))
    );
    assert_eq!(read[1].direction, Direction::ToClient);
    assert_eq!(read[1].at, Duration::from_millis(1500));
    assert_eq!(read[1].facts.target.to_string(), "chat.example:443");
    let sessions: Vec<_> = read.iter().map(|message| message.facts.connection).collect();
    assert_eq!(sessions, [1, 2, 2], "one host and path is one session");
}

#[test]
fn each_wrong_line_is_said_with_its_number() {
    let problems = lines(
        "{\"data\": \"fine\"}\n{\"data\": 1}\n{}\n{\"data\": \"a\", \"data_base64\": \"YQ==\"}\n{\"data_base64\": \"?\"}\n\
         {\"data\": \"a\", \"opcode\": \"ping\"}\n{\"data\": \"a\", \"direction\": \"up\"}\n{\"data\": \"a\", \"host\": \"a b\"}\n{\"text\": \"a\"}\n",
    )
    .unwrap_err();
    let said: Vec<_> = problems.list.iter().map(ToString::to_string).collect();
    for (line, what) in [
        (2, "invalid type"),
        (3, "data or data_base64"),
        (4, "not both"),
        (5, "not base64"),
        (6, "\"text\" or \"binary\""),
        (7, "\"to_origin\" or \"to_client\""),
        (8, "HOST:PORT"),
        (9, "unknown field `text`"),
    ] {
        let text = &said[line - 2];
        assert!(
            text.starts_with(&format!("m.jsonl:{line}:1: ")) && text.contains(what),
            "{text}"
        );
    }
}

/// As Chrome's developer tools export it.
const HAR: &str = r#"{"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"}, "entries": [
  {"_resourceType": "websocket",
   "_webSocketMessages": [
     {"type": "send", "time": 1700000000.25, "opcode": 1, "data": "hello"},
     {"type": "receive", "time": 1700000000.5, "opcode": 2, "data": "AAEC"},
     {"type": "receive", "time": 1700000001, "opcode": -1, "data": "net::ERR"}],
   "request": {"method": "GET", "url": "wss://chat.example/socket?x=1", "httpVersion": "HTTP/1.1",
     "headers": [{"name": "Origin", "value": "https://chat.example"}], "cookies": [], "queryString": []},
   "response": {"status": 101, "statusText": "Switching Protocols",
     "headers": [{"name": "Sec-WebSocket-Protocol", "value": "v1"}], "content": {"size": 0, "mimeType": "x-unknown"}}},
  {"request": {"method": "POST", "url": "https://api.example:8443/up",
     "headers": [{"name": ":authority", "value": "api.example"}, {"name": "Content-Type", "value": "text/plain"}],
     "postData": {"mimeType": "text/plain", "text": "posted"}},
   "response": {"status": 200, "headers": [], "content": {"text": "TVo=", "encoding": "base64"}}},
  {"request": {"method": "GET", "url": "data:image/png;base64,AA==", "headers": []},
   "response": {"status": 200, "headers": []}},
  {"request": {"method": "GET", "url": "http://gone.example/", "headers": []},
   "response": {"status": 0, "headers": []}}
]}}"#;

#[test]
fn a_har_gives_heads_bodies_and_messages() {
    let read = har_of(HAR).unwrap();
    let seen: Vec<_> = read
        .iter()
        .map(|r| (r.facts.connection, r.surface, r.direction, r.opcode, &*r.data))
        .collect();
    use Direction::{ToClient, ToOrigin};
    assert_eq!(
        seen,
        [
            (
                1,
                Surface::Upgrade,
                ToOrigin,
                None,
                &b"GET /socket?x=1 HTTP/1.1\r\norigin: https://chat.example\r\n\r\n"[..]
            ),
            (
                1,
                Surface::Upgrade,
                ToClient,
                None,
                b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: v1\r\n\r\n"
            ),
            (1, Surface::Message, ToOrigin, Some(Opcode::Text), b"hello"),
            (1, Surface::Message, ToClient, Some(Opcode::Binary), b"\0\x01\x02"),
            (
                2,
                Surface::Head,
                ToOrigin,
                None,
                b"POST /up HTTP/1.1\r\ncontent-type: text/plain\r\n\r\n"
            ),
            (2, Surface::Body, ToOrigin, None, b"posted"),
            (2, Surface::Head, ToClient, None, b"HTTP/1.1 200 OK\r\n\r\n"),
            (2, Surface::Body, ToClient, None, b"MZ"),
            (4, Surface::Head, ToOrigin, None, b"GET / HTTP/1.1\r\n\r\n"),
        ]
    );
    assert_eq!(read[2].facts.origin.as_deref(), Some("https://chat.example"));
    assert_eq!(read[2].facts.subprotocol.as_deref(), Some("v1"));
    assert_eq!(read[3].at - read[2].at, Duration::from_millis(250));
    assert_eq!(read[7].head().unwrap().status, Some(StatusCode::OK));
    assert_eq!(read[5].facts.target.to_string(), "api.example:8443");
    assert_eq!(read[5].head().unwrap().headers["content-type"], "text/plain");
}

#[test]
fn what_is_no_har_is_refused_with_its_place() {
    for (text, what) in [
        ("{\"log\": ", "m.har:1:"),
        ("[]", "is not a HAR file"),
        ("{\"log\": {\"entries\": [{}]}}", "missing field"),
        (
            "{\"log\": {\"entries\": [{\"request\": {\"method\": \"GET\", \"url\": \"not a url\"}, \"response\": {\"status\": 0}}]}}",
            "entry 1: \"not a url\" is not a URL",
        ),
    ] {
        let error = har_of(text).unwrap_err().to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
    for end in (0..HAR.len()).filter(|end| HAR.is_char_boundary(*end)) {
        assert!(har_of(&HAR[..end]).is_err(), "a cut file is no HAR: {end}");
    }
}
