//! One exchange's record: begun with the request's head, stated exactly once.

use crate::accept::{Carried, Who};
use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::inspected::recorded::Tape;
use crate::http::pages::{Audience, ErrorResponse, Pages};
use crate::http::request_id::RequestId;
use crate::http::watch::RequestDone;
use crate::http::watch::Watch;
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use crate::wire::http1::Malformed;
use bytes::Bytes;
use http::Response;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The most of one field that is kept for the log.
const LOGGED_BYTES: usize = 512;

/// What has come of a request's content.
#[derive(Debug, Default)]
pub(in crate::http) struct ReceivedContent {
    bytes: AtomicU64,
    /// What its connection has carried.
    carried: Arc<Carried>,
    is_malformed: AtomicBool,
}

impl ReceivedContent {
    pub(in crate::http) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.carried.bytes[Direction::ToOrigin.index()].add(bytes);
    }

    pub(in crate::http) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The client has broken its content off by breaking HTTP/2's rules for it.
    pub(in crate::http) fn malformed(&self) {
        self.is_malformed.store(true, Ordering::Relaxed);
    }
}

/// Stated when it is completed or dropped, whichever comes first.
pub(in crate::http) struct ExchangeRecord {
    done: Option<Box<RequestDone>>,
    begun: Instant,
    received: Arc<ReceivedContent>,
    watch: Arc<dyn Watch>,
    pages: Arc<Pages>,
    id: RequestId,
    /// Its client wants no content.
    is_head: bool,
    /// Where it is recorded.
    tape: Option<Tape>,
}

impl fmt::Debug for ExchangeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl ExchangeRecord {
    pub(in crate::http) fn begin(
        context: &ExchangeContext,
        method: http::Method,
        version: http::Version,
        url: String,
    ) -> Self {
        let id = RequestId::new();
        context.carried.requests.add(1);
        let is_head = method == http::Method::HEAD;
        let done = RequestDone {
            id,
            who: context.who(),
            method,
            version,
            url,
            status: None,
            time_to_head: Duration::ZERO,
            time_total: Duration::ZERO,
            request_bytes: 0,
            response_bytes: 0,
            error: Some(HttpError::Aborted(Side::Client)),
            detail: None,
            rule: None,
            malformed: None,
            headers: Vec::new(),
        };
        Self {
            done: Some(Box::new(done)),
            begun: Instant::now(),
            received: Arc::new(ReceivedContent {
                carried: Arc::clone(&context.carried),
                ..ReceivedContent::default()
            }),
            watch: Arc::clone(&context.watch),
            pages: Arc::clone(&context.pages),
            id,
            is_head,
            tape: None,
        }
    }

    /// Notes the fields of the request that are to be logged.
    pub(in crate::http) fn noting(mut self, context: &ExchangeContext, headers: &impl Headers) -> Self {
        if let Some(done) = &mut self.done {
            let noted = context.logged.iter().filter_map(|name| {
                let value = headers.first(name)?;
                Some((name.clone(), String::from_utf8_lossy(cut(value)).into_owned()))
            });
            done.headers.extend(noted);
        }
        self
    }

    /// The policy lets it pass, by this rule if it is one of the table that does.
    pub(in crate::http) fn allowed_by(&mut self, rule: Option<Arc<str>>) {
        if let Some(done) = &mut self.done {
            done.rule = rule;
        }
    }

    /// The rule that has decided about it.
    pub(in crate::http) fn rule(&self) -> Option<Arc<str>> {
        self.done.as_ref().and_then(|done| done.rule.clone())
    }

    /// Whose it is; `None` once it is stated.
    pub(in crate::http) fn who(&self) -> Option<&Who> {
        self.done.as_ref().map(|done| &done.who)
    }

    pub(in crate::http) fn url(&self) -> &str {
        self.done.as_ref().map_or("", |done| &done.url)
    }

    /// Whether its client wants no content.
    pub(in crate::http) fn is_head(&self) -> bool {
        self.is_head
    }

