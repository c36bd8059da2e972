//! RFC 9113 by frames that no library would send, to either side of the proxy.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::proxy::Proxy;

/// How much the proxy's memory may grow by anything that one peer does, in KiB.
const MEMORY: i64 = 48 << 10;

#[test]
fn a_client_that_breaks_the_rules_is_told_so() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = Client::new("client_hostile_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("pid", proxy.process().pid().to_string())
        .with("url", origin.url("https", "/"))
        .run();
    assert_eq!(found["wrong"], serde_json::json!({}), "{found}");
    assert!(found["count"].as_u64().unwrap() > 113, "{found}");
    for (case, cost) in found["cost"].as_object().unwrap() {
        assert!(cost["memory"].as_i64().unwrap() < MEMORY, "{case}: {found}");
    }
    let seen = origin.process.out.all();
    assert!(
        seen.iter().any(|line| line.contains("/status/204"))
            && !seen.iter().any(|line| line.contains("/malformed")),
        "a malformed request went on: {seen:?}"
    );
    let floods = proxy.metrics().sum("wsbump_http2_floods_total", &[]);
    assert!(floods >= 3.0, "{floods}");
}

#[test]
fn an_origin_that_breaks_the_rules_harms_one_request() {
    let proxy = Proxy::start();
    let found = Client::new("hostile_origin_h2.py")
        .with("cert", &certs().origin.cert)
        .with("key", &certs().origin.key)
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("pid", proxy.process().pid().to_string())
        .run();
    assert_eq!(found["wrong"], serde_json::json!({}), "{found}");
    assert!(found["count"].as_u64().unwrap() > 51, "{found}");
    for (case, cost) in found["cost"].as_object().unwrap() {
        assert!(cost["memory"].as_i64().unwrap() < MEMORY, "{case}: {found}");
    }
}

#[test]
fn a_flood_whose_sender_reads_nothing_is_closed_all_the_same() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = Client::new("client_unread_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/"))
        .run();
    // Not after the minutes that a connection may idle.
    assert!(found["seconds"].as_f64().unwrap() < 30.0, "{found}");
    proxy.metric("wsbump_http2_floods_total", &[("kind", "frames")], 1.0);
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "http_request_error", "{line}");
    assert!(line["detail"].as_str().unwrap().contains("too many"), "{line}");
}

#[test]
fn an_origin_that_fails_is_closed_at_once_though_its_client_goes_on() {
    let proxy = Proxy::start();
    let found = Client::new("broken_origin_h2.py")
        .with("cert", &certs().origin.cert)
        .with("key", &certs().origin.key)
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .run();
    let all = found.as_object().unwrap();
    assert_eq!(all.len(), 3, "{found}");
    assert!(
        all.values().all(|seconds| seconds.as_f64().unwrap() < 5.0),
        "{found}"
    );
}
