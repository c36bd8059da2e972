//! Requests and responses, in numbers. What each request counts in is found once: to look a series up by its labels costs
//! more than to count.

use super::families::{counters, histograms};
use super::names;
use crate::error::Side;
use crate::http::{Flood, HttpError, RequestDone};
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use crate::wire::frame::Direction;
use crate::wire::http1::Malformed;
use http::{Method, Version};
use prometheus::{Histogram, IntCounter, IntCounterVec, Registry};

const HEAD_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// What a stream of HTTP/2 can be.
const REQUEST: &str = "request";
const WEBSOCKET: &str = "websocket";

/// The last one stands for all others.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other",
];
/// Classes of status codes.
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// An exchange that ended without one.
const NO_STATUS: &str = "none";

/// Every family of this sink.
#[derive(Debug)]
pub(super) struct RequestMetrics {
    requests: [RequestCounters; METHODS.len()],
    /// By [`STATUSES`].
    head: [Histogram; STATUSES.len()],
    /// By [`Direction::index`].
    body_bytes: [IntCounter; 2],
    errors: IntCounterVec,
    malformed: IntCounterVec,
    http1_fallbacks: IntCounter,
    h2_requests: IntCounter,
    h2_websockets: IntCounter,
    h2_floods: IntCounterVec,
}

/// Those of one method.
#[derive(Debug)]
struct RequestCounters {
    /// By [`STATUSES`].
    answered: [IntCounter; STATUSES.len()],
    unanswered: IntCounter,
}

impl RequestMetrics {
    /// Every series is there, at zero.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let requests = counters(registry, &names::HTTP_REQUESTS)?;
        let head = histograms(registry, &names::HTTP_HEAD_SECONDS, &HEAD_SECONDS)?;
        let body_bytes = counters(registry, &names::HTTP_BODY_BYTES)?;
        let none: [&str; 0] = [];
        let fallbacks = counters(registry, &names::HTTP1_FALLBACKS)?;
        let h2_streams = counters(registry, &names::HTTP2_STREAMS)?;
        let metrics = Self {
            requests: METHODS.map(|method| RequestCounters {
                answered: STATUSES.map(|status| requests.with_label_values(&[method, status])),
                unanswered: requests.with_label_values(&[method, NO_STATUS]),
            }),
            head: STATUSES.map(|status| head.with_label_values(&[status])),
            body_bytes: Direction::ALL.map(|direction| body_bytes.with_label_values(&[direction.label()])),
            errors: counters(registry, &names::HTTP_ERRORS)?,
            malformed: counters(registry, &names::HTTP_MALFORMED)?,
            http1_fallbacks: fallbacks.with_label_values(&none),
            h2_requests: h2_streams.with_label_values(&[REQUEST]),
            h2_websockets: h2_streams.with_label_values(&[WEBSOCKET]),
            h2_floods: counters(registry, &names::HTTP2_FLOODS)?,
        };
        metrics.start_at_zero();
        Ok(metrics)
    }

    fn start_at_zero(&self) {
        let zero = |family: &IntCounterVec, labels: &[&str]| drop(family.with_label_values(labels));
        HttpError::all().for_each(|error| zero(&self.errors, &[error.label()]));
        for side in [Side::Client, Side::Origin] {
            for why in Malformed::ALL {
                zero(&self.malformed, &[side.label(), why.label()]);
            }
        }
        for flood in Flood::ALL {
            zero(&self.h2_floods, &[flood.label()]);
        }
    }

    fn request(&self, done: &RequestDone) {
        let of_method = &self.requests[method_class(&done.method)];
        match done.status.and_then(status_class) {
            Some(class) => {
                of_method.answered[class].inc();
                self.head[class].observe(done.time_to_head.as_secs_f64());
            }
            None => of_method.unanswered.inc(),
        }
        if done.version == Version::HTTP_2 {
            self.h2_requests.inc();
        }
        self.body_bytes[Direction::ToOrigin.index()].inc_by(done.request_bytes);
        self.body_bytes[Direction::ToClient.index()].inc_by(done.response_bytes);
        if let Some((side, why)) = done.malformed_by() {
            self.malformed
                .with_label_values(&[side.label(), why.label()])
                .inc();
        }
        if let Some(error) = done.error {
            self.failed(error);
        }
    }

    fn failed(&self, error: HttpError) {
        self.errors.with_label_values(&[error.label()]).inc();
    }
}

impl Sink for RequestMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Requests, Topic::WebSockets]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Request(done) => self.request(done),
            Event::MalformedRequest => self.failed(HttpError::BadRequest),
            Event::Flooded(flood) => self.h2_floods.with_label_values(&[flood.label()]).inc(),
            Event::Http1Fallback { .. } => self.http1_fallbacks.inc(),
            Event::WebSocketOpened(socket) if socket.info.version == Version::HTTP_2 => {
                self.h2_websockets.inc();
            }
            _ => {}
        }
    }
}

/// A method's place among [`METHODS`].
fn method_class(method: &Method) -> usize {
    let known = METHODS.iter().position(|known| *known == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

/// A status code's place among [`STATUSES`]; `None` for what is no status code.
fn status_class(status: u16) -> Option<usize> {
    let class = usize::from(status / 100).checked_sub(1)?;
    (class < STATUSES.len()).then_some(class)
}

#[cfg(test)]
mod tests;
