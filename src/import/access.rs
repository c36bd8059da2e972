//! Lists of `allow` and `deny` with ACLs, of which the first line that holds decides.

use super::note::Place;
use super::read::Line;

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access<A> {
    pub(super) action: A,
    /// Each ACL, and whether it must not hold.
    pub(super) acls: Vec<(bool, String)>,
    pub(super) place: Place,
    /// As it was written.
    pub(super) text: String,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    Allow,
    Deny,
}

impl Permit {
    /// Reads `allow` and `deny`.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }

    /// What Squid does where no line holds: the opposite of the last one.
    pub(super) fn otherwise(lines: &[Access<Self>], without: Self) -> Self {
        match lines.last().map(|line| line.action) {
            Some(Self::Allow) => Self::Deny,
            Some(Self::Deny) => Self::Allow,
            None => without,
        }
    }
}

/// A line whose action is its word number `skip`, and whose ACLs are behind that.
pub(super) fn access<A>(line: &Line, skip: usize, action: A) -> Access<A> {
    let acls = line.words.get(skip + 1..).unwrap_or_default().iter();
    let acls = acls.map(|word| match word.text.strip_prefix('!') {
        Some(name) => (true, name.to_owned()),
        None => (false, word.text.clone()),
    });
    Access {
        action,
        // Options of Squid's, such as -m, are no ACLs.
        acls: acls.filter(|(_, name)| !name.is_empty()).collect(),
        place: line.place.clone(),
        text: line.text.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
    }
}
