//! Who is believed as an origin, and the TLS settings that go with it.

use super::crls::{Crl, Issuers};
use super::judge::{Judge, RevocationMode};
use super::key_log::ToCurrent;
use super::notes::note;
use super::sessions::JudgedSessions;
use super::verify::OriginVerifier;
use crate::tls::provider::{VERSIONS, post_quantum_first, provider};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Who is believed, and the sessions of whom was believed: those do not outlive a new list.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) strict: Configs,
    pub(super) tolerant: Configs,
    pub(super) judge: Arc<Judge>,
}

impl Trust {
    /// The text of an error says what is wrong.
    pub(super) fn new(
        roots: &Arc<RootCertStore>,
        issuers: &Arc<Issuers>,
        revocation: RevocationMode,
        crls: &[Crl],
    ) -> Result<Self, String> {
        let judge = Judge::new(Arc::clone(roots), Arc::clone(issuers), revocation, crls);
        let judge = Arc::new(judge?);
        Ok(Self {
            strict: Configs::new(OriginVerifier::strict(Arc::clone(&judge)))?,
            tolerant: Configs::new(OriginVerifier::tolerant(Arc::clone(&judge)))?,
            judge,
        })
    }
}

/// One verifier's settings. Sessions are resumed only under the verifier that saw them made, whatever groups.
#[derive(Debug)]
pub(super) struct Configs {
    usual: Alpns,
    post_quantum: Alpns,
}

/// The settings for each ALPN that is common.
#[derive(Debug)]
struct Alpns {
    plain: Arc<ClientConfig>,
    http11: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// Origins whose sessions are remembered.
const SESSIONS: usize = 2_000;
const HTTP2: &[u8] = b"h2";
const HTTP11: &[u8] = b"http/1.1";

impl Configs {
    fn new(verifier: OriginVerifier) -> Result<Self, String> {
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(verifier);
        let resolver: Arc<dyn ResolvesClientCert> = Arc::new(NoClientCertificate);
        let sessions = JudgedSessions::new(SESSIONS);
        let alpns = |provider| {
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(VERSIONS)
                .map_err(|error| error.to_string())?
                .dangerous() // the verifier is WebPKI's with notes; the tolerant one needs an operator's list
                .with_custom_certificate_verifier(Arc::clone(&verifier))
                .with_client_cert_resolver(Arc::clone(&resolver));
            // The record layer after the handshake is the proxy's own.
            config.enable_secret_extraction = true;
            config.key_log = Arc::new(ToCurrent);
            config.resumption = Resumption::store(Arc::new(sessions.for_other_groups()));
            Ok::<_, String>(Alpns::new(config))
        };
        Ok(Self {
            usual: alpns(provider())?,
            post_quantum: alpns(post_quantum_first())?,
        })
    }

    /// The settings that offer this by ALPN, and a hybrid post-quantum key exchange first or last.
    pub(super) fn fitting(&self, alpn: &[Vec<u8>], post_quantum: bool) -> Arc<ClientConfig> {
        let alpns = match post_quantum {
            true => &self.post_quantum,
            false => &self.usual,
        };
        alpns.with_alpn(alpn)
    }
}

impl Alpns {
    fn new(mut config: ClientConfig) -> Self {
        let plain = Arc::new(config.clone());
        config.alpn_protocols = vec![HTTP11.to_vec()];
        let http11 = Arc::new(config.clone());
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP11.to_vec()];
        Self {
            plain,
            http11,
            http2: Arc::new(config),
        }
    }

    fn with_alpn(&self, alpn: &[Vec<u8>]) -> Arc<ClientConfig> {
        match alpn {
            [] => Arc::clone(&self.plain),
            [only] if only == HTTP11 => Arc::clone(&self.http11),
            [first, second] if first == HTTP2 && second == HTTP11 => Arc::clone(&self.http2),
            _ => {
                let mut config = ClientConfig::clone(&self.plain);
                config.alpn_protocols = alpn.to_vec();
                Arc::new(config)
            }
        }
    }
}

/// Notes that the origin asked, and has nothing to give.
#[derive(Debug)]
struct NoClientCertificate;

impl ResolvesClientCert for NoClientCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        note(|notes| notes.client_certificate_asked = true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
