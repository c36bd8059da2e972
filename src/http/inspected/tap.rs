//! What looks on while a body passes: it has a copy judged when it has passed, or each piece before it does.

use crate::http::inspected::exchange::InspectedExchange;
use crate::http::inspected::exchange::about;
use crate::http::inspected::kept::Taken;
use crate::http::inspected::pieces::Pieces;
use crate::http::inspected::recorded::BodyCopy;
use crate::http::inspected::views::How;
use crate::http::pages::ErrorResponse;
use crate::inspect::{Blind, HttpHead, Surface};
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use std::sync::Arc;

/// Bodies that have passed and wait for a scanner, in the whole process.
static BACKGROUND: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(256);

/// What looks on while a body passes. A copy of it is judged when it has ended or was dropped: what passed, passed.
#[derive(Debug)]
pub(in crate::http) struct Tap {
    pub(in crate::http) exchange: InspectedExchange,
    pub(in crate::http) direction: Direction,
    pub(in crate::http) head: Arc<HttpHead>,
    pub(in crate::http) raw: Vec<u8>,
    /// The room that the copy takes.
    pub(in crate::http) taken: Taken,
    /// Why there is no room for more of it.
    pub(in crate::http) full: Option<Blind>,
    pub(in crate::http) size: u64,
    pub(in crate::http) is_judged: bool,
    pub(in crate::http) copy: Option<BodyCopy>,
    /// Judges each piece before it goes on.
    pub(in crate::http) pieces: Option<Pieces>,
}

impl Tap {
    /// Whether a piece waits for its verdict.
    pub(in crate::http) fn is_busy(&self) -> bool {
        self.pieces.as_ref().is_some_and(Pieces::is_busy)
    }

    /// Has the rules for heads look at what stands behind the body.
    ///
    /// # Errors
    /// It does not go on.
    pub(in crate::http) fn trailers(&self, trailers: &impl Headers) -> Result<(), Box<ErrorResponse>> {
        self.exchange
            .trailers(self.direction, trailers, &self.head)
            .map_err(Box::new)
    }

    pub(in crate::http) fn data(&mut self, data: &[u8]) {
        if let Some(copy) = &mut self.copy {
            copy.data(data);
        }
        if !self.is_judged {
            return;
        }
        self.size += data.len() as u64;
        let room = self
            .exchange
            .inspection
            .budgets
            .message
            .saturating_sub(self.raw.len());
        if self.full.is_none() && room > 0 {
            self.raw.extend_from_slice(&data[..data.len().min(room)]);
            self.full = self.taken.resize(self.raw.capacity());
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if self.size == 0 {
            return;
        }
        let (raw, taken) = (
            std::mem::take(&mut self.raw),
            std::mem::replace(&mut self.taken, Taken::none(&self.exchange.rooms)),
        );
        let is_whole = raw.len() as u64 == self.size;
        let about = about(Surface::Body, self.direction, self.size);
        let exchange = self.exchange.clone();
        let views = exchange.views(&self.head, raw.into());
        // Half of a compressed body is no body, and its end is not what is wrong with it.
        let why = if is_whole {
            views.blind
        } else {
            Some(self.full.unwrap_or(Blind::MessageBudget))
        };
        if let Some(why) = why {
            exchange
                .inspector
                .witness()
                .blind(&exchange.facts, &about, why, false);
        }
        let how = How {
            is_whole,
            has_passed: true,
            announced: self.size,
        };
        let (direction, head) = (self.direction, self.head.clone());
        let judging = async move {
            let _taken = taken;
            let mut permit = None;
            let admits = || {
                permit = permit.take().or_else(|| BACKGROUND.try_acquire().ok());
                permit.is_some()
            };
            // What has passed is stopped by no failure.
            if let Ok(judgement) = exchange.judge_views(direction, &head, &views, how, admits).await {
                exchange.told(&about, &judgement);
            }
        };
        // Without a scanner it is judged at the first poll; with one it goes on by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(judging);
        }
    }
}
