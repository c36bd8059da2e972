//! What can be wrong with a CA's files.

use std::fmt;
use std::path::PathBuf;

/// Why a CA cannot be used. Each text names the file and what is wrong with it.
#[derive(Debug)]
pub enum CaError {
    /// The file is missing or cannot be read.
    Read {
        /// The file that it is about.
        file: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file or directory cannot be written.
    Write {
        /// The file that it is about.
        file: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not PEM.
    BadPem {
        /// The file that it is about.
        file: PathBuf,
        /// What the PEM reader says.
        text: String,
    },
    /// The file holds no certificate.
    NoCertificate {
        /// The file that it is about.
        file: PathBuf,
    },
    /// The file holds no private key.
    NoKey {
        /// The file that it is about.
        file: PathBuf,
    },
    /// The private key is protected by a passphrase.
    EncryptedKey {
        /// The file that it is about.
        file: PathBuf,
    },
    /// The certificate cannot be parsed.
    BadCertificate {
        /// The file that it is about.
        file: PathBuf,
        /// What the parser says.
        text: String,
    },
    /// The private key cannot be parsed, or is of a kind that cannot sign leaves.
    BadKey {
        /// The file that it is about.
        file: PathBuf,
        /// What is wrong, and what would be right.
        text: String,
    },
    /// The key is not the first certificate's.
    KeyMismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate may not sign server certificates.
    NotACa {
        /// The file that it is about.
        file: PathBuf,
        /// Which extension says so.
        text: &'static str,
    },
    /// The certificate has expired.
    Expired {
        /// The file that it is about.
        file: PathBuf,
        /// When it did.
        since: String,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// The file that it is about.
        file: PathBuf,
        /// From when on it is.
        from: String,
    },
    /// A new CA could not be made.
    Generate(String),
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, source } => write!(f, "cannot read {}: {source}", file.display()),
            Self::Write { file, source } => write!(f, "cannot write {}: {source}", file.display()),
            Self::BadPem { file, text } => write!(f, "{} is not well-formed PEM: {text}", file.display()),
            Self::NoCertificate { file } => {
                write!(
                    f,
                    "{} holds no certificate (no `BEGIN CERTIFICATE` block)",
                    file.display()
                )
            }
            Self::NoKey { file } => {
                write!(
                    f,
                    "{} holds no private key (no `BEGIN PRIVATE KEY` block)",
                    file.display()
                )
            }
            Self::EncryptedKey { file } => write!(
                f,
                "the private key in {} is encrypted; `openssl pkey` writes one without a passphrase",
                file.display()
            ),
            Self::BadCertificate { file, text } => {
                write!(
                    f,
                    "the certificate in {} cannot be parsed: {text}",
                    file.display()
                )
            }
            Self::BadKey { file, text } => {
                write!(f, "the private key in {} cannot be used: {text}", file.display())
            }
            Self::KeyMismatch { cert, key } => write!(
                f,
                "the private key in {} does not belong to the first certificate in {}",
                key.display(),
                cert.display()
            ),
            Self::NotACa { file, text } => {
                write!(
                    f,
                    "the first certificate in {} is not a CA for servers: {text}",
                    file.display()
                )
            }
            Self::Expired { file, since } => {
                write!(f, "the CA certificate in {} expired on {since}", file.display())
            }
            Self::NotYetValid { file, from } => {
                write!(
                    f,
                    "the CA certificate in {} is not valid before {from}",
                    file.display()
                )
            }
            Self::Generate(text) => write!(f, "cannot make a new CA: {text}"),
        }
    }
}

impl std::error::Error for CaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}
