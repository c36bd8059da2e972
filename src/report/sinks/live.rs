//! What happens, for those who watch it happen.

use crate::accept::Who;
use crate::http::RequestDone;
use crate::inspect::{About, Blind, Judgement, RecordedContent, SessionFacts};
use crate::live::{EventKind, LiveBus, LiveTopic, Passing, Ruled};
use crate::relay::WebSocketTotals;
use crate::report::event::{ConnectionRecord, Event, OpenWebSocket, Topic};
use crate::report::sink::Sink;
use std::sync::Arc;
use std::time::Duration;

/// Tells those who watch.
#[derive(Debug)]
pub(super) struct LiveSink(pub(super) Arc<LiveBus>);

impl LiveSink {
    fn ended(&self, record: &ConnectionRecord) {
        if !self.0.is_watched(LiveTopic::Connections) {
            return;
        }
        let who = record.who();
        let passing = Passing::of(LiveTopic::Connections)
            .who(&who)
            .host(record.target.as_ref());
        let size = length(record.detail.as_deref()) + length(record.sni.as_deref());
        self.0.tell(&passing, size, || EventKind::Ended {
            sni: record.sni.clone(),
            action: record.action.map(|action| action.label()),
            rule: record.rule.clone(),
            ending: record.ending.label(),
            detail: record.detail.clone(),
            requests: record.requests,
            bytes: record.tunnel.map(|tunnel| tunnel.bytes),
            open: record.duration,
        });
    }

    fn request(&self, done: &RequestDone) {
        if !self.0.is_watched(LiveTopic::Requests) {
            return;
        }
        let host = crate::live::host_of(&done.url);
        let passing = Passing::of(LiveTopic::Requests)
            .who(&done.who)
            .host(host.as_ref());
        let size = done.url.len() + length(done.detail.as_deref());
        self.0.tell(&passing, size, || EventKind::Request {
            id: done.id.to_string(),
            method: done.method.clone(),
            version: done.version,
            url: done.url.clone(),
            status: done.status,
            wait: done.time_to_head,
            total: done.time_total,
            bytes: [done.request_bytes, done.response_bytes],
            error: done.error.map(|error| error.label()),
            detail: done.detail.clone(),
            rule: done.rule.clone(),
        });
    }

    fn opened(&self, socket: &OpenWebSocket<'_>) {
        let info = socket.info;
        let passing = Passing {
            websocket: Some(socket.id),
            ..Passing::of(LiveTopic::WebSockets)
                .who(socket.who)
                .host(Some(&info.facts.target))
        };
        let size = info.url.len() + length(info.facts.subprotocol.as_deref());
        self.0.tell(&passing, size, || EventKind::Opened {
            url: info.url.to_string(),
            version: info.version,
            subprotocol: info.facts.subprotocol.clone(),
            is_compressed: info.deflate.is_some(),
        });
    }

    fn closed(&self, socket: &OpenWebSocket<'_>, totals: &WebSocketTotals, open: Duration) {
        let info = socket.info;
        let passing = Passing {
            websocket: Some(socket.id),
            ..Passing::of(LiveTopic::WebSockets)
                .who(socket.who)
                .host(Some(&info.facts.target))
        };
        self.0.tell(&passing, info.url.len(), || EventKind::Closed {
            url: info.url.to_string(),
            end: totals.end.label(),
            close: (totals.first_close.as_ref())
                .map(|close| (close.by.label(), close.code, close.reason.clone())),
            frames: totals.frames,
            messages: totals.messages,
            bytes: totals.payload_bytes,
            pings: totals.pings,
            open,
        });
    }

    fn judged(&self, facts: &SessionFacts, about: &About, judgement: &Judgement) {
        let who = who(facts);
        for finding in &judgement.findings {
            let passing = passing(LiveTopic::Findings, facts, &who);
            let path = bare(&facts.path);
            let size = path.len() + length(finding.excerpt.as_deref()) + length(finding.detail.as_deref());
            self.0.tell_and_remember(&passing, size, || EventKind::Finding {
                rule: Arc::clone(&finding.rule),
                action: finding.action,
                enforced: finding.enforced,
                verdict: judgement.verdict.label(),
                matches: finding.matches,
                surface: about.surface.label(),
                direction: about.direction.label(),
                path: path.to_owned(),
                excerpt: finding.excerpt.clone(),
                detail: finding.detail.clone(),
            });
        }
    }

