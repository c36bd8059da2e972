//! Who is logging in, and what a directory makes of it.

/// Who is logging in, as far as a name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The name without its domain, as it was written.
    pub name: String,
    /// The domain, NetBIOS or DNS, as it was written.
    pub domain: Option<String>,
    /// What everything else calls this user: in lower case, with its domain only where that is not one of ours.
    pub canonical: String,
}

/// Somebody whom a directory knows, as it spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The user's name; may have a domain.
    pub name: String,
    /// The names of the groups it is in, nested ones included.
    pub groups: Vec<String>,
}

/// A directory does not let somebody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The cause in words, for the log alone, where the directory says more than no. No secret is in it.
    pub why: Option<String>,
}

/// A directory cannot tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// The cause in words, for the log. No secret is in it.
    pub text: String,
}

/// Whose groups are asked for that a ticket has shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ticketed {
    /// Whoever is in these groups, by their security identifiers (MS-DTYP section 2.4.2.1), as the ticket has them.
    Groups(Vec<String>),
    /// The user of this principal, whose ticket has none.
    User(String),
}
