//! Users who are known by their address for a time, after a login from there: for programs that cannot say who they are.

use crate::identity::{Identity, Proof};
use ipnet::IpNet;
use quick_cache::sync::Cache;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For how long an address is its user's, and where that is never so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressConfig {
    /// Since the last login from there.
    pub time: Duration,
    /// Addresses that several people have: terminal servers, NAT, proxies.
    pub except: Vec<IpNet>,
    /// How many addresses are remembered.
    pub entries: usize,
}

/// Who has logged in from where.
#[derive(Debug)]
pub(super) struct Addresses {
    config: AddressConfig,
    known: Cache<IpAddr, KnownUser>,
}

#[derive(Debug, Clone)]
struct KnownUser {
    user: Arc<Identity>,
    since: Instant,
}

impl Addresses {
    pub(super) fn new(config: &AddressConfig) -> Self {
        Self {
            known: Cache::new(config.entries.max(1)),
            config: config.clone(),
        }
    }

    /// Somebody has shown who they are.
    pub(super) fn learn(&self, client: IpAddr, user: &Identity, now: Instant) {
        let client = client.to_canonical();
        if self.config.except.iter().any(|net| net.contains(&client)) {
            return;
        }
        // A client that shows it with each request is not written down for each.
        let fresh = self.config.time / 64;
        let is_known = |known: &KnownUser| {
            let same = (&known.user.name, &known.user.groups) == (&user.name, &user.groups);
            same && now.saturating_duration_since(known.since) < fresh
        };
        if self.known.get(&client).is_some_and(|known| is_known(&known)) {
            return;
        }
        let user = Arc::new(Identity {
            proof: Some(Proof::Address),
            ..user.clone()
        });
        self.known.insert(client, KnownUser { user, since: now });
    }

    /// Who is there.
    pub(super) fn user(&self, client: IpAddr, now: Instant) -> Option<Arc<Identity>> {
        let client = client.to_canonical();
        let known = self.known.get(&client)?;
        if now.saturating_duration_since(known.since) < self.config.time {
            return Some(known.user);
        }
        self.known.remove(&client);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(entries: usize) -> Addresses {
        Addresses::new(&AddressConfig {
            time: Duration::from_secs(64),
            except: vec!["10.9.0.0/16".parse().unwrap()],
            entries,
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_its_users_until_the_time_ends() {
        let (addresses, begun) = (addresses(100), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let user = |address: &str, seconds| {
            let user = addresses.user(ip(address), at(seconds))?;
            assert_eq!(user.proof, Some(Proof::Address));
            Some(user.name.to_string())
        };
        addresses.learn(ip("10.0.0.1"), &"ada".into(), begun);
        assert_eq!(user("10.0.0.1", 63).as_deref(), Some("ada"));
        assert_eq!(user("::ffff:10.0.0.1", 63).as_deref(), Some("ada"));
        assert_eq!(user("10.0.0.2", 0), None);
        // A login begins the time anew, and another's is the other's.
        addresses.learn(ip("::ffff:10.0.0.1"), &"ada".into(), at(30));
        assert_eq!(user("10.0.0.1", 93).as_deref(), Some("ada"));
        addresses.learn(ip("10.0.0.1"), &"max".into(), at(30));
        assert_eq!(user("10.0.0.1", 93).as_deref(), Some("max"));
        assert_eq!(user("10.0.0.1", 94), None);
        assert_eq!(user("10.0.0.1", 31), None, "it was forgotten");
    }

    #[test]
    fn where_several_people_are_nobody_is_known() {
        let (addresses, now) = (addresses(100), Instant::now());
        for shared in ["10.9.1.2", "::ffff:10.9.1.2"] {
            addresses.learn(ip(shared), &"ada".into(), now);
            assert!(addresses.user(ip("10.9.1.2"), now).is_none());
        }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (addresses, now) = (addresses(50), Instant::now());
        for at in 0..1000_u32 {
            addresses.learn(IpAddr::from(at.to_be_bytes()), &"ada".into(), now);
        }
        assert!(addresses.known.len() <= 50);
    }
}
