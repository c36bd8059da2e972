//! What happened, owned, on its way to those who watch.

use super::stamp::Stamp;
use crate::accept::Who;
use crate::error::words;
use crate::inspect::{HttpHead, Judgement};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use http::{Method, Version};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

words! {
    /// What events are about, as far as those who watch choose between them.
    pub enum LiveTopic {
        /// Connections that have ended.
        Connections = "connections",
        /// Requests that have ended.
        Requests = "requests",
        /// WebSockets that have opened or ended.
        WebSockets = "websockets",
        /// What rules found, and what could not be looked into.
        Findings = "findings",
        /// Clients that refused the certificate.
        Refusals = "refusals",
        /// Reloads of the configuration.
        Reloads = "reloads",
        /// The messages of WebSockets.
        Messages = "messages",
        /// Heads and bodies of requests and responses.
        Bodies = "bodies",
    }
}

impl LiveTopic {
    /// Whether events of it hold what people write to each other.
    pub const fn is_content(self) -> bool {
        matches!(self, Self::Messages | Self::Bodies)
    }

    /// Whether there may be so many of them that a sample is enough.
    pub(super) const fn is_sampled(self) -> bool {
        matches!(self, Self::Messages | Self::Bodies | Self::Requests)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The topic of this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.label() == word)
    }
}

/// Several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveTopics(u32);

impl LiveTopics {
    /// None.
    pub const NONE: Self = Self(0);

    /// All that hold no content.
    pub fn rows() -> Self {
        LiveTopic::ALL
            .iter()
            .copied()
            .filter(|topic| !topic.is_content())
            .collect()
    }

    /// Whether this is one of them.
    pub const fn contains(self, topic: LiveTopic) -> bool {
        self.0 & topic.bit() != 0
    }

    /// With this one too.
    #[must_use]
    pub const fn with(self, topic: LiveTopic) -> Self {
        Self(self.0 | topic.bit())
    }

