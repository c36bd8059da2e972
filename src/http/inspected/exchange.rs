//! One exchange as rules see it: its heads, and what is asked of rules and scanners.

use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::check::Asking;
use crate::http::exchange::destination::Destination;
use crate::http::inspected::recorded::Tape;
use crate::http::pages::ErrorResponse;
use crate::inspect::rules::RuleSession;
use crate::inspect::{
    About, Asker, Blind, HttpHead, Inspection, Inspector, Interest, Judgement, Judging, Room, Ruling,
    ScanItem, SessionFacts, Subject, Surface, Unscanned,
};
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use crate::wire::http1::Fields;
use bytes::Bytes;
use http::header::{HeaderMap, ORIGIN};
use http::{Method, StatusCode, Version};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Content of one of its messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageContent<'a> {
    pub(super) direction: Direction,
    /// That came with it.
    pub(super) head: &'a Arc<HttpHead>,
    pub(super) data: &'a Bytes,
    /// Of all of it, where that is more.
    pub(super) size: u64,
}

/// One exchange as rules see it.
#[derive(Debug, Clone)]
pub(in crate::http) struct InspectedExchange {
    pub(super) inspector: Arc<Inspector>,
    pub(super) inspection: Arc<Inspection>,
    pub(super) facts: Arc<SessionFacts>,
    pub(super) method: Method,
    /// The handshake of a WebSocket.
    pub(super) is_upgrade: bool,
    pub(super) version: Version,
    pub(super) begun: Instant,
    pub(super) request: Arc<HttpHead>,
    /// Where it is recorded.
    pub(super) tape: Option<Tape>,
    /// What its connection and all of them keep of bodies.
    pub(super) rooms: [Arc<Room>; 2],
    /// The request has been looked at as a whole, and may have to be sent once more.
    pub(super) request_is_judged: bool,
    /// How rules look at heads and at bodies, by their direction.
    interests: Interests,
}

/// How rules look at what goes each way.
#[derive(Debug, Clone, Copy)]
struct Interests {
    heads: [Interest; 2],
    bodies: [Interest; 2],
}

impl InspectedExchange {
    /// `None` where no rule is and nothing is recorded.
    pub(in crate::http) fn begin<H: Headers>(
        context: &ExchangeContext,
        to: &Destination<'_>,
        asking: &Asking<'_, H>,
        is_upgrade: bool,
    ) -> Option<Box<Self>> {
        if !context.inspector.is_active() && context.inspector.recording_era() == 0 {
            return None;
        }
        let aliases = to.aliases();
        let onlookers = context
            .inspector
            .onlookers(std::iter::once(to.target).chain(&aliases));
        if onlookers.is_none() && !context.inspector.is_active() {
            return None;
        }
        let facts = SessionFacts {
            connection: context.who.connection,
            client: context.client(),
            user: context.requester.user(),
            target: to.target.clone(),
            aliases,
            scheme: match (to.scheme == http::uri::Scheme::HTTPS, is_upgrade) {
                (true, true) => "wss",
                (true, false) => "https",
                (false, true) => "ws",
                (false, false) => "http",
            },
            path: asking.path.to_owned(),
            origin: asking
                .headers
                .first(&ORIGIN)
                .map(|origin| String::from_utf8_lossy(origin).into_owned()),
            subprotocol: None,
            websocket: None,
        };
        let facts = Arc::new(facts);
        let tape = Tape::begin(&context.inspector, &facts, onlookers);
        let inspection = Arc::clone(&context.inspector.current());
        let session = RuleSession::new(inspection.rules.clone(), facts.clone());
        let of = |surface| Direction::ALL.map(|direction| session.interest(surface, direction, None));
        let interests = Interests {
            heads: of(surface_of_heads(is_upgrade)),
            bodies: of(Surface::Body),
        };
        Some(Box::new(Self {
            rooms: [Arc::clone(&context.kept), Arc::clone(context.inspector.kept())],
            inspector: context.inspector.clone(),
            inspection,
            interests,
            facts,
            method: asking.method.clone(),
            is_upgrade,
            version: asking.version,
            begun: Instant::now(),
            request: Arc::new(HttpHead {
                method: asking.method.clone(),
                status: None,
                headers: as_map(asking.headers),
            }),
            tape,
            request_is_judged: false,
        }))
    }

    /// Where it is recorded.
    pub(in crate::http) fn tape(&self) -> Option<&Tape> {
        self.tape.as_ref()
    }

    /// States the request's head where it is recorded.
    pub(in crate::http) fn record_request(&self, version: Version, origin: Option<IpAddr>, has_body: bool) {
        if let Some(tape) = &self.tape {
            tape.head(version, &self.request, origin, has_body);
        }
    }

    /// Judges the request's head.
    pub(in crate::http) fn request_head(
        &self,
        path: &str,
        headers: &impl Headers,
    ) -> Result<(), ErrorResponse> {
        let line = format!("{} {path} {}", self.method, self.protocol());
        self.head(Direction::ToOrigin, Some(&line), headers, &self.request)
    }

    /// Judges the head of a response that is not the last one (RFC 9110 section 15.2).
    pub(in crate::http) fn interim_head(
        &self,
        status: StatusCode,
        headers: &impl Headers,
    ) -> Result<(), ErrorResponse> {
        if !self.judges_heads(Direction::ToClient) {
            return Ok(());
        }
        let head = HttpHead {
            method: self.method.clone(),
            status: Some(status),
            headers: as_map(headers),
        };
        let line = format!("{} {status}", self.protocol());
        self.head(Direction::ToClient, Some(&line), headers, &head)
    }

