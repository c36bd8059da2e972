//! What was found out on one road. Nothing here judges.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of failure it is.
    pub kind: TroubleKind,
    /// What happened, for people.
    pub text: String,
}

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// A name has no address.
    Name,
    /// Nobody listens there.
    Refused,
    /// Nothing came in time.
    Silence,
    /// The connection ended.
    Ended,
    /// TLS failed.
    Tls,
    /// What came is no valid answer.
    Invalid,
    /// There is no ticket that could be shown to the proxy.
    Ticket,
    /// Another failure of the system's.
    Other,
}

impl Trouble {
    /// A failure of a kind.
    pub fn new(kind: TroubleKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// Nothing came for so long.
    pub fn silence(waited: Duration) -> Self {
        Self::new(
            TroubleKind::Silence,
            format!("no answer within {}", shown(waited)),
        )
    }
}

/// A result, and how long it took.
#[derive(Debug, Clone)]
pub struct Timed<T> {
    /// What came of it.
    pub result: Result<T, Trouble>,
    /// How long it took.
    pub took: Duration,
}

impl<T> Timed<T> {
    /// What came of it, if it worked.
    pub fn good(&self) -> Option<&T> {
        self.result.as_ref().ok()
    }

    /// What went wrong.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.result.as_ref().err()
    }
}

/// A duration as people read it.
pub fn shown(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match duration {
        d if d < Duration::from_millis(10) => format!("{millis:.1} ms"),
        d if d < Duration::from_secs(1) => format!("{millis:.0} ms"),
        d if d < Duration::from_secs(10) => format!("{:.1} s", d.as_secs_f64()),
        d => format!("{:.0} s", d.as_secs_f64()),
    }
}

/// An answer's status, and the fields by which whoever wrote it may be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Name: value`, of the fields that proxies write.
    pub marks: Vec<String>,
    /// The schemes of authentication that it asks for by `Proxy-Authenticate`.
    pub schemes: Vec<String>,
}

impl Answer {
    /// Fields that only a proxy writes which answered by itself.
    pub fn is_by_proxy(&self) -> bool {
        const OWN: [&str; 3] = ["proxy-status:", "x-squid-error:", "x-bluecoat-via:"];
        self.status == 407
            || self.marks.iter().any(|mark| {
                let mark = mark.to_ascii_lowercase();
                match mark.strip_prefix("proxy-status:") {
                    // Passed on, it tells of an answer that came from further on.
                    Some(status) => status.contains("error="),
                    None => OWN.iter().any(|own| mark.starts_with(own)),
                }
            })
    }
}

/// A certificate's chain, judged.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Whom the leaf was signed by.
    pub issuer: String,
    /// The SHA-256 of the leaf.
    pub leaf: Vec<u8>,
    /// Why the public roots do not accept it, if they do not.
    pub public: Option<String>,
    /// The same for this machine's roots.
    pub system: Option<String>,
    /// The same for each file of roots that was given, with its name.
    pub given: Vec<(String, Option<String>)>,
    /// Whether the CA of this machine's own wsbump signed it.
    pub is_by_wsbump: bool,
    /// What a client that goes strictly by RFC 5280 refuses, though it trusts the root.
    pub strict: Vec<String>,
    /// Whether it names a place where its revocation can be looked up.
    pub has_revocation: bool,
}

impl Trust {
    /// Whether the public roots, this machine's, or given ones accept it.
    pub fn is_accepted(&self) -> bool {
        self.public.is_none() || self.is_accepted_here()
    }

    /// Whether this machine's roots or given ones accept it.
    pub fn is_accepted_here(&self) -> bool {
        self.system.is_none() || self.given.iter().any(|(_, problem)| problem.is_none())
    }

    /// What is wrong with it in the words of whoever comes closest to accepting it: an unknown issuer hides all else.
    pub fn problem(&self) -> Option<&str> {
        if self.is_accepted() {
            return None;
        }
        let given = self.given.iter().map(|(_, problem)| problem);
        let all = [&self.public, &self.system].into_iter().chain(given);
        let mut all = all.filter_map(|problem| problem.as_deref());
        let first = all.clone().next();
        all.find(|problem| !is_unknown(problem)).or(first)
    }

