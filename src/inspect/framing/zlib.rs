//! One zlib stream (RFC 1950) over the binary messages of a direction, as Discord's gateway has it: what is said ends with a
//! sync flush, and may be cut over messages. A message that is a zlib stream of its own is read as well.
//!
//! Once a payload has been changed or left out, the receiver's window is no longer the sender's: from then on each payload
//! is written anew, by itself.

use super::decoded::{Decoded, Unit};
use super::pieces::json;
use super::taken::{FramingLimits, Unframed};
use super::wrap::{Wrap, head};
use crate::inspect::Blind;
use crate::wire::deflate::{Alone, DeflateSide, InflateError, Inflater, Inflaters, TAIL};
use flate2::{Decompress, FlushDecompress, Status};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::RefCell;

/// Why a message cannot be left out.
const CUT: &str = "what is said is cut over messages, and a part of it has gone on";
pub(super) const LOST: &str = "the zlib stream could not be followed, and has to be whole";

thread_local! {
    /// Decoders that all streams of a thread share: each keeps its window alone.
    static INFLATERS: RefCell<Inflaters> = RefCell::default();
}

/// What is known of a stream.
#[derive(Debug)]
pub(in crate::inspect) struct Shadow {
    inflater: Box<Inflater>,
    side: DeflateSide,
    header: [u8; 2],
    /// The sender's has come.
    has_begun: bool,
    /// The receiver has one.
    is_announced: bool,
    /// The receiver's window is another than the sender's.
    is_own: bool,
    lost: Option<Blind>,
    /// Of a payload whose end is still to come.
    pending: Vec<u8>,
}

/// The window of the stream that begins here (RFC 1950 section 2.2); zlib can write none of 8 bits, and nobody does.
fn window_bits(data: &[u8]) -> Option<([u8; 2], u8)> {
    let header @ [method, flags] = *data.first_chunk::<2>()?;
    let bits = (method >> 4) + 8;
    let is_one = method & 0x0f == 8
        && (9..=15).contains(&bits)
        && flags & 0x20 == 0
        && u16::from_be_bytes(header).is_multiple_of(31);
    is_one.then_some((header, bits))
}

impl Shadow {
    fn new(header: [u8; 2], window_bits: u8) -> Self {
        let side = DeflateSide {
            takeover: true,
            window_bits,
        };
        Self {
            inflater: Box::new(Inflater::new(side)),
            side,
            header,
            has_begun: false,
            is_announced: false,
            is_own: false,
            lost: None,
            pending: Vec::new(),
        }
    }

    /// Enough to read what is written in place of the next message; `None` where that begins the receiver's stream.
    pub(super) fn again(&self) -> Option<Self> {
        self.is_announced.then(|| Self {
            has_begun: true,
            is_announced: true,
            ..Self::new(self.header, self.side.window_bits)
        })
    }

    /// A message of it was not seen.
    pub(super) fn missed(&mut self) {
        self.lose(Blind::NoContext);
    }

    fn lose(&mut self, why: Blind) {
        self.lost.get_or_insert(why);
        self.pending = Vec::new();
    }

    pub(super) fn is_own(&self) -> bool {
        self.is_own
    }

    pub(super) fn held(&self) -> usize {
        self.pending.capacity()
    }

    /// What the receiver has got of the message under judgement: as the sender wrote it, or in the proxy's own words.
    pub(super) fn went_on(&mut self, changed: bool) {
        self.is_own |= changed;
        self.is_announced = true;
    }

    pub(super) fn left_out(&mut self) {
        self.is_own = true;
    }

    /// Where messages are joined: whether the next one begins a payload.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.lost.is_none() && self.pending.is_empty()
    }

    fn take(mut self, data: &[u8], limits: FramingLimits) -> Unframed<Option<Shadow>> {
        if let Some(why) = self.lost {
            return self.blind(why);
        }
        let begins_inside = !self.pending.is_empty();
        let mut bytes = Cow::Borrowed(data);
        if begins_inside {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(data);
            bytes = Cow::Owned(pending);
        }
        let needed = begins_inside.then_some(CUT);
        let Some(payload) = bytes.strip_suffix(&TAIL) else {
            if bytes.len() > limits.kept {
                return self.blind(Blind::MessageBudget);
            }
            self.pending = bytes.into_owned();
            let decoded = Decoded {
                needed: Some(CUT),
                begins_inside,
                ..Decoded::default()
            };
            return Unframed::of(Some(decoded), Some(self));
        };
        let payload = if self.has_begun {
            Some(payload)
        } else {
            payload.get(2..)
        };
        self.has_begun = true;
        let missing = (!self.is_announced).then_some(self.header);
        let mut alone = self
            .is_own
            .then(|| Alone::new(self.side.window_bits, head(missing)));
        let (mut text, mut is_whole) = (Vec::new(), true);
        let mut each = |plain: &[u8]| {
            if let Some(alone) = &mut alone {
                alone.feed(plain);
            }
            is_whole &= text.len() + plain.len() <= limits.kept;
            if is_whole {
                text.extend_from_slice(plain);
            }
        };
        let inflater = &mut self.inflater;
        let done = INFLATERS.with_borrow_mut(|pool| {
            let come = inflater.feed(pool, payload.unwrap_or_default(), limits.inflated, &mut each)?;
            inflater.end(pool, limits.inflated - come, &mut each)
        });
        match done {
            Err(InflateError::Corrupt) => return self.blind(Blind::Corrupt),
            Err(InflateError::Limit) => return self.blind(Blind::InflateBudget),
            Ok(_) => {}
        }
        let rewritten = alone.and_then(Alone::end);
        let wrap = Wrap::FramedValue(missing, self.side.window_bits);
        let decoded = is_whole.then(|| Decoded {
            needed,
            begins_inside,
            ..decoded(text, wrap)
        });
        Unframed {
            blind: (!is_whole).then_some(Blind::MessageBudget),
            needed,
            rewritten,
            ..Unframed::of(decoded, Some(self))
        }
    }

    fn blind(mut self, why: Blind) -> Unframed<Option<Shadow>> {
        self.lose(why);
        Unframed {
            blind: Some(why),
            needed: Some(LOST),
            ..Unframed::of(None, Some(self))
        }
    }
}

