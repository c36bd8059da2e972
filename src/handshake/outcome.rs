//! How handshakes end.

/// How a TLS handshake ended; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandshakeOutcome {
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

impl HandshakeOutcome {
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

    /// Whether a handshake with a client can fail so.
    pub const fn may_fail_client(self) -> bool {
        match self {
            Self::Full | Self::Resumed | Self::CertificateInvalid | Self::ClientCertificateRequired => false,
            Self::Timeout | Self::Closed | Self::ClientRefusedCa | Self::Incompatible | Self::Failed => true,
        }
    }

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::CertificateInvalid => "tls_certificate_error",
            Self::ClientRefusedCa => "client_refused_ca",
            Self::ClientCertificateRequired => "client_certificate_required",
            Self::Incompatible => "incompatible",
            Self::Failed => "failed",
        }
    }
}
