//! Who has signed a list that came over the network.
//!
//! A list is signed, and is therefore published by plain HTTP. Whoever can answer in its publisher's place could not make
//! one that counts, but one that takes the place of the one that counts. So a list whose issuer's key is known has to be
//! signed by it. Roots are known; intermediates are from chains that origins have sent, once a known key has signed them.

use super::crl::Crl;
use crate::handshake::der;
use crate::handshake::public_key::{Proof, PublicKey};
use crate::handshake::signed::Signed;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Keys of intermediates that are remembered.
const KEYS: usize = 500;

/// What is to be said of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// This key, the content of a SubjectPublicKeyInfo, is its issuer's and has signed it.
    Signed(Vec<u8>),
    /// Its issuer's key is known, and has not signed it.
    Forged,
    /// Its issuer's key is not known yet, or is of a kind that nothing here can compute with.
    Untold,
}

/// The keys of those who sign lists.
#[derive(Debug)]
pub(in crate::handshake) struct Issuers {
    roots: Arc<RootCertStore>,
    known: Mutex<Known>,
    is_wanting: AtomicBool,
    learned: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Names, whole, with contents of SubjectPublicKeyInfo.
    keys: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of issuers of whom a key is looked for.
    wanted: BTreeSet<Vec<u8>>,
}

impl Issuers {
    /// Knows the roots.
    pub(in crate::handshake) fn new(roots: Arc<RootCertStore>) -> Self {
        Self {
            roots,
            known: Mutex::default(),
            is_wanting: AtomicBool::new(false),
            learned: Notify::new(),
        }
    }

    /// Looks at the intermediates of a chain that has verified, if a key is looked for: sent with a leaf, they may still
    /// have nothing to do with it.
    pub(in crate::handshake) fn learn(&self, chain: &[CertificateDer<'_>]) {
        if !self.is_wanting.load(Ordering::Relaxed) {
            return;
        }
        let mut known = self.known();
        // From the top, so that each is there when what it has signed is looked at.
        for sent in chain.iter().rev() {
            let Ok((_, x509)) = X509Certificate::from_der(sent) else {
                continue;
            };
            let (name, key) = (x509.subject().as_raw(), PublicKey::info_of(sent));
            let (Some(key), true, Some(signed)) = (key, x509.is_ca(), Signed::read(sent)) else {
                continue;
            };
            let is_new = !known
                .keys
                .iter()
                .any(|known| (&*known.0, &*known.1) == (name, key));
            let issuer = x509.issuer().as_raw();
            if is_new && known.keys.len() < KEYS && self.keys_of(&known, issuer).any(|by| signed.is_by(by)) {
                known.keys.push((name.to_vec(), key.to_vec()));
                if known.wanted.remove(name) {
                    self.learned.notify_waiters();
                }
            }
        }
        self.is_wanting.store(!known.wanted.is_empty(), Ordering::Relaxed);
    }

    /// Knows a key that proved a list before.
    pub(super) fn recall(&self, name: &[u8], key: &[u8]) {
        let mut known = self.known();
        let pair = (name.to_vec(), key.to_vec());
        if !self.keys_of(&known, name).any(|known| known == key) {
            known.keys.push(pair);
        }
    }

    /// Resolves when a key was learned that had been looked for.
    pub(in crate::handshake) fn learned(&self) -> Notified<'_> {
        self.learned.notified()
    }

    /// What is known of who signed `crl`. A key is looked for where none fits.
    pub(super) fn standing(&self, crl: &Crl) -> Standing {
        let Some(signed) = Signed::read(crl.der()) else {
            return Standing::Forged;
        };
        let mut known = self.known();
        let mut standing = Standing::Untold;
        for key in self.keys_of(&known, crl.issuer()) {
            match signed.proof(key) {
                Proof::Valid => return Standing::Signed(key.to_vec()),
                Proof::Invalid => standing = Standing::Forged,
                Proof::Unknown => {}
            }
        }
        known.wanted.insert(crl.issuer().to_vec());
        self.is_wanting.store(true, Ordering::Relaxed);
        standing
    }

    fn keys_of<'a>(&'a self, known: &'a Known, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let content = der::expect(name, der::SEQUENCE).map(|(name, _)| name.content);
        let roots = self.roots.roots.iter();
        roots
            .filter(move |root| Some(&*root.subject) == content)
            .map(|root| &*root.subject_public_key_info)
            .chain(
                known
                    .keys
                    .iter()
                    .filter(move |known| known.0 == name)
                    .map(|known| &*known.1),
            )
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
