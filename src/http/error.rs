//! Why an exchange does not go as it should.

use crate::accept::ClientLimit;
use crate::error::Side;
use http::StatusCode;

/// Why the proxy answered by itself or cut an exchange; labels follow RFC 9209 section 2.3 where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpError {
    /// The request breaks RFC 9110/9112: 400.
    BadRequest,
    /// Host names another server than the connection's: 421.
    Misdirected,
    /// The policy refuses: 403.
    Refused,
    /// A WebSocket handshake that breaks RFC 6455: 400 or 426.
    BadUpgrade,
    /// The origin's answer to the handshake breaks RFC 6455: 502.
    BadUpgradeResponse,
    /// The origin's certificate does not verify: 502.
    CertificateError,
    /// The origin's TLS handshake failed: 502.
    TlsError,
    /// The origin could not be reached: 502.
    ConnectError,
    /// The origin did not answer in time: 504.
    Timeout,
    /// The origin's answer breaks RFC 9112: 502.
    BadResponse,
    /// A rule does not let it pass: 403.
    Inspected,
    /// It could not be inspected, and policy does not let it pass then: 502.
    Uninspected,
    /// It was not looked at, and the client is told so: it may ask again, elsewhere (RFC 9113 section 8.7).
    NotTaken,
    /// Its client has reached a limit: 429 for what comes too fast, else 503.
    Limited(ClientLimit),
    /// One end went away in the middle.
    Aborted(Side),
}

impl HttpError {
    /// Every kind, for metrics that start at zero.
    pub const ALL: [Self; 19] = [
        Self::BadRequest,
        Self::Misdirected,
        Self::Refused,
        Self::BadUpgrade,
        Self::BadUpgradeResponse,
        Self::CertificateError,
        Self::TlsError,
        Self::ConnectError,
        Self::Timeout,
        Self::BadResponse,
        Self::Inspected,
        Self::Uninspected,
        Self::NotTaken,
        Self::Limited(ClientLimit::Connections),
        Self::Limited(ClientLimit::Share),
        Self::Limited(ClientLimit::WebSockets),
        Self::Limited(ClientLimit::Handshakes),
        Self::Aborted(Side::Client),
        Self::Aborted(Side::Origin),
    ];

    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::BadUpgrade | Self::Aborted(Side::Client) => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Refused | Self::Inspected => StatusCode::FORBIDDEN,
            Self::Limited(ClientLimit::Handshakes) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotTaken | Self::Limited(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BadUpgradeResponse
            | Self::CertificateError
            | Self::TlsError
            | Self::ConnectError
            | Self::BadResponse
            | Self::Uninspected
            | Self::Aborted(Side::Origin) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "http_request_error",
            Self::Misdirected => "misdirected_request",
            Self::Refused => "http_request_denied",
            Self::BadUpgrade => "bad_upgrade_request",
            Self::BadUpgradeResponse => "bad_upgrade_response",
            Self::CertificateError => "tls_certificate_error",
            Self::TlsError => "tls_protocol_error",
            Self::ConnectError => "destination_unavailable",
            Self::Timeout => "http_response_timeout",
            Self::BadResponse => "http_protocol_error",
            Self::Inspected => "content_refused",
            Self::Uninspected => "content_uninspected",
            Self::NotTaken => "request_not_taken",
            Self::Limited(limit) => limit.label(),
            Self::Aborted(Side::Client) => "client_aborted",
            Self::Aborted(Side::Origin) => "origin_aborted",
        }
    }
}
