//! The cryptography that both sides use, held explicitly so that no process-wide default matters.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, SupportedProtocolVersion};
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
