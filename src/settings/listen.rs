//! `[listen]`: where clients find the proxy, and what they are shown there.

use super::certificates::own_certificate;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use super::words::address;
use crate::handshake::OwnCertificate;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// What the command line puts in the place of the file's words.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Instead of `listen.proxy`, unless empty.
    pub listen: Vec<SocketAddr>,
    /// Instead of `listen.tls`, unless empty.
    pub tls: Vec<SocketAddr>,
    /// Instead of `listen.admin`, unless empty.
    pub admin: Vec<SocketAddr>,
}

/// Addresses, each with its place; the place of the whole list matters where it is empty.
type Addresses = At<Vec<At<SocketAddr>>>;

/// The table as written.
#[derive(Debug)]
pub(super) struct ListenTable {
    proxy: Addresses,
    tls: Addresses,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    admin: Addresses,
}

/// Where the proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Where clients come in; may be empty unless `tls` is.
    pub proxy: Vec<SocketAddr>,
    /// Where clients come in by TLS; may be empty unless `proxy` is.
    pub tls: Vec<SocketAddr>,
    /// Where `/metrics` and its kin are served; may be empty.
    pub admin: Vec<SocketAddr>,
}

impl ListenTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let loopback = |port| {
            let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
            Addresses::from(vec![address.into()])
        };
        let table = Self {
            proxy: section.list("proxy", address).unwrap_or_else(|| loopback(3128)),
            tls: section.list("tls", address).unwrap_or_default(),
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            admin: section.list("admin", address).unwrap_or_else(|| loopback(9128)),
        };
        section.finish();
        table
    }

    /// The addresses to listen on, after the command line's word.
    pub(super) fn addresses(&mut self, overrides: &Overrides, notes: &mut Diagnostics) -> Listeners {
        let mut keys = ["listen.proxy", "listen.tls", "listen.admin"];
        for (written, options, key) in [
            (&mut self.proxy, &overrides.listen, 0),
            (&mut self.tls, &overrides.tls, 1),
            (&mut self.admin, &overrides.admin, 2),
        ] {
            if !options.is_empty() {
                *written = options
                    .iter()
                    .map(|address| At::from(*address))
                    .collect::<Vec<_>>()
                    .into();
                keys[key] = ["--listen", "--listen-tls", "--admin"][key];
            }
        }
        let (proxy, tls, admin) = (&self.proxy, &self.tls, &self.admin);
        if proxy.value.is_empty() && tls.value.is_empty() {
            let message = "nothing to listen on; write at least one address, such as [\"127.0.0.1:3128\"]";
            // Members that could not be read have been stated; that none is left is not another mistake.
            if !notes.problems.iter().any(|problem| problem.key == keys[0]) {
                notes.add(&proxy.span, keys[0], message);
            }
        }
        let mut seen: Vec<SocketAddr> = Vec::new();
        let written = [proxy, tls, admin].into_iter().zip(keys);
        for (key, at) in written.flat_map(|(list, key)| list.value.iter().map(move |at| (key, at))) {
            let address = at.value;
            if address.port() != 0 && seen.contains(&address) {
                notes.add(
                    &at.span,
                    key,
                    format!("{address} is listened on twice; give each listener its own port"),
                );
            }
            seen.push(address);
            if address.ip().is_loopback() {
                continue;
            }
            notes.warn(if key != keys[2] {
                format!(
                    "{key}: {address} is an open proxy to everyone who can reach it, since there is no authentication: let a firewall decide who can"
                )
            } else {
                format!("{key}: everyone who can reach {address} can read the metrics")
            });
        }
        let addresses = |at: &Addresses| at.value.iter().map(|at| at.value).collect();
        Listeners {
            proxy: addresses(proxy),
            tls: addresses(tls),
            admin: addresses(admin),
        }
    }

    /// The certificate of the listeners in `tls`, if the configuration names one and it is good.
    pub(super) fn certificate(&self, notes: &mut Diagnostics) -> Option<OwnCertificate> {
        let (cert, key) = (self.cert.as_ref(), self.key.as_ref());
        if cert.is_some() && self.tls.value.is_empty() {
            notes.warn("listen.cert is not used: listen.tls names no address");
        }
        let certificate = own_certificate(("listen.cert", cert), ("listen.key", key), notes)?;
        for warning in certificate.warnings() {
            notes.warn(format!("listen.cert: {warning}"));
        }
        Some(certificate)
    }
}
