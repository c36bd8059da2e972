//! The certificates that a configuration names: the CA that signs, the roots that are trusted.

use super::CaSource;
use super::load::read;
use super::problem::{Notes, Problem, Span};
use super::raw::File;
use super::reader::At;
use crate::handshake::OwnCertificate;
use crate::handshake::ca::{Ca, CaError};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every certificate of every file in `origin.extra_roots`.
pub(super) fn extra_roots(file: &File, notes: &mut Notes) -> Vec<CertificateDer<'static>> {
    let mut roots = Vec::new();
    for at in &file.origin.extra_roots {
        roots.extend(roots_in(
            Path::new(&at.value),
            &at.span,
            "origin.extra_roots",
            notes,
        ));
    }
    roots
}

/// Every certificate of a file; without one, what is wrong has been stated.
pub(super) fn roots_in(
    written: &Path,
    span: &Span,
    key: &str,
    notes: &mut Notes,
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

/// The signing certificate, if it is good or yet to be made.
pub(super) fn ca(file: &File, data_dir: Option<&Path>, notes: &mut Notes) -> Option<CaSource> {
    let Some(cert) = &file.ca.cert else {
        if let Some(key) = &file.ca.key {
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
        return own_ca(dir, notes);
    };
    let cert_file = read(&cert.value, &cert.span, "ca.cert", notes);
    let key = file.ca.key.as_ref();
    let key_file = match key {
        Some(key) => read(&key.value, &key.span, "ca.key", notes),
        None => cert_file.clone(),
    };
    let ((cert_path, _), (key_path, _)) = (cert_file?, key_file?);
    match Ca::load(&cert_path, &key_path) {
        Ok(ca) => Some(CaSource::Files {
            cert: cert_path,
            ca: Arc::new(ca),
        }),
        Err(error) => {
            blame(
                &error,
                ("ca.cert", cert),
                ("ca.key", key),
                &cert_path,
                &key_path,
                notes,
            );
            None
        }
    }
}

/// The certificate of the listeners in `tls`, if the configuration names one and it is good.
pub(super) fn server_certificate(
    file: &File,
    tls: &[SocketAddr],
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> Option<OwnCertificate> {
    let (cert, key) = (file.listen.cert.as_ref(), file.listen.key.as_ref());
    if cert.is_some() && tls.is_empty() {
        warnings.push("listen.cert is not used: listen.tls names no address".into());
    }
    let certificate = own_certificate(("listen.cert", cert), ("listen.key", key), notes)?;
    let about = |warning: &String| format!("listen.cert: {warning}");
    warnings.extend(certificate.warnings().iter().map(about));
    Some(certificate)
}

/// A certificate with its key, which may be in the same file; `None` also where that is wrong, which has been stated.
pub(super) fn own_certificate(
    (cert_name, cert): (&str, Option<&At<PathBuf>>),
    (key_name, key): (&str, Option<&At<PathBuf>>),
    notes: &mut Notes,
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
fn blame(
    error: &CaError,
    (cert_name, cert): (&str, &At<PathBuf>),
    (key_name, key): (&str, Option<&At<PathBuf>>),
    cert_path: &Path,
    key_path: &Path,
    notes: &mut Notes,
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
        _ => notes.add(&cert.span, cert_name, error.to_string()),
    }
}

fn own_ca(dir: &Path, notes: &mut Notes) -> Option<CaSource> {
    let (cert, key) = (dir.join("ca.pem"), dir.join("ca.key"));
    notes.files.extend([cert.clone(), key.clone()]);
    // A key alone is what a first start left that was cut short: the next one completes it.
    if !cert.exists() {
        return Some(CaSource::Own {
            dir: dir.into(),
            ca: None,
        });
    }
    match Ca::load(&cert, &key) {
        Ok(ca) => Some(CaSource::Own {
            dir: dir.into(),
            ca: Some(Arc::new(ca)),
        }),
        Err(error) => {
            let advice = "put ca.pem and ca.key back as they were, or move both away to have a new CA made";
            notes.add_in(&cert, None, "ca", format!("{error}; {advice}"));
            None
        }
    }
}

/// What tells one CA from the next: the bytes of its certificate file.
pub(super) fn identity_of(source: &CaSource) -> Vec<u8> {
    // A file that has vanished since it was loaded is told apart by the certificate that was loaded.
    std::fs::read(source.cert_path()).unwrap_or_else(|_| {
        source
            .ca()
            .map(|ca| ca.pem().as_bytes().to_vec())
            .unwrap_or_default()
    })
}
