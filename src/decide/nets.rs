//! Which addresses may be dialled.
//!
//! A forward proxy that dials whatever a name resolves to hands its clients the proxy's own network: loopback
//! services, the cloud's metadata, the LAN. So every address that is not globally reachable by the IANA IPv4 and
//! IPv6 special-purpose address registries (RFC 6890) is refused unless the configuration allows it.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that may not be dialled, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    /// The address that was asked about.
    pub address: IpAddr,
    /// The IPv4 address inside it, if that one is the reason.
    pub embedded: Option<Ipv4Addr>,
    /// The range that it lies in.
    pub range: IpNet,
    /// What that range is.
    pub why: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(embedded) = self.embedded {
            write!(f, ", which stands for {embedded},")?;
        }
        write!(f, " is in {}: {}", self.range, self.why)
    }
}

impl std::error::Error for Forbidden {}

/// The addresses that may be dialled.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
}

impl Reach {
    /// With what the configuration allows and denies on top of the built-in ranges. `deny` always wins.
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        Self { allow, deny }
    }

    /// The same without these networks.
    #[must_use]
    pub fn denying(&self, more: &[IpNet]) -> Self {
        let deny = self.deny.iter().chain(more).copied().collect();
        Self::new(self.allow.clone(), deny)
    }

    /// Everywhere.
    pub fn everywhere() -> Self {
        let all = [IpNet::from(Ipv4Net::default()), IpNet::from(Ipv6Net::default())];
        Self::new(all.to_vec(), Vec::new())
    }

    /// Whether `address` may be dialled. An IPv6 address that carries an IPv4 address (IPv4-mapped, NAT64, 6to4)
    /// is judged by both: a network of IPv6 that is allowed as a whole is no way to IPv4 addresses that are not.
    ///
    /// # Errors
    /// The range that forbids it.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let embedded = match address {
            IpAddr::V6(ip) => embedded_v4(ip),
            IpAddr::V4(_) => None,
        };
        let faces = [Some(address), embedded.map(IpAddr::V4)];
        for face in faces.into_iter().flatten() {
            let found = match covering(&self.deny, face) {
                Some(range) => Some((range, "the configuration denies it")),
                None if covering(&self.allow, face).is_some() => None,
                None => special(face),
            };
            if let Some((range, why)) = found {
                return Err(Forbidden {
                    address,
                    embedded: embedded.filter(|_| face != address),
                    range,
                    why,
                });
            }
        }
        Ok(())
    }
}

fn covering(nets: &[IpNet], address: IpAddr) -> Option<IpNet> {
    nets.iter().find(|net| net.contains(&address)).copied()
}

/// The IPv4 address that a packet to `ip` may end at.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let tail = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match ip.segments() {
        // RFC 4291 section 2.5.5.2 (mapped) and 2.5.5.1 (compatible, deprecated; `::` and `::1` are neither).
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(tail(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(tail(high, low)),
        // RFC 2765: IPv4-translated.
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(tail(high, low)),
        // RFC 6052: the well-known NAT64 prefix.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(tail(high, low)),
        // RFC 3056: 6to4.
        [0x2002, high, low, ..] => Some(tail(high, low)),
        _ => None,
    }
}

/// The built-in range that `address` lies in. The more specific ranges come first.
fn special(address: IpAddr) -> Option<(IpNet, &'static str)> {
    match address {
        IpAddr::V4(ip) => SPECIAL_V4.iter().find_map(|&((a, b, c, d), length, why)| {
            let net = Ipv4Net::new(Ipv4Addr::new(a, b, c, d), length).ok()?;
            net.contains(&ip).then_some((net.into(), why))
        }),
        IpAddr::V6(ip) => SPECIAL_V6.iter().find_map(|&(segments, length, why)| {
            let net = Ipv6Net::new(Ipv6Addr::from(segments), length).ok()?;
            net.contains(&ip).then_some((net.into(), why))
        }),
    }
}

const METADATA: &str = "the cloud's instance metadata service, which hands out credentials";

