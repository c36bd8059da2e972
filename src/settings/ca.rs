//! `[ca]`: the certificate that signs what clients see.

use super::certificates::{blame, of_time};
use super::files::read;
use super::problem::{Diagnostics, FileSpan, Problem, Problems};
use super::reader::{At, Section};
use crate::handshake::ca::{Ca, CaError};
use crate::journey;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the signing certificate is.
#[derive(Debug, Clone)]
pub enum CaSource {
    /// In the files that the configuration names.
    Files {
        /// The certificate's file.
        cert: PathBuf,
        /// What was in the files.
        ca: Arc<Ca>,
    },
    /// In the data directory.
    Own {
        /// The data directory.
        dir: PathBuf,
        /// What was there; `None` before the first start.
        ca: Option<Arc<Ca>>,
        /// What its leaves name as the place to ask for revocations.
        crl_url: Option<Arc<str>>,
    },
}

impl CaSource {
    /// The file with the CA certificate, for people who have to install it.
    pub fn cert_path(&self) -> PathBuf {
        match self {
            Self::Files { cert, .. } => cert.clone(),
            Self::Own { dir, .. } => dir.join("ca.pem"),
        }
    }

    /// The CA, if there is one yet.
    pub fn ca(&self) -> Option<&Arc<Ca>> {
        match self {
            Self::Files { ca, .. } => Some(ca),
            Self::Own { ca, .. } => ca.as_ref(),
        }
    }

    /// The CA; makes one in the data directory if there is none yet.
    ///
    /// # Errors
    /// The data directory cannot be written to.
    pub fn ca_or_create(&mut self) -> Result<Arc<Ca>, Problems> {
        match self {
            Self::Files { ca, .. } | Self::Own { ca: Some(ca), .. } => Ok(ca.clone()),
            Self::Own { dir, ca, crl_url } => {
                let (made, _) = Ca::load_or_create(dir).map_err(|error| {
                    let advice =
                        "choose a data directory that can be written to: --data-dir DIR, or WSBUMP_DATA_DIR";
                    Problems::of_option("data directory", format!("{}: {error}; {advice}", dir.display()))
                })?;
                Ok(ca.insert(Arc::new(made.naming_crl(crl_url.clone()))).clone())
            }
        }
    }

    /// What tells one CA from the next: the bytes of its certificate's file, chain included, and what its leaves say of
    /// revocations. The key cannot change alone.
    pub(super) fn identity(&self) -> Vec<u8> {
        // A file that has vanished since it was loaded is told apart by the certificate that was loaded.
        let mut identity = std::fs::read(self.cert_path()).unwrap_or_else(|_| {
            self.ca()
                .map(|ca| ca.pem().as_bytes().to_vec())
                .unwrap_or_default()
        });
        let url = self.ca().and_then(|ca| ca.crl_url());
        identity.extend_from_slice(url.unwrap_or_default().as_bytes());
        identity
    }
}

/// The table as written.
#[derive(Debug)]
pub(super) struct CaTable {
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    untrusted_cert: Option<At<PathBuf>>,
    untrusted_key: Option<At<PathBuf>>,
    crl_url: Option<At<Arc<str>>>,
}