    /// Whether a public CA has signed it, valid or not.
    pub fn is_by_public_ca(&self) -> bool {
        !self.public.as_deref().is_some_and(is_unknown)
    }

    /// Whether nobody who was asked knows its issuer.
    pub fn is_by_stranger(&self) -> bool {
        self.problem().is_some_and(is_unknown)
    }
}

/// How a chain is described whose root nobody knows.
pub(super) const UNKNOWN_ISSUER: &str = "its issuer is not known";

fn is_unknown(problem: &str) -> bool {
    problem.starts_with(UNKNOWN_ISSUER)
}

/// A TLS handshake.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// What was agreed on by ALPN.
    pub alpn: Option<String>,
    /// Whether the server asked for a client certificate; it got none.
    pub wants_certificate: bool,
    /// The chain, judged.
    pub trust: Trust,
}

/// How a WebSocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With a Close, its code and its reason.
    Close(Option<u16>, String),
    /// The connection was closed without one.
    Closed,
    /// The connection was reset.
    Reset,
    /// Something came that no WebSocket may send.
    Violation(String),
}

/// An end, and how old the WebSocket was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub how: End,
    /// When, since the answer to the upgrade.
    pub after: Duration,
}

/// What a WebSocket agreed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// What was answered to the upgrade.
    pub answer: Answer,
    /// Whether permessage-deflate is in use.
    pub deflate: bool,
}

/// Why a round trip did not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Nothing came. `late` says whether it came once the doctor had said goodbye: somebody had held it back.
    Silence {
        /// For how long.
        waited: Duration,
        /// It came when the socket was closed.
        late: bool,
    },
    /// The WebSocket ended first.
    Ended(Ended),
}

/// A round trip's time, or why there was none.
pub type Trip = Result<Duration, Lost>;

/// One WebSocket that was tried.
#[derive(Debug, Clone)]
pub struct Socket {
    /// The upgrade; not agreed on is a failure whose answer is in `refused`.
    pub upgrade: Timed<Opened>,
    /// What was answered instead of an agreement.
    pub refused: Option<Answer>,
    /// When the first message came that nobody had asked for.
    pub hello: Option<Duration>,
    /// A ping, or a text message of 200 bytes that was to be echoed.
    pub small: Option<Trip>,
    /// The same with 200 KiB.
    pub large: Option<Trip>,
    /// It ended by itself while the doctor watched.
    pub ended: Option<Ended>,
}

impl Socket {
    /// A WebSocket that did not come to be.
    pub fn failed(upgrade: Timed<Opened>, refused: Option<Answer>) -> Self {
        Self {
            upgrade,
            refused,
            hello: None,
            small: None,
            large: None,
            ended: None,
        }
    }

    /// Whether it was agreed on and carried everything.
    pub fn is_good(&self) -> bool {
        let carried = |trip: &Option<Trip>| matches!(trip, Some(Ok(_)));
        self.upgrade.result.is_ok() && carried(&self.small) && carried(&self.large) && self.ended.is_none()
    }

    /// How it ended, whoever noticed.
    pub fn end(&self) -> Option<&Ended> {
        let lost = [&self.small, &self.large]
            .into_iter()
            .find_map(|trip| match trip {
                Some(Err(Lost::Ended(ended))) => Some(ended),
                _ => None,
            });
        lost.or(self.ended.as_ref())
    }
}

/// A WebSocket over HTTP/2.
#[derive(Debug, Clone)]
pub enum OverHttp2 {
    /// SETTINGS do not offer it (RFC 8441 section 3).
    NotOffered,
    /// It was tried.
    Tried(Box<Socket>),
}

