//! Expressions as small programs, run without anything being compiled at the first match.
//!
//! A program is run by Thompson's simulation: all states at once, one byte after another. That takes at most
//! `states x bytes` steps whatever the expression, and subjects are short.

pub(super) mod possible;

use super::ere::{Anchor, Node};
use crate::wire::byte_set::ByteSet;
use std::collections::HashMap;

/// The largest [`Node::cost`] of a program; so it has fewer than 3,000 steps, and one run a bounded time.
const MAX_COST: u64 = 500;
/// The deepest nesting. What keeps to both limits is far from the limits of the `regex` crate: it would compile.
const MAX_DEPTH: usize = 40;

/// One step; targets are distances from the first step of the program.
#[derive(Debug, Clone, Copy)]
enum Instruction {
    Byte(u8),
    /// By its place in [`Programs::sets`].
    Set(u16),
    At(Anchor),
    Jump(u16),
    /// On with the next step and with this one.
    Fork(u16),
    Match,
}

/// Many programs in one allocation.
#[derive(Debug, Default)]
pub(super) struct Programs {
    steps: Vec<Instruction>,
    /// Where each program begins in `steps`.
    starts: Vec<u32>,
    sets: Vec<ByteSet>,
}

/// Collects expressions, each as a program.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    programs: Programs,
    known: HashMap<ByteSet, u16>,
}

impl Assembler {
    /// Adds a program and returns its number, counted from 0; `None` if `node` is too large.
    pub(super) fn add(&mut self, node: &Node) -> Option<u32> {
        if node.cost() > MAX_COST || !shallow(node, MAX_DEPTH) {
            return None;
        }
        let number = u32::try_from(self.programs.starts.len()).ok()?;
        let start = self.programs.steps.len();
        let begin = u32::try_from(start).ok()?;
        if self.assemble(node, start).is_none() {
            self.programs.steps.truncate(start);
            return None;
        }
        self.programs.steps.push(Instruction::Match);
        self.programs.starts.push(begin);
        Some(number)
    }

    pub(super) fn finish(mut self) -> Programs {
        self.programs.steps.shrink_to_fit();
        self.programs.starts.shrink_to_fit();
        self.programs
    }

    fn assemble(&mut self, node: &Node, start: usize) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::Set(set) => {
                let set = set.without_upper_case();
                let step = match (set.len(), set.iter().next()) {
                    (1, Some(byte)) => Instruction::Byte(byte),
                    _ => Instruction::Set(self.intern(set)?),
                };
                self.programs.steps.push(step);
            }
            Node::At(place) => self.programs.steps.push(Instruction::At(*place)),
            Node::Concat(nodes) => {
                for node in nodes {
                    self.assemble(node, start)?;
                }
            }
            Node::Alt(branches) => {
                let mut ends = Vec::new();
                for (i, branch) in branches.iter().enumerate() {
                    if i + 1 == branches.len() {
                        self.assemble(branch, start)?;
                        break;
                    }
                    let fork = self.reserve();
                    self.assemble(branch, start)?;
                    ends.push(self.reserve());
                    self.programs.steps[fork] = Instruction::Fork(self.here(start)?);
                }
                let end = Instruction::Jump(self.here(start)?);
                ends.into_iter().for_each(|at| self.programs.steps[at] = end);
            }
            Node::Repeat { node, min, max } => {
                let mut last = self.here(start)?;
                for _ in 0..*min {
                    last = self.here(start)?;
                    self.assemble(node, start)?;
                }
                match max {
                    None if *min > 0 => self.programs.steps.push(Instruction::Fork(last)),
                    None => {
                        let fork = self.reserve();
                        self.assemble(node, start)?;
                        self.programs.steps.push(Instruction::Jump(last));
                        self.programs.steps[fork] = Instruction::Fork(self.here(start)?);
                    }
                    Some(max) => {
                        let mut forks = Vec::new();
                        for _ in *min..*max {
                            forks.push(self.reserve());
                            self.assemble(node, start)?;
                        }
                        let end = Instruction::Fork(self.here(start)?);
                        forks.into_iter().for_each(|at| self.programs.steps[at] = end);
                    }
                }
            }
        }
        Some(())
    }

    /// A step that is filled in when its target is known.
    fn reserve(&mut self) -> usize {
        self.programs.steps.push(Instruction::Match);
        self.programs.steps.len() - 1
    }

    fn here(&self, start: usize) -> Option<u16> {
        u16::try_from(self.programs.steps.len() - start).ok()
    }

    fn intern(&mut self, set: ByteSet) -> Option<u16> {
        if let Some(&known) = self.known.get(&set) {
            return Some(known);
        }
        let new = u16::try_from(self.programs.sets.len()).ok()?;
        self.programs.sets.push(set);
        self.known.insert(set, new);
        Some(new)
    }
}

