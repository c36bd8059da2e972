//! What rules say to HTTP: heads before they go on, bodies while they pass or before.
//!
//! A body that a rule can stop or change is held until it is judged, with its response's head, so that a page can
//! take its place. One that rules only look at passes at once, and a copy of it is judged when it has ended. An
//! event stream is never held.

use super::body::Body;
use super::coding::{self, CodingError};
use super::destination::Destination;
use super::page::Problem;
use super::record::Record;
use super::{HttpError, Site};
use crate::inspect::rules::Session;
use crate::inspect::{
    About, Blind, Facts, HttpHead, Inspection, Inspector, Interest, Item, Judgement, Judging, OnFailure,
    ScanItem, ScanOutcome, Surface, Verdict,
};
use crate::wire::frame::Direction;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, ORIGIN,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Method, Request, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Bodies that are judged after they have passed and wait for a scanner, in the whole process.
static BACKGROUND: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(256);

/// One exchange as rules see it.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    inspector: Arc<Inspector>,
    inspection: Arc<Inspection>,
    facts: Arc<Facts>,
    method: Method,
    /// The handshake of a WebSocket.
    is_upgrade: bool,
    begun: Instant,
    request: Arc<HttpHead>,
}

/// A body, or what is left of one, after its frames so far.
#[derive(Debug)]
pub(super) struct Held<B> {
    /// What was read of it.
    pub(super) frames: VecDeque<Frame<Bytes>>,
    /// What has not been.
    pub(super) rest: Option<B>,
}

/// What becomes of a body that was held.
pub(super) enum Judged<B> {
    /// It goes on as it came.
    Pass(Held<B>),
    /// This goes on in its place, without a content coding.
    Replace(Bytes),
    /// It does not go on.
    Stop(Problem),
}

impl Exchange {
    /// `None` where no rule is.
    pub(super) fn begin(
        site: &Site,
        to: &Destination<'_>,
        parts: &Parts,
        is_upgrade: bool,
    ) -> Option<Box<Self>> {
        if !site.inspector.is_active() {
            return None;
        }
        let facts = Facts {
            connection: site.connection,
            client: site.client,
            user: None,
            target: to.target.clone(),
            scheme: match (to.scheme == http::uri::Scheme::HTTPS, is_upgrade) {
                (true, true) => "wss",
                (true, false) => "https",
                (false, true) => "ws",
                (false, false) => "http",
            },
            path: path(&parts.uri).to_owned(),
            origin: parts
                .headers
                .get(ORIGIN)
                .and_then(|o| o.to_str().ok())
                .map(str::to_owned),
            subprotocol: None,
        };
        Some(Box::new(Self {
            inspector: site.inspector.clone(),
            inspection: Arc::clone(&site.inspector.current()),
            facts: Arc::new(facts),
            method: parts.method.clone(),
            is_upgrade,
            begun: Instant::now(),
            request: Arc::new(HttpHead {
                method: parts.method.clone(),
                status: None,
                headers: parts.headers.clone(),
            }),
        }))
    }

    /// Judges the request's head.
    pub(super) fn request_head(&self, uri: &Uri) -> Result<(), Problem> {
        let line = format!("{} {} HTTP/1.1", self.method, path(uri));
        self.head(Direction::ToOrigin, &line, &self.request)
    }

