//! What waits in its order: messages to be judged, and bytes behind them.

use super::super::rules::Rest;
use super::super::{ScanOutcome, ScannerId};
use super::ScanTicket;
use super::message::FilteredMessage;
use crate::wire::frame::FrameCounts;
use std::collections::VecDeque;
use std::time::Duration;

/// A whole message, and what scanners have said to it.
#[derive(Debug)]
pub(super) struct QueuedMessage {
    pub(super) message: FilteredMessage,
    pub(super) scans: Vec<(ScannerId, ScanOutcome)>,
    /// Where it was looked for frames that are cut over messages.
    pub(super) rest: Rest,
    /// Nothing that comes behind it belongs to it.
    pub(super) is_final: bool,
    since: Duration,
    waits: Waits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For its turn.
    Turn,
    /// For a scanner.
    Scan(ScanTicket),
    /// For the message that ends the frame that it ends inside of.
    Rest,
}

impl QueuedMessage {
    pub(super) fn new(message: FilteredMessage, since: Duration) -> Self {
        Self {
            message,
            scans: Vec::new(),
            rest: Rest::default(),
            is_final: false,
            since,
            waits: Waits::Turn,
        }
    }

    /// What it takes, in bytes: of a message of one byte, that is mostly what is known of it. A scanner has a copy.
    pub(super) fn held(&self) -> usize {
        let copy = match self.waits {
            Waits::Scan(_) => self.message.plain.len(),
            Waits::Turn | Waits::Rest => 0,
        };
        size_of::<Self>() + self.message.held() + copy
    }
}

#[derive(Debug)]
enum Entry {
    Message(Box<QueuedMessage>),
    Raw(Box<QueuedBytes>),
}

/// Bytes that go on when it is their turn.
#[derive(Debug, Default)]
pub(super) struct QueuedBytes {
    pub(super) bytes: Vec<u8>,
    /// The frames that end in them, and the messages.
    pub(super) counts: FrameCounts,
}

#[derive(Debug, Default)]
pub(super) struct HoldQueue(VecDeque<Entry>);

impl HoldQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn held(&self) -> usize {
        self.0
            .iter()
            .map(|entry| match entry {
                Entry::Message(held) => held.held(),
                Entry::Raw(waiting) => size_of::<QueuedBytes>() + waiting.bytes.capacity(),
            })
            .sum::<usize>()
            + self.0.capacity() * size_of::<Entry>()
    }

    pub(super) fn push(&mut self, held: QueuedMessage) {
        self.0.push_back(Entry::Message(Box::new(held)));
    }

    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        self.last_bytes(|last| last.bytes.extend_from_slice(bytes));
    }

    /// These frames and messages end in the bytes that came last.
    pub(super) fn push_counts(&mut self, counts: &FrameCounts) {
        self.last_bytes(|last| last.counts.add(counts));
    }

    fn last_bytes(&mut self, act: impl FnOnce(&mut QueuedBytes)) {
        if let Some(Entry::Raw(last)) = self.0.back_mut() {
            return act(last);
        }
        let mut last = Box::default();
        act(&mut last);
        self.0.push_back(Entry::Raw(last));
    }

    /// Everything that waits, as it is counted.
    pub(super) fn counts(&self) -> FrameCounts {
        let mut counts = FrameCounts::default();
        for entry in &self.0 {
            match entry {
                Entry::Message(held) => counts.add(&held.message.counts()),
                Entry::Raw(waiting) => counts.add(&waiting.counts),
            }
        }
        counts
    }

    /// What is to be judged next: the front message, unless it waits for a scanner. One that waits for the rest of a frame
    /// takes in the message behind it, if that is at most `room` with it, and is final where something else is behind it.
    /// Bytes before it go out.
    pub(super) fn next(&mut self, room: usize, out: &mut dyn FnMut(&QueuedBytes)) -> Option<QueuedMessage> {
        loop {
            match self.0.pop_front() {
                Some(Entry::Raw(waiting)) => out(&waiting),
                Some(Entry::Message(mut held)) => {
                    let waits_on = match held.waits {
                        Waits::Turn => false,
                        Waits::Scan(_) => true,
                        Waits::Rest => self.0.is_empty() && !held.is_final,
                    };
                    if waits_on {
                        self.0.push_front(Entry::Message(held));
                        return None;
                    }
                    if held.waits == Waits::Rest && !held.is_final {
                        match self.0.pop_front() {
                            Some(Entry::Message(next)) if held.message.can_take(&next.message, room) => {
                                held.message.take(next.message);
                            }
                            behind => {
                                behind.into_iter().for_each(|entry| self.0.push_front(entry));
                                held.is_final = true;
                            }
                        }
                    }
                    held.waits = Waits::Turn;
                    return Some(*held);
                }
                None => {
                    // Nothing is kept for later of what a burst needed.
                    self.0 = VecDeque::new();
                    return None;
                }
            }
        }
    }

    /// Puts the front back, to wait for a scanner.
    pub(super) fn await_scan(&mut self, ticket: ScanTicket, mut held: QueuedMessage) {
        held.waits = Waits::Scan(ticket);
        held.is_final = true;
        self.0.push_front(Entry::Message(Box::new(held)));
    }

    /// Puts the front back, to wait for the rest of a frame.
    pub(super) fn await_rest(&mut self, mut held: QueuedMessage) {
        held.waits = Waits::Rest;
        self.0.push_front(Entry::Message(Box::new(held)));
    }

    /// Whether the front waits for the rest of a frame.
    pub(super) fn awaits_rest(&self) -> bool {
        matches!(self.0.front(), Some(Entry::Message(held)) if held.waits == Waits::Rest)
    }

    /// The rest of a frame that the front waits for will not come.
    pub(super) fn no_rest(&mut self) {
        if let Some(Entry::Message(held)) = self.0.front_mut() {
            held.is_final = true;
        }
    }

    /// Whether the front waits for this scan.
    pub(super) fn waits_for(&self, ticket: ScanTicket) -> bool {
        matches!(self.0.front(), Some(Entry::Message(held)) if held.waits == Waits::Scan(ticket))
    }

    /// Takes the word of the scanner that the front waits for.
    pub(super) fn answer(&mut self, outcome: (ScannerId, ScanOutcome)) {
        if let Some(Entry::Message(held)) = self.0.front_mut() {
            held.waits = Waits::Turn;
            held.scans.push(outcome);
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
    pub(super) fn give_up(&mut self) -> Option<FilteredMessage> {
        match self.0.pop_front()? {
            Entry::Message(held) => Some(held.message),
            raw @ Entry::Raw(_) => {
                self.0.push_front(raw);
                None
            }
        }
    }
}
