//! How far conditions hold, and of which names.

/// How far conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// They do, whatever comes.
    Yes,
    /// They do, unless a name that is still to come speaks against it.
    SoFar,
    /// Nobody can say yet: what this names is still to come.
    Later(&'static str),
    /// They do if the client is the right one, which it may be asked for.
    Name,
    /// They do not, for what this names.
    No(&'static str),
}

/// Which of the names that a client gives have to be listed: the CONNECT target and the SNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Any of them: for rules that forbid.
    Any,
    /// All of them: for rules that permit.
    All,
    /// The SNI alone, or the CONNECT target where there is none: for rules that permit, where the SNI is believed.
    Sni,
}

impl Holds {
    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        use Holds::{Later, Name, No, SoFar, Yes};
        match (self, other) {
            (no @ No(_), _) | (_, no @ No(_)) => no,
            // Whether its host is meant at all is not known: nobody is asked for that.
            (Name | Later(_), Later("hosts" | "except_hosts"))
            | (Later("hosts" | "except_hosts"), Name | Later(_)) => Later("hosts"),
            (Name, _) | (_, Name) => Name,
            (later @ Later(_), _) | (_, later @ Later(_)) => later,
            (SoFar, _) | (_, SoFar) => SoFar,
            (Yes, Yes) => Yes,
        }
    }
}
