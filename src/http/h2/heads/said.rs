//! What the `h2` crate writes to a client, read on its way: the streams that it answers or resets, and its goodbye.

use crate::http::h2::kinds::{GOAWAY, HEADERS, RST_STREAM};
use std::collections::VecDeque;
use std::io::IoSlice;

/// A frame's head (RFC 9113 section 4.1), in bytes.
const HEAD: usize = 9;

/// What the crate says that a request's fate is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Word {
    /// HEADERS on this stream.
    Answer(u32),
    /// RST_STREAM: the stream and the code.
    Reset(u32, u32),
    /// GOAWAY: the last stream and the code.
    Goodbye(u32, u32),
}

/// Follows what is written, however it is cut.
#[derive(Debug, Default)]
pub(in crate::http) struct Said {
    head: [u8; HEAD],
    /// How much of the next head was written.
    known: usize,
    /// What is still to come of a payload, in bytes.
    rest: usize,
    /// How many bytes of it make a word; 0 where there is none.
    word: usize,
    /// What has come of that.
    part: u64,
    /// How many bytes were read, and how many of them have gone.
    read: u64,
    gone: u64,
    /// The codes that are to be other ones: where they end, and their last byte.
    mended: VecDeque<(u64, u8)>,
}

impl Said {
    /// Reads what is to be written. `hear` is told each word once, before it goes, and gives the code to put in its place
    /// if that is to be another one. Both fit into a byte.
    pub(in crate::http) fn read(&mut self, bufs: &[IoSlice<'_>], mut hear: impl FnMut(Word) -> Option<u8>) {
        // What did not go the last time comes again.
        let mut again = self.read - self.gone;
        for buf in bufs {
            let known = usize::try_from(again).unwrap_or(usize::MAX).min(buf.len());
            again -= known as u64;
            self.bytes(buf.get(known..).unwrap_or_default(), &mut hear);
        }
    }

    fn bytes(&mut self, mut bytes: &[u8], hear: &mut impl FnMut(Word) -> Option<u8>) {
        while !bytes.is_empty() {
            if self.rest == 0 {
                let (taken, left) = bytes.split_at(bytes.len().min(HEAD - self.known));
                if let Some(place) = self.head.get_mut(self.known..self.known + taken.len()) {
                    place.copy_from_slice(taken);
                }
                self.known += taken.len();
                self.read += taken.len() as u64;
                bytes = left;
                if self.known == HEAD {
                    self.known = 0;
                    self.frame(hear);
                }
                continue;
            }
            let (payload, left) = bytes.split_at(self.rest.min(bytes.len()));
            for (at, &byte) in payload.iter().take(self.word).enumerate() {
                self.part = self.part << 8 | u64::from(byte);
                self.word -= 1;
                if self.word == 0 {
                    self.heard(self.read + at as u64, hear);
                }
            }
            self.rest -= payload.len();
            self.read += payload.len() as u64;
            bytes = left;
        }
    }

    fn frame(&mut self, hear: &mut impl FnMut(Word) -> Option<u8>) {
        let [high, middle, low, kind, ..] = self.head;
        self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
        (self.part, self.word) = (0, 0);
        match kind {
            HEADERS => {
                let _ = hear(Word::Answer(self.stream()));
            }
            RST_STREAM => self.word = 4,
            GOAWAY => self.word = 8,
            _ => {}
        }
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    /// A word is whole; its last byte is the one at `end`.
    fn heard(&mut self, end: u64, hear: &mut impl FnMut(Word) -> Option<u8>) {
        let [a, b, c, d, code @ ..] = self.part.to_be_bytes();
        let code = u32::from_be_bytes(code);
        let word = match self.head {
            [_, _, _, GOAWAY, ..] => Word::Goodbye(u32::from_be_bytes([a, b, c, d]), code),
            _ => Word::Reset(self.stream(), code),
        };
        if let Some(code) = hear(word) {
            self.mended.push_back((end, code));
        }
    }

    /// What is to be written with other codes in it; `None` where it stays as it is.
    pub(in crate::http) fn mended(&self, bufs: &[IoSlice<'_>]) -> Option<Vec<u8>> {
        self.mended.front()?;
        let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        for (at, code) in &self.mended {
            let at = usize::try_from(at - self.gone).unwrap_or(usize::MAX);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = *code;
            }
        }
        Some(bytes)
    }

    /// So many bytes have gone.
    pub(in crate::http) fn gone(&mut self, bytes: usize) {
        self.gone += bytes as u64;
        while self.mended.front().is_some_and(|(at, _)| *at < self.gone) {
            self.mended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&size[1..], &[kind, 0], &stream.to_be_bytes()].concat();
        [&head, payload].concat()
    }

    proptest! {
        #[test]
        fn words_are_heard_once_and_mended_however_they_are_cut_and_offered(
            cuts in proptest::collection::vec((1..40_usize, 0..40_usize), 1..20),
        ) {
            let frames = |reset: u32, goodbye: u32| {
                [
                    frame(4, 0, &[0; 12]),
                    frame(HEADERS, 1, b"head"),
                    frame(0, 1, &[RST_STREAM; 30]),
                    frame(RST_STREAM, 3, &reset.to_be_bytes()),
                    frame(RST_STREAM, 5, &8_u32.to_be_bytes()),
                    frame(4, 0, &[]),
                    frame(GOAWAY, 0, &[&9_u32.to_be_bytes()[..], &goodbye.to_be_bytes(), b"why"].concat()),
                ]
                .concat()
            };
            let (offered, wanted) = (frames(1, 1), frames(13, 13));
            let (mut said, mut heard, mut sent) = (Said::default(), Vec::new(), Vec::<u8>::new());
            let mut cuts = cuts.iter().cycle();
            while sent.len() < offered.len() {
                // So much is offered in two pieces, and so much of it goes.
                let (goes, more) = cuts.next().unwrap();
                let rest = &offered[sent.len()..];
                let rest = &rest[..rest.len().min(goes + more)];
                let (first, second) = rest.split_at(rest.len() / 2);
                let bufs = [IoSlice::new(first), IoSlice::new(second)];
                said.read(&bufs, |word| {
                    heard.push(word);
                    matches!(word, Word::Reset(3, 1) | Word::Goodbye(_, 1)).then_some(13)
                });
                let bytes = said.mended(&bufs).unwrap_or(rest.to_vec());
                let goes = rest.len().min(*goes);
                sent.extend(&bytes[..goes]);
                said.gone(goes);
            }
            prop_assert_eq!(sent, wanted);
            prop_assert_eq!(
                heard,
                [Word::Answer(1), Word::Reset(3, 1), Word::Reset(5, 8), Word::Goodbye(9, 1)]
            );
            prop_assert!(said.mended.is_empty());
        }
    }
}
