//! Messages by which applications only say that they are there.

use crate::wire::frame::Opcode;
use regex::Regex;
use std::sync::LazyLock;

/// What is longer says more than that.
const LONGEST: usize = 300;

/// Engine.IO, SockJS, SignalR, Phoenix, Discord, and all that name their kind: `{"type":"ping"}`.
const PATTERN: &str = concat!(
    r"(?i)^\s*(?:[23]|h|ping|pong|heartbeat",
    r#"|\{\s*"(?:type|op|event|action|method|cmd|command)"\s*:\s*"(?:ping|pong|heartbeat|heartbeat_ack|hb|ka|keepalive|keep-alive|connection_keep_alive)"[^{}]{0,200}\}"#,
    r#"|\{(?:[^{}]{0,100},)?\s*"op"\s*:\s*(?:1|11)\s*(?:,[^{}]{0,100})?\}"#,
    r#"|\[(?:null|"[^"]{0,20}"),"[^"]{0,20}","phoenix","heartbeat",\{\}\]"#,
    r#"|\{"type":6\}\x1e"#,
    r")\s*$"
);

/// Nothing is one if the pattern is wrong, which a test would tell.
static HEARTBEAT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());

/// Whether a message only says that its sender is there.
pub(super) fn is_heartbeat(subprotocol: Option<&str>, opcode: Opcode, data: &[u8]) -> bool {
    if data.len() > LONGEST {
        return false;
    }
    if opcode != Opcode::Text {
        // PINGREQ and PINGRESP (MQTT 5.0 sections 3.12 and 3.13).
        let is_mqtt = subprotocol.is_some_and(|name| name.to_ascii_lowercase().starts_with("mqtt"));
        return is_mqtt && matches!(data, [0xc0 | 0xd0, 0]);
    }
    let (Ok(text), Some(pattern)) = (std::str::from_utf8(data), &*HEARTBEAT) else {
        return false;
    };
    pattern.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_known_and_messages_are_none() {
        assert!(HEARTBEAT.is_some());
        for text in [
            "2",
            "3",
            "h",
            "ping",
            "PONG\n",
            r#"{"type":"ping","id":7}"#,
            r#"{ "type" : "pong", "reply_to": 7, "time": 1 }"#,
            r#"{"op":1,"d":251}"#,
            r#"{"t":null,"s":null,"op":11,"d":null}"#,
            r#"[null,"12","phoenix","heartbeat",{}]"#,
            "{\"type\":6}\u{1e}",
            r#"{"type":"ka"}"#,
        ] {
            assert!(is_heartbeat(None, Opcode::Text, text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "4",
            "23",
            "hello",
            "pinging",
            r#"{"type":"message","text":"ping"}"#,
            r#"{"type":"ping","data":{"a":1}}"#,
            r#"{"op":10,"d":1}"#,
            r#"{"op":0,"t":"MESSAGE_CREATE"}"#,
            "{\"type\":1}\u{1e}",
        ] {
            assert!(!is_heartbeat(None, Opcode::Text, text.as_bytes()), "{text:?}");
        }
        let long = format!(r#"{{"type":"ping","id":"{}"}}"#, "7".repeat(LONGEST));
        assert!(!is_heartbeat(None, Opcode::Text, long.as_bytes()));
        assert!(is_heartbeat(Some("mqttv3.1"), Opcode::Binary, &[0xc0, 0]));
        assert!(!is_heartbeat(None, Opcode::Binary, &[0xc0, 0]));
        assert!(!is_heartbeat(Some("mqtt"), Opcode::Binary, &[0x30, 0]));
    }
}
