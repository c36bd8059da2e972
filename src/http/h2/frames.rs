//! A peer's frames, read on their way to the `h2` crate, for what the crate lets pass or tells nobody.

use crate::error::Side;
use crate::http::h2::floods::Overhead;
use crate::http::h2::heads::Heads;
use crate::http::h2::kinds::{ACK, CONTINUATION, GOAWAY, HEADERS, SETTINGS};
use crate::http::watch::Flood;
use h2::Reason;

/// What a peer did that its connection ends for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Fault {
    /// It does something too often.
    Flood(Flood),
    /// It did not begin with SETTINGS (RFC 9113 section 3.4).
    Beginning,
    /// It is an origin, and allows push (RFC 9113 section 6.5.2).
    Push,
}

impl Fault {
    /// For the log.
    pub(in crate::http) fn text(self, side: Side) -> String {
        let what = match self {
            Self::Flood(flood) => flood.text(),
            Self::Beginning => "did not begin HTTP/2 with SETTINGS",
            Self::Push => "set ENABLE_PUSH, which only a client may",
        };
        format!("the {side} {what}")
    }

    /// For the peer.
    pub(in crate::http) const fn code(self) -> Reason {
        match self {
            Self::Flood(_) => Reason::ENHANCE_YOUR_CALM,
            Self::Beginning | Self::Push => Reason::PROTOCOL_ERROR,
        }
    }
}

/// A frame's head (RFC 9113 section 4.1), in bytes.
const HEAD: usize = 9;

/// What a client sends before its first frame (RFC 9113 section 3.4), in bytes.
const PREFACE: usize = 24;

/// One of the SETTINGS, in bytes.
const SETTING: usize = 6;

/// The last stream and the code in a GOAWAY, in bytes.
const GOODBYE: usize = 8;

/// The setting of that name (RFC 9113 section 6.5.2).
const ENABLE_PUSH: u16 = 2;

/// Follows the frames of one peer, however they are cut.
#[derive(Debug)]
pub(in crate::http) struct Frames {
    side: Side,
    overhead: Overhead,
    head: [u8; HEAD],
    /// How much of the next head has come.
    known: usize,
    /// What is still to come of a payload, in bytes.
    rest: usize,
    /// How many bytes of the payload make something to look at; 0 where there is nothing.
    unit: usize,
    /// What has come of that.
    part: u64,
    held: usize,
    has_begun: bool,
    fault: Option<Fault>,
    goodbye_code: Option<u32>,
    /// The payload is a piece of a header block.
    is_block: bool,
    pub(in crate::http) heads: Heads,
}

impl Frames {
    pub(in crate::http) fn of(side: Side) -> Self {
        Self::with(Heads::of(side), side)
    }

    /// Those of a client.
    pub(in crate::http) fn of_client(heads: Heads) -> Self {
        Self::with(heads, Side::Client)
    }

    fn with(heads: Heads, side: Side) -> Self {
        Self {
            side,
            overhead: Overhead::new(),
            head: [0; HEAD],
            known: 0,
            rest: match side {
                Side::Client => PREFACE,
                Side::Origin => 0,
            },
            unit: 0,
            part: 0,
            held: 0,
            has_begun: false,
            fault: None,
            goodbye_code: None,
            is_block: false,
            heads,
        }
    }

    pub(in crate::http) fn side(&self) -> Side {
        self.side
    }

    /// So many bytes went to the peer.
    pub(in crate::http) fn sent(&mut self, bytes: usize) {
        self.overhead.sent(bytes);
    }

    /// What the peer's connection ends for, if it does.
    pub(in crate::http) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The error that the peer has said goodbye with (RFC 9113 section 6.8), however its connection ended then.
    pub(in crate::http) fn goodbye_code(&self) -> Option<u32> {
        self.goodbye_code
    }

    /// These bytes came from the peer.
    pub(in crate::http) fn came(&mut self, mut bytes: &[u8]) {
        loop {
            let (payload, left) = bytes.split_at(self.rest.min(bytes.len()));
            self.rest -= payload.len();
            if self.unit > 0 {
                self.payload(payload);
            }
            if self.is_block {
                self.heads.payload(payload);
                if self.rest == 0 {
                    self.is_block = false;
                    self.heads.end();
                }
            }
            if left.is_empty() {
                return;
            }
            let (taken, left) = left.split_at(left.len().min(HEAD - self.known));
            if let Some(place) = self.head.get_mut(self.known..self.known + taken.len()) {
                place.copy_from_slice(taken);
            }
            self.known += taken.len();
            bytes = left;
            if self.known == HEAD {
                self.known = 0;
                self.frame();
            }
        }
    }

    fn frame(&mut self) {
        let [high, middle, low, kind, flags, stream @ ..] = self.head;
        let stream = u32::from_be_bytes(stream) & !(1 << 31);
        self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
        let is_settings = kind == SETTINGS && flags & ACK == 0;
        self.held = 0;
        self.unit = match kind {
            SETTINGS if is_settings => SETTING,
            GOAWAY => GOODBYE,
            _ => 0,
        };
        match kind {
            HEADERS => self.heads.begin(flags, stream),
            CONTINUATION => self.heads.go_on(flags),
            _ => {}
        }
        self.is_block = matches!(kind, HEADERS | CONTINUATION);
        // Who only says goodbye has not to be told so.
        if !self.has_begun && kind != GOAWAY {
            self.has_begun = is_settings;
            if !is_settings {
                self.fault = Some(Fault::Beginning);
            }
        }
        if !self.overhead.may(kind, flags) {
            self.fault = self.fault.or(Some(Fault::Flood(Flood::Frames)));
        }
    }