    /// Judges the response's head.
    pub(super) fn response_head(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Arc<HttpHead>, Problem> {
        let head = HttpHead {
            method: self.method.clone(),
            status: Some(status),
            headers: headers.clone(),
        };
        let line = format!("HTTP/1.1 {status}");
        self.head(Direction::ToClient, &line, &head)?;
        Ok(Arc::new(head))
    }

    fn head(&self, direction: Direction, line: &str, head: &HttpHead) -> Result<(), Problem> {
        let surface = if self.is_upgrade {
            Surface::Upgrade
        } else {
            Surface::Head
        };
        let mut session = self.session();
        if session.interest(surface, direction, None) == Interest::None {
            return Ok(());
        }
        let mut text = format!("{line}\r\n");
        for (name, value) in &head.headers {
            // Writing to a string cannot fail.
            let _ = write!(text, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
        }
        let item = Item {
            surface,
            direction,
            opcode: None,
            data: text.as_bytes(),
            size: text.len() as u64,
            head: Some(head),
        };
        match session.judge(&item, self.begun.elapsed(), &[]) {
            Judging::Done(judgement) => {
                self.told(&about(surface, direction, item.size), &judgement);
                match judgement.verdict {
                    Verdict::Pass => Ok(()),
                    // A head cannot be changed: what was to be taken out of it keeps it from going on.
                    Verdict::Replace(_) | Verdict::Drop | Verdict::Close(_) => Err(refusal(&judgement)),
                }
            }
            // Scanners are for content; a head is too small to wait for one.
            Judging::Scan(_) => Ok(()),
        }
    }

    /// How rules look at a body.
    pub(super) fn body_interest(&self, direction: Direction, head: &HttpHead) -> Interest {
        let interest = self.session().interest(Surface::Body, direction, None);
        match interest {
            Interest::Hold if is_endless(head) => Interest::Watch,
            interest => interest,
        }
    }

    /// Reads a body as far as the budgets let it, and judges it.
    pub(super) async fn hold<B>(&self, direction: Direction, head: &Arc<HttpHead>, mut body: B) -> Judged<B>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let budgets = self.inspection.budgets;
        let mut held = Held {
            frames: VecDeque::new(),
            rest: None,
        };
        let mut raw = Vec::new();
        let deadline = tokio::time::Instant::now() + budgets.hold;
        let why = loop {
            match tokio::time::timeout_at(deadline, body.frame()).await {
                Err(_) => break Some(Blind::HoldTime),
                Ok(None) => break None,
                Ok(Some(Err(_))) => {
                    // It broke off: whoever gets it learns that by reading on.
                    held.rest = Some(body);
                    return Judged::Pass(held);
                }
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        raw.extend_from_slice(data);
                    }
                    held.frames.push_back(frame);
                    if raw.len() > budgets.message {
                        break Some(Blind::MessageBudget);
                    }
                }
            }
        };
        let size = raw.len() as u64;
        if why.is_some() {
            held.rest = Some(body);
        }
        let plain = match why {
            Some(why) => Err(why),
            None => self.decoded(head, raw),
        };
        let about = about(Surface::Body, direction, size);
        let plain = match plain {
            Ok(plain) => Bytes::from(plain),
            Err(why) => {
                let stopped = budgets.spent == OnFailure::Close;
                self.inspector.witness().blind(&self.facts, &about, why, stopped);
                return if stopped {
                    Judged::Stop(uninspected(why))
                } else {
                    Judged::Pass(held)
                };
            }
        };
        let (judgement, failed) = self.judge(direction, head, &plain).await;
        if failed {
            return Judged::Stop(uninspected(Blind::ScanFailed));
        }
        self.told(
            &self::about(Surface::Body, direction, plain.len() as u64),
            &judgement,
        );
        match judgement.verdict {
            Verdict::Pass => Judged::Pass(held),
            Verdict::Replace(changed) => Judged::Replace(changed.into()),
            Verdict::Drop | Verdict::Close(_) => Judged::Stop(refusal(&judgement)),
        }
    }

    /// Looks at a request's body: lets it pass, holds it, or puts another in its place.
    pub(super) async fn request_body(&self, request: Request<Body>) -> Result<Request<Body>, Problem> {
        let (mut parts, mut body) = request.into_parts();
        if body.is_end_stream() {
            return Ok(Request::from_parts(parts, body));
        }
        let (direction, head) = (Direction::ToOrigin, &self.request);
        let body = match self.body_interest(direction, head) {
            Interest::None => body,
            Interest::Watch => body.tapped(self.tap(direction, head)),
            Interest::Hold => {
                body.open_gate();
                match self.hold(direction, head, body).await {
                    Judged::Pass(held) => Body::put_back(held),
                    Judged::Replace(content) => {
                        as_plain(&mut parts.headers, content.len());
                        Body::full(content)
                    }
                    Judged::Stop(problem) => return Err(problem),
                }
            }
        };
        Ok(Request::from_parts(parts, body))
    }

    /// The same for a response's body; its headers change with it.
    pub(super) async fn response_body(
        &self,
        head: &Arc<HttpHead>,
        headers: &mut HeaderMap,
        incoming: Incoming,
        mut record: Record,
    ) -> Result<Body, (Box<Record>, Problem)> {
        if incoming.is_end_stream() {
            return Ok(Body::response(incoming, record, None));
        }
        let direction = Direction::ToClient;
        match self.body_interest(direction, head) {
            Interest::None => Ok(Body::response(incoming, record, None)),
            Interest::Watch => Ok(Body::response(incoming, record, Some(self.tap(direction, head)))),
            Interest::Hold => match self.hold(direction, head, incoming).await {
                Judged::Pass(held) => Ok(Body::held_response(held, record, None)),
                Judged::Replace(content) => {
                    as_plain(headers, content.len());
                    record.add_response_bytes(content.len() as u64);
                    record.complete();
                    Ok(Body::full(content))
                }
                Judged::Stop(problem) => Err((Box::new(record), problem)),
            },
        }
    }

    /// A copy of a body that passes, to be judged at its end.
    pub(super) fn tap(&self, direction: Direction, head: &Arc<HttpHead>) -> Box<Tap> {
        Box::new(Tap {
            exchange: self.clone(),
            direction,
            head: head.clone(),
            raw: Vec::new(),
            size: 0,
        })
    }

    fn decoded(&self, head: &HttpHead, raw: Vec<u8>) -> Result<Vec<u8>, Blind> {
        let codings = coding::codings(&head.headers);
        let compressed = raw.len() as u64;
        let plain =
            coding::decode(&codings, raw, self.inspection.budgets.message).map_err(|error| match error {
                CodingError::Unknown => Blind::UnknownCoding,
                CodingError::Corrupt => Blind::Corrupt,
                CodingError::Limit => Blind::MessageBudget,
            })?;
        if !codings.is_empty() {
            self.inspector.witness().inflated(compressed, plain.len() as u64);
        }
        Ok(plain)
    }

    /// Asks the rules, and the scanners that they want; also says whether one failed that must not.
    async fn judge(&self, direction: Direction, head: &Arc<HttpHead>, plain: &Bytes) -> (Judgement, bool) {
        let mut session = self.session();
        let mut scans = Vec::new();
        loop {
            let item = Item {
                surface: Surface::Body,
                direction,
                opcode: None,
                data: plain,
                size: plain.len() as u64,
                head: Some(head),
            };
            let id = match session.judge(&item, self.begun.elapsed(), &scans) {
                Judging::Done(judgement) => return (judgement, false),
                Judging::Scan(id) => id,
            };
            let Some(scanner) = self.inspection.scanners.get(id.0) else {
                scans.push((id, ScanOutcome::Clean));
                continue;
            };
            let begun = Instant::now();
            let response = (direction == Direction::ToClient).then(|| HttpHead::clone(head));
            let outcome = scanner
                .scan(ScanItem {
                    facts: self.facts.clone(),
                    surface: Surface::Body,
                    direction,
                    opcode: None,
                    heads: Some(Arc::new((HttpHead::clone(&self.request), response))),
                    data: plain.clone(),
                })
                .await;
            let witness = self.inspector.witness();
            witness.scanned(scanner.name(), &outcome, begun.elapsed());
            if matches!(outcome, ScanOutcome::Failed(_)) {
                let stopped = scanner.on_failure() == OnFailure::Close;
                let about = about(Surface::Body, direction, item.size);
                witness.blind(&self.facts, &about, Blind::ScanFailed, stopped);
                if stopped {
                    return (Judgement::pass(), true);
                }
            }
            scans.push((id, outcome));
        }
    }

    fn told(&self, about: &About, judgement: &Judgement) {
        if judgement.verdict != Verdict::Pass || !judgement.findings.is_empty() {
            self.inspector.witness().judged(&self.facts, about, judgement);
        }
    }

    fn session(&self) -> Session {
        Session::new(self.inspection.rules.clone(), self.facts.clone())
    }
}

