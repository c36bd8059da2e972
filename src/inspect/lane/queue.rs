//! What waits in its order: messages to be judged, and bytes behind them.

use super::super::{ScanOutcome, ScannerId};
use super::Ticket;
use super::assemble::Message;
use crate::wire::frame::Opcode;
use std::collections::VecDeque;
use std::time::Duration;

/// A whole message, and what scanners have said to it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) message: Message,
    pub(super) scans: Vec<(ScannerId, ScanOutcome)>,
    since: Duration,
    waits_for: Option<(Ticket, ScannerId)>,
}

impl Held {
    pub(super) fn new(message: Message, since: Duration) -> Self {
        Self {
            message,
            scans: Vec::new(),
            since,
            waits_for: None,
        }
    }
}

#[derive(Debug)]
enum Entry {
    Message(Box<Held>),
    /// Bytes that go on when it is their turn.
    Raw(Vec<u8>),
}

#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Entry>);

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn held(&self) -> usize {
        self.0
            .iter()
            .map(|entry| match entry {
                Entry::Message(held) => held.message.held(),
                Entry::Raw(bytes) => bytes.capacity(),
            })
            .sum()
    }

    pub(super) fn push(&mut self, held: Held) {
        self.0.push_back(Entry::Message(Box::new(held)));
    }

    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        match self.0.back_mut() {
            Some(Entry::Raw(waiting)) => waiting.extend_from_slice(bytes),
            _ => self.0.push_back(Entry::Raw(bytes.to_vec())),
        }
    }

    /// The front message, if it does not wait for a scanner; bytes before it go out.
    pub(super) fn next(&mut self, out: &mut dyn FnMut(&[u8])) -> Option<Held> {
        loop {
            match self.0.pop_front() {
                Some(Entry::Raw(bytes)) => out(&bytes),
                Some(Entry::Message(held)) if held.waits_for.is_some() => {
                    self.0.push_front(Entry::Message(held));
                    return None;
                }
                Some(Entry::Message(held)) => return Some(*held),
                None => {
                    // Nothing is kept for later of what a burst needed.
                    self.0 = VecDeque::new();
                    return None;
                }
            }
        }
    }

    /// Puts the front back, to wait for a scanner.
    pub(super) fn await_scan(&mut self, ticket: Ticket, scanner: ScannerId, mut held: Held) {
        held.waits_for = Some((ticket, scanner));
        self.0.push_front(Entry::Message(Box::new(held)));
    }

    /// Takes a scanner's word for the front; says whether the front waited for it.
    pub(super) fn answer(&mut self, ticket: Ticket, outcome: &ScanOutcome) -> bool {
        match self.0.front_mut() {
            Some(Entry::Message(held)) => match held.waits_for {
                Some((waited, scanner)) if waited == ticket => {
                    held.waits_for = None;
                    held.scans.push((scanner, outcome.clone()));
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whose scan the front has just been answered.
    pub(super) fn answered(&self, _ticket: Ticket) -> Option<(ScannerId, Opcode, u64)> {
        match self.0.front() {
            Some(Entry::Message(held)) => {
                let (scanner, _) = held.scans.last()?;
                Some((*scanner, held.message.opcode, held.message.size))
            }
            _ => None,
        }
    }

    /// Since when the front has waited.
    pub(super) fn since(&self) -> Option<Duration> {
        match self.0.front()? {
            Entry::Message(held) => Some(held.since),
            Entry::Raw(_) => None,
        }
    }

    /// Takes the front message off, whatever it waits for.
    pub(super) fn give_up(&mut self) -> Option<Message> {
        match self.0.pop_front()? {
            Entry::Message(held) => Some(held.message),
            raw @ Entry::Raw(_) => {
                self.0.push_front(raw);
                None
            }
        }
    }
}
