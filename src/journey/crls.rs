//! Keeps the certificate revocation lists fresh that are at addresses.

use super::config::Config;
use super::fetch::{Bounds, Fetch};
use super::proxy::Proxy;
use crate::handshake::{CrlShelf, FetchFailure, FetchOutcome, Taken};
use crate::report::Event;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The largest list, and how long it may take. Those of large authorities have some megabytes.
const BOUNDS: Bounds = Bounds {
    bytes: 32 * 1024 * 1024,
    time: Duration::from_secs(60),
};
/// How many are fetched at once: each may take as much memory as it may have bytes, and more.
const AT_ONCE: usize = 2;
/// How soon one that is out of date, or nearly, is asked for again.
const SOON: Duration = Duration::from_secs(5 * 60);
/// How soon a fetch is tried again that failed; twice as long each time, up to [`LATE`].
const AGAIN: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(10 * 60);

/// Fetches what the configuration names, as often as it says, for as long as this is polled.
pub async fn keep_crls(proxy: Arc<Proxy>) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut adopted = proxy.adopted.subscribe();
    loop {
        let config = proxy.config.load_full();
        tell(&proxy, &config);
        // Those of a configuration that is gone end here.
        let mut keepers = JoinSet::new();
        for at in 0..config.crls.config().urls.len() {
            let keeper = Keeper {
                proxy: Arc::clone(&proxy),
                shelf: Arc::clone(&config.crls),
                at,
            };
            keepers.spawn(keeper.run(Arc::clone(&turns)));
        }
        loop {
            if adopted.changed().await.is_err() {
                return;
            }
            let new = proxy.config.load();
            if !(Arc::ptr_eq(&new.crls, &config.crls) && Arc::ptr_eq(&new.upstream, &config.upstream)) {
                break;
            }
        }
    }
}

/// States which lists are in use.
fn tell(proxy: &Proxy, config: &Config) {
    let mut lists = config.crls.next_updates();
    for (file, next_update) in config.upstream.next_updates() {
        match lists.iter_mut().find(|(source, _)| source == file) {
            // The first of a file's lists that is out of date tells.
            Some((_, known)) => *known = Some(known.map_or(next_update, |known| known.min(next_update))),
            None => lists.push((file.to_owned(), Some(next_update))),
        }
    }
    proxy.report.state(&Event::CrlsInUse(&lists));
}

/// Keeps one list.
struct Keeper {
    proxy: Arc<Proxy>,
    shelf: Arc<CrlShelf>,
    at: usize,
}

impl Keeper {
    async fn run(self, turns: Arc<Semaphore>) {
        let refresh = self.shelf.config().refresh;
        let mut again = AGAIN;
        loop {
            let config = self.proxy.config.load_full();
            let learned = config.upstream.learned_issuer();
            tokio::pin!(learned);
            let turn = turns.acquire().await;
            let begun = Instant::now();
            let fetched = self.fetch(&config).await;
            drop(turn);
            let outcome = fetched
                .as_ref()
                .map_or_else(|failure| failure.outcome, |_| FetchOutcome::Ok);
            self.proxy
                .report
                .state(&Event::CrlFetched(outcome, begun.elapsed()));
            let wait = match fetched {
                Ok(taken) => {
                    if taken == Taken::New {
                        tracing::info!("the CRL of {} is new", self.url());
                    }
                    again = AGAIN;
                    self.until_due()
                }
                Err(failure) => {
                    let kept = match self.next_update() {
                        Some(_) => "the one that is kept stays in use",
                        None => "there is none yet",
                    };
                    tracing::warn!("no CRL of {}: {}; {kept}", self.url(), failure.text);
                    let wait = again;
                    again = (again * 2).min(LATE);
                    wait
                }
            };
            tell(&self.proxy, &config);
            let wait = tokio::time::sleep(wait.min(refresh));
            tokio::select! {
                () = wait => {}
                // Whoever may sign it is known now: the list may prove to be forged.
                () = learned, if !self.shelf.is_proven(self.at) => {}
            }
        }
    }

    async fn fetch(&self, config: &Arc<Config>) -> Result<Taken, FetchFailure> {
        let fetched = Fetch::bounded(&self.proxy, config, BOUNDS).get(self.url()).await;
        let (shelf, upstream, at) = (Arc::clone(&self.shelf), Arc::clone(&config.upstream), self.at);
        let unusable = |text| FetchFailure {
            outcome: FetchOutcome::Unusable,
            text,
        };
        let take = move || match fetched {
            Ok(body) => upstream.take_crl(&shelf, at, body).map_err(unusable),
            Err(failure) => {
                // Who may sign the one that is kept may have become known.
                let used = upstream.use_crls(&shelf);
                used.map_err(|error| unusable(error.to_string()))?;
                Err(failure)
            }
        };
        let taken = tokio::task::spawn_blocking(take).await;
        taken.unwrap_or_else(|error| Err(unusable(error.to_string())))
    }

    /// How long the list may be left alone: half of the time that it is good for.
    fn until_due(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let next = u64::try_from(self.next_update().unwrap_or(0)).unwrap_or(0);
        let good = Duration::from_secs(next).saturating_sub(now);
        (good / 2).max(SOON)
    }

    fn next_update(&self) -> Option<i64> {
        let lists = self.shelf.next_updates();
        lists.get(self.at).and_then(|(_, next_update)| *next_update)
    }

    fn url(&self) -> &str {
        &self.shelf.config().urls[self.at]
    }
}
