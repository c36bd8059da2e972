//! Whether a request comes from the console's own pages, or from a program: a browser on the operator's machine asks on
//! behalf of every page that is open in it, and a name that an attacker owns may lead here (DNS rebinding).

use crate::report::admin::{AdminRefusal, is_own_name};
use crate::wire::names::Host;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri, Version};
use std::net::{IpAddr, SocketAddr};

/// By which way a request has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Where it is listened.
    pub(super) listener: SocketAddr,
    /// The address that was connected to.
    pub(super) local: IpAddr,
    /// Whether there is TLS around it.
    pub(super) is_tls: bool,
}

/// Whether a request may be looked at: it is for this listener by a name of its own, and no other site's page has it sent.
///
/// # Errors
/// Why not.
pub(super) fn check(
    way: Way,
    names: &[Host],
    (version, method, uri): (Version, &Method, &Uri),
    headers: &HeaderMap,
) -> Result<(), AdminRefusal> {
    let host = asked_for(version, uri, headers)?;
    if !is_own_name(names, host, way.listener, way.local) {
        return Err(AdminRefusal::UnknownName);
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let scheme: &[u8] = if way.is_tls { b"https://" } else { b"http://" };
        let own = origin.as_bytes().strip_prefix(scheme);
        let is_own = own.is_some_and(|own| own.eq_ignore_ascii_case(host.as_bytes()));
        if !is_own || origins.next().is_some() {
            return Err(AdminRefusal::CrossSite);
        }
    }
    // What a browser says of itself cannot be forged by a page (Fetch Metadata Request Headers, section 2).
    let is = |name: &str, words: &[&str]| {
        let mut said = headers.get_all(name).iter();
        said.all(|word| words.iter().any(|known| word == known))
    };
    // A link elsewhere may lead to the page itself, which holds nothing; a port of this machine is the same site.
    let may_be_led_to = *method == Method::GET
        && uri.path() == "/"
        && headers.contains_key("sec-fetch-mode")
        && is("sec-fetch-mode", &["navigate"]);
    if may_be_led_to || is("sec-fetch-site", &["same-origin", "none"]) {
        return Ok(());
    }
    Err(AdminRefusal::CrossSite)
}

/// The host and port that a request is for. In HTTP/2 they are in `:authority`.
fn asked_for<'a>(version: Version, uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, AdminRefusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| AdminRefusal::BadHost)?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(AdminRefusal::BadHost),
    };
    match (host, uri.authority().map(Authority::as_str)) {
        (Some(host), None) => Ok(host),
        (None, Some(authority)) if version == Version::HTTP_2 => Ok(authority),
        (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority) => Ok(host),
        _ => Err(AdminRefusal::BadHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_by(
        is_tls: bool,
        method: &Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(), AdminRefusal> {
        let way = Way {
            listener: "127.0.0.1:9130".parse().unwrap(),
            local: "127.0.0.1".parse().unwrap(),
            is_tls,
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let names = [Host::parse("proxy.example").unwrap()];
        check(
            way,
            &names,
            (Version::HTTP_11, method, &path.parse().unwrap()),
            &map,
        )
    }

    fn ask(method: &Method, path: &str, headers: &[(&'static str, &str)]) -> Result<(), AdminRefusal> {
        ask_by(false, method, path, headers)
    }

    #[test]
    fn only_own_names_are_answered() {
        for host in [
            "127.0.0.1:9130",
            "localhost:9130",
            "proxy.example",
            "PROXY.example:1",
        ] {
            assert_eq!(
                ask(&Method::GET, "/api/v1/state", &[("host", host)]),
                Ok(()),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "127.0.0.2:9130",
            "localhost.evil.example",
            "a@localhost",
            "",
        ] {
            let refused = ask(&Method::GET, "/", &[("host", host)]);
            assert_eq!(refused, Err(AdminRefusal::UnknownName), "{host}");
        }
        let none = ask(&Method::GET, "/", &[]);
        assert_eq!(none, Err(AdminRefusal::BadHost));
        let two = ask(&Method::GET, "/", &[("host", "localhost"), ("host", "localhost")]);
        assert_eq!(two, Err(AdminRefusal::BadHost));
        let other = ask(&Method::GET, "http://localhost/", &[("host", "127.0.0.1")]);
        assert_eq!(other, Err(AdminRefusal::BadHost));
    }

    #[test]
    fn pages_of_others_are_not_answered() {
        let host = ("host", "localhost:9130");
        let refused = Err(AdminRefusal::CrossSite);
        for origin in [
            "http://evil.example",
            "null",
            "https://localhost:9130",
            "http://localhost:9131",
            "http://localhost",
            "http://127.0.0.1:9130",
        ] {
            assert_eq!(
                ask(&Method::POST, "/session", &[host, ("origin", origin)]),
                refused,
                "{origin}"
            );
        }
        let own = ("origin", "http://localhost:9130");
        assert_eq!(ask(&Method::POST, "/session", &[host, own]), Ok(()));
        assert_eq!(ask_by(true, &Method::POST, "/session", &[host, own]), refused);
        assert_eq!(ask(&Method::POST, "/session", &[host, own, own]), refused);

        for site in ["cross-site", "same-site", "none, cross-site"] {
            let site = ("sec-fetch-site", site);
            assert_eq!(
                ask(&Method::GET, "/api/v1/connections", &[host, site]),
                refused,
                "{site:?}"
            );
            let navigate = ("sec-fetch-mode", "navigate");
            assert_eq!(ask(&Method::GET, "/", &[host, site, navigate]), Ok(()));
            assert_eq!(ask(&Method::GET, "/session", &[host, site, navigate]), refused);
            assert_eq!(ask(&Method::POST, "/", &[host, site, navigate]), refused);
        }
        for site in ["same-origin", "none"] {
            assert_eq!(
                ask(&Method::GET, "/session", &[host, ("sec-fetch-site", site)]),
                Ok(())
            );
        }
    }
}
