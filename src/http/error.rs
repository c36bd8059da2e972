//! Why an exchange does not go as it should.

use crate::accept::ClientLimit;
use crate::dial::DialOutcome;
use crate::error::Side;
use crate::handshake::HandshakeOutcome;
use crate::handshake::origin::OriginError;
use http::StatusCode;

/// Why the proxy answered by itself or cut an exchange. Its label is the one name of the failure: in the log, in the
/// metrics, in Proxy-Status and on the page. Labels follow RFC 9209 section 2.3 where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpError {
    /// The request breaks RFC 9110/9112: 400.
    BadRequest,
    /// The client did not finish its request in time: 408.
    RequestTimeout,
    /// Host names another server than the connection's: 421.
    Misdirected,
    /// The policy refuses: 403.
    Refused,
    /// The policy wants to know who asks: 407.
    NotAuthenticated,
    /// Who asks cannot be found out: 503.
    AuthenticationUnavailable,
    /// A WebSocket handshake that breaks RFC 6455: 400 or 426.
    BadUpgrade,
    /// The origin's answer to the handshake breaks RFC 6455: 502.
    BadUpgradeResponse,
    /// The origin's certificate does not verify: 502.
    CertificateError,
    /// The origin ended its TLS handshake with an alert: 502.
    TlsAlert,
    /// The origin wants a client certificate: 502.
    ClientCertificate,
    /// The origin's TLS handshake failed in another way: 502.
    TlsError,
    /// The origin closed the connection during its TLS handshake: 502.
    Terminated,
    /// The origin could not be reached: the status of the dial's outcome. A handshake that took too long is a
    /// connection that did.
    Dial(DialOutcome),
    /// The proxy has as many connections as it may have: 503.
    ConnectionLimit,
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
    /// This side sent its content too slowly: 408 or 504.
    Slow(Side),
    /// One end went away in the middle.
    Aborted(Side),
}

impl HttpError {
    /// Every kind, for metrics that start at zero.
    pub fn all() -> impl Iterator<Item = Self> {
        let dials = DialOutcome::ALL
            .into_iter()
            .filter(|outcome| *outcome != DialOutcome::Ok)
            .map(Self::Dial);
        [
            Self::BadRequest,
            Self::RequestTimeout,
            Self::Misdirected,
            Self::Refused,
            Self::NotAuthenticated,
            Self::AuthenticationUnavailable,
            Self::BadUpgrade,
            Self::BadUpgradeResponse,
            Self::CertificateError,
            Self::TlsAlert,
            Self::ClientCertificate,
            Self::TlsError,
            Self::Terminated,
            Self::ConnectionLimit,
            Self::Limited(ClientLimit::Connections),
            Self::Limited(ClientLimit::Share),
            Self::Limited(ClientLimit::WebSockets),
            Self::Limited(ClientLimit::Handshakes),
            Self::Timeout,
            Self::BadResponse,
            Self::Inspected,
            Self::Uninspected,
            Self::NotTaken,
            Self::Slow(Side::Client),
            Self::Slow(Side::Origin),
            Self::Aborted(Side::Client),
            Self::Aborted(Side::Origin),
        ]
        .into_iter()
        .chain(dials)
    }