    fn payload(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.part = self.part << 8 | u64::from(byte);
            self.held += 1;
            if self.held < self.unit {
                continue;
            }
            self.held = 0;
            let [_, _, high, low, value @ ..] = self.part.to_be_bytes();
            let value = u32::from_be_bytes(value);
            if self.unit == SETTING {
                self.setting(u16::from_be_bytes([high, low]), value);
                continue;
            }
            // Some say goodbye once more without an error when they close.
            self.goodbye_code = (value != 0).then_some(value).or(self.goodbye_code);
            self.unit = 0;
            return;
        }
    }

    fn setting(&mut self, name: u16, value: u32) {
        // The crate refuses what is neither 0 nor 1.
        if self.side == Side::Origin && name == ENABLE_PUSH && value == 1 {
            self.fault = self.fault.or(Some(Fault::Push));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::h2::kinds::{DATA, PING};
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 0];
        frame.extend(payload);
        frame
    }

    fn settings(pairs: &[(u16, u32)]) -> Vec<u8> {
        let payload = pairs
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
        frame(SETTINGS, 0, &payload.collect::<Vec<_>>())
    }

    /// What a peer is found to do, byte by byte as well as at once.
    fn fault(side: Side, pieces: &[&[u8]]) -> Option<Fault> {
        let preface = match side {
            Side::Client => &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            Side::Origin => b"",
        };
        let bytes = [preface, &pieces.concat()].concat();
        let (mut whole, mut cut) = (Frames::of(side), Frames::of(side));
        whole.came(&bytes);
        for byte in bytes {
            cut.came(&[byte]);
        }
        assert_eq!(whole.fault(), cut.fault());
        whole.fault()
    }

    #[test]
    fn settings_come_first() {
        let (first, ping) = (settings(&[(4, 65535)]), frame(PING, 0, &[0; 8]));
        for side in [Side::Client, Side::Origin] {
            assert_eq!(fault(side, &[&first, &ping]), None);
            assert_eq!(fault(side, &[&ping, &first]), Some(Fault::Beginning));
            let ack = frame(SETTINGS, ACK, &[]);
            assert_eq!(fault(side, &[&ack, &first]), Some(Fault::Beginning));
            let goodbye = frame(GOAWAY, 0, &[0; 8]);
            assert_eq!(fault(side, &[&goodbye]), None);
            assert_eq!(fault(side, &[&goodbye, &ping]), Some(Fault::Beginning));
        }
    }

    #[test]
    fn an_origin_may_not_allow_push() {
        let odd = [&settings(&[(2, 0), (0x201, 1), (1, 2), (4, 65537)])[..]];
        assert_eq!(fault(Side::Origin, &odd), None);
        for allows in [settings(&[(2, 1)]), settings(&[(1, 4096), (2, 1), (2, 0)])] {
            assert_eq!(fault(Side::Origin, &[&allows]), Some(Fault::Push));
            assert_eq!(fault(Side::Origin, &[&settings(&[]), &allows]), Some(Fault::Push));
            assert_eq!(fault(Side::Client, &[&allows]), None);
        }
        // A size that the crate refuses says nothing about the next frame.
        let torn = [&frame(SETTINGS, 0, &[0; 5])[..], &settings(&[(0x200, 1 << 24)])];
        assert_eq!(fault(Side::Origin, &torn), None);
    }

    #[test]
    fn too_many_that_bring_nothing_are_a_flood() {
        let flood = frame(PING, 0, &[0; 8]).repeat(20_000);
        let found = fault(Side::Origin, &[&settings(&[]), &flood]);
        assert_eq!(found, Some(Fault::Flood(Flood::Frames)));
    }

    #[test]
    fn a_goodbye_is_understood_in_pieces() {
        let mut frames = Frames::of(Side::Origin);
        let goodbye = frame(GOAWAY, 0, &[0, 0, 0, 9, 0, 0, 1, 11, b'b', b'y', b'e', b'!']);
        for byte in [goodbye, frame(GOAWAY, 0, &[0; 8])].concat() {
            frames.came(&[byte]);
        }
        assert_eq!(frames.goodbye_code(), Some(0x10b));
    }

    proptest! {
        #[test]
        fn frames_are_told_however_they_are_cut(
            frames in proptest::collection::vec((0..12_u8, 0..40_usize), 0..40),
            cuts in proptest::collection::vec(1..30_usize, 1..20),
        ) {
            let mut found = Frames::of(Side::Client);
            found.overhead = Overhead::unforgiving();
            let mut bytes = vec![0; PREFACE];
            frames.iter().for_each(|&(kind, size)| bytes.extend(frame(kind, 0, &vec![0xff; size])));
            let mut cuts = cuts.iter().cycle();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                found.came(now);
                rest = later;
            }
            let wanted = frames.iter().filter(|(kind, _)| ![DATA, HEADERS, CONTINUATION].contains(kind)).count();
            prop_assert_eq!(found.overhead.spent(), wanted);
            prop_assert_eq!((found.rest, found.known), (0, 0));
        }
    }
}
