//! permessage-deflate with the smallest window that RFC 7692 has, which zlib reads and cannot write: an encoder of
//! fixed Huffman blocks (RFC 1951 section 3.2.6) that looks back 256 bytes and no further.

use std::collections::VecDeque;

/// How far back a window of 8 bits reaches.
const WINDOW: usize = 256;

/// One end's encoder; its window goes on from message to message.
#[derive(Default)]
pub(crate) struct SmallWindow {
    seen: VecDeque<u8>,
    /// The longest way back that was used.
    pub(crate) furthest: usize,
}

impl SmallWindow {
    /// A message's payload, without the four bytes that RFC 7692 leaves out.
    pub(crate) fn message(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut bits = Bits::default();
        // Not the last block, fixed codes.
        bits.number(0b010, 3);
        let mut at = 0;
        while at < plain.len() {
            let (length, distance) = self.longest(&plain[at..]);
            let step = if length >= 3 {
                bits.length(length);
                bits.distance(distance);
                self.furthest = self.furthest.max(distance);
                length
            } else {
                bits.symbol(u32::from(plain[at]));
                1
            };
            self.seen.extend(&plain[at..at + step]);
            self.seen.drain(..self.seen.len().saturating_sub(WINDOW));
            at += step;
        }
        bits.symbol(256);
        // An empty stored block, of which only its head is sent.
        bits.number(0, 3);
        bits.bytes
    }

    /// The longest match of what follows, and the furthest of those as long.
    fn longest(&self, ahead: &[u8]) -> (usize, usize) {
        let mut best = (0, 0);
        for distance in (3..=self.seen.len()).rev() {
            let from = self.seen.len() - distance;
            let most = distance.min(ahead.len()).min(10);
            let length = (0..most)
                .take_while(|&at| self.seen[from + at] == ahead[at])
                .count();
            if length > best.0 {
                best = (length, distance);
            }
        }
        best
    }
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn bit(&mut self, bit: u32) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().unwrap() |= ((bit & 1) << self.used) as u8;
        self.used = (self.used + 1) % 8;
    }

    /// The lowest bit first.
    fn number(&mut self, value: u32, count: u32) {
        (0..count).for_each(|at| self.bit(value >> at));
    }

    /// The highest bit first.
    fn code(&mut self, value: u32, count: u32) {
        (0..count).rev().for_each(|at| self.bit(value >> at));
    }

    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..=143 => self.code(0x30 + symbol, 8),
            144..=255 => self.code(0x190 + symbol - 144, 9),
            _ => self.code(symbol - 256, 7),
        }
    }

    /// 3 to 10, which have no extra bits.
    fn length(&mut self, length: usize) {
        self.symbol(257 + length as u32 - 3);
    }

    fn distance(&mut self, distance: usize) {
        // From 5 on, two codes for each power of two, with one extra bit less than its logarithm.
        let less = distance as u32 - 1;
        if less < 4 {
            return self.code(less, 5);
        }
        let extra = less.ilog2() - 1;
        self.code(2 * extra + (less >> extra), 5);
        self.number(less & ((1 << extra) - 1), extra);
    }
}
