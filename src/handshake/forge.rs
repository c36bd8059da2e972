//! Leaves: minted once per origin certificate, however many connections want it at the same time.

use super::LeafKey;
use super::ca::Ca;
use super::der;
use super::key_log::ToCurrent;
use super::mimic::Copied;
use super::mint::{KeyOfLeaf, mint};
use crate::tls::provider::{VERSIONS, provider};
use crate::wire::names::Host;
use quick_cache::sync::Cache;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCertUsingSni, ServerSessionMemoryCache};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How much the forge remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgeConfig {
    /// The most leaves to keep; one takes 2 to 4 KiB. At least one is kept.
    pub entries: usize,
    /// How long a leaf is served before it is minted anew.
    pub lifetime: Duration,
}

impl Default for ForgeConfig {
    fn default() -> Self {
        Self {
            entries: 10_000,
            lifetime: Duration::from_secs(24 * 3600),
        }
    }
}

/// Why there is no leaf.
#[derive(Debug)]
pub enum ForgeError {
    /// The origin's certificate cannot be parsed; [`Mimic::Name`] still gives a leaf.
    Unreadable(String),
    /// The CA has expired, on this date: nobody would take what it signs.
    CaExpired(String),
    /// The leaf could not be made or signed.
    Mint(String),
    /// The TLS library could not be set up.
    Tls(rustls::Error),
}

impl fmt::Display for ForgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(text) => write!(f, "the origin's certificate cannot be mimicked: {text}"),
            Self::CaExpired(date) => {
                write!(
                    f,
                    "the CA that signs leaves expired on {date}: clients need another one"
                )
            }
            Self::Mint(text) => write!(f, "no leaf could be minted: {text}"),
            Self::Tls(error) => write!(f, "TLS for clients could not be set up: {error}"),
        }
    }
}

impl std::error::Error for ForgeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Unreadable(_) | Self::CaExpired(_) | Self::Mint(_) => None,
        }
    }
}

/// What a leaf looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mimic {
    /// This certificate, which the origin showed.
    Certificate(CertificateDer<'static>),
    /// A name, where there is no certificate to mimic: error pages.
    Name(Host),
}

type Key = ([u8; 32], LeafKey);

impl Mimic {
    fn key(&self, key: LeafKey) -> Key {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        match self {
            Self::Certificate(der) => {
                context.update(b"certificate:");
                context.update(der);
            }
            Self::Name(host) => {
                context.update(b"name:");
                context.update(host.to_string().as_bytes());
            }
        }
        let mut id = [0; 32];
        // SHA-256 is 32 bytes long: the zip is total.
        id.iter_mut()
            .zip(context.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        (id, key)
    }

    fn read(&self) -> Result<Copied, ForgeError> {
        match self {
            Self::Certificate(der) => Copied::from_certificate(der).map_err(ForgeError::Unreadable),
            Self::Name(host) => Ok(Copied::from_host(host, der::now())),
        }
    }
}

/// A leaf, and whether this call made it.
#[derive(Debug, Clone)]
pub struct LeafGiven {
    /// The certificate with its key, as the client will see it.
    pub leaf: Arc<Leaf>,
    /// How long minting took, if this call minted; `None` if the leaf came from the cache or from another call.
    pub minted: Option<Duration>,
}

/// Mints leaves and keeps them.
#[derive(Debug)]
pub struct Forge {
    ca: Arc<Ca>,
    lifetime: Duration,
    cache: Cache<Key, Arc<Leaf>>,
    template: Arc<ServerConfig>,
}

/// Shared by every forge of the process, since making one takes 100 ms.
static RSA_KEY: OnceCell<KeyOfLeaf> = OnceCell::const_new();

/// Sessions of TLS 1.2 clients that do not take tickets; the others carry their own state.
const SESSION_IDS: usize = 1024;

/// TLS with clients, but for the certificate and the protocols. They are asked for certificates where there is somebody
/// who verifies them.
pub(super) fn server_template(
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS)?;
    let mut template = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    template.ignore_client_order = true;
    // The record layer after the handshake is the proxy's own.
    template.enable_secret_extraction = true;
    template.key_log = Arc::new(ToCurrent);
    template.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    template.session_storage = ServerSessionMemoryCache::new(SESSION_IDS);
    Ok(template)
}

impl Forge {
    /// A forge whose leaves `ca` signs.
    ///
    /// # Errors
    /// [`ForgeError::Tls`] if the cryptographic library has no randomness for the ticket key.
    pub fn new(ca: Arc<Ca>, config: ForgeConfig) -> Result<Self, ForgeError> {
        Ok(Self {
            ca,
            lifetime: config.lifetime,
            cache: Cache::new(config.entries.max(1)),
            template: Arc::new(server_template(None).map_err(ForgeError::Tls)?),
        })
    }

    /// The authority that signs.
    pub fn ca(&self) -> &Arc<Ca> {
        &self.ca
    }

    /// How many leaves are kept.
    pub fn kept(&self) -> usize {
        self.cache.len()
    }

