//! The lists that are fetched from addresses, as they are kept: in memory, and in the data directory over restarts.

use super::crl::Crl;
use super::issuers::{Issuers, Standing};
use crate::handshake::der;
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Which lists are fetched, and where they are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchedCrls {
    /// Their addresses.
    pub urls: Vec<String>,
    /// How often each is asked for at least.
    pub refresh: Duration,
    /// The directory; `None` to keep them in memory alone.
    pub directory: Option<PathBuf>,
}

/// What became of a list that was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the one that was there.
    Same,
    /// It takes the place of what was there.
    New,
}

/// The lists. What replaces one is no older than it and is about the same certificates, as long as that one is in date
/// and known to be its issuer's: so whoever answers in a publisher's place cannot take a list away.
#[derive(Debug)]
pub struct CrlShelf {
    config: FetchedCrls,
    /// One for each address, in their order.
    kept: Mutex<Vec<Option<Kept>>>,
}

#[derive(Debug, Clone)]
struct Kept {
    crl: Crl,
    /// The key that is known to be its issuer's and has signed it: the content of a SubjectPublicKeyInfo.
    key: Option<Vec<u8>>,
}

impl CrlShelf {
    /// With what `before` has of the same addresses, and what the directory has; blocks on the file system.
    pub fn open(config: FetchedCrls, before: Option<&Self>) -> Self {
        let kept = config.urls.iter().map(|url| {
            let known = before.and_then(|before| {
                let at = before.config.urls.iter().position(|known| known == url)?;
                before.kept()[at].clone()
            });
            known.or_else(|| stored(config.directory.as_deref()?, url))
        });
        Self {
            kept: Mutex::new(kept.collect()),
            config,
        }
    }

    /// Which lists are fetched.
    pub fn config(&self) -> &FetchedCrls {
        &self.config
    }

    /// The lists that can be used: first those that are known to be their issuers', the newest first, since the first that is
    /// about a certificate counts.
    pub(in crate::handshake) fn in_order(&self, files: &[Crl]) -> Vec<Crl> {
        let (mut known, mut untold) = (files.to_vec(), Vec::new());
        for kept in self.kept().iter().flatten() {
            match kept.key {
                Some(_) => known.push(kept.crl.clone()),
                None => untold.push(kept.crl.clone()),
            }
        }
        known.sort_by_key(|crl| std::cmp::Reverse(crl.this_update()));
        known.append(&mut untold);
        known
    }

    /// Each address, and the nextUpdate of its list if there is one, in seconds since 1970.
    pub fn next_updates(&self) -> Vec<(String, Option<i64>)> {
        let kept = self.kept();
        let urls = self.config.urls.iter().zip(&*kept);
        urls.map(|(url, kept)| (url.clone(), kept.as_ref().map(|kept| kept.crl.next_update())))
            .collect()
    }

    /// Whether the list of this address is known to be its issuer's.
    pub fn is_proven(&self, at: usize) -> bool {
        self.kept()[at].as_ref().is_some_and(|kept| kept.key.is_some())
    }

    /// Looks again who signed the list of this address. One that its issuer has not signed is dropped. Says whether
    /// anything has changed; blocks on the file system.
    pub(in crate::handshake) fn prove(&self, at: usize, issuers: &Issuers) -> bool {
        let mut all = self.kept();
        let Some(kept) = &mut all[at] else { return false };
        if let Some(key) = &kept.key {
            issuers.recall(kept.crl.issuer(), key);
            return false;
        }
        match issuers.standing(&kept.crl) {
            Standing::Untold => return false,
            Standing::Signed(key) => kept.key = Some(key),
            Standing::Forged => all[at] = None,
        }
        self.store(at, all[at].as_ref());
        true
    }

    /// Takes what was fetched from this address; blocks on the file system.
    ///
    /// # Errors
    /// Why it is not taken, in words that follow the address.
    pub(in crate::handshake) fn take(
        &self,
        at: usize,
        body: Vec<u8>,
        issuers: &Issuers,
    ) -> Result<Taken, String> {
        let mut found = Crl::all_in(&self.config.urls[at], body)?;
        let (Some(crl), true) = (found.pop(), found.is_empty()) else {
            return Err("has several CRLs; each needs an address of its own".to_owned());
        };
        let key = match issuers.standing(&crl) {
            Standing::Signed(key) => Some(key),
            Standing::Untold => None,
            Standing::Forged => return Err("has a CRL that its issuer has not signed".to_owned()),
        };
        let mut all = self.kept();
        if let Some(kept) = &all[at] {
            if kept.crl == crl && kept.key == key {
                return Ok(Taken::Same);
            }
            let counts = kept.key.is_some() && der::now() <= kept.crl.next_update();
            if counts && !crl.is_about_the_same(&kept.crl) {
                return Err("has a CRL of another issuer, or about other certificates, than the one that is kept, which is not out of date".to_owned());
            }
            if kept.key.is_some() && crl.is_about_the_same(&kept.crl) {
                if crl.this_update() < kept.crl.this_update() {
                    return Err("has a CRL that is older than the one that is kept".to_owned());
                }
                if key.is_none() {
                    return Err(
                        "has a CRL of which nobody knows who signed it, other than the one that is kept"
                            .to_owned(),
                    );
                }
            }
        }
        all[at] = Some(Kept { crl, key });
        self.store(at, all[at].as_ref());
        Ok(Taken::New)
    }

    /// Puts a list into the directory. It can be used all the same if that fails.
    fn store(&self, at: usize, kept: Option<&Kept>) {
        let Some(directory) = &self.config.directory else {
            return;
        };
        let [list, key] = files(directory, &self.config.urls[at]);
        let done = match kept {
            Some(kept) => fs::create_dir_all(directory)
                // First the key: alone, it does no harm.
                .and_then(|()| match &kept.key {
                    Some(bytes) => replace(&key, bytes),
                    None => remove(&key),
                })
                .and_then(|()| replace(&list, kept.crl.der())),
            None => remove(&list).and_then(|()| remove(&key)),
        };
        if let Err(error) = done {
            tracing::warn!(
                "the CRL of {} cannot be kept in {}: {error}",
                self.config.urls[at],
                directory.display()
            );
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Option<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list of an address in the directory, and the key that signed it.
fn stored(directory: &Path, url: &str) -> Option<Kept> {
    let [list, key] = files(directory, url);
    let found = match fs::read(&list) {
        Ok(bytes) => Crl::all_in(url, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
    };
    let crl = found.inspect_err(|text| tracing::warn!("{} is not used: {text}", list.display()));
    Some(Kept {
        crl: crl.ok()?.pop()?,
        key: fs::read(&key).ok().filter(|key| !key.is_empty()),
    })
}

/// The files of an address. Their names say nothing to people, but no address is too odd for one.
fn files(directory: &Path, url: &str) -> [PathBuf; 2] {
    let mut name = String::with_capacity(64);
    for byte in digest(&SHA256, url.as_bytes()).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    ["crl", "key"].map(|end| directory.join(format!("{name}.{end}")))
}

/// Writes a file as a whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes)?;
    fs::rename(&beside, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
