//! `[listen]`: where clients find the proxy, and what they are shown there.

use super::certificates::own_certificate;
use super::listener::{ListenerTable, PROXY, TLS};
use super::problem::Diagnostics;
use super::reader::{At, Section};
use super::words::{address, admin_address};
use crate::accept::{Entrance, ListenerConfig};
use crate::handshake::OwnCertificate;
use crate::report::admin::AdminAddress;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// What the command line puts in the place of the file's words.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Instead of `listen.proxy`, unless empty.
    pub listen: Vec<SocketAddr>,
    /// Instead of `listen.tls`, unless empty.
    pub tls: Vec<SocketAddr>,
    /// Instead of `listen.admin`, unless empty.
    pub admin: Vec<AdminAddress>,
    /// Instead of `listen.console`, unless nothing is said of it.
    pub console: ConsoleWanted,
    /// Standard output is for something else than the access log.
    pub takes_stdout: bool,
}

/// What the command line says of the console.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConsoleWanted {
    /// Nothing.
    #[default]
    AsConfigured,
    /// There is to be none.
    Off,
    /// It is to be there.
    At(Vec<SocketAddr>),
    /// It is offered to whoever runs the proxy on their own machine, at the usual port or at any.
    Offered,
}

/// The key of the console's addresses.
const CONSOLE_KEY: &str = "listen.console";

/// Where the console is offered where nobody says where it is to be.
const CONSOLE_PORT: u16 = 9130;

/// Addresses, each with its place; the place of the whole list matters where it is empty.
type Addresses<T = SocketAddr> = At<Vec<At<T>>>;

/// The table as written.
#[derive(Debug)]
pub(super) struct ListenTable {
    proxy: Addresses,
    tls: Addresses,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    admin: Addresses<AdminAddress>,
    console: Addresses,
}

/// Where the proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// Where clients come in; may be empty unless all others are.
    pub proxy: Vec<SocketAddr>,
    /// Where clients come in by TLS.
    pub tls: Vec<SocketAddr>,
    /// Ways in with names of their own.
    pub named: Vec<ListenerConfig>,
    /// Where `/metrics` and its kin are served; may be empty.
    pub admin: Vec<AdminAddress>,
    /// Where the console is; usually nowhere.
    pub console: Vec<SocketAddr>,
    /// Whether the console may be at another port where this one is taken.
    pub console_is_offered: bool,
}

impl Listeners {
    /// Every way in.
    pub fn all(&self) -> Vec<ListenerConfig> {
        let own = |name: &str, entrance, addresses: &[SocketAddr]| ListenerConfig {
            name: name.into(),
            entrance,
            addresses: addresses.to_vec(),
            socket: None,
            reuse_port: false,
        };
        let mut all = vec![
            own(PROXY, Entrance::Http, &self.proxy),
            own(TLS, Entrance::Https, &self.tls),
        ];
        all.extend(self.named.iter().cloned());
        all
    }

    /// What they are called. `proxy` and `tls` are names also while nobody listens there.
    pub fn names(&self) -> Vec<Arc<str>> {
        let named = self.named.iter().map(|listener| Arc::clone(&listener.name));
        [PROXY.into(), TLS.into()].into_iter().chain(named).collect()
    }

    /// The names of those that clients speak TLS with.
    pub fn secure(&self) -> Vec<Arc<str>> {
        let used = |listener: &ListenerConfig| !listener.addresses.is_empty() || listener.socket.is_some();
        let all = self.all().into_iter();
        all.filter(|listener| listener.entrance == Entrance::Https && used(listener))
            .map(|listener| listener.name)
            .collect()
    }

    /// The one that clients come in by of whom nothing is said.
    pub fn usual(&self) -> Arc<str> {
        let used = |listener: &ListenerConfig| !listener.addresses.is_empty() || listener.socket.is_some();
        let first = self.all().into_iter().find(used);
        first.map_or_else(|| PROXY.into(), |listener| listener.name)
    }
}

/// Where the admin pages are if nobody says anything else.
pub const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9128);

