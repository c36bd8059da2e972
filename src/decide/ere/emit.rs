//! A parsed expression in the syntax of the `regex` crate.

use super::node::{Anchor, Node};
use crate::wire::byte_set::ByteSet;
use std::fmt::Write as _;

/// Writes `node` in the syntax of the `regex` crate.
pub(in crate::decide) fn emit(node: &Node) -> String {
    // Every atom is written as bytes and every group is explicit, so no other flag can matter.
    let mut out = String::from("(?-u)");
    emit_into(node, &mut out);
    out
}

fn emit_into(node: &Node, out: &mut String) {
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Set(set) => emit_class(set, out),
        Node::At(place) => out.push_str(match place {
            Anchor::Start => r"\A",
            Anchor::End => r"\z",
            Anchor::WordStart => r"\b{start}",
            Anchor::WordEnd => r"\b{end}",
            Anchor::WordEdge => r"\b",
            Anchor::NotWordEdge => r"\B",
        }),
        Node::Concat(nodes) => nodes.iter().for_each(|node| emit_into(node, out)),
        Node::Alt(nodes) => {
            out.push_str("(?:");
            for (i, node) in nodes.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                emit_into(node, out);
            }
            out.push(')');
        }
        Node::Repeat { node, min, max } => {
            out.push_str("(?:");
            emit_into(node, out);
            // Writing to a String cannot fail.
            let _ = match max {
                Some(max) => write!(out, "){{{min},{max}}}"),
                None => write!(out, "){{{min},}}"),
            };
        }
    }
}

/// Writes a set as a class of the `regex` crate.
fn emit_class(set: &ByteSet, out: &mut String) {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for byte in set.iter() {
        match runs.last_mut() {
            Some((_, high)) if byte.checked_sub(1) == Some(*high) => *high = byte,
            _ => runs.push((byte, byte)),
        }
    }
    // Writing to a String cannot fail.
    match runs[..] {
        // An intersection of two different bytes: the class of nothing.
        [] => out.push_str("[a&&b]"),
        [(low, high)] if low == high => {
            let _ = write!(out, r"\x{low:02x}");
        }
        _ => {
            out.push('[');
            for (low, high) in runs {
                let _ = write!(out, r"\x{low:02x}-\x{high:02x}");
            }
            out.push(']');
        }
    }
}
