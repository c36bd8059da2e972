//! What somebody has watched, as a HAR 1.2 file: made of what they were shown, so that nothing is in it that was masked.

use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Where an entry of the file is kept while it comes together.
type Place = usize;

/// Entries of a HAR file, with a WebSocket's messages as Chrome writes them.
#[derive(Debug, Default)]
pub struct LiveHar {
    entries: Vec<Value>,
    exchanges: HashMap<u64, Place>,
    sockets: HashMap<u64, Place>,
}

impl LiveHar {
    /// Takes an event as it was shown; what has no place in such a file is left out.
    pub fn take(&mut self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            "request_head" => self.begin(event),
            "response_head" => self.respond(event),
            "body" => self.body(event),
            "exchange_ended" => self.end(event),
            "websocket_opened" => {
                self.socket(event);
            }
            "message" => self.message(event),
            "websocket_closed" => self.close(event),
            _ => {}
        }
    }

    /// The file.
    pub fn finish(self) -> Value {
        json!({ "log": {
            "version": "1.2",
            "creator": { "name": "wsbump", "version": env!("CARGO_PKG_VERSION") },
            "pages": [],
            "entries": self.entries,
            "comment": "of what was watched: heads and bodies that were not watched are not here",
        } })
    }

    fn exchange(&mut self, event: &Value) -> Option<&mut Value> {
        let place = *self.exchanges.get(&event["exchange"].as_u64()?)?;
        self.entries.get_mut(place)
    }

    fn begin(&mut self, event: &Value) {
        let Some(exchange) = event["exchange"].as_u64() else {
            return;
        };
        let scheme = event["scheme"].as_str().unwrap_or("https");
        let host = bare(event["host"].as_str().unwrap_or_default(), scheme);
        let url = format!("{scheme}://{host}{}", event["path"].as_str().unwrap_or("/"));
        let mut entry = blank(event, &url);
        let request = &mut entry["request"];
        request["method"] = event["method"].clone();
        request["httpVersion"] = event["version"].clone();
        request["headers"] = fields(event);
        self.exchanges.insert(exchange, self.entries.len());
        self.entries.push(entry);
    }

    fn respond(&mut self, event: &Value) {
        let head = fields(event);
        let Some(entry) = self.exchange(event) else { return };
        if let Some(address) = event["origin"].as_str() {
            entry["serverIPAddress"] = address.into();
        }
        let status = event["status"].as_u64().unwrap_or_default();
        let response = &mut entry["response"];
        response["status"] = status.into();
        response["statusText"] = reason(status).into();
        response["httpVersion"] = event["version"].clone();
        response["redirectURL"] = value(event, "location").unwrap_or_default().into();
        if let Some(kind) = value(event, "content-type") {
            response["content"]["mimeType"] = kind.into();
        }
        response["headers"] = head;
    }

    fn body(&mut self, event: &Value) {
        let Some(entry) = self.exchange(event) else { return };
        let size = event["size"].as_u64().unwrap_or_default();
        let mut content = Map::new();
        if let Some(text) = event["text"].as_str() {
            content.insert("text".to_owned(), text.into());
        } else if let Some(coded) = event["base64"].as_str() {
            content.insert("text".to_owned(), coded.into());
            content.insert("encoding".to_owned(), "base64".into());
        }
        if event["cut"] == true {
            content.insert("comment".to_owned(), "the beginning of it".into());
        } else if event["undecoded"] == true {
            content.insert("comment".to_owned(), "its content coding is not known".into());
        }
        if !event["verdict"].is_null() {
            content.insert("_wsbump".to_owned(), ruled(event));
        }
        if event["direction"] == "to_origin" {
            entry["request"]["bodySize"] = size.into();
            if size > 0 {
                let kind = entry["request"]["headers"].as_array().into_iter().flatten();
                let kind = kind.into_iter().find(|field| field["name"] == "content-type");
                let kind = kind.map_or("x-unknown".into(), |field| field["value"].clone());
                content.insert("mimeType".to_owned(), kind);
                entry["request"]["postData"] = content.into();
            }
        } else {
            entry["response"]["bodySize"] = size.into();
            // What was decoded is as large as it is shown.
            let shown = content.get("text").filter(|_| !content.contains_key("encoding"));
            let shown = shown
                .and_then(Value::as_str)
                .map_or(size, |text| text.len() as u64);
            content.insert("size".to_owned(), shown.into());
            content.insert(
                "mimeType".to_owned(),
                entry["response"]["content"]["mimeType"].clone(),
            );
            entry["response"]["content"] = content.into();
        }
    }

    fn end(&mut self, event: &Value) {
        let Some(entry) = self.exchange(event) else { return };
        let millis = |key: &str| event[key].as_f64().unwrap_or_default() * 1000.0;
        let (wait, total) = (millis("wait_seconds"), millis("seconds"));
        entry["time"] = total.into();
        entry["timings"]["wait"] = wait.into();
        entry["timings"]["receive"] = (total - wait).max(0.0).into();
        if entry["response"]["status"] == 0
            && let Some(status) = event["status"].as_u64()
        {
            entry["response"]["status"] = status.into();
            entry["response"]["statusText"] = reason(status).into();
        }
        if let Some(error) = event["error"].as_str() {
            let detail = event["detail"].as_str();
            let detail = detail.map_or(String::new(), |text| format!(": {text}"));
            entry["comment"] = format!("{error}{detail}").into();
        }
    }

    /// The entry of an event's WebSocket. Its handshake may not have been watched.
    fn socket(&mut self, event: &Value) -> Option<&mut Value> {
        let number = event["websocket"].as_u64()?;
        let place = *self.sockets.entry(number).or_insert_with(|| {
            let host = bare(event["host"].as_str().unwrap_or_default(), "wss");
            let path = event["path"].as_str().unwrap_or("/");
            let url = (event["url"].as_str()).map_or_else(|| format!("wss://{host}{path}"), str::to_owned);
            let mut entry = blank(event, &url);
            // RFC 8441 section 5.
            let (method, version, status) = match event["version"].as_str() {
                Some("HTTP/2.0") => ("CONNECT", "HTTP/2.0", 200),
                _ => ("GET", "HTTP/1.1", 101),
            };
            entry["request"]["method"] = method.into();
            entry["response"]["status"] = status.into();
            entry["response"]["statusText"] = reason(status).into();
            for message in ["request", "response"] {
                entry[message]["httpVersion"] = version.into();
            }
            entry["_resourceType"] = "websocket".into();
            entry["_webSocketMessages"] = json!([]);
            self.entries.push(entry);
            self.entries.len() - 1
        });
        self.entries.get_mut(place)
    }

    fn message(&mut self, event: &Value) {
        let Some(entry) = self.socket(event) else { return };
        let is_text = event["opcode"] == "text";
        let mut said = json!({
            "type": if event["direction"] == "to_origin" { "send" } else { "receive" },
            "time": seconds(event["time"].as_str().unwrap_or_default()),
            "opcode": if is_text { 1 } else { 2 },
            "data": event["text"].as_str().or(event["base64"].as_str()).unwrap_or_default(),
        });
        let mut more = Map::new();
        if !event["verdict"].is_null()
            && let Value::Object(ruled) = ruled(event)
        {
            more.extend(ruled);
        }
        if event["cut"] == true {
            more.insert("size".to_owned(), event["size"].clone());
        }
        if !more.is_empty() {
            said["_wsbump"] = more.into();
        }
        if let Some(all) = entry["_webSocketMessages"].as_array_mut() {
            all.push(said);
        }
    }

    fn close(&mut self, event: &Value) {
        let Some(entry) = self.socket(event) else { return };
        entry["time"] = (event["seconds"].as_f64().unwrap_or_default() * 1000.0).into();
        let code = event["close"]["code"].as_u64();
        let code = code.map_or(String::new(), |code| format!(" with {code}"));
        entry["comment"] = format!("{}{code}", event["ending"].as_str().unwrap_or("closed")).into();
    }
}

