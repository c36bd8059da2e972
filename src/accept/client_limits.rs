//! What one client may have. A client is an address, or the network around it that one customer is commonly given.

use crate::error::words;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

words! {
    /// A limit that a client has reached.
    pub enum ClientLimit {
        /// It has as many connections as one client may have.
        Connections = "client_connection_limit",
        /// It holds so many of the places that what is left is for others.
        Share = "client_share",
        /// It has as many WebSockets as one client may have.
        WebSockets = "client_websocket_limit",
        /// It shakes hands faster than one client may.
        Handshakes = "client_handshake_rate",
    }
}

/// What each client may have. Zero means that there is no such limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Open connections, and tunnels on HTTP/2 with the proxy.
    pub connections: usize,
    /// Open WebSockets.
    pub websockets: usize,
    /// Handshakes a second, in the long run.
    pub handshakes_per_second: usize,
    /// Handshakes at once, after a rest.
    pub handshake_burst: usize,
    /// The most of all places that a client may hold who is alone, in percent. It may have this many for each of the rest up
    /// to 100 that is free, whoever else there is: dynamic thresholds (Choudhury and Hahne, 1998), which need not know how
    /// many clients there are, and always leave something.
    pub share_percent: usize,
    /// How many leading bits of an IPv4 address make a client.
    pub ipv4_prefix: u8,
    /// The same of IPv6.
    pub ipv6_prefix: u8,
    /// Addresses that have no limits: those that stand for many.
    pub except: Vec<IpNet>,
}

impl ClientLimits {
    /// None of them.
    pub const fn none() -> Self {
        Self {
            connections: 0,
            websockets: 0,
            handshakes_per_second: 0,
            handshake_burst: 1,
            share_percent: 0,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            except: Vec::new(),
        }
    }

    /// The client that an address belongs to; `None` if it has no limits.
    pub(super) fn client(&self, address: IpAddr) -> Option<IpNet> {
        // A socket of both versions shows IPv4 inside of IPv6.
        let address = address.to_canonical();
        if self.except.iter().any(|net| net.contains(&address)) {
            return None;
        }
        let prefix = match address {
            IpAddr::V4(_) => self.ipv4_prefix,
            IpAddr::V6(_) => self.ipv6_prefix,
        };
        IpNet::new(address, prefix).ok().map(|net| net.trunc())
    }

    /// Why a client that holds so many places gets none of those that are free, if it does not.
    pub(super) fn refuses_connection(&self, held: usize, free: usize) -> Option<ClientLimit> {
        if self.connections > 0 && held >= self.connections {
            return Some(ClientLimit::Connections);
        }
        let (share, rest) = (self.share_percent, 100_usize.saturating_sub(self.share_percent));
        // With this one more. Who has none yet is not kept from waiting for its turn.
        let (has, left) = (held.saturating_add(1), free.saturating_sub(1));
        let is_too_much = has.saturating_mul(rest) > share.saturating_mul(left);
        (share > 0 && held > 0 && is_too_much).then_some(ClientLimit::Share)
    }

    /// Whether a client that has so many WebSockets gets no other.
    pub(super) const fn refuses_websocket(&self, held: usize) -> bool {
        self.websockets > 0 && held >= self.websockets
    }

    /// From one handshake to the next, in the long run, and how far ahead of that a client may be; `None` if it may have
    /// any number of them.
    pub(super) fn handshakes(&self) -> Option<(Duration, Duration)> {
        if self.handshakes_per_second == 0 {
            return None;
        }
        let interval = Duration::from_secs(1).div_f64(self.handshakes_per_second as f64);
        let ahead = interval.mul_f64(self.handshake_burst.saturating_sub(1) as f64);
        Some((interval, ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ClientLimits {
        ClientLimits {
            share_percent: 90,
            except: vec!["10.0.0.0/8".parse().unwrap()],
            ..ClientLimits::none()
        }
    }

    #[test]
    fn a_client_is_an_address_of_ipv4_and_a_network_of_ipv6() {
        let limits = limits();
        let client = |text: &str| limits.client(text.parse().unwrap()).map(|net| net.to_string());
        assert_eq!(client("192.0.2.7").as_deref(), Some("192.0.2.7/32"));
        assert_eq!(client("::ffff:192.0.2.7").as_deref(), Some("192.0.2.7/32"));
        assert_eq!(client("2001:db8:0:7:1::2").as_deref(), Some("2001:db8:0:7::/64"));
        assert_eq!(client("2001:db8:0:7::"), client("2001:db8:0:7:ffff::9"));
        assert_eq!(client("10.1.2.3"), None, "it is exempt");
        assert_eq!(client("::ffff:10.1.2.3"), None, "in whatever form");
        let wider = ClientLimits {
            ipv4_prefix: 0,
            ..limits.clone()
        };
        let all = wider.client("192.0.2.7".parse().unwrap());
        assert_eq!(all, wider.client("198.51.100.1".parse().unwrap()));
    }

    /// Clients that take all they get, one after the other.
    fn taken(limits: &ClientLimits, total: usize, clients: usize) -> Vec<usize> {
        let mut free = total;
        let mut each = Vec::new();
        for _ in 0..clients {
            let mut held = 0;
            while free > 0 && limits.refuses_connection(held, free).is_none() {
                (held, free) = (held + 1, free - 1);
            }
            each.push(held);
        }
        each
    }

    #[test]
    fn who_takes_all_it_gets_leaves_some_for_the_next() {
        assert_eq!(taken(&limits(), 10_000, 4), [9_000, 900, 90, 9]);
        let half = ClientLimits {
            share_percent: 50,
            ..limits()
        };
        assert_eq!(taken(&half, 16, 5), [8, 4, 2, 1, 1]);
        let unlimited = ClientLimits {
            share_percent: 0,
            ..limits()
        };
        assert_eq!(taken(&unlimited, 100, 2), [100, 0]);
        let few = ClientLimits {
            connections: 30,
            ..limits()
        };
        assert_eq!(taken(&few, 100, 4), [30, 30, 30, 9]);
    }

    #[test]
    fn who_has_nothing_yet_waits_for_its_turn() {
        assert_eq!(limits().refuses_connection(0, 0), None);
        assert_eq!(limits().refuses_connection(1, 0), Some(ClientLimit::Share));
    }

    #[test]
    fn many_small_clients_fill_all_places() {
        let (limits, total) = (limits(), 1000);
        let (mut held, mut free) = ([0; 200], total);
        for at in (0..5).flat_map(|_| 0..200) {
            let held: &mut usize = &mut held[at];
            if limits.refuses_connection(*held, free).is_none() {
                (*held, free) = (*held + 1, free - 1);
            }
        }
        assert_eq!(free, 1, "the last one is for somebody who has none");
        assert_eq!((held[..199].to_vec(), held[199]), (vec![5; 199], 4));
    }
}
