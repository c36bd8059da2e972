//! What happens, for those who watch it happen.

use crate::accept::Who;
use crate::http::RequestDone;
use crate::inspect::{About, Blind, Facts, Judgement, RecordedContent};
use crate::live::{LiveBus, LiveTopic, Passing, Ruled, What};
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
        self.0.tell(&passing, 0, || What::Ended {
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
        self.0.tell(&passing, 0, || What::Request {
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
        self.0.tell(&passing, 0, || What::Opened {
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
        self.0.tell(&passing, 0, || What::Closed {
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

    fn judged(&self, facts: &Facts, about: &About, judgement: &Judgement) {
        let who = who(facts);
        for finding in &judgement.findings {
            let passing = passing(LiveTopic::Findings, facts, &who);
            self.0.tell_and_remember(&passing, || What::Finding {
                rule: Arc::clone(&finding.rule),
                action: finding.action,
                enforced: finding.enforced,
                verdict: judgement.verdict.label(),
                matches: finding.matches,
                surface: about.surface.label(),
                direction: about.direction.label(),
                path: bare(&facts.path).to_owned(),
                excerpt: finding.excerpt.clone(),
                detail: finding.detail.clone(),
            });
        }
    }

    fn blind(&self, facts: &Facts, about: &About, why: Blind, stopped: bool) {
        let who = who(facts);
        let passing = passing(LiveTopic::Findings, facts, &who);
        self.0.tell_and_remember(&passing, || What::Uninspected {
            reason: why.label(),
            stopped,
            surface: about.surface.label(),
            direction: about.direction.label(),
            path: bare(&facts.path).to_owned(),
        });
    }

    fn content(&self, facts: &Facts, content: &RecordedContent<'_>) {
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
                self.0.tell(&passing, data.len(), || What::Message {
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
                self.0.tell(&passing, size.sum(), || What::Head {
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
                self.0.tell(&passing, data.len(), || What::Body {
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
                self.0.tell(&passing, 0, || What::Over {
                    exchange,
                    status: status.map(|status| status.as_u16()),
                    wait,
                    total,
                    error: error.map(|(label, _)| label),
                    detail: error.and_then(|(_, detail)| detail.map(str::to_owned)),
                });
            }
            RecordedContent::Closed { .. } => {}
        }
    }
}

fn who(facts: &Facts) -> Who {
    Who {
        connection: facts.connection,
        client: facts.client,
        user: facts.user.clone(),
    }
}

fn passing<'a>(topic: LiveTopic, facts: &'a Facts, who: &'a Who) -> Passing<'a> {
    Passing {
        websocket: facts.websocket,
        ..Passing::of(topic).who(who).host(Some(&facts.target))
    }
}

/// A query may hold secrets.
fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
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
                self.0.tell_and_remember(&passing, || What::RefusedCa {
                    server_name: (*server_name).to_owned(),
                    alert: (*alert).to_owned(),
                });
            }
            Event::Reloaded(result) => {
                let passing = Passing::of(LiveTopic::Reloads);
                self.0.tell(&passing, 0, || What::Reloaded {
                    error: result.err().map(str::to_owned),
                });
            }
            _ => {}
        }
    }
}
