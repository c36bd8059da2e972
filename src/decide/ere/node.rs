//! A parsed expression.

use crate::wire::byte_set::ByteSet;

/// glibc's `RE_DUP_MAX`.
pub(super) const MAX_REPEAT: u32 = 0x7fff;

/// A place in the subject rather than a byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decide) enum Anchor {
    /// `^` and `` \` ``: Squid never sets REG_NEWLINE, so both mean the very beginning.
    Start,
    /// `$` and `\'`.
    End,
    /// `\<`
    WordStart,
    /// `\>`
    WordEnd,
    /// `\b`
    WordEdge,
    /// `\B`
    NotWordEdge,
}

/// A parsed expression. Case folding has already gone into the byte sets.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::decide) enum Node {
    /// The empty string.
    Empty,
    /// One byte of a set.
    Set(ByteSet),
    /// No byte, at a certain place.
    At(Anchor),
    /// One after another.
    Concat(Vec<Node>),
    /// One of them.
    Alt(Vec<Node>),
    /// So many times; without a `max`, as often as can be.
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
    },
}

impl Node {
    /// The number of single-byte steps after unrolling all intervals.
    pub(in crate::decide) fn cost(&self) -> u64 {
        match self {
            Self::Empty | Self::Set(_) | Self::At(_) => 1,
            Self::Concat(nodes) | Self::Alt(nodes) => {
                nodes.iter().fold(1, |sum, node| node.cost().saturating_add(sum))
            }
            Self::Repeat { node, min, max } => {
                let times = u64::from(max.unwrap_or(*min)).max(1);
                node.cost().saturating_mul(times).saturating_add(1)
            }
        }
    }
}
