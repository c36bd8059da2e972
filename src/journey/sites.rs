//! One's own origins, to which a listener of its own leads.

use crate::handshake::SiteTls;
use crate::wire::names::{Authority, Host};
use std::sync::Arc;

/// One's own origin, and what its clients are shown.
#[derive(Debug)]
pub struct Site {
    /// The names that its clients ask for.
    pub hosts: Vec<SiteName>,
    /// Its certificate.
    pub tls: SiteTls,
    /// Where it is.
    pub origin: Authority,
    /// TLS is spoken with it.
    pub is_secure: bool,
}

/// A name that clients ask for, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteName {
    /// This one.
    Exact(String),
    /// Each name with one label before this, as a certificate's asterisk has it (RFC 6125 section 6.4.3).
    Below(String),
}

/// Those of a listener, in their order.
#[derive(Debug)]
pub struct Sites(Vec<Arc<Site>>);

impl SiteName {
    fn is(&self, name: &str) -> bool {
        match self {
            Self::Exact(own) => own == name,
            Self::Below(own) => name
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == own),
        }
    }
}

impl Sites {
    /// These.
    pub fn new(sites: Vec<Site>) -> Self {
        Self(sites.into_iter().map(Arc::new).collect())
    }

    /// The site that a client means by the name in its ClientHello, and that name; who gives none means the first name.
    pub(super) fn find(&self, sni: Option<&str>) -> Option<(&Arc<Site>, Host)> {
        let Some(sni) = sni else {
            return self.0.iter().find_map(|site| {
                site.hosts.iter().find_map(|host| match host {
                    SiteName::Exact(name) => Some((site, Host::Name(name.clone()))),
                    SiteName::Below(_) => None,
                })
            });
        };
        let name = sni.to_ascii_lowercase();
        let exact = |host: &SiteName| matches!(host, SiteName::Exact(_)) && host.is(&name);
        let by = |fits: &dyn Fn(&SiteName) -> bool| self.0.iter().find(|site| site.hosts.iter().any(fits));
        let site = by(&exact).or_else(|| by(&|host| host.is(&name)))?;
        Some((site, Host::Name(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_chooses_the_site() {
        let site = |hosts: &[SiteName], port| Site {
            hosts: hosts.to_vec(),
            tls: SiteTls::for_tests(),
            origin: Authority {
                host: Host::Ip([192, 0, 2, 1].into()),
                port,
            },
            is_secure: true,
        };
        let exact = |name: &str| SiteName::Exact(name.into());
        let sites = Sites::new(vec![
            site(&[SiteName::Below("a.example".into())], 1),
            site(&[exact("www.a.example"), exact("b.example")], 2),
        ]);
        let port = |sni| {
            sites
                .find(sni)
                .map(|(site, host)| (site.origin.port, host.to_string()))
        };
        for (sni, wanted) in [
            (Some("www.a.example"), Some((2, "www.a.example"))),
            (Some("WWW2.a.example"), Some((1, "www2.a.example"))),
            (Some("a.example"), None),
            (Some("x.y.a.example"), None),
            (Some(".a.example"), None),
            (Some("c.example"), None),
            (None, Some((2, "www.a.example"))),
        ] {
            let wanted = wanted.map(|(port, name)| (port, name.to_owned()));
            assert_eq!(port(sni), wanted, "{sni:?}");
        }
    }
}
