//! `[[listener.site]]`: one's own origins, to which a listener of the kind `reverse` leads.

use super::certificates::own_certificate;
use super::problem::{Diagnostics, FileSpan};
use super::reader::{At, Section};
use crate::handshake::forge::ForgeError;
use crate::handshake::{OwnCertificate, SiteTls};
use crate::journey::{Site, SiteName};
use crate::wire::names::{Authority, Host};
use std::path::PathBuf;

/// One of the tables as written.
#[derive(Debug)]
pub(super) struct SiteTable {
    hosts: Vec<SiteName>,
    cert: At<PathBuf>,
    key: Option<At<PathBuf>>,
    origin: (Authority, bool),
    span: FileSpan,
}

/// A site, with what its files hold.
#[derive(Debug)]
pub(super) struct SiteFile {
    hosts: Vec<SiteName>,
    certificate: OwnCertificate,
    origin: (Authority, bool),
}

impl SiteTable {
    /// Reads one of the tables; no file that it names is opened yet.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let hosts = section.list("hosts", host);
        let cert = section.path_to("cert");
        let key = section.path_to("key");
        let origin = section.parsed("origin", origin);
        for (key, advice) in [
            (
                "hosts",
                "write the names that clients ask for: hosts = [\"www.example.com\"]",
            ),
            ("cert", "write the file of the certificate that clients are shown"),
            ("origin", "write where it is: origin = \"https://10.0.0.5:8443\""),
        ] {
            if !section.has(key) {
                let span = section.span();
                section.note(&span, key, format!("is missing; {advice}"));
            }
        }
        Some(Self {
            hosts: hosts?.value.into_iter().map(|at| at.value).collect(),
            cert: cert?,
            key,
            origin: origin?.value,
            span: section.span(),
        })
    }

    /// Opens what it names.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> Option<SiteFile> {
        let cert = ("listener.site.cert", Some(&self.cert));
        let certificate = own_certificate(cert, ("listener.site.key", self.key.as_ref()), notes)?;
        for warning in certificate.warnings() {
            notes.warn_at(&self.span, "listener.site.cert", warning);
        }
        Some(SiteFile {
            hosts: self.hosts,
            certificate,
            origin: self.origin,
        })
    }
}

impl SiteFile {
    /// What connections are served with.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub(super) fn open(self) -> Result<Site, ForgeError> {
        let (origin, is_secure) = self.origin;
        Ok(Site {
            hosts: self.hosts,
            tls: SiteTls::new(&self.certificate)?,
            origin,
            is_secure,
        })
    }
}

/// A name, or all names with one label before one.
fn host(text: &str) -> Result<SiteName, String> {
    let (name, is_below) = match text.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let named = Authority::parse(name, Some(443)).filter(|named| named.port == 443);
    match named.map(|named| named.host) {
        Some(Host::Name(name)) if !name.contains('*') && is_below => Ok(SiteName::Below(name)),
        Some(Host::Name(name)) if !name.contains('*') => Ok(SiteName::Exact(name)),
        _ => Err(format!(
            "{text:?} is no name that clients ask for; write such as \"www.example.com\" or \"*.example.com\""
        )),
    }
}

/// Where an origin is, and whether TLS is spoken with it.
fn origin(text: &str) -> Result<(Authority, bool), String> {
    let bad =
        || format!("{text:?} is no origin; write such as \"https://10.0.0.5:8443\" or \"http://10.0.0.5\"");
    let (rest, is_secure) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(bad()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let usual = if is_secure { 443 } else { 80 };
    let origin = Authority::parse(rest, Some(usual)).ok_or_else(bad)?;
    Ok((origin, is_secure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_are_read_and_nothing_else() {
        assert_eq!(
            host("WWW.example.com"),
            Ok(SiteName::Exact("www.example.com".into()))
        );
        assert_eq!(host("*.example.com"), Ok(SiteName::Below("example.com".into())));
        for wrong in [
            "",
            "*",
            "a.*.example",
            "192.0.2.1",
            "a.example:8443",
            "a b",
            "*.*.example",
            "https://a.example",
        ] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        let read = |text| origin(text).map(|(to, is_secure)| (to.to_string(), is_secure));
        assert_eq!(read("https://10.0.0.5"), Ok(("10.0.0.5:443".into(), true)));
        assert_eq!(
            read("http://[fd00::1]:8080/"),
            Ok(("[fd00::1]:8080".into(), false))
        );
        for wrong in [
            "10.0.0.5",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://user@a",
            "http://a:x",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