    /// With all of those too.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether any of them holds content.
    pub fn has_content(self) -> bool {
        self.each().any(LiveTopic::is_content)
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = LiveTopic> {
        LiveTopic::ALL
            .iter()
            .copied()
            .filter(move |topic| self.contains(*topic))
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    pub(super) const fn of_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl FromIterator<LiveTopic> for LiveTopics {
    fn from_iter<T: IntoIterator<Item = LiveTopic>>(topics: T) -> Self {
        topics.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What happened.
#[derive(Debug)]
pub struct LiveEvent {
    /// Grows with each event of the process.
    pub id: u64,
    /// When.
    pub at: Stamp,
    /// Whose it is; `None` for what is nobody's.
    pub who: Option<Who>,
    /// The host that it is about.
    pub host: Option<Authority>,
    /// The number of the WebSocket, where it is about one.
    pub websocket: Option<u64>,
    /// What it is.
    pub what: EventKind,
}

/// What happened, by its kind.
#[derive(Debug)]
pub enum EventKind {
    /// A connection ended.
    Ended {
        /// The SNI of the ClientHello.
        sni: Option<String>,
        /// What was decided.
        action: Option<&'static str>,
        /// The rule of the policy that led to that.
        rule: Option<Arc<str>>,
        /// How it ended, as in the access log.
        ending: &'static str,
        /// The cause in words.
        detail: Option<String>,
        /// How many requests were served on it.
        requests: u64,
        /// What a tunnel carried, by direction.
        bytes: Option<[u64; 2]>,
        /// From accept to end.
        open: Duration,
    },
    /// A request ended.
    Request {
        /// What it is called.
        id: String,
        /// The method.
        method: Method,
        /// The protocol that the client speaks.
        version: Version,
        /// `https://host/path`, without a query.
        url: String,
        /// The status that the client got.
        status: Option<u16>,
        /// Until the response's head.
        wait: Duration,
        /// Until its end.
        total: Duration,
        /// Bytes of the bodies, by direction.
        bytes: [u64; 2],
        /// Why the proxy answered itself or it broke off.
        error: Option<&'static str>,
        /// The same in words.
        detail: Option<String>,
        /// The rule of the policy that decided about it.
        rule: Option<Arc<str>>,
    },
    /// A WebSocket is open.
    Opened {
        /// `wss://host/path`, without a query.
        url: String,
        /// The protocol that carries it.
        version: Version,
        /// The subprotocol that the origin chose.
        subprotocol: Option<String>,
        /// Whether messages may be compressed.
        is_compressed: bool,
    },
    /// A WebSocket ended.
    Closed {
        /// `wss://host/path`, without a query.
        url: String,
        /// How it ended, as in the access log.
        end: &'static str,
        /// Who closed first, with which code and reason.
        close: Option<(&'static str, Option<u16>, String)>,
        /// Frames that went on, by direction.
        frames: [u64; 2],
        /// Messages that went on.
        messages: [u64; 2],
        /// Payload bytes that went on.
        bytes: [u64; 2],
        /// Pings and pongs among the frames.
        pings: [u64; 2],
        /// How long it was open.
        open: Duration,
    },
    /// A message went on, or was stopped.
    Message {
        /// Its place among those of its direction.
        number: u64,
        /// The path of its WebSocket, with the query.
        path: Box<str>,
        /// The subprotocol of its WebSocket.
        subprotocol: Option<Box<str>>,
        /// Which way it went.
        direction: Direction,
        /// `Text` or `Binary`.
        opcode: Opcode,
        /// What its receiver reads.
        data: Box<[u8]>,
        /// Its whole size in bytes.
        size: u64,
        /// What rules did.
        ruled: Option<Ruled>,
    },
    /// A head of a request or response.
    Head {
        /// The number of its exchange.
        exchange: u64,
        /// As the message has it.
        version: Version,
        /// `https` or such.
        scheme: &'static str,
        /// The path with its query.
        path: Box<str>,
        /// The head; a response's has a status.
        head: HttpHead,
        /// Where the origin is, once that is known.
        origin: Option<IpAddr>,
    },
    /// A body.
    Body {
        /// The number of its exchange.
        exchange: u64,
        /// Which way it went.
        direction: Direction,
        /// Its bytes with their content coding, as far as they were kept.
        data: Box<[u8]>,
        /// Its whole size in bytes.
        size: u64,
        /// What rules did; then there is no coding.
        ruled: Option<Ruled>,
    },
    /// An exchange whose heads and bodies were told is over.
    Over {
        /// The number of the exchange.
        exchange: u64,
        /// The status that the client got.
        status: Option<u16>,
        /// Until the response's head.
        wait: Duration,
        /// Until its end.
        total: Duration,
        /// Why the proxy answered itself or it broke off.
        error: Option<&'static str>,
        /// The same in words.
        detail: Option<String>,
    },
    /// A rule found something.
    Finding {
        /// The rule's name.
        rule: Arc<str>,
        /// What the rule does.
        action: &'static str,
        /// Whether it was done.
        enforced: bool,
        /// What all rules together came to.
        verdict: &'static str,
        /// How often it matched.
        matches: u32,
        /// The part of the traffic.
        surface: &'static str,
        /// Which way it went.
        direction: &'static str,
        /// The path without its query.
        path: String,
        /// The surroundings of the first match, with the match masked.
        excerpt: Option<String>,
        /// What a scanner called it.
        detail: Option<String>,
    },
    /// Something could not be looked into.
    Uninspected {
        /// Why.
        reason: &'static str,
        /// Whether it was stopped for that.
        stopped: bool,
        /// The part of the traffic.
        surface: &'static str,
        /// Which way it went.
        direction: &'static str,
        /// The path without its query.
        path: String,
    },
    /// A client refused the certificate.
    RefusedCa {
        /// What the client asked for.
        server_name: String,
        /// The TLS alert.
        alert: String,
    },
    /// The configuration was loaded again, or not.
    Reloaded {
        /// Why not.
        error: Option<String>,
    },
}

/// What rules did to content.
#[derive(Debug)]
pub struct Ruled {
    /// The word for it.
    pub verdict: &'static str,
    /// The rules that acted.
    pub rules: Vec<Arc<str>>,
}

impl Ruled {
    /// As it is stated.
    pub fn of(judgement: &Judgement) -> Self {
        let acted = judgement.findings.iter().filter(|finding| finding.enforced);
        Self {
            verdict: judgement.verdict.label(),
            rules: acted.map(|finding| Arc::clone(&finding.rule)).collect(),
        }
    }
}

impl EventKind {
    /// Its topic.
    pub const fn topic(&self) -> LiveTopic {
        match self {
            Self::Ended { .. } => LiveTopic::Connections,
            Self::Request { .. } => LiveTopic::Requests,
            Self::Opened { .. } | Self::Closed { .. } => LiveTopic::WebSockets,
            Self::Message { .. } => LiveTopic::Messages,
            Self::Head { .. } | Self::Body { .. } | Self::Over { .. } => LiveTopic::Bodies,
            Self::Finding { .. } | Self::Uninspected { .. } => LiveTopic::Findings,
            Self::RefusedCa { .. } => LiveTopic::Refusals,
            Self::Reloaded { .. } => LiveTopic::Reloads,
        }
    }
}
