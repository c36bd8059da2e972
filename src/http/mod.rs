//! What is inside: requests, responses, upgrades.

mod body;
mod broke;
mod check;
mod coding;
mod cork;
mod destination;
mod endless;
mod exchange;
mod fallback;
mod floods;
mod frames;
mod h1;
mod h2;
mod heads;
mod hop;
mod inspected;
mod io;
mod page;
mod record;
mod recorded;
mod serve;
mod source;
mod stream;
mod streams;

pub use coding::beginning;
pub use fallback::{Fallback, Http1Only};
pub use h1::{Door, DoorStep, Origins, Reached, Unasked, refuse, serve};
pub use h2::{answer_stream, refuse_h2, serve_h2};
pub use page::Problem;
pub use serve::{ServeError, Served, Tunnel, UpgradeKind, Upgraded};
pub use stream::Stream;
pub use streams::{StreamLimits, StreamRequest, StreamsEnd, streams};

use crate::decide::OtherUpgrade;
use crate::error::Side;
use crate::inspect::Inspector;
use crate::wire::deflate::Deflate;
use crate::wire::http1::Malformed;
use crate::wire::names::Authority;
use http::StatusCode;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// One exchange, stated when its response has been sent or has failed.
#[derive(Debug, Clone)]
pub struct RequestDone {
    /// The connection that it belongs to.
    pub connection: u64,
    /// The method as sent.
    pub method: http::Method,
    /// The protocol that the client speaks.
    pub version: http::Version,
    /// The target as the client sees it: `https://host/path`, without a query.
    pub url: String,
    /// The status that the client got; `None` if the exchange ended without one.
    pub status: Option<u16>,
    /// From the last byte of the request's head to the response's head.
    pub time_to_head: Duration,
    /// From the last byte of the request's head to the response's last byte.
    pub time_total: Duration,
    /// Body bytes from the client.
    pub request_bytes: u64,
    /// Body bytes to the client.
    pub response_bytes: u64,
    /// Set when the proxy answered itself, or the exchange broke off.
    pub error: Option<HttpError>,
    /// What the client was told, where the proxy answered itself.
    pub detail: Option<String>,
    /// What was malformed, if that was why.
    pub malformed: Option<Malformed>,
}

impl RequestDone {
    /// Who sent what was malformed, if that was why it failed.
    pub const fn malformed_by(&self) -> Option<(Side, Malformed)> {
        match (self.malformed, self.error) {
            (None, _) => None,
            (
                Some(why),
                Some(
                    HttpError::BadResponse | HttpError::BadUpgradeResponse | HttpError::Aborted(Side::Origin),
                ),
            ) => Some((Side::Origin, why)),
            (Some(why), _) => Some((Side::Client, why)),
        }
    }
}

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
    /// One end went away in the middle.
    Aborted(Side),
}

impl HttpError {
    /// Every kind, for metrics that start at zero.
    pub const ALL: [Self; 15] = [
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
        Self::Aborted(Side::Client),
        Self::Aborted(Side::Origin),
    ];

    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::BadUpgrade | Self::Aborted(Side::Client) => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Refused | Self::Inspected => StatusCode::FORBIDDEN,
            Self::NotTaken => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::Aborted(Side::Client) => "client_aborted",
            Self::Aborted(Side::Origin) => "origin_aborted",
        }
    }
}

/// Who is told about exchanges. The reporting stage implements it; this stage only states facts.
pub trait Watch: Send + Sync + 'static {
    /// An exchange ended.
    fn request_done(&self, done: &RequestDone);
    /// A client's HTTP/2 connection was closed for asking too much.
    fn flooded(&self, flood: Flood);
    /// The HTTP/2 of this host could not be understood: it is spoken to over HTTP/1.1 from now on.
    fn http1_fallback(&self, host: &str);
}

/// What a client did too often over HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flood {
    /// It asked and took back what it asked for ("rapid reset", CVE-2023-44487).
    Resets,
    /// It sent frames that cost more than they bring: PING and SETTINGS, empty ones, CONTINUATIONs without end,
    /// streams reset before they were looked at.
    Frames,
}

impl Flood {
    /// Every kind, for metrics that start at zero.
    pub const ALL: [Self; 2] = [Self::Resets, Self::Frames];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::Frames => "frames",
        }
    }

    /// For the log, of the peer that did it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Resets => "takes back too many of its requests",
            Self::Frames => "sends too many frames that bring nothing",
        }
    }
}

/// Relays streams of HTTP/2 that have left HTTP. The journey implements it; this stage only hands them over.
pub trait Onward: Send + Sync + 'static {
    /// Relays both streams to their end.
    fn upgraded(&self, upgraded: Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// What the requests of one connection have in common.
#[derive(Clone)]
pub struct Site {
    /// The connection's id.
    pub connection: u64,
    /// Who is told about exchanges.
    pub watch: Arc<dyn Watch>,
    /// The client's address.
    pub client: std::net::IpAddr,
    /// Looks into what passes.
    pub inspector: Arc<Inspector>,
    /// The origin's address, where all requests go to one that is known.
    pub origin: Option<std::net::IpAddr>,
    /// What happens to other upgrades.
    pub other_upgrades: OtherUpgrade,
    /// Whether this proxy adds itself to Via.
    pub via: bool,
    /// The largest head, in bytes.
    pub header_bytes: usize,
    /// How long the head of a request may take.
    pub request_head: Duration,
    /// How long an origin may stay silent before its response's head.
    pub response: Duration,
    /// How long a connection may be quiet between requests.
    pub idle: Duration,
    /// How long a response may be quiet that says something when there is something to say.
    pub stream_idle: Duration,
    /// The way back to HTTP/1.1, where HTTP/2 was agreed to.
    pub fallback: Option<Fallback>,
}

impl Site {
    /// How long nothing of a response may move.
    fn patience(&self, is_stream: bool) -> Duration {
        let usual = self.response.saturating_add(self.idle);
        if is_stream {
            usual.max(self.stream_idle)
        } else {
            usual
        }
    }
}

/// A WebSocket's handshake facts, for the log.
#[derive(Debug, Clone)]
pub struct WebSocketInfo {
    /// Where.
    pub target: Authority,
    /// `wss://host/path` or `ws://host/path`, without a query.
    pub url: String,
    /// The path with its query, for rules.
    pub path: String,
    /// The protocol that carries it: HTTP/1.1 (RFC 6455) or HTTP/2 (RFC 8441).
    pub version: http::Version,
    /// permessage-deflate as agreed.
    pub deflate: Option<Deflate>,
    /// An extension was agreed that cannot be decoded.
    pub opaque_extensions: bool,
    /// The Origin header.
    pub origin: Option<String>,
    /// The subprotocol that the origin chose.
    pub subprotocol: Option<String>,
    /// The extensions that the origin chose, as sent.
    pub extensions: Option<String>,
}
