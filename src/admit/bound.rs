//! Who a connection was proven to be.

use super::negotiate::Round;
use crate::identity::Identity;
use http::HeaderValue;
use std::sync::{Arc, Mutex, PoisonError};

/// Who an HTTP/1.1 connection was proven to be by a scheme that binds it, as Negotiate does in many clients (RFC 4559
/// section 6 has why that is dangerous). Of one connection with one client, never of a stream or of another connection.
#[derive(Debug, Default)]
pub struct Bound(Mutex<Negotiation>);

/// What was proven, and what is between two requests.
#[derive(Debug, Default)]
struct Negotiation {
    /// Who it was proven to be.
    identity: Option<Arc<Identity>>,
    /// What the client's next token is judged with.
    round: Option<Round>,
    /// The last token for a client that was accepted.
    answer: Option<HeaderValue>,
}

impl Bound {
    /// Who it is.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        self.with(|negotiation| negotiation.identity.clone())
    }

    /// It is nobody any more: credentials were shown that have to be proven by themselves.
    pub(super) fn loosen(&self) {
        self.with(|negotiation| (negotiation.identity, negotiation.answer) = (None, None));
    }

    /// It is this user from now on; `answer` is for the client.
    pub(super) fn bind(&self, identity: Arc<Identity>, answer: Option<HeaderValue>) {
        self.with(|negotiation| (negotiation.identity, negotiation.answer) = (Some(identity), answer));
    }

    /// A value of `Proxy-Authenticate` for the response to a request that was accepted just now: the proxy's own proof, which
    /// ends the negotiation (RFC 4559 section 5). It is told once.
    pub fn take_answer(&self) -> Option<HeaderValue> {
        self.with(|negotiation| negotiation.answer.take())
    }

    /// What the last token has left, once.
    pub(super) fn take_round(&self) -> Option<Round> {
        self.with(|negotiation| negotiation.round.take())
    }

    pub(super) fn keep_round(&self, round: Round) {
        self.with(|negotiation| negotiation.round = Some(round));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Negotiation) -> T) -> T {
        // Nothing is left half done by a panic in here.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