/// A copy of a body on its way. It is judged when it has ended or was dropped: what passed, passed.
#[derive(Debug)]
pub(super) struct Tap {
    exchange: Exchange,
    direction: Direction,
    head: Arc<HttpHead>,
    raw: Vec<u8>,
    size: u64,
}

impl Tap {
    pub(super) fn data(&mut self, data: &[u8]) {
        self.size += data.len() as u64;
        let room = self
            .exchange
            .inspection
            .budgets
            .message
            .saturating_sub(self.raw.len());
        self.raw.extend_from_slice(&data[..data.len().min(room)]);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.size == 0 {
            return;
        }
        let raw = std::mem::take(&mut self.raw);
        let is_whole = raw.len() as u64 == self.size;
        let about = about(Surface::Body, self.direction, self.size);
        let exchange = self.exchange.clone();
        let plain = if is_whole || coding::codings(&self.head.headers).is_empty() {
            exchange.decoded(&self.head, raw)
        } else {
            // Half of a compressed body is no body.
            Err(Blind::MessageBudget)
        };
        let witness = exchange.inspector.witness();
        if !is_whole && plain.is_ok() {
            witness.blind(&exchange.facts, &about, Blind::MessageBudget, false);
        }
        let plain = match plain {
            Ok(plain) => Bytes::from(plain),
            Err(why) => return witness.blind(&exchange.facts, &about, why, false),
        };
        let Ok(permit) = BACKGROUND.try_acquire() else {
            return witness.blind(&exchange.facts, &about, Blind::ScanFailed, false);
        };
        let (direction, head) = (self.direction, self.head.clone());
        let judging = async move {
            let (judgement, _) = exchange.judge(direction, &head, &plain).await;
            exchange.told(&about, &judgement);
            drop(permit);
        };
        // Without a scanner it is judged at the first poll; with one it goes on by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(judging);
        }
    }
}