impl CaTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let table = Self {
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            untrusted_cert: section.path_to("untrusted_cert"),
            untrusted_key: section.path_to("untrusted_key"),
            crl_url: section.parsed("crl_url", crl_url),
        };
        section.finish();
        table
    }

    /// The signing certificate, if it is good or yet to be made.
    pub(super) fn resolve(&self, data_dir: Option<&Path>, notes: &mut Diagnostics) -> Option<CaSource> {
        let source = self.open(data_dir, notes)?;
        if let (Some(At { span, .. }), Some(ca)) = (&self.crl_url, source.ca())
            && !ca.may_sign_crls()
        {
            notes.warn_at(
                span,
                "ca.crl_url",
                "the CA's key usage lacks cRLSign: clients that look closely do not take its list; make a CA that has it",
            );
        }
        for warning in source.ca().iter().flat_map(|ca| ca.warnings()) {
            notes.warn(warning);
        }
        Some(source)
    }

    /// What signs for origins whose certificates do not verify; `None` also where it is wrong, which has been stated.
    pub(super) fn untrusted(&self, notes: &mut Diagnostics) -> Option<Arc<Ca>> {
        const KEYS: (&str, &str) = ("ca.untrusted_cert", "ca.untrusted_key");
        let Some(cert) = &self.untrusted_cert else {
            if let Some(key) = &self.untrusted_key {
                let message = "has no certificate; write ca.untrusted_cert too, or leave both out";
                notes.add(&key.span, KEYS.1, message);
            }
            return None;
        };
        let (_, ca) = in_files((KEYS.0, cert), (KEYS.1, self.untrusted_key.as_ref()), notes)?;
        for warning in ca.warnings() {
            notes.warn(warning);
        }
        Some(Arc::new(ca))
    }

    /// Where `ca.crl_url` is written, if it is.
    pub(super) fn crl_span(&self) -> Option<&FileSpan> {
        self.crl_url.as_ref().map(|url| &url.span)
    }

    fn open(&self, data_dir: Option<&Path>, notes: &mut Diagnostics) -> Option<CaSource> {
        let crl_url = || self.crl_url.as_ref().map(|url| Arc::clone(&url.value));
        let key = self.key.as_ref();
        let Some(cert) = &self.cert else {
            if let Some(key) = key {
                notes.add(
                    &key.span,
                    "ca.key",
                    "has no certificate; write ca.cert too, or leave both out",
                );
                return None;
            }
            let Some(dir) = data_dir else {
                let message = "there is no place for the CA; name one with --data-dir DIR or WSBUMP_DATA_DIR, or write ca.cert in a configuration file";
                notes.problems.push(Problem {
                    file: None,
                    place: None,
                    key: "data directory".into(),
                    message: message.into(),
                });
                return None;
            };
            return own_ca(dir, crl_url(), notes);
        };
        let (cert, ca) = in_files(("ca.cert", cert), ("ca.key", key), notes)?;
        let ca = Arc::new(ca.naming_crl(crl_url()));
        Some(CaSource::Files { cert, ca })
    }
}

/// A CA in files that the configuration names, and where its certificate is.
fn in_files(
    (cert_name, cert): (&str, &At<PathBuf>),
    (key_name, key): (&str, Option<&At<PathBuf>>),
    notes: &mut Diagnostics,
) -> Option<(PathBuf, Ca)> {
    let cert_file = read(&cert.value, &cert.span, cert_name, notes);
    let key_file = match key {
        Some(key) => read(&key.value, &key.span, key_name, notes),
        None => cert_file.clone(),
    };
    let ((cert_path, _), (key_path, _)) = (cert_file?, key_file?);
    match Ca::load(&cert_path, &key_path) {
        Ok(ca) => Some((cert_path, ca)),
        Err(error) => {
            let (cert, key) = ((cert_name, cert), (key_name, key));
            blame(&error, cert, key, &cert_path, &key_path, notes);
            None
        }
    }
}

/// An address that every client can ask without verifying another certificate first, and that a certificate can hold (an
/// IA5String).
fn crl_url(text: &str) -> Result<Arc<str>, String> {
    let rest = text
        .strip_prefix("http://")
        .filter(|_| journey::may_be_fetched(text));
    let is_plain = text.len() <= 2000 && text.bytes().all(|byte| byte.is_ascii_graphic());
    match rest {
        Some(_) if is_plain => Ok(text.into()),
        _ => Err(format!(
            "{text:?} is no address that every client can ask; write \"http://HOST:PORT/ca.crl\", without TLS (RFC 5280 section 4.2.1.13)"
        )),
    }
}

fn own_ca(dir: &Path, crl_url: Option<Arc<str>>, notes: &mut Diagnostics) -> Option<CaSource> {
    let (cert, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    notes.files.extend([cert.clone(), key.clone()]);
    // A key alone is what a first start left that was cut short: the next one completes it.
    if !cert.exists() {
        return Some(CaSource::Own {
            dir: dir.into(),
            ca: None,
            crl_url,
        });
    }
    match Ca::load(&cert, &key) {
        Ok(ca) => Some(CaSource::Own {
            dir: dir.into(),
            ca: Some(Arc::new(ca.naming_crl(crl_url.clone()))),
            crl_url,
        }),
        Err(error) => {
            let advice = match error {
                CaError::Expired { .. } => {
                    "move ca.pem and ca.key away to have a new CA made, and install that on the clients"
                }
                _ => of_time(&error).unwrap_or(
                    "put ca.pem and ca.key back as they were, or move both away to have a new CA made",
                ),
            };
            notes.add_in(&cert, None, "ca", format!("{error}; {advice}"));
            None
        }
    }
}
