//! What happened, as the stages state it.

use super::admin::refused::RefusedAdmin;
use super::ending::Ending;
use crate::accept::{ClientLimit, Who};
use crate::admit::{Answer, CredentialsJudged};
use crate::decide::{ActKind, Matched, Observed, Reason, Verdict};
use crate::dial::{DialOutcome, LookUpOutcome, LookUpSource, ParentOutcome};
use crate::error::Side;
use crate::handshake::{FetchOutcome, HandshakeOutcome, LeafKey, Revocation};
use crate::http::{Flood, RequestDone, RequestId, WebSocketInfo};
use crate::identity::Identity;
use crate::inspect::{
    About, Background, Blind, Judgement, Onlookers, RecordedContent, Room, ScanOutcome, SessionFacts,
};
use crate::relay::{Batch, OpaqueTotals, WebSocketTotals};
use crate::wire::frame::Direction;
use crate::wire::names::Authority;
use crate::wire::proxy_protocol::Told;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Every fact that a stage may state.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client connected.
    Accepted,
    /// Accepting failed (out of descriptors, for instance).
    AcceptFailed(&'a std::io::Error),
    /// The policy has decided about a connection or a request.
    Decided(&'a Verdict),
    /// A rule of the policy's table has let a request pass, or wants to know who asks.
    RuleReached(&'a Arc<str>),
    /// A rule of the policy would have decided if it were not only observed.
    PolicyObserved {
        /// Whose connection or request it was.
        who: &'a Who,
        /// What was asked for.
        target: &'a Authority,
        /// Which rule, and what it would have done.
        observed: &'a Observed,
    },
    /// A name was looked up.
    LookedUp(LookUpSource, LookUpOutcome),
    /// DNS servers were asked.
    Queried {
        /// What they said.
        outcome: LookUpOutcome,
        /// How long it took.
        took: Duration,
        /// How many answers are in the cache from now on.
        kept: usize,
    },
    /// The origin was dialled.
    Dialled(DialOutcome, Duration),
    /// A parent was asked for a connection.
    ParentAsked {
        /// Its name.
        parent: &'a str,
        /// What came of it.
        outcome: ParentOutcome,
        /// How long that took.
        took: Duration,
    },
    /// A parent counts as well from now on, or is left alone.
    ParentHealth {
        /// Its name.
        parent: &'a str,
        /// Whether it is well.
        is_well: bool,
        /// Why not.
        why: &'a str,
    },
    /// All parents have failed, and the origin was dialled.
    WentDirect,
    /// A TLS handshake ended.
    Handshake(Side, HandshakeOutcome, Duration),
    /// A TLS handshake of a client with the proxy itself ended.
    ListenerHandshake(HandshakeOutcome, Duration),
    /// A certificate was needed for a client.
    Leaf {
        /// The kind of its key.
        key: LeafKey,
        /// How long minting took; `None` for a cache hit.
        minted: Option<Duration>,
    },
    /// An intermediate was fetched that an origin did not send, or could not be.
    IntermediateFetched(FetchOutcome, Duration),
    /// A certificate revocation list was fetched, or could not be.
    CrlFetched(FetchOutcome, Duration),
    /// From now on, these revocation lists are in use: the source of each, and its nextUpdate in seconds since 1970; `None`
    /// where there is none yet.
    CrlsInUse(&'a [(String, Option<i64>)]),
    /// An origin's certificate was looked up for its revocation.
    RevocationChecked(Revocation),
    /// A client refused the forged certificate.
    ClientRefusedCa {
        /// Which client, on which connection.
        who: &'a Who,
        /// What the client asked for.
        server_name: &'a str,
        /// The TLS alert, or `closed` for a close right after the certificate.
        alert: &'a str,
    },
    /// An exchange ended.
    Request(&'a RequestDone),
    /// A request could not be parsed, and was answered 400 without becoming an exchange.
    MalformedRequest,
    /// A client's HTTP/2 connection was closed for asking too much.
    Flooded(Flood),
    /// A client was refused something since it has reached a limit of its own.
    Limited(ClientLimit),
    /// The HTTP/2 of an origin could not be understood: it is spoken to over HTTP/1.1 from now on.
    Http1Fallback {
        /// Whose connection showed it.
        who: &'a Who,
        /// The name or address of the origin.
        host: &'a str,
    },
    /// Credentials were judged, or missed.
    Login(&'a CredentialsJudged<'a>),
    /// A directory was asked for a user.
    DirectoryAsked {
        /// Its kind.
        directory: &'static str,
        /// What it said.
        answer: Answer,
        /// How long that took.
        took: Duration,
    },
    /// A server of a directory did not answer, and is left alone for a while.
    DirectoryServerFailed {
        /// The directory's kind.
        directory: &'static str,
        /// The server's URL.
        server: &'a str,
        /// The cause in words.
        why: &'a str,
    },
    /// From now on, no directory is asked for a name, since there were too many wrong passwords for it.
    LockedOut {
        /// The name, which nobody has verified.
        claimed: &'a str,
        /// Whose password was the last of them.
        client: IpAddr,
        /// How many there were.
        attempts: u32,
        /// For how long at least.
        rest: Duration,
    },
    /// A WebSocket is open.
    WebSocketOpened(OpenWebSocket<'a>),
    /// A WebSocket is still open.
    WebSocketOpen {
        /// Which.
        socket: OpenWebSocket<'a>,
        /// What has passed on it so far.
        totals: &'a WebSocketTotals,
        /// How long it has been open.
        open: Duration,
    },
    /// A WebSocket ended.
    WebSocketClosed {
        /// Which.
        socket: OpenWebSocket<'a>,
        /// What passed on it, and how it ended.
        totals: &'a WebSocketTotals,
        /// How long it was open.
        open: Duration,
    },
    /// Frames of a WebSocket were passed on.
    Batch(&'a Batch),
    /// A pong of this side answered a ping after this time.
    Pong(Side, Duration),
    /// A message, head or body was judged, and a rule matched.
    Judged {
        /// Whose it is.
        facts: &'a SessionFacts,
        /// What it is.
        about: &'a About,
        /// What the rules found and want.
        judgement: &'a Judgement,
    },
    /// Something could not be looked into.
    Blind {
        /// Whose it is.
        facts: &'a SessionFacts,
        /// What it is.
        about: &'a About,
        /// What kept the proxy from looking.
        why: Blind,
        /// Whether it was stopped for that.
        stopped: bool,
    },
    /// A text message of this direction is not UTF-8.
    InvalidUtf8(Direction),
    /// A message was written anew.
    Reframed {
        /// Which way it went.
        direction: Direction,
        /// Its payload as it came, in bytes.
        before: u64,
        /// Its payload as it went on.
        after: u64,
    },
    /// Content was decoded.
    Inflated {
        /// Its bytes as they came.
        compressed: u64,
        /// Its bytes as they became.
        plain: u64,
    },
    /// A scan ended.
    Scanned {
        /// The scanner's name.
        scanner: &'a str,
        /// What it said.
        outcome: &'a ScanOutcome,
        /// How long it took.
        took: Duration,
    },
    /// Something became of a scan that nothing waits for.
    Background(Background),
    /// Content of a session that somebody looks on at.
    Content {
        /// Whose it is.
        facts: &'a Arc<SessionFacts>,
        /// Who looks on.
        onlookers: Onlookers,
        /// What it is.
        content: &'a RecordedContent<'a>,
    },
    /// A connection ended; stated exactly once for each `Accepted`.
    Ended(&'a ConnectionRecord),
    /// A request for the admin pages was refused.
    AdminRefused(&'a RefusedAdmin<'a>),
    /// From now on, leaves are signed by a CA that is good until then.
    CaInUse {
        /// The end of its certificate.
        not_after: SystemTime,
    },
    /// What content takes that waits inside the proxy is counted here.
    Keeping(&'a Arc<Room>),
    /// The configuration was loaded again, or not.
    Reloaded(Result<(), &'a str>),
}

/// One WebSocket, in everything that is stated of it.
#[derive(Debug, Clone, Copy)]
pub struct OpenWebSocket<'a> {
    /// Unique in this process: a connection of HTTP/2 carries several.
    pub id: u64,
    /// Whose it is, on which connection.
    pub who: &'a Who,
    /// What its handshake said.
    pub info: &'a WebSocketInfo,
}

/// What events are about, as far as sinks choose between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The process itself.
    Process,
    /// Connections from accept to end: verdicts, dials, handshakes, certificates.
    Connections,
    /// Requests, and what clients of HTTP/2 may not do.
    Requests,
    /// Who clients are.
    Logins,
    /// WebSockets as a whole.
    WebSockets,
    /// What passes on WebSockets: told once for each read.
    Frames,
    /// What inspection found and did.
    Inspection,
    /// Content that is recorded or watched.
    Content,
}

impl Topic {
    /// Every topic, each at the place of its number.
    pub const ALL: [Self; 8] = [
        Self::Process,
        Self::Connections,
        Self::Requests,
        Self::Logins,
        Self::WebSockets,
        Self::Frames,
        Self::Inspection,
        Self::Content,
    ];
}

impl Event<'_> {
    /// What it is about.
    pub const fn topic(&self) -> Topic {
        match self {
            Self::AcceptFailed(_)
            | Self::AdminRefused(_)
            | Self::CaInUse { .. }
            | Self::CrlFetched(..)
            | Self::CrlsInUse(_)
            | Self::Keeping(_)
            | Self::ParentHealth { .. }
            | Self::Reloaded(_) => Topic::Process,
            Self::Accepted
            | Self::Decided(_)
            | Self::PolicyObserved { .. }
            | Self::RuleReached(_)
            | Self::LookedUp(..)
            | Self::Queried { .. }
            | Self::Dialled(..)
            | Self::ParentAsked { .. }
            | Self::WentDirect
            | Self::Handshake(..)
            | Self::ListenerHandshake(..)
            | Self::IntermediateFetched(..)
            | Self::RevocationChecked(_)
            | Self::Leaf { .. }
            | Self::ClientRefusedCa { .. }
            | Self::Limited(_)
            | Self::Ended(_) => Topic::Connections,
            Self::Request(_) | Self::MalformedRequest | Self::Flooded(_) | Self::Http1Fallback { .. } => {
                Topic::Requests
            }
            Self::Login(_)
            | Self::DirectoryAsked { .. }
            | Self::DirectoryServerFailed { .. }
            | Self::LockedOut { .. } => Topic::Logins,
            Self::WebSocketOpened(_) | Self::WebSocketOpen { .. } | Self::WebSocketClosed { .. } => {
                Topic::WebSockets
            }
            Self::Batch(_) | Self::Pong(..) => Topic::Frames,
            Self::Judged { .. }
            | Self::Blind { .. }
            | Self::InvalidUtf8(_)
            | Self::Reframed { .. }
            | Self::Inflated { .. }
            | Self::Scanned { .. }
            | Self::Background(_) => Topic::Inspection,
            Self::Content { .. } => Topic::Content,
        }
    }
}

/// One connection, from accept to its end.
#[derive(Debug, Clone)]
pub struct ConnectionRecord {
    /// Unique in this process.
    pub connection: u64,
    /// The address and port of the client.
    pub client: SocketAddr,
    /// The name of the listener that it came in by.
    pub listener: Arc<str>,
    /// Who has connected and said whose it is, where that is somebody else.
    pub peer: Option<SocketAddr>,
    /// What else was said of the client.
    pub told: Option<Box<Told>>,
    /// Who the client has shown to be, where that is known.
    pub user: Option<Arc<Identity>>,
    /// TLS with the proxy itself, for instance `TLSv1.3`.
    pub proxy_tls: Option<&'static str>,
    /// The connection whose HTTP/2 stream this is.
    pub inside: Option<u64>,
    /// What was asked for; `None` if the request never came or could not be read.
    pub target: Option<Authority>,
    /// The address that was dialled; `None` where that was a parent's to do.
    pub origin: Option<SocketAddr>,
    /// The parent that was asked, or the last of them.
    pub parent: Option<Arc<str>>,
    /// The SNI of the ClientHello.
    pub sni: Option<String>,
    /// What was decided; `None` before a verdict was reached.
    pub action: Option<ActKind>,
    /// The verdict's reason.
    pub reason: Option<Reason>,
    /// The rule of the policy's table that led to the verdict, if one did.
    pub rule: Option<Arc<str>>,
    /// The entry of a list that led to the verdict, if one did.
    pub matched: Option<Matched>,
    /// Negotiated with the client, for instance `TLSv1.3`.
    pub tls_version: Option<&'static str>,
    /// The protocol that was agreed on with the client by ALPN (RFC 7301), for instance `h2`.
    pub alpn: Option<Cow<'static, str>>,
    /// Where intermediates came from that the origin did not send.
    pub chain: Option<&'static str>,
    /// How many requests were served on it.
    pub requests: u64,
    /// What the last request is called that was answered with why the connection leads nowhere.
    pub request_id: Option<RequestId>,
    /// What an opaque tunnel carried.
    pub tunnel: Option<OpaqueTotals>,
    /// How it ended.
    pub ending: Ending,
    /// The cause in words, for people.
    pub detail: Option<String>,
    /// From accept to end.
    pub duration: Duration,
}

impl ConnectionRecord {
    /// Who has connected, whoever it speaks for.
    pub fn peer(&self) -> SocketAddr {
        self.peer.unwrap_or(self.client)
    }

    /// Who is served on it.
    pub fn who(&self) -> Who {
        Who {
            connection: self.connection,
            client: self.client.ip().to_canonical(),
            user: self.user.clone(),
        }
    }
}

// The number of a topic is its place among the listeners.
const _: () = {
    let mut at = 0;
    while at < Topic::ALL.len() {
        assert!(Topic::ALL[at] as usize == at);
        at += 1;
    }
};
