//! Happy eyeballs (RFC 8305): the next address starts when the last one has failed or has had its head start.

use super::outcome::{DialError, DialOutcome};
use crate::decide::Leaving;
use crate::wire::names::Authority;
use socket2::SockRef;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The pause before the next address is tried beside the ones under way (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses that wait for their turn: families in turn, beginning with the resolver's first choice (RFC 8305 section 4).
#[derive(Debug, Default)]
pub(super) struct Waiting {
    v6: VecDeque<SocketAddr>,
    v4: VecDeque<SocketAddr>,
    v6_is_next: bool,
}

impl Waiting {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        let mut waiting = Self {
            v6_is_next: addresses.first().is_some_and(SocketAddr::is_ipv6),
            ..Self::default()
        };
        waiting.add(addresses);
        waiting
    }

    fn add(&mut self, addresses: Vec<SocketAddr>) {
        let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
        self.v6.extend(v6);
        self.v4.extend(v4);
    }

    fn pop(&mut self) -> Option<SocketAddr> {
        let (one, two) = match self.v6_is_next {
            true => (&mut self.v6, &mut self.v4),
            false => (&mut self.v4, &mut self.v6),
        };
        let address = one.pop_front().or_else(|| two.pop_front())?;
        self.v6_is_next = !address.is_ipv6();
        Some(address)
    }

    fn is_empty(&self) -> bool {
        self.v6.is_empty() && self.v4.is_empty()
    }

    /// The only address, if there is just one.
    fn only(&self) -> Option<SocketAddr> {
        match (self.v6.len(), self.v4.len()) {
            (1, 0) => self.v6.front().copied(),
            (0, 1) => self.v4.front().copied(),
            _ => None,
        }
    }
}

/// Connects to the first of the addresses that accepts. `more` brings further ones, once they are known.
pub(super) async fn race(
    target: &Authority,
    mut waiting: Waiting,
    more: Option<impl Future<Output = Vec<SocketAddr>>>,
    leaving: &Leaving,
) -> Result<TcpStream, DialError> {
    let mut failures = String::new();
    if let (Some(address), None) = (waiting.only(), &more) {
        // The common case needs no task.
        return connect(address, leaving).await.map_err(|error| {
            note(&mut failures, address, &error);
            unreachable(target, &failures)
        });
    }
    let mut expected = more.is_some();
    let mut more = pin!(async {
        match more {
            Some(more) => more.await,
            None => Vec::new(),
        }
    });
    let mut under_way = JoinSet::new();
    let (mut is_due, mut turn) = (true, Instant::now());
    loop {
        if is_due && let Some(address) = waiting.pop() {
            let leaving = leaving.clone();
            under_way.spawn(async move { (address, connect(address, &leaving).await) });
            (is_due, turn) = (false, Instant::now() + ATTEMPT_DELAY);
        }
        tokio::select! {
            Some(ended) = under_way.join_next() => match ended {
                Ok((_, Ok(stream))) => return Ok(stream),
                Ok((address, Err(error))) => {
                    note(&mut failures, address, &error);
                    is_due = true;
                }
                Err(_) => is_due = true,
            },
            addresses = &mut more, if expected => {
                expected = false;
                waiting.add(addresses);
            }
            () = sleep_until(turn), if !waiting.is_empty() => is_due = true,
            else => return Err(unreachable(target, &failures)),
        }
    }
}

/// Connects from where it is to leave.
async fn connect(address: SocketAddr, leaving: &Leaving) -> io::Result<TcpStream> {
    let Leaving {
        source,
        interface,
        dscp,
        client,
    } = leaving;
    let client = client.filter(|client| client.is_ipv4() == address.is_ipv4());
    if source.is_none() && interface.is_none() && dscp.is_none() && client.is_none() {
        return TcpStream::connect(address).await;
    }
    let (socket, family) = match address {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, "IPv4"),
        SocketAddr::V6(_) => (TcpSocket::new_v6()?, "IPv6"),
    };
    if let Some(interface) = interface {
        let bound = socket.bind_device(Some(interface.as_bytes()));
        bound
            .map_err(|error| io::Error::new(error.kind(), format!("cannot leave by {interface}: {error}")))?;
    }
    if let Some(dscp) = dscp {
        // The two bits below are ECN's (RFC 3168 section 5).
        let class = u32::from(*dscp) << 2;
        match address {
            SocketAddr::V4(_) => socket.set_tos_v4(class)?,
            SocketAddr::V6(_) => socket.set_tclass_v6(class)?,
        }
    }
    if let Some(client) = client {
        // Serves sockets of IPv6 too.
        let transparent = SockRef::from(&socket).set_ip_transparent_v4(true);
        let bound = transparent.and_then(|()| socket.bind((client, 0).into()));
        bound.map_err(|error| {
            let text = format!("cannot come from the client's address {client}: {error}");
            io::Error::new(error.kind(), text)
        })?;
    } else if let Some(sources) = source {
        let Some(from) = sources.towards(address.ip()) else {
            let text = format!("no source address of {family} is configured");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        };
        let bound = socket.bind((from, 0).into());
        bound.map_err(|error| io::Error::new(error.kind(), format!("cannot come from {from}: {error}")))?;
    }
    socket.connect(address).await
}

fn note(failures: &mut String, address: SocketAddr, error: &io::Error) {
    let _ = write!(
        failures,
        "{}{address}: {error}",
        if failures.is_empty() { "" } else { "; " }
    );
}

fn unreachable(target: &Authority, failures: &str) -> DialError {
    let text = format!("no connection to {target} ({failures})");
    DialError::new(DialOutcome::Refused, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn drained(mut waiting: Waiting) -> Vec<String> {
        std::iter::from_fn(|| waiting.pop().map(|address| address.to_string())).collect()
    }

    #[test]
    fn families_take_turns() {
        let waiting = Waiting::new(addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]));
        assert_eq!(drained(waiting), ["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]);
        let waiting = Waiting::new(addresses(&["127.0.0.1:1", "127.0.0.2:1"]));
        assert_eq!(drained(waiting), ["127.0.0.1:1", "127.0.0.2:1"]);
        assert_eq!(drained(Waiting::default()), Vec::<String>::new());
    }

    #[test]
    fn a_family_that_comes_later_is_the_next() {
        let mut waiting = Waiting::new(addresses(&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"]));
        assert_eq!(waiting.pop().unwrap().to_string(), "127.0.0.1:1");
        waiting.add(addresses(&["[::1]:1", "[::2]:1"]));
        assert_eq!(
            drained(waiting),
            ["[::1]:1", "127.0.0.2:1", "[::2]:1", "127.0.0.3:1"]
        );
    }
}
