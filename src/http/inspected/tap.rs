//! Copies of bodies that pass, judged when they have passed.

use crate::http::inspected::exchange::InspectedExchange;
use crate::http::inspected::exchange::about;
use crate::http::inspected::recorded::BodyCopy;
use crate::http::message::coding;
use crate::inspect::{Blind, HttpHead, Surface};
use crate::wire::frame::Direction;
use bytes::Bytes;
use std::sync::Arc;

/// Bodies that have passed and wait for a scanner, in the whole process.
static BACKGROUND: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(256);

/// A copy of a body on its way. It is judged when it has ended or was dropped: what passed, passed.
#[derive(Debug)]
pub(in crate::http) struct Tap {
    pub(in crate::http) exchange: InspectedExchange,
    pub(in crate::http) direction: Direction,
    pub(in crate::http) head: Arc<HttpHead>,
    pub(in crate::http) raw: Vec<u8>,
    pub(in crate::http) size: u64,
    pub(in crate::http) is_judged: bool,
    pub(in crate::http) copy: Option<BodyCopy>,
}

impl Tap {
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
        let (direction, head) = (self.direction, self.head.clone());
        let judging = async move {
            let mut permit = None;
            let admits = || {
                permit = permit.take().or_else(|| BACKGROUND.try_acquire().ok());
                permit.is_some()
            };
            // What has passed is stopped by no failure.
            if let Ok(judgement) = exchange.judge(direction, &head, &plain, true, admits).await {
                exchange.told(&about, &judgement);
            }
        };
        // Without a scanner it is judged at the first poll; with one it goes on by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(judging);
        }
    }
}