/// Whether no more than `depth` nodes are nested.
fn shallow(node: &Node, depth: usize) -> bool {
    match node {
        Node::Empty | Node::Set(_) | Node::At(_) => true,
        Node::Concat(nodes) | Node::Alt(nodes) => {
            depth > 0 && nodes.iter().all(|node| shallow(node, depth - 1))
        }
        Node::Repeat { node, .. } => depth > 0 && shallow(node, depth - 1),
    }
}

/// The states of a run; kept from one run to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    now: Vec<u16>,
    next: Vec<u16>,
    open: Vec<u16>,
    /// For each step, the round in which it was reached last.
    reached: Vec<u32>,
    round: u32,
}

impl Programs {
    /// The steps of a program; none of one that does not exist.
    fn steps_of(&self, number: u32) -> &[Instruction] {
        let number = number as usize;
        let Some(&start) = self.starts.get(number) else {
            return &[];
        };
        let end = self
            .starts
            .get(number + 1)
            .map_or(self.steps.len(), |&end| end as usize);
        &self.steps[start as usize..end]
    }

    /// Whether the program finds a match anywhere in `subject`, which has no upper-case letters.
    pub(super) fn is_match(&self, number: u32, subject: &[u8], scratch: &mut Scratch) -> bool {
        let steps = self.steps_of(number);
        if steps.is_empty() {
            return false;
        }
        let anchored = matches!(steps.first(), Some(Instruction::At(Anchor::Start)));
        if scratch.reached.len() < steps.len() {
            scratch.reached.resize(steps.len(), 0);
        }
        scratch.now.clear();
        for at in 0..=subject.len() {
            // `now` holds the steps after the last byte, still without what they lead to.
            if !anchored || at == 0 {
                scratch.now.push(0);
            }
            if scratch.now.is_empty() {
                return false;
            }
            if scratch.advance(steps, &self.sets, subject, at) {
                return true;
            }
            std::mem::swap(&mut scratch.now, &mut scratch.next);
        }
        false
    }
}

impl Scratch {
    /// Follows all that needs no byte, and takes one byte; true when that led to a match.
    fn advance(&mut self, steps: &[Instruction], sets: &[ByteSet], subject: &[u8], at: usize) -> bool {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.reached.fill(0);
            self.round = 1;
        }
        self.next.clear();
        let byte = subject.get(at).copied();
        self.open.clear();
        self.open.append(&mut self.now);
        while let Some(step) = self.open.pop() {
            let index = usize::from(step);
            if std::mem::replace(&mut self.reached[index], self.round) == self.round {
                continue;
            }
            match steps[index] {
                Instruction::Match => return true,
                Instruction::Byte(wanted) if byte == Some(wanted) => self.next.push(step + 1),
                Instruction::Set(set) if byte.is_some_and(|byte| sets[usize::from(set)].contains(byte)) => {
                    self.next.push(step + 1);
                }
                Instruction::Byte(_) | Instruction::Set(_) => {}
                Instruction::At(place) if holds(place, subject, at) => self.open.push(step + 1),
                Instruction::At(_) => {}
                Instruction::Jump(to) => self.open.push(to),
                Instruction::Fork(to) => self.open.extend([step + 1, to]),
            }
        }
        false
    }
}

fn holds(place: Anchor, subject: &[u8], at: usize) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_');
    let before = is_word(at.checked_sub(1).and_then(|at| subject.get(at)));
    let after = is_word(subject.get(at));
    holds_between(place, (at == 0, before), (at == subject.len(), after))
}

/// Whether this is such a place: there is nothing before it, or part of a word is; and likewise behind it.
const fn holds_between(
    place: Anchor,
    (is_start, before): (bool, bool),
    (is_end, after): (bool, bool),
) -> bool {
    match place {
        Anchor::Start => is_start,
        Anchor::End => is_end,
        Anchor::WordStart => !before && after,
        Anchor::WordEnd => before && !after,
        Anchor::WordEdge => before != after,
        Anchor::NotWordEdge => before == after,
    }
}
