//! Certificates and keys in files that a configuration names.

use super::files::read;
use super::problem::{Diagnostics, FileSpan};
use super::reader::At;
use crate::handshake::ca::CaError;
use crate::handshake::{Crl, OwnCertificate};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// Every certificate of a file; without one, what is wrong has been stated.
pub(super) fn roots_in(
    written: &Path,
    span: &FileSpan,
    key: &str,
    notes: &mut Diagnostics,
) -> Vec<CertificateDer<'static>> {
    let mut roots = Vec::new();
    let Some((path, bytes)) = read(written, span, key, notes) else {
        return roots;
    };
    let mut empty = true;
    for root in CertificateDer::pem_slice_iter(&bytes) {
        empty = false;
        let good = root.map_err(|error| error.to_string()).and_then(|der| {
            rustls::RootCertStore::empty()
                .add(der.clone())
                .map_err(|error| error.to_string())?;
            Ok(der)
        });
        match good {
            Ok(der) => roots.push(der),
            Err(error) => {
                let message = format!("{}: a certificate cannot be read: {error}", path.display());
                notes.add(span, key, message);
            }
        }
    }
    if empty {
        let message = format!(
            "{} holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----",
            path.display()
        );
        notes.add(span, key, message);
    }
    roots
}

/// Every certificate revocation list of a file, in PEM or one in DER; what is wrong has been stated.
pub(super) fn crls_in(written: &Path, span: &FileSpan, key: &str, notes: &mut Diagnostics) -> Vec<Crl> {
    let Some((path, bytes)) = read(written, span, key, notes) else {
        return Vec::new();
    };
    let path = path.display().to_string();
    Crl::all_in(&path, bytes).unwrap_or_else(|message| {
        notes.add(span, key, format!("{path}: {message}"));
        Vec::new()
    })
}

/// A certificate with its key, which may be in the same file; `None` also where that is wrong, which has been stated.
pub(super) fn own_certificate(
    (cert_name, cert): (&str, Option<&At<PathBuf>>),
    (key_name, key): (&str, Option<&At<PathBuf>>),
    notes: &mut Diagnostics,
) -> Option<OwnCertificate> {
    let Some(cert) = cert else {
        if let Some(key) = key {
            let message = format!("has no certificate; write {cert_name} too, or leave both out");
            notes.add(&key.span, key_name, message);
        }
        return None;
    };
    let cert_file = read(&cert.value, &cert.span, cert_name, notes);
    let key_file = match key {
        Some(key) => read(&key.value, &key.span, key_name, notes),
        None => cert_file.clone(),
    };
    let ((cert_path, cert_pem), (key_path, key_pem)) = (cert_file?, key_file?);
    let loaded = OwnCertificate::from_pem((&cert_path, &cert_pem), (&key_path, &key_pem));
    let blamed = loaded.map_err(|error| {
        let (cert, key) = ((cert_name, cert), (key_name, key));
        blame(&error, cert, key, &cert_path, &key_path, notes);
    });
    blamed.ok()
}

/// Notes what is wrong with a certificate and its key where the one of them is named that it is about.
pub(super) fn blame(
    error: &CaError,
    (cert_name, cert): (&str, &At<PathBuf>),
    (key_name, key): (&str, Option<&At<PathBuf>>),
    cert_path: &Path,
    key_path: &Path,
    notes: &mut Diagnostics,
) {
    let about_key = match error {
        CaError::KeyMismatch { .. } | CaError::NoKey { .. } => true,
        CaError::BadKey { .. } | CaError::EncryptedKey { .. } => true,
        CaError::BadPem { file, .. } | CaError::Read { file, .. } => file == key_path && file != cert_path,
        _ => false,
    };
    match (key, error) {
        (Some(key), _) if about_key => notes.add(&key.span, key_name, error.to_string()),
        (None, CaError::NoKey { .. }) => {
            let advice = format!("put the private key into the same file, or name its file in {key_name}");
            notes.add(&cert.span, cert_name, format!("{error}; {advice}"));
        }
        _ => {
            let message = match of_time(error) {
                Some(advice) => format!("{error}; {advice}"),
                None => error.to_string(),
            };
            notes.add(&cert.span, cert_name, message);
        }
    }
}

/// What to do about a CA whose time it is not.
pub(super) const fn of_time(error: &CaError) -> Option<&'static str> {
    match error {
        CaError::Expired { .. } => Some("name a new one, and install it on the clients first"),
        CaError::NotYetValid { .. } => Some("is the clock of this machine right?"),
        _ => None,
    }
}
