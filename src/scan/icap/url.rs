//! `icap://host:port/service` (RFC 3507 section 4.2), and `icaps://`, which is the same inside TLS.

use crate::wire::names::Authority;
use std::fmt;

/// The port that ICAP has by itself (RFC 3507 section 4.1).
const PORT: u16 = 1344;
/// The port that Squid takes for ICAP inside TLS; no RFC names one.
const TLS_PORT: u16 = 11344;

/// Where an ICAP service is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IcapUrl {
    tls: bool,
    authority: Authority,
    /// The service with its slash and its query.
    path: String,
}

impl IcapUrl {
    /// Reads `icap://host[:port]/service[?query]` or the same with `icaps`. The error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, port, rest) = if let Some(rest) = text.strip_prefix("icaps://") {
            (true, TLS_PORT, rest)
        } else if let Some(rest) = text.strip_prefix("icap://") {
            (false, PORT, rest)
        } else {
            return Err(format!("{text:?} does not begin with icap:// or icaps://"));
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if path.len() < 2 {
            return Err(format!(
                "{text:?} names no service: write {}://host:port/service",
                scheme(tls)
            ));
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(format!(
                "{text:?}: the service has characters that a URL cannot have"
            ));
        }
        let authority = Authority::parse(authority, Some(port))
            .ok_or_else(|| format!("{text:?}: {authority:?} is not host or host:port"))?;
        Ok(Self {
            tls,
            authority,
            path: path.to_owned(),
        })
    }

    /// Whether it is `icaps://`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host and port that are connected to.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Display for IcapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", scheme(self.tls), self.authority, self.path)
    }
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "icaps" } else { "icap" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rfc_3507_and_squid_write() {
        for (text, wanted) in [
            ("icap://icap.net/service", "icap://icap.net:1344/service"),
            (
                "icap://10.0.0.1:1345/avscan?mode=simple",
                "icap://10.0.0.1:1345/avscan?mode=simple",
            ),
            ("icap://[::1]/a/b", "icap://[::1]:1344/a/b"),
            ("icaps://icap.net/service", "icaps://icap.net:11344/service"),
            ("icaps://[::1]:1344/a", "icaps://[::1]:1344/a"),
        ] {
            let url = IcapUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), wanted);
            assert_eq!(url.is_tls(), text.starts_with("icaps"));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, word) in [
            ("icaps:host/x", "icaps://"),
            ("ICAPS://host/x", "icaps://"),
            ("icapss://host/x", "icaps://"),
            ("http://host/x", "icap://"),
            ("icaps://host", "icaps://host:port/service"),
            ("icaps://host:0/x", "host:port"),
            ("icap://host", "no service"),
            ("icap://host/", "no service"),
            ("icap://host/a b", "characters"),
            ("icap://host/a\r\nX: y", "characters"),
            ("icap://host:0/x", "host:port"),
            ("icap://me@host/x", "host:port"),
            ("icap:///x", "host:port"),
        ] {
            let error = IcapUrl::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
