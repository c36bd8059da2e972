use super::*;
use crate::decide::{Bump, CertError};
use crate::handshake::HandshakeOutcome;
use crate::handshake::origin::{HelloOffer, OriginError, OriginTls, Upstream, UpstreamConfig};
use crate::handshake::testing::{DEADLINE, tcp};
use crate::tls::provider::provider;
use crate::wire::names::Host;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// An authority information access that names this address.
fn access(url: &str) -> CustomExtension {
    const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
    let uri = der::value(0x86, url.as_bytes());
    let place = der::join(der::SEQUENCE, &[&der::value(der::OID, CA_ISSUERS), &uri]);
    let oid = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
    CustomExtension::from_oid_content(oid, der::value(der::SEQUENCE, &place))
}

type Der = CertificateDer<'static>;

/// A root, so many intermediates below it, and a leaf; each says where its issuer's certificate is.
struct Chain {
    root: Der,
    /// From the one below the root down.
    intermediates: Vec<Der>,
    leaf: Der,
    key: KeyPair,
    /// What is to be found where.
    places: HashMap<String, Vec<u8>>,
}

fn chain(length: usize) -> Chain {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (root_params, root_key) = (authority("root"), KeyPair::generate().unwrap());
    let root = root_params.self_signed(&root_key).unwrap().der().clone();
    let mut issuer = Issuer::new(root_params, root_key);
    let mut above = root.clone();
    let (mut places, mut intermediates) = (HashMap::new(), Vec::new());
    let mut url = "http://ca.example/root.cer".to_owned();
    for depth in 0..length {
        let (mut params, key) = (
            authority(&format!("intermediate {depth}")),
            KeyPair::generate().unwrap(),
        );
        params.custom_extensions = vec![access(&url)];
        places.insert(url, above.to_vec());
        above = params.signed_by(&key, &issuer).unwrap().der().clone();
        intermediates.push(above.clone());
        issuer = Issuer::new(params, key);
        url = format!("http://ca.example/{depth}.cer");
    }
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.custom_extensions = vec![access(&url)];
    places.insert(url, above.to_vec());
    let key = KeyPair::generate().unwrap();
    Chain {
        root,
        intermediates,
        leaf: params.signed_by(&key, &issuer).unwrap().der().clone(),
        key,
        places,
    }
}

impl Chain {
    fn upstream(&self) -> Upstream {
        Upstream::new(UpstreamConfig {
            system_roots: false,
            extra_roots: vec![self.root.clone()],
            ..Default::default()
        })
        .unwrap()
    }

    /// A server that sends the leaf and these.
    fn server(&self, sent: &[Der], version: &'static rustls::SupportedProtocolVersion) -> Arc<ServerConfig> {
        let mut all = vec![self.leaf.clone()];
        all.extend(sent.iter().cloned());
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(all, key);
        Arc::new(config.unwrap())
    }
}

/// Serves from memory.
#[derive(Default)]
struct Places {
    files: HashMap<String, Vec<u8>>,
    asked: AtomicUsize,
    told: Mutex<Vec<FetchOutcome>>,
    never: bool,
}

impl Fetcher for Places {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if self.never {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            let nothing = || FetchFailure {
                outcome: FetchOutcome::HttpError,
                text: "the answer was 404 Not Found".to_owned(),
            };
            self.files.get(url).cloned().ok_or_else(nothing)
        })
    }

    fn fetched(&self, outcome: FetchOutcome, _: Duration) {
        self.told.lock().unwrap().push(outcome);
    }
}

