//! Requests that the `h2` crate keeps to itself. It resets a malformed one, refuses one too many, answers one whose head
//! is too large, and ends the connection for what it cannot decode, all without a word to who uses it. What it reads and
//! what it writes is followed here, so that each of them has its line in the log, with the reason as far as it shows.
//!
//! Some of them HTTP/2 allows: the types of the `http` crate cannot hold a control character in a field's value, nor a raw
//! quote in a query. Their client is told HTTP_1_1_REQUIRED (RFC 9113 section 7): it asks again, and gets its answer.

mod blocks;
mod finding;
mod said;

pub(in crate::http) use finding::HeadFault;
pub(in crate::http) use said::{Said, Word};

use crate::accept::Who;
use crate::error::Side;
use crate::http::error::HttpError;
use crate::http::request_id::RequestId;
use crate::http::watch::RequestDone;
use crate::wire::http1::Malformed;
use ::h2::Reason;
use blocks::{Block, Blocks};
use http::{Method, Request, StatusCode, Version};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// HTTP_1_1_REQUIRED, as it is written.
const HTTP_1_1_REQUIRED: u8 = 0xd;

/// What is told about a client's heads.
#[derive(Debug)]
pub(in crate::http) enum Notice {
    /// A request came to nothing.
    Refused(Box<RefusedRequest>),
    /// The client's connection ends for something that HTTP/2 allows.
    NeedsHttp1,
}

/// A request that came to nothing.
#[derive(Debug)]
pub(in crate::http) struct RefusedRequest {
    method: Option<Method>,
    /// `https://host`, if its head tells it.
    base: String,
    /// Without its query.
    path: String,
    status: Option<StatusCode>,
    error: HttpError,
    text: String,
    malformed: Option<Malformed>,
}

impl RefusedRequest {
    fn of(block: &Block, error: HttpError, text: impl Into<String>) -> Self {
        let method = block.pseudo(b":method").filter(|method| method.len() <= 32);
        let path = block
            .pseudo(b":path")
            .filter(|path| path.starts_with(b"/"))
            .unwrap_or_default();
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next();
        let base = [b":scheme", &b":authority"[..]].map(|name| block.pseudo(name));
        let base = match base.map(|part| part.and_then(|part| String::from_utf8(part).ok())) {
            [Some(scheme), Some(authority)] => format!("{scheme}://{authority}"),
            [None, Some(authority)] => authority,
            _ => String::new(),
        };
        Self {
            method: method.and_then(|method| Method::from_bytes(&method).ok()),
            base,
            path: String::from_utf8_lossy(path.unwrap_or_default()).into_owned(),
            status: None,
            error,
            text: text.into(),
            malformed: None,
        }
    }

    /// As an exchange of `who`; `base` is what its URL begins with, where that is the connection's.
    pub(in crate::http) fn done(self, who: Who, base: Option<&str>) -> RequestDone {
        RequestDone {
            id: RequestId::new(),
            who,
            method: self
                .method
                .or_else(|| Method::from_bytes(b"-").ok())
                .unwrap_or_default(),
            version: Version::HTTP_2,
            url: [base.unwrap_or(&self.base), &self.path].concat(),
            status: self.status.map(|status| status.as_u16()),
            time_to_head: Duration::ZERO,
            time_total: Duration::ZERO,
            request_bytes: 0,
            response_bytes: 0,
            error: Some(self.error),
            detail: Some(self.text),
            rule: None,
            malformed: self.malformed,
            headers: Vec::new(),
        }
    }
}

/// What is stated of a request that is not looked at since its connection is being closed.
pub(in crate::http) fn declined<T>(who: Who, request: &Request<T>) -> RequestDone {
    let uri = request.uri();
    let base = match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
        (None, Some(authority)) => authority.to_string(),
        _ => String::new(),
    };
    let refused = RefusedRequest {
        method: Some(request.method().clone()),
        base,
        path: uri.path().to_owned(),
        status: None,
        error: HttpError::NotTaken,
        text: BEHIND_GOAWAY.to_owned(),
        malformed: None,
    };
    refused.done(who, None)
}

