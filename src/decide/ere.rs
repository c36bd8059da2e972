//! POSIX extended regular expressions, as glibc's `regcomp` reads them, for Rust's `regex`.
//!
//! Squid hands each line of a `url_regex` file to `regcomp(REG_EXTENDED | REG_NOSUB)` in the C locale, so glibc
//! and not the standard is what a list was tested against. Where the two dialects differ (a backslash inside
//! brackets, `\<`, `\d`, `{,3}`, ranges under `-i`) this parser follows glibc; the unit tests hold it against
//! the C library itself. What glibc refuses is refused here too, and so is the little that `regex` cannot do.

mod emit;
mod error;
mod node;

pub(super) use emit::emit;
use emit::emit_text;
pub use error::EreError;
pub(super) use node::{Anchor, Node};

use crate::wire::byte_set::ByteSet;
use node::MAX_REPEAT;

/// Nested groups beyond this are refused, so that no pattern can exhaust the stack.
const MAX_DEPTH: usize = 100;
/// A pattern may not unroll to more single-byte steps than this; `a{32767}` is glibc's largest interval.
const MAX_COST: u64 = 40_000;

/// Translates `pattern` into the syntax of the `regex` crate; to be compiled over bytes, without further flags.
/// `ignore_case` is `REG_ICASE`.
///
/// # Errors
/// What glibc refuses, back-references, and patterns of excessive size.
pub fn translate(pattern: &str, ignore_case: bool) -> Result<String, EreError> {
    Ok(emit(&parse(pattern, ignore_case)?))
}

/// Translates `pattern` likewise, to be searched for in text: a byte beyond ASCII is any character beyond it. What is ignored
/// of case is written as a flag, so that people can read the result.
///
/// # Errors
/// As [`translate`].
pub fn translate_text(pattern: &str, ignore_case: bool) -> Result<String, EreError> {
    // Under -i glibc takes an escaped letter for nothing, and ranges for what upper case makes of them.
    parse(pattern, ignore_case)?;
    let text = emit_text(&parse(pattern, false)?);
    Ok(if ignore_case { format!("(?i){text}") } else { text })
}

/// Parses `pattern` as glibc would.
pub(super) fn parse(pattern: &str, ignore_case: bool) -> Result<Node, EreError> {
    let mut parser = Parser {
        rest: pattern.as_bytes(),
        ignore_case,
        depth: 0,
    };
    let node = parser.alternatives()?;
    if !parser.rest.is_empty() {
        // Alternatives end early only at a `)` that no `(` opened. glibc takes it literally, but Squid joins
        // the lines of a file as `(a)|(b)`, where it would close its neighbour's group.
        return Err(EreError::UnmatchedClose);
    }
    if node.cost() > MAX_COST {
        return Err(EreError::TooLarge);
    }
    Ok(node)
}

struct Parser<'a> {
    rest: &'a [u8],
    ignore_case: bool,
    depth: usize,
}

/// One end of a bracket range, or a whole item.
enum BracketItem {
    Byte(u8),
    /// `[:name:]` and `[=x=]`, which cannot begin or end a range.
    Class(ByteSet),
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn eat(&mut self, prefix: &[u8]) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// glibc folds by turning both the pattern and the subject into upper case.
    fn fold_byte(&self, byte: u8) -> u8 {
        if self.ignore_case {
            byte.to_ascii_uppercase()
        } else {
            byte
        }
    }

    /// A set over glibc's folded subject, as a set over the subject itself.
    fn set(&self, set: ByteSet) -> Node {
        Node::Set(if self.ignore_case { set.unfolded() } else { set })
    }

    fn alternatives(&mut self) -> Result<Node, EreError> {
        let mut branches = vec![self.branch()?];
        while self.eat(b"|") {
            branches.push(self.branch()?);
        }
        Ok(match (branches.len(), branches.pop()) {
            (1, Some(only)) => only,
            (_, Some(last)) => {
                branches.push(last);
                Node::Alt(branches)
            }
            (_, None) => Node::Empty,
        })
    }

