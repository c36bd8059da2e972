//! How something is treated that may go on.

use super::verdict::{CertError, OtherUpgrade};
use crate::error::words;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// How something is treated once all settings have spoken.
#[derive(Debug, Clone)]
pub struct Treatment {
    /// Changes to the heads of requests, in their order.
    pub headers: Vec<HeaderEdit>,
    /// Changes to the heads of responses, likewise.
    pub response_headers: Vec<HeaderEdit>,
    /// The place of the client certificate that origins are shown.
    pub client_certificate: Option<usize>,
    /// Whether HTTP/2 may be offered to the origin, and with its consent to the client.
    pub may_speak_http2: bool,
    /// What a certificate that does not verify leads to.
    pub cert_error: CertError,
    /// What happens to an Upgrade to something other than WebSocket.
    pub other_upgrades: OtherUpgrade,
    /// How long HTTP connections may be quiet between requests, if it is not as long as others.
    pub http_idle: Option<Duration>,
    /// How long WebSockets may be quiet, likewise.
    pub websocket_idle: Option<Duration>,
    /// How long tunnels and streams may be quiet, likewise.
    pub tunnel_idle: Option<Duration>,
    /// Whether messages get a Via of this proxy (RFC 9110 section 7.6.3).
    pub via: bool,
    /// Whether rules look at it.
    pub inspects: bool,
    /// Whether a CONNECT that fails is answered inside of its tunnel, where a browser shows what it is told.
    pub pages_for_connect: bool,
    /// How origins are told the client's address.
    pub tell_client: TellClient,
    /// Whether what the request says of that already is taken out.
    pub tells_client_alone: bool,
    /// The services that may change its requests, by their names, in their order.
    pub adapt_requests: Arc<[Arc<str>]>,
    /// The services that may change its responses, likewise.
    pub adapt_responses: Arc<[Arc<str>]>,
    /// Which way it goes.
    pub way: WayOut,
}

words! {
    /// How an origin is told the client's address.
    pub enum TellClient {
        /// Not at all.
        No = "no",
        /// In X-Forwarded-For, behind what is there.
        XForwardedFor = "x_forwarded_for",
        /// In Forwarded (RFC 7239), behind what is there.
        Forwarded = "forwarded",
    }
}

words! {
    /// The PROXY protocol towards origins.
    pub enum ProxyProtocolOut {
        /// None.
        No = "no",
        /// Version 1, a line of text.
        V1 = "v1",
        /// Version 2, in binary.
        V2 = "v2",
    }
}

words! {
    /// Which of several parents is asked first.
    pub enum ParentOrder {
        /// The one that is named first, and the next only where that fails.
        First = "first",
        /// One after the other.
        RoundRobin = "round_robin",
    }
}

words! {
    /// Whether an origin may be dialled to which parents lead.
    pub enum Direct {
        /// Never.
        Never = "never",
        /// Once every parent has failed.
        Last = "last",
    }
}

/// The addresses that connections come from, one for each family. Where there is one at all, a family without one is not
/// dialled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sources {
    /// Towards IPv4.
    pub v4: Option<Ipv4Addr>,
    /// Towards IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// How connections leave this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leaving {
    /// Their source addresses; `None` if the kernel chooses.
    pub source: Option<Sources>,
    /// The interface; `None` if the routes choose.
    pub interface: Option<Arc<str>>,
    /// The DSCP of their packets; `None` for the kernel's.
    pub dscp: Option<u8>,
    /// The address of another machine, the client, that they come from where their destinations are of its family.
    pub client: Option<IpAddr>,
}

impl Sources {
    /// The one towards an address.
    pub fn towards(&self, address: IpAddr) -> Option<IpAddr> {
        match address.to_canonical() {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

/// Which way origins are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayOut {
    /// By these parents, by their names; empty for none.
    pub parents: Arc<[Arc<str>]>,
    /// Which of them is asked first.
    pub order: ParentOrder,
    /// Whether an origin may be dialled where parents are named.
    pub direct: Direct,
    /// How connections leave, to origins and to parents.
    pub leaving: Leaving,
    /// Whether those to origins come from the client's own address.
    pub as_client: bool,
    /// What origins are told by the PROXY protocol.
    pub proxy_protocol: ProxyProtocolOut,
    /// Networks in which no origin is dialled, whatever name leads there, beside those that nobody reaches.
    pub denied: Arc<[IpNet]>,
}

impl Default for WayOut {
    /// Straight on.
    fn default() -> Self {
        Self {
            parents: Arc::default(),
            order: ParentOrder::First,
            direct: Direct::Never,
            leaving: Leaving::default(),
            as_client: false,
            proxy_protocol: ProxyProtocolOut::No,
            denied: Arc::default(),
        }
    }
}

/// One change to the head of a message: of a request before any rule looks at it, of a response after all of them have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// The field has this value and no other, whatever the client sent.
    Set(HeaderName, HeaderValue),
    /// The field has this value beside those that the client sent.
    Add(HeaderName, HeaderValue),
    /// The field is taken out.
    Remove(HeaderName),
}

impl HeaderEdit {
    /// The field.
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Set(name, _) | Self::Add(name, _) | Self::Remove(name) => name,
        }
    }
}

impl fmt::Display for HeaderEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may be a secret.
        match self {
            Self::Set(name, _) => write!(f, "the header {name} is set"),
            Self::Add(name, _) => write!(f, "the header {name} is added"),
            Self::Remove(name) => write!(f, "the header {name} is taken out"),
        }
    }
}
