//! The sessions of origins that are remembered: only those whose certificate has been judged.

use super::notes::noted;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// Leaves out what comes before a verdict that follows the handshake: who resumes a session verifies nothing.
#[derive(Debug)]
pub(super) struct JudgedSessions {
    sessions: Arc<ClientSessionMemoryCache>,
    /// Which group an origin took. Settings that offer others first have others.
    hints: ClientSessionMemoryCache,
    origins: usize,
}

impl JudgedSessions {
    /// Remembers this many origins.
    pub(super) fn new(origins: usize) -> Self {
        Self {
            sessions: Arc::new(ClientSessionMemoryCache::new(origins)),
            hints: ClientSessionMemoryCache::new(origins),
            origins,
        }
    }

    /// The same sessions for settings with other groups.
    pub(super) fn for_other_groups(&self) -> Self {
        Self {
            sessions: Arc::clone(&self.sessions),
            hints: ClientSessionMemoryCache::new(self.origins),
            origins: self.origins,
        }
    }
}

fn is_judged() -> bool {
    noted(|notes| notes.incomplete.is_some()) != Some(true)
}

impl ClientSessionStore for JudgedSessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.hints.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.hints.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        if is_judged() {
            self.sessions.set_tls12_session(name, session);
        }
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.sessions.tls12_session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.sessions.remove_tls12_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        if is_judged() {
            self.sessions.insert_tls13_ticket(name, ticket);
        }
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.sessions.take_tls13_ticket(name)
    }
}
