//! Who may read the admin pages. A browser on the operator's machine reaches the listener too, on behalf of any page that
//! is open in it, so that being reached says nothing.

use super::peer::AdminPeer;
use crate::wire::names::{Authority, Host};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Method, StatusCode, Uri, Version};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What is open to all who know the listener's name: there is nothing secret in it, and those who need it have no token.
const OPEN: [&str; 8] = [
    "/",
    "/style.css",
    "/healthz",
    "/readyz",
    "/ca.pem",
    "/ca.crt",
    "/bundle.pem",
    "/policies.json",
];

/// Where the admin pages are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// To whoever can reach this address.
    Tcp(SocketAddr),
    /// To whoever may write to this file.
    Unix(PathBuf),
}

impl AdminAddress {
    /// Whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A secret that a client shows (RFC 6750).
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

impl fmt::Debug for Token {
    /// What it is is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// The fewest characters that are hard to guess: 22 of base64 are 128 bits.
    const SHORTEST: usize = 22;

    /// A token as it stands in a file, with a line's end behind it.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let token = text.trim_ascii();
        if token.is_empty() {
            return Err("is empty; write a token, such as `openssl rand -hex 32` makes".into());
        }
        // token68 (RFC 9110 section 11.2).
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        if !token.iter().all(fits) {
            return Err("holds more than a token; write one line of letters, digits and -._~+/=".into());
        }
        if token.len() < Self::SHORTEST {
            let shortest = Self::SHORTEST;
            return Err(format!(
                "holds a token that can be guessed; write at least {shortest} characters, such as `openssl rand -hex 32` makes"
            ));
        }
        Ok(Self(token.to_vec()))
    }

    /// Whether this is it; how long that takes says nothing about it.
    pub(super) fn is(&self, shown: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, shown).is_ok()
    }
}

/// What a request must bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminAccess {
    /// Names that the listeners are known by beside their own addresses and `localhost`.
    pub names: Vec<Host>,
    /// What must be shown for what is not open.
    pub token: Option<Token>,
    /// Other machines may read everything without one.
    pub is_insecure: bool,
}

/// By which way a request has come.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// By a socket that no web page can reach.
    Unix(AdminPeer),
    /// By an address, on the listener of another that may stand for many.
    Tcp {
        listener: SocketAddr,
        local: IpAddr,
        client: IpAddr,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdminRefusal {
    /// It says for whom it is more than once, or not at all.
    BadHost,
    /// It is for somebody else.
    UnknownName,
    /// A page of another site has a browser ask.
    CrossSite,
    /// It shows no token, or a wrong one.
    Token,
    /// There is no token, and another machine may have asked.
    Insecure,
}

impl AdminRefusal {
    /// Every one of them, for metrics that start at zero.
    pub const ALL: [Self; 5] = [
        Self::BadHost,
        Self::UnknownName,
        Self::CrossSite,
        Self::Token,
        Self::Insecure,
    ];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadHost => "bad_host",
            Self::UnknownName => "unknown_name",
            Self::CrossSite => "cross_site",
            Self::Token => "token",
            Self::Insecure => "insecure",
        }
    }

    /// What the one who asked is answered.
    pub(in crate::report) const fn status(self) -> StatusCode {
        match self {
            Self::BadHost => StatusCode::BAD_REQUEST,
            // RFC 9110 section 15.5.20.
            Self::UnknownName => StatusCode::MISDIRECTED_REQUEST,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::Insecure => StatusCode::FORBIDDEN,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::BadHost => "one Host header is wanted\n",
            Self::UnknownName => {
                "this listener is not known by that name; admin.names in wsbump's configuration adds names\n"
            }
            Self::CrossSite => "pages of other sites may not read this\n",
            Self::Token => "a bearer token is wanted: the one in the file that admin.token names\n",
            Self::Insecure => {
                "other machines may read this only with a token: see admin.token in wsbump's configuration\n"
            }
        }
    }
}

impl Way {
    /// Who has come by it.
    pub(super) const fn peer(&self) -> AdminPeer {
        match self {
            Self::Unix(peer) => *peer,
            Self::Tcp { client, .. } => AdminPeer::Address(*client),
        }
    }
}