fn decoded(text: Vec<u8>, wrap: Wrap) -> Decoded {
    let mut pieces = Vec::new();
    // What is not JSON has no values that could be changed: nobody knows the lengths in it.
    let document = json(&text, 0, text.len(), &mut pieces);
    if document.is_none() {
        pieces.clear();
    }
    let unit = Unit {
        at: 0..text.len(),
        pieces,
        document: document.unwrap_or(Value::Null),
    };
    Decoded {
        units: vec![unit],
        inside: Some((text, wrap)),
        ..Decoded::default()
    }
}

/// What a message is that begins as a stream does.
enum Beginning {
    /// A stream of its own, with this text.
    Whole(Vec<u8>),
    /// One whose text is larger than it may be.
    Large(Blind),
    /// A stream that goes on, as far as can be seen.
    Part,
    /// Something that is no zlib stream.
    Other,
}

fn beginning(data: &[u8], limits: FramingLimits) -> Beginning {
    let mut state = Decompress::new(true);
    let (mut text, mut out, mut size) = (Vec::new(), [0; 8192], 0);
    loop {
        let before = (state.total_in(), state.total_out());
        let read = usize::try_from(before.0).unwrap_or(usize::MAX);
        let rest = data.get(read..).unwrap_or_default();
        let Ok(status) = state.decompress(rest, &mut out, FlushDecompress::None) else {
            return Beginning::Other;
        };
        let wrote = usize::try_from(state.total_out() - before.1).unwrap_or(usize::MAX);
        size += wrote;
        if size <= limits.kept {
            text.extend_from_slice(out.get(..wrote).unwrap_or_default());
        }
        if size as u64 > limits.inflated {
            return Beginning::Large(Blind::InflateBudget);
        }
        match status {
            Status::StreamEnd if state.total_in() != data.len() as u64 => return Beginning::Other,
            Status::StreamEnd if size > limits.kept => return Beginning::Large(Blind::MessageBudget),
            Status::StreamEnd => return Beginning::Whole(text),
            _ if (state.total_in(), state.total_out()) == before => return Beginning::Part,
            _ => {}
        }
    }
}

/// `shadow` is what is known of the stream, if the direction is in one.
pub(super) fn decode(shadow: Option<Shadow>, data: &[u8], limits: FramingLimits) -> Unframed<Option<Shadow>> {
    if let Some(shadow) = shadow {
        return shadow.take(data, limits);
    }
    match window_bits(data) {
        None => Unframed {
            // It looks like a part of a stream whose beginning was not seen.
            blind: data.ends_with(&TAIL).then_some(Blind::NoContext),
            ..Unframed::of(None, None)
        },
        Some((header, window_bits)) => {
            if data.ends_with(&TAIL) {
                return Shadow::new(header, window_bits).take(data, limits);
            }
            match beginning(data, limits) {
                Beginning::Whole(text) => Unframed::of(Some(decoded(text, Wrap::Whole)), None),
                Beginning::Large(why) => Unframed {
                    blind: Some(why),
                    ..Unframed::of(None, None)
                },
                Beginning::Part => Shadow::new(header, window_bits).take(data, limits),
                Beginning::Other => Unframed::of(None, None),
            }
        }
    }
}

/// Whether a message, or what several are together, has no end yet; `has_begun` as of the stream before it.
pub(super) fn ends_inside(has_begun: bool, data: &[u8], limits: FramingLimits) -> bool {
    let is_part = || window_bits(data).is_some() && matches!(beginning(data, limits), Beginning::Part);
    !data.ends_with(&TAIL) && (has_begun || is_part())
}
