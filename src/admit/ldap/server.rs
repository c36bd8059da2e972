//! One server of a directory: its idle connections, and whether it is left alone.

use super::config::LdapConfig;
use super::connection::Connection;
use super::url::LdapUrl;
use crate::breaker::{Breaker, Health, Permit, Thresholds};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What connections are for. One that a user was bound on is never searched on by another, so they are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To bind users on: each use begins with a bind.
    Users,
    /// To search, as the service account or as nobody.
    Searches,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: LdapUrl,
    users: Mutex<Vec<Connection>>,
    searches: Mutex<Vec<Connection>>,
    capacity: usize,
    breaker: Mutex<Breaker>,
    /// Why it failed last, for those that are refused because it rests.
    last: Mutex<String>,
}

impl Server {
    pub(super) fn new(url: LdapUrl, config: &LdapConfig) -> Self {
        Self {
            url,
            users: Mutex::default(),
            searches: Mutex::default(),
            capacity: config.connections,
            // Another server answers in its place, so one failure is enough.
            breaker: Mutex::new(Breaker::new(Thresholds {
                failures: 1,
                rest: config.rest,
            })),
            last: Mutex::default(),
        }
    }

    /// The idle connection that was used last, if there is one.
    pub(super) fn take(&self, purpose: Purpose) -> Option<Connection> {
        let mut idle = lock(self.idle(purpose));
        while let Some(connection) = idle.pop() {
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection on which nothing is under way.
    pub(super) fn give_back(&self, purpose: Purpose, connection: Connection) {
        let mut idle = lock(self.idle(purpose));
        idle.retain(Connection::is_open);
        if idle.len() < self.capacity {
            idle.push(connection);
        }
    }

    fn idle(&self, purpose: Purpose) -> &Mutex<Vec<Connection>> {
        match purpose {
            Purpose::Users => &self.users,
            Purpose::Searches => &self.searches,
        }
    }

    /// Lets a question begin, or says why not.
    pub(super) fn admit(&self) -> Result<Trial<'_>, String> {
        let admitted = lock(&self.breaker).admit(now());
        match admitted {
            Ok(permit) => Ok(Trial {
                server: self,
                permit,
                health: Health::Unknown,
            }),
            Err(left) => Err(self.rests(left)),
        }
    }

    fn rests(&self, left: Duration) -> String {
        let last = lock(&self.last);
        if left.is_zero() {
            format!("resting after a failure, and being tried now; the failure: {last}")
        } else {
            format!("resting after a failure, for another {left:.1?}; the failure: {last}")
        }
    }
}

/// One question to a server; the breaker is told how it went, also when it is given up.
pub(super) struct Trial<'a> {
    server: &'a Server,
    permit: Permit,
    health: Health,
}

impl Trial<'_> {
    /// The server has answered.
    pub(super) fn answered(mut self) {
        self.health = Health::Well;
    }

    /// The server has not, and is left alone for a while.
    pub(super) fn failed(mut self, why: &str) {
        why.clone_into(&mut lock(&self.server.last));
        self.health = Health::Failing;
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        lock(&self.server.breaker).ended(self.permit, self.health, now());
    }
}

/// The event loop's time, which tests can move.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Nothing is left half done under these locks.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
