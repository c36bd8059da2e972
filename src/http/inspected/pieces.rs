//! A body that is judged piece by piece, each before it goes on: one that has no end to wait for, or is too large to be
//! held. A rule that would stop or change the body ends it at the piece that matches.

use crate::http::inspected::exchange::{InspectedExchange, MessageContent, about, refusal, uninspected};
use crate::http::message::coding::CodingError;
use crate::http::message::text::WideText;
use crate::http::message::unfolding::Unfolding;
use crate::http::pages::ErrorResponse;
use crate::inspect::rules::RuleSession;
use crate::inspect::{Blind, Buffered, HttpHead, Judgement, OnFailure, Ruling, Share, Surface, Unscanned};
use crate::wire::frame::Direction;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// How much of what came before is judged again with the next piece, in bytes. So long can a match be that is cut over
/// pieces. Known secrets are shorter (a private key has 3 KiB, a token that carries claims seldom more than 8), and so are
/// lines of text; more would make many small pieces dear, each of which is judged with all of it.
pub(super) const OVERLAP: usize = 16 * 1024;

/// A body that is judged piece by piece.
pub(in crate::http) struct Pieces {
    exchange: InspectedExchange,
    direction: Direction,
    head: Arc<HttpHead>,
    /// Lent to what judges the piece under way.
    session: Option<RuleSession>,
    /// `None` once its coding has turned out to be broken.
    coding: Option<Unfolding>,
    /// The end of what has gone on.
    tail: Vec<u8>,
    /// How much has come, decoded.
    size: u64,
    /// Rules that have been told of.
    told: Vec<Arc<str>>,
    under_way: Option<UnderWay>,
    /// The room that all of it takes.
    share: Share,
}

/// A piece that waits for its verdict.
struct UnderWay {
    /// As it came.
    data: Bytes,
    /// What is judged, that is with what came before it.
    window: Bytes,
    judging: Option<Judging>,
    /// Why it need not be judged: it does not go on.
    stopped: Option<ErrorResponse>,
}

type Judging = Pin<Box<dyn Future<Output = (RuleSession, Result<Judgement, Unscanned>)> + Send>>;

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces")
            .field("direction", &self.direction)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl InspectedExchange {
    /// Begins to judge a body piece by piece; `None` where its coding does not allow that.
    pub(super) fn pieces(&self, direction: Direction, head: &Arc<HttpHead>) -> Option<Pieces> {
        Some(Pieces {
            exchange: self.clone(),
            direction,
            head: Arc::clone(head),
            session: Some(self.session()),
            coding: Some(Unfolding::of(&head.headers)?),
            tail: Vec::new(),
            size: 0,
            told: Vec::new(),
            under_way: None,
            share: Share::new(Arc::clone(self.inspector.kept()), Buffered::Decoded),
        })
    }

    /// Goes on to judge a body piece by piece of which so much has been judged by now. `None` where what it says cannot be
    /// cut anywhere.
    pub(super) fn pieces_behind(
        &self,
        direction: Direction,
        head: &Arc<HttpHead>,
        begin: &Bytes,
    ) -> Option<Pieces> {
        let mut pieces = self.pieces(direction, head)?;
        let is_plain = pieces.coding.as_ref().is_some_and(Unfolding::is_plain);
        let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
        if !is_plain || !WideText::readings(kind, begin).is_empty() {
            return None;
        }
        pieces.session.as_mut()?.go_inside();
        pieces.tail = begin[begin.len().saturating_sub(OVERLAP)..].to_vec();
        pieces.size = begin.len() as u64;
        Some(pieces)
    }
}

impl Pieces {
    /// Counts what is here while a piece of this size is judged. Only what a decoder keeps waits for room: the end of what
    /// has gone on is small, and without it nothing could be judged piece by piece at all.
    fn has_room(&mut self, piece: usize) -> bool {
        let decoder = self.coding.as_ref().map_or(0, Unfolding::size);
        let size = self.tail.capacity() + piece + decoder;
        if decoder == 0 {
            self.share.count(size);
            return true;
        }
        self.share.resize(size)
    }

