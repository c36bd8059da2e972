//! Lists of domains as tables: which entry covers a host?
//!
//! Entries are found by a hash of what they cover, in a table that holds nothing but hashes and the numbers of entries: a
//! list of a million names then takes little more than its file. A target has few keys: one for each of its parent
//! domains, or one for each length of a network's prefix. What a key finds is asked by its text whether it really covers.

pub(super) mod entry;

use crate::wire::names::Host;
use entry::{DomainEntry, DomainPlace, covers};
use ipnet::IpNet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

/// One for the process, so that tables can be joined; not to be guessed, since lists come from others.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));

/// What an entry is filed under.
#[derive(Debug, Clone, Copy)]
struct Key(u64);

impl Default for Key {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl Key {
    /// Of what the entry covers.
    fn of(entry: &DomainEntry<'_>) -> Self {
        let key = match entry.place {
            DomainPlace::Host(name) => Self::default().name(name).host(),
            DomainPlace::Tree(name) => Self::default().name(name),
            DomainPlace::Network(network) => Self::network(&network),
        };
        match entry.port {
            Some(port) => key.at(port),
            None => key,
        }
    }

    /// A multiplication whose upper half comes back into the lower one spreads each bit over all.
    fn take(self, value: u64) -> Self {
        let wide = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15;
        Self((wide >> 64) as u64 ^ wide as u64)
    }

    /// From the last byte to the first, so that the keys of all parents come by on the way.
    fn name(self, name: &str) -> Self {
        name.bytes().rev().fold(self, Self::byte)
    }

    fn byte(self, byte: u8) -> Self {
        self.take(byte.to_ascii_lowercase().into())
    }

    /// Of a host alone; without this, of a domain and all below it.
    fn host(self) -> Self {
        self.take(1 << 8)
    }

    fn network(network: &IpNet) -> Self {
        let (family, bits) = match network.addr() {
            IpAddr::V4(ip) => (2 << 8, u128::from(u32::from(ip))),
            IpAddr::V6(ip) => (3 << 8, u128::from(ip)),
        };
        let key = Self::default().take(family | u64::from(network.prefix_len()));
        key.take((bits >> 64) as u64).take(bits as u64)
    }

    fn at(self, port: u16) -> Self {
        self.take(4 << 16 | u64::from(port))
    }

    fn tag(self) -> u32 {
        self.0 as u32
    }
}

/// Entries by what they cover.
#[derive(Debug)]
pub(super) struct Domains {
    slots: Box<[Slot]>,
    kinds: Kinds,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    id: u32,
}

const FREE: Slot = Slot { tag: 0, id: u32::MAX };

/// What occurs among the entries, and so has to be asked for.
#[derive(Debug, Default)]
struct Kinds {
    /// Entries for one port.
    ports: bool,
    /// Entries without.
    every_port: bool,
    /// The prefix lengths of networks, of IPv4 and of IPv6.
    lengths: [Vec<u8>; 2],
}

/// Collects entries; their ids are the order in which they come.
#[derive(Debug, Default)]
pub(super) struct DomainsBuilder {
    tags: Vec<u32>,
    kinds: Kinds,
}

impl DomainsBuilder {
    /// Adds the entry `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, text: &str) -> Result<(), &'static str> {
        let entry = DomainEntry::parse(text)?;
        self.kinds.add(&entry);
        self.tags.push(Key::of(&entry).tag());
        Ok(())
    }

    /// The table; `text` gives the text of an entry.
    pub(super) fn build<'a>(self, text: impl Fn(u32) -> &'a str) -> Domains {
        let mut domains = Domains::of(self.tags.len(), self.kinds);
        let same = |one, other| {
            let (one, other) = (DomainEntry::parse(text(one)), DomainEntry::parse(text(other)));
            matches!((one, other), (Ok(one), Ok(other)) if one.contains(&other) && other.contains(&one))
        };
        for (id, tag) in (0..).zip(self.tags) {
            // Only the first of equal entries can ever be the answer.
            domains.insert(Slot { tag, id }, |known| same(known, id));
        }
        domains
    }
}