impl ListenTable {
    /// Reads the table; no file that it names is opened yet. Where there are listeners with names of their own, nobody
    /// listens elsewhere without being told to.
    pub(super) fn read(mut section: Section<'_, '_>, has_named: bool) -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let usual = || match has_named {
            true => Vec::new().into(),
            false => vec![loopback(3128).into()].into(),
        };
        let table = Self {
            proxy: section.list("proxy", address).unwrap_or_else(usual),
            tls: section.list("tls", address).unwrap_or_default(),
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            admin: (section.list("admin", admin_address))
                .unwrap_or_else(|| vec![AdminAddress::Tcp(DEFAULT_ADMIN).into()].into()),
            console: section.list("console", address).unwrap_or_default(),
        };
        section.finish();
        table
    }

    /// The addresses to listen on, after the command line's word. Other machines are let in to read the admin pages, or to
    /// the console, only where somebody has said how; the proxy is no open one where clients can be asked for names.
    pub(super) fn addresses(
        &mut self,
        named: &[ListenerTable],
        overrides: &Overrides,
        [lets_others_in, asks_names, console_has_tokens]: [bool; 3],
        notes: &mut Diagnostics,
    ) -> Listeners {
        let proxy_key = instead(&mut self.proxy, &overrides.listen, ["listen.proxy", "--listen"]);
        let tls_key = instead(&mut self.tls, &overrides.tls, ["listen.tls", "--listen-tls"]);
        let admin_key = instead(&mut self.admin, &overrides.admin, ["listen.admin", "--admin"]);
        let console_is_offered = match &overrides.console {
            ConsoleWanted::AsConfigured => false,
            ConsoleWanted::Off => {
                self.console = Vec::new().into();
                false
            }
            ConsoleWanted::At(addresses) => {
                instead(&mut self.console, addresses, ["listen.console", "--console"]);
                false
            }
            ConsoleWanted::Offered => {
                let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), CONSOLE_PORT);
                self.console = vec![address.into()].into();
                true
            }
        };
        let (proxy, tls, admin) = (&self.proxy, &self.tls, &self.admin);
        if proxy.value.is_empty() && tls.value.is_empty() && named.is_empty() {
            let message = "nothing to listen on; write at least one address, such as [\"127.0.0.1:3128\"]";
            // Members that could not be read have been stated; that none is left is not another mistake.
            if !notes.problems.iter().any(|problem| problem.key == proxy_key) {
                notes.add(&proxy.span, proxy_key, message);
            }
        }
        let clients = [(proxy, proxy_key), (tls, tls_key)].into_iter();
        let clients = clients.flat_map(|(list, key)| list.value.iter().map(move |at| (key, at, false)));
        let named = named.iter().flat_map(|table| {
            // Who is not brought there by the kernel gets nothing, and nobody gets to other places than one's own origins.
            let is_caught = table.leads_nowhere_else();
            (table.addresses()).map(move |at| ("listener.address", at, is_caught))
        });
        let clients = clients
            .chain(named)
            .map(|(key, at, is_caught)| (key, AdminAddress::Tcp(at.value), &at.span, is_caught));
        let admin = admin
            .value
            .iter()
            .map(|at| (admin_key, at.value.clone(), &at.span, false));
        let console = self.console.value.iter();
        let console = console.map(|at| (CONSOLE_KEY, AdminAddress::Tcp(at.value), &at.span, false));
        let mut seen = Vec::new();
        for (key, address, span, is_caught) in clients.chain(admin).chain(console) {
            if !matches!(&address, AdminAddress::Tcp(address) if address.port() == 0)
                && seen.contains(&address)
            {
                notes.add(
                    span,
                    key,
                    format!("{address} is listened on twice; give each listener its own port"),
                );
            }
            if key == CONSOLE_KEY {
                if !address.is_local() && !console_has_tokens {
                    notes.add(span, key, format!("other machines can reach {address}, and nobody has a token to log in with there; write a [[console.token]], or listen on 127.0.0.1, where the proxy prints a code that logs in once"));
                }
            } else if !address.is_local() && key != admin_key && !is_caught && !asks_names {
                notes.warn(format!(
                    "{key}: {address} is an open proxy to everyone who can reach it, since there is no authentication: let a firewall decide who can"
                ));
            } else if !address.is_local() && key == admin_key && !lets_others_in {
                notes.add(span, key, format!("other machines can reach {address}, and nothing says who may read the metrics there; name the file of a token in admin.token, listen on 127.0.0.1 or at unix:/PATH instead, or write insecure = true under [admin] to let everybody"));
            }
            let taken = seen
                .iter()
                .find_map(|other| Some((other, swallows(other, &address)?)));
            if let Some((other, wide)) = taken {
                let both = if wide.is_ipv6() && !is_v6_alone() {
                    ", of IPv4 too"
                } else {
                    ""
                };
                notes.add(span, key, format!("{address} and {other} cannot both be listened at: {wide} takes the port on every address{both}; leave one of them out"));
            }
            seen.push(address);
        }
        let addresses = |at: &Addresses| at.value.iter().map(|at| at.value).collect();
        Listeners {
            proxy: addresses(proxy),
            tls: addresses(tls),
            named: Vec::new(),
            admin: self.admin.value.iter().map(|at| at.value.clone()).collect(),
            console: addresses(&self.console),
            console_is_offered,
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

/// Which of two addresses takes the other's port too, if one does: nobody can listen at both.
fn swallows(one: &AdminAddress, other: &AdminAddress) -> Option<SocketAddr> {
    let (AdminAddress::Tcp(one), AdminAddress::Tcp(other)) = (one, other) else {
        return None;
    };
    let takes = |wide: &SocketAddr, other: &SocketAddr| {
        wide.ip().is_unspecified()
            && (wide.is_ipv4() == other.is_ipv4() || (wide.is_ipv6() && !is_v6_alone()))
    };
    if one == other || one.port() == 0 || one.port() != other.port() {
        return None;
    }
    let wide = [(one, other), (other, one)]
        .into_iter()
        .find(|(wide, other)| takes(wide, other));
    wide.map(|(wide, _)| *wide)
}

/// Whether `[::]` is IPv6 alone on this machine.
fn is_v6_alone() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only").is_ok_and(|on| on.trim() == "1")
}

/// Puts the command line's words in the place of the file's, if there are any; says which key or option speaks.
fn instead<T: Clone>(
    written: &mut Addresses<T>,
    options: &[T],
    [key, option]: [&'static str; 2],
) -> &'static str {
    if options.is_empty() {
        return key;
    }
    let options: Vec<_> = options.iter().map(|address| At::from(address.clone())).collect();
    *written = options.into();
    option
}
