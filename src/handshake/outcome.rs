//! How handshakes end.

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
