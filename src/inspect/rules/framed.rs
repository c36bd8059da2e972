//! Rules whose `decode` takes an application's framing off.
//!
//! Such a rule is asked about each of the application's messages by itself: its patterns are looked for in the
//! message as it came and in its values without their escapes, and its JSON tests in the document that the framing
//! makes of it. `min_size`, `max_size`, `files` and `rate` are those of the WebSocket message.

use super::super::framing::{self, Cursor, Decoded, FramedValue, FramingLimits, FramingState, Unit};
use super::super::{AppFraming, Blind, Ruling, Subject, Surface};
use super::compile::Rule;
use super::matching::match_all;
use super::redact;
use super::screen::{Hits, Screen};
use crate::wire::frame::{Direction, Opcode};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

/// One framing in both directions.
#[derive(Debug)]
struct FramedSession {
    framing: AppFraming,
    directions: [DirectionState; 2],
    /// Of the item under judgement.
    decoded: Option<Decoded>,
    /// It looked at the item under judgement.
    is_current: bool,
    /// Why that cannot be left out, where nothing is decoded.
    needed: Option<&'static str>,
    /// What goes on in its place if no rule changes it.
    rewritten: Option<Vec<u8>>,
}

impl FramedSession {
    fn new(framing: AppFraming) -> Self {
        Self {
            framing,
            directions: Default::default(),
            decoded: None,
            is_current: false,
            needed: None,
            rewritten: None,
        }
    }

    fn is_own(&self, direction: Direction) -> bool {
        self.directions[direction.index()].after.is_own()
    }
}

#[derive(Debug, Default)]
struct DirectionState {
    /// Before the item under judgement.
    before: FramingState,
    after: FramingState,
}

/// Where the frames that a message is made of were looked for, by framing; `None` where it begins inside of one.
#[derive(Debug, Default)]
pub struct Rest(Vec<(AppFraming, Option<Cursor>)>);

/// What taking a framing off may take, unless it is told otherwise.
const LIMITS: FramingLimits = FramingLimits {
    kept: 1 << 20,
    inflated: 64 << 20,
};

/// The framings that rules of a session ask for.
#[derive(Debug)]
pub(super) struct Streams {
    streams: Vec<FramedSession>,
    limits: FramingLimits,
    /// Why the item under judgement could not be looked into.
    blind: Option<Blind>,
}

