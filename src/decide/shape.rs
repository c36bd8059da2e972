//! The shapes that nearly all published patterns have, found by looking at the parsed expression.
//!
//! `^wss-(backup|primary)\.example\.com:443$` is a handful of strings, and `^([^/][^/]*\.)*example\.com:443$` is
//! a string behind labels of a simple kind. Such patterns are looked up in a map instead of being run one by
//! one. A shape accepts exactly what its expression accepts on any subject without upper-case letters; a
//! property test holds it against the expression itself.

use super::ere::{Anchor, Node};
use crate::wire::byte_set::ByteSet;

/// A pattern may stand for this many strings at most.
const MAX_STRINGS: usize = 64;
/// What one pattern's strings may take, in bytes.
const MAX_BYTES: usize = 8192;

/// A finite set of strings, and what may stand before and behind them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) before: Before,
    /// One of these; none of them is empty.
    pub(super) strings: Vec<Vec<u8>>,
    /// Whether the subject must end with the string.
    pub(super) at_end: bool,
}

/// What may stand before the string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Before {
    /// Anything: the pattern has no `^`.
    Anything,
    /// Nothing: the subject begins with the string.
    Nothing,
    /// Labels of this kind.
    Labels(Labels),
}

/// A repeated group of bytes that ends in a dot: `(SET{min,}\.)TIMES`, for instance `([^/][^/]*\.)*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Labels {
    set: ByteSet,
    min: usize,
    optional: bool,
    repeated: bool,
}

impl Labels {
    /// Anything that ends in a dot; with `optional` also nothing: `(^|\.)` and `\.`.
    const fn any(optional: bool) -> Self {
        Self {
            set: ByteSet::ALL,
            min: 0,
            optional,
            repeated: false,
        }
    }

    /// Whether the group matches the whole of `text`.
    pub(super) fn accept(&self, text: &[u8]) -> bool {
        let Some((&last, body)) = text.split_last() else {
            return self.optional;
        };
        let fits = |label: &[u8]| label.len() >= self.min && label.iter().all(|&b| self.set.contains(b));
        if last != b'.' {
            return false;
        }
        if self.repeated && !self.set.contains(b'.') {
            return body.split(|&b| b == b'.').all(fits);
        }
        // Where the set has the dot itself, several groups accept nothing that one group does not.
        fits(body)
    }
}

/// The shapes whose union is `node`, or `None` if it has to be run as an expression.
pub(super) fn shapes(node: &Node) -> Option<Vec<Shape>> {
    match flat(node).as_slice() {
        [Node::Alt(branches)] => branches.iter().map(shape).collect(),
        _ => shape(node).map(|shape| vec![shape]),
    }
}

fn shape(node: &Node) -> Option<Shape> {
    let nodes = flat(node);
    let mut nodes = nodes.as_slice();
    let at_end = match nodes {
        [rest @ .., Node::At(Anchor::End)] => {
            nodes = rest;
            true
        }
        _ => false,
    };
    let (before, nodes) = match nodes {
        [Node::At(Anchor::Start), rest @ ..] => match labels(rest) {
            Some((labels, rest)) => (Before::Labels(labels), rest),
            None => (Before::Nothing, rest),
        },
        [Node::Alt(branches), rest @ ..] if start_or_dot(branches) => {
            (Before::Labels(Labels::any(true)), rest)
        }
        // Only worth it where the rest can then be looked up by its end.
        [Node::Set(set), rest @ ..] if at_end && *set == ByteSet::one(b'.') && !rest.is_empty() => {
            (Before::Labels(Labels::any(false)), rest)
        }
        _ => (Before::Anything, nodes),
    };
    // Looked at first, since most expressions that are no strings begin like one.
    if !nodes.iter().all(|node| is_finite(node)) {
        return None;
    }
    let strings = strings_of(nodes)?;
    if strings.iter().any(Vec::is_empty) {
        return None;
    }
    Some(Shape {
        before,
        strings,
        at_end,
    })
}

/// Concatenations within concatenations, as one.
fn flat(node: &Node) -> Vec<&Node> {
    fn collect<'a>(node: &'a Node, into: &mut Vec<&'a Node>) {
        match node {
            Node::Concat(nodes) => nodes.iter().for_each(|node| collect(node, into)),
            Node::Empty => {}
            other => into.push(other),
        }
    }
    let mut nodes = Vec::new();
    collect(node, &mut nodes);
    nodes
}