    /// Whether a piece waits for its verdict.
    pub(in crate::http) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes in a piece. It goes on when [`poll`](Self::poll) gives it back.
    pub(in crate::http) fn take(&mut self, data: Bytes) {
        let limit = self.exchange.inspection.budgets.message;
        let (mut plain, error) = match &mut self.coding {
            Some(coding) => coding.next(&data, limit),
            None => (data.to_vec(), None),
        };
        let error = match error {
            Some(CodingError::Limit) => Some(Blind::InflateBudget),
            Some(CodingError::Unknown | CodingError::Corrupt) => Some(Blind::Corrupt),
            None if !self.has_room(data.len() + plain.len()) => Some(Blind::ProcessBudget),
            None => None,
        };
        if let Some(why) = error {
            self.coding = None;
            let stopped = self.blind(why);
            if stopped.is_some() {
                return self.settle(data, stopped);
            }
            // What could be read of it is behind what has gone on; from here on it is looked at as it comes.
            plain.extend_from_slice(&data);
        }
        if plain.is_empty() {
            // Nothing that a receiver could read yet.
            return self.settle(data, None);
        }
        if self.size == 0 && !self.is_of_pieces(&plain) {
            let stopped = self.blind(Blind::Endless);
            if stopped.is_some() {
                return self.settle(data, stopped);
            }
        }
        self.size += plain.len() as u64;
        let mut window = std::mem::take(&mut self.tail);
        window.extend_from_slice(&plain);
        let window = Bytes::from(window);
        let judging = self.session.take().map(|mut session| {
            let (exchange, head, size) = (self.exchange.clone(), Arc::clone(&self.head), self.size);
            let (direction, data) = (self.direction, window.clone());
            Box::pin(async move {
                let content = MessageContent {
                    direction,
                    head: &head,
                    data: &data,
                    size,
                };
                let judged = exchange.judge(&mut session, content, false, || true).await;
                (session, judged)
            }) as Judging
        });
        self.under_way = Some(UnderWay {
            data,
            window,
            judging,
            stopped: None,
        });
    }

    /// The piece, when it may go on.
    ///
    /// # Errors
    /// It may not, and nothing behind it.
    pub(in crate::http) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Box<ErrorResponse>>> {
        let judged = match &mut self.under_way {
            Some(UnderWay {
                judging: Some(judging),
                ..
            }) => Some(ready!(judging.as_mut().poll(cx))),
            _ => None,
        };
        let Some(UnderWay {
            data,
            window,
            stopped,
            ..
        }) = self.under_way.take()
        else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        if let Some(problem) = stopped {
            return Poll::Ready(Err(Box::new(problem)));
        }
        let Some((mut session, judged)) = judged else {
            return Poll::Ready(Ok(data));
        };
        session.go_inside();
        self.session = Some(session);
        let Ok(judgement) = judged else {
            return Poll::Ready(Err(Box::new(uninspected(Blind::ScanFailed))));
        };
        if let Some(problem) = self.say(judgement) {
            return Poll::Ready(Err(Box::new(problem)));
        }
        let kept = window.len().saturating_sub(OVERLAP);
        self.tail = window[kept..].to_vec();
        // Less than before, for which there is room.
        self.has_room(0);
        Poll::Ready(Ok(data))
    }

    /// Tells of what was found, once for each rule, and says why the piece does not go on, if it does not.
    fn say(&mut self, mut judgement: Judgement) -> Option<ErrorResponse> {
        if let Ruling::Replace(_) = judgement.verdict {
            if let Some(finding) = judgement.findings.last_mut() {
                let why = "what goes on piece by piece cannot be changed";
                finding.detail.get_or_insert_with(|| why.to_owned());
            }
            judgement.verdict = Ruling::Drop;
        }
        let passes = judgement.is_pass();
        let told = &mut self.told;
        judgement.findings.retain(|finding| {
            let is_new = told.iter().all(|known| *known != finding.rule);
            if is_new {
                told.push(finding.rule.clone());
            }
            is_new || !passes
        });
        self.exchange
            .told(&about(Surface::Body, self.direction, self.size), &judgement);
        if passes {
            return None;
        }
        if let Some(tape) = &self.exchange.tape {
            tape.judged(self.direction, &judgement);
        }
        Some(refusal(&judgement))
    }

    /// Has a piece wait that no rule is asked about.
    fn settle(&mut self, data: Bytes, stopped: Option<ErrorResponse>) {
        self.under_way = Some(UnderWay {
            data,
            window: Bytes::new(),
            judging: None,
            stopped,
        });
    }

    /// Tells of what cannot be looked into, and says whether it is stopped for that.
    fn blind(&self, why: Blind) -> Option<ErrorResponse> {
        let exchange = &self.exchange;
        let stopped = exchange.inspection.budgets.spent == OnFailure::Close;
        let about = about(Surface::Body, self.direction, self.size);
        exchange
            .inspector
            .witness()
            .blind(&exchange.facts, &about, why, stopped);
        stopped.then(|| uninspected(why))
    }

    /// Whether a body that begins so can be judged piece by piece. A document of JSON that calls itself a stream of events
    /// is judged by some rules as a whole, and text in UTF-16 cannot be cut anywhere.
    fn is_of_pieces(&self, begin: &[u8]) -> bool {
        let is_document = begin
            .iter()
            .find(|byte| !byte.is_ascii_whitespace())
            .is_some_and(|byte| matches!(byte, b'{' | b'['));
        let wants = |session: &RuleSession| session.wants_document(Surface::Body, self.direction, &self.head);
        let kind = self.head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
        !(is_document && self.session.as_ref().is_some_and(wants))
            && WideText::readings(kind, begin).is_empty()
    }
}