    /// The status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::BadUpgrade | Self::Aborted(Side::Client) => StatusCode::BAD_REQUEST,
            Self::RequestTimeout | Self::Slow(Side::Client) => StatusCode::REQUEST_TIMEOUT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Refused | Self::Inspected => StatusCode::FORBIDDEN,
            Self::NotAuthenticated => StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Self::Limited(ClientLimit::Handshakes) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotTaken | Self::ConnectionLimit | Self::Limited(_) | Self::AuthenticationUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Timeout | Self::Slow(Side::Origin) => StatusCode::GATEWAY_TIMEOUT,
            Self::Dial(outcome) => StatusCode::from_u16(outcome.status()).unwrap_or(StatusCode::BAD_GATEWAY),
            Self::BadUpgradeResponse
            | Self::CertificateError
            | Self::TlsAlert
            | Self::ClientCertificate
            | Self::TlsError
            | Self::Terminated
            | Self::BadResponse
            | Self::Uninspected
            | Self::Aborted(Side::Origin) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadRequest => "http_request_error",
            Self::RequestTimeout => "request_timeout",
            Self::Misdirected => "misdirected_request",
            Self::Refused => "http_request_denied",
            Self::NotAuthenticated => "proxy_authentication_required",
            Self::AuthenticationUnavailable => "proxy_authentication_unavailable",
            Self::BadUpgrade => "bad_upgrade_request",
            Self::BadUpgradeResponse => "bad_upgrade_response",
            Self::CertificateError => "tls_certificate_error",
            Self::TlsError => "tls_protocol_error",
            Self::TlsAlert => "tls_alert_received",
            Self::ClientCertificate => "client_certificate_required",
            Self::Terminated => "connection_terminated",
            Self::Dial(outcome) => outcome.label(),
            Self::ConnectionLimit => "connection_limit_reached",
            Self::Timeout => "http_response_timeout",
            Self::BadResponse => "http_protocol_error",
            Self::Inspected => "content_refused",
            Self::Uninspected => "content_uninspected",
            Self::NotTaken => "request_not_taken",
            Self::Limited(limit) => limit.label(),
            Self::Slow(Side::Client) => "client_too_slow",
            Self::Slow(Side::Origin) => "origin_too_slow",
            Self::Aborted(Side::Client) => "client_aborted",
            Self::Aborted(Side::Origin) => "origin_aborted",
        }
    }
}

/// What a handshake with an origin that failed is to whoever asked for something there.
impl From<&OriginError> for HttpError {
    fn from(error: &OriginError) -> Self {
        match error.outcome {
            HandshakeOutcome::CertificateInvalid => Self::CertificateError,
            HandshakeOutcome::ClientCertificateRequired => Self::ClientCertificate,
            HandshakeOutcome::Timeout => Self::Dial(DialOutcome::Timeout),
            HandshakeOutcome::Closed => Self::Terminated,
            _ if error.alert.is_some() => Self::TlsAlert,
            _ => Self::TlsError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;

    #[test]
    fn handshakes_that_fail_have_their_names_of_rfc_9209() {
        let refused = Some(AlertDescription::HandshakeFailure);
        for (outcome, alert, label, status) in [
            (
                HandshakeOutcome::CertificateInvalid,
                None,
                "tls_certificate_error",
                502,
            ),
            (HandshakeOutcome::Timeout, None, "connection_timeout", 504),
            (HandshakeOutcome::Closed, None, "connection_terminated", 502),
            (HandshakeOutcome::Incompatible, None, "tls_protocol_error", 502),
            (HandshakeOutcome::Incompatible, refused, "tls_alert_received", 502),
            (HandshakeOutcome::Failed, None, "tls_protocol_error", 502),
            (HandshakeOutcome::Failed, refused, "tls_alert_received", 502),
            // An alert too, but this one says what to do about it.
            (
                HandshakeOutcome::ClientCertificateRequired,
                refused,
                "client_certificate_required",
                502,
            ),
        ] {
            let error = HttpError::from(&OriginError {
                outcome,
                text: String::new(),
                certificate: None,
                alert,
                revocation: None,
            });
            assert_eq!(
                (error.label(), error.status().as_u16()),
                (label, status),
                "{outcome:?}"
            );
            assert!(HttpError::all().any(|known| known == error), "{label}");
        }
    }

    #[test]
    fn no_two_failures_share_a_name() {
        let mut labels: Vec<_> = HttpError::all().map(HttpError::label).collect();
        let all = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), all);
        assert!(!labels.contains(&"ok"));
    }
    #[test]
    fn the_docs_tell_every_failure_and_no_other() {
        let docs = include_str!("../../docs/access-log.md");
        let (_, table) = docs.split_once("### Why exchanges fail\n").unwrap();
        let rows = table.split("\n#").next().unwrap().lines();
        let cells = rows.filter(|row| row.starts_with("| `") && !row.starts_with("| `error`"));
        let mut told: Vec<_> = cells
            .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
            .map(|word| word.trim().trim_matches('`'))
            .collect();
        told.sort_unstable();
        let mut labels: Vec<_> = HttpError::all().map(HttpError::label).collect();
        labels.sort_unstable();
        assert_eq!(told, labels);
    }
}
