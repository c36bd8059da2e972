//! Users of a file, as Apache's `htpasswd` writes it.

mod apr1;
mod hash;
mod table;

pub use table::{HtpasswdTable, Wrong};

use super::login::{Login, Unavailable, Verified};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many passwords are hashed at once: hashing takes a processor, and argon2 much memory too.
const MOST_AT_ONCE: usize = 4;

/// Users of a file that is in memory.
#[derive(Debug)]
pub(crate) struct Htpasswd {
    table: Arc<HtpasswdTable>,
    at_once: Arc<Semaphore>,
}

impl Htpasswd {
    pub(super) fn new(table: Arc<HtpasswdTable>) -> Self {
        // The rest is for those who are let through.
        let half = std::thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2));
        Self {
            table,
            at_once: Arc::new(Semaphore::new(half.min(MOST_AT_ONCE))),
        }
    }

    /// Off the event loop: a password that is hashed as it should be takes tens of milliseconds.
    pub(super) async fn verify(
        &self,
        login: &Login,
        password: &[u8],
    ) -> Result<Option<Verified>, Unavailable> {
        let unavailable = |text: &str| Unavailable {
            text: text.to_owned(),
        };
        let permit = Arc::clone(&self.at_once).acquire_owned().await;
        let permit = permit.map_err(|_| unavailable("no password is hashed any more"))?;
        let (table, name) = (Arc::clone(&self.table), login.canonical.clone());
        let password = zeroize::Zeroizing::new(password.to_vec());
        let verified = tokio::task::spawn_blocking(move || {
            let verified = table.verify(&name, &password);
            drop(permit);
            verified
        });
        verified
            .await
            .map_err(|_| unavailable("hashing a password broke off"))
    }

    pub(super) fn version(&self, login: &Login) -> u64 {
        self.table.version(&login.canonical)
    }
}