impl Streams {
    pub(super) fn new(framings: impl Iterator<Item = AppFraming>) -> Self {
        let mut streams: Vec<FramedSession> = Vec::new();
        for framing in framings {
            if streams.iter().all(|stream| stream.framing != framing) {
                streams.push(FramedSession::new(framing));
            }
        }
        Self {
            streams,
            limits: LIMITS,
            blind: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    pub(super) fn limit(&mut self, kept: usize, inflated: u64) {
        self.limits = FramingLimits { kept, inflated };
    }

    pub(super) fn blind(&self) -> Option<Blind> {
        self.blind
    }

    /// Whether what goes on in this direction has to be written anew, whatever the rules say.
    pub(super) fn is_own(&self, direction: Direction) -> bool {
        self.streams.iter().any(|stream| stream.is_own(direction))
    }

    /// What a direction keeps, in bytes.
    pub(super) fn held(&self, direction: Direction) -> usize {
        let sides = self
            .streams
            .iter()
            .map(|stream| &stream.directions[direction.index()]);
        sides.map(|side| side.after.held()).sum()
    }

    /// Takes over what an older session knew of the same framings, and those that its receivers cannot do without.
    pub(super) fn keep(&mut self, older: &mut Self) {
        let is_own =
            |stream: &FramedSession| Direction::ALL.iter().any(|direction| stream.is_own(*direction));
        let kept = older.streams.iter().filter(|stream| is_own(stream));
        let framings: Vec<AppFraming> = self.streams.iter().map(|stream| stream.framing).collect();
        let missing = kept.filter(|stream| !framings.contains(&stream.framing));
        self.streams
            .extend(missing.map(|stream| FramedSession::new(stream.framing)));
        for stream in &mut self.streams {
            if let Some(known) = older
                .streams
                .iter_mut()
                .find(|known| known.framing == stream.framing)
            {
                stream.directions = std::mem::take(&mut known.directions);
            }
        }
    }

    /// Takes the framings off a new item, where `is_wanted`.
    pub(super) fn decode(&mut self, item: &Subject<'_>, is_wanted: impl Fn(AppFraming) -> bool) {
        self.blind = None;
        for stream in &mut self.streams {
            (stream.decoded, stream.is_current) = (None, false);
            (stream.needed, stream.rewritten) = (None, None);
            let is_message = item.surface == Surface::Message;
            let is_bound = is_message && stream.is_own(item.direction);
            if !is_wanted(stream.framing) && !is_bound {
                continue;
            }
            stream.is_current = true;
            let side = &mut stream.directions[item.direction.index()];
            let mut before = FramingState::Begin;
            if is_message {
                before = std::mem::take(&mut side.after);
                side.before = before.again();
            }
            // What a budget has cut cannot be read, and what follows it begins anew.
            if item.size > item.data.len() as u64 {
                stream.needed = before.needs(item.opcode);
                before.missed(item.opcode);
                side.after = before;
                continue;
            }
            let taken = framing::decode(stream.framing, before, item.data, item.opcode, self.limits);
            stream.decoded = taken.decoded;
            if is_message {
                side.after = taken.after;
                self.blind = self.blind.or(taken.blind);
                (stream.needed, stream.rewritten) = (taken.needed, taken.rewritten);
            }
        }
    }

    /// Takes in what becomes of the item under judgement, and makes of it what its receiver can read.
    pub(super) fn settle(&mut self, item: &Subject<'_>, verdict: &mut Ruling) {
        if item.surface != Surface::Message {
            return;
        }
        for stream in self.streams.iter_mut().filter(|stream| stream.is_current) {
            let state = &mut stream.directions[item.direction.index()].after;
            if !state.is_moved_by(item.opcode) {
                continue;
            }
            if *verdict == Ruling::Pass && state.is_own() {
                *verdict = match stream.rewritten.take() {
                    Some(rewritten) => Ruling::Replace(rewritten),
                    None => Ruling::refused(),
                };
            }
            match verdict {
                Ruling::Pass => state.went_on(false),
                Ruling::Replace(_) => state.went_on(true),
                Ruling::Drop => state.left_out(),
                Ruling::Close(_) => {}
            }
        }
    }

    /// Whether an item that has not been judged yet ends inside of a frame of a framing that `is_wanted`. `rest` is
    /// what the last call has left, if that was about the beginning of this item.
    pub(super) fn ends_inside(
        &self,
        item: &Subject<'_>,
        rest: &mut Rest,
        is_wanted: impl Fn(AppFraming) -> bool,
    ) -> bool {
        let Some(opcode) = item.opcode else { return false };
        let mut is_cut = false;
        for stream in &self.streams {
            if !is_wanted(stream.framing) && !stream.is_own(item.direction) {
                continue;
            }
            let before = &stream.directions[item.direction.index()].after;
            let known = rest.0.iter().position(|(framing, _)| *framing == stream.framing);
            let at = known.unwrap_or_else(|| {
                let begin = framing::boundary(stream.framing, before);
                rest.0.push((stream.framing, begin));
                rest.0.len() - 1
            });
            if let Some((framing, Some(cursor))) = rest.0.get_mut(at) {
                is_cut |= framing::ends_inside(*framing, cursor, item.data, opcode, self.limits);
            }
        }
        is_cut
    }

    /// What a framing makes of the item under judgement; `None` where it is not of that framing.
    pub(super) fn decoded(&self, framing: AppFraming) -> Option<&Decoded> {
        let stream = self.streams.iter().find(|stream| stream.framing == framing)?;
        stream.decoded.as_ref()
    }

    /// The same for content that a rule has changed.
    pub(super) fn again(&self, framing: AppFraming, item: &Subject<'_>, data: &[u8]) -> Option<Decoded> {
        let stream = self.streams.iter().find(|stream| stream.framing == framing)?;
        stream.decoded.as_ref()?;
        let before = match item.surface {
            Surface::Message => stream.directions[item.direction.index()].before.again(),
            _ => FramingState::Begin,
        };
        framing::decode(framing, before, data, item.opcode, self.limits).decoded
    }

    /// Whether the item under judgement belongs to one that was left out.
    pub(super) fn is_orphaned(&self) -> bool {
        let mut decoded = self.streams.iter().filter_map(|stream| stream.decoded.as_ref());
        decoded.any(|decoded| decoded.orphaned)
    }

    /// Why the item under judgement cannot be left out by a rule that sees `all` opcodes, or does not.
    pub(super) fn needed(&self, item: &Subject<'_>, all: bool) -> Option<&'static str> {
        self.streams
            .iter()
            .filter(|stream| stream.is_current)
            .find_map(|stream| {
                let needed = stream.decoded.as_ref().and_then(|decoded| decoded.needed);
                needed.or(stream.needed).or_else(|| {
                    (!all && stream.directions[item.direction.index()].after.is_open())
                        .then_some("the attachments of what matched would go on without it")
                })
            })
    }

    /// A message of this direction was not judged.
    pub(super) fn missed(&mut self, direction: Direction, opcode: Opcode) {
        for stream in &mut self.streams {
            stream.directions[direction.index()].after.missed(Some(opcode));
        }
    }
}

/// What a framing makes of a content, and what one pass found in each of the application's messages: once for all
/// rules that ask.
pub(super) struct View<'a> {
    pub(super) decoded: Cow<'a, Decoded>,
    hits: Vec<OnceCell<Hits>>,
}

impl<'a> View<'a> {
    pub(super) fn new(decoded: Cow<'a, Decoded>) -> Self {
        Self {
            hits: decoded.units.iter().map(|_| OnceCell::new()).collect(),
            decoded,
        }
    }

    /// Which of the application's messages a rule matches.
    pub(super) fn matching(&self, rule: &Rule, data: &[u8], screen: &Screen) -> Vec<usize> {
        let data = self.decoded.content(data);
        let units = self.decoded.units.iter().zip(&self.hits).enumerate();
        units
            .filter(|(_, (unit, hits))| holds(rule, unit, hits, data, screen))
            .map(|(at, _)| at)
            .collect()
    }
}

fn holds(rule: &Rule, unit: &Unit, hits: &OnceCell<Hits>, data: &[u8], screen: &Screen) -> bool {
    if !rule.json.is_empty() && unit.document.is_null() {
        return false;
    }
    if !rule.json.iter().all(|check| check.holds(&unit.document)) {
        return false;
    }
    if !rule.has_patterns() {
        return true;
    }
    let mut parts = vec![data.get(unit.at.clone()).unwrap_or_default()];
    parts.extend(unit.pieces.iter().map(|piece| &piece.text[..]));
    let hits = hits.get_or_init(|| {
        let mut hits = screen.hits();
        parts.iter().for_each(|part| screen.scan(part, &mut hits));
        hits
    });
    match_all(rule, &parts, hits, screen)
}

/// The matches of a rule: how many, and the surroundings of the first.
pub(super) fn matches(
    rule: &Rule,
    decoded: &Decoded,
    units: &[usize],
    data: &[u8],
) -> (usize, Option<String>) {
    let data = decoded.content(data);
    let (mut count, mut first) = (0, None);
    for unit in units.iter().filter_map(|&unit| decoded.units.get(unit)) {
        let mut of_unit = 0;
        let raw = data.get(unit.at.clone()).unwrap_or_default();
        let pieces = unit.pieces.iter().map(|piece| &piece.text[..]);
        for (at, text) in pieces.chain([raw]).enumerate() {
            // What is found in a value is in what came as well.
            if of_unit > 0 && at == unit.pieces.len() {
                break;
            }
            let spans = rule.spans(text);
            of_unit += spans.len();
            if !spans.is_empty() && first.is_none() {
                first = redact::excerpt(text, &spans);
            }
        }
        count += of_unit;
    }
    (count, first)
}

/// The longest length that stands beside a value, in bytes.
const NOISE: usize = 5;

/// `data` with what a rule matches replaced in the values of `units`.
///
/// # Errors
/// Why it cannot be.
pub(super) fn replace(
    rule: &Rule,
    decoded: &Decoded,
    units: &[usize],
    data: &[u8],
    with: &str,
) -> Result<Vec<u8>, &'static str> {
    let mut edits: Vec<(&FramedValue, Vec<u8>)> = Vec::new();
    let (message, data) = (data, decoded.content(data));
    for unit in units.iter().filter_map(|&unit| decoded.units.get(unit)) {
        let raw = data.get(unit.at.clone()).unwrap_or_default();
        let mut places: Vec<(Range<usize>, Vec<&[u8]>)> = Vec::new();
        let mut exact: Vec<Range<usize>> = Vec::new();
        for piece in &unit.pieces {
            let spans = rule.spans(&piece.text);
            if spans.is_empty() {
                continue;
            }
            edits.push((piece, redact::redact(&piece.text, &spans, with)));
            if let Some(at) = &piece.at {
                let texts = spans.iter().filter_map(|span| piece.text.get(span.clone()));
                places.push((at.clone(), texts.collect()));
                let begin = at.end.saturating_sub(piece.text.len());
                if piece.written.is_binary() && data.get(begin..at.end) == Some(&piece.text[..]) {
                    exact.extend(spans.iter().map(|span| begin + span.start..begin + span.end));
                }
            }
        }
        // What matches in the message as it came has to be among what is replaced.
        for span in rule.spans(raw) {
            let (from, to) = (unit.at.start + span.start, unit.at.start + span.end);
            let text = raw.get(span).unwrap_or_default();
            let is_covered = places.iter().any(|(at, texts)| {
                at.start <= from
                    && to <= at.end
                    && texts.iter().any(|t| memchr::memmem::find(t, text).is_some())
            }) || exact.iter().any(|at| {
                // Bytes of a length beside a value can look like a part of it.
                from < at.end && at.start < to && from + NOISE >= at.start && to <= at.end + NOISE
            });
            if !is_covered {
                return Err("what matched is not inside of one value");
            }
        }
    }
    if edits.is_empty() {
        return Err("the match has no place in the content");
    }
    framing::redact(decoded, message, &edits)
}

#[cfg(test)]
mod tests;
