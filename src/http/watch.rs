//! What is told of exchanges, and to whom.

use crate::accept::{ClientLimit, Who};
use crate::error::Side;
use crate::http::error::HttpError;
use crate::http::request_id::RequestId;
use crate::wire::http1::Malformed;
use http::HeaderName;
use std::sync::Arc;
use std::time::Duration;

/// One exchange, stated when its response has been sent or has failed.
#[derive(Debug, Clone)]
pub struct RequestDone {
    /// What it is called, on the page that its client got too.
    pub id: RequestId,
    /// The connection that it belongs to, and whose that is.
    pub who: Who,
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
    /// The rule of the policy's table that decided about it, or about the tunnel that it is in.
    pub rule: Option<Arc<str>>,
    /// What was malformed, if that was why.
    pub malformed: Option<Malformed>,
    /// The request's fields that are to be logged, as far as it has them.
    pub headers: Vec<(HeaderName, String)>,
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

/// Who is told about exchanges. The reporting stage implements it; this stage only states facts.
pub trait Watch: Send + Sync + 'static {
    /// An exchange ended.
    fn request_done(&self, done: &RequestDone);
    /// A client's HTTP/2 connection was closed for asking too much.
    fn flooded(&self, flood: Flood);
    /// A client was refused something since it has reached a limit of its own.
    fn limited(&self, limit: ClientLimit);
    /// The HTTP/2 of this host could not be understood, as was seen on this connection: it is spoken to over HTTP/1.1
    /// from now on.
    fn http1_fallback(&self, who: &Who, host: &str);
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
    pub(in crate::http) const fn text(self) -> &'static str {
        match self {
            Self::Resets => "takes back too many of its requests",
            Self::Frames => "sends too many frames that bring nothing",
        }
    }
}