/// `(^|\.)`, either way round.
fn start_or_dot(branches: &[Node]) -> bool {
    let dot = [&Node::Set(ByteSet::one(b'.'))];
    let start = [&Node::At(Anchor::Start)];
    match branches {
        [a, b] => {
            let (a, b) = (flat(a), flat(b));
            (a == start && b == dot) || (a == dot && b == start)
        }
        _ => false,
    }
}

/// A leading group of labels, and what follows it.
fn labels<'a, 'n>(nodes: &'a [&'n Node]) -> Option<(Labels, &'a [&'n Node])> {
    if let [
        Node::Repeat {
            node,
            min: least @ (0 | 1),
            max: most @ (None | Some(1)),
        },
        rest @ ..,
    ] = nodes
    {
        let inner = flat(node);
        if let Some((set, min, [])) = label(&inner) {
            let labels = Labels {
                set,
                min,
                optional: *least == 0,
                repeated: most.is_none(),
            };
            return Some((labels, rest));
        }
    }
    let (set, min, rest) = label(nodes)?;
    Some((
        Labels {
            set,
            min,
            optional: false,
            repeated: false,
        },
        rest,
    ))
}

/// `C*\.`, `C+\.` or `CC*\.`
fn label<'a, 'n>(nodes: &'a [&'n Node]) -> Option<(ByteSet, usize, &'a [&'n Node])> {
    let mut min = 0;
    let mut of: Option<ByteSet> = None;
    let mut rest = nodes;
    loop {
        let (first, others) = rest.split_first()?;
        let (set, open) = match first {
            Node::Set(set) => (*set, false),
            Node::Repeat {
                node,
                min: least,
                max: None,
            } => match flat(node).as_slice() {
                [Node::Set(set)] => {
                    min += *least as usize;
                    (*set, true)
                }
                _ => return None,
            },
            _ => return None,
        };
        if *of.get_or_insert(set) != set {
            return None;
        }
        rest = others;
        if open {
            break;
        }
        min += 1;
    }
    let dot = Node::Set(ByteSet::one(b'.'));
    match rest.split_first() {
        Some((first, others)) if **first == dot => Some((of?, min, others)),
        _ => None,
    }
}

/// Whether a node stands for strings that can be listed, however many.
fn is_finite(node: &Node) -> bool {
    match node {
        Node::Empty => true,
        Node::Set(set) => set.without_upper_case().len() <= MAX_STRINGS,
        Node::At(_) => false,
        Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().all(is_finite),
        Node::Repeat { node, max, .. } => max.is_some() && is_finite(node),
    }
}

/// Every string that the concatenation of `nodes` accepts, without those that have upper-case letters.
fn strings_of(nodes: &[&Node]) -> Option<Vec<Vec<u8>>> {
    let mut all = vec![Vec::new()];
    let mut bytes = 0;
    for node in nodes {
        let next = match node {
            Node::Empty => continue,
            Node::Set(set) => {
                let set = set.without_upper_case();
                if let Some(byte) = set.only() {
                    bytes += all.len();
                    if bytes > MAX_BYTES {
                        return None;
                    }
                    all.iter_mut().for_each(|string: &mut Vec<u8>| string.push(byte));
                    continue;
                }
                if set.len() > MAX_STRINGS {
                    return None;
                }
                set.iter().map(|byte| vec![byte]).collect()
            }
            Node::At(_) => return None,
            concat @ Node::Concat(_) => strings_of(&flat(concat))?,
            Node::Alt(branches) => {
                let mut union = Vec::new();
                for branch in branches {
                    union.extend(strings_of(&[branch])?);
                }
                union
            }
            Node::Repeat { node, min, max } => {
                let once = strings_of(&[node])?;
                let mut union = Vec::new();
                let mut power = vec![Vec::new()];
                for times in 0..=(*max)? {
                    if times >= *min {
                        union.extend(power.iter().cloned());
                    }
                    if times < (*max)? {
                        power = product(&power, &once)?;
                    }
                    if union.len() > MAX_STRINGS {
                        return None;
                    }
                }
                union
            }
        };
        all = product(&all, &next)?;
        bytes = all.iter().map(Vec::len).sum();
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len() * right.len() > MAX_STRINGS {
        return None;
    }
    let all: Vec<Vec<u8>> = left
        .iter()
        .flat_map(|l| right.iter().map(move |r| [l.as_slice(), r.as_slice()].concat()))
        .collect();
    (all.iter().map(Vec::len).sum::<usize>() <= MAX_BYTES).then_some(all)
}
