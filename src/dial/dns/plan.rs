//! Whom names are asked for, and how: what the configuration and resolv.conf come to.

use super::config::{DnsConfig, DnsServer};
use super::resolv_conf::ResolvConf;
use std::fmt;

/// The servers and search domains that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsPlan {
    /// The servers, in their order.
    pub servers: Vec<DnsServer>,
    /// The search domains, in their order.
    pub search: Vec<String>,
    /// How many dots make a name that is asked for as it is before the search domains are tried.
    pub ndots: usize,
}

impl DnsPlan {
    /// What the configuration says wins over resolv.conf.
    pub(super) fn of(config: &DnsConfig, file: &ResolvConf) -> Self {
        let servers = match &config.servers[..] {
            [] => file
                .servers
                .iter()
                .map(|&address| DnsServer::plain(address))
                .collect(),
            some => some.to_vec(),
        };
        Self {
            servers,
            search: config.search.clone().unwrap_or_else(|| file.search.clone()),
            ndots: config.ndots.unwrap_or(file.ndots),
        }
    }

    /// What `config` comes to now.
    pub fn read(config: &DnsConfig) -> Self {
        let file = config
            .resolv_conf
            .as_ref()
            .and_then(|path| std::fs::read(path).ok());
        let text = String::from_utf8_lossy(file.as_deref().unwrap_or_default());
        Self::of(config, &ResolvConf::read(&text))
    }
}

impl fmt::Display for DnsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        f.write_str(&servers.join(", "))?;
        if !self.search.is_empty() {
            write!(f, "; search {}", self.search.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_wins() {
        let file = ResolvConf::read("nameserver 192.0.2.1\nsearch corp.test\noptions ndots:3\n");
        let mut config = DnsConfig::default();
        let plan = DnsPlan::of(&config, &file);
        assert_eq!(plan.to_string(), "192.0.2.1; search corp.test");
        assert_eq!(plan.ndots, 3);
        let address = "192.0.2.9:5353".parse().unwrap();
        config.servers = vec![DnsServer::plain(address)];
        config.search = Some(vec![]);
        config.ndots = Some(1);
        let plan = DnsPlan::of(&config, &file);
        assert_eq!(plan.to_string(), "192.0.2.9:5353");
        assert_eq!(plan.ndots, 1);
    }
}