    /// Judges the fields behind a body, which came with this head.
    pub(super) fn trailers(
        &self,
        direction: Direction,
        trailers: &impl Headers,
        head: &HttpHead,
    ) -> Result<(), ErrorResponse> {
        self.head(direction, None, trailers, head)
    }

    /// Whether rules look at heads that go this way.
    pub(super) fn judges_heads(&self, direction: Direction) -> bool {
        self.interests.heads[direction.index()] != Interest::None
    }

    /// How rules look at bodies that go this way.
    pub(super) fn body_interest(&self, direction: Direction) -> Interest {
        self.interests.bodies[direction.index()]
    }

    /// Judges the response's head.
    pub(in crate::http) fn response_head(
        &self,
        status: StatusCode,
        version: Version,
        headers: &impl Headers,
        origin: Option<IpAddr>,
    ) -> Result<Arc<HttpHead>, ErrorResponse> {
        let head = HttpHead {
            method: self.method.clone(),
            status: Some(status),
            headers: as_map(headers),
        };
        let line = format!("{} {status}", self.protocol());
        self.head(Direction::ToClient, Some(&line), headers, &head)?;
        if let Some(tape) = &self.tape {
            tape.head(version, &head, origin, false);
        }
        Ok(Arc::new(head))
    }

    /// As a start line names it. What came as HTTP/1.0 goes on as HTTP/1.1.
    fn protocol(&self) -> &'static str {
        if self.version == Version::HTTP_2 {
            "HTTP/2"
        } else {
            "HTTP/1.1"
        }
    }

    fn head(
        &self,
        direction: Direction,
        line: Option<&str>,
        headers: &impl Headers,
        head: &HttpHead,
    ) -> Result<(), ErrorResponse> {
        if !self.judges_heads(direction) {
            return Ok(());
        }
        let surface = surface_of_heads(self.is_upgrade);
        let mut session = self.session();
        // Trailers have no such line.
        let mut text = line.map_or_else(String::new, |line| format!("{line}\r\n"));
        headers.each(&mut |name, value| {
            // Rules know names in lower case, as HTTP/2 has them.
            text.push_str(&String::from_utf8_lossy(name).to_ascii_lowercase());
            // Writing to a string cannot fail.
            let _ = write!(text, ": {}\r\n", String::from_utf8_lossy(value));
        });
        let item = Subject {
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
                    Ruling::Pass => Ok(()),
                    // A head cannot be changed: what was to be taken out of it keeps it from going on.
                    Ruling::Replace(_) | Ruling::Drop | Ruling::Close(_) => Err(refusal(&judgement)),
                }
            }
            // Scanners are for content; a head is too small to wait for one.
            Judging::Scan(_) => Ok(()),
        }
    }

    /// Asks the rules, and the scanners that they want, about content of this whole size that waits for them or
    /// `has_passed`. Where it has, `admits` says whether there is room for one more scan.
    ///
    /// # Errors
    /// A scanner failed, and policy does not let pass what it could not scan.
    pub(super) async fn judge(
        &self,
        session: &mut RuleSession,
        content: MessageContent<'_>,
        has_passed: bool,
        admits: impl FnMut() -> bool,
    ) -> Result<Judgement, Unscanned> {
        let MessageContent {
            direction,
            head,
            data,
            size,
        } = content;
        let asker = Asker {
            inspector: &self.inspector,
            inspection: &self.inspection,
            has_passed,
        };
        let item = Subject {
            surface: Surface::Body,
            direction,
            opcode: None,
            data,
            size,
            head: Some(head),
        };
        let scan_item = || {
            let response = (direction == Direction::ToClient).then(|| HttpHead::clone(head));
            ScanItem {
                facts: self.facts.clone(),
                surface: Surface::Body,
                direction,
                opcode: None,
                heads: Some(Arc::new((HttpHead::clone(&self.request), response))),
                data: data.clone(),
            }
        };
        asker
            .judge(session, &item, scan_item, || self.begun.elapsed(), admits)
            .await
    }

    pub(super) fn told(&self, about: &About, judgement: &Judgement) {
        if judgement.verdict != Ruling::Pass || !judgement.findings.is_empty() {
            self.inspector.witness().judged(&self.facts, about, judgement);
        }
    }

    pub(super) fn session(&self) -> RuleSession {
        RuleSession::new(self.inspection.rules.clone(), self.facts.clone())
    }
}

fn surface_of_heads(is_upgrade: bool) -> Surface {
    if is_upgrade {
        Surface::Upgrade
    } else {
        Surface::Head
    }
}

/// The fields in the form that rules, scanners and recordings have them.
fn as_map(headers: &impl Headers) -> HeaderMap {
    let mut fields = Fields::new();
    headers.each(&mut |name, value| fields.push(name, value));
    fields.to_map()
}

pub(super) const fn about(surface: Surface, direction: Direction, size: u64) -> About {
    About {
        surface,
        direction,
        opcode: None,
        size,
    }
}

pub(super) fn refusal(judgement: &Judgement) -> ErrorResponse {
    let acted = judgement.findings.iter().rev().find(|finding| finding.enforced);
    let rule = acted.map_or("inspection", |finding| &*finding.rule);
    let mut text = format!("the rule {rule:?} does not let this pass");
    if let Ruling::Close(reason) = &judgement.verdict {
        let _ = write!(text, ": {reason}");
    }
    ErrorResponse::new(HttpError::Inspected, text)
}

/// What could not be looked into, and does not pass for that.
pub(super) fn uninspected(why: Blind) -> ErrorResponse {
    let text = format!(
        "this could not be inspected ({}), and policy does not let it pass then",
        why.label()
    );
    ErrorResponse::new(HttpError::Uninspected, text)
}