    fn blind(&self, facts: &SessionFacts, about: &About, why: Blind, stopped: bool) {
        let who = who(facts);
        let passing = passing(LiveTopic::Findings, facts, &who);
        let path = bare(&facts.path);
        self.0
            .tell_and_remember(&passing, path.len(), || EventKind::Uninspected {
                reason: why.label(),
                stopped,
                surface: about.surface.label(),
                direction: about.direction.label(),
                path: path.to_owned(),
            });
    }

    fn content(&self, facts: &SessionFacts, content: &RecordedContent<'_>) {
        let topic = match content {
            RecordedContent::Message { .. } => LiveTopic::Messages,
            RecordedContent::Head { .. } | RecordedContent::Body { .. } | RecordedContent::End { .. } => {
                LiveTopic::Bodies
            }
            // Told as a WebSocket that has ended.
            RecordedContent::Closed { .. } => return,
        };
        if !self.0.is_watched(topic) {
            return;
        }
        let who = who(facts);
        let passing = passing(topic, facts, &who);
        match *content {
            RecordedContent::Message {
                direction,
                opcode,
                number,
                data,
                size,
                judgement,
                ..
            } => {
                let passing = Passing {
                    direction: Some(direction),
                    opcode: Some(opcode),
                    data: Some(data),
                    size: Some(size),
                    ..passing
                };
                let around = facts.path.len() + length(facts.subprotocol.as_deref());
                self.0.tell(&passing, data.len() + around, || EventKind::Message {
                    number,
                    path: facts.path.as_str().into(),
                    subprotocol: facts.subprotocol.as_deref().map(Into::into),
                    direction,
                    opcode,
                    data: data.into(),
                    size,
                    ruled: judgement.map(Ruled::of),
                });
            }
            RecordedContent::Head {
                exchange,
                version,
                head,
                origin,
                ..
            } => {
                let size = head
                    .headers
                    .iter()
                    .map(|(name, value)| name.as_str().len() + value.len() + 64);
                let passing = Passing {
                    exchange: Some(exchange),
                    ..passing
                };
                let size = size.sum::<usize>() + facts.path.len();
                self.0.tell(&passing, size, || EventKind::Head {
                    exchange,
                    version,
                    scheme: facts.scheme,
                    path: facts.path.as_str().into(),
                    head: head.clone(),
                    origin,
                });
            }
            RecordedContent::Body {
                exchange,
                direction,
                data,
                size,
                judgement,
            } => {
                let passing = Passing {
                    direction: Some(direction),
                    size: Some(size),
                    exchange: Some(exchange),
                    ..passing
                };
                self.0.tell(&passing, data.len(), || EventKind::Body {
                    exchange,
                    direction,
                    data: data.into(),
                    size,
                    ruled: judgement.map(Ruled::of),
                });
            }
            RecordedContent::End {
                exchange,
                wait,
                total,
                status,
                error,
            } => {
                let passing = Passing {
                    exchange: Some(exchange),
                    ..passing
                };
                let detail = error.and_then(|(_, detail)| detail);
                self.0.tell(&passing, length(detail), || EventKind::Over {
                    exchange,
                    status: status.map(|status| status.as_u16()),
                    wait,
                    total,
                    error: error.map(|(label, _)| label),
                    detail: detail.map(str::to_owned),
                });
            }
            RecordedContent::Closed { .. } => {}
        }
    }
}

fn who(facts: &SessionFacts) -> Who {
    Who {
        connection: facts.connection,
        client: facts.client,
        user: facts.user.clone(),
    }
}

