//! What the policy says of a request. The journey asks it; this stage only knows when to.

use crate::decide::{RequestFacts, Treatment};
use crate::http::exchange::destination::Destination;
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use http::uri::Scheme;
use std::sync::Arc;

/// Says of each request whether it may go on, and how it is treated.
pub trait Judge: Send + Sync {
    /// Asked with the head as the client sent it, before anything else looks at it.
    ///
    /// # Errors
    /// What the client is answered instead.
    fn judge(&self, asked: &Judged<'_>) -> Result<Arc<Treatment>, Box<ErrorResponse>>;
}

/// What is asked about.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The server that it is for.
    pub target: &'a crate::wire::names::Authority,
    /// Whether it is for `https`.
    pub is_secure: bool,
    /// Its head.
    pub request: RequestFacts<'a>,
}

impl<'a> Judged<'a> {
    pub(in crate::http) fn new(to: &'a Destination<'_>, request: RequestFacts<'a>) -> Self {
        Self {
            target: to.target,
            is_secure: to.scheme == Scheme::HTTPS,
            request,
        }
    }
}

/// Makes the changes to a request's head that its treatment wants.
pub(in crate::http) fn edit(treatment: &Treatment, headers: &mut impl Headers) {
    use crate::decide::HeaderEdit;
    for edit in &treatment.headers {
        match edit {
            HeaderEdit::Set(name, value) => headers.set(name, value.as_bytes()),
            HeaderEdit::Add(name, value) => headers.add(name, value.as_bytes()),
            HeaderEdit::Remove(name) => headers.remove(name),
        }
    }
}