/// An entry of which only this is known.
fn blank(event: &Value, url: &str) -> Value {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        json!({ "name": name, "value": value })
    });
    let mut entry = json!({
        "startedDateTime": event["time"],
        "time": 0,
        "request": {
            "method": "", "url": url, "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
            "queryString": query.collect::<Vec<_>>(), "headersSize": -1, "bodySize": 0,
        },
        // As Chrome writes what had no response.
        "response": {
            "status": 0, "statusText": "", "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
            "content": { "size": 0, "mimeType": "x-unknown" }, "redirectURL": "", "headersSize": -1, "bodySize": -1,
        },
        "cache": {},
        "timings": { "blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 0, "receive": 0 },
        "connection": event["connection"].to_string(),
    });
    for (key, from) in [("_client", "client"), ("_user", "user")] {
        if !event[from].is_null() {
            entry[key] = event[from].clone();
        }
    }
    entry
}

fn fields(event: &Value) -> Value {
    event["fields"].as_array().cloned().unwrap_or_default().into()
}

fn value(event: &Value, name: &str) -> Option<String> {
    let mut all = event["fields"].as_array()?.iter();
    let found = all.find(|field| field["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

fn ruled(event: &Value) -> Value {
    json!({ "verdict": event["verdict"], "rules": event["rules"] })
}

fn reason(status: u64) -> &'static str {
    let status = u16::try_from(status)
        .ok()
        .and_then(|it| http::StatusCode::from_u16(it).ok());
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}

/// A host without the port that its scheme has anyway.
fn bare<'a>(host: &'a str, scheme: &str) -> &'a str {
    let port = if scheme.ends_with('s') { ":443" } else { ":80" };
    host.strip_suffix(port).unwrap_or(host)
}

