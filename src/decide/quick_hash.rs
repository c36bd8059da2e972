//! A hash for tables whose keys come from the configuration. Nobody else puts anything in, so nobody can crowd them: what
//! that costs (SipHash, a tenth of what is asked of a policy) can be saved.

use std::hash::{BuildHasherDefault, Hasher};

/// 2^64 divided by the golden ratio (Knuth, TAOCP 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map by it.
pub(super) type QuickMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// Takes eight bytes at a time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct QuickHasher(u64);

impl QuickHasher {
    /// A multiplication whose upper half comes back into the lower one spreads each bit over all.
    fn take(&mut self, value: u64) {
        let wide = u128::from(self.0 ^ value ^ SPREAD) * u128::from(SPREAD);
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        whole
            .iter()
            .for_each(|eight| self.take(u64::from_le_bytes(*eight)));
        if !rest.is_empty() {
            let rest = rest.iter().fold(1, |all, byte| all << 8 | u64::from(*byte));
            self.take(rest);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.take(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.take(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.take(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_usize(value.cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    #[test]
    fn names_are_told_apart_by_each_bit() {
        let build = BuildHasherDefault::<QuickHasher>::default();
        let names: Vec<_> = (0..4096)
            .map(|at| format!("user{at}"))
            .chain([String::new(), "u".into()])
            .collect();
        let hashes: Vec<_> = names.iter().map(|name| build.hash_one(name)).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), names.len());
        // Places in a map come from the lowest bits, and what is compared there from the highest.
        for shift in [0, 57] {
            let mut counts = [0_u32; 128];
            hashes
                .iter()
                .for_each(|hash| counts[(hash >> shift) as usize % 128] += 1);
            assert!(
                counts.iter().all(|count| (8..80).contains(count)),
                "{shift}: {counts:?}"
            );
        }
        let zeros = |count: usize| build.hash_one(vec![0_u8; count]);
        assert_eq!((0..32).map(zeros).collect::<HashSet<_>>().len(), 32);
    }
}
