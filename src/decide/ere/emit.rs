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

/// The same, to be searched for in text: bytes beyond ASCII are characters beyond it.
pub(in crate::decide) fn emit_text(node: &Node) -> String {
    let mut out = String::new();
    emit_text_into(node, &mut out);
    out
}

fn emit_text_into(node: &Node, out: &mut String) {
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Set(set) => emit_text_class(set, out),
        Node::At(place) => out.push_str(match place {
            Anchor::Start => "^",
            Anchor::End => "$",
            Anchor::WordStart => r"\b{start}",
            Anchor::WordEnd => r"\b{end}",
            Anchor::WordEdge => r"\b",
            Anchor::NotWordEdge => r"\B",
        }),
        Node::Concat(nodes) => nodes.iter().for_each(|node| emit_text_into(node, out)),
        Node::Alt(nodes) => {
            out.push_str("(?:");
            for (i, node) in nodes.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                emit_text_into(node, out);
            }
            out.push(')');
        }
        Node::Repeat { node, min, max } => {
            let is_short = matches!(**node, Node::Set(_) | Node::Alt(_));
            if !is_short {
                out.push_str("(?:");
            }
            emit_text_into(node, out);
            if !is_short {
                out.push(')');
            }
            // Writing to a String cannot fail.
            let _ = match (min, max) {
                (0, None) => write!(out, "*"),
                (1, None) => write!(out, "+"),
                (0, Some(1)) => write!(out, "?"),
                (min, None) => write!(out, "{{{min},}}"),
                (min, Some(max)) => write!(out, "{{{min},{max}}}"),
            };
        }
    }
}

fn emit_text_class(set: &ByteSet, out: &mut String) {
    let is_high = set.iter().any(|byte| !byte.is_ascii());
    let ascii: Vec<u8> = set.iter().filter(u8::is_ascii).collect();
    match (&ascii[..], is_high) {
        ([], false) => return out.push_str("[a&&b]"),
        ([byte], false) => return push_text(*byte, out),
        // All that is no line break is what people write as a dot; a path or a URL has none.
        (all, true) if all.len() == 128 => return out.push_str("(?s:.)"),
        _ => {}
    }
    let left_out: Vec<u8> = (0..128).filter(|byte| !ascii.contains(byte)).collect();
    let (members, is_negated) = if is_high { (left_out, true) } else { (ascii, false) };
    out.push_str(if is_negated { "[^" } else { "[" });
    let mut at = 0;
    while let Some(&low) = members.get(at) {
        let length = (0_u8..)
            .zip(&members[at..])
            .take_while(|(step, byte)| low.checked_add(*step) == Some(**byte))
            .count();
        push_text(low, out);
        if let (3.., Some(&high)) = (length, members.get(at + length - 1)) {
            out.push('-');
            push_text(high, out);
            at += length;
        } else {
            at += 1;
        }
    }
    out.push(']');
}

/// A character as itself, where it means nothing else.
fn push_text(byte: u8, out: &mut String) {
    match byte {
        b'0'..=b'9'
        | b'A'..=b'Z'
        | b'a'..=b'z'
        | b'/'
        | b':'
        | b'_'
        | b'%'
        | b'='
        | b'@'
        | b','
        | b';'
        | b'!'
        | b'"'
        | b'<'
        | b'>'
        | b'`' => {
            out.push(char::from(byte));
        }
        0x20..0x7f => {
            out.push('\\');
            out.push(char::from(byte));
        }
        _ => {
            // Writing to a String cannot fail.
            let _ = write!(out, r"\x{byte:02x}");
        }
    }
}
