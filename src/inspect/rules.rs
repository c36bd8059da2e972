//! Rules, compiled: which of them look at a session, and what they say to what passes in it.
//!
//! What is cheap is asked first. The patterns of all rules are looked for in one pass over the content
//! (`screen`), when the first rule needs it; an expression is run only where that pass cannot rule it out.
//!
//! A rule with the `decode` of a framing also looks at each of the application's messages (`framed`).
//!
//! A rule with `decode = "json"` also looks at the document's strings without their escapes. A match that is only
//! there cannot be redacted in place: what an enforcing `redact` cannot redact, it drops. So are heads, content that
//! a budget cut, and what a scanner found without a replacement. Content that was cut is no JSON document.

mod compile;
mod entropy;
mod files;
mod framed;
mod frequency;
mod glance;
mod grams;
mod json;
mod judge;
mod literals;
mod matching;
mod place;
mod rate;
mod redact;
mod screen;
mod secrets;
mod sets;
#[cfg(test)]
mod tests;

pub use framed::Rest;
pub use redact::mask_secrets;

use super::{
    HttpHead, Interest, Judging, RuleError, RuleSpec, ScanOutcome, ScannerId, SessionFacts, Subject, Surface,
};
use crate::wire::frame::{Direction, Opcode};
use compile::Rule;
use framed::Streams;
pub use glance::Glance;
use place::Paths;
use rate::Window;
use screen::Screen;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// All rules, in their order.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// `None` without rules.
    screen: Option<Screen>,
}

impl Rules {
    /// Compiles.
    ///
    /// # Errors
    /// Every rule that is wrong.
    pub fn compile(specs: Vec<RuleSpec>) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let mut names = HashSet::new();
        let mut builder = screen::Builder::default();
        let mut rules = Vec::new();
        for (rule, spec) in specs.into_iter().enumerate() {
            if !names.insert(spec.name.clone()) {
                let message = format!(
                    "another rule is called `{}` too; metrics tell rules by their names",
                    spec.name
                );
                errors.push(RuleError {
                    rule,
                    key: "name",
                    message,
                });
            }
            rules.push(Rule::compile(rule, spec, &mut builder, &mut errors));
        }
        let screen = builder.build().map_err(|message| {
            vec![RuleError {
                rule: 0,
                key: "keywords",
                message,
            }]
        });
        match screen {
            Ok(screen) if errors.is_empty() => Ok(Self {
                rules,
                screen: Some(screen),
            }),
            Ok(_) => Err(errors),
            Err(more) => {
                errors.extend(more);
                Err(errors)
            }
        }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Rules that can never match, or never act, with the reason: one sentence for each.
    pub fn warnings(&self) -> Vec<(usize, String)> {
        compile::warnings(&self.rules)
    }
}

/// What a rule with a rate has counted, for each direction.
#[derive(Debug)]
struct Counted {
    rule: usize,
    windows: [Window; 2],
}

/// The rules as they concern one WebSocket or one HTTP exchange.
#[derive(Debug)]
pub struct RuleSession {
    rules: Arc<Rules>,
    facts: Arc<SessionFacts>,
    /// The rules that can look at anything here.
    concerning: Vec<usize>,
    /// One of those has a rate.
    has_rates: bool,
    counted: Vec<Counted>,
    /// Rules whose rate the item under judgement exceeds.
    over: Vec<usize>,
    /// What the framings of the rules here are at.
    streams: Streams,
    /// What is judged is no beginning.
    is_inside: bool,
}

impl RuleSession {
    /// Finds out which rules look at this session.
    pub fn new(rules: Arc<Rules>, facts: Arc<SessionFacts>) -> Self {
        let paths = Paths::of(&facts);
        let concerning: Vec<usize> = (0..rules.rules.len())
            .filter(|&rule| rules.rules[rule].place.concerns(&facts, &paths))
            .collect();
        let has_rates = concerning.iter().any(|&rule| rules.rules[rule].rate.is_some());
        let framings = concerning.iter().filter_map(|&rule| rules.rules[rule].framing());
        Self {
            streams: Streams::new(framings),
            rules,
            facts,
            concerning,
            has_rates,
            counted: Vec::new(),
            over: Vec::new(),
            is_inside: false,
        }
    }

