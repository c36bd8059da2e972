//! Reaching the origin: resolve, check what is really dialled, connect to whichever address answers first.

mod hosts;

pub use hosts::{Hosts, HostsError};

use crate::accept::{Socket, tune};
use crate::decide::nets::Reach;
use crate::wire::names::{Authority, Host};
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How a dial ended; also the metric label. Names follow RFC 9209 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialOutcome {
    /// Connected.
    Ok,
    /// The name has no address.
    DnsError,
    /// Resolving took too long.
    DnsTimeout,
    /// Every address is one that the configuration keeps out.
    Forbidden,
    /// The address is this proxy's own.
    Loop,
    /// Every address refused or was unreachable.
    Refused,
    /// No address answered in time.
    Timeout,
}

impl DialOutcome {
    /// Every outcome, for metrics that start at zero.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::DnsError,
        Self::DnsTimeout,
        Self::Forbidden,
        Self::Loop,
        Self::Refused,
        Self::Timeout,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::DnsError => "dns_error",
            Self::DnsTimeout => "dns_timeout",
            Self::Forbidden => "destination_ip_prohibited",
            Self::Loop => "proxy_loop_detected",
            Self::Refused => "connection_refused",
            Self::Timeout => "connection_timeout",
        }
    }

    /// The status that a client gets for it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Forbidden => 403,
            Self::DnsTimeout | Self::Timeout => 504,
            Self::DnsError | Self::Refused | Self::Loop => 502,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub struct DialError {
    /// The kind of failure, for metrics and for the answer's status.
    pub outcome: DialOutcome,
    /// In words, with the addresses that were tried.
    pub text: String,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

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

/// The pause before the next address is tried beside the ones under way (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to `target`. `own` are the addresses that this proxy listens on.
pub async fn dial(
    target: &Authority,
    hosts: &Hosts,
    reach: &Reach,
    own: &[SocketAddr],
    deadlines: Deadlines,
) -> Result<OriginLeg, DialError> {
    let addresses = resolve(target, hosts, deadlines.dns).await?;
    let addresses = permitted(target, addresses, reach, own)?;
    match tokio::time::timeout(deadlines.connect, race(target, interleave(addresses))).await {
        Ok(connected) => {
            let stream = connected?;
            if is_own_socket(&stream, own) {
                return Err(looped(target));
            }
            tune(&stream);
            Ok(OriginLeg {
                address: stream.peer_addr().ok(),
                socket: stream.into(),
            })
        }
        Err(_) => Err(DialError {
            outcome: DialOutcome::Timeout,
            text: format!(
                "{target} did not accept a connection within {:?}",
                deadlines.connect
            ),
        }),
    }
}

async fn resolve(
    target: &Authority,
    hosts: &Hosts,
    deadline: Duration,
) -> Result<Vec<SocketAddr>, DialError> {
    if let Some(fixed) = hosts.find(target) {
        return Ok(fixed);
    }
    let name = match &target.host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, target.port)]),
        Host::Name(name) => name.as_str(),
    };
    match tokio::time::timeout(deadline, look_up(name, target.port)).await {
        Err(_) => Err(DialError {
            outcome: DialOutcome::DnsTimeout,
            text: format!("resolving {name} took longer than {deadline:?}"),
        }),
        Ok(Err(error)) => Err(DialError {
            outcome: DialOutcome::DnsError,
            text: format!("{name} does not resolve: {error}"),
        }),
        Ok(Ok(found)) => {
            if found.is_empty() {
                return Err(DialError {
                    outcome: DialOutcome::DnsError,
                    text: format!("{name} has no address"),
                });
            }
            Ok(found)
        }
    }
}

/// The system's resolver, on a thread of its own. A look-up that has timed out still holds its thread, so only so
/// many run at once: names that nobody answers for must not take the threads that everything else blocks on.
async fn look_up(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    static RUNNING: Semaphore = Semaphore::const_new(LOOK_UPS);
    let permit = RUNNING.acquire().await.map_err(io::Error::other)?;
    let name = name.to_owned();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        (name.as_str(), port).to_socket_addrs().map(Iterator::collect)
    })
    .await
    .map_err(io::Error::other)?
}

/// Half of the threads that the runtime keeps for blocking calls.
const LOOK_UPS: usize = 256;

/// Only the addresses that may be dialled. The check is on what is really dialled, not on the name, so a name
/// that resolves into the network gets no further than the address itself would.
fn permitted(
    target: &Authority,
    addresses: Vec<SocketAddr>,
    reach: &Reach,
    own: &[SocketAddr],
) -> Result<Vec<SocketAddr>, DialError> {
    let mut kept = Vec::with_capacity(addresses.len());
    let mut refused = String::new();
    for address in addresses {
        if own.iter().any(|own| is_same_listener(*own, address)) {
            return Err(looped(target));
        }
        match reach.check(address.ip()) {
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
        return Err(DialError {
            outcome: DialOutcome::Forbidden,
            text: format!("{target} may not be reached from here ({refused}); see [network] allow"),
        });
    }
    Ok(kept)
}

fn looped(target: &Authority) -> DialError {
    DialError {
        outcome: DialOutcome::Loop,
        text: format!("{target} is this proxy itself"),
    }
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

/// Families in turn, beginning with the resolver's first choice (RFC 8305 section 4).
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut two): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut out = VecDeque::with_capacity(one.len() + two.len());
    while !one.is_empty() || !two.is_empty() {
        out.extend(one.pop_front());
        out.extend(two.pop_front());
    }
    out
}

/// Happy eyeballs: the next address starts when the last one has failed or has had its head start.
async fn race(target: &Authority, mut waiting: VecDeque<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut failures = String::new();
    if waiting.len() == 1 {
        // The common case needs no task.
        let address = waiting[0];
        return TcpStream::connect(address).await.map_err(|error| {
            note(&mut failures, address, &error);
            unreachable(target, &failures)
        });
    }
    let mut under_way = JoinSet::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            under_way.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let head_start = async {
            if waiting.is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(ATTEMPT_DELAY).await;
        };
        tokio::select! {
            ended = under_way.join_next() => match ended {
                Some(Ok((_, Ok(stream)))) => return Ok(stream),
                Some(Ok((address, Err(error)))) => note(&mut failures, address, &error),
                Some(Err(_)) => {}
                None => return Err(unreachable(target, &failures)),
            },
            () = head_start => {}
        }
    }
}

fn note(failures: &mut String, address: SocketAddr, error: &io::Error) {
    let _ = write!(
        failures,
        "{}{address}: {error}",
        if failures.is_empty() { "" } else { "; " }
    );
}

fn unreachable(target: &Authority, failures: &str) -> DialError {
    DialError {
        outcome: DialOutcome::Refused,
        text: format!("no connection to {target} ({failures})"),
    }
}

#[cfg(test)]
mod tests;
