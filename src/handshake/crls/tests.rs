use super::*;
use crate::handshake::der;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

type Ca = Issuer<'static, KeyPair>;

/// A CA of this name, with its certificate: signed by another one, or by itself.
fn ca(name: &str, by: Option<&Ca>) -> (Ca, CertificateDer<'static>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    let certificate = certificate.unwrap().der().clone();
    (Issuer::new(params, key), certificate)
}

/// A list of an issuer, made so many days ago and good for so many from now.
fn list(ca: &Ca, ago: i64, good: i64, scope: Option<&str>) -> Vec<u8> {
    let now = OffsetDateTime::from_unix_timestamp(der::now()).unwrap();
    let days = |days: i64| time::Duration::days(days);
    let params = CertificateRevocationListParams {
        this_update: now - days(ago),
        next_update: now + days(good),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: scope.map(|url| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint {
                uris: vec![url.to_owned()],
            },
            scope: None,
        }),
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(ca).unwrap().der().to_vec()
}

fn knowing(root: &CertificateDer<'static>) -> Issuers {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    Issuers::new(Arc::new(roots))
}

fn shelf(directory: Option<&Path>, before: Option<&CrlShelf>) -> CrlShelf {
    let config = FetchedCrls {
        urls: vec!["http://ca.example/a.crl".to_owned()],
        refresh: Duration::from_secs(60),
        directory: directory.map(Path::to_owned),
    };
    CrlShelf::open(config, before)
}

fn refused(shelf: &CrlShelf, body: Vec<u8>, issuers: &Issuers, words: &str) {
    let error = shelf.take(0, body, issuers).unwrap_err();
    assert!(error.contains(words), "{error}");
}

#[test]
fn an_issuer_is_learned_from_chains_that_verify_and_from_no_others() {
    let (root, root_cert) = ca("root", None);
    let (issuer, issuer_cert) = ca("issuer", Some(&root));
    // Of the same name, with keys of somebody else: alone, and under another root.
    let (stranger, stranger_cert) = ca("issuer", None);
    let (other, _) = ca("root", None);
    let (_, under_other) = ca("issuer", Some(&other));
    let issuers = knowing(&root_cert);
    let shelf = shelf(None, None);
    let learned = issuers.learned();

    // Nobody knows who may sign it: there is nothing better, so it is kept.
    assert_eq!(
        shelf.take(0, list(&stranger, 0, 9, None), &issuers),
        Ok(Taken::New)
    );
    assert!(!shelf.is_proven(0));
    issuers.learn(&[stranger_cert, under_other]);
    assert!(!shelf.prove(0, &issuers) && !shelf.is_proven(0));

    // Once the true key is known, the forged list goes and no other one is taken.
    let mut learned = std::pin::pin!(learned);
    let mut woken = || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        learned.as_mut().poll(&mut context).is_ready()
    };
    assert!(!woken());
    issuers.learn(&[issuer_cert]);
    assert!(woken());
    assert!(shelf.prove(0, &issuers));
    assert_eq!(shelf.next_updates()[0].1, None);
    refused(&shelf, list(&stranger, 0, 9, None), &issuers, "has not signed");
    assert_eq!(shelf.take(0, list(&issuer, 0, 9, None), &issuers), Ok(Taken::New));
    assert!(shelf.is_proven(0));
}

#[test]
fn a_list_gives_way_to_a_newer_one_about_the_same() {
    let (root, root_cert) = ca("root", None);
    let (second, second_cert) = ca("second", Some(&root));
    let issuers = knowing(&root_cert);
    let shelf = shelf(None, None);
    let (old, new) = (list(&root, 5, 9, None), list(&root, 1, 9, None));
    for (body, taken) in [(&old, Taken::New), (&old, Taken::Same), (&new, Taken::New)] {
        assert_eq!(shelf.take(0, body.clone(), &issuers), Ok(taken));
    }
    refused(&shelf, old, &issuers, "older");
    refused(
        &shelf,
        list(&root, 0, 9, Some("http://a.example")),
        &issuers,
        "other certificates",
    );
    // Somebody else's list, as good as it may be.
    let _ = issuers.standing(&Crl::all_in("", list(&second, 0, 9, None)).unwrap()[0]);
    issuers.learn(&[second_cert]);
    refused(&shelf, list(&second, 0, 9, None), &issuers, "of another issuer");
    // An issuer's successor is taken once the list is out of date.
    let late = self::shelf(None, None);
    assert_eq!(late.take(0, list(&root, 9, -1, None), &issuers), Ok(Taken::New));
    assert_eq!(late.take(0, list(&second, 0, 9, None), &issuers), Ok(Taken::New));
}

#[test]
fn lists_outlive_restarts_with_whoever_signed_them() {
    let (root, root_cert) = ca("root", None);
    let (issuer, issuer_cert) = ca("issuer", Some(&root));
    let (stranger, _) = ca("issuer", None);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("crls");
    let issuers = knowing(&root_cert);
    let first = shelf(Some(&directory), None);
    first.take(0, list(&issuer, 1, 9, None), &issuers).unwrap();
    issuers.learn(&[issuer_cert]);
    assert!(first.prove(0, &issuers));

    // A process that has seen no chain yet.
    let issuers = knowing(&root_cert);
    let second = shelf(Some(&directory), None);
    assert_eq!(second.next_updates(), first.next_updates());
    assert!(second.is_proven(0));
    second.prove(0, &issuers);
    refused(&second, list(&stranger, 0, 9, None), &issuers, "has not signed");

    // A reload needs no directory; what is no list in one is not used.
    let reloaded = shelf(None, Some(&second));
    assert!(reloaded.is_proven(0));
    for file in std::fs::read_dir(&directory).unwrap() {
        std::fs::write(file.unwrap().path(), "0").unwrap();
    }
    assert_eq!(shelf(Some(&directory), None).next_updates()[0].1, None);
}

#[test]
fn what_is_known_to_be_its_issuers_comes_first() {
    let (root, root_cert) = ca("root", None);
    let (stranger, _) = ca("stranger", None);
    let issuers = knowing(&root_cert);
    let file = Crl::all_in("file", list(&root, 3, 9, None)).unwrap();
    let shelf = shelf(None, None);
    shelf.take(0, list(&stranger, 0, 9, None), &issuers).unwrap();
    let sources = |shelf: &CrlShelf| -> Vec<String> {
        let lists = shelf.in_order(&file);
        lists.iter().map(|crl| crl.source().to_owned()).collect()
    };
    let url = "http://ca.example/a.crl";
    assert_eq!(sources(&shelf), ["file", url]);
    shelf.take(0, list(&root, 1, 9, None), &issuers).unwrap();
    assert_eq!(sources(&shelf), [url, "file"]);
}

#[test]
fn nothing_is_made_of_what_is_cut_off() {
    let (root, _) = ca("root", None);
    let whole = list(&root, 1, 9, Some("http://a.example"));
    assert!(Crl::all_in("", whole.clone()).is_ok());
    for end in 0..whole.len() {
        assert!(Crl::all_in("", whole[..end].to_vec()).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x81;
        let _ = Crl::all_in("", changed);
    }
}
