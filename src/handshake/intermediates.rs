//! Intermediates that an origin did not send: fetched from where the certificate says, as browsers do.
//!
//! What is found is a hint and nothing more: the chain that it completes is verified like any other, against the same
//! roots. An address is asked once for all who need it at the same time, and what came of it is remembered.

use super::aia::{Issuing, certificates};
use super::der;
use super::judge::{Judge, Revocation};
use quick_cache::sync::Cache;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Addresses that are remembered. Each has at most four certificates of at most 16 KiB.
const REMEMBERED: usize = 500;
/// How long what was found is good.
const GOOD: Duration = Duration::from_secs(24 * 3600);
/// How long an address that had nothing is left alone.
const BAD: Duration = Duration::from_secs(60);
/// How many certificates may be missing between what was sent and a root.
const STEPS: usize = 4;

/// How a fetch ended; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FetchOutcome {
    /// Something came that is a certificate.
    Ok,
    /// The address is none that may be asked.
    Forbidden,
    /// Nobody answers there.
    Unreachable,
    /// The answer did not come in time.
    Timeout,
    /// The answer has another status than 200, or is not HTTP.
    HttpError,
    /// The answer is too large.
    TooLarge,
    /// What came is not what was looked for.
    Unusable,
}

impl FetchOutcome {
    /// Every outcome, for metrics that start at zero.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Forbidden,
        Self::Unreachable,
        Self::Timeout,
        Self::HttpError,
        Self::TooLarge,
        Self::Unusable,
    ];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Forbidden => "forbidden",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::HttpError => "http_error",
            Self::TooLarge => "too_large",
            Self::Unusable => "unusable",
        }
    }
}

/// A fetch that brought nothing: its kind, and what happened in words.
#[derive(Debug, Clone)]
pub struct FetchFailure {
    /// The kind.
    pub outcome: FetchOutcome,
    /// For people.
    pub text: String,
}

/// What is on its way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchFailure>> + Send + 'a>>;

/// Fetches by plain HTTP, under the rules that hold for whatever clients ask for.
pub trait Fetcher: Send + Sync {
    /// What is at `url`, bounded in size and time.
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a>;
    /// A fetch has ended.
    fn fetched(&self, outcome: FetchOutcome, took: Duration);
}

/// Where the intermediates came from that made a chain whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// They were remembered.
    Remembered,
    /// At least one was fetched for this handshake.
    Fetched,
}

impl Completed {
    /// The log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Remembered => "remembered",
            Self::Fetched => "fetched",
        }
    }
}

/// What an origin sent of itself.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) leaf: CertificateDer<'static>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) ocsp: Vec<u8>,
}

impl Sent {
    /// Whether it says where what lacks can be had.
    pub(super) fn says_where(&self) -> bool {
        top_of(&self.leaf, &self.intermediates).is_some_and(|top| !top.urls.is_empty())
    }
}

/// A chain that could not be made one that verifies.
#[derive(Debug)]
pub(super) struct StillInvalid {
    /// Why the last attempt does not verify.
    pub(super) error: CertificateError,
    /// What could not be fetched, and why.
    pub(super) missing: Option<String>,
}

#[derive(Debug)]
struct Found {
    certificates: Vec<CertificateDer<'static>>,
    failure: Option<String>,
    stale_from: Instant,
}

/// What is known of addresses.
pub(super) struct Intermediates {
    known: Cache<String, Arc<Found>>,
}

impl fmt::Debug for Intermediates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intermediates")
            .field("known", &self.known.len())
            .finish()
    }
}

impl Default for Intermediates {
    fn default() -> Self {
        Self {
            known: Cache::new(REMEMBERED),
        }
    }
}

