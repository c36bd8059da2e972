use super::*;
use crate::handshake::testing::{Identity, ca, forge};
use x509_parser::prelude::FromDer;

fn name(name: &str) -> Mimic {
    Mimic::Name(Host::Name(name.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_callers_at_once_mint_one_leaf() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
        let forge = Arc::new(forge(&ca(algorithm)));
        let barrier = Arc::new(tokio::sync::Barrier::new(100));
        let callers: Vec<_> = (0..100)
            .map(|_| {
                let (forge, barrier) = (Arc::clone(&forge), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    forge.leaf(&name("a.example"), LeafKey::P256).await.unwrap()
                })
            })
            .collect();
        let mut given = Vec::new();
        for caller in callers {
            given.push(caller.await.unwrap());
        }
        assert_eq!(given.iter().filter(|given| given.minted.is_some()).count(), 1);
        assert!(given.iter().all(|other| Arc::ptr_eq(&other.leaf, &given[0].leaf)));
        assert_eq!(forge.kept(), 1);
    }
}

#[tokio::test]
async fn names_certificates_and_kinds_of_key_have_leaves_of_their_own() {
    let forge = forge(&ca(&rcgen::PKCS_ECDSA_P256_SHA256));
    let one = Mimic::Certificate(Identity::new(&["a.example"]).cert);
    let two = Mimic::Certificate(Identity::new(&["a.example"]).cert);
    let mut leaves = Vec::new();
    for mimic in [&one, &two, &name("a.example"), &name("b.example")] {
        for key in [LeafKey::P256, LeafKey::Rsa2048] {
            let given = forge.leaf(mimic, key).await.unwrap();
            assert!(given.minted.is_some());
            assert_eq!(given.leaf.key(), key);
            assert!(forge.leaf(mimic, key).await.unwrap().minted.is_none());
            leaves.push(given.leaf);
        }
    }
    assert_eq!(forge.kept(), 8);
    let spki = |leaf: &Leaf| {
        let (_, x509) = x509_parser::certificate::X509Certificate::from_der(leaf.der()).unwrap();
        x509.public_key().subject_public_key.data.to_vec()
    };
    let ca_key = {
        let (_, x509) = x509_parser::certificate::X509Certificate::from_der(forge.ca().der()).unwrap();
        x509.public_key().subject_public_key.data.to_vec()
    };
    let keys: Vec<_> = leaves.iter().map(|leaf| spki(leaf)).collect();
    for (index, key) in keys.iter().enumerate() {
        assert_ne!(*key, ca_key);
        let same = keys.iter().filter(|other| *other == key).count();
        // Every P-256 leaf has a fresh key, every RSA leaf the process's one.
        assert_eq!(same, if index % 2 == 0 { 1 } else { 4 });
    }
}

#[tokio::test]
async fn the_cache_is_bounded() {
    let forge = forge(&ca(&rcgen::PKCS_ECDSA_P256_SHA256));
    for index in 0..500 {
        forge
            .leaf(&name(&format!("h{index}.example")), LeafKey::P256)
            .await
            .unwrap();
    }
    assert!((50..=100).contains(&forge.kept()), "{}", forge.kept());
}

#[tokio::test]
async fn leaves_do_not_outstay_their_lifetime_or_their_end() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let forge = Forge::new(
        Arc::clone(&ca),
        ForgeConfig {
            entries: 10,
            lifetime: Duration::ZERO,
        },
    )
    .unwrap();
    for _ in 0..3 {
        assert!(
            forge
                .leaf(&name("a.example"), LeafKey::P256)
                .await
                .unwrap()
                .minted
                .is_some()
        );
    }
    // Callers that waited for a leaf that is stale at once make their own, and none waits forever.
    let (mimic, key) = (name("b.example"), LeafKey::P256);
    let all = tokio::join!(
        forge.leaf(&mimic, key),
        forge.leaf(&mimic, key),
        forge.leaf(&mimic, key)
    );
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok());

    let forge = self::forge(&ca);
    let left = |not_after| {
        let key = KeyOfLeaf::make(LeafKey::P256).unwrap();
        let leaf = forge.finish(Vec::new().into(), key, not_after);
        leaf.stale_from
            .saturating_duration_since(Instant::now())
            .as_secs()
    };
    assert!((50..=60).contains(&left(der::now() + 60)), "its own end");
    assert!((3590..=3600).contains(&left(der::now() + 86_400)), "the lifetime");
    assert!(
        (3590..=3600).contains(&left(0)),
        "one that mimics an expired certificate"
    );
}

#[tokio::test]
async fn an_error_is_not_remembered_and_wakes_those_who_wait() {
    let forge = forge(&ca(&rcgen::PKCS_ECDSA_P256_SHA256));
    let garbage = Mimic::Certificate(b"garbage".to_vec().into());
    let waits = (0..10).map(|_| forge.leaf(&garbage, LeafKey::P256));
    for wait in waits {
        let error = wait.await.unwrap_err();
        assert!(matches!(&error, ForgeError::Unreadable(_)), "{error}");
    }
    let (one, two) = tokio::join!(
        forge.leaf(&garbage, LeafKey::Rsa2048),
        forge.leaf(&garbage, LeafKey::Rsa2048)
    );
    assert!(one.is_err() && two.is_err());
    assert_eq!(forge.kept(), 0);
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_block_the_next() {
    let forge = forge(&ca(&rcgen::PKCS_RSA_SHA256));
    for number in 0..1000 {
        let host = format!("a{number}.example");
        let mimic = name(&host);
        let gave_up = {
            let mut first = std::pin::pin!(forge.leaf(&mimic, LeafKey::P256));
            // Polled once: it holds the placeholder and waits for the signature on another thread, unless that thread
            // was faster than this one.
            std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending())).await
        };
        if gave_up {
            let next = forge.leaf(&name(&host), LeafKey::P256).await.unwrap();
            assert!(next.minted.is_some());
            return;
        }
    }
    panic!("every RSA signature was made inline");
}

#[tokio::test]
async fn settings_are_made_once_for_each_alpn() {
    let forge = forge(&ca(&rcgen::PKCS_ECDSA_P256_SHA256));
    let leaf = forge.leaf(&name("a.example"), LeafKey::P256).await.unwrap().leaf;
    let none = leaf.server_config(None);
    let http = leaf.server_config(Some(b"http/1.1"));
    assert!(Arc::ptr_eq(&none, &leaf.server_config(None)));
    assert!(Arc::ptr_eq(&http, &leaf.server_config(Some(b"http/1.1"))));
    assert!(none.alpn_protocols.is_empty());
    assert_eq!(http.alpn_protocols, [b"http/1.1"]);
    for index in 0..20 {
        leaf.server_config(Some(format!("x{index}").as_bytes()));
    }
    assert_eq!(leaf.configs.lock().unwrap().len(), CONFIGS_KEPT);
}

/// It was good when the process started.
#[tokio::test]
async fn a_ca_that_has_expired_meanwhile_signs_nothing() {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    let file = std::path::Path::new("ca.pem");
    let key = key.serialize_pem();
    let then = 981_000_000;
    let ca = Ca::build((file, cert.as_bytes()), (file, key.as_bytes()), then).unwrap();
    assert!(
        ca.warnings()[0].contains("expires on 2001-02-03"),
        "{:?}",
        ca.warnings()
    );
    let forge = forge(&Arc::new(ca));
    let error = forge.leaf(&name("a.example"), LeafKey::P256).await.unwrap_err();
    assert!(matches!(error, ForgeError::CaExpired(_)), "{error}");
    assert!(error.to_string().contains("expired on 2001-02-03"), "{error}");
}