/// Headers for content that is no longer what the sender described.
fn as_plain(headers: &mut HeaderMap, length: usize) {
    for name in [
        CONTENT_ENCODING,
        TRANSFER_ENCODING,
        ETAG,
        ACCEPT_RANGES,
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("repr-digest"),
    ] {
        headers.remove(name);
    }
    headers.insert(CONTENT_LENGTH, length.into());
}

fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

const fn about(surface: Surface, direction: Direction, size: u64) -> About {
    About {
        surface,
        direction,
        opcode: None,
        size,
    }
}

/// A body that has no end to wait for, or that is a piece of something.
fn is_endless(head: &HttpHead) -> bool {
    let kind = head
        .headers
        .get(CONTENT_TYPE)
        .map(|kind| kind.as_bytes().to_ascii_lowercase());
    head.status == Some(StatusCode::PARTIAL_CONTENT)
        || kind.is_some_and(|kind| {
            [&b"text/event-stream"[..], b"multipart/x-mixed-replace"]
                .iter()
                .any(|endless| kind.starts_with(endless))
        })
}

fn refusal(judgement: &Judgement) -> Problem {
    let acted = judgement.findings.iter().rev().find(|finding| finding.enforced);
    let rule = acted.map_or("inspection", |finding| &*finding.rule);
    let mut text = format!("the rule {rule:?} does not let this pass");
    if let Verdict::Close(reason) = &judgement.verdict {
        let _ = write!(text, ": {reason}");
    }
    Problem::new(HttpError::Inspected, text)
}

fn uninspected(why: Blind) -> Problem {
    let text = format!(
        "this could not be inspected ({}), and policy does not let it pass then",
        why.label()
    );
    Problem::new(HttpError::Uninspected, text)
}