fn passing<'a>(topic: LiveTopic, facts: &'a SessionFacts, who: &'a Who) -> Passing<'a> {
    Passing {
        websocket: facts.websocket,
        ..Passing::of(topic).who(who).host(Some(&facts.target))
    }
}

/// The longest path that is remembered for those who come later, in bytes.
const PATH: usize = 2048;

/// A query may hold secrets, and a path may be as long as a head.
fn bare(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    let mut end = path.len().min(PATH);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path.get(..end).unwrap_or(path)
}

/// What a text that may be there takes.
const fn length(text: Option<&str>) -> usize {
    match text {
        Some(text) => text.len(),
        None => 0,
    }
}

impl Sink for LiveSink {
    fn topics(&self) -> &'static [Topic] {
        &[
            Topic::Process,
            Topic::Connections,
            Topic::Requests,
            Topic::WebSockets,
            Topic::Inspection,
            Topic::Content,
        ]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Content {
                facts,
                onlookers,
                content,
            } if onlookers.viewer => self.content(facts, content),
            Event::Ended(record) => self.ended(record),
            Event::Request(done) => self.request(done),
            Event::WebSocketOpened(socket) => self.opened(socket),
            Event::WebSocketClosed { socket, totals, open } => self.closed(socket, totals, *open),
            Event::Judged {
                facts,
                about,
                judgement,
            } => self.judged(facts, about, judgement),
            Event::Blind {
                facts,
                about,
                why,
                stopped,
            } => self.blind(facts, about, *why, *stopped),
            Event::ClientRefusedCa {
                who,
                server_name,
                alert,
            } => {
                let host = crate::live::host_named(server_name);
                let passing = Passing::of(LiveTopic::Refusals).who(who).host(host.as_ref());
                let size = server_name.len() + alert.len();
                self.0.tell_and_remember(&passing, size, || EventKind::RefusedCa {
                    server_name: (*server_name).to_owned(),
                    alert: (*alert).to_owned(),
                });
            }
            Event::Reloaded(result) => {
                let passing = Passing::of(LiveTopic::Reloads);
                self.0
                    .tell(&passing, length(result.err()), || EventKind::Reloaded {
                        error: result.err().map(str::to_owned),
                    });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestId;
    use crate::live::{Delivery, LiveFilter, LiveTopics};

    fn request(url: String) -> RequestDone {
        RequestDone {
            id: RequestId::new(),
            rule: None,
            malformed: None,
            who: Who {
                connection: 1,
                client: "192.0.2.1".parse().unwrap(),
                user: None,
            },
            version: http::Version::HTTP_11,
            method: http::Method::GET,
            url,
            status: Some(200),
            time_to_head: Duration::ZERO,
            time_total: Duration::ZERO,
            request_bytes: 0,
            response_bytes: 0,
            error: None,
            detail: None,
            headers: Vec::new(),
        }
    }

    /// Who does not read keeps a bounded part of what is told, however long the paths are that clients ask for.
    #[tokio::test]
    async fn long_paths_wait_within_the_bound_too() {
        let bus = Arc::<LiveBus>::default();
        let filter = LiveFilter {
            topics: LiveTopics::rows(),
            ..LiveFilter::default()
        };
        let mut slow = bus.subscribe(filter).unwrap();
        let sink = LiveSink(Arc::clone(&bus));
        let done = request(format!("https://chat.example/{}", "x".repeat(60_000)));
        for _ in 0..1000 {
            sink.state(&Event::Request(&done));
        }
        let mut waited = 0;
        while let Some(Delivery::Event(event)) = slow.ready() {
            if let EventKind::Request { url, .. } = &event.what {
                waited += url.len();
            }
        }
        assert!(
            (1 << 20..=4 << 20).contains(&waited),
            "{waited} bytes have waited"
        );
        assert!(slow.lost() > 900);
    }

    #[test]
    fn what_is_remembered_is_short_and_has_no_query() {
        assert_eq!(bare("/a?key=x"), "/a");
        let long = format!("/{}\u{e9}", "x".repeat(PATH - 2));
        assert_eq!(bare(&long).len(), PATH - 1, "it is cut between characters");
    }
}
