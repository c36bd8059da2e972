//! What the policy knows of whoever asks.

use super::config::Config;
use crate::accept::Who;
use crate::admit::{Bound, Certified};
use crate::decide::{Facts, Moment, User};
use crate::identity::Identity;
use crate::wire::names::Authority;
use std::net::IpAddr;
use std::sync::Arc;

/// What is known of whoever asks.
#[derive(Debug, Clone)]
pub(super) struct ClientFacts {
    pub(super) who: Who,
    pub(super) listener: Arc<str>,
    /// It speaks something in which it can be asked who it is.
    pub(super) may_be_asked: bool,
    /// Who its connection was proven to be.
    pub(super) bound: Option<Arc<Bound>>,
    /// Who its certificate is of.
    pub(super) certified: Option<Arc<Certified>>,
}

impl ClientFacts {
    /// The same for another client of whoever has connected.
    pub(super) fn of(&self, client: IpAddr) -> Self {
        Self {
            who: Who {
                client,
                ..self.who.clone()
            },
            ..self.clone()
        }
    }

    /// The facts of a tunnel to `target` that it asks for.
    pub(super) fn tunnel<'a>(&'a self, config: &Config, target: &'a Authority) -> Facts<'a> {
        self.facts(config, target, self.who.user.as_deref(), true)
    }

    pub(super) fn facts<'a>(
        &'a self,
        config: &Config,
        target: &'a Authority,
        user: Option<&'a Identity>,
        is_tunnel: bool,
    ) -> Facts<'a> {
        Facts {
            client: self.who.client,
            listener: &self.listener,
            user: match user {
                Some(user) => User::Known(user),
                None if config.admission.is_some() && self.may_be_asked => User::Unasked,
                None => User::Nobody,
            },
            target,
            is_tunnel,
            moment: moment(config),
            hello: None,
            origin: None,
            request: None,
        }
    }
}

/// The time, where a rule asks for it.
fn moment(config: &Config) -> Moment {
    match config.policy.needs_time() {
        true => config.clock.moment(),
        false => Moment {
            weekday: 0,
            minute: 0,
        },
    }
}
