//! The origin's handshake: it comes first, so that the client is offered what the origin accepted.

use super::HandshakeOutcome;
mod error;
pub(super) use error::failure;
pub use error::{OriginError, late_failure};

use super::crls::{Crl, CrlShelf, Issuers, Taken};
use super::intermediates::{Completed, Fetcher, Intermediates, Sent, StillInvalid};
use super::judge::{Judge, Revocation, RevocationMode, told};
use super::notes::{HandshakeNotes, watch_with};
use super::own_certificate::OwnCertificate;
use super::reasons::{describe, short_key};
use super::shown::showing;
use super::trust::Trust;
use crate::accept::{Prefixed, Socket};
use crate::decide::{Bump, CertError};
use crate::tls::TlsStream;
use crate::tls::driver::{self, Handshake};
use crate::wire::names::Host;
use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::futures::Notified;

/// Which roots origins are verified against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Those of the operating system.
    pub system_roots: bool,
    /// Roots of the operator's, beside those.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// What is made of revocation.
    pub revocation: RevocationMode,
    /// Certificate revocation lists in files.
    pub crls: Vec<Crl>,
}

/// Why servers cannot be verified at all.
#[derive(Debug)]
pub enum UpstreamError {
    /// There is not one usable root; the texts say what became of the operating system's.
    NoRoots(Vec<String>),
    /// One of the extra roots, counted from 0, is not a usable certificate.
    BadRoot(usize, rustls::Error),
    /// The TLS library could not be set up.
    Tls(String),
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots(texts) if texts.is_empty() => {
                f.write_str("there are no root certificates to verify servers with")
            }
            Self::NoRoots(texts) => {
                write!(
                    f,
                    "there are no root certificates to verify servers with: {}",
                    texts.join("; ")
                )
            }
            Self::BadRoot(index, error) => write!(f, "extra root {index} cannot be used: {error}"),
            Self::Tls(text) => write!(f, "TLS to servers could not be set up: {text}"),
        }
    }
}

impl std::error::Error for UpstreamError {}

/// The roots, and what became of the system's that could not be used.
pub(super) fn root_store(config: UpstreamConfig) -> Result<(RootCertStore, Vec<String>), UpstreamError> {
    let mut roots = RootCertStore::empty();
    let mut warnings = Vec::new();
    if config.system_roots {
        let system = rustls_native_certs::load_native_certs();
        warnings.extend(system.errors.iter().map(ToString::to_string));
        let (_, ignored) = roots.add_parsable_certificates(system.certs);
        if ignored > 0 {
            warnings.push(format!(
                "{ignored} of the system's root certificates cannot be parsed"
            ));
        }
    }
    for (index, root) in config.extra_roots.into_iter().enumerate() {
        roots
            .add(root)
            .map_err(|error| UpstreamError::BadRoot(index, error))?;
    }
    if roots.is_empty() {
        return Err(UpstreamError::NoRoots(warnings));
    }
    Ok((roots, warnings))
}

/// Shakes hands with origins.
#[derive(Debug)]
pub struct Upstream {
    /// Of the lists that are known now.
    trust: ArcSwap<Trust>,
    /// The lists that `trust` was made of.
    listed: Mutex<Vec<Crl>>,
    files: Vec<Crl>,
    revocation: RevocationMode,
    roots: Arc<RootCertStore>,
    issuers: Arc<Issuers>,
    intermediates: Intermediates,
    warnings: Vec<String>,
}

/// Whom to shake hands with, and how.
#[derive(Clone, Copy)]
pub struct HelloOffer<'a> {
    /// The name, or the address, that the certificate is verified for. A name is the SNI (RFC 6066 section 3).
    pub name: &'a Host,
    /// What is offered by ALPN; nothing for none.
    pub alpn: &'a [Vec<u8>],
    /// Whether a hybrid post-quantum key exchange is offered first (X25519MLKEM768): a client that does so itself is
    /// not to lose it. Else it is offered last.
    pub post_quantum: bool,
    /// What a failed verification leads to.
    pub trust: CertError,
    /// What the origin is shown if it asks who the client is.
    pub certificate: Option<&'a OwnCertificate>,
    /// For all of it.
    pub deadline: Duration,
    /// Gets intermediates that the origin does not send; without it they are not looked for.
    pub fetcher: Option<&'a dyn Fetcher>,
}

