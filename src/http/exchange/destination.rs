//! Where an exchange goes, and what that is called.

use crate::wire::names::{Authority, Host};
use http::uri::Scheme;
use std::net::IpAddr;
use std::sync::OnceLock;

/// Where an exchange goes.
#[derive(Debug)]
pub(in crate::http) struct Destination<'a> {
    /// `http` or `https`, as the client sees it.
    pub(in crate::http) scheme: Scheme,
    /// The CONNECT target, or the absolute form's authority.
    pub(in crate::http) target: &'a Authority,
    /// The SNI, which a client that resolves names itself puts the name into.
    pub(in crate::http) sni: Option<&'a str>,
    /// The origin's address, where it is not the whole connection's.
    pub(in crate::http) origin: Option<IpAddr>,
    /// What its URLs begin with, once somebody has asked.
    base: OnceLock<String>,
}

/// The scheme of what is asked for inside of a tunnel.
pub(in crate::http) fn scheme(secure: bool) -> Scheme {
    if secure { Scheme::HTTPS } else { Scheme::HTTP }
}

impl<'a> Destination<'a> {
    pub(in crate::http) fn new(scheme: Scheme, target: &'a Authority, sni: Option<&'a str>) -> Self {
        Self {
            scheme,
            target,
            sni,
            origin: None,
            base: OnceLock::new(),
        }
    }

    /// The same, at this address.
    pub(in crate::http) fn at(self, origin: Option<IpAddr>) -> Self {
        Self { origin, ..self }
    }
}

impl Destination<'_> {
    fn default_port(&self) -> u16 {
        if self.scheme == Scheme::HTTPS { 443 } else { 80 }
    }

    /// How the site is called in URLs: by its name where the client only gave one in the SNI.
    pub(in crate::http) fn name(&self) -> String {
        let host = match (&self.target.host, self.sni) {
            (Host::Ip(_), Some(sni)) => sni.to_owned(),
            (host, _) => host.to_string(),
        };
        if self.target.port == self.default_port() {
            host
        } else {
            format!("{host}:{}", self.target.port)
        }
    }

    /// What the client calls the host beside the target. A request's Host or `:authority` has to be one of these names or
    /// the target, as [`check`](super::check::check) sees to.
    pub(in crate::http) fn aliases(&self) -> Vec<Authority> {
        let sni = self.sni.map(|sni| Authority {
            host: Host::Name(sni.to_owned()),
            port: self.target.port,
        });
        sni.into_iter().filter(|sni| sni != self.target).collect()
    }

    /// The URL of a request for this path, without its query, which may hold secrets.
    pub(in crate::http) fn url(&self, path: &str) -> String {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        [self.base(), path].concat()
    }

    /// What the URLs of this destination begin with.
    pub(in crate::http) fn base(&self) -> &str {
        self.base
            .get_or_init(|| format!("{}://{}", self.scheme, self.name()))
    }

    /// Whether a Host is this destination's name and port as they are written, the port only where it is not the
    /// scheme's own.
    pub(in crate::http) fn is_written(&self, host: &str) -> bool {
        let Host::Name(name) = &self.target.host else {
            return false;
        };
        match host.strip_prefix(name.as_str()) {
            Some("") => self.target.port == self.default_port(),
            Some(port) => port
                .strip_prefix(':')
                .filter(|port| !port.starts_with(['0', '+']))
                .and_then(|port| port.parse().ok())
                .is_some_and(|port: u16| port == self.target.port),
            None => false,
        }
    }

    /// Whether a Host names this destination; the SNI counts, since a client that resolves names itself asks for an
    /// address and says the name only there.
    pub(in crate::http) fn is_named_by(&self, host: &str) -> bool {
        self.target.names_same_host(host)
            || self.sni.is_some_and(|sni| {
                let by_sni = Authority {
                    host: Host::Name(sni.to_owned()),
                    port: self.target.port,
                };
                by_sni.names_same_host(host)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_says_nothing_that_the_long_one_does_not() {
        let target = Authority {
            host: Host::Name("a.example".into()),
            port: 443,
        };
        let to = Destination::new(Scheme::HTTPS, &target, None);
        for host in ["a.example", "a.example:443"] {
            assert!(to.is_written(host) && to.is_named_by(host), "{host}");
        }
        for host in [
            "A.example",
            "a.example:",
            "a.example:80",
            "a.example:0443",
            "a.example:+443",
            "a.example.",
            "a.examples",
            "xa.example",
            "",
        ] {
            assert!(!to.is_written(host), "{host}");
        }
    }
}
