//! Which proxy is used, and why.

use super::target::{Target, clean};
use crate::wire::names::{Authority, Host};
use base64::prelude::{BASE64_STANDARD, Engine};
use ipnet::IpNet;
use std::fmt;
use zeroize::Zeroizing;

/// What is spoken with a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP in clear.
    Http,
    /// HTTP inside TLS.
    Https,
    /// SOCKS 5 (RFC 1928).
    Socks5 {
        /// The proxy resolves names, and not this machine.
        by_name: bool,
    },
}

impl ProxyKind {
    const ALL: [Self; 4] = [
        Self::Http,
        Self::Https,
        Self::Socks5 { by_name: false },
        Self::Socks5 { by_name: true },
    ];

    /// The scheme of its URL, as curl writes it.
    const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 { by_name: false } => "socks5",
            Self::Socks5 { by_name: true } => "socks5h",
        }
    }

    /// The port where a URL names none: what curl takes.
    const fn usual_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http | Self::Socks5 { .. } => 1080,
        }
    }
}

/// A user and a password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: Zeroizing<Vec<u8>>,
    pub(super) password: Zeroizing<Vec<u8>>,
}

/// Where a proxy is, and what it is shown.
#[derive(Clone)]
pub struct ProxyUrl {
    /// What is spoken with it.
    pub kind: ProxyKind,
    /// Where it is.
    pub authority: Authority,
    /// The user and the password in the URL.
    pub(super) login: Option<Login>,
}

