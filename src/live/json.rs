//! Events as those who watch get them: JSON, with secrets masked and people called as they are to be called.

use super::bus::LiveBus;
use super::event::{EventKind, LiveEvent, Ruled};
use super::heartbeat::is_heartbeat;
use crate::http::beginning;
use crate::inspect::{Mask, said};
use crate::wire::frame::{Direction, Opcode};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Content that is decoded beyond what is shown, so that a secret at the cut is whole when it is masked.
const BEYOND: usize = 4096;
/// Exchanges whose heads are remembered until their bodies come.
const HEADS: usize = 256;

/// How events are shown to one who watches.
#[derive(Debug)]
pub struct Shown {
    bus: Arc<LiveBus>,
    mask: Mask,
    /// The most of one message or body that is shown, in bytes.
    content_bytes: usize,
    /// What has to be in content once it is masked.
    text: Option<String>,
    /// Whether the surroundings of a match are shown, in which it is masked.
    excerpts: bool,
    /// Until then people are called by their names.
    names_until: Option<Instant>,
    /// The fields of messages whose bodies may come, by exchange and direction.
    heads: VecDeque<(u64, Direction, HeaderMap)>,
}

impl Shown {
    /// With secrets masked unless `raw`, and at most so much of each content. Who may see no content sees no surroundings of
    /// matches either.
    pub fn new(
        bus: Arc<LiveBus>,
        raw: bool,
        content_bytes: usize,
        text: Option<String>,
        excerpts: bool,
    ) -> Self {
        Self {
            bus,
            mask: Mask(!raw),
            content_bytes,
            text,
            excerpts,
            names_until: None,
            heads: VecDeque::new(),
        }
    }

    /// The same, with people called by their names until then.
    #[must_use]
    pub fn with_names(self, until: Option<Instant>) -> Self {
        Self {
            names_until: until,
            ..self
        }
    }

    /// An event; `None` if it does not hold what was looked for once it is masked.
    pub fn event(&mut self, event: &LiveEvent) -> Option<Value> {
        let mut shown = Map::new();
        shown.insert("id".into(), event.id.into());
        shown.insert("time".into(), json!(event.at));
        if let Some(who) = &event.who {
            let people = self.bus.people().until(self.names_until);
            let names = self.bus.pseudonyms();
            shown.insert("connection".into(), who.connection.into());
            shown.insert("client".into(), json!(names.client(people, who.client)));
            if let Some(user) = &who.user {
                shown.insert("user".into(), json!(names.user(people, user)));
            }
        }
        if let Some(host) = &event.host {
            shown.insert("host".into(), host.to_string().into());
        }
        if let Some(websocket) = event.websocket {
            shown.insert("websocket".into(), websocket.into());
        }
        let (word, more) = self.what(&event.what)?;
        shown.insert("type".into(), word.into());
        if let Value::Object(more) = more {
            shown.extend(more);
        }
        shown.retain(|_, value| !value.is_null());
        Some(Value::Object(shown))
    }

