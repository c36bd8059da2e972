//! What a recording is told of an exchange. It looks on: nothing waits for it and nothing is changed by it.

use crate::http::watch::RequestDone;
use crate::inspect::{
    Buffered, HttpHead, Inspector, Judgement, Onlookers, RecordedContent, Room, Ruling, SessionFacts, Share,
};
use crate::wire::frame::Direction;
use http::{StatusCode, Version};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// One exchange that is recorded.
#[derive(Clone)]
pub(in crate::http) struct Tape {
    inspector: Arc<Inspector>,
    facts: Arc<SessionFacts>,
    onlookers: Onlookers,
    exchange: u64,
    /// The most of one body that is copied.
    body: usize,
    room: Arc<Room>,
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

impl Tape {
    /// `None` where nobody looks on.
    pub(in crate::http) fn begin(
        inspector: &Arc<Inspector>,
        facts: &Arc<SessionFacts>,
        onlookers: Onlookers,
    ) -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let inspection = inspector.current();
        let copied = inspection.copied_for(onlookers)?;
        Some(Self {
            inspector: Arc::clone(inspector),
            facts: Arc::clone(facts),
            onlookers,
            exchange: NEXT.fetch_add(1, Ordering::Relaxed),
            body: copied.body,
            room: Arc::clone(&copied.room),
        })
    }

    pub(in crate::http) fn head(
        &self,
        version: Version,
        head: &HttpHead,
        origin: Option<IpAddr>,
        has_body: bool,
    ) {
        self.state(&RecordedContent::Head {
            exchange: self.exchange,
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            version,
            head,
            origin,
            has_body,
        });
    }

    /// What goes on in the place of a body, if something else or nothing does.
    pub(in crate::http) fn judged(&self, direction: Direction, judgement: &Judgement) {
        let data = match &judgement.verdict {
            Ruling::Pass => return,
            Ruling::Replace(changed) => &changed[..],
            Ruling::Drop | Ruling::Close(_) => &[],
        };
        self.state(&RecordedContent::Body {
            exchange: self.exchange,
            direction,
            data: &data[..data.len().min(self.body)],
            size: data.len() as u64,
            judgement: Some(judgement),
        });
    }

    /// Copies a body as it passes.
    pub(in crate::http) fn copy(&self, direction: Direction) -> BodyCopy {
        BodyCopy {
            tape: self.clone(),
            direction,
            data: Vec::new(),
            shares: [&self.room, self.inspector.kept()]
                .map(|room| Share::new(Arc::clone(room), Buffered::Recordings)),
            size: 0,
        }
    }

    pub(in crate::http) fn end(&self, done: &RequestDone) {
        self.state(&RecordedContent::End {
            exchange: self.exchange,
            wait: done.time_to_head,
            total: done.time_total,
            status: done.status.and_then(|status| StatusCode::from_u16(status).ok()),
            error: done.error.map(|error| (error.label(), done.detail.as_deref())),
        });
    }

    fn state(&self, content: &RecordedContent<'_>) {
        self.inspector
            .witness()
            .content(&self.facts, self.onlookers, content);
    }
}

/// A copy of a body's beginning; stated when the body has ended or was dropped.
#[derive(Debug)]
pub(in crate::http) struct BodyCopy {
    tape: Tape,
    direction: Direction,
    data: Vec<u8>,
    /// Of what recordings may take, and of what all may.
    shares: [Share; 2],
    size: u64,
}

impl BodyCopy {
    pub(in crate::http) fn data(&mut self, data: &[u8]) {
        self.size += data.len() as u64;
        // What was cut once stays cut.
        if self.data.len() as u64 + (data.len() as u64) < self.size {
            return;
        }
        let more = data.len().min(self.tape.body.saturating_sub(self.data.len()));
        let size = self.data.len() + more;
        if more > 0 && self.shares.iter_mut().all(|share| share.resize(size)) {
            self.data.extend_from_slice(&data[..more]);
        }
    }
}

impl Drop for BodyCopy {
    fn drop(&mut self) {
        self.tape.state(&RecordedContent::Body {
            exchange: self.tape.exchange,
            direction: self.direction,
            data: &self.data,
            size: self.size,
            judgement: None,
        });
    }
}
