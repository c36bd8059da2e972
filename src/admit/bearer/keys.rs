//! The keys of an issuer: read from a file, or fetched, remembered and fetched again.

use super::config::{FetchedFrom, KeysFrom, KeysUrl};
use super::key_set::{KeySet, MAX_BYTES};
use crate::admit::flights::Flights;
use crate::admit::road::Road;
use crate::admit::watch::{AdmitWatch, Answer};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The metric label and log word.
pub(super) const LABEL: &str = "jwks";

/// Where keys are.
#[derive(Debug)]
pub(super) enum Keys {
    /// In a file: whoever changes it has the configuration loaded again.
    Fixed(Arc<KeySet>),
    /// At an address.
    Fetched(Arc<Fetched>),
}

/// Keys that are fetched.
pub(super) struct Fetched {
    from: Arc<FetchedFrom>,
    known: Mutex<KnownKeys>,
    flights: Arc<Flights<(), Result<Arc<KeySet>, String>>>,
    watch: Arc<dyn AdmitWatch>,
    road: Arc<dyn Road>,
}

/// What is known of them.
#[derive(Debug, Default)]
struct KnownKeys {
    set: Option<(Arc<KeySet>, Instant)>,
    /// When the last fetch ended, and why it has brought nothing.
    last: Option<(Instant, Option<String>)>,
}

impl Keys {
    pub(super) fn new(from: &KeysFrom, watch: &Arc<dyn AdmitWatch>, road: &Arc<dyn Road>) -> Self {
        match from {
            KeysFrom::File(set) => Self::Fixed(Arc::clone(set)),
            KeysFrom::Url(from) => Self::Fetched(Arc::new(Fetched {
                from: Arc::clone(from),
                known: Mutex::default(),
                flights: Arc::default(),
                watch: Arc::clone(watch),
                road: Arc::clone(road),
            })),
        }
    }

    /// The keys, if they are there without waiting for anybody.
    pub(super) fn at_hand(&self) -> Option<Arc<KeySet>> {
        match self {
            Self::Fixed(set) => Some(Arc::clone(set)),
            Self::Fetched(fetched) => fetched.at_hand_and_kept(),
        }
    }

    /// The keys.
    ///
    /// # Errors
    /// There are none that are young enough; in words.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, String> {
        match self {
            Self::Fixed(set) => Ok(Arc::clone(set)),
            Self::Fetched(fetched) => fetched.current().await,
        }
    }

    /// The keys after `before`, in which one is missing that a token is signed with; `None` if it is not to be had.
    ///
    /// # Errors
    /// Nobody can tell whether it is; in words.
    pub(super) async fn after(&self, before: &Arc<KeySet>) -> Result<Option<Arc<KeySet>>, String> {
        match self {
            Self::Fixed(_) => Ok(None),
            Self::Fetched(fetched) => fetched.after(before).await,
        }
    }
}

impl Fetched {
    fn at_hand(&self) -> Option<Arc<KeySet>> {
        let known = self.lock();
        let (set, at) = known.set.as_ref()?;
        (at.elapsed() < self.from.max_age).then(|| Arc::clone(set))
    }

    /// The keys that are there. Old ones are fetched anew beside: nobody waits for what will mostly be the same.
    fn at_hand_and_kept(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        let set = self.at_hand()?;
        if self.is_due() {
            let fetched = Arc::clone(self);
            tokio::spawn(async move { fetched.fetch().await });
        }
        Some(set)
    }

    async fn current(self: &Arc<Self>) -> Result<Arc<KeySet>, String> {
        match (self.at_hand_and_kept(), self.rests()) {
            (Some(set), _) => Ok(set),
            (None, Some(why)) => Err(why),
            (None, None) => self.fetch().await,
        }
    }

    async fn after(self: &Arc<Self>, before: &Arc<KeySet>) -> Result<Option<Arc<KeySet>>, String> {
        if let Some(set) = self.at_hand().filter(|set| !Arc::ptr_eq(set, before)) {
            // Somebody else has had them fetched.
            return Ok(Some(set));
        }
        match (self.may_fetch(), self.rests()) {
            (true, _) => self.fetch().await.map(Some),
            // It is not known whether there is such a key by now.
            (false, Some(why)) => Err(why),
            (false, None) => Ok(None),
        }
    }