impl Kinds {
    fn add(&mut self, entry: &DomainEntry<'_>) {
        match entry.port {
            Some(_) => self.ports = true,
            None => self.every_port = true,
        }
        if let DomainPlace::Network(network) = entry.place {
            self.add_length(network.addr().is_ipv6(), network.prefix_len());
        }
    }

    fn add_length(&mut self, v6: bool, length: u8) {
        let lengths = &mut self.lengths[usize::from(v6)];
        if let Err(at) = lengths.binary_search(&length) {
            lengths.insert(at, length);
        }
    }

    fn join(&mut self, other: &Self) {
        self.ports |= other.ports;
        self.every_port |= other.every_port;
        for (v6, lengths) in [false, true].into_iter().zip(&other.lengths) {
            lengths.iter().for_each(|&length| self.add_length(v6, length));
        }
    }

    /// Every key that an entry which covers this place can be filed under.
    fn keys(&self, place: &DomainPlace<'_>, port: Option<u16>, mut ask: impl FnMut(Key)) {
        let port = port.filter(|_| self.ports);
        let mut ask = |key: Key| {
            if self.every_port {
                ask(key);
            }
            if let Some(port) = port {
                ask(key.at(port));
            }
        };
        match place {
            DomainPlace::Host(name) | DomainPlace::Tree(name) => {
                let mut key = Key::default();
                for byte in name.bytes().rev() {
                    if byte == b'.' {
                        ask(key);
                    }
                    key = key.byte(byte);
                }
                ask(key);
                if let DomainPlace::Host(_) = place {
                    ask(key.host());
                }
            }
            DomainPlace::Network(network) => {
                let address = network.addr();
                self.lengths[usize::from(address.is_ipv6())]
                    .iter()
                    .filter(|length| **length <= network.prefix_len())
                    .filter_map(|&length| IpNet::new(address, length).ok())
                    .for_each(|network| ask(Key::network(&network.trunc())));
            }
        }
    }
}

impl Domains {
    /// A table with room for so many entries.
    fn of(entries: usize, kinds: Kinds) -> Self {
        let size = (entries + entries / 3 + 1).next_power_of_two();
        Self {
            slots: vec![FREE; size].into(),
            kinds,
        }
    }

