use super::*;
use crate::handshake::client::{ClientError, ClientTls};
use crate::handshake::testing::{DEADLINE, ca, client, forge, plain, tcp};
use crate::handshake::{HandshakeOutcome, LeafKey, ListenerTls};
use crate::wire::names::Host;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;

/// An authority of clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A client's certificate with its chain and key.
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    fn sign(&self, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Own {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ada");
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Own {
            chain: vec![leaf],
            key,
        }
    }

    /// A list of what it has revoked, up to the year in which the next one is due.
    fn list(&self, revoked: &[u64], next: i32) -> Crl {
        let revoked = revoked.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(next, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let der = params.signed_by(&self.issuer).unwrap().der().to_vec();
        Crl::all_in("list", der).unwrap().remove(0)
    }

    fn accepts(&self, crls: Vec<Crl>, required: bool) -> ClientAuth {
        let roots = vec![self.root.clone()];
        ClientAuth::new(ClientAuthConfig {
            roots,
            crls,
            required,
        })
        .unwrap()
    }
}

/// What a client has got, and what the listener.
type Shaken = (std::io::Result<()>, Result<ClientTls, ClientError>);

/// Shakes hands twice with the same client, which could resume the second time.
async fn twice(
    asks: &ClientAuth,
    own: Option<&Own>,
    version: &'static SupportedProtocolVersion,
) -> [Shaken; 2] {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let listener = ListenerTls::Forged(Arc::new(forge(&ca)));
    let mut config = client(ca.der(), &[version]);
    if let Some(own) = own {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
        let key = PrivateKeyDer::Pkcs8(own.key.serialize_der().into());
        config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(own.chain.clone(), key)
            .unwrap();
    }
    let config = Arc::new(config);
    let once = async || {
        let (near, far) = tcp().await;
        let name = ServerName::try_from("proxy.example").unwrap();
        let connect = async {
            let mut stream = TlsConnector::from(Arc::clone(&config))
                .connect(name, near)
                .await?;
            // In TLS 1.3 the listener's word on the certificate comes after the handshake.
            let mut end = [0];
            match stream.read(&mut end).await {
                Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
                _ => Ok(()),
            }
        };
        let serve = async {
            let host = Host::Name("proxy.example".to_owned());
            let presented = listener.present(&host, LeafKey::P256).await.unwrap();
            let mut shaken = presented.asking(asks).accept(plain(far), DEADLINE).await;
            if let Ok(tls) = &mut shaken {
                use tokio::io::AsyncWriteExt;
                let _ = tls.stream.shutdown().await;
            }
            shaken
        };
        tokio::join!(connect, serve)
    };
    [once().await, once().await]
}

/// The common name that both handshakes have shown, if they were whole; or what is wrong.
async fn shown(asks: &ClientAuth, own: Option<&Own>) -> Result<Option<CertificateDer<'static>>, String> {
    let mut all = Vec::new();
    for version in [&TLS12, &TLS13] {
        for (client, listener) in twice(asks, own, version).await {
            all.push(match listener {
                Ok(tls) => {
                    client.unwrap();
                    assert_eq!(tls.outcome, HandshakeOutcome::Full, "no session is resumed");
                    Ok(tls.certificates.first().cloned())
                }
                Err(error) => {
                    assert!(client.is_err(), "{error:?}");
                    assert!(error.is_about_certificate, "{error:?}");
                    Err(error.text)
                }
            });
        }
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all.remove(0)
}

#[tokio::test]
async fn a_certificate_of_the_authority_is_shown_and_no_other() {
    let (authority, stranger) = (Authority::new("clients"), Authority::new("clients"));
    let ada = authority.sign(1, |_| {});
    for required in [false, true] {
        let asks = authority.accepts(Vec::new(), required);
        assert_eq!(
            shown(&asks, Some(&ada)).await.unwrap().as_ref(),
            ada.chain.first()
        );
        for wrong in [
            stranger.sign(1, |_| {}),
            authority.sign(1, |params| params.not_after = date_time_ymd(2021, 1, 1)),
            authority.sign(1, |params| params.not_before = date_time_ymd(2090, 1, 1)),
            authority.sign(1, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ] {
            assert!(shown(&asks, Some(&wrong)).await.is_err());
        }
    }
    let none = shown(&authority.accepts(Vec::new(), false), None).await;
    assert_eq!(none, Ok(None));
    let none = shown(&authority.accepts(Vec::new(), true), None).await;
    assert!(none.unwrap_err().contains("peer sent no certificates"));
}

#[tokio::test]
async fn what_is_revoked_or_cannot_be_known_is_not_accepted() {
    let authority = Authority::new("clients");
    let (ada, max) = (authority.sign(1, |_| {}), authority.sign(2, |_| {}));
    let asks = authority.accepts(vec![authority.list(&[2], 2090)], false);
    assert!(shown(&asks, Some(&ada)).await.unwrap().is_some());
    assert!(shown(&asks, Some(&max)).await.unwrap_err().contains("Revoked"));
    // Whether it was revoked since is not known.
    let old = authority.accepts(vec![authority.list(&[], 2021)], false);
    assert!(shown(&old, Some(&ada)).await.is_err());
    let other = Authority::new("others");
    let foreign = authority.accepts(vec![other.list(&[], 2090)], false);
    assert!(
        shown(&foreign, Some(&ada))
            .await
            .unwrap_err()
            .contains("UnknownRevocationStatus")
    );
}

#[tokio::test]
async fn an_authority_below_may_be_revoked_too() {
    let authority = Authority::new("clients");
    let below = |serial| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "below");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from(serial));
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let root = params.signed_by(&key, &authority.issuer).unwrap().der().clone();
        Authority {
            issuer: Issuer::new(params, key),
            root,
        }
    };
    for (serial, holds) in [(7_u64, true), (8, false)] {
        let below = below(serial);
        let mut own = below.sign(1, |_| {});
        own.chain.push(below.root.clone());
        let crls = vec![authority.list(&[8], 2090), below.list(&[], 2090)];
        let asks = authority.accepts(crls, true);
        assert_eq!(shown(&asks, Some(&own)).await.is_ok(), holds, "{serial}");
    }
}