/// Tells somebody, at once.
#[derive(Clone)]
pub(in crate::http) struct Teller(Arc<dyn Fn(Notice) + Send + Sync>);

impl Teller {
    pub(in crate::http) fn new(tell: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

/// In the extensions of a request whose stream the crate has reset for what came behind its head.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Broken;

/// The heads of one peer.
#[derive(Debug)]
pub(in crate::http) struct Heads {
    blocks: Blocks,
    teller: Option<Teller>,
    /// The client can speak HTTP/1.1 too.
    has_http1: bool,
    /// The last stream that the client's goodbye lets live.
    last: Option<u32>,
    /// The error that the client was told goodbye with.
    gave_up: Option<Reason>,
    /// How many requests came to nothing.
    refused: u64,
    /// One of them was what its connection ended for.
    has_blamed: bool,
}

impl Heads {
    pub(in crate::http) fn of(side: Side) -> Self {
        Self {
            blocks: Blocks::of(side),
            teller: None,
            has_http1: false,
            last: None,
            gave_up: None,
            refused: 0,
            has_blamed: false,
        }
    }

    /// Those of a client, which `teller` tells of. `has_http1` says that it can speak HTTP/1.1 too.
    pub(in crate::http) fn told(teller: Teller, has_http1: bool) -> Self {
        Self {
            teller: Some(teller),
            has_http1,
            ..Self::of(Side::Client)
        }
    }

    /// More is read from the peer: the crate has taken every whole frame that came before.
    pub(in crate::http) fn reading(&mut self) {
        self.blocks.reading();
    }

    /// HEADERS begin.
    pub(in crate::http) fn begin(&mut self, flags: u8, stream: u32) {
        self.blocks.begin(flags, stream);
    }

    /// CONTINUATION begins.
    pub(in crate::http) fn go_on(&mut self, flags: u8) {
        self.blocks.go_on(flags);
    }

    /// Some of the frame's payload.
    pub(in crate::http) fn payload(&mut self, bytes: &[u8]) {
        self.blocks.payload(bytes);
    }

    /// The frame ends.
    pub(in crate::http) fn end(&mut self) {
        let Some(stream) = self.blocks.end() else {
            return;
        };
        if self.last.is_some_and(|last| stream > last)
            && let Some(block) = self.blocks.take(stream)
        {
            // The crate looks at it no more (RFC 9113 section 6.8).
            self.refuse(RefusedRequest::of(&block, HttpError::NotTaken, BEHIND_GOAWAY));
        }
    }

    /// The crate has given the request on this stream; says whether it has reset it as well, for what came behind its
    /// head.
    pub(in crate::http) fn accepted(&mut self, stream: u32) -> bool {
        self.blocks
            .take(stream)
            .is_some_and(|block| block.reset.is_some())
    }

    /// The crate says something to the client; gives the code that is to be said instead of its own.
    pub(in crate::http) fn said(&mut self, word: Word) -> Option<u8> {
        match word {
            Word::Answer(stream) => {
                // All that it answers by itself.
                let block = self.blocks.take(stream)?;
                let why = Malformed::HeadTooLarge;
                let refused = RefusedRequest::of(&block, HttpError::BadRequest, why.text());
                self.refuse(RefusedRequest {
                    status: Some(why.status()),
                    malformed: Some(why),
                    ..refused
                });
                None
            }
            Word::Reset(stream, code) => self.reset(stream, Reason::from(code)),
            Word::Goodbye(last, code) => {
                self.last = Some(last);
                match Reason::from(code) {
                    Reason::NO_ERROR => None,
                    code => self.goodbye(code),
                }
            }
        }
    }

    fn reset(&mut self, stream: u32, code: Reason) -> Option<u8> {
        let block = self.blocks.reset(stream, code)?;
        let is_ours = self.has_http1 && code == Reason::PROTOCOL_ERROR;
        let is_legal = is_ours && block.finding(Side::Client).is_some_and(|found| found.is_legal);
        is_legal.then_some(HTTP_1_1_REQUIRED)
    }

    /// The crate has no more requests to give for now: those that it has reset are not among them.
    pub(in crate::http) fn settle(&mut self) {
        while let Some(block) = self.blocks.take_reset() {
            match block.reset {
                Some(Reason::REFUSED_STREAM) => {
                    let text = "one stream more than there may be at once";
                    self.refuse(RefusedRequest::of(&block, HttpError::NotTaken, text));
                }
                code => {
                    let found = block.finding(Side::Client);
                    self.blame(&block, found, code.unwrap_or(Reason::PROTOCOL_ERROR));
                }
            }
        }
    }

    /// The connection ends with this error.
    fn goodbye(&mut self, code: Reason) -> Option<u8> {
        let is_legal =
            code == Reason::PROTOCOL_ERROR && self.blocks.finding().is_some_and(|found| found.is_legal);
        if is_legal && let Some(Teller(tell)) = &self.teller {
            tell(Notice::NeedsHttp1);
        }
        self.settle();
        self.gave_up = Some(code);
        // The others may still be given by the crate, and then have their lines like any.
        for block in self.blocks.take_faulty() {
            self.has_blamed = true;
            let found = block.finding(Side::Client);
            self.blame(&block, found, code);
        }
        (is_legal && self.has_http1).then_some(HTTP_1_1_REQUIRED)
    }

    /// It is the request's own fault.
    fn blame(&mut self, block: &Block, found: Option<HeadFault>, code: Reason) {
        let (text, malformed, is_legal) = match found {
            Some(found) => (found.text, found.malformed, found.is_legal),
            None => (
                format!("a head that is malformed (reset with {})", name(code)),
                None,
                false,
            ),
        };
        let text = match is_legal {
            true => format!("{text}: this proxy can pass it on over HTTP/1.1 alone"),
            false => text,
        };
        let refused = RefusedRequest::of(block, HttpError::BadRequest, text);
        self.refuse(RefusedRequest { malformed, ..refused });
    }

    fn refuse(&mut self, refused: RefusedRequest) {
        self.refused += 1;
        if let Some(Teller(tell)) = &self.teller {
            tell(Notice::Refused(Box::new(refused)));
        }
    }

    /// The connection is over: what still waits will never be looked at.
    pub(in crate::http) fn over(&mut self) {
        self.settle();
        for block in self.blocks.take_all(self.gave_up.is_some()) {
            let refused = match (self.gave_up, self.last) {
                (Some(code), _) => {
                    let text = format!("given up with its connection, which ends with {}", name(code));
                    RefusedRequest::of(&block, HttpError::NotTaken, text)
                }
                (None, Some(_)) => RefusedRequest::of(&block, HttpError::NotTaken, BEHIND_GOAWAY),
                (None, None) => RefusedRequest::of(
                    &block,
                    HttpError::Aborted(Side::Client),
                    "the client closed the connection before its request was looked at",
                ),
            };
            self.refuse(refused);
        }
    }

    /// How many requests came to nothing.
    pub(in crate::http) fn refused(&self) -> u64 {
        self.refused
    }

    /// One of them was what the connection ended for, and that was told.
    pub(in crate::http) fn has_blamed(&self) -> bool {
        self.has_blamed
    }

    /// How many bytes are kept.
    #[cfg(test)]
    fn kept(&self) -> usize {
        self.blocks.kept()
    }

    /// What is wrong with a header block of what was read last, if that can be told.
    pub(in crate::http) fn finding(&self) -> Option<HeadFault> {
        self.blocks.finding()
    }
}

/// Why a request is not looked at any more.
const BEHIND_GOAWAY: &str = "the connection is being closed, and the client was told so";

/// A code's name (RFC 9113 section 7), or its number.
fn name(code: Reason) -> String {
    format!("{code:?}")
}

#[cfg(test)]
mod tests;