    /// Whose it is.
    pub(in crate::http) fn client(&self) -> IpAddr {
        self.done
            .as_ref()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |done| done.who.client)
    }

    /// What the request is called.
    pub(in crate::http) fn id(&self) -> RequestId {
        self.id
    }

    /// The proxy's own answer to it.
    pub(in crate::http) fn answer(&self, problem: &ErrorResponse, audience: Audience) -> Response<Bytes> {
        problem.response(&self.pages, audience, self.url(), self.id)
    }

    /// What the client speaks.
    pub(in crate::http) fn version(&self) -> http::Version {
        self.done
            .as_ref()
            .map_or(http::Version::HTTP_11, |done| done.version)
    }

    pub(in crate::http) fn received(&self) -> Arc<ReceivedContent> {
        Arc::clone(&self.received)
    }

    /// Tells `tape` of its end too.
    pub(in crate::http) fn recorded_by(&mut self, tape: Option<Tape>) {
        self.tape = tape;
    }

    /// The response's head is on its way to the client.
    pub(in crate::http) fn head(&mut self, status: http::StatusCode) {
        if let Some(done) = &mut self.done {
            done.status = Some(status.as_u16());
            done.time_to_head = self.begun.elapsed();
        }
    }

    /// So many bytes of the request's content have gone on.
    pub(in crate::http) fn sent(&mut self, bytes: u64) {
        self.received.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(in crate::http) fn response_bytes(&self) -> u64 {
        self.done.as_ref().map_or(0, |done| done.response_bytes)
    }

    /// So many more bytes of the response's content have gone on.
    pub(in crate::http) fn add_response_bytes(&mut self, bytes: u64) {
        self.received.carried.bytes[Direction::ToClient.index()].add(bytes);
        self.moved_response_bytes(bytes);
    }

    /// The same for what the connection has counted already.
    pub(in crate::http) fn moved_response_bytes(&mut self, bytes: u64) {
        if let Some(done) = &mut self.done {
            done.response_bytes += bytes;
        }
    }

    /// The exchange went as it should.
    pub(in crate::http) fn complete(&mut self) {
        self.state(None);
    }

    /// The origin's body broke off, since it was malformed if that is why.
    pub(in crate::http) fn broke_off(&mut self, why: Option<Malformed>) {
        if let (Some(done), Some(why)) = (&mut self.done, why) {
            done.malformed = Some(why);
            done.detail = Some(format!("the content of the response has {why}"));
        }
        self.state(Some(HttpError::Aborted(Side::Origin)));
    }

    /// The proxy answered by itself, or gave up.
    pub(in crate::http) fn failed(&mut self, error: HttpError) {
        self.state(Some(error));
    }

    /// As [`failed`](Self::failed), for a reason in words.
    pub(in crate::http) fn failed_for(&mut self, error: HttpError, text: String) {
        if let Some(done) = &mut self.done {
            done.detail = Some(text);
        }
        self.failed(error);
    }

    /// Whether the request may be sent once more: it does nothing, and had no content (RFC 9110 section 9.2.1).
    pub(in crate::http) fn may_repeat(&self) -> bool {
        let is_safe = self.done.as_ref().is_some_and(|done| done.method.is_safe());
        is_safe && self.received.bytes() == 0
    }

    /// The proxy answers by itself, with this text.
    pub(in crate::http) fn answered(&mut self, problem: &ErrorResponse) {
        if let Some(done) = &mut self.done {
            done.detail = Some(problem.text.clone());
            done.malformed = problem.malformed;
            if let Some(rule) = &problem.policy_rule {
                done.rule = Some(Arc::clone(rule));
            }
        }
        self.head(problem.status);
        self.failed(problem.error);
    }

    fn state(&mut self, error: Option<HttpError>) {
        if let Some(mut done) = self.done.take() {
            done.error = error;
            done.time_total = self.begun.elapsed();
            done.request_bytes = self.received.bytes();
            if let Some(tape) = &self.tape {
                tape.end(&done);
            }
            self.watch.request_done(&done);
        }
    }
}

/// What is kept of a field that is to be logged.
fn cut(value: &[u8]) -> &[u8] {
    value.get(..LOGGED_BYTES).unwrap_or(value)
}

impl Drop for ExchangeRecord {
    fn drop(&mut self) {
        if self.received.is_malformed.load(Ordering::Relaxed) {
            let text = "content that breaks the rules of HTTP/2, such as one of another length than Content-Length says";
            self.failed_for(HttpError::BadRequest, text.to_owned());
        }
        // Whoever dropped the body before its end was the client's side of the exchange.
        self.state(Some(HttpError::Aborted(Side::Client)));
    }
}