    /// Whether enough time has passed since the last fetch.
    fn may_fetch(&self) -> bool {
        let known = self.lock();
        let last = known.last.as_ref();
        last.is_none_or(|(at, _)| at.elapsed() >= self.from.retry_after)
    }

    /// Why the last fetch failed, while none is tried.
    fn rests(&self) -> Option<String> {
        if self.may_fetch() {
            return None;
        }
        let known = self.lock();
        let (_, failed) = known.last.as_ref()?;
        Some(format!("{}, and is not asked again yet", failed.as_ref()?))
    }

    /// Whether the keys are old enough to be fetched again, and nobody is at it.
    fn is_due(&self) -> bool {
        let known = self.lock();
        let old = (known.set.as_ref()).is_none_or(|(_, at)| at.elapsed() >= self.from.refresh);
        drop(known);
        old && self.may_fetch()
    }

    /// Fetches them, or waits with others who do.
    async fn fetch(self: &Arc<Self>) -> Result<Arc<KeySet>, String> {
        let fetcher = Arc::clone(self);
        let fetched = self
            .flights
            .join(&(), || async move { fetcher.fetch_alone().await });
        fetched
            .await
            .unwrap_or_else(|| Err("the question broke off".to_owned()))
    }

    async fn fetch_alone(&self) -> Result<Arc<KeySet>, String> {
        let begun = Instant::now();
        let limit = self.from.timeout;
        let got = tokio::time::timeout(limit, get(&self.from, &*self.road)).await;
        let got = got.unwrap_or_else(|_| Err(format!("no whole answer within {limit:?}")));
        let now = Instant::now();
        let mut known = self.lock();
        let (answer, told) = match got {
            Ok(new) => {
                let same = known.set.as_ref().map(|(set, _)| set).filter(|set| ***set == new);
                let set = same.map_or_else(|| Arc::new(new), Arc::clone);
                known.set = Some((Arc::clone(&set), now));
                known.last = Some((now, None));
                (Answer::Accepted, Ok(set))
            }
            Err(why) => {
                let text = format!("{}: {why}", self.from.url);
                known.last = Some((now, Some(text.clone())));
                (Answer::Unavailable, Err((why, text)))
            }
        };
        drop(known);
        self.watch.asked(LABEL, answer, now - begun);
        told.map_err(|(why, text)| {
            self.watch.server_failed(LABEL, &self.from.url.to_string(), &why);
            text
        })
    }

    fn lock(&self) -> MutexGuard<'_, KnownKeys> {
        // Nothing is left half done in here.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys, from where they are or where their issuer says that they are. No time limit is here.
async fn get(from: &FetchedFrom, road: &dyn Road) -> Result<KeySet, String> {
    let read = |body: &[u8]| KeySet::read(body).map_err(|why| format!("the answer {why}"));
    let body = get_from(from, road, &from.url).await?;
    let Some(issuer) = &from.described else {
        return read(&body);
    };
    let url = described(&body, issuer)?;
    let keys = get_from(from, road, &url).await.and_then(|body| read(&body));
    keys.map_err(|why| format!("{url}: {why}"))
}

/// Where the keys are by an issuer's description of itself (OpenID Connect Discovery 1.0 section 4.2).
fn described(description: &[u8], issuer: &str) -> Result<KeysUrl, String> {
    let read: Result<Value, _> = serde_json::from_slice(description);
    let description = read.map_err(|error| format!("the answer is no description of an issuer: {error}"))?;
    // Whoever can put a description there must not speak for others (section 4.3).
    if description["issuer"] != issuer {
        return Err(format!(
            "the answer describes another issuer: {}",
            description["issuer"]
        ));
    }
    match description["jwks_uri"].as_str() {
        Some(url) => KeysUrl::parse(url).map_err(|why| format!("the issuer's jwks_uri: {why}")),
        None => Err("the answer does not say where the keys are: it has no jwks_uri".to_owned()),
    }
}

/// What is at an address.
async fn get_from(from: &FetchedFrom, road: &dyn Road, url: &KeysUrl) -> Result<Vec<u8>, String> {
    let resource = &url.resource;
    let stream = road.open(&resource.to).await;
    let stream = stream.map_err(|why| format!("cannot connect: {why}"))?;
    let tls = from.tls.connect(stream, &resource.to.host).await;
    let tls = tls.map_err(|error| error.text)?;
    let body = resource.get(tls, MAX_BYTES).await;
    body.map_err(|error| error.to_string())
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("from", &self.from)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}