/// An origin that has proved who it is, unless `unverified` says why not.
#[derive(Debug)]
pub struct OriginTls {
    /// The origin's end, decrypted.
    pub stream: TlsStream,
    /// The certificate to mimic.
    pub leaf: CertificateDer<'static>,
    /// The protocol that the origin chose.
    pub alpn: Option<Vec<u8>>,
    /// [`HandshakeOutcome::Full`] or [`HandshakeOutcome::Resumed`].
    pub outcome: HandshakeOutcome,
    /// Why the certificate does not verify, where a list allows that.
    pub unverified: Option<String>,
    /// Whether intermediates were missing, and where they came from.
    pub completed: Option<Completed>,
    /// What is known of the certificate's revocation; `None` where nobody asked.
    pub revocation: Option<Revocation>,
    /// Whether the origin asked for a client certificate. It got none, and in TLS 1.3 says only on a later
    /// read whether it minds: see [`late_failure`].
    pub client_certificate_asked: bool,
}

impl Upstream {
    /// Reads the roots; blocks on the file system.
    ///
    /// # Errors
    /// See [`UpstreamError`]. Single roots of the operating system that cannot be read are only
    /// [warnings](Self::warnings).
    pub fn new(config: UpstreamConfig) -> Result<Self, UpstreamError> {
        let (revocation, files) = (config.revocation, config.crls.clone());
        let (roots, warnings) = root_store(config)?;
        let roots = Arc::new(roots);
        let issuers = Arc::new(Issuers::new(Arc::clone(&roots)));
        let trust = Trust::new(&roots, &issuers, revocation, &files).map_err(UpstreamError::Tls)?;
        Ok(Self {
            trust: ArcSwap::from_pointee(trust),
            listed: Mutex::new(files.clone()),
            files,
            revocation,
            roots,
            issuers,
            intermediates: Intermediates::default(),
            warnings,
        })
    }

    /// Uses the lists of `shelf` beside those in files. What has changed ends all sessions. It takes a while for large
    /// lists, and blocks.
    ///
    /// # Errors
    /// See [`UpstreamError`]; then the lists from before stay in use.
    pub fn use_crls(&self, shelf: &CrlShelf) -> Result<(), UpstreamError> {
        for at in 0..shelf.config().urls.len() {
            shelf.prove(at, &self.issuers);
        }
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let crls = shelf.in_order(&self.files);
        if *listed != crls {
            let trust =
                Trust::new(&self.roots, &self.issuers, self.revocation, &crls).map_err(UpstreamError::Tls)?;
            self.trust.store(Arc::new(trust));
            *listed = crls;
        }
        Ok(())
    }

    /// Takes the list that was fetched from the address `at` into `shelf`, and uses it. Blocks, as
    /// [`use_crls`](Self::use_crls) does.
    ///
    /// # Errors
    /// Why it is not taken, in words that follow the address.
    pub fn take_crl(&self, shelf: &CrlShelf, at: usize, body: Vec<u8>) -> Result<Taken, String> {
        let taken = shelf.take(at, body, &self.issuers)?;
        self.use_crls(shelf).map_err(|error| error.to_string())?;
        Ok(taken)
    }