impl AdminAccess {
    /// Whether a request may be answered.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(
        &self,
        way: &Way,
        version: Version,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), AdminRefusal> {
        if let Way::Tcp { listener, local, .. } = way {
            self.check_host(*listener, *local, version, uri, headers)?;
            // What a browser says of itself cannot be forged by a page (Fetch Metadata Request Headers, section 2.3).
            let says = |name, value: &str| headers.get_all(name).iter().any(|said| said == value);
            if says("sec-fetch-site", "cross-site") {
                return Err(AdminRefusal::CrossSite);
            }
        }
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if is_read && OPEN.contains(&uri.path()) {
            return Ok(());
        }
        match (&self.token, way) {
            (Some(token), _) => match bearer(headers).is_some_and(|shown| token.is(shown)) {
                true => Ok(()),
                false => Err(AdminRefusal::Token),
            },
            (None, Way::Tcp { listener, .. })
                if !self.is_insecure && !AdminAddress::Tcp(*listener).is_local() =>
            {
                Err(AdminRefusal::Insecure)
            }
            (None, _) => Ok(()),
        }
    }

    /// A name that an attacker owns may lead here (DNS rebinding): a browser then takes the pages for that site's own.
    fn check_host(
        &self,
        listener: SocketAddr,
        local: IpAddr,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), AdminRefusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map_err(|_| AdminRefusal::BadHost)?,
            // Browsers have long forgotten HTTP/1.0.
            (None, _) if version < Version::HTTP_11 && uri.authority().is_none() => return Ok(()),
            _ => return Err(AdminRefusal::BadHost),
        };
        let mut said = [Some(host), uri.authority().map(|authority| authority.as_str())]
            .into_iter()
            .flatten();
        match said.all(|host| is_own_name(&self.names, host, listener, local)) {
            true => Ok(()),
            false => Err(AdminRefusal::UnknownName),
        }
    }
}

/// Whether a listener that was reached at `local` is known by this host, with a port or without.
pub fn is_own_name(names: &[Host], host: &str, listener: SocketAddr, local: IpAddr) -> bool {
    let Some(Authority { host, .. }) = Authority::parse(host, Some(80)) else {
        return false;
    };
    match &host {
        known if names.contains(known) => true,
        Host::Name(name) => name == "localhost",
        Host::Ip(address) => {
            let (address, listener) = (address.to_canonical(), listener.ip().to_canonical());
            // An address cannot be made to lead elsewhere. Who listens on all of them may be reached by one that it does
            // not have itself, such as that of the machine around a container.
            address == local.to_canonical() || address == listener || listener.is_unspecified()
        }
    }
}