    /// Several tables as one, where each has its ids counted on from a number of its own.
    pub(super) fn join<'a>(tables: impl Iterator<Item = (&'a Self, u32)> + Clone) -> Self {
        let mut kinds = Kinds::default();
        tables.clone().for_each(|(table, _)| kinds.join(&table.kinds));
        let mut all = Self::of(tables.clone().map(|(table, _)| table.used().count()).sum(), kinds);
        for (table, base) in tables {
            for slot in table.used() {
                let id = slot.id + base;
                all.insert(Slot { id, ..*slot }, |_| false);
            }
        }
        all
    }

    fn used(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.id != FREE.id)
    }

    /// The slots from where a tag belongs: what has it stands before the first that is free.
    fn chain(&self, tag: u32) -> impl Iterator<Item = usize> + use<> {
        let size = self.slots.len();
        let mask = size - 1;
        let start = tag as usize;
        (0..size).map(move |step| (start + step) & mask)
    }

    fn insert(&mut self, new: Slot, known: impl Fn(u32) -> bool) {
        for at in self.chain(new.tag) {
            let slot = self.slots[at];
            if slot.id == FREE.id {
                self.slots[at] = new;
                return;
            }
            if slot.tag == new.tag && known(slot.id) {
                return;
            }
        }
    }

    /// The entries that are filed under the keys of this place.
    fn filed(&self, place: &DomainPlace<'_>, port: Option<u16>, mut found: impl FnMut(u32)) {
        self.kinds.keys(place, port, |key| {
            for at in self.chain(key.tag()) {
                let slot = self.slots[at];
                if slot.id == FREE.id {
                    break;
                }
                if slot.tag == key.tag() {
                    found(slot.id);
                }
            }
        });
    }

    /// Every entry that may cover the host, in no order: whether it does, its text says ([`covers`]).
    pub(super) fn each(&self, host: &Host, port: u16, found: impl FnMut(u32)) {
        let place = match host {
            Host::Name(name) => DomainPlace::Host(name.trim_end_matches('.')),
            Host::Ip(ip) => DomainPlace::Network(ip.to_canonical().into()),
        };
        self.filed(&place, Some(port), found);
    }

    /// Another entry that covers all that this one does; of equal ones the first covers the others.
    pub(super) fn covering<'a>(&self, id: u32, text: impl Fn(u32) -> &'a str) -> Option<u32> {
        let entry = DomainEntry::parse(text(id)).ok()?;
        let mut by: Option<u32> = None;
        self.filed(&entry.place, entry.port, |other| {
            if other != id && DomainEntry::parse(text(other)).is_ok_and(|other| other.contains(&entry)) {
                by = Some(by.map_or(other, |known| known.min(other)));
            }
        });
        by
    }

    /// The lowest id that covers the host.
    pub(super) fn first<'a>(&self, host: &Host, port: u16, text: impl Fn(u32) -> &'a str) -> Option<u32> {
        let mut first = None;
        self.each(host, port, |id| {
            if covers(text(id), host, port) {
                first = Some(first.map_or(id, |known: u32| known.min(id)));
            }
        });
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an entry means, said in another way.
    fn means(text: &str, host: &Host, port: u16) -> bool {
        let entry = DomainEntry::parse(text).unwrap();
        let covered = match (entry.place, host) {
            (DomainPlace::Host(name), Host::Name(asked)) => asked.eq_ignore_ascii_case(name),
            (DomainPlace::Tree(name), Host::Name(asked)) => {
                let asked = format!(".{}", asked.to_ascii_lowercase());
                asked.ends_with(&format!(".{}", name.to_ascii_lowercase()))
            }
            (DomainPlace::Network(network), Host::Ip(ip)) => network.contains(ip),
            _ => false,
        };
        covered && entry.port.is_none_or(|at| at == port)
    }

    fn name() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "B"]), 1..4)
            .prop_map(|labels| labels.join("."))
    }

    fn text() -> impl Strategy<Value = String> {
        let port = prop::sample::select(vec!["", "", ":1", ":2"]);
        prop_oneof![
            4 => (any::<bool>(), name(), any::<bool>(), port).prop_map(|(tree, name, dot, port)| {
                format!("{}{name}{}{port}", if tree { "." } else { "" }, if dot { "." } else { "" })
            }),
            1 => (0..3_u8, 24..33_u8).prop_map(|(last, length)| {
                IpNet::new([10, 0, 0, last].into(), length).unwrap().trunc().to_string()
            }),
            1 => (0..3_u8, 1..3_u16).prop_map(|(last, port)| format!("[2001:db8::{last}]:{port}")),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn the_first_entry_that_means_a_host_is_found(
            texts in prop::collection::vec(text(), 0..10),
            name in name(),
            last in 0..3_u8,
            port in 1..3_u16,
        ) {
            let mut builder = DomainsBuilder::default();
            texts.iter().for_each(|text| builder.add(text).unwrap());
            let text = |id: u32| texts[id as usize].as_str();
            let domains = builder.build(text);
            let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()]);
            for host in [Host::Name(name), Host::Ip([10, 0, 0, last].into()), Host::Ip(v6)] {
                let first = texts.iter().position(|text| means(text, &host, port));
                prop_assert_eq!(domains.first(&host, port, text).map(|id| id as usize), first, "{}", host);
            }
        }
    }

    #[test]
    fn equal_entries_take_one_place() {
        let texts = [
            "a.example",
            "A.Example.",
            ".a.example",
            "a.example:443",
            "a.example:443",
            "10.0.0.1",
            "10.0.0.1/32",
        ];
        let mut builder = DomainsBuilder::default();
        texts.iter().for_each(|text| builder.add(text).unwrap());
        let domains = builder.build(|id| texts[id as usize]);
        let mut ids: Vec<u32> = domains.used().map(|slot| slot.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 2, 3, 5]);
    }
}
