//! What the pages show that is not a metric.

use super::access::AdminAccess;
use crate::portal::Portal;
use std::fmt;
use std::sync::Arc;

/// The CA certificate that clients must trust.
#[derive(Debug, Clone)]
pub struct CaCertificate {
    /// As PEM.
    pub pem: String,
    /// As DER.
    pub der: Vec<u8>,
    /// Its subject, for people.
    pub subject: String,
    /// The SHA-256 of the DER, for people to compare.
    pub fingerprint_sha256: String,
}

/// Whether new connections are welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// New connections are served.
    Ready,
    /// The process is about to end.
    Draining,
    /// New connections cannot be served, for this reason.
    NotReady(String),
}

/// What the listener asks for on each request, so that a reload shows at once.
#[derive(Clone)]
pub struct AdminState {
    /// The CA certificate that is in force.
    pub ca: Arc<dyn Fn() -> Arc<CaCertificate> + Send + Sync>,
    /// What else is handed out with it.
    pub portal: Arc<dyn Fn() -> Arc<Portal> + Send + Sync>,
    /// Who may read what.
    pub access: Arc<dyn Fn() -> Arc<AdminAccess> + Send + Sync>,
    /// For `/readyz`.
    pub readiness: Arc<dyn Fn() -> Readiness + Send + Sync>,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
}