    /// Resolves when it has become known who may sign a list of which that was not known.
    pub fn learned_issuer(&self) -> Notified<'_> {
        self.issuers.learned()
    }

    /// The source and the nextUpdate of each list in a file, in seconds since 1970.
    pub fn next_updates(&self) -> impl Iterator<Item = (&str, i64)> {
        self.files.iter().map(|crl| (crl.source(), crl.next_update()))
    }

    /// Those whom origins are verified by.
    pub(super) fn trusted(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    /// How many roots are trusted.
    pub fn roots(&self) -> usize {
        self.roots.len()
    }

    /// What became of system roots that could not be used.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Shakes hands as a client, and verifies whom with.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub async fn connect(
        &self,
        _: &Bump,
        leg: impl Into<Prefixed<Socket>>,
        wanted: HelloOffer<'_>,
    ) -> Result<OriginTls, OriginError> {
        let HelloOffer { name, deadline, .. } = wanted;
        let server_name = server_name(name)?;
        let trust = self.trust.load_full();
        let configs = match wanted.trust {
            CertError::Deny => &trust.strict,
            CertError::Allow => &trust.tolerant,
        };
        let config = configs.fitting(wanted.alpn, wanted.post_quantum);
        let config = match wanted.certificate {
            Some(certificate) => showing(&config, certificate),
            None => config,
        };
        let connect = driver::connect(config, server_name.clone(), leg);
        let notes = HandshakeNotes {
            may_complete: wanted.fetcher.is_some(),
            ..HandshakeNotes::default()
        };
        let shaking = async {
            let (shaken, notes) = watch_with(notes, connect).await;
            match shaken {
                Ok(shaken) => {
                    self.finish(&trust.judge, shaken, &server_name, wanted, notes)
                        .await
                }
                Err(error) => Err(failure(&error, name, notes)),
            }
        };
        match tokio::time::timeout(deadline, shaking).await {
            Ok(done) => done,
            Err(_) => Err(OriginError::new(
                HandshakeOutcome::Timeout,
                format!("{name} did not finish the TLS handshake within {deadline:?}"),
            )),
        }
    }

    async fn finish(
        &self,
        judge: &Judge,
        Handshake {
            mut stream,
            negotiated,
        }: Handshake,
        name: &ServerName<'static>,
        wanted: HelloOffer<'_>,
        notes: HandshakeNotes,
    ) -> Result<OriginTls, OriginError> {
        let Some((leaf, intermediates)) = negotiated.certificates.split_first() else {
            let text = format!("{} showed no certificate", name.to_str());
            return Err(OriginError::new(HandshakeOutcome::Failed, text));
        };
        let resumed = negotiated.resumed;
        let mut unverified = notes.rejected.map(|(_, text)| text);
        let mut incomplete = notes.incomplete;
        if resumed && wanted.trust == CertError::Allow {
            // A resumed handshake does not ask the verifier, and the reason must not get lost.
            let now = UnixTime::now();
            match judge.verify_again(leaf, intermediates, name, now) {
                Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
                    if wanted.fetcher.is_some() =>
                {
                    incomplete = Some(Sent {
                        leaf: leaf.clone(),
                        intermediates: intermediates.to_vec(),
                        ocsp: Vec::new(),
                    });
                }
                Err(rustls::Error::InvalidCertificate(error)) => {
                    unverified = Some(describe(&error, leaf, name));
                }
                _ => unverified = short_key(leaf),
            }
        }
        let mut completed = None;
        let mut revocation = notes.revocation;
        if let (Some(sent), Some(fetcher)) = (incomplete, wanted.fetcher) {
            match self.complete(judge, &sent, name, fetcher, wanted.deadline).await {
                Ok((how, known)) => (completed, revocation) = (Some(how), known),
                Err((text, known))
                    if wanted.trust == CertError::Allow && known != Some(Revocation::Revoked) =>
                {
                    unverified = Some(text);
                }
                Err((text, known)) => {
                    let text = format!("{}: {text}", wanted.name);
                    let mut error = OriginError::new(HandshakeOutcome::CertificateInvalid, text);
                    error.certificate = Some(sent.leaf);
                    error.revocation = known;
                    stream.farewell();
                    return Err(error);
                }
            }
        }
        Ok(OriginTls {
            leaf: leaf.clone(),
            alpn: negotiated.alpn,
            outcome: if resumed {
                HandshakeOutcome::Resumed
            } else {
                HandshakeOutcome::Full
            },
            unverified,
            completed,
            revocation,
            client_certificate_asked: notes.client_certificate_asked,
            stream,
        })
    }

    /// Looks for the intermediates that `sent` lacks, for half of the handshake's time at most: who asked is to hear
    /// what is wrong with the certificate, and not that time was up.
    async fn complete(
        &self,
        judge: &Judge,
        sent: &Sent,
        name: &ServerName<'_>,
        fetcher: &dyn Fetcher,
        deadline: Duration,
    ) -> Result<(Completed, Option<Revocation>), (String, Option<Revocation>)> {
        let complete = self.intermediates.complete(judge, sent, name, fetcher);
        let invalid = match tokio::time::timeout(deadline / 2, complete).await {
            Ok(Ok(completed)) => return Ok(completed),
            Ok(Err(invalid)) => invalid,
            Err(_) => StillInvalid {
                error: CertificateError::UnknownIssuer,
                missing: Some("fetching the missing one took too long".to_owned()),
            },
        };
        let text = describe(&invalid.error, &sent.leaf, name);
        let text = match invalid.missing {
            Some(missing) => format!("{text} ({missing})"),
            None => text,
        };
        Err((text, told(&Err(invalid.error.into()))))
    }
}

/// What the certificate is to be for.
pub(super) fn server_name(name: &Host) -> Result<ServerName<'static>, OriginError> {
    Ok(match name {
        Host::Ip(ip) => ServerName::from(*ip),
        Host::Name(text) => ServerName::try_from(text.clone()).map_err(|_| {
            OriginError::new(
                HandshakeOutcome::Failed,
                format!("{text} is not a name that TLS can verify"),
            )
        })?,
    })
}

#[cfg(test)]
mod tests;
