//! `ssl_bump`: what comes of its lines once they have been asked at each step.

use super::access::Access;
use super::meaning::{Meanings, Moment};
use super::note::LineOutcome;
use super::read::Line;
use super::term::Formula;
use std::collections::BTreeSet;

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Splice,
    Bump,
    Peek,
    Stare,
    Terminate,
    /// Squid 3.3's `none`, which counts in step 1 alone.
    SpliceFirst,
    /// Squid 3.3's `client-first` and `server-first`, likewise.
    BumpFirst,
}

impl Action {
    /// Reads an action, those of Squid 3.3 too.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "splice" => Self::Splice,
            "none" | "deny" => Self::SpliceFirst,
            "bump" => Self::Bump,
            "server-first" | "client-first" | "allow" => Self::BumpFirst,
            "peek" | "peek-and-splice" => Self::Peek,
            "stare" => Self::Stare,
            "terminate" | "err" => Self::Terminate,
            _ => return None,
        })
    }

    /// What it comes to.
    fn finally(self) -> Self {
        match self {
            Self::SpliceFirst => Self::Splice,
            Self::BumpFirst => Self::Bump,
            other => other,
        }
    }

    /// Whether it is one of Squid 3.3, which step 1 alone heeds.
    const fn is_old(self) -> bool {
        matches!(self, Self::SpliceFirst | Self::BumpFirst)
    }

    /// What an old word is read as.
    pub(super) fn today(word: &str) -> Option<&'static str> {
        match word {
            "none" | "deny" => Some("splice"),
            "server-first" | "client-first" | "allow" => Some("bump"),
            _ => None,
        }
    }
}

/// What finally happens, for whom.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub(super) formula: Formula,
    pub(super) action: Action,
    /// The line that says so; none for what Squid does without one.
    pub(super) line: Option<Access<Action>>,
}

/// The decisions in their order, the last of which is for all that is left.
pub(super) fn decisions(lines: &[Access<Action>], meanings: &mut Meanings<'_>) -> Vec<Decision> {
    let mut steps = Steps {
        lines,
        meanings,
        decisive: BTreeSet::new(),
        peeks_at_all: false,
    };
    let found = steps.walk(1, None, &Formula::always());
    let (decisive, peeks_at_all) = (steps.decisive, steps.peeks_at_all);
    for (at, line) in lines.iter().enumerate() {
        let is_final = !matches!(line.action, Action::Peek | Action::Stare);
        if !is_final || decisive.contains(&at) {
            continue;
        }
        let text = match line.action {
            Action::Bump if peeks_at_all => {
                "decrypts nothing, in Squid neither: a line above peeks at everything in step 2 as well, and after that Squid can only splice. All that it is for is spliced, here as there. To decrypt, peek in step 1 only (acl step1 at_step SslBump1; ssl_bump peek step1) and import again"
            }
            old if old.is_old() => {
                "Squid heeds this word of version 3.3 in step 1 alone, and lines above it decide or peek there, so that it never decides anything: what it is for is spliced if no other line says otherwise, in Squid too. Write bump or splice in its place and import again if that is not meant"
            }
            _ => {
                "never decides anything: lines above it do, or it asks for what is not so at any step at which it could"
            }
        };
        meanings
            .notes
            .add(&line.place, "ssl_bump", LineOutcome::Surprise, text);
    }
    for line in lines {
        told_of(line, meanings);
    }
    found
}

/// Notes what is not as people expect it.
fn told_of(line: &Access<Action>, meanings: &mut Meanings<'_>) {
    let acls: Vec<_> = line
        .acls
        .iter()
        .filter_map(|(_, name)| meanings.acls.get(name).cloned())
        .collect();
    let has = |kind: &str| acls.iter().any(|acl| acl.kind == kind);
    let mut note = |outcome, text: &str| meanings.notes.add(&line.place, "ssl_bump", outcome, text);
    if has("dst") {
        let outcome = if line.action == Action::Terminate {
            LineOutcome::GuardLost
        } else {
            LineOutcome::Changed
        };
        note(
            outcome,
            "dst holds here for who asks for an address: names are not resolved for a decision, so that a name that leads there is treated as any other; list the names too",
        );
    }
    if has("dstdomain") || has("dstdom_regex") {
        note(
            LineOutcome::Changed,
            "who asks for an address is not looked up in reverse DNS, as Squid does: an address counts as the name in the ClientHello where that resolves to it",
        );
    }
    for acl in acls.iter().filter(|acl| acl.kind == "url_regex") {
        if acl.values().any(|value| value.text.starts_with("^http")) {
            note(
                LineOutcome::Surprise,
                "^http matches no CONNECT, which has a host and a port and no scheme: what is meant is not spliced, in Squid neither",
            );
        }
    }
}

