//! What a policy says, stage by stage.

use crate::decide::bits::Bits;
use crate::decide::candidates::Wanted;
use crate::decide::verdict::{Observed, Verdict};
use std::sync::Arc;

/// What a policy says before anything is resolved or dialled.
#[derive(Debug)]
pub enum AtAsk {
    /// It goes no further.
    Denied(Verdict),
    /// It goes on if the client says who it is; the rule that wants to know.
    Name(Arc<str>),
    /// It goes on. A tunnel is asked for again when more is known.
    Open(Permitted),
}

/// What goes on.
#[derive(Debug, Default)]
pub struct Permitted {
    /// The rule of the table that lets a request pass, if one does. Of a tunnel nothing is settled yet.
    pub rule: Option<Arc<str>>,
    /// What rules would have done that are only observed.
    pub observed: Vec<Observed>,
}

/// Rules that have to be asked about each request of a connection, and what holds where none of them does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    pub(in crate::decide) rules: Bits,
    /// The one of them that holds whatever a request may show.
    pub(in crate::decide) settled: Option<usize>,
}

/// What a policy says about a connection of which all is known but its content.
#[derive(Debug)]
pub struct AtHello {
    /// What is done with it.
    pub verdict: Verdict,
    /// What is to be asked about each of its requests, if anything is.
    pub remaining: Option<Remaining>,
    /// The denial of all that is no request: nothing but what requests show may still permit them.
    pub otherwise: Option<Verdict>,
}

impl Remaining {
    pub(in crate::decide) fn rules(&self) -> &Bits {
        &self.rules
    }

    pub(in crate::decide) fn wanted(&self) -> Wanted<'_> {
        Wanted::Remaining(&self.rules, self.settled)
    }
}
