//! Rules, compiled: which of them look at a session, and what they say to what passes in it.
//!
//! What is cheap is asked first. The patterns of all rules are looked for in one pass over the content
//! (`screen`), when the first rule needs it; an expression is run only where that pass cannot rule it out.
//!
//! A rule with `decode = "json"` also looks at the document's strings without their escapes. A match that is only
//! there cannot be redacted in place: what an enforcing `redact` cannot redact, it drops. So are heads, content that
//! a budget cut, and what a scanner found without a replacement. Content that was cut is no JSON document.

mod compile;
mod entropy;
mod files;
mod grams;
mod json;
mod judge;
mod literals;
mod place;
mod redact;
mod screen;
mod secrets;
#[cfg(test)]
mod tests;

use super::{Facts, Interest, Item, Judging, RuleError, RuleSpec, ScanOutcome, ScannerId, Surface};
use crate::wire::frame::{Direction, Opcode};
use compile::Rule;
use screen::Screen;
use std::collections::{HashSet, VecDeque};
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

/// Moments of the items that a rule with a rate has counted, for each direction.
#[derive(Debug)]
struct Counted {
    rule: usize,
    moments: [VecDeque<Duration>; 2],
}

/// The rules as they concern one WebSocket or one HTTP exchange.
#[derive(Debug)]
pub struct Session {
    rules: Arc<Rules>,
    facts: Arc<Facts>,
    /// The rules that can look at anything here.
    concerning: Vec<usize>,
    interests: [[[Interest; 3]; 2]; 4],
    counted: Vec<Counted>,
    /// Rules whose rate the item under judgement exceeds.
    over: Vec<usize>,
}

impl Session {
    /// Finds out which rules look at this session.
    pub fn new(rules: Arc<Rules>, facts: Arc<Facts>) -> Self {
        let concerning: Vec<usize> = (0..rules.rules.len())
            .filter(|&rule| rules.rules[rule].place.concerns(&facts))
            .collect();
        let mut interests = [[[Interest::None; 3]; 2]; 4];
        for surface in Surface::ALL {
            for direction in Direction::ALL {
                for (slot, opcode) in [None, Some(Opcode::Text), Some(Opcode::Binary)]
                    .into_iter()
                    .enumerate()
                {
                    let looking = concerning.iter().map(|&rule| &rules.rules[rule]);
                    interests[surface.index()][direction.index()][slot] =
                        interest(looking.filter(|rule| rule.place.covers(surface, direction, opcode)));
                }
            }
        }
        Self {
            rules,
            facts,
            concerning,
            interests,
            counted: Vec::new(),
            over: Vec::new(),
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
        *self = new;
    }

    /// Whether it was made for these very rules, or has to be renewed.
    pub fn is_for(&self, rules: &Arc<Rules>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// The session that this is about.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// How this kind of content concerns the rules.
    pub fn interest(&self, surface: Surface, direction: Direction, opcode: Option<Opcode>) -> Interest {
        let slot = match opcode {
            None => 0,
            Some(Opcode::Text) => 1,
            Some(_) => 2,
        };
        self.interests[surface.index()][direction.index()][slot]
    }

    /// Asks the rules, from the top down. `now` is any clock that only goes forward, for rates. `scans` has the
    /// outcomes so far: none at first, one more after each [`Judging::Scan`].
    pub fn judge(&mut self, item: &Item<'_>, now: Duration, scans: &[(ScannerId, ScanOutcome)]) -> Judging {
        if scans.is_empty() {
            self.count(item, now);
        }
        let Some(screen) = &self.rules.screen else {
            return Judging::Done(super::Judgement {
                verdict: super::Verdict::Pass,
                findings: Vec::new(),
            });
        };
        let rules = self
            .concerning
            .iter()
            .map(|&rule| (rule, &self.rules.rules[rule]));
        judge::judge(rules, screen, item, &self.over, scans)
    }

    /// Counts a new item for each rule with a rate that looks at such.
    fn count(&mut self, item: &Item<'_>, now: Duration) {
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
                        moments: Default::default(),
                    });
                    self.counted.len() - 1
                });
            let moments = &mut self.counted[at].moments[item.direction.index()];
            moments.push_back(now);
            // More than these say nothing more.
            while moments.len() > rate.count as usize + 1
                || moments
                    .front()
                    .is_some_and(|first| now.saturating_sub(*first) >= rate.per)
            {
                moments.pop_front();
            }
            if moments.len() > rate.count as usize {
                self.over.push(id);
            }
        }
    }
}

/// What rules that look at a kind of content mean for it; behind one that allows everything no rule is asked.
fn interest<'r>(rules: impl Iterator<Item = &'r Rule>) -> Interest {
    let mut interest = Interest::None;
    for rule in rules {
        interest = interest.max(if rule.holds() {
            Interest::Hold
        } else {
            Interest::Watch
        });
        if rule.stops() && rule.is_unconditional() && rule.place.spec.content_types.is_empty() {
            break;
        }
    }
    interest
}