impl Places {
    fn of(files: &HashMap<String, Vec<u8>>) -> Self {
        Self {
            files: files.clone(),
            ..Self::default()
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn shake(
    upstream: &Upstream,
    server: &Arc<ServerConfig>,
    name: &str,
    trust: CertError,
    fetcher: Option<&dyn Fetcher>,
    deadline: Duration,
) -> Result<OriginTls, OriginError> {
    let (near, far) = tcp().await;
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::clone(server)).accept(far).await.ok()?;
        let _ = stream.write_all(b"x").await;
        let _ = stream.flush().await;
        // Its end is the other's to choose.
        let _ = stream.read(&mut [0]).await;
        Some(())
    };
    let name = Host::Name(name.to_owned());
    let wanted = HelloOffer {
        name: &name,
        alpn: &[],
        post_quantum: false,
        trust,
        certificate: None,
        deadline,
        fetcher,
    };
    let dial = async {
        let mut origin = upstream.connect(&Bump::for_test(), near, wanted).await?;
        assert_eq!(origin.stream.read_u8().await.unwrap(), b'x');
        origin.stream.farewell();
        Ok(origin)
    };
    tokio::join!(dial, serve).0
}

#[tokio::test]
async fn what_lacks_is_fetched_once_and_remembered() {
    for version in [&TLS12, &TLS13] {
        for length in 1..=3 {
            let chain = chain(length);
            for sent in 0..=length {
                // The intermediates nearest to the leaf are sent.
                let sent: Vec<Der> = chain.intermediates.iter().rev().take(sent).cloned().collect();
                let (upstream, server) = (chain.upstream(), chain.server(&sent, version));
                let places = Places::of(&chain.places);
                let lacking = length - sent.len();
                for round in 0..3 {
                    let shaken = shake(
                        &upstream,
                        &server,
                        "a.example",
                        CertError::Deny,
                        Some(&places),
                        DEADLINE,
                    );
                    let origin = shaken.await.unwrap();
                    assert_eq!(origin.unverified, None);
                    assert_eq!(origin.leaf, chain.leaf);
                    let wanted = match (lacking, round, origin.outcome) {
                        (0, ..) | (.., HandshakeOutcome::Resumed) => None,
                        (_, 0, _) => Some(Completed::Fetched),
                        _ => Some(Completed::Remembered),
                    };
                    assert_eq!(origin.completed, wanted, "{length} {lacking} {round}");
                    assert_eq!(places.asked(), lacking);
                }
                assert!(
                    places
                        .told
                        .lock()
                        .unwrap()
                        .iter()
                        .all(|outcome| *outcome == FetchOutcome::Ok)
                );
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_fetched_where_nobody_wants_it() {
    let chain = chain(1);
    let (upstream, server) = (chain.upstream(), chain.server(&[], &TLS13));
    let shaken = shake(&upstream, &server, "a.example", CertError::Deny, None, DEADLINE).await;
    assert!(
        shaken
            .unwrap_err()
            .text
            .contains("unknown issuer: CN=intermediate 0")
    );
}

#[tokio::test]
async fn those_who_need_the_same_wait_for_one_fetch() {
    let chain = chain(1);
    let (upstream, server) = (chain.upstream(), chain.server(&[], &TLS13));
    let places = Places::of(&chain.places);
    let one = || {
        shake(
            &upstream,
            &server,
            "a.example",
            CertError::Deny,
            Some(&places),
            DEADLINE,
        )
    };
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    let all = [a, b, c, d].map(|shaken| shaken.unwrap().completed.unwrap());
    assert_eq!(places.asked(), 1);
    let fetched = all.iter().filter(|how| **how == Completed::Fetched);
    assert_eq!(fetched.count(), 1);
}

#[tokio::test]
async fn a_chain_that_stays_incomplete_is_refused_and_never_resumed() {
    let chain = chain(2);
    let stranger = self::chain(2);
    for version in [&TLS12, &TLS13] {
        let missing = Places::default();
        let top = "http://ca.example/1.cer".to_owned();
        // Another certificate; what is none; and one that leads nowhere.
        let wrong = Places::of(&HashMap::from([(top.clone(), chain.root.to_vec())]));
        let broken = Places::of(&HashMap::from([(top.clone(), b"<html>".to_vec())]));
        let half = Places::of(&HashMap::from([(top.clone(), chain.places[&top].clone())]));
        // The right names, but of another CA: a hint cannot make it trusted.
        let forged = Places::of(&stranger.places);
        let cases: [(&Places, &str, Option<FetchOutcome>); 5] = [
            (
                &missing,
                "sent with it (http://ca.example/1.cer: the answer was 404 Not Found)",
                Some(FetchOutcome::HttpError),
            ),
            (&wrong, "1.cer has another certificate", Some(FetchOutcome::Ok)),
            (
                &broken,
                "1.cer: what is there is no certificate",
                Some(FetchOutcome::Unusable),
            ),
            (&half, "0.cer: the answer was 404 Not Found", None),
            (&forged, "a signature in the certificate chain is wrong", None),
        ];
        for (places, words, told) in cases {
            let (upstream, server) = (chain.upstream(), chain.server(&[], version));
            let mut asked = None;
            for _ in 0..2 {
                let shaken = shake(
                    &upstream,
                    &server,
                    "a.example",
                    CertError::Deny,
                    Some(places),
                    DEADLINE,
                );
                let error = shaken.await.unwrap_err();
                assert_eq!(error.outcome, HandshakeOutcome::CertificateInvalid, "{error}");
                assert_eq!(error.certificate.as_ref(), Some(&chain.leaf));
                assert!(error.text.contains(words), "{error}");
                // That there is nothing is remembered too.
                assert_eq!(*asked.get_or_insert(places.asked()), places.asked());
            }
            if let Some(told) = told {
                assert_eq!(*places.told.lock().unwrap(), [told]);
            }
            // Where invalid certificates are allowed, the reason stays known.
            for _ in 0..2 {
                let shaken = shake(
                    &upstream,
                    &server,
                    "a.example",
                    CertError::Allow,
                    Some(places),
                    DEADLINE,
                );
                let origin = shaken.await.unwrap();
                assert!(origin.unverified.unwrap().contains(words));
                assert_eq!(origin.completed, None);
            }
            let shaken = shake(
                &upstream,
                &server,
                "a.example",
                CertError::Deny,
                Some(places),
                DEADLINE,
            );
            assert!(shaken.await.is_err());
        }
    }
}

#[tokio::test]
async fn what_else_is_wrong_with_a_completed_chain_is_told() {
    let chain = chain(1);
    let (upstream, server) = (chain.upstream(), chain.server(&[], &TLS13));
    let places = Places::of(&chain.places);
    let error = shake(
        &upstream,
        &server,
        "b.example",
        CertError::Deny,
        Some(&places),
        DEADLINE,
    )
    .await
    .unwrap_err();
    assert!(error.text.contains("the certificate is for a.example"), "{error}");
}

#[tokio::test]
async fn steps_and_time_are_bounded() {
    let long = chain(STEPS + 1);
    let places = Places::of(&long.places);
    let (upstream, server) = (long.upstream(), long.server(&[], &TLS13));
    let error = shake(
        &upstream,
        &server,
        "a.example",
        CertError::Deny,
        Some(&places),
        DEADLINE,
    )
    .await;
    assert!(error.unwrap_err().text.contains("unknown issuer"));
    assert_eq!(places.asked(), STEPS);

    let never = Places {
        never: true,
        ..Places::default()
    };
    let short = Duration::from_secs(2);
    let (upstream, server) = (long.upstream(), long.server(&[], &TLS13));
    let error = shake(
        &upstream,
        &server,
        "a.example",
        CertError::Deny,
        Some(&never),
        short,
    )
    .await;
    let error = error.unwrap_err();
    assert_eq!(
        error.outcome,
        HandshakeOutcome::CertificateInvalid,
        "not a handshake that took too long: {error}"
    );
    assert!(error.text.contains("took too long"), "{error}");
}

#[test]
fn certificates_that_issue_each_other_lead_nowhere() {
    let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let one_issuer = Issuer::new(authority("one"), &one);
    let other_issuer = Issuer::new(authority("other"), &other);
    let by_other = authority("one")
        .signed_by(&one, &other_issuer)
        .unwrap()
        .der()
        .clone();
    let by_one = authority("other")
        .signed_by(&other, &one_issuer)
        .unwrap()
        .der()
        .clone();
    assert_eq!(top_of(&by_other, &[by_one, by_other.clone()]), None);
}
