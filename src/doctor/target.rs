//! What is examined: a URL, and how it may be shown to others.

use crate::wire::names::{Authority, Host};
use std::fmt;

/// What is spoken with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP in clear.
    Http,
    /// HTTP inside TLS.
    Https,
    /// A WebSocket in clear.
    Ws,
    /// A WebSocket inside TLS.
    Wss,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Ws, Self::Wss];

    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether TLS is around it.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Wss)
    }

    /// Whether it is a WebSocket.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// What is examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is spoken there.
    pub scheme: Scheme,
    /// Where it is.
    pub authority: Authority,
    /// The path, with its query.
    pub path: String,
}

impl Target {
    /// Reads a URL, or a host with or without a port, which is then examined as `https`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((name, rest)) => {
                let known = Scheme::ALL
                    .into_iter()
                    .find(|scheme| scheme.name().eq_ignore_ascii_case(name));
                let wrong =
                    || "begins with a scheme that is not examined; http, https, ws and wss are".to_owned();
                (known.ok_or_else(wrong)?, rest)
            }
            None => (Scheme::Https, text),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("has a user before its host, which the doctor does not send; leave it out".into());
        }
        let port = if scheme.is_tls() { 443 } else { 80 };
        let authority = Authority::parse(authority, Some(port)).ok_or_else(|| {
            format!(
                "names no host that can be asked for ({}); write a URL such as wss://chat.example/socket, an IPv6 address in brackets, a name outside ASCII in its xn-- form",
                clean(authority.as_bytes())
            )
        })?;
        let path = path.split('#').next().unwrap_or_default();
        if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(
                "has a path with spaces or characters outside ASCII; write them as %20 and the like".into(),
            );
        }
        let path = match path {
            "" => "/".to_owned(),
            path if path.starts_with('?') => format!("/{path}"),
            path => path.to_owned(),
        };
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }

    /// The host and, where it is not the scheme's own, the port, as a Host field has them.
    pub fn host_field(&self) -> String {
        let usual = if self.scheme.is_tls() { 443 } else { 80 };
        match self.authority.port == usual {
            true => self.authority.host.to_string(),
            false => self.authority.to_string(),
        }
    }

    /// The host's name, if it is one and not an address.
    pub fn name(&self) -> Option<&str> {
        match &self.authority.host {
            Host::Name(name) => Some(name),
            Host::Ip(_) => None,
        }
    }
}

/// Without what may be secret: of the query only that there is one, and no part of the path that looks like a token.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = match self.path.split_once('?') {
            Some((path, _)) => (path, "?..."),
            None => (&*self.path, ""),
        };
        let parts: Vec<&str> = path
            .split('/')
            .map(|part| if is_token(part) { "..." } else { part })
            .collect();
        write!(
            f,
            "{}://{}{}{query}",
            self.scheme.name(),
            self.host_field(),
            parts.join("/")
        )
    }
}

/// Whether a part of a path may be a key: it is long, or has letters and digits mixed as no word has.
fn is_token(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let letters = part.bytes().filter(u8::is_ascii_alphabetic).count();
    part.len() >= 32 || (part.len() >= 8 && digits >= 2 && letters >= 1)
}

/// Text that came from afar, fit for a terminal and a line: no control characters, none that hide or turn round what is there, and
/// not too long.
pub(super) fn clean(bytes: &[u8]) -> String {
    const LONGEST: usize = 160;
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| match c {
            '\u{fffd}' | '\u{feff}' | '\u{61c}' | '\u{200b}'..='\u{200f}' => '?',
            '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}' => '?',
            c if c.is_control() => '?',
            c => c,
        })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let target = Target::parse("wss://Chat.Example:8443/a/b?token=x#frag").unwrap();
        assert_eq!(target.scheme, Scheme::Wss);
        assert_eq!(target.authority.to_string(), "chat.example:8443");
        assert_eq!(target.path, "/a/b?token=x");
        assert_eq!(target.host_field(), "chat.example:8443");
        for (text, read) in [
            ("chat.example", ("https://chat.example/", 443)),
            ("chat.example:8000", ("https://chat.example:8000/", 8000)),
            ("http://[2001:db8::1]?x", ("http://[2001:db8::1]/?...", 80)),
            ("WS://10.0.0.1/", ("ws://10.0.0.1/", 80)),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((&*target.to_string(), target.authority.port), read, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_says_what_would_be_one() {
        for (text, said) in [
            ("ftp://a/", "http, https, ws and wss"),
            ("https://", "names no host"),
            ("https://a b/", "names no host"),
            ("https://münchen.example/", "xn--"),
            ("https://user:secret@a/", "a user before its host"),
            ("https://a/b c", "%20"),
            ("2001:db8::1", "in brackets"),
        ] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for secret in [
            "T0001111",
            "xoxb123456789",
            "B00000000",
            "abcdefghijklmnopqrstuvwxyzabcdefgh",
        ] {
            let shown = Target::parse(&format!("https://hooks.example/services/{secret}?k={secret}"))
                .unwrap()
                .to_string();
            assert_eq!(shown, "https://hooks.example/services/...?...");
        }
        for word in ["socket", "api.test", "v2", "cable", "help-test"] {
            let text = format!("wss://a.example/{word}");
            assert_eq!(Target::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn nothing_from_afar_reaches_the_terminal_as_it_came() {
        assert_eq!(clean(b"a\x1b[31mb\xff\n"), "a?[31mb??");
        let turned = "proxy\u{202e}moc.live\u{200b}\u{feff}";
        assert_eq!(clean(turned.as_bytes()), "proxy?moc.live??");
        assert_eq!(clean(&[b'x'; 500]).len(), 163);
    }
}