    fn branch(&mut self) -> Result<Node, EreError> {
        let mut nodes = Vec::new();
        while let Some(&byte) = self.rest.first() {
            if byte == b'|' || byte == b')' {
                break;
            }
            let mut node = self.atom()?;
            // glibc does not let an anchor be repeated; the operator then has nothing before it.
            if !matches!(node, Node::At(_)) {
                while let Some((min, max)) = self.repeat()? {
                    node = Node::Repeat {
                        node: Box::new(node),
                        min,
                        max,
                    };
                    if node.cost() > MAX_COST {
                        return Err(EreError::TooLarge);
                    }
                }
            }
            nodes.push(node);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            _ => Node::Concat(nodes),
        })
    }

    fn atom(&mut self) -> Result<Node, EreError> {
        let Some(byte) = self.next() else {
            return Ok(Node::Empty);
        };
        Ok(match byte {
            b'(' => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(EreError::TooLarge);
                }
                let inner = self.alternatives()?;
                if !self.eat(b")") {
                    return Err(EreError::UnmatchedOpen);
                }
                self.depth -= 1;
                // A group of its own, so that a bare anchor in parentheses can be repeated as in glibc.
                Node::Concat(vec![inner])
            }
            b'[' => self.bracket()?,
            b'.' => self.set(ByteSet::ALL),
            b'^' => Node::At(Anchor::Start),
            b'$' => Node::At(Anchor::End),
            b'*' | b'+' | b'?' | b'{' => return Err(EreError::NothingToRepeat(byte.into())),
            b'\\' => self.escape()?,
            _ => self.set(ByteSet::one(self.fold_byte(byte))),
        })
    }

    fn escape(&mut self) -> Result<Node, EreError> {
        let word = || ByteSet::of(|b| b.is_ascii_alphanumeric() || b == b'_');
        let space = || ByteSet::of(is_space);
        let byte = self.next().ok_or(EreError::TrailingBackslash)?;
        Ok(match byte {
            b'`' => Node::At(Anchor::Start),
            b'\'' => Node::At(Anchor::End),
            b'<' => Node::At(Anchor::WordStart),
            b'>' => Node::At(Anchor::WordEnd),
            b'b' => Node::At(Anchor::WordEdge),
            b'B' => Node::At(Anchor::NotWordEdge),
            b'w' => self.set(word()),
            b'W' => self.set(word().complement()),
            b's' => self.set(space()),
            b'S' => self.set(space().complement()),
            b'1'..=b'9' => return Err(EreError::BackReference(byte.into())),
            // Not folded: under REG_ICASE glibc compares an escaped lower-case letter, as it is, with a subject
            // in upper case, so `\d` matches nothing at all there.
            _ => self.set(ByteSet::one(byte)),
        })
    }

    /// A repeat operator, if one comes next.
    fn repeat(&mut self) -> Result<Option<(u32, Option<u32>)>, EreError> {
        let simple = match self.rest.first() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => {
                self.rest = &self.rest[1..];
                return self.interval().map(Some);
            }
            _ => return Ok(None),
        };
        self.rest = &self.rest[1..];
        Ok(Some(simple))
    }

    /// `m}`, `m,}`, `,n}` or `m,n}`; glibc reads a missing `m` before a comma as 0.
    fn interval(&mut self) -> Result<(u32, Option<u32>), EreError> {
        let from = self.number()?;
        let (min, max) = if self.eat(b",") {
            (from.unwrap_or(0), self.number()?)
        } else {
            let count = from.ok_or_else(|| self.bad_interval())?;
            (count, Some(count))
        };
        if !self.eat(b"}") {
            return Err(self.bad_interval());
        }
        if max.is_some_and(|max| min > max) || max.unwrap_or(min) > MAX_REPEAT {
            return Err(EreError::IntervalOutOfRange);
        }
        Ok((min, max))
    }

    fn bad_interval(&self) -> EreError {
        if self.rest.contains(&b'}') {
            EreError::BadInterval
        } else {
            EreError::UnmatchedBrace
        }
    }

    fn number(&mut self) -> Result<Option<u32>, EreError> {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if digits == 0 {
            return Ok(None);
        }
        let value = number.iter().fold(0_u32, |n, digit| {
            n.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
        });
        if value > MAX_REPEAT {
            Err(EreError::IntervalOutOfRange)
        } else {
            Ok(Some(value))
        }
    }

    /// After `[`. A backslash is an ordinary character here.
    fn bracket(&mut self) -> Result<Node, EreError> {
        let negated = self.eat(b"^");
        let mut set = ByteSet::EMPTY;
        let mut first = true;
        loop {
            if !first && self.eat(b"]") {
                break;
            }
            let hyphen = self.rest.first() == Some(&b'-');
            let start = self.bracket_item()?;
            // A hyphen that is neither first nor last, nor the end of a range, is an error in glibc.
            if hyphen && !first && self.rest.first() != Some(&b']') && !self.rest.is_empty() {
                return Err(EreError::BadRange);
            }
            first = false;
            match start {
                BracketItem::Class(class) => set.union(&class),
                BracketItem::Byte(low) if self.rest.starts_with(b"-") && !self.rest.starts_with(b"-]") => {
                    self.rest = &self.rest[1..];
                    match self.bracket_item()? {
                        BracketItem::Byte(high) if low <= high => set.union(&ByteSet::range(low, high)),
                        BracketItem::Byte(_) | BracketItem::Class(_) => return Err(EreError::BadRange),
                    }
                }
                BracketItem::Byte(byte) => set.union(&ByteSet::one(byte)),
            }
        }
        Ok(self.set(if negated { set.complement() } else { set }))
    }

    fn bracket_item(&mut self) -> Result<BracketItem, EreError> {
        let byte = self.next().ok_or(EreError::UnmatchedBracket)?;
        let delimiter = match (byte, self.rest.first()) {
            (b'[', Some(&delimiter @ (b'.' | b'=' | b':'))) => delimiter,
            _ => return Ok(BracketItem::Byte(self.fold_byte(byte))),
        };
        self.rest = &self.rest[1..];
        let end = self
            .rest
            .windows(2)
            .position(|two| two == [delimiter, b']'])
            .ok_or(EreError::UnmatchedBracket)?;
        let name = &self.rest[..end];
        self.rest = &self.rest[end + 2..];
        let text = || String::from_utf8_lossy(name).into_owned();
        if delimiter == b':' {
            return class(name, self.ignore_case)
                .map(BracketItem::Class)
                .ok_or_else(|| EreError::UnknownClass(text()));
        }
        match (delimiter, name) {
            (b'.', &[byte]) => Ok(BracketItem::Byte(self.fold_byte(byte))),
            (_, &[byte]) => Ok(BracketItem::Class(ByteSet::one(self.fold_byte(byte)))),
            _ => Err(EreError::UnknownCollating(text())),
        }
    }
}

