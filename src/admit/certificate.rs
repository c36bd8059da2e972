//! Users whom a certificate has shown, on a listener that speaks TLS.

use super::login::Verified;
use super::names::Names;
use crate::handshake::{ClientAuthConfig, NamedBy};
use crate::identity::{Identity, Proof};

/// Certificates as they are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateConfig {
    /// Where the name is.
    pub name: NamedBy,
    /// Whose they are.
    pub tls: ClientAuthConfig,
    /// At which listeners clients are asked; `None` at all that speak TLS.
    pub listeners: Option<Vec<String>>,
}

/// Who a connection's certificate is of, until that connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The user, without groups.
    pub(super) identity: Identity,
}

impl CertificateConfig {
    /// Who a certificate is of that was verified; otherwise why that cannot be said.
    pub(super) fn read(&self, leaf: &[u8], names: &Names) -> Result<Certified, String> {
        let name = self.name.name_in(leaf)?;
        let identity = names.identity(
            &Verified {
                name,
                groups: Vec::new(),
            },
            Proof::Certificate,
        );
        let identity = identity.ok_or("the name in it cannot be that of a user here")?;
        Ok(Certified { identity })
    }

    /// Whether clients of this listener are asked.
    pub fn asks_at(&self, listener: &str) -> bool {
        let asked = self.listeners.as_ref();
        asked.is_none_or(|asked| asked.iter().any(|name| name == listener))
    }
}