type RangeV4 = ((u8, u8, u8, u8), u8, &'static str);

const SPECIAL_V4: [RangeV4; 20] = [
    ((169, 254, 169, 254), 32, METADATA),
    ((100, 100, 100, 200), 32, METADATA),
    ((192, 0, 0, 192), 32, METADATA),
    (
        (168, 63, 129, 16),
        32,
        "the Azure platform's address inside a virtual network",
    ),
    ((255, 255, 255, 255), 32, "limited broadcast (RFC 919)"),
    ((0, 0, 0, 0), 8, "this network, unspecified (RFC 791)"),
    ((10, 0, 0, 0), 8, "private use (RFC 1918)"),
    (
        (100, 64, 0, 0),
        10,
        "shared address space of carrier-grade NAT (RFC 6598)",
    ),
    ((127, 0, 0, 0), 8, "loopback (RFC 1122)"),
    ((169, 254, 0, 0), 16, "link-local (RFC 3927)"),
    ((172, 16, 0, 0), 12, "private use (RFC 1918)"),
    ((192, 0, 0, 0), 24, "IETF protocol assignments (RFC 6890)"),
    ((192, 0, 2, 0), 24, "documentation (RFC 5737)"),
    ((192, 88, 99, 0), 24, "the former 6to4 relay anycast (RFC 7526)"),
    ((192, 168, 0, 0), 16, "private use (RFC 1918)"),
    ((198, 18, 0, 0), 15, "benchmarking (RFC 2544)"),
    ((198, 51, 100, 0), 24, "documentation (RFC 5737)"),
    ((203, 0, 113, 0), 24, "documentation (RFC 5737)"),
    ((224, 0, 0, 0), 4, "multicast (RFC 5771)"),
    ((240, 0, 0, 0), 4, "reserved (RFC 1112)"),
];

type RangeV6 = ([u16; 8], u8, &'static str);

const SPECIAL_V6: [RangeV6; 19] = [
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified (RFC 4291)"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback (RFC 4291)"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local-use NAT64 (RFC 8215)"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only (RFC 6666)"),
    ([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy prefix (RFC 9780)"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo (RFC 4380)"),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking (RFC 5180)"),
    (
        [0x2001, 0x10, 0, 0, 0, 0, 0, 0],
        28,
        "the former ORCHID (RFC 4843)",
    ),
    (
        [0x2001, 0x20, 0, 0, 0, 0, 0, 0],
        28,
        "ORCHIDv2, which is not routed (RFC 7343)",
    ),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation (RFC 3849)"),
    (
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        23,
        "IETF protocol assignments (RFC 2928)",
    ),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation (RFC 9637)"),
    (
        [0x5f00, 0, 0, 0, 0, 0, 0, 0],
        16,
        "segment identifiers of SRv6 (RFC 9602)",
    ),
    (
        [0xfc00, 0, 0, 0, 0, 0, 0, 0],
        7,
        "unique local, the private use of IPv6 (RFC 4193)",
    ),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local (RFC 4291)"),
    (
        [0xfec0, 0, 0, 0, 0, 0, 0, 0],
        10,
        "the former site-local (RFC 3879)",
    ),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast (RFC 4291)"),
    // RFC 4291 section 2.5.5.1 and its kin: nothing in ::/96 is routed, and mapped addresses lie outside it.
    (
        [0, 0, 0, 0, 0, 0, 0, 0],
        96,
        "IPv4-compatible, deprecated (RFC 4291)",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(allow: &[&str], deny: &[&str]) -> Reach {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Reach::new(nets(allow), nets(deny))
    }

    fn range(reach: &Reach, ip: &str) -> Option<String> {
        reach
            .check(ip.parse().unwrap())
            .err()
            .map(|forbidden| forbidden.range.to_string())
    }

    #[test]
    fn what_is_not_globally_reachable_is_refused() {
        for (ip, expected) in [
            ("0.0.0.0", "0.0.0.0/8"),
            ("0.1.2.3", "0.0.0.0/8"),
            ("10.255.255.255", "10.0.0.0/8"),
            ("100.64.0.0", "100.64.0.0/10"),
            ("100.127.255.255", "100.64.0.0/10"),
            ("100.100.100.200", "100.100.100.200/32"),
            ("127.0.0.1", "127.0.0.0/8"),
            ("127.255.255.255", "127.0.0.0/8"),
            ("168.63.129.16", "168.63.129.16/32"),
            ("169.254.169.254", "169.254.169.254/32"),
            ("169.254.0.1", "169.254.0.0/16"),
            ("172.16.0.0", "172.16.0.0/12"),
            ("172.31.255.255", "172.16.0.0/12"),
            ("192.0.0.1", "192.0.0.0/24"),
            ("192.0.2.1", "192.0.2.0/24"),
            ("192.88.99.1", "192.88.99.0/24"),
            ("192.168.0.1", "192.168.0.0/16"),
            ("198.18.0.1", "198.18.0.0/15"),
            ("198.19.255.255", "198.18.0.0/15"),
            ("198.51.100.1", "198.51.100.0/24"),
            ("203.0.113.1", "203.0.113.0/24"),
            ("224.0.0.1", "224.0.0.0/4"),
            ("239.255.255.255", "224.0.0.0/4"),
            ("240.0.0.1", "240.0.0.0/4"),
            ("255.255.255.255", "255.255.255.255/32"),
            ("::", "::/128"),
            ("::1", "::1/128"),
            ("::8.8.8.8", "::/96"),
            ("64:ff9b:1::1", "64:ff9b:1::/48"),
            ("100::1", "100::/64"),
            ("2001::1", "2001::/32"),
            ("2001:2::1", "2001:2::/48"),
            ("2001:10::1", "2001:10::/28"),
            ("2001:20::1", "2001:20::/28"),
            ("2001:1ff::1", "2001::/23"),
            ("2001:db8::1", "2001:db8::/32"),
            ("3fff:fff::1", "3fff::/20"),
            ("5f00::1", "5f00::/16"),
            ("fc00::1", "fc00::/7"),
            ("fdff::1", "fc00::/7"),
            ("fd00:ec2::254", "fd00:ec2::254/128"),
            ("fe80::1", "fe80::/10"),
            ("febf::1", "fe80::/10"),
            ("fec0::1", "fec0::/10"),
            ("ff02::1", "ff00::/8"),
        ] {
            assert_eq!(range(&Reach::default(), ip).as_deref(), Some(expected), "{ip}");
        }
    }

    #[test]
    fn the_neighbours_of_those_ranges_are_reachable() {
        for ip in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "3fff:1000::1",
            "2a00:1450::1",
        ] {
            assert_eq!(range(&Reach::default(), ip), None, "{ip}");
        }
    }

    #[test]
    fn an_ipv4_address_cannot_hide_in_an_ipv6_address() {
        for ip in [
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "2002:7f00:1::1234",
        ] {
            let forbidden = Reach::default().check(ip.parse().unwrap()).unwrap_err();
            assert_eq!(forbidden.range.to_string(), "127.0.0.0/8", "{ip}");
            assert_eq!(forbidden.embedded, Some(Ipv4Addr::LOCALHOST), "{ip}");
        }
        for ip in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
            assert_eq!(range(&Reach::default(), ip), None, "{ip}");
            assert_eq!(
                range(&reach(&[], &["8.0.0.0/8"]), ip).as_deref(),
                Some("8.0.0.0/8"),
                "{ip}"
            );
        }
        assert_eq!(range(&reach(&["127.0.0.0/8"], &[]), "::ffff:127.0.0.1"), None);
        let v6 = reach(&["::/0"], &[]);
        assert_eq!(range(&v6, "fd00::1"), None);
        for ip in ["::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::"] {
            assert_eq!(range(&v6, ip).as_deref(), Some("127.0.0.0/8"), "{ip}");
        }
    }

    #[test]
    fn allow_lifts_and_deny_always_wins() {
        let lan = reach(&["10.0.0.0/8", "::1/128"], &["10.1.0.0/16"]);
        assert_eq!(range(&lan, "10.0.0.1"), None);
        assert_eq!(range(&lan, "::1"), None);
        assert_eq!(range(&lan, "10.1.0.1").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(range(&lan, "127.0.0.1").as_deref(), Some("127.0.0.0/8"));
        assert_eq!(
            range(&reach(&["10.0.0.0/8"], &["10.0.0.0/8"]), "10.0.0.1").as_deref(),
            Some("10.0.0.0/8")
        );
        let host = reach(&["10.1.0.1/32"], &["10.0.0.0/8"]);
        assert_eq!(range(&host, "10.1.0.1").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(
            range(&reach(&[], &["0.0.0.0/0"]), "8.8.8.8").as_deref(),
            Some("0.0.0.0/0")
        );
        assert_eq!(range(&reach(&["0.0.0.0/0"], &[]), "169.254.169.254"), None);
    }

    #[test]
    fn the_text_names_address_range_and_reason() {
        let text = |ip: &str| {
            Reach::default()
                .check(ip.parse().unwrap())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text("127.0.0.1"),
            "127.0.0.1 is in 127.0.0.0/8: loopback (RFC 1122)"
        );
        assert!(text("169.254.169.254").contains("metadata"));
        assert!(text("fd00:ec2::254").contains("metadata"));
        assert_eq!(
            text("64:ff9b::10.0.0.1"),
            "64:ff9b::a00:1, which stands for 10.0.0.1, is in 10.0.0.0/8: private use (RFC 1918)"
        );
        let denied = reach(&[], &["8.8.8.0/24"])
            .check("8.8.8.8".parse().unwrap())
            .unwrap_err();
        assert_eq!(
            denied.to_string(),
            "8.8.8.8 is in 8.8.8.0/24: the configuration denies it"
        );
    }
}
