//! The cryptography that both sides use, held explicitly so that no process-wide default matters.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup, SupportedProtocolVersion};
use std::sync::{Arc, LazyLock};

/// TLS 1.3, and 1.2 for those who need it.
pub(crate) const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// aws-lc-rs with AES-128-GCM first: the cheapest suite on processors that have AES instructions.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // Stable: TLS 1.3 stays before 1.2, and the library's order stays among the rest.
        provider
            .cipher_suites
            .sort_by_key(|suite| (suite.tls13().is_none(), !is_aes128(suite.suite())));
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// The same, with the hybrid of X25519 and ML-KEM-768 first among the groups: what was recorded of such a connection stays
/// closed to whoever has a quantum computer one day. A client of ours sends key shares of both, so that an origin which
/// does not know it costs no round trip.
pub(crate) fn post_quantum_first() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = CryptoProvider::clone(&provider());
        let groups = &mut provider.kx_groups;
        groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

const fn is_aes128(suite: CipherSuite) -> bool {
    use CipherSuite as C;
    matches!(
        suite,
        C::TLS13_AES_128_GCM_SHA256
            | C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hybrid_group_is_known_and_first_where_it_is_wanted() {
        let names = |provider: Arc<CryptoProvider>| -> Vec<NamedGroup> {
            provider.kx_groups.iter().map(|group| group.name()).collect()
        };
        let (mut usual, first) = (names(provider()), names(post_quantum_first()));
        assert_eq!(first[..2], [NamedGroup::X25519MLKEM768, NamedGroup::X25519]);
        assert_eq!(usual.pop(), Some(NamedGroup::X25519MLKEM768));
        assert_eq!(usual, first[1..]);
    }

    #[test]
    fn aes128_comes_first_in_each_version() {
        let suites: Vec<_> = provider()
            .cipher_suites
            .iter()
            .map(|suite| suite.suite())
            .collect();
        assert_eq!(suites[0], CipherSuite::TLS13_AES_128_GCM_SHA256);
        assert_eq!(suites[3], CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
        assert_eq!(suites[4], CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256);
        assert_eq!(
            suites.len(),
            rustls::crypto::aws_lc_rs::default_provider().cipher_suites.len()
        );
    }
}
