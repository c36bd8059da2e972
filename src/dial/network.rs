//! What a dial goes by: where names are, and which addresses may be dialled.

use super::dns::{Failure, LaterAddresses, LookUpOutcome, LookUpSource, NameWatch, Resolver};
use super::hosts::Hosts;
use super::outcome::{DialError, DialOutcome};
use crate::accept::is_local;
use crate::decide::nets::Reach;
use crate::wire::names::{Authority, Host};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Resolving the name.
    pub dns: Duration,
    /// Connecting, over all addresses.
    pub connect: Duration,
}

/// What a dial goes by.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// Names with fixed addresses.
    pub hosts: &'a Hosts,
    /// Looks up all others.
    pub resolver: &'a Resolver,
    /// Which addresses may be dialled.
    pub reach: &'a Reach,
    /// The addresses that this proxy listens on, which are not.
    pub own: &'a [SocketAddr],
    /// How long each step may take.
    pub deadlines: Deadlines,
}

/// Whether an address is one of `target`'s.
pub async fn is_at<W: NameWatch + 'static>(
    target: &Authority,
    ip: IpAddr,
    network: &Network<'_>,
    watch: &Arc<W>,
) -> bool {
    let Ok(Resolved { now, later }) = resolve(target, network, watch).await else {
        return false;
    };
    let has = |found: &[SocketAddr]| found.iter().any(|known| canonical(known.ip()) == canonical(ip));
    if has(&now) {
        return true;
    }
    match later {
        Some(mut later) => has(&on_port(later.arrive().await, target.port)),
        None => false,
    }
}

/// Where a target is.
pub(super) struct Resolved {
    pub(super) now: Vec<SocketAddr>,
    pub(super) later: Option<LaterAddresses>,
}

pub(super) async fn resolve<W: NameWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    watch: &Arc<W>,
) -> Result<Resolved, DialError> {
    let at_once = |now| Resolved { now, later: None };
    let name = match &target.host {
        Host::Ip(ip) => return Ok(at_once(vec![SocketAddr::new(*ip, target.port)])),
        Host::Name(name) => name.as_str(),
    };
    if let Some(fixed) = network.hosts.find(target) {
        watch.looked_up(LookUpSource::Hosts, LookUpOutcome::Ok);
        return Ok(at_once(fixed));
    }
    match network.resolver.look_up(name, network.deadlines.dns, watch).await {
        Ok(found) => Ok(Resolved {
            now: on_port(found.now, target.port),
            later: found.later,
        }),
        Err(error) => {
            let outcome = match error.failure {
                Failure::Timeout => DialOutcome::DnsTimeout,
                _ => DialOutcome::DnsError,
            };
            Err(DialError {
                rcode: error.failure.rcode(),
                ..DialError::new(outcome, format!("{name} does not resolve: {}", error.text))
            })
        }
    }
}

pub(super) fn on_port(ips: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// Only the addresses that may be dialled. The check is on what is really dialled, not on the name, so a name
/// that resolves into the network gets no further than the address itself would.
pub(super) fn permitted(
    target: &Authority,
    addresses: &[SocketAddr],
    network: &Network<'_>,
) -> Result<Vec<SocketAddr>, DialError> {
    let mut kept = Vec::with_capacity(addresses.len());
    let mut refused = String::new();
    for &address in addresses {
        if is_own(address, network.own) {
            return Err(looped(target));
        }
        match network.reach.check(address.ip()) {
            Ok(()) if kept.contains(&address) => {}
            Ok(()) => kept.push(address),
            Err(why) => {
                let _ = write!(
                    refused,
                    "{}{}: {why}",
                    if refused.is_empty() { "" } else { "; " },
                    address.ip()
                );
            }
        }
    }
    if kept.is_empty() {
        return Err(DialError::new(
            DialOutcome::Forbidden,
            format!("{target} may not be reached from here ({refused}); see [network] allow"),
        ));
    }
    Ok(kept)
}

pub(super) fn looped(target: &Authority) -> DialError {
    DialError::new(DialOutcome::Loop, format!("{target} is this proxy itself"))
}

pub(super) fn is_own(address: SocketAddr, own: &[SocketAddr]) -> bool {
    own.iter().any(|own| is_same_listener(*own, address))
}

fn is_same_listener(own: SocketAddr, dialled: SocketAddr) -> bool {
    let (own_ip, ip) = (canonical(own.ip()), canonical(dialled.ip()));
    // The kernel takes the unspecified address for this machine's loopback.
    let is_here = ip.is_unspecified() && own_ip.is_loopback();
    let is_behind = own_ip.is_unspecified() && (is_local(ip) || ip.is_unspecified());
    own.port() == dialled.port() && (own_ip == ip || is_here || is_behind)
}

/// A proxy on 0.0.0.0 has as many addresses as the machine: the kernel picks the same address on both ends
/// exactly when the far end is this machine.
pub(super) fn is_own_socket(stream: &TcpStream, own: &[SocketAddr]) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => {
            local.ip() == peer.ip()
                && own
                    .iter()
                    .any(|own| own.ip().is_unspecified() && own.port() == peer.port())
        }
        _ => false,
    }
}

fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}
