//! Events as lines that people read.

use super::{hex, pretty, sizes};
use crate::live::printable;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use std::fmt::Write;

/// The most bytes of a binary message that are shown.
const BYTES: usize = 256;
/// JSON that is longer is set in lines.
const LONG: usize = 100;
/// Where what belongs to an event stands under it.
pub(super) const INDENT: &str = "              ";

/// One event, as one line and what belongs to it, with nothing in it that a terminal would obey.
pub(super) fn event(event: &Value) -> String {
    let mut out = String::new();
    let time = event["time"]
        .as_str()
        .and_then(|time| time.get(11..23))
        .unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = match event["type"].as_str().unwrap_or_default() {
        "request" => writeln!(
            out,
            "{time}  {} {} {} {} {} {:.0} ms{}",
            text(&event["method"]),
            text(&event["url"]),
            status(event),
            bytes(&event["bytes"]["to_client"]),
            who(event),
            event["seconds"].as_f64().unwrap_or_default() * 1000.0,
            why(&event["error"]),
        ),
        "websocket_opened" => writeln!(
            out,
            "{time}  open   {} {} {}{}{}",
            number(event),
            text(&event["url"]),
            who(event),
            if event["compressed"] == true {
                ", compressed"
            } else {
                ""
            },
            event["subprotocol"]
                .as_str()
                .map_or(String::new(), |it| format!(", {}", printable(it, false))),
        ),
        "websocket_closed" => {
            let close = &event["close"];
            let close = match close.is_null() {
                true => String::new(),
                false => format!(
                    ", {} by {}{}",
                    close["code"]
                        .as_u64()
                        .map_or("no code".to_owned(), |code| code.to_string()),
                    text(&close["by"]),
                    why(&close["reason"]),
                ),
            };
            writeln!(
                out,
                "{time}  close  {} {} {}{close}; {:.1} s, messages {}, pings and pongs {}, bytes {}",
                number(event),
                text(&event["url"]),
                text(&event["ending"]),
                event["seconds"].as_f64().unwrap_or_default(),
                both(&event["messages"], &|value| value.to_string()),
                both(&event["pings"], &|value| value.to_string()),
                both(&event["bytes"], &bytes),
            )
        }
        "message" => {
            let _ = writeln!(
                out,
                "{time}  {} {}{} {} {}{}{}{}",
                arrow(event),
                number(event),
                event["host"].as_str().map_or(String::new(), |host| {
                    let host = host.strip_suffix(":443").unwrap_or(host);
                    format!(" {}", printable(host, false))
                }),
                text(&event["opcode"]),
                bytes(&event["size"]),
                event["framing"]
                    .as_str()
                    .map_or(String::new(), |it| format!(", {it}")),
                event["verdict"].as_str().map_or(String::new(), |it| format!(
                    ", {it} by {}",
                    names(&event["rules"])
                )),
                if event["cut"] == true {
                    ", not all of it"
                } else {
                    ""
                },
            );
            content(&mut out, event);
            Ok(())
        }
        "request_head" => {
            let _ = writeln!(
                out,
                "{time}  -> #{} {} {} {}",
                event["exchange"],
                text(&event["method"]),
                text(&event["path"]),
                text(&event["version"]),
            );
            fields(&mut out, event);
            Ok(())
        }
        "response_head" => {
            let _ = writeln!(
                out,
                "{time}  <- #{} {} {}",
                event["exchange"],
                text(&event["version"]),
                event["status"]
            );
            fields(&mut out, event);
            Ok(())
        }
        "body" => {
            let cut = if event["cut"] == true {
                ", not all of it"
            } else {
                ""
            };
            let _ = writeln!(
                out,
                "{time}  {} #{} body, {}{cut}",
                arrow(event),
                event["exchange"],
                bytes(&event["size"])
            );
            content(&mut out, event);
            Ok(())
        }
        "finding" => writeln!(
            out,
            "{time}  found  rule {}: {}{} in a {} {} {}{} {}{}",
            text(&event["rule"]),
            text(&event["action"]),
            if event["enforced"] == true {
                ""
            } else {
                ", which only observes,"
            },
            text(&event["surface"]),
            arrow(event),
            text(&event["host"]),
            text(&event["path"]),
            who(event),
            why(&event["excerpt"]),
        ),
        "uninspected" => writeln!(
            out,
            "{time}  blind  {} {}: {}{} on {}{} {}",
            text(&event["surface"]),
            arrow(event),
            text(&event["reason"]),
            if event["stopped"] == true { ", stopped" } else { "" },
            text(&event["host"]),
            text(&event["path"]),
            who(event),
        ),
        "ca_refused" => writeln!(
            out,
            "{time}  CA     {} does not trust the CA: {} for {}",
            who(event),
            text(&event["alert"]),
            text(&event["server_name"]),
        ),
        "connection_ended" => writeln!(
            out,
            "{time}  end    #{} {} {} {}{}; {:.1} s{}",
            event["connection"],
            text(&event["host"]),
            text(&event["action"]),
            text(&event["ending"]),
            why(&event["detail"]),
            event["seconds"].as_f64().unwrap_or_default(),
            match event["bytes"].is_null() {
                true => String::new(),
                false => format!(", bytes {}", both(&event["bytes"], &bytes)),
            },
        ),
        "reload" => writeln!(
            out,
            "{time}  reload {}{}",
            text(&event["result"]),
            why(&event["error"])
        ),
        "lost" => writeln!(
            out,
            "{INDENT}{} events were lost: they came faster than they were read",
            event["events"]
        ),
        "skipped" => writeln!(
            out,
            "{INDENT}{} were skipped: --sample leaves them out",
            event["events"]
        ),
        "exchange_ended" => writeln!(
            out,
            "{time}  done   #{} {} {:.0} ms{}{}",
            event["exchange"],
            status(event),
            event["seconds"].as_f64().unwrap_or_default() * 1000.0,
            why(&event["error"]),
            why(&event["detail"]),
        ),
        other => writeln!(out, "{time}  {}", printable(other, false)),
    };
    out
}

