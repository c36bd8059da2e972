//! `[network.dns]`: how names become addresses.

use super::certificates::roots_in;
use super::files::{cannot_read, relative_to};
use super::reader::{At, Section};
use crate::dial::{CacheLimits, DnsConfig, DnsServer, Families, Family, ResolverKind, ServerOrder};
use crate::handshake::ServiceTls;
use crate::wire::names::Host;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

const RESOLVERS: [(&str, ResolverKind); 2] = [("own", ResolverKind::Own), ("system", ResolverKind::System)];
const ORDERS: [(&str, ServerOrder); 2] = [
    ("in_order", ServerOrder::InOrder),
    ("all_at_once", ServerOrder::AllAtOnce),
];
const FAMILIES: [(&str, Family); 2] = [("ipv6", Family::V6), ("ipv4", Family::V4)];
/// Which of them are asked for; `None` for both.
const ASKED: [(&str, Option<Family>); 3] = [
    ("both", None),
    ("ipv6", Some(Family::V6)),
    ("ipv4", Some(Family::V4)),
];

/// Stands for a number that is not written.
const UNWRITTEN: usize = usize::MAX;

/// Reads the table.
pub(super) fn dns(mut section: Section<'_, '_>) -> DnsConfig {
    let default = DnsConfig::default();
    let servers = section.list("servers", server);
    let tls = tls(&mut section, servers.as_ref());
    let servers = servers.map(|list| list.value);
    let search = section.list("search", domain).map(|list| list.value);
    let asked = section.choice("families", &ASKED, None);
    let preferred = section.choice("prefer", &FAMILIES, default.families.first);
    let min_ttl = section.duration_at("min_ttl", default.cache.min_ttl);
    let config = DnsConfig {
        resolver: section.choice("resolver", &RESOLVERS, default.resolver),
        servers: servers
            .unwrap_or_default()
            .into_iter()
            .map(|at| at.value)
            .collect(),
        tls,
        order: section.choice("order", &ORDERS, default.order),
        search: search.map(|list| list.into_iter().map(|at| at.value).collect()),
        ndots: Some(section.number("ndots", 0..=15, UNWRITTEN)).filter(|dots| *dots != UNWRITTEN),
        timeout: section.duration("timeout", default.timeout),
        families: Families {
            first: asked.unwrap_or(preferred),
            both: asked.is_none(),
        },
        cache: CacheLimits {
            entries: section.number("cache_entries", 0..=10_000_000, default.cache.entries),
            min_ttl: min_ttl.value,
            max_ttl: section.duration("max_ttl", default.cache.max_ttl),
            negative_ttl: section.duration("negative_ttl", default.cache.negative_ttl),
        },
        hosts_file: file(&mut section, "hosts_file", default.hosts_file),
        resolv_conf: file(&mut section, "resolv_conf", default.resolv_conf),
    };
    if config.cache.min_ttl > config.cache.max_ttl {
        section.note(
            &min_ttl.span,
            "min_ttl",
            "is longer than max_ttl; make it shorter",
        );
    }
    section.finish();
    config
}

/// A file of the system's; `"none"` for no file. The default need not be there.
fn file(section: &mut Section<'_, '_>, key: &'static str, default: Option<PathBuf>) -> Option<PathBuf> {
    let Some(written) = section.path_to(key) else {
        return default;
    };
    if written.value.as_os_str() == "none" {
        return None;
    }
    let path = relative_to(section.notes().file(), &written.value);
    if Some(&path) != default.as_ref()
        && let Err(error) = File::open(&path)
    {
        let message = format!("{}: {}", path.display(), cannot_read(&error));
        section.note(&written.span, key, message);
    }
    Some(path)
}

/// How servers are verified that are asked by TLS, if there are such.
fn tls(section: &mut Section<'_, '_>, servers: Option<&At<Vec<At<DnsServer>>>>) -> Option<Arc<ServiceTls>> {
    let first = servers.and_then(|list| list.value.iter().find(|server| server.value.tls.is_some()));
    let ca = section.path_to("ca");
    let Some(first) = first else {
        if let Some(at) = ca {
            let warning = "is not used: no server is asked by TLS";
            section.notes().warn_at(&at.span, "network.dns.ca", warning);
        }
        return None;
    };
    let notes = section.notes();
    let before = notes.problems.len();
    let roots = ca.map(|at| roots_in(&at.value, &at.span, "network.dns.ca", notes));
    if notes.problems.len() > before {
        return None;
    }
    match ServiceTls::new(roots, None) {
        Ok(tls) => Some(Arc::new(tls)),
        Err(error) => {
            let message = format!("{error}; name a file with the CA of the server: ca = \"...\"");
            section.note(&first.span, "servers", message);
            None
        }
    }
}

/// `ADDRESS`, `ADDRESS:PORT`, or by TLS `tls://ADDRESS`, with or without a port, and with the server's name behind a `#`.
fn server(text: &str) -> Result<DnsServer, String> {
    let wrong = || {
        format!(
            "{text:?} is not the address of a server; write an IP address, with or without a port: 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353; by TLS tls://192.0.2.53#dns.example.com"
        )
    };
    let (rest, is_tls) = match text.strip_prefix("tls://") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (address, name) = match rest.split_once('#') {
        Some((address, name)) if is_tls => (address, Some(name)),
        _ => (rest, None),
    };
    let port = if is_tls {
        DnsServer::TLS_PORT
    } else {
        DnsServer::PORT
    };
    let address = address
        .parse::<IpAddr>()
        .map(|ip| SocketAddr::new(ip, port))
        .or_else(|_| address.parse::<SocketAddr>());
    let address = address.ok().filter(|address| address.port() != 0);
    let address = address.ok_or_else(wrong)?;
    let name = match name {
        Some(name) => Host::parse(name).ok_or_else(wrong)?,
        None => Host::Ip(address.ip()),
    };
    Ok(DnsServer {
        address,
        tls: is_tls.then(|| match name {
            Host::Name(name) => name.into(),
            Host::Ip(ip) => ip.to_string().into(),
        }),
    })
}

