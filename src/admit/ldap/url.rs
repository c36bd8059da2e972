//! Where a directory server listens.

use crate::wire::names::{Authority, Host};
use std::fmt;

/// The port of `ldap://` (RFC 4511 section 5.2.1).
const LDAP: u16 = 389;
/// The port of `ldaps://`.
const LDAPS: u16 = 636;

/// One directory server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapUrl {
    /// Its name, which its certificate must have, and its port.
    pub authority: Authority,
    /// TLS from the first byte: `ldaps://`.
    pub tls: bool,
}

impl LdapUrl {
    /// Reads `ldaps://HOST[:PORT]` or `ldap://HOST[:PORT]`. A base and a filter have keys of their own.
    ///
    /// # Errors
    /// The text says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some(("ldaps", rest)) => (true, rest),
            Some(("ldap", rest)) => (false, rest),
            _ => {
                return Err(format!(
                    "{text:?} is no directory server; write ldaps://HOST or ldap://HOST, with :PORT if it is another one"
                ));
            }
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains(['/', '?']) {
            return Err(format!(
                "{text:?} says more than the host and the port; where to search has keys of its own"
            ));
        }
        let port = if tls { LDAPS } else { LDAP };
        match Authority::parse(host, Some(port)) {
            Some(authority) => Ok(Self { authority, tls }),
            None => Err(format!("{host:?} in {text:?} is not HOST or HOST:PORT")),
        }
    }

    /// What the certificate must be for.
    pub(super) fn host(&self) -> &Host {
        &self.authority.host
    }
}

impl fmt::Display for LdapUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "ldaps" } else { "ldap" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_or_without_its_port() {
        for (text, shown) in [
            ("ldaps://dc1.corp.example", "ldaps://dc1.corp.example:636"),
            ("ldap://DC1.corp.example/", "ldap://dc1.corp.example:389"),
            ("ldaps://[2001:db8::1]:3269", "ldaps://[2001:db8::1]:3269"),
        ] {
            assert_eq!(LdapUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_server_is_refused_with_advice() {
        for (text, word) in [
            ("dc1.corp.example", "write ldaps://HOST"),
            ("ldapi:///run/slapd", "write ldaps://HOST"),
            ("ldaps://", "is not HOST"),
            ("ldaps://dc1:0", "is not HOST"),
            ("ldap://user@dc1", "is not HOST"),
            ("ldap://dc1/dc=corp,dc=example", "keys of its own"),
            ("ldap://dc1?uid", "keys of its own"),
        ] {
            let said = LdapUrl::parse(text).unwrap_err();
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}