    fn what(&mut self, what: &EventKind) -> Option<(&'static str, Value)> {
        let mask = self.mask;
        Some(match what {
            EventKind::Ended {
                sni,
                action,
                rule,
                ending,
                detail,
                requests,
                bytes,
                open,
            } => (
                "connection_ended",
                json!({
                    "sni": sni, "action": action, "rule": rule.as_deref(), "ending": ending,
                    "detail": detail.as_deref().map(|text| mask.text(text)),
                    "requests": requests, "bytes": bytes.map(both), "seconds": open.as_secs_f64(),
                }),
            ),
            EventKind::Request {
                id,
                method,
                version,
                url,
                status,
                wait,
                total,
                bytes,
                error,
                detail,
                rule,
            } => (
                "request",
                json!({
                    "request": id, "method": method.as_str(), "version": format!("{version:?}"), "url": mask.text(url),
                    "status": status, "wait_seconds": wait.as_secs_f64(), "seconds": total.as_secs_f64(),
                    "bytes": both(*bytes), "error": error, "detail": detail.as_deref().map(|text| mask.text(text)),
                    "rule": rule.as_deref(),
                }),
            ),
            EventKind::Opened {
                url,
                version,
                subprotocol,
                is_compressed,
            } => (
                "websocket_opened",
                json!({
                    "url": mask.text(url), "version": format!("{version:?}"),
                    "subprotocol": subprotocol.as_deref().map(|text| mask.text(text)), "compressed": is_compressed,
                }),
            ),
            EventKind::Closed {
                url,
                end,
                close,
                frames,
                messages,
                bytes,
                pings,
                open,
            } => (
                "websocket_closed",
                json!({
                    "url": mask.text(url), "ending": end,
                    "close": close.as_ref().map(|(by, code, reason)| json!({
                        "by": by, "code": code, "reason": mask.text(reason),
                    })),
                    "frames": both(*frames), "messages": both(*messages), "bytes": both(*bytes),
                    "pings": both(*pings), "seconds": open.as_secs_f64(),
                }),
            ),
            EventKind::Message { .. } => ("message", self.message(what)?),
            EventKind::Head {
                exchange,
                version,
                scheme,
                path,
                head,
                origin,
            } => {
                let direction = match head.status {
                    None => Direction::ToOrigin,
                    Some(_) => Direction::ToClient,
                };
                if self.heads.len() >= HEADS {
                    self.heads.pop_front();
                }
                self.heads.push_back((*exchange, direction, head.headers.clone()));
                let fields: Vec<Value> = (head.headers.iter())
                    .map(|(name, value)| {
                        let value = String::from_utf8_lossy(value.as_bytes());
                        json!({ "name": name.as_str(), "value": mask.header(name.as_str(), &value) })
                    })
                    .collect();
                let word = if head.status.is_none() {
                    "request_head"
                } else {
                    "response_head"
                };
                let shown = json!({
                    "exchange": exchange, "version": format!("{version:?}"), "scheme": scheme,
                    "method": head.method.as_str(), "path": mask.text(path),
                    "status": head.status.map(|status| status.as_u16()), "fields": fields, "origin": origin,
                });
                if !self.holds(shown.to_string().as_bytes()) {
                    return None;
                }
                (word, shown)
            }
            EventKind::Body {
                exchange,
                direction,
                data,
                size,
                ruled,
            } => (
                "body",
                self.body(*exchange, *direction, data, *size, ruled.as_ref())?,
            ),
            // Whoever looks for something does not look for ends.
            EventKind::Over { .. } if self.text.is_some() => return None,
            EventKind::Over {
                exchange,
                status,
                wait,
                total,
                error,
                detail,
            } => (
                "exchange_ended",
                json!({
                    "exchange": exchange, "status": status, "wait_seconds": wait.as_secs_f64(),
                    "seconds": total.as_secs_f64(), "error": error, "detail": detail.as_deref().map(|text| mask.text(text)),
                }),
            ),
            EventKind::Finding {
                rule,
                action,
                enforced,
                verdict,
                matches,
                surface,
                direction,
                path,
                excerpt,
                detail,
            } => (
                "finding",
                json!({
                    "rule": &**rule, "action": action, "enforced": enforced, "verdict": verdict, "matches": matches,
                    "surface": surface, "direction": direction, "path": mask.text(path),
                    "excerpt": excerpt.as_ref().filter(|_| self.excerpts), "detail": detail,
                }),
            ),
            EventKind::Uninspected {
                reason,
                stopped,
                surface,
                direction,
                path,
            } => (
                "uninspected",
                json!({
                    "reason": reason, "stopped": stopped, "surface": surface, "direction": direction,
                    "path": mask.text(path),
                }),
            ),
            EventKind::RefusedCa { server_name, alert } => (
                "ca_refused",
                json!({ "server_name": server_name, "alert": alert }),
            ),
            EventKind::Reloaded { error } => {
                let result = if error.is_none() { "success" } else { "failure" };
                ("reload", json!({ "result": result, "error": error }))
            }
        })
    }

    fn message(&self, what: &EventKind) -> Option<Value> {
        let EventKind::Message {
            number,
            path,
            subprotocol,
            direction,
            opcode,
            data,
            size,
            ruled,
        } = what
        else {
            return None;
        };
        let masked = self.mask.bytes(data);
        if !self.holds(&masked) {
            return None;
        }
        let mut shown = json!({
            "number": number, "path": self.mask.text(path), "direction": direction.label(),
            "opcode": opcode.label(), "size": size,
        });
        self.content(&mut shown, &masked, *opcode == Opcode::Text);
        // What could not be decoded, or was left out, is there by its size alone.
        if (data.len() as u64) < *size || masked.len() > self.content_bytes {
            shown["cut"] = true.into();
        }
        if let Some(it) = said(subprotocol.as_deref(), path, *opcode, &masked) {
            shown["framing"] = it.framing.into();
            if !it.documents.is_empty() && masked.len() <= self.content_bytes {
                shown["documents"] = it.documents.into();
            }
        }
        if is_heartbeat(subprotocol.as_deref(), *opcode, data) {
            shown["heartbeat"] = true.into();
        }
        rules(&mut shown, ruled.as_ref());
        Some(shown)
    }

