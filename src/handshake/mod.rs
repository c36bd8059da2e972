//! Both TLS handshakes: the origin's first, then the client's.
//!
//! [`origin`] verifies the origin and learns its ALPN, [`forge`] mints a leaf that looks like the origin's
//! certificate, [`client`] presents it. [`ca`] is the authority that signs. [`ListenerTls`] is for clients that speak
//! TLS with the proxy itself, [`ServiceTls`] for servers that the proxy asks on its own behalf.

pub mod ca;
mod ca_create;
pub mod client;
mod der;
pub mod forge;
mod key_log;
mod listener;
mod mimic;
mod mint;
mod notes;
pub mod origin;
mod own_certificate;
mod service;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

pub use key_log::{log_keys_to, logs_keys, lost_keys};
pub use listener::{ListenerTls, Presented};
pub use own_certificate::OwnCertificate;
pub use service::{ServiceTls, late_refusal};

/// Which key a forged leaf carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafKey {
    /// ECDSA P-256, a fresh one for each leaf.
    P256,
    /// RSA-2048, for clients that offer nothing else; one for all leaves of a process, since making one takes
    /// 100 ms.
    Rsa2048,
}

impl LeafKey {
    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Rsa2048 => "rsa2048",
        }
    }
}

/// How a TLS handshake ended; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A full handshake.
    Full,
    /// A resumed session.
    Resumed,
    /// The peer did not finish in time.
    Timeout,
    /// The connection ended in the middle.
    Closed,
    /// The origin's certificate does not verify.
    CertificateInvalid,
    /// The client refused the forged certificate.
    ClientRefusedCa,
    /// The origin wants a client certificate.
    ClientCertificateRequired,
    /// The two ends have no version, cipher or protocol in common.
    Incompatible,
    /// Any other TLS failure.
    Failed,
}

impl Outcome {
    /// Every outcome, for metrics that start at zero.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::Resumed,
        Self::Timeout,
        Self::Closed,
        Self::CertificateInvalid,
        Self::ClientRefusedCa,
        Self::ClientCertificateRequired,
        Self::Incompatible,
        Self::Failed,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::CertificateInvalid => "certificate_invalid",
            Self::ClientRefusedCa => "client_refused_ca",
            Self::ClientCertificateRequired => "client_certificate_required",
            Self::Incompatible => "incompatible",
            Self::Failed => "failed",
        }
    }
}