/// C's `isspace`, which knows the vertical tab and Rust's `is_ascii_whitespace` does not.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

fn class(name: &[u8], ignore_case: bool) -> Option<ByteSet> {
    Some(match name {
        b"alpha" => ByteSet::of(|b| b.is_ascii_alphabetic()),
        b"upper" | b"lower" if ignore_case => ByteSet::of(|b| b.is_ascii_alphabetic()),
        b"upper" => ByteSet::of(|b| b.is_ascii_uppercase()),
        b"lower" => ByteSet::of(|b| b.is_ascii_lowercase()),
        b"digit" => ByteSet::of(|b| b.is_ascii_digit()),
        b"alnum" => ByteSet::of(|b| b.is_ascii_alphanumeric()),
        b"xdigit" => ByteSet::of(|b| b.is_ascii_hexdigit()),
        b"punct" => ByteSet::of(|b| b.is_ascii_punctuation()),
        b"space" => ByteSet::of(is_space),
        b"blank" => ByteSet::of(|b| b == b' ' || b == b'\t'),
        b"cntrl" => ByteSet::of(|b| b.is_ascii_control()),
        b"graph" => ByteSet::of(|b| b.is_ascii_graphic()),
        b"print" => ByteSet::of(|b| b.is_ascii_graphic() || b == b' '),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
