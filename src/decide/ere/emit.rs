//! A parsed expression in the syntax of the `regex` crate.

use super::node::{Anchor, Node};
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
        Node::Set(set) => set.emit(out),
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
