//! Fixed addresses for names, as a hosts file gives them: for split DNS, for pinning a name, for tests.

use crate::wire::names::{Authority, Host};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Names with fixed addresses. A key is `name`, `name:port` or `*.suffix`; a value is an address, which may
/// carry another port to dial.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    entries: HashMap<String, Vec<Fixed>>,
}

#[derive(Debug, Clone, Copy)]
struct Fixed {
    ip: IpAddr,
    port: Option<u16>,
}

/// An entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsError {
    /// The entry's key.
    pub key: String,
    /// The value at fault.
    pub value: String,
}

impl fmt::Display for HostsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} for {:?} is not an address; write an IP address, with or without a port",
            self.value, self.key
        )
    }
}

impl Hosts {
    /// Gives `key` these addresses.
    ///
    /// # Errors
    /// One of them is not an IP address, with or without a port.
    pub fn insert(&mut self, key: &str, addresses: &[String]) -> Result<(), HostsError> {
        let mut fixed = Vec::with_capacity(addresses.len());
        for value in addresses {
            let address = value.parse::<IpAddr>().map(|ip| Fixed { ip, port: None });
            let socket = || {
                value.parse::<SocketAddr>().map(|a| Fixed {
                    ip: a.ip(),
                    port: Some(a.port()),
                })
            };
            let refused = |_| HostsError {
                key: key.to_owned(),
                value: value.clone(),
            };
            fixed.push(address.or_else(|_| socket()).map_err(refused)?);
        }
        self.entries
            .insert(key.trim_end_matches('.').to_ascii_lowercase(), fixed);
        Ok(())
    }

    /// The fixed addresses of `target`: an entry with its port wins over one with its name, and that over the
    /// longest `*.` suffix.
    pub fn find(&self, target: &Authority) -> Option<Vec<SocketAddr>> {
        if self.entries.is_empty() {
            return None;
        }
        let Host::Name(name) = &target.host else {
            return None;
        };
        let found = self
            .entries
            .get(&format!("{name}:{}", target.port))
            .or_else(|| self.entries.get(name))
            .or_else(|| {
                name.match_indices('.')
                    .find_map(|(at, _)| self.entries.get(&format!("*{}", &name[at..])))
            })?;
        Some(
            found
                .iter()
                .map(|f| SocketAddr::new(f.ip, f.port.unwrap_or(target.port)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(pairs: &[(&str, &str)]) -> Hosts {
        let mut hosts = Hosts::default();
        for (key, value) in pairs {
            hosts.insert(key, &[(*value).to_owned()]).unwrap();
        }
        hosts
    }

    fn find(hosts: &Hosts, name: &str, port: u16) -> Option<String> {
        let target = Authority {
            host: Host::Name(name.to_owned()),
            port,
        };
        hosts.find(&target).map(|found| found[0].to_string())
    }

    #[test]
    fn the_most_exact_entry_wins() {
        let hosts = hosts(&[
            ("a.test", "192.0.2.1"),
            ("a.test:443", "192.0.2.2:8443"),
            ("*.b.test", "192.0.2.3"),
            ("*.x.b.test", "2001:db8::1"),
        ]);
        assert_eq!(find(&hosts, "a.test", 80).as_deref(), Some("192.0.2.1:80"));
        assert_eq!(find(&hosts, "a.test", 443).as_deref(), Some("192.0.2.2:8443"));
        assert_eq!(find(&hosts, "q.b.test", 1).as_deref(), Some("192.0.2.3:1"));
        assert_eq!(find(&hosts, "q.x.b.test", 1).as_deref(), Some("[2001:db8::1]:1"));
        assert_eq!(find(&hosts, "b.test", 1), None);
    }

    #[test]
    fn a_bad_address_names_its_entry() {
        let error = Hosts::default()
            .insert("a.test", &["localhost".to_owned()])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"localhost\" for \"a.test\" is not an address; write an IP address, with or without a port"
        );
    }
}
