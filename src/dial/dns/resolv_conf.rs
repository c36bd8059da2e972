//! Servers and search domains, in the format of resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What such a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The servers in their order, at least one.
    pub servers: Vec<SocketAddr>,
    /// The search domains in their order, in lower case.
    pub search: Vec<String>,
    /// How many dots make a name that is asked for as it is before the search domains are tried.
    pub ndots: usize,
}

/// The port of DNS.
const PORT: u16 = 53;
/// glibc takes more than 15 for 15.
const MOST_DOTS: usize = 15;

impl ResolvConf {
    /// Reads `text`. As in glibc, a line that makes no sense says nothing, the last `search` or `domain` counts, and a file
    /// without servers means the one on this machine.
    pub(super) fn read(text: &str) -> Self {
        let (mut servers, mut search, mut ndots) = (Vec::new(), Vec::new(), 1);
        for line in text.lines() {
            // Comments begin a line; resolvers read what stands behind a value as one more value.
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let ip = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.extend(ip.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("domain") => search = words.take(1).filter_map(domain).collect(),
                Some("search") => search = words.filter_map(domain).collect(),
                Some("options") => {
                    let mut dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    ndots = dots.next_back().unwrap_or(ndots).min(MOST_DOTS);
                }
                _ => {}
            }
        }
        if servers.is_empty() {
            servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        Self {
            servers,
            search,
            ndots,
        }
    }
}

/// A search domain; `.` stands for none.
fn domain(word: &str) -> Option<String> {
    let word = word.trim_matches('.').to_ascii_lowercase();
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_systems_have_it() {
        let read = ResolvConf::read(
            "# made by a tool\n; and another\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n\
             nameserver fe80::1%eth0\ndomain old.test\nsearch Corp.Test. lab.test\n\
             options edns0 ndots:2 trust-ad\nsortlist 10.0.0.0\n",
        );
        let servers: Vec<_> = read.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53"]);
        assert_eq!(read.search, ["corp.test", "lab.test"]);
        assert_eq!(read.ndots, 2);
    }

    #[test]
    fn the_last_of_domain_and_search_counts() {
        let search = |text| ResolvConf::read(text).search;
        assert_eq!(search("search a.test b.test\ndomain c.test d.test\n"), ["c.test"]);
        assert_eq!(search("domain c.test\nsearch .\n"), Vec::<String>::new());
    }

    #[test]
    fn without_servers_it_is_this_machine() {
        let read = ResolvConf::read("options ndots:99\n");
        assert_eq!(read.servers[0].to_string(), "127.0.0.1:53");
        assert_eq!((read.servers.len(), read.ndots), (1, 15));
        assert_eq!(ResolvConf::read("").ndots, 1);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_read(text in "([a-z]{0,12}[ \t]?[ -~é]{0,40}\n){0,10}") {
            let read = ResolvConf::read(&text);
            proptest::prop_assert!(!read.servers.is_empty());
        }
    }
}