/// A WebSocket that was left alone.
#[derive(Debug, Clone)]
pub struct Silence {
    /// For how long it was to be.
    pub wanted: Duration,
    /// It was there at the end of that, and answered; or why not.
    pub result: Result<Duration, SilenceBroken>,
    /// Whether the server spoke in between: then it was no silence.
    pub spoken: bool,
}

/// Why a silence was not survived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SilenceBroken {
    /// It did not come to be.
    NotOpened(String),
    /// It ended before its time.
    Ended(Ended),
    /// It looked alive, and the ping at the end was not answered, or ended it.
    Dead(Lost),
}

/// What a SOCKS proxy made of the wish for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocksAnswer {
    /// The connection stands.
    Granted,
    /// It wants a user and a password, or another login that nobody can do here.
    WantsLogin,
    /// It does not accept the user and the password.
    LoginRefused,
    /// It says no, with this reply (RFC 1928 section 6).
    Refused(u8),
}

impl SocksAnswer {
    /// In words.
    pub fn text(self) -> String {
        match self {
            Self::Granted => "granted".to_owned(),
            Self::WantsLogin => "it wants a login that was not offered".to_owned(),
            Self::LoginRefused => "it does not accept the user and the password".to_owned(),
            Self::Refused(reply) => {
                let meaning = match reply {
                    1 => "it failed",
                    2 => "its rules do not allow it",
                    3 => "it has no way to that network",
                    4 => "it cannot reach the host",
                    5 => "the target refused it",
                    6 => "the target did not answer it",
                    7 => "it knows no CONNECT",
                    8 => "it does not take addresses of that kind",
                    _ => "it does not say why",
                };
                format!("refused: {meaning} (reply {reply})")
            }
        }
    }
}

/// Everything about one road to the target, in the order in which it is gone. What was not come to is `None`.
#[derive(Debug, Clone, Default)]
pub struct Road {
    /// The names that were looked up here: the proxy's, or the target's.
    pub names: Option<Timed<Vec<IpAddr>>>,
    /// The connection to the first of them that answered.
    pub dial: Option<Timed<SocketAddr>>,
    /// TLS with the proxy.
    pub proxy_tls: Option<Timed<Tls>>,
    /// The answer to CONNECT; a status other than 2xx is an answer too.
    pub connect: Option<Timed<Answer>>,
    /// What a SOCKS proxy answered.
    pub socks: Option<Timed<SocksAnswer>>,
    /// TLS with the target, or with who answers in its place.
    pub tls: Option<Timed<Tls>>,
    /// A request over HTTP/1.1.
    pub http1: Option<Timed<Answer>>,
    /// A request over HTTP/2; `None` also where the far side did not agree to it.
    pub http2: Option<Timed<Answer>>,
    /// A WebSocket without extensions, over HTTP/1.1.
    pub plain: Option<Socket>,
    /// The same with permessage-deflate on offer.
    pub deflate: Option<Socket>,
    /// A WebSocket over HTTP/2.
    pub over_http2: Option<OverHttp2>,
    /// WebSockets that were left alone.
    pub silences: Vec<Silence>,
}

impl Road {
    /// Whether a connection to the target stands: the CONNECT, if there is one, and TLS, if there is any.
    pub fn is_open(&self) -> bool {
        let works = |ok: Option<bool>| ok.unwrap_or(true);
        let granted = |connect: &Timed<Answer>| connect.good().is_some_and(|answer| answer.status / 100 == 2);
        self.dial.as_ref().is_some_and(|dial| dial.result.is_ok())
            && works(self.proxy_tls.as_ref().map(|tls| tls.result.is_ok()))
            && works(self.connect.as_ref().map(granted))
            && works(
                self.socks
                    .as_ref()
                    .map(|socks| socks.good() == Some(&SocksAnswer::Granted)),
            )
            && works(self.tls.as_ref().map(|tls| tls.result.is_ok()))
    }

    /// What the client saw of the target's certificate.
    pub fn trust(&self) -> Option<&Trust> {
        Some(&self.tls.as_ref()?.good()?.trust)
    }
}
