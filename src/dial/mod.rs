//! Reaching the origin: resolve, check what is really dialled, connect to whichever address answers first.

mod dns;
mod hosts;
mod outcome;
mod race;

pub use dns::{
    Addresses, CacheLimits, DnsConfig, DnsPlan, DnsServer, Failure, Families, Family, LaterAddresses,
    LookUpError, LookUpOutcome, LookUpSource, NEXT_SERVER, NameWatch, Resolver, ResolverKind, ServerOrder,
};
pub use hosts::{Hosts, HostsError};
pub use outcome::{DialError, DialOutcome};

use crate::accept::{Socket, tune};
use crate::decide::nets::Reach;
use crate::wire::names::{Authority, Host};
use race::{Waiting, race};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// What leads to an origin: a socket, or a stream inside another connection.
#[derive(Debug)]
pub struct OriginLeg {
    /// Its bytes.
    pub socket: Socket,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
}

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

/// Connects to `target`.
///
/// # Errors
/// It does not resolve, may not be reached, or does not accept.
pub async fn dial<W: NameWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    watch: &Arc<W>,
) -> Result<OriginLeg, DialError> {
    let Resolved { mut now, mut later } = resolve(target, network, watch).await?;
    let connect = async {
        let mut addresses = permitted(target, &now, network);
        if matches!(&addresses, Err(error) if error.outcome == DialOutcome::Forbidden)
            && let Some(mut rest) = later.take()
        {
            // Those of the other family may be allowed.
            now.extend(on_port(rest.arrive().await, target.port));
            addresses = permitted(target, &now, network);
        }
        let expects = later.is_some();
        let more = async {
            let Some(rest) = &mut later else {
                return Vec::new();
            };
            let rest = on_port(rest.arrive().await, target.port);
            // What may not be dialled of them is left out: there are others that may.
            permitted(target, &rest, network).unwrap_or_default()
        };
        let waiting = Waiting::new(addresses?);
        race(target, waiting, expects.then_some(more)).await
    };
    match tokio::time::timeout(network.deadlines.connect, connect).await {
        Ok(connected) => {
            let stream = connected?;
            if is_own_socket(&stream, network.own) {
                return Err(looped(target));
            }
            tune(&stream);
            Ok(OriginLeg {
                address: stream.peer_addr().ok(),
                socket: stream.into(),
            })
        }
        Err(_) => Err(DialError::new(
            DialOutcome::Timeout,
            format!(
                "{target} did not accept a connection within {:?}",
                network.deadlines.connect
            ),
        )),
    }
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
struct Resolved {
    now: Vec<SocketAddr>,
    later: Option<LaterAddresses>,
}

async fn resolve<W: NameWatch + 'static>(
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

fn on_port(ips: Vec<IpAddr>, port: u16) -> Vec<SocketAddr> {
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

/// Only the addresses that may be dialled. The check is on what is really dialled, not on the name, so a name
/// that resolves into the network gets no further than the address itself would.
fn permitted(
    target: &Authority,
    addresses: &[SocketAddr],
    network: &Network<'_>,
) -> Result<Vec<SocketAddr>, DialError> {
    let mut kept = Vec::with_capacity(addresses.len());
    let mut refused = String::new();
    for &address in addresses {
        if network.own.iter().any(|own| is_same_listener(*own, address)) {
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

fn looped(target: &Authority) -> DialError {
    DialError::new(DialOutcome::Loop, format!("{target} is this proxy itself"))
}

fn is_same_listener(own: SocketAddr, dialled: SocketAddr) -> bool {
    let ip = canonical(dialled.ip());
    own.port() == dialled.port()
        && (canonical(own.ip()) == ip
            || (own.ip().is_unspecified() && (ip.is_loopback() || ip.is_unspecified())))
}

/// A proxy on 0.0.0.0 has as many addresses as the machine: the kernel picks the same address on both ends
/// exactly when the far end is this machine.
fn is_own_socket(stream: &TcpStream, own: &[SocketAddr]) -> bool {
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

#[cfg(test)]
mod tests;
