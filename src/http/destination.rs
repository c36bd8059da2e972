//! Where an exchange goes, and what that is called.

use crate::wire::names::{Authority, Host};
use http::Uri;
use http::uri::Scheme;

/// Where an exchange goes.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    /// `http` or `https`, as the client sees it.
    pub(super) scheme: Scheme,
    /// The CONNECT target, or the absolute form's authority.
    pub(super) target: &'a Authority,
    /// The SNI, which a client that resolves names itself puts the name into.
    pub(super) sni: Option<&'a str>,
    /// No request has been answered on this origin connection yet.
    pub(super) is_first: bool,
}

impl Destination<'_> {
    /// How the site is called in URLs: by its name where the client only gave one in the SNI.
    pub(super) fn name(&self) -> String {
        let default_port = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match (&self.target.host, self.sni) {
            (Host::Ip(_), Some(sni)) => sni.to_owned(),
            (host, _) => host.to_string(),
        };
        if self.target.port == default_port {
            host
        } else {
            format!("{host}:{}", self.target.port)
        }
    }

    /// The URL of a request without its query, which may hold secrets.
    pub(super) fn url(&self, uri: &Uri) -> String {
        format!("{}://{}{}", self.scheme, self.name(), uri.path())
    }

    /// Whether a Host names this destination; the SNI counts, since a client that resolves names itself asks for an
    /// address and says the name only there.
    pub(super) fn is_named_by(&self, host: &str) -> bool {
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

/// The path and query; `*` stays.
pub(super) fn origin_form(uri: &Uri) -> Uri {
    if uri.authority().is_none() {
        return uri.clone();
    }
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    path.parse().unwrap_or_else(|_| Uri::from_static("/"))
}
