//! The keys of forged leaves.

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