/// A text of others.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| "-".to_owned(), |text| printable(text, false).into_owned())
}

fn why(value: &Value) -> String {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map_or(String::new(), |text| format!(" ({})", printable(text, false)))
}

fn who(event: &Value) -> String {
    match (event["user"].as_str(), event["client"].as_str()) {
        (Some(user), Some(client)) => format!("{} at {}", printable(user, false), printable(client, false)),
        (Some(one), None) | (None, Some(one)) => printable(one, false).into_owned(),
        (None, None) => "somebody".to_owned(),
    }
}

fn names(rules: &Value) -> String {
    let names = rules.as_array().into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<_> = names.map(|name| printable(name, false)).collect();
    names.join(", ")
}

fn status(event: &Value) -> String {
    event["status"]
        .as_u64()
        .map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}

/// Which way it goes on which WebSocket.
pub(super) fn name(event: &Value) -> String {
    format!("{} {}", arrow(event), number(event))
}

/// A WebSocket's number, with that of its connection.
fn number(event: &Value) -> String {
    format!("#{}/{}", event["connection"], event["websocket"])
}

fn arrow(event: &Value) -> &'static str {
    match event["direction"].as_str() {
        Some("to_origin") => "->",
        _ => "<-",
    }
}

fn both(value: &Value, each: &dyn Fn(&Value) -> String) -> String {
    format!("{}/{}", each(&value["to_origin"]), each(&value["to_client"]))
}

/// A number of bytes as people say it.
fn bytes(value: &Value) -> String {
    sizes::bytes(value.as_u64().unwrap_or_default())
}

fn fields(out: &mut String, event: &Value) {
    for field in event["fields"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{INDENT}{}: {}", text(&field["name"]), text(&field["value"]));
    }
}

/// What a message or body says.
fn content(out: &mut String, event: &Value) {
    if let Some(documents) = event["documents"].as_array() {
        for document in documents {
            body(out, &document.to_string());
        }
    } else if let Some(text) = event["text"].as_str() {
        body(out, text);
    } else if let Some(coded) = event["base64"].as_str() {
        let data = BASE64_STANDARD.decode(coded).unwrap_or_default();
        out.push_str(&hex::dump(&data, BYTES, INDENT));
    }
}

fn body(out: &mut String, text: &str) {
    if text.is_empty() {
        return;
    }
    let set = if text.len() > LONG {
        pretty::json(text, INDENT)
    } else {
        None
    };
    match set {
        Some(set) => {
            let _ = writeln!(out, "{}", printable(&set, true));
        }
        None => {
            for line in text.lines() {
                let _ = writeln!(out, "{INDENT}{}", printable(line, false));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_message_is_a_line_and_what_it_says() {
        let said = event(&json!({
            "type": "message", "time": "2026-11-29T12:00:01.250Z", "connection": 5, "websocket": 2,
            "direction": "to_client", "opcode": "text", "size": 5, "text": "a\u{1b}[2J\nb", "framing": "stomp",
        }));
        assert_eq!(
            said,
            "12:00:01.250  <- #5/2 text 5 B, stomp\n              a\\x1b[2J\n              b\n"
        );
        let binary = event(&json!({
            "type": "message", "time": "2026-11-29T12:00:01.250Z", "connection": 5, "websocket": 2,
            "direction": "to_origin", "opcode": "binary", "size": 3000, "host": "chat.test:443", "base64": "YWJj", "cut": true,
            "verdict": "change", "rules": ["cards"],
        }));
        assert!(
            binary.contains("-> #5/2 chat.test binary 2.9 KiB, change by cards, not all of it\n"),
            "{binary}"
        );
        assert!(binary.contains("000000  61 62 63"), "{binary}");
    }

    #[test]
    fn long_json_is_set_in_lines() {
        let long = format!(r#"{{"a":"{}","b":[1]}}"#, "x".repeat(LONG));
        let said = event(&json!({ "type": "message", "text": long, "size": 1 }));
        assert!(said.contains(&format!("{INDENT}  \"b\": [\n")), "{said}");
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_gets_through(text in any::<String>()) {
            for (kind, key) in [
                ("message", "text"), ("request", "url"), ("websocket_opened", "subprotocol"), ("finding", "excerpt"),
                ("websocket_closed", "url"), ("ca_refused", "server_name"), ("connection_ended", "detail"),
                ("request_head", "path"), ("body", "text"), ("exchange_ended", "detail"), ("other", "type"), ("uninspected", "path"), ("reload", "error"),
            ] {
                let mut value = json!({ "type": kind, "user": text, "client": text, "rules": [text] });
                value[key] = text.clone().into();
                value["close"] = json!({ "reason": text });
                value["fields"] = json!([{ "name": text, "value": text }]);
                let said = event(&value);
                prop_assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
            }
        }
    }
}
