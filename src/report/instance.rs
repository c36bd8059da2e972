//! Which run of the program a line is of.

use serde::Serialize;
use std::sync::Arc;

/// The id of one run. Connections are numbered from 1 in each, so that it takes both to name one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance(Arc<str>);

impl Instance {
    /// One that no other run has: 40 random bits, as ten hexadecimal digits.
    pub(super) fn random() -> Self {
        let mut bits = [0; 5];
        // Without randomness there is no TLS either; the id is then all zeros, which is no reason to stop.
        let _ = rustls::crypto::aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut bits);
        Self(
            bits.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .into(),
        )
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Instance {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_an_id_of_its_own() {
        let ids: std::collections::HashSet<_> = (0..100).map(|_| Instance::random().0).collect();
        assert_eq!(ids.len(), 100);
        let is_short = |id: &Arc<str>| id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(ids.iter().all(is_short), "{ids:?}");
    }
}
