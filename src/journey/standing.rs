//! What the policy says of what is relayed once it has changed: there are no requests that could be judged anew.

use super::config::Config;
use super::judging::Begun;
use super::relays::Standing;
use crate::decide::{Act, AtAsk, Facts, Remaining, RequestFacts, RequestFields};
use crate::drain::Recall;
use http::{HeaderName, Method};
use std::cell::Cell;
use std::sync::Arc;

/// What is relayed.
#[derive(Debug)]
pub(super) enum Relayed {
    /// A WebSocket, as it was asked for.
    WebSocket(Arc<crate::inspect::SessionFacts>),
    /// Other bytes of a connection that was decrypted.
    Opaque,
    /// A connection that is not decrypted since a rule says so.
    Spliced,
}

/// A relay, and what it began with.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) begun: Arc<Begun>,
    pub(super) relayed: Relayed,
}

impl Standing for Known {
    fn recall(&self, config: &Config) -> Option<Recall> {
        let mut facts = self.begun.facts(config);
        let said = config.policy.at_hello(&facts);
        match (&said.verdict.act, &self.relayed) {
            (Act::Deny, _) => return Some(Recall::Denied),
            (Act::Splice(_), Relayed::WebSocket(_) | Relayed::Opaque) => return Some(Recall::Changed),
            (Act::Bump(_), Relayed::Spliced) => return Some(Recall::Changed),
            _ => {}
        }
        let Relayed::WebSocket(asked) = &self.relayed else {
            return said.otherwise.map(|_| Recall::Denied);
        };
        let remaining = said.remaining?;
        let forgotten = Forgotten::default();
        facts.request = Some(RequestFacts {
            method: &Method::GET,
            path: &asked.path,
            is_tls: asked.scheme == "wss",
            upgrade: Some("websocket"),
            fields: &forgotten,
        });
        let is_denied = is_denied(config, &facts, &remaining);
        // What hangs on a field of its handshake is not known any more.
        (is_denied && !forgotten.0.get()).then_some(Recall::Denied)
    }
}

fn is_denied(config: &Config, facts: &Facts<'_>, remaining: &Remaining) -> bool {
    matches!(config.policy.at_request(facts, remaining), AtAsk::Denied(_))
}

/// The fields of a request that is long past; remembers whether they were asked for.
#[derive(Debug, Default)]
struct Forgotten(Cell<bool>);

impl RequestFields for Forgotten {
    fn any(&self, _name: &HeaderName, _test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.set(true);
        false
    }
}
