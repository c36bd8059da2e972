//! `icap://host:port/service` (RFC 3507 section 4.2).

use crate::wire::names::Authority;
use std::fmt;

/// The port that ICAP has by itself (RFC 3507 section 4.1).
const PORT: u16 = 1344;

/// Where an ICAP service is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IcapUrl {
    authority: Authority,
    /// The service with its slash and its query.
    path: String,
}

impl IcapUrl {
    /// Reads `icap://host[:port]/service[?query]`. The error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("icaps:") {
            return Err(
                "icaps (ICAP over TLS) is not supported: put stunnel or a private network between, and \
                 write icap://"
                    .to_owned(),
            );
        }
        let rest = text
            .strip_prefix("icap://")
            .ok_or_else(|| format!("{text:?} does not begin with icap://"))?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if path.len() < 2 {
            return Err(format!(
                "{text:?} names no service: write icap://host:port/service"
            ));
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(format!(
                "{text:?}: the service has characters that a URL cannot have"
            ));
        }
        let authority = Authority::parse(authority, Some(PORT))
            .ok_or_else(|| format!("{text:?}: {authority:?} is not host or host:port"))?;
        Ok(Self {
            authority,
            path: path.to_owned(),
        })
    }

    /// Where to connect.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Display for IcapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "icap://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rfc_3507_writes() {
        for (text, wanted) in [
            ("icap://icap.net/service", "icap://icap.net:1344/service"),
            (
                "icap://10.0.0.1:1345/avscan?mode=simple",
                "icap://10.0.0.1:1345/avscan?mode=simple",
            ),
            ("icap://[::1]/a/b", "icap://[::1]:1344/a/b"),
        ] {
            assert_eq!(IcapUrl::parse(text).unwrap().to_string(), wanted);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, word) in [
            ("icaps://host/x", "TLS"),
            ("http://host/x", "icap://"),
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