/// A time of RFC 3339 in seconds after the Unix epoch.
fn seconds(text: &str) -> f64 {
    let at = text.parse::<jiff::Timestamp>();
    at.map_or(0.0, |at| at.as_duration().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[Value]) -> Vec<Value> {
        let mut har = LiveHar::default();
        events.iter().for_each(|event| har.take(event));
        har.finish()["log"]["entries"].as_array().unwrap().clone()
    }

    #[test]
    fn an_exchange_comes_together_from_its_events() {
        let base = json!({ "time": "2026-11-30T10:00:00.250Z", "connection": 5, "client": "client-1", "exchange": 9, "host": "a.test:443" });
        let with = |more: Value| {
            let mut event = base.clone();
            event
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            event
        };
        let kind = |kind: &str| json!([{ "name": "content-type", "value": kind }]);
        let entries = of(&[
            with(
                json!({ "type": "request_head", "method": "POST", "scheme": "https", "path": "/x?a=1&token=****",
                "version": "HTTP/2.0", "fields": kind("application/json") }),
            ),
            with(
                json!({ "type": "response_head", "version": "HTTP/2.0", "status": 200, "origin": "192.0.2.7", "fields": kind("text/plain") }),
            ),
            with(json!({ "type": "exchange_ended", "status": 200, "wait_seconds": 0.25, "seconds": 1.0 })),
            with(
                json!({ "type": "body", "direction": "to_origin", "size": 4, "text": "{\"a\"", "cut": true }),
            ),
            with(json!({ "type": "body", "direction": "to_client", "size": 3, "base64": "YWJj" })),
            with(json!({ "type": "request", "url": "https://a.test/x" })),
            // Whose beginning was not watched.
            json!({ "type": "body", "exchange": 8, "direction": "to_client", "size": 3, "text": "abc" }),
        ]);
        let [entry] = &entries[..] else {
            panic!("{entries:?}")
        };
        for (pointer, value) in [
            ("/request/url", json!("https://a.test/x?a=1&token=****")),
            ("/request/queryString/1/value", json!("****")),
            ("/request/postData/mimeType", json!("application/json")),
            ("/request/postData/comment", json!("the beginning of it")),
            ("/response/content/encoding", json!("base64")),
            ("/response/content/mimeType", json!("text/plain")),
            ("/response/statusText", json!("OK")),
            ("/timings/wait", json!(250.0)),
            ("/timings/receive", json!(750.0)),
            ("/serverIPAddress", json!("192.0.2.7")),
            ("/_client", json!("client-1")),
        ] {
            assert_eq!(entry.pointer(pointer), Some(&value), "{pointer}: {entry:#}");
        }
        assert!(entry["_user"].is_null());
    }

    #[test]
    fn a_websocket_has_its_messages() {
        let message = |direction: &str, more: &str, data: &str| {
            json!({ "type": "message", "time": "2026-11-30T10:00:01.500Z", "connection": 5, "websocket": 2, "host": "a.test:8443",
                "path": "/ws", "direction": direction, "opcode": if more == "text" { "text" } else { "binary" }, "size": 9, more: data })
        };
        let entries = of(&[
            message("to_origin", "text", "hello"),
            message("to_client", "base64", "YWJj"),
            json!({ "type": "websocket_closed", "websocket": 2, "url": "wss://a.test:8443/ws", "ending": "closed", "seconds": 2.0,
                "close": { "code": 1000 } }),
        ]);
        let [entry] = &entries[..] else {
            panic!("{entries:?}")
        };
        assert_eq!(
            (&entry["request"]["url"], &entry["comment"], &entry["time"]),
            (
                &json!("wss://a.test:8443/ws"),
                &json!("closed with 1000"),
                &json!(2000.0)
            )
        );
        let messages = &entry["_webSocketMessages"];
        assert_eq!(
            messages[0],
            json!({ "type": "send", "time": 1_796_032_801.5, "opcode": 1, "data": "hello" })
        );
        assert_eq!(
            (&messages[1]["opcode"], &messages[1]["data"]),
            (&json!(2), &json!("YWJj"))
        );
    }
}
