//! Header blocks as they came, kept until the `h2` crate has taken them: of one that it does not take it says nothing.

use crate::error::Side;
use crate::http::h2::heads::finding::{HeadFault, find};
use crate::wire::hpack;
use ::h2::Reason;
use std::collections::VecDeque;

const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What PRIORITY puts before a block, in bytes.
const DEPENDENCY: usize = 5;

/// What is kept of all blocks of one connection together, in bytes. What is beyond it is not looked at.
const KEPT: usize = 64 * 1024;

/// One block.
#[derive(Debug, Default)]
pub(in crate::http) struct Block {
    pub(in crate::http) stream: u32,
    bytes: Vec<u8>,
    /// It has come to its end.
    is_over: bool,
    /// Some of it was not kept.
    is_cut: bool,
    /// It begins a message.
    is_head: bool,
    /// The crate has reset its stream.
    pub(super) reset: Option<Reason>,
}

impl Block {
    pub(in crate::http) fn finding(&self, from: Side) -> Option<HeadFault> {
        find(&self.bytes, from, self.is_over && !self.is_cut, self.is_head)
    }

    /// The value of a pseudo-header, if the block tells it.
    pub(in crate::http) fn pseudo(&self, name: &[u8]) -> Option<Vec<u8>> {
        hpack::fields(&self.bytes)
            .map_while(Result::ok)
            .find(|field| field.name.as_deref() == Some(name))?
            .value
            .map(Vec::from)
    }
}

/// The blocks of one peer.
#[derive(Debug)]
pub(in crate::http) struct Blocks {
    from: Side,
    /// The one that is coming.
    coming: Option<Block>,
    /// The flags of the frame that is coming, and where its payload begins in its block.
    flags: u8,
    begin: usize,
    /// Requests that the crate has neither given nor refused.
    waiting: VecDeque<Block>,
    /// Others, since the last read.
    recent: Vec<Block>,
    /// How many bytes are kept.
    kept: usize,
    /// The highest stream that a client has opened.
    highest: u32,
}

impl Blocks {
    pub(in crate::http) fn of(from: Side) -> Self {
        Self {
            from,
            coming: None,
            flags: 0,
            begin: 0,
            waiting: VecDeque::new(),
            recent: Vec::new(),
            kept: 0,
            highest: 0,
        }
    }

    /// More is read from the peer: the crate has taken every whole frame that came before.
    pub(in crate::http) fn reading(&mut self) {
        for block in self.recent.drain(..) {
            self.kept -= block.bytes.len();
        }
    }

    /// HEADERS begin.
    pub(in crate::http) fn begin(&mut self, flags: u8, stream: u32) {
        if let Some(torn) = self.coming.take() {
            self.kept -= torn.bytes.len();
        }
        (self.flags, self.begin) = (flags, 0);
        self.coming = Some(Block {
            stream,
            ..Block::default()
        });
    }

    /// CONTINUATION begins.
    pub(in crate::http) fn go_on(&mut self, flags: u8) {
        self.flags = flags & END_HEADERS;
        self.begin = self.coming.as_ref().map_or(0, |block| block.bytes.len());
    }

    /// Some of the frame's payload.
    pub(in crate::http) fn payload(&mut self, bytes: &[u8]) {
        let Some(block) = &mut self.coming else {
            return;
        };
        let taken = bytes.get(..KEPT - self.kept).unwrap_or(bytes);
        block.is_cut |= taken.len() < bytes.len();
        block.bytes.extend_from_slice(taken);
        self.kept += taken.len();
    }

    /// The frame ends; the stream that was opened with it, if one was.
    pub(in crate::http) fn end(&mut self) -> Option<u32> {
        let mut block = self.coming.take()?;
        let came = block.bytes.len();
        if self.flags & PADDED != 0 && self.begin < came {
            let padding = usize::from(block.bytes.remove(self.begin));
            let end = block.bytes.len().saturating_sub(padding).max(self.begin);
            block.bytes.truncate(end);
        }
        if self.flags & PRIORITY != 0 {
            let end = block.bytes.len().min(self.begin + DEPENDENCY);
            block.bytes.drain(self.begin..end);
        }
        self.kept -= came - block.bytes.len();
        if self.flags & END_HEADERS == 0 {
            self.coming = Some(block);
            return None;
        }
        block.is_over = true;
        let stream = block.stream;
        if self.from == Side::Client && stream > self.highest {
            self.highest = stream;
            block.is_head = true;
            self.waiting.push_back(block);
            return Some(stream);
        }
        self.recent.push(block);
        None
    }

    #[cfg(test)]
    pub(in crate::http) fn kept(&self) -> usize {
        self.kept
    }

    /// The block of a request that still waits.
    pub(in crate::http) fn take(&mut self, stream: u32) -> Option<Block> {
        // Nearly always the first.
        let at = self.waiting.iter().position(|block| block.stream == stream)?;
        self.take_at(at)
    }

    fn take_at(&mut self, at: usize) -> Option<Block> {
        let block = self.waiting.remove(at)?;
        self.kept -= block.bytes.len();
        Some(block)
    }

    /// The crate has reset the stream of a request that still waits.
    pub(super) fn reset(&mut self, stream: u32, code: Reason) -> Option<&Block> {
        let block = self.waiting.iter_mut().find(|block| block.stream == stream)?;
        block.reset = Some(code);
        Some(block)
    }

    /// A request that still waits, whose stream the crate has reset.
    pub(super) fn take_reset(&mut self) -> Option<Block> {
        let at = self.waiting.iter().position(|block| block.reset.is_some())?;
        self.take_at(at)
    }

    /// Those with a fault of the requests that still wait, and of the one whose head is coming.
    pub(in crate::http) fn take_faulty(&mut self) -> Vec<Block> {
        let from = self.from;
        let (faulty, fine): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|block| block.finding(from).is_some());
        self.waiting = fine;
        let mut faulty = Vec::from(faulty);
        let highest = self.highest;
        let is_head = |block: &mut Block| block.stream > highest && block.finding(from).is_some();
        if let Some(mut block) = self.coming.take_if(is_head) {
            block.is_head = true;
            faulty.push(block);
        }
        for block in &faulty {
            self.kept -= block.bytes.len();
        }
        faulty
    }

    /// All requests that still wait, and the one whose head is coming if that is to count.
    pub(in crate::http) fn take_all(&mut self, with_coming: bool) -> Vec<Block> {
        let mut all: Vec<_> = self.waiting.drain(..).collect();
        if with_coming && let Some(mut block) = self.coming.take_if(|block| block.stream > self.highest) {
            block.is_head = true;
            all.push(block);
        }
        for block in &all {
            self.kept -= block.bytes.len();
        }
        all
    }

    /// What is wrong with a block of what was read last, if that can be told.
    pub(in crate::http) fn finding(&self) -> Option<HeadFault> {
        let all = self.waiting.iter().chain(&self.recent).chain(&self.coming);
        let mut found = all.filter_map(|block| block.finding(self.from));
        let first = found.next()?;
        // What is malformed weighs more.
        match first.is_legal {
            true => found.find(|other| !other.is_legal).or(Some(first)),
            false => Some(first),
        }
    }
}