impl Intermediates {
    /// Looks for what is missing between `sent` and a root until the chain verifies.
    ///
    /// # Errors
    /// It does not, with everything that could be found.
    pub(super) async fn complete(
        &self,
        judge: &Judge,
        sent: &Sent,
        name: &ServerName<'_>,
        fetcher: &dyn Fetcher,
    ) -> Result<(Completed, Option<Revocation>), StillInvalid> {
        let mut chain = sent.intermediates.clone();
        let mut completed = Completed::Remembered;
        let mut missing = None;
        for _ in 0..STEPS {
            let Some(top) = top_of(&sent.leaf, &chain) else {
                break;
            };
            let had = chain.len();
            for url in &top.urls {
                let (found, fetched) = self.at(url, fetcher).await;
                if fetched {
                    completed = Completed::Fetched;
                }
                let fits = |der: &&CertificateDer<'static>| {
                    Issuing::of(der).is_some_and(|found| found.subject == top.issuer)
                };
                chain.extend(found.certificates.iter().filter(fits).cloned());
                if chain.len() > had {
                    break;
                }
                missing = Some(match &found.failure {
                    Some(failure) => failure.clone(),
                    None => format!("{} has another certificate", der::clean(url)),
                });
            }
            if chain.len() == had {
                break;
            }
            match judge.verify(&sent.leaf, &chain, name, &sent.ocsp, UnixTime::now()) {
                Ok(known) => return Ok((completed, known)),
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => missing = None,
                Err(Error::InvalidCertificate(error)) => return Err(StillInvalid { error, missing: None }),
                Err(_) => break,
            }
        }
        Err(StillInvalid {
            error: CertificateError::UnknownIssuer,
            missing,
        })
    }

    /// What is at an address, and whether it was asked just now.
    async fn at(&self, url: &str, fetcher: &dyn Fetcher) -> (Arc<Found>, bool) {
        loop {
            match self.known.get_value_or_guard_async(url).await {
                Ok(found) if Instant::now() < found.stale_from => return (found, false),
                Ok(stale) => {
                    // Another caller may have put a fresh one there meanwhile: leave that.
                    self.known.remove_if(url, |kept| Arc::ptr_eq(kept, &stale));
                }
                Err(guard) => {
                    let found = Arc::new(ask(url, fetcher).await);
                    // Fails only if the cache was cleared meanwhile.
                    let _ = guard.insert(Arc::clone(&found));
                    return (found, true);
                }
            }
        }
    }
}

async fn ask(url: &str, fetcher: &dyn Fetcher) -> Found {
    let begun = Instant::now();
    let fetched = fetcher.fetch(url).await.and_then(|body| {
        let certificates = certificates(&body);
        let unusable = || FetchFailure {
            outcome: FetchOutcome::Unusable,
            text: "what is there is no certificate".to_owned(),
        };
        (!certificates.is_empty())
            .then_some(certificates)
            .ok_or_else(unusable)
    });
    let took = begun.elapsed();
    match fetched {
        Ok(certificates) => {
            fetcher.fetched(FetchOutcome::Ok, took);
            Found {
                certificates,
                failure: None,
                stale_from: begun + GOOD,
            }
        }
        Err(failure) => {
            fetcher.fetched(failure.outcome, took);
            Found {
                certificates: Vec::new(),
                failure: Some(format!("{}: {}", der::clean(url), der::clean(&failure.text))),
                stale_from: Instant::now() + BAD,
            }
        }
    }
}

/// The last certificate on the way up from the leaf, if it names an issuer that is not among the others.
fn top_of(leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Option<Issuing> {
    let all: Vec<Issuing> = chain.iter().filter_map(|der| Issuing::of(der)).collect();
    let mut top = Issuing::of(leaf)?;
    // No way up is longer than all certificates together; a circle of them ends here too.
    for _ in 0..=all.len() {
        if top.issuer == top.subject {
            return None;
        }
        match all.iter().find(|above| above.subject == top.issuer) {
            Some(above) => {
                top = Issuing {
                    issuer: above.issuer.clone(),
                    subject: above.subject.clone(),
                    urls: above.urls.clone(),
                }
            }
            None => return Some(top),
        }
    }
    None
}

#[cfg(test)]
mod tests;
