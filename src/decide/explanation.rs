//! What `wsbump explain` says of a target.

use super::verdict::Matched;
use crate::wire::names::Authority;
use std::fmt;

/// What would happen to a target, and by which entry of which list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What a client asks for.
    pub target: Authority,
    /// The entry that denies it, if one does.
    pub deny: Option<Matched>,
    /// The entry that splices it, if one does.
    pub splice: Option<Matched>,
    /// The entry that lets its certificate be invalid, if one does.
    pub invalid_certificate: Option<Matched>,
    /// The entry that keeps HTTP/2 from it, if one does.
    pub only_http1: Option<Matched>,
    /// The entry that keeps Via from it, if one does and Via would be added otherwise.
    pub without_via: Option<Matched>,
    /// The deny lists in their order, with their numbers of entries.
    pub deny_lists: Vec<(String, usize)>,
    /// The splice lists in their order, with their numbers of entries.
    pub splice_lists: Vec<(String, usize)>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        if let Some(matched) = &self.deny {
            writeln!(f, "{target} is denied: nothing is resolved or dialled.")?;
            return write!(f, "  by {}", EntryText(matched));
        }
        if let Some(matched) = &self.splice {
            writeln!(f, "{target} is spliced: its bytes are relayed unread.")?;
            write!(f, "  by {}", EntryText(matched))?;
            return self.sni(f);
        }
        writeln!(
            f,
            "{target} is bumped: its TLS is terminated and its content is seen."
        )?;
        if !self.deny_lists.is_empty() {
            writeln!(f, "  No deny list matches it: {}.", Sizes(&self.deny_lists))?;
        }
        if self.splice_lists.is_empty() {
            write!(f, "  No splice list is configured.")?;
        } else {
            write!(f, "  No splice list matches it: {}.", Sizes(&self.splice_lists))?;
        }
        self.sni(f)?;
        match &self.invalid_certificate {
            Some(matched) => write!(
                f,
                "\n  A certificate that does not verify is accepted\n  by {}",
                EntryText(matched)
            ),
            None => write!(
                f,
                "\n  A certificate that does not verify is answered with an error page."
            ),
        }?;
        if let Some(matched) = &self.only_http1 {
            write!(f, "\n  HTTP/2 is not offered\n  by {}", EntryText(matched))?;
        }
        if let Some(matched) = &self.without_via {
            write!(f, "\n  No Via header is added\n  by {}", EntryText(matched))?;
        }
        Ok(())
    }
}

impl Explanation {
    /// What the name in the ClientHello can still change.
    fn sni(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let splices = self.splice.is_none() && !self.splice_lists.is_empty();
        let what = match (!self.deny_lists.is_empty(), splices) {
            (true, true) => "a denial or a splice",
            (true, false) => "a denial",
            (false, true) => "a splice",
            (false, false) => return Ok(()),
        };
        let port = self.target.port;
        write!(
            f,
            "\n  The server name (SNI) of the ClientHello is looked up too, as SNI:{port}, and can still lead to {what}."
        )
    }
}

/// `first (1 entry), second (3 entries)`
struct Sizes<'a>(&'a [(String, usize)]);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, entries)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let plural = if *entries == 1 { "entry" } else { "entries" };
            write!(f, "{comma}{name} ({entries} {plural})")?;
        }
        Ok(())
    }
}

/// `list "wslist", line 3: PATTERN`
struct EntryText<'a>(&'a Matched);

impl fmt::Display for EntryText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "list \"{}\", line {}: {}",
            self.0.list, self.0.line, self.0.pattern
        )
    }
}