/// A search domain.
fn domain(text: &str) -> Result<String, String> {
    match Host::parse(text) {
        Some(Host::Name(name)) => Ok(name),
        _ => Err(format!(
            "{text:?} is not a domain; write one such as corp.example.com"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::file::{File, notes_on};
    use std::path::Path;
    use std::time::Duration;

    fn read(text: &str) -> (DnsConfig, Vec<String>) {
        let mut notes = notes_on(Path::new("/nowhere/w.toml"), text);
        let file = File::parse(text, &mut notes);
        let problems = notes.problems.iter().map(ToString::to_string).collect();
        (file.network.dns, problems)
    }

    #[test]
    fn everything_can_be_set() {
        let (dns, problems) = read(
            "[network.dns]\nresolver = 'system'\nservers = ['192.0.2.1', '192.0.2.2:5353', '2001:db8::1', '[::1]:54']\n\
             order = 'all_at_once'\nsearch = ['Corp.Test.', 'lab']\nndots = 0\ntimeout = '3s'\nprefer = 'ipv4'\n\
             cache_entries = 0\nmin_ttl = '1s'\nmax_ttl = '1m'\nnegative_ttl = '2s'\nhosts_file = 'none'\n\
             resolv_conf = '/dev/null'\n",
        );
        assert_eq!(problems, [""; 0]);
        let servers: Vec<_> = dns.servers.iter().map(ToString::to_string).collect();
        assert_eq!(
            servers,
            ["192.0.2.1", "192.0.2.2:5353", "2001:db8::1", "[::1]:54"]
        );
        assert_eq!(dns.resolver, ResolverKind::System);
        assert_eq!(dns.order, ServerOrder::AllAtOnce);
        assert_eq!(dns.search.unwrap(), ["corp.test", "lab"]);
        assert_eq!((dns.ndots, dns.timeout), (Some(0), Duration::from_secs(3)));
        assert_eq!((dns.families.first, dns.families.both), (Family::V4, true));
        assert_eq!(dns.cache.entries, 0);
        assert_eq!(dns.cache.min_ttl, Duration::from_secs(1));
        assert_eq!(dns.hosts_file, None);
        assert_eq!(dns.resolv_conf.unwrap(), Path::new("/dev/null"));
        for (written, family) in [("ipv4", Family::V4), ("ipv6", Family::V6)] {
            let (dns, _) = read(&format!("network.dns.families = '{written}'"));
            assert_eq!((dns.families.first, dns.families.both), (family, false));
        }
        assert_eq!(read("").0, DnsConfig::default());
    }

    #[test]
    fn servers_may_be_asked_by_tls() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, _) = crate::handshake::ca::Ca::generate("Test").unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca.pem()).unwrap();
        let written = format!(
            "[network.dns]\nca = '{}'\nservers = ['tls://192.0.2.1', 'tls://[2001:db8::1]:8853#Dns.Example.', '192.0.2.2']\n",
            file.display()
        );
        let (dns, problems) = read(&written);
        assert_eq!(problems, [""; 0]);
        let servers: Vec<_> = dns.servers.iter().map(ToString::to_string).collect();
        assert_eq!(
            servers,
            [
                "tls://192.0.2.1",
                "tls://[2001:db8::1]:8853#dns.example",
                "192.0.2.2"
            ]
        );
        assert_eq!(dns.servers[0].tls.as_deref(), Some("192.0.2.1"));
        assert_eq!(dns.servers[0].address.port(), 853);
        assert_eq!(read(&written).0, dns, "a reload keeps its cache");
        let (_, problems) = read("network.dns = { servers = ['tls://192.0.2.1'], ca = 'gone.pem' }");
        assert!(
            problems[0].contains("network.dns.ca: /nowhere/gone.pem: there is no such file"),
            "{problems:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_said_in_sentences() {
        for (text, problem) in [
            (
                "servers = ['ns.test']",
                "1:24: network.dns.servers: \"ns.test\" is not the address of a server; write",
            ),
            ("servers = ['192.0.2.1:0']", "is not the address of a server"),
            (
                "servers = ['192.0.2.1#ns.test']",
                "by TLS tls://192.0.2.53#dns.example.com",
            ),
            ("servers = ['tls://ns.test']", "is not the address of a server"),
            (
                "servers = ['tls://192.0.2.1#a b']",
                "is not the address of a server",
            ),
            ("servers = '192.0.2.1'", "write a list: [\"192.0.2.1\"]"),
            (
                "search = ['192.0.2.1']",
                "is not a domain; write one such as corp.example.com",
            ),
            ("ndots = 16", "write a whole number from 0 to 15"),
            ("families = 'v4'", "write \"both\" or \"ipv6\" or \"ipv4\""),
            (
                "min_ttl = '2d'",
                "network.dns.min_ttl: is longer than max_ttl; make it shorter",
            ),
            (
                "hosts_file = 'gone'",
                "network.dns.hosts_file: /nowhere/gone: there is no such file",
            ),
            ("resolver = 'bind'", "write \"own\" or \"system\""),
            (
                "server = []",
                "network.dns.server: unknown key; did you mean \"servers\"?",
            ),
        ] {
            let (_, problems) = read(&format!("network.dns.{text}"));
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(problem), "{text}: {problems:?}");
        }
        let (_, problems) = read("network.dns = 3");
        assert!(
            problems[0].contains("write a table: [network.dns]"),
            "{problems:?}"
        );
    }
}