struct Steps<'s, 'n> {
    lines: &'s [Access<Action>],
    meanings: &'s mut Meanings<'n>,
    /// The lines that some decision comes from.
    decisive: BTreeSet<usize>,
    peeks_at_all: bool,
}

impl Steps<'_, '_> {
    /// The decisions at a step and those after it, of what `reached` is for. `before` is what was done in the step before.
    fn walk(&mut self, step: u8, before: Option<Action>, reached: &Formula) -> Vec<Decision> {
        let mut found: Vec<Decision> = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let is_impossible = matches!(
                (step, before, line.action),
                (3, _, Action::Peek | Action::Stare)
                    | (3, Some(Action::Peek), Action::Bump)
                    | (3, Some(Action::Stare), Action::Splice)
            ) || (step > 1 && line.action.is_old());
            if is_impossible {
                continue;
            }
            let formula = match self.meanings.all(&line.acls, Moment::Step(step)) {
                Ok(formula) => formula,
                Err(why) => {
                    self.lost(line, &why.0);
                    continue;
                }
            };
            let is_always = formula.is_always();
            let formula = match reached.and(&formula) {
                Ok(formula) => formula,
                Err(_) => {
                    self.lost(line, "it combines too many ACLs to be written out");
                    continue;
                }
            };
            if formula.is_never() {
                continue;
            }
            if let Action::Peek | Action::Stare = line.action {
                self.peeks_at_all |= step == 2 && line.action == Action::Peek && is_always;
                found.extend(self.walk(step + 1, Some(line.action), &formula));
            } else {
                self.decisive.insert(at);
                let earlier = found.iter().map(|decision| &decision.formula);
                let is_late = (step, before, line.action) == (3, Some(Action::Peek), Action::Terminate);
                if is_late && !formula.clone().without(earlier).is_never() {
                    let text = "in step 3, after a peek in step 2, Squid asks this line only where the server speaks TLS 1.2: with TLS 1.3, whose certificates cannot be seen, it splices. Here the connection is refused whatever the server speaks";
                    self.meanings
                        .notes
                        .add(&line.place, "ssl_bump", LineOutcome::Changed, text);
                }
                found.push(Decision {
                    formula,
                    action: line.action.finally(),
                    line: Some(line.clone()),
                });
            }
            if is_always {
                return found;
            }
        }
        found.push(Decision {
            formula: reached.clone(),
            // What no line is for after step 2 is spliced, whatever step 1 did.
            action: if (step, before) == (3, Some(Action::Stare)) {
                Action::Bump
            } else {
                Action::Splice
            },
            line: None,
        });
        found
    }

    fn lost(&mut self, line: &Access<Action>, why: &str) {
        let (outcome, what) = match line.action {
            Action::Bump | Action::BumpFirst | Action::Terminate => {
                (LineOutcome::GuardLost, "the line is left out")
            }
            Action::Splice | Action::SpliceFirst | Action::Peek | Action::Stare => (
                LineOutcome::Lost,
                "the line is left out, so that what it is for is decrypted unless another line splices it",
            ),
        };
        self.meanings
            .notes
            .add(&line.place, "ssl_bump", outcome, format!("{why}; {what}"));
    }
}

/// What is not decrypted, in its order: what a line above decrypts is taken out of it. All else is decrypted.
pub(super) fn exceptions(decisions: &[Decision], meanings: &mut Meanings<'_>) -> Vec<Decision> {
    let mut bumped = Formula::never();
    let mut found: Vec<Decision> = Vec::new();
    for decision in decisions {
        if decision.action == Action::Bump {
            match bumped.clone().or(decision.formula.clone()) {
                Ok(both) => bumped = both,
                Err(_) => return found,
            }
            continue;
        }
        let rest = bumped.not().and_then(|rest| rest.and(&decision.formula));
        // The same line is asked at each step; what an earlier decision is for is not for a later one.
        let rest = rest.map(|rest| rest.without(found.iter().map(|earlier| &earlier.formula)));
        match rest {
            Ok(formula) if formula.is_never() => {}
            Ok(formula) => found.push(Decision {
                formula: formula.merged(),
                ..decision.clone()
            }),
            Err(_) => {
                if let Some(line) = &decision.line {
                    let outcome = if decision.action == Action::Terminate {
                        LineOutcome::GuardLost
                    } else {
                        LineOutcome::Lost
                    };
                    let text = "combined with the lines above it, it asks for too much to be written out, and is left out";
                    meanings.notes.add(&line.place, "ssl_bump", outcome, text);
                }
            }
        }
    }
    found
}

/// Reads a line.
pub(super) fn line(line: &Line) -> Option<Access<Action>> {
    let action = Action::parse(line.word(0)?)?;
    Some(super::access::access(line, 0, action))
}