/// The token of `Authorization: Bearer` (RFC 6750 section 2.1), if there is one alone.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (all.next()?.as_bytes(), all.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn local() -> Way {
        Way::Tcp {
            listener: "127.0.0.1:9128".parse().unwrap(),
            local: "127.0.0.1".parse().unwrap(),
            client: "127.0.0.1".parse().unwrap(),
        }
    }

    fn everywhere() -> Way {
        Way::Tcp {
            listener: "0.0.0.0:9128".parse().unwrap(),
            local: "192.0.2.1".parse().unwrap(),
            client: "198.51.100.1".parse().unwrap(),
        }
    }

    fn ask(
        access: &AdminAccess,
        way: &Way,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(), AdminRefusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        access.check(way, Version::HTTP_11, &Method::GET, &path.parse().unwrap(), &map)
    }

    #[test]
    fn only_names_that_the_listener_is_known_by_are_answered() {
        let access = AdminAccess {
            names: ["proxy.example", "198.51.100.9"]
                .into_iter()
                .filter_map(Host::parse)
                .collect(),
            is_insecure: true,
            ..AdminAccess::default()
        };
        for (host, here, anywhere) in [
            ("127.0.0.1:9128", true, true),
            ("127.0.0.1", true, true),
            ("localhost:9128", true, true),
            ("LocalHost.", true, true),
            ("proxy.example", true, true),
            ("PROXY.example.:80", true, true),
            ("198.51.100.9:1", true, true),
            ("192.0.2.1:9128", false, true),
            ("203.0.113.5", false, true),
            ("[::ffff:127.0.0.1]:9128", true, true),
            ("[::1]:9128", false, true),
            ("attacker.example", false, false),
            ("attacker.example:9128", false, false),
            ("127.0.0.1.attacker.example", false, false),
            ("localhost.attacker.example", false, false),
            ("127.0.0.1:9128@attacker.example", false, false),
            ("", false, false),
            (":9128", false, false),
        ] {
            for (way, right) in [(local(), here), (everywhere(), anywhere)] {
                let asked = ask(&access, &way, "/metrics", &[("host", host)]);
                let wanted = if right {
                    Ok(())
                } else {
                    Err(AdminRefusal::UnknownName)
                };
                assert_eq!(asked, wanted, "{host} by {way:?}");
            }
        }
        // No page reaches a socket's file.
        assert_eq!(
            ask(
                &access,
                &Way::Unix(AdminPeer::Unknown),
                "/metrics",
                &[("host", "whatever")]
            ),
            Ok(())
        );
    }

    #[test]
    fn what_is_asked_for_is_said_once() {
        let access = AdminAccess::default();
        let hosts = |headers| ask(&access, &local(), "/metrics", headers);
        assert_eq!(hosts(&[]), Err(AdminRefusal::BadHost));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(hosts(&twice), Err(AdminRefusal::BadHost));
        let absolute = |host| {
            ask(
                &access,
                &local(),
                "http://attacker.example/metrics",
                &[("host", host)],
            )
        };
        assert_eq!(absolute("localhost"), Err(AdminRefusal::UnknownName));
        let uri = Uri::from_static("/metrics");
        let old = access.check(&local(), Version::HTTP_10, &Method::GET, &uri, &HeaderMap::new());
        assert_eq!(old, Ok(()));
    }

    #[test]
    fn a_page_of_another_site_is_refused_whatever_it_shows() {
        let access = AdminAccess {
            token: Some(Token::parse(SECRET.as_bytes()).unwrap()),
            ..AdminAccess::default()
        };
        let bearer = format!("Bearer {SECRET}");
        for (site, path, wanted) in [
            ("cross-site", "/metrics", Err(AdminRefusal::CrossSite)),
            ("cross-site", "/healthz", Err(AdminRefusal::CrossSite)),
            ("same-origin", "/metrics", Ok(())),
            ("none", "/metrics", Ok(())),
        ] {
            let headers = [
                ("host", "localhost"),
                ("sec-fetch-site", site),
                ("authorization", &bearer),
            ];
            assert_eq!(ask(&access, &local(), path, &headers), wanted, "{site} {path}");
        }
    }

    #[test]
    fn a_token_is_asked_for_everywhere_but_for_what_is_open() {
        let access = AdminAccess {
            token: Some(Token::parse(format!("{SECRET}\n").as_bytes()).unwrap()),
            ..AdminAccess::default()
        };
        for way in [Way::Unix(AdminPeer::Unknown), local(), everywhere()] {
            let shown = |value: &str| {
                ask(
                    &access,
                    &way,
                    "/metrics",
                    &[("host", "localhost"), ("authorization", value)],
                )
            };
            assert_eq!(shown(&format!("Bearer {SECRET}")), Ok(()));
            assert_eq!(shown(&format!("bearer  {SECRET}")), Ok(()));
            for wrong in [
                "",
                "Bearer",
                "Bearer ",
                "Basic eA==",
                SECRET,
                &format!("Bearer {SECRET}x"),
                &format!("Bearer {}", &SECRET[1..]),
            ] {
                assert_eq!(shown(wrong), Err(AdminRefusal::Token), "{wrong}");
            }
            for path in OPEN {
                assert_eq!(
                    ask(&access, &way, path, &[("host", "localhost")]),
                    Ok(()),
                    "{path}"
                );
            }
            for path in ["/metrics", "/metrics/", "/nowhere", "//", "/healthz/x"] {
                let asked = ask(&access, &way, path, &[("host", "localhost")]);
                assert_eq!(asked, Err(AdminRefusal::Token), "{path}");
            }
        }
        let twice = [
            ("host", "localhost"),
            ("authorization", "Bearer x"),
            ("authorization", "Bearer x"),
        ];
        assert_eq!(
            ask(&access, &local(), "/metrics", &twice),
            Err(AdminRefusal::Token)
        );
    }

    #[test]
    fn without_a_token_other_machines_read_only_what_is_open() {
        let access = AdminAccess::default();
        let host = [("host", "192.0.2.1")];
        assert_eq!(
            ask(&access, &everywhere(), "/metrics", &host),
            Err(AdminRefusal::Insecure)
        );
        assert_eq!(ask(&access, &everywhere(), "/ca.pem", &host), Ok(()));
        let insecure = AdminAccess {
            is_insecure: true,
            ..access
        };
        assert_eq!(ask(&insecure, &everywhere(), "/metrics", &host), Ok(()));
    }

    #[test]
    fn a_token_is_one_that_is_hard_to_guess() {
        for (text, word) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("changeme", "can be guessed"),
            ("two words that are long enough", "more than a token"),
            (
                "0123456789abcdef0123456789abcdef\n0123456789abcdef",
                "more than a token",
            ),
        ] {
            let error = Token::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let token = Token::parse(b"  aGVsbG8gaGVsbG8gaGVsbG8=\r\n").unwrap();
        assert!(token.is(b"aGVsbG8gaGVsbG8gaGVsbG8="));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
