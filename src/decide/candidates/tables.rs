//! Tables of rules by values that they ask for.

use crate::decide::addresses::Addresses;
use crate::decide::bits::Bits;
use crate::decide::quick_hash::QuickMap;
use std::hash::Hash;
use std::net::IpAddr;

/// The most that one table may take; without it rules are asked one by one.
pub(super) const TABLE_BYTES: usize = 1 << 20;

/// Rules by one of a few values. A value that nobody asks for satisfies those that ask for none.
#[derive(Debug)]
pub(super) struct ByKey<K> {
    pub(super) by: QuickMap<K, Bits>,
    pub(super) others: Bits,
}

/// Rules by ranges of a value.
#[derive(Debug)]
pub(super) struct ByRange {
    /// The first values of the segments, rising.
    starts: Vec<u128>,
    /// The rules of each segment.
    rules: Vec<Bits>,
}

impl<K: Hash + Eq + Clone> ByKey<K> {
    /// Nothing if no rule asks. `keys` are what the rules ask for; `None` for one that any value satisfies.
    pub(super) fn new(count: usize, keys: impl Fn(usize) -> Option<Vec<K>>) -> Option<Self> {
        let asked: Vec<_> = (0..count).map(keys).collect();
        let others = Bits::of(count, |at| asked.get(at).is_some_and(Option::is_none));
        let mut by: QuickMap<K, Bits> = QuickMap::default();
        for (at, keys) in asked.iter().enumerate() {
            for key in keys.iter().flatten() {
                by.entry(key.clone()).or_insert_with(|| others.clone()).insert(at);
            }
        }
        let fits = by.len().saturating_mul(count / 8) <= TABLE_BYTES;
        (!by.is_empty() && fits).then_some(Self { by, others })
    }
}

impl ByRange {
    /// Nothing if no rule asks. `ranges` are what the rules ask for; none for one that any value satisfies.
    pub(super) fn new(count: usize, ranges: impl Fn(usize) -> Vec<(u128, u128)>) -> Option<Self> {
        let asked: Vec<_> = (0..count).map(ranges).collect();
        let bounds = asked.iter().flatten();
        let mut starts: Vec<u128> = bounds
            .flat_map(|(first, last)| [Some(*first), last.checked_add(1)])
            .flatten()
            .chain([0])
            .collect();
        starts.sort_unstable();
        starts.dedup();
        if starts.len() == 1 || starts.len().saturating_mul(count / 8) > TABLE_BYTES {
            return None;
        }
        let others = Bits::of(count, |at| asked.get(at).is_some_and(Vec::is_empty));
        let mut rules = vec![others; starts.len()];
        for (at, ranges) in asked.iter().enumerate() {
            for (first, last) in ranges {
                let from = starts.partition_point(|start| start < first);
                let until = starts.partition_point(|start| start <= last);
                rules
                    .iter_mut()
                    .take(until)
                    .skip(from)
                    .for_each(|bits| bits.insert(at));
            }
        }
        Some(Self { starts, rules })
    }

    pub(super) fn get(&self, value: u128) -> Option<&Bits> {
        let at = self.starts.partition_point(|start| *start <= value);
        self.rules.get(at.checked_sub(1)?)
    }
}

/// One order for the addresses of both families.
pub(super) fn place(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// The places of addresses that are of one family; those of the other may lie among them.
pub(super) fn places(of: &Addresses) -> impl Iterator<Item = (u128, u128)> {
    const MAPPED: (u128, u128) = (0xffff_0000_0000, 0xffff_ffff_ffff);
    let (first, last) = (place(of.first()), place(of.last()));
    let parts = match of.first() {
        IpAddr::V4(_) => [Some((first, last)), None],
        IpAddr::V6(_) => [(first, last.min(MAPPED.0 - 1)), (first.max(MAPPED.1 + 1), last)]
            .map(|(first, last)| (first <= last).then_some((first, last))),
    };
    parts.into_iter().flatten()
}
