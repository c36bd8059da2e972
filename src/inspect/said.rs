//! The framing of one message by itself, for people who look at it.

use super::framing::{Decoded, FramingLimits, FramingState, decode};
use super::rule::AppFraming;
use crate::wire::frame::Opcode;
use serde_json::Value;

/// What a message says inside of an application's framing.
#[derive(Debug, Clone, PartialEq)]
pub struct FramingSaid {
    /// The framing's name, as `decode` of a rule has it.
    pub framing: &'static str,
    /// The documents that it carries, one for each of the application's messages that has one.
    pub documents: Vec<Value>,
}

/// What one message takes at most.
const LIMITS: FramingLimits = FramingLimits {
    kept: 1 << 20,
    inflated: 1 << 20,
};

/// Names the framing of a message, by what its WebSocket agreed on and by how it looks. What came before is not known
/// here: what is only a part of something is not named.
pub fn said(subprotocol: Option<&str>, path: &str, opcode: Opcode, data: &[u8]) -> Option<FramingSaid> {
    let (framing, name) = guess(subprotocol.unwrap_or_default(), path, opcode, data)?;
    let decoded: Decoded = decode(framing, FramingState::Begin, data, Some(opcode), LIMITS).decoded?;
    let documents = decoded.units.into_iter().map(|unit| unit.document);
    Some(FramingSaid {
        framing: name,
        documents: documents.filter(|document| !document.is_null()).collect(),
    })
}

fn guess(subprotocol: &str, path: &str, opcode: Opcode, data: &[u8]) -> Option<(AppFraming, &'static str)> {
    let is_text = opcode == Opcode::Text;
    let agreed = |start: &str| subprotocol.to_ascii_lowercase().starts_with(start);
    if agreed("mqtt") {
        return (!is_text).then_some((AppFraming::Mqtt, "mqtt"));
    }
    if agreed("graphql") {
        return is_text.then_some((AppFraming::GraphQlWs, "graphql-ws"));
    }
    if agreed("v1") && subprotocol.contains("stomp") || agreed("stomp") {
        return Some((AppFraming::Stomp, "stomp"));
    }
    if is_text && path.contains("EIO=") {
        return Some((AppFraming::SocketIo, "socketio"));
    }
    // A record separator ends nothing else.
    if is_text && data.ends_with(b"\x1e") {
        return Some((AppFraming::SignalR, "signalr"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_named_by_what_was_agreed_and_by_how_they_look() {
        let text = |subprotocol, path, data: &str| said(subprotocol, path, Opcode::Text, data.as_bytes());
        let event = text(
            None,
            "/socket.io/?EIO=4&transport=websocket",
            r#"42["chat",{"a":1}]"#,
        )
        .unwrap();
        assert_eq!(event.framing, "socketio");
        assert!(event.documents[0].to_string().contains(r#"{"a":1}"#), "{event:?}");
        let hub = text(
            None,
            "/hub",
            "{\"type\":1,\"target\":\"Send\"}\x1e{\"type\":6}\x1e",
        )
        .unwrap();
        assert_eq!((hub.framing, hub.documents.len()), ("signalr", 2));
        assert_eq!(hub.documents[0]["target"], json!("Send"));
        let graph = text(Some("graphql-transport-ws"), "/graphql", r#"{"type":"ping"}"#).unwrap();
        assert_eq!(
            (graph.framing, &graph.documents[0]["type"]),
            ("graphql-ws", &json!("ping"))
        );
        let stomp = text(Some("v12.stomp"), "/", "SEND\ndestination:/q\n\nhello\0").unwrap();
        assert_eq!(stomp.framing, "stomp");
        assert_eq!(text(None, "/", r#"42["chat"]"#), None);
        assert_eq!(text(None, "/hub", "{\"type\":1"), None);
        assert_eq!(text(Some("graphql-ws"), "/", "not json"), None);
    }
}
