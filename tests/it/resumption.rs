//! TLS sessions are resumed on both sides, as others see it and as the metrics tell.

use crate::harness::clients::{curl, openssl_get};
use crate::harness::origins;
use crate::harness::proxy::Proxy;
use crate::harness::scratch;
use std::path::Path;

fn handshakes(proxy: &Proxy, side: &str, outcome: &str) -> u64 {
    let labels = [("side", side), ("outcome", outcome)];
    proxy.metrics().sum("wsbump_tls_handshake_seconds_count", &labels) as u64
}

/// One request by openssl, with the session of an earlier one or keeping its own; whether it was resumed.
fn asked(proxy: &Proxy, version: &str, session: &Path, use_it: bool) -> bool {
    let option = if use_it { "-sess_in" } else { "-sess_out" };
    let said = openssl_get(proxy, &[version.as_ref(), option.as_ref(), session.as_ref()]);
    let (new, reused) = (said.contains("\nNew, TLSv1."), said.contains("\nReused, TLSv1."));
    assert!(new != reused, "{said}");
    reused
}

#[test]
fn openssl_resumes_in_both_versions() {
    let folder = scratch();
    for (number, version) in ["-tls1_2", "-tls1_3"].into_iter().enumerate() {
        let proxy = Proxy::start();
        let session = folder.path().join(number.to_string());
        assert!(!asked(&proxy, version, &session, false));
        assert_eq!(
            (
                handshakes(&proxy, "client", "full"),
                handshakes(&proxy, "client", "resumed")
            ),
            (1, 0)
        );
        assert_eq!(
            (
                handshakes(&proxy, "origin", "full"),
                handshakes(&proxy, "origin", "resumed")
            ),
            (1, 0)
        );
        assert!(asked(&proxy, version, &session, true), "{version}: not resumed");
        assert_eq!(
            (
                handshakes(&proxy, "client", "full"),
                handshakes(&proxy, "client", "resumed")
            ),
            (1, 1)
        );
        // The origin is nginx: the proxy resumes with it by itself.
        assert_eq!(
            (
                handshakes(&proxy, "origin", "full"),
                handshakes(&proxy, "origin", "resumed")
            ),
            (1, 1)
        );
        let metrics = proxy.metrics();
        assert_eq!(metrics.sum("wsbump_leaf_mints_total", &[]) as u64, 1);
        assert_eq!(metrics.sum("wsbump_leaf_cache_hits_total", &[]) as u64, 1);
    }
}

#[test]
fn curl_resumes_within_one_run() {
    let proxy = Proxy::start();
    let url = origins::nginx().url("https", "/");
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["-H", "Connection: close", &url, &url, &url],
    );
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert_eq!(handshakes(&proxy, "client", "full"), 1, "{}", done.verbose);
    assert_eq!(handshakes(&proxy, "client", "resumed"), 2, "{}", done.verbose);
    assert_eq!(handshakes(&proxy, "origin", "resumed"), 2);
}

#[test]
fn a_session_of_one_origin_is_not_another_origins() {
    // One certificate covers both names; a session must not carry a client from one to the other.
    let proxy = Proxy::start();
    let nginx = origins::nginx();
    let first = nginx.url("https", "/");
    let second = first.replace("origin.test", "other.test");
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["-H", "Connection: close", &first, &second],
    );
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert_eq!(handshakes(&proxy, "origin", "full"), 2);
    assert_eq!(handshakes(&proxy, "client", "full"), 2);
}