impl ProxyUrl {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]`, the same with `https`, `socks5` or `socks5h`, or `HOST[:PORT]`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right; without the URL, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let known = |kind: &ProxyKind| kind.scheme().eq_ignore_ascii_case(scheme);
                let kind = ProxyKind::ALL.into_iter().find(known).ok_or_else(|| {
                    format!(
                        "is a {} proxy, and the doctor speaks with http://, https://, socks5:// and socks5h:// proxies",
                        clean(scheme.as_bytes())
                    )
                })?;
                (kind, rest)
            }
            None => (ProxyKind::Http, text),
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let authority = Authority::parse(authority, Some(kind.usual_port()))
            .ok_or("names no host that can be dialled; write http://HOST:PORT")?;
        let login = user.map(|user| {
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            Login {
                user: percent_decoded(user),
                password: percent_decoded(password),
            }
        });
        let fits = |part: &[u8]| (1..=255).contains(&part.len());
        if let (ProxyKind::Socks5 { .. }, Some(login)) = (kind, &login)
            && !(fits(&login.user) && fits(&login.password))
        {
            return Err(
                "has a user or a password that SOCKS cannot say: each has 1 to 255 bytes (RFC 1929)"
                    .to_owned(),
            );
        }
        Ok(Self {
            kind,
            authority,
            login,
        })
    }

    /// Whether it holds a user and a password.
    pub fn has_credentials(&self) -> bool {
        self.login.is_some()
    }

    /// Whether TLS is spoken with the proxy itself.
    pub fn is_tls(&self) -> bool {
        self.kind == ProxyKind::Https
    }

    /// The value of `Proxy-Authorization` (RFC 7617).
    pub(super) fn basic(&self) -> Option<Zeroizing<String>> {
        let login = self.login.as_ref()?;
        let mut plain = Zeroizing::new(Vec::with_capacity(login.user.len() + login.password.len() + 1));
        plain.extend_from_slice(&login.user);
        plain.push(b':');
        plain.extend_from_slice(&login.password);
        Some(Zeroizing::new(format!(
            "Basic {}",
            BASE64_STANDARD.encode(&*plain)
        )))
    }
}

/// Without the user and the password.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.kind.scheme();
        let user = if self.has_credentials() { "...@" } else { "" };
        write!(f, "{scheme}://{user}{}", self.authority)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn percent_decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%');
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    plain
}

/// Which proxy is used, and why.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The proxy; `None` goes directly.
    pub proxy: Option<ProxyUrl>,
    /// Whose word that is.
    pub why: String,
    /// What other programs may make of the same settings.
    pub notes: Vec<String>,
}

/// Chooses as most programs do: what was `asked` for (`none` for no proxy), or else the environment.
///
/// # Errors
/// What was asked for, or what the environment names, is no proxy.
pub fn choose(
    target: &Target,
    asked: Option<&str>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Choice, String> {
    let mut notes = Vec::new();
    if let Some(asked) = asked {
        let proxy = match asked {
            "none" | "direct" => None,
            url => Some(ProxyUrl::parse(url).map_err(|error| format!("--proxy {error}"))?),
        };
        notes.extend(proxy.as_ref().and_then(|proxy| who_resolves(proxy, target)));
        return Ok(Choice {
            proxy,
            why: "--proxy says so".to_owned(),
            notes,
        });
    }
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let own = if target.scheme.is_tls() {
        "https_proxy"
    } else {
        "http_proxy"
    };
    let mut found: Option<(String, String)> = None;
    for name in [own, "all_proxy"] {
        let upper = name.to_ascii_uppercase();
        let (small, large) = (set(name), set(&upper));
        if let (Some(small), Some(large)) = (&small, &large)
            && small != large
        {
            notes.push(format!(
                "{name} and {upper} differ: programs do not agree which of them counts"
            ));
        }
        if small.is_none() && large.is_some() && name == "http_proxy" {
            notes.push(
                "HTTP_PROXY alone is ignored by curl, and used by others; set http_proxy too".to_owned(),
            );
        }
        let value = small
            .map(|value| (name.to_owned(), value))
            .or(large.map(|value| (upper, value)));
        found = found.or(value);
    }
    if target.scheme.is_websocket() && found.is_some() {
        notes.push("many WebSocket libraries do not look at these variables: if the proxy's log has no CONNECT of the program that fails, give its library the proxy".to_owned());
    }
    let Some((name, value)) = found else {
        return Ok(Choice {
            proxy: None,
            why: format!("neither --proxy nor {own} nor all_proxy is set"),
            notes,
        });
    };
    let excepted = set("no_proxy")
        .map(|value| ("no_proxy", value))
        .or_else(|| set("NO_PROXY").map(|value| ("NO_PROXY", value)));
    if let Some((exception, list)) = excepted {
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        for entry in entries {
            if let Some(warning) = ambiguity(entry, target) {
                notes.push(format!("an entry of {exception} {warning}"));
            }
            if excepts(entry, target) {
                return Ok(Choice {
                    proxy: None,
                    why: format!("{exception} has the entry {:?}", clean(entry.as_bytes())),
                    notes,
                });
            }
        }
    }
    let proxy = ProxyUrl::parse(value.trim()).map_err(|error| format!("{name} {error}"))?;
    notes.extend(who_resolves(&proxy, target));
    Ok(Choice {
        proxy: Some(proxy),
        why: format!("the environment has {name}"),
        notes,
    })
}

/// What programs do not agree on, of a SOCKS proxy.
fn who_resolves(proxy: &ProxyUrl, target: &Target) -> Option<String> {
    let here = ProxyKind::Socks5 { by_name: false };
    (proxy.kind == here && target.name().is_some()).then(|| {
        "programs do not agree who resolves names for socks5://: curl and Python do it here, as the doctor does, browsers and Node leave it to the proxy; socks5h:// always leaves it to the proxy".to_owned()
    })
}

/// Whether an entry of `no_proxy` names the target, as curl reads it: the domain and what is below it, an address, or a
/// network; a port counts where one is written.
fn excepts(entry: &str, target: &Target) -> bool {
    if entry == "*" {
        return true;
    }
    let Host::Name(name) = &target.authority.host else {
        let Host::Ip(ip) = &target.authority.host else {
            return false;
        };
        let net = entry.parse::<IpNet>().is_ok_and(|net| net.contains(ip));
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        return net || bare.parse() == Ok(*ip) || entry == target.authority.to_string();
    };
    let (domain, port) = match entry.rsplit_once(':') {
        Some((domain, port)) => (domain, port.parse::<u16>().ok()),
        None => (entry, None),
    };
    let domain = domain
        .trim_start_matches('*')
        .trim_matches('.')
        .to_ascii_lowercase();
    let below = name
        .strip_suffix(&domain)
        .is_some_and(|left| left.is_empty() || left.ends_with('.'));
    !domain.is_empty() && below && port.is_none_or(|port| port == target.authority.port)
}

/// What programs do not agree on, of an entry that is about the target.
fn ambiguity(entry: &str, target: &Target) -> Option<&'static str> {
    if !excepts(entry, target) || entry == "*" {
        return None;
    }
    if entry.starts_with("*.") {
        return Some("begins with \"*.\", which many programs take for a name; write the domain alone");
    }
    if entry.contains('/') {
        return Some("is a network, which many programs do not understand");
    }
    if target.name().is_some() && entry.contains(':') {
        return Some("has a port, which many programs do not understand");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    fn chosen(url: &str, env: &[(&str, &str)]) -> Choice {
        let env = |name: &str| {
            let set = env.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        choose(&target(url), None, env).unwrap()
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let proxy = ProxyUrl::parse("http://ada:p%40ss:x@proxy.example:3128/").unwrap();
        assert_eq!(proxy.to_string(), "http://...@proxy.example:3128");
        assert_eq!(format!("{proxy:?}"), "http://...@proxy.example:3128");
        let sent = BASE64_STANDARD.decode(&proxy.basic().unwrap()[6..]).unwrap();
        assert_eq!(sent, b"ada:p@ss:x");
        let alone = ProxyUrl::parse("http://ada%3A@proxy.example:3128").unwrap();
        let sent = BASE64_STANDARD.decode(&alone.basic().unwrap()[6..]).unwrap();
        assert_eq!(sent, b"ada::");
        let error = ProxyUrl::parse("http://ada:secret@/").unwrap_err();
        assert!(
            error.contains("HOST:PORT") && !error.contains("secret"),
            "{error}"
        );
        assert!(
            ProxyUrl::parse("socks4://a:1")
                .unwrap_err()
                .contains("socks4 proxy")
        );
    }

    #[test]
    fn socks_proxies_are_told_from_each_other_and_their_trap_is_told() {
        let notes = |proxy: &str, url: &str| {
            let choice = choose(&target(url), Some(proxy), |_| None).unwrap();
            (choice.proxy.unwrap().to_string(), choice.notes.join("; "))
        };
        let (shown, notes_of_here) = notes("socks5://a", "https://x.example/");
        assert_eq!(shown, "socks5://a:1080");
        assert!(notes_of_here.contains("socks5h://"), "{notes_of_here}");
        assert_eq!(
            notes("SOCKS5H://ada:pw@a:1081", "https://x.example/"),
            ("socks5h://...@a:1081".to_owned(), String::new())
        );
        // An address needs nobody to resolve it.
        assert_eq!(notes("socks5://a", "https://192.0.2.1/").1, "");
        let long = "x".repeat(256);
        for login in ["ada", ":pw", &format!("{long}:pw"), &format!("ada:{long}")] {
            let error = ProxyUrl::parse(&format!("socks5://{login}@a:1")).unwrap_err();
            assert!(error.contains("255 bytes") && !error.contains("ada"), "{error}");
        }
    }

    #[test]
    fn the_variable_of_the_scheme_comes_first() {
        let env = [("https_proxy", "http://a:1"), ("ALL_PROXY", "http://b:2")];
        let choice = chosen("wss://x.example/", &env);
        assert_eq!(choice.proxy.unwrap().to_string(), "http://a:1");
        assert_eq!(choice.why, "the environment has https_proxy");
        let choice = chosen("ws://x.example/", &env);
        assert_eq!(choice.proxy.unwrap().to_string(), "http://b:2");
        let choice = chosen("https://x.example/", &[]);
        assert!(choice.proxy.is_none() && choice.why.contains("https_proxy"));
    }

    #[test]
    fn exceptions_are_found_and_their_traps_told() {
        let with = |url: &str, list: &str| {
            let choice = chosen(url, &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)]);
            (choice.proxy.is_none(), choice.notes.join("; "))
        };
        for (url, list, direct) in [
            ("https://a.example/", "example", true),
            ("https://a.example/", ".example", true),
            ("https://a.example/", "b.example,a.example", true),
            ("https://a.example/", "ample", false),
            ("https://a.example:8443/", "a.example:443", false),
            ("https://10.1.2.3/", "10.0.0.0/8", true),
            ("https://10.1.2.3/", "10.1.2.4", false),
            ("https://[::1]/", "[::1]", true),
            ("https://a.example/", "*", true),
        ] {
            assert_eq!(with(url, list).0, direct, "{url} {list}");
        }
        assert!(with("https://a.example/", "*.example").1.contains("\"*.\""));
        assert!(with("https://10.1.2.3/", "10.0.0.0/8").1.contains("network"));
    }
}