    fn body(
        &mut self,
        exchange: u64,
        direction: Direction,
        data: &[u8],
        size: u64,
        ruled: Option<&Ruled>,
    ) -> Option<Value> {
        let at = self
            .heads
            .iter()
            .position(|(of, way, _)| (*of, *way) == (exchange, direction));
        let fields = at
            .and_then(|at| self.heads.remove(at))
            .map(|(_, _, fields)| fields);
        let fields = fields.filter(|_| ruled.is_none()).unwrap_or_default();
        let plain = beginning(&fields, data, self.content_bytes.saturating_add(BEYOND));
        let mut shown = json!({ "exchange": exchange, "direction": direction.label(), "size": size });
        match plain {
            Some(plain) => {
                let masked = self.mask.bytes(&plain);
                if !self.holds(&masked) {
                    return None;
                }
                self.content(&mut shown, &masked, true);
                if (data.len() as u64) < size || masked.len() > self.content_bytes {
                    shown["cut"] = true.into();
                }
            }
            None if self.text.is_some() => return None,
            None => shown["undecoded"] = true.into(),
        }
        rules(&mut shown, ruled);
        Some(shown)
    }

    /// Text where it is text, base64 where it is not.
    fn content(&self, shown: &mut Value, masked: &[u8], may_be_text: bool) {
        let cut = &masked[..masked.len().min(self.content_bytes)];
        let text = match std::str::from_utf8(cut) {
            _ if !may_be_text => None,
            Ok(text) => Some(text),
            // A character was cut.
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&cut[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        match text {
            Some(text) => shown["text"] = text.into(),
            None => shown["base64"] = BASE64_STANDARD.encode(cut).into(),
        }
    }

    /// Whether what was looked for is there.
    fn holds(&self, masked: &[u8]) -> bool {
        let found = |text: &String| memchr::memmem::find(masked, text.as_bytes()).is_some();
        self.text.as_ref().is_none_or(found)
    }
}

fn rules(shown: &mut Value, ruled: Option<&Ruled>) {
    if let Some(ruled) = ruled {
        shown["verdict"] = ruled.verdict.into();
        shown["rules"] = ruled.rules.iter().map(|rule| Value::from(&**rule)).collect();
    }
}

/// A number of each direction.
pub(super) fn both(numbers: [u64; 2]) -> Value {
    json!({ "to_origin": numbers[0], "to_client": numbers[1] })
}

#[cfg(test)]
mod tests {
    use super::super::people::People;
    use super::super::stamp::Stamp;
    use super::*;
    use crate::accept::Who;
    use crate::identity::Identity;
    use crate::inspect::HttpHead;
    use http::{Method, StatusCode, Version};

    fn event(what: EventKind) -> LiveEvent {
        LiveEvent {
            id: 1,
            at: Stamp::at(std::time::Duration::from_secs(1)),
            who: Some(Who {
                connection: 5,
                client: "192.0.2.1".parse().unwrap(),
                user: Some(Arc::new(Identity::from("ada"))),
            }),
            host: crate::wire::names::Authority::parse("chat.test:443", None),
            websocket: Some(2),
            what,
        }
    }

    fn message(opcode: Opcode, data: &[u8], path: &str) -> LiveEvent {
        event(EventKind::Message {
            number: 1,
            path: path.into(),
            subprotocol: None,
            direction: Direction::ToOrigin,
            opcode,
            data: data.into(),
            size: data.len() as u64,
            ruled: None,
        })
    }

    fn shown(raw: bool, bytes: usize, text: Option<&str>) -> Shown {
        Shown::new(Arc::default(), raw, bytes, text.map(str::to_owned), true)
    }

    #[test]
    fn secrets_are_masked_unless_raw_and_not_found_behind_the_mask() {
        let secret = message(Opcode::Text, br#"{"password":"hunter2","a":1}"#, "/ws?token=abc");
        let masked = shown(false, 1000, None).event(&secret).unwrap();
        assert_eq!(masked["text"], r#"{"password":"****","a":1}"#);
        assert_eq!(
            (&masked["path"], &masked["client"]),
            (&json!("/ws?token=****"), &json!("192.0.2.1"))
        );
        let raw = shown(true, 1000, None).event(&secret).unwrap();
        assert_eq!(raw["text"], r#"{"password":"hunter2","a":1}"#);
        assert!(shown(false, 1000, Some("hunter2")).event(&secret).is_none());
        assert!(shown(true, 1000, Some("hunter2")).event(&secret).is_some());
        assert!(shown(false, 1000, Some(r#""a":1"#)).event(&secret).is_some());
    }

    #[test]
    fn a_secret_in_a_path_is_masked_whatever_tells_of_it() {
        const SECRET: &str = "AKIAQ3EGRT5YHB7NWXZ2";
        let path = format!("/hooks/{SECRET}/x");
        let url = format!("https://chat.test{path}");
        let all = [
            EventKind::Finding {
                rule: "r".into(),
                action: "log",
                enforced: false,
                verdict: "pass",
                matches: 1,
                surface: "message",
                direction: "to_origin",
                path: path.clone(),
                excerpt: None,
                detail: None,
            },
            EventKind::Uninspected {
                reason: "size",
                stopped: false,
                surface: "message",
                direction: "to_origin",
                path: path.clone(),
            },
            EventKind::Opened {
                url: url.clone(),
                version: Version::HTTP_11,
                subprotocol: None,
                is_compressed: false,
            },
            EventKind::Ended {
                sni: None,
                action: None,
                rule: None,
                ending: "ok",
                detail: Some(format!("asked for {path}")),
                requests: 0,
                bytes: None,
                open: std::time::Duration::ZERO,
            },
        ];
        for what in all {
            let event = event(what);
            let masked = shown(false, 100, None).event(&event).unwrap().to_string();
            assert!(!masked.contains(SECRET), "{masked}");
            let raw = shown(true, 100, None).event(&event).unwrap().to_string();
            assert!(raw.contains(SECRET), "{raw}");
        }
        let open = super::super::OpenUrl::new(url.into());
        assert_eq!(open.shown(), "https://chat.test/hooks/****/x");
    }

    #[test]
    fn people_are_called_as_they_are_to_be_called() {
        let bus = Arc::<LiveBus>::default();
        let called = |people| {
            bus.call(people);
            let mut shown = Shown::new(bus.clone(), false, 10, None, true);
            let shown = shown.event(&message(Opcode::Text, b"x", "/")).unwrap();
            (shown["user"].clone(), shown["client"].clone())
        };
        assert_eq!(called(People::Show), (json!("ada"), json!("192.0.2.1")));
        assert_eq!(called(People::Hide), (Value::Null, Value::Null));
        let (user, client) = called(People::Pseudonym);
        assert!(
            user.as_str().unwrap().starts_with("user-") && client.as_str().unwrap().starts_with("client-")
        );
    }

    #[test]
    fn content_is_cut_between_characters_and_binary_is_base64() {
        let long = message(Opcode::Text, "aé世".as_bytes(), "/");
        let cut = shown(false, 2, None).event(&long).unwrap();
        assert_eq!((&cut["text"], &cut["cut"]), (&json!("a"), &json!(true)));
        let binary = message(Opcode::Binary, b"abc", "/");
        assert_eq!(shown(false, 10, None).event(&binary).unwrap()["base64"], "YWJj");
        let framed = message(Opcode::Text, br#"42["say",{"token":"x"}]"#, "/socket.io/?EIO=4");
        let framed = shown(false, 100, None).event(&framed).unwrap();
        assert_eq!(framed["framing"], "socketio");
        assert!(!framed.to_string().contains(r#""x""#), "{framed}");
        assert!(framed["heartbeat"].is_null());
        let beat = message(Opcode::Text, br#"{"type":"ping","id":3}"#, "/");
        assert_eq!(shown(false, 100, None).event(&beat).unwrap()["heartbeat"], true);
    }

    #[test]
    fn a_body_is_decoded_by_the_head_that_came_before_it() {
        use std::io::Write as _;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(br#"{"api_key":"k1","b":2}"#).unwrap();
        let packed = packed.finish().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        headers.insert("set-cookie", "a=b".parse().unwrap());
        let mut shown = shown(false, 100, None);
        let head = event(EventKind::Head {
            exchange: 9,
            version: Version::HTTP_11,
            scheme: "https",
            path: "/x?key=v".into(),
            head: HttpHead {
                method: Method::GET,
                status: Some(StatusCode::OK),
                headers,
            },
            origin: None,
        });
        let head = shown.event(&head).unwrap();
        assert_eq!(
            (&head["type"], &head["path"]),
            (&json!("response_head"), &json!("/x?key=****"))
        );
        assert_eq!(
            head["fields"][1],
            json!({ "name": "set-cookie", "value": "****" })
        );
        let body = |exchange| {
            event(EventKind::Body {
                exchange,
                direction: Direction::ToClient,
                data: packed.clone().into(),
                size: packed.len() as u64,
                ruled: None,
            })
        };
        assert_eq!(
            shown.event(&body(9)).unwrap()["text"],
            r#"{"api_key":"****","b":2}"#
        );
        assert!(shown.event(&body(10)).unwrap()["text"].is_null());
    }
}