    /// The same session under other rules; what was counted stays with the rules whose names stay.
    pub fn renew(&mut self, rules: Arc<Rules>) {
        let mut new = Self::new(rules, self.facts.clone());
        for mut counted in self.counted.drain(..) {
            let name = &self.rules.rules[counted.rule].name;
            let again = new
                .rules
                .rules
                .iter()
                .position(|rule| rule.name == *name && rule.rate.is_some());
            if let Some(rule) = again {
                counted.rule = rule;
                new.counted.push(counted);
            }
        }
        new.streams.keep(&mut self.streams);
        *self = new;
    }

    /// What is judged from now on is further inside of the item that was judged: it tells no kind of file, and counts as
    /// no other one.
    pub fn go_inside(&mut self) {
        self.is_inside = true;
        self.over.clear();
    }

    /// Whether a rule that can stop or change such content looks at a document of JSON as a whole.
    pub fn wants_document(&self, surface: Surface, direction: Direction, head: &HttpHead) -> bool {
        self.holding(surface, direction, None, Some(head))
            .any(Rule::wants_document)
    }

    /// Whether a rule that can stop or change `item` could still do so if more of it came than is there, though none does by
    /// now.
    pub fn awaits_more(&self, item: &Subject<'_>) -> bool {
        self.holding(item.surface, item.direction, item.opcode, item.head)
            .any(|rule| rule.may_match_more(item))
    }

    /// Whether such a rule could do so only with all of it at once.
    pub fn awaits_whole(&self, item: &Subject<'_>) -> bool {
        self.holding(item.surface, item.direction, item.opcode, item.head)
            .any(|rule| rule.may_match_more(item) && (rule.wants_document() || rule.scan.is_some()))
    }

    /// The rules that can stop or change such content.
    fn holding(
        &self,
        surface: Surface,
        direction: Direction,
        opcode: Option<Opcode>,
        head: Option<&HttpHead>,
    ) -> impl Iterator<Item = &Rule> {
        let looking = self.concerning.iter().map(|&rule| &self.rules.rules[rule]);
        looking.filter(move |rule| {
            rule.holds() && rule.place.covers(surface, direction, opcode) && rule.place.takes(head)
        })
    }