    /// The leaf for `mimic`: from the cache, from a call that is minting it just now, or minted. An error is
    /// not remembered; the next caller that waited tries again.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub async fn leaf(&self, mimic: &Mimic, key: LeafKey) -> Result<LeafGiven, ForgeError> {
        let id = mimic.key(key);
        loop {
            match self.cache.get_value_or_guard_async(&id).await {
                Ok(leaf) if Instant::now() < leaf.stale_from => {
                    return Ok(LeafGiven { leaf, minted: None });
                }
                Ok(stale) => {
                    // Another caller may have put a fresh one there meanwhile: leave that.
                    self.cache.remove_if(&id, |kept| Arc::ptr_eq(kept, &stale));
                }
                Err(guard) => {
                    let began = Instant::now();
                    let leaf = Arc::new(self.mint(mimic, key).await?);
                    // Fails only if the cache was cleared meanwhile; the leaf is good all the same.
                    let _ = guard.insert(Arc::clone(&leaf));
                    return Ok(LeafGiven {
                        leaf,
                        minted: Some(began.elapsed()),
                    });
                }
            }
        }
    }

    async fn mint(&self, mimic: &Mimic, kind: LeafKey) -> Result<Leaf, ForgeError> {
        if self.ca.not_after < der::now() {
            return Err(ForgeError::CaExpired(der::date(self.ca.not_after)));
        }
        let copied = mimic.read()?.cut(der::now());
        let key = match kind {
            LeafKey::P256 => KeyOfLeaf::make(kind).map_err(ForgeError::Mint)?,
            LeafKey::Rsa2048 => RSA_KEY
                .get_or_try_init(|| off_the_reactor(move || KeyOfLeaf::make(kind)))
                .await?
                .clone(),
        };
        let not_after = copied.not_after.min(self.ca.not_after);
        let (der, key) = if self.ca.signs_slowly() {
            let ca = Arc::clone(&self.ca);
            off_the_reactor(move || mint(&ca, &copied, &key).map(|der| (der, key))).await?
        } else {
            (mint(&self.ca, &copied, &key).map_err(ForgeError::Mint)?, key)
        };
        Ok(self.finish(der, key, not_after))
    }

    fn finish(&self, der: CertificateDer<'static>, key: KeyOfLeaf, not_after: i64) -> Leaf {
        // One that mimics an expired certificate is as good as it will ever be: it stays for the lifetime.
        let left = u64::try_from(not_after - der::now())
            .ok()
            .map(Duration::from_secs);
        let lifetime = left.map_or(self.lifetime, |left| left.min(self.lifetime));
        let now = Instant::now();
        let mut chain = vec![der];
        chain.extend(self.ca.sent.iter().cloned());
        Leaf {
            kind: key.kind,
            certified: Arc::new(CertifiedKey::new(chain, key.signs)),
            // A lifetime beyond the clock's range never ends; a day is as good.
            stale_from: now
                .checked_add(lifetime)
                .unwrap_or(now + Duration::from_secs(86_400)),
            template: Arc::clone(&self.template),
            configs: Mutex::default(),
        }
    }
}

async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, ForgeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(ForgeError::Mint),
        Err(error) => Err(ForgeError::Mint(error.to_string())),
    }
}

/// A minted certificate with its key and the chain that is sent along.
pub struct Leaf {
    kind: LeafKey,
    certified: Arc<CertifiedKey>,
    stale_from: Instant,
    template: Arc<ServerConfig>,
    configs: Mutex<Vec<Arc<ServerConfig>>>,
}

/// What the proxy speaks with its own clients, most wanted first.
pub(super) const LISTENER_ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The ALPN that an origin can choose is one of ours, so the answers are few.
const CONFIGS_KEPT: usize = 4;

impl Leaf {
    /// The leaf itself.
    pub fn der(&self) -> &[u8] {
        self.chain().first().map_or(&[], |leaf| leaf.as_ref())
    }

    /// The leaf and what is sent after it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// Which kind of key it has.
    pub fn key(&self) -> LeafKey {
        self.kind
    }

    /// The TLS settings that present this leaf with this ALPN, or with none; made once for each ALPN. A client
    /// that offers ALPN without this protocol is refused (RFC 7301 section 3.2).
    pub fn server_config(&self, alpn: Option<&[u8]>) -> Arc<ServerConfig> {
        self.config(alpn.as_slice())
    }

    /// The TLS settings for a client of the proxy itself, who chooses HTTP/2 or HTTP/1.1.
    pub(super) fn listener_config(&self) -> Arc<ServerConfig> {
        self.config(&LISTENER_ALPN)
    }

    fn config(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.iter().find(|config| config.alpn_protocols == alpn) {
            return Arc::clone(config);
        }
        let mut config = ServerConfig::clone(&self.template);
        config.cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)));
        config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
        let config = Arc::new(config);
        if configs.len() < CONFIGS_KEPT {
            configs.push(Arc::clone(&config));
        }
        config
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