    /// Whether it was made for these very rules, or has to be renewed.
    pub fn is_for(&self, rules: &Arc<Rules>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// The session that this is about.
    pub fn facts(&self) -> &Arc<SessionFacts> {
        &self.facts
    }

    /// How this kind of content concerns the rules.
    pub fn interest(&self, surface: Surface, direction: Direction, opcode: Option<Opcode>) -> Interest {
        self.glance(surface, direction, opcode).interest
    }

    /// What the rules can say to this kind of content. Whoever needs it often keeps it.
    pub fn glance(&self, surface: Surface, direction: Direction, opcode: Option<Opcode>) -> Glance {
        let looking = self.concerning.iter().map(|&rule| &self.rules.rules[rule]);
        let glance = Glance::of(looking.filter(|rule| rule.place.covers(surface, direction, opcode)));
        let is_binary = surface == Surface::Message && opcode == Some(Opcode::Binary);
        if is_binary && self.streams.is_own(direction) {
            return glance.that_holds();
        }
        glance
    }

    /// Whether the verdict on a message that is held has to wait for the next one, since it ends inside of an
    /// application's frame that a rule could stop or change: it is then judged together with that one. `rest` is new for a
    /// new message.
    pub fn awaits_rest(&self, item: &Subject<'_>, rest: &mut Rest) -> bool {
        self.streams.ends_inside(item, rest, |framing| {
            let mut looking = self.concerning.iter().map(|&rule| &self.rules.rules[rule]);
            looking.any(|rule| {
                rule.framing() == Some(framing)
                    && rule.holds()
                    && rule.place.covers(item.surface, item.direction, item.opcode)
            })
        })
    }

    /// Asks the rules, from the top down. `now` is any clock that only goes forward, for rates. `scans` has the
    /// outcomes so far: none at first, one more after each [`Judging::Scan`].
    pub fn judge(
        &mut self,
        item: &Subject<'_>,
        now: Duration,
        scans: &[(ScannerId, ScanOutcome)],
    ) -> Judging {
        if scans.is_empty() && self.has_rates && !self.is_inside {
            self.count(item, now);
        }
        if scans.is_empty() && !self.streams.is_empty() {
            let Self {
                streams,
                rules,
                concerning,
                ..
            } = self;
            streams.decode(item, |framing| {
                let mut looking = concerning.iter().map(|&rule| &rules.rules[rule]);
                looking.any(|rule| {
                    rule.framing() == Some(framing)
                        && rule.place.covers(item.surface, item.direction, item.opcode)
                })
            });
        }
        let rules = self
            .concerning
            .iter()
            .map(|&rule| (rule, &self.rules.rules[rule]))
            .filter(|(_, rule)| !self.is_inside || rule.files.is_empty());
        let mut judging = match &self.rules.screen {
            Some(screen) => judge::judge(rules, screen, item, &self.over, scans, &self.streams),
            None => Judging::Done(super::Judgement::pass()),
        };
        if let Judging::Done(judgement) = &mut judging {
            self.streams.settle(item, &mut judgement.verdict);
        }
        judging
    }

    /// Whether a rule looks at the pings, pongs and Closes of this direction.
    pub fn looks_at_controls(&self, direction: Direction) -> bool {
        self.for_control(direction, Opcode::Ping).next().is_some()
    }

    /// The rules that look at a control frame: those that look for something in messages of any opcode, up to one that lets
    /// off everything here.
    fn for_control(&self, direction: Direction, opcode: Opcode) -> impl Iterator<Item = (usize, &Rule)> {
        let rules = self.concerning.iter().map(|&id| (id, &self.rules.rules[id]));
        let covering =
            rules.filter(move |(_, rule)| rule.place.covers(Surface::Message, direction, Some(opcode)));
        covering
            .take_while(|(_, rule)| !rule.lets_off_everything())
            .filter(|(_, rule)| rule.reads_controls())
    }

    /// Asks the rules about what a control frame says: the payload of a ping or pong, the reason of a Close. It is no part
    /// of what a framing puts together, and counts for no rate.
    pub fn judge_control(&self, direction: Direction, opcode: Opcode, data: &[u8]) -> super::Judgement {
        let Some(screen) = &self.rules.screen else {
            return super::Judgement::pass();
        };
        let streams = Streams::new(std::iter::empty());
        let item = Subject {
            surface: Surface::Message,
            direction,
            opcode: Some(opcode),
            data,
            size: data.len() as u64,
            head: None,
        };
        let rules = self.for_control(direction, opcode);
        match judge::judge(rules, screen, &item, &[], &[], &streams) {
            Judging::Done(judgement) => judgement,
            // No rule with a scanner was asked.
            Judging::Scan(_) => super::Judgement::pass(),
        }
    }

    /// A message of this direction went on, or did not, without having been judged.
    pub fn missed(&mut self, direction: Direction, opcode: Opcode) {
        self.streams.missed(direction, opcode);
    }

    /// Whether no binary message of this direction may go on as it came, since its receiver reads it in the context of
    /// what a rule has changed.
    pub fn is_own(&self, direction: Direction) -> bool {
        self.streams.is_own(direction)
    }

    /// Lets taking a framing off keep so many bytes of a message, and for the next one, and inflate it to so many.
    pub fn limit(&mut self, kept: usize, inflated: u64) {
        self.streams.limit(kept, inflated);
    }

    /// What a direction keeps of such, in bytes.
    pub fn held(&self, direction: Direction) -> usize {
        self.streams.held(direction)
    }

    /// Why the last item was not looked into with its framing, if it was not.
    pub fn blind(&self) -> Option<super::Blind> {
        self.streams.blind()
    }

    /// Whether the messages of this direction have to be judged in their order, whatever their opcode.
    pub fn is_ordered(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Counts a new item for each rule with a rate that looks at such.
    fn count(&mut self, item: &Subject<'_>, now: Duration) {
        self.over.clear();
        for &id in &self.concerning {
            let rule = &self.rules.rules[id];
            let Some(rate) = rule.rate else {
                continue;
            };
            if !rule.place.covers(item.surface, item.direction, item.opcode) || !rule.place.takes(item.head) {
                continue;
            }
            let at = self
                .counted
                .iter()
                .position(|counted| counted.rule == id)
                .unwrap_or_else(|| {
                    self.counted.push(Counted {
                        rule: id,
                        windows: Default::default(),
                    });
                    self.counted.len() - 1
                });
            if self.counted[at].windows[item.direction.index()].add(now, rate) {
                self.over.push(id);
            }
        }
    }
}
