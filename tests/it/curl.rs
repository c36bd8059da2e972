//! HTTP through the bumped connection, by curl.

use crate::harness::certs::certs;
use crate::harness::clients::{Curled, curl};
use crate::harness::origins;
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, dial, header, tls};
use crate::harness::recorder::Recorder;
use crate::harness::scratch;

fn through(proxy: &Proxy, arguments: &[&str]) -> Curled {
    let done = curl(Some(&proxy.url()), &proxy.ca, arguments);
    assert_eq!(done.code, 0, "{done:?}");
    done
}

#[test]
fn a_chunked_upload_stays_chunked() {
    let proxy = Proxy::start();
    let url = origins::aiohttp().url("https", "/echo");
    let body = "0123456789".repeat(20_000);
    let folder = scratch();
    let file = folder.path().join("body");
    std::fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    let chunked = [
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
        "--data-binary",
        &upload,
        &url,
    ];
    let done = through(&proxy, &chunked);
    assert_eq!(
        header(&done.text, "x-transfer-encoding"),
        Some("chunked"),
        "{}",
        done.verbose
    );
    assert_eq!(header(&done.text, "x-content-length"), Some(""));
    assert!(done.text.ends_with(&body));
    let line = proxy.log("request", |line| line["method"] == "POST");
    assert_eq!(line["status"], 200, "{line}");
    assert_eq!(line["bytes_to_origin"], 200_000, "{line}");
}

#[test]
fn a_length_stays_a_length() {
    let proxy = Proxy::start();
    let url = origins::aiohttp().url("https", "/echo");
    let done = through(&proxy, &["--data-binary", "hello", &url]);
    assert_eq!(
        header(&done.text, "x-content-length"),
        Some("5"),
        "{}",
        done.verbose
    );
    assert_eq!(header(&done.text, "x-transfer-encoding"), Some(""));
    assert!(done.text.ends_with("hello"));
}

#[test]
fn expect_100_continue_is_answered() {
    let proxy = Proxy::start();
    let url = origins::aiohttp().url("https", "/echo");
    let done = through(
        &proxy,
        &["-H", "Expect: 100-continue", "--data-binary", "hello", &url],
    );
    assert!(
        done.verbose.contains("< HTTP/1.1 100 Continue"),
        "{}",
        done.verbose
    );
    assert_eq!(done.status, 200);
    assert!(done.text.ends_with("hello"), "{}", done.text);
}

#[test]
fn head_204_and_304_have_no_body_and_keep_the_connection() {
    let proxy = Proxy::start();
    let url = origins::nginx().url("https", "/1m");
    let done = through(&proxy, &["--head", &url]);
    assert_eq!(done.status, 200);
    assert_eq!(
        header(&done.text, "content-length"),
        Some("1048576"),
        "{}",
        done.text
    );

    let no_content = origins::aiohttp().url("https", "/status/204");
    let not_modified = origins::aiohttp().url("https", "/status/304");
    let ok = origins::aiohttp().url("https", "/status/200");
    let done = through(&proxy, &[&no_content, &not_modified, &ok]);
    for status in ["204", "304", "200"] {
        assert!(
            done.text.contains(&format!("HTTP/1.1 {status} ")),
            "{status}: {}",
            done.text
        );
    }
    assert_eq!(
        done.verbose.matches("Re-using existing connection").count(),
        2,
        "{}",
        done.verbose
    );
}

#[test]
fn every_status_comes_through() {
    let proxy = Proxy::start();
    for status in [201, 301, 404, 418, 500, 503] {
        let url = origins::aiohttp().url("https", &format!("/status/{status}"));
        let done = through(&proxy, &[&url]);
        assert_eq!(done.status, status);
        assert!(
            done.text.trim_end().ends_with(&format!("status {status}")),
            "{}",
            done.text
        );
    }
    assert!(
        (proxy
            .metrics()
            .sum("wsbump_http_requests_total", &[("status", "4xx")])
            - 2.0)
            .abs()
            < 0.1
    );
}

#[test]
fn a_chunked_response_streams() {
    let proxy = Proxy::start();
    let done = through(&proxy, &[&origins::aiohttp().url("https", "/chunked")]);
    assert!(header(&done.text, "content-length").is_none(), "{}", done.text);
    assert!(done.text.trim_end().ends_with("one\ntwo\nthree"), "{}", done.text);
}

#[test]
fn the_first_half_of_a_response_does_not_wait_for_the_second() {
    let proxy = Proxy::start();
    let origin = origins::own_aiohttp();
    let target = format!("origin.test:{}", origin.port);
    let mut wire = tls(&proxy, &target);
    wire.send(format!("GET /slow HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let head = wire.head().unwrap();
    assert_eq!(header(&head, "content-length"), Some("12"), "{head}");
    assert_eq!(wire.exactly(6), b"first ");
    through(&proxy, &[&origin.url("https", "/release")]);
    assert_eq!(wire.exactly(6), b"second");
}

#[test]
fn trailers_pass_both_ways() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let target = recorder.target();
    let mut client = tls(&proxy, &target);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {target}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"
    ));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"), "{head}");
    let body = String::from_utf8(origin.exactly("5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n".len())).unwrap();
    assert!(
        body.to_ascii_lowercase().ends_with("0\r\nx-sum: 5\r\n\r\n"),
        "{body:?}"
    );
    origin.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\nConnection: close\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Check: ok\r\n\r\n",
    );
    drop(origin);
    let head = client.head().unwrap();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"), "{head}");
    let body = String::from_utf8(client.exactly("3\r\nabc\r\n0\r\nX-Check: ok\r\n\r\n".len())).unwrap();
    assert!(
        body.to_ascii_lowercase().ends_with("0\r\nx-check: ok\r\n\r\n"),
        "{body:?}"
    );
}

#[test]
fn plain_http_is_served_in_absolute_form() {
    let proxy = Proxy::start();
    let done = through(&proxy, &[&origins::plain_aiohttp().url("http", "/headers")]);
    assert_eq!(done.status, 200);
    let seen = done.text.to_ascii_lowercase();
    assert!(seen.contains("\"host\""), "{seen}");
    assert!(
        !seen.contains("proxy-connection"),
        "a header for the proxy went on: {seen}"
    );
    let line = proxy.log("connection", |line| line["reason"] == "plain_http");
    assert_eq!(line["action"], "serve", "{line}");
}

#[test]
fn plain_http_inside_a_tunnel_is_served() {
    let proxy = Proxy::start();
    let done = through(
        &proxy,
        &[
            "--proxytunnel",
            &origins::plain_aiohttp().url("http", "/status/202"),
        ],
    );
    assert_eq!(done.status, 202);
    let line = proxy.log("connection", |line| line["reason"] == "plain_http");
    assert_eq!(line["action"], "serve", "{line}");
}

#[test]
fn both_tls_versions_and_clients_that_take_only_rsa() {
    let proxy = Proxy::start();
    let url = origins::nginx().url("https", "/");
    for (version, seen) in [
        (["--tls-max", "1.2"], "TLSv1.2"),
        (["--tlsv1.3", "--http1.1"], "TLSv1.3"),
    ] {
        let done = through(&proxy, &[version[0], version[1], &url]);
        assert_eq!(done.status, 200);
        let line = proxy.log("connection", |line| line["tls_version"] == seen);
        assert_eq!(line["action"], "bump", "{line}");
    }
    let rsa = [
        "--tls-max",
        "1.2",
        "--ciphers",
        "ECDHE-RSA-AES128-GCM-SHA256",
        &url,
    ];
    assert_eq!(through(&proxy, &rsa).status, 200);
    assert!(
        proxy
            .metrics()
            .sum("wsbump_leaf_mints_total", &[("key", "rsa2048")])
            > 0.5
    );
}

#[test]
fn headers_for_one_hop_stay_on_it() {
    let proxy = Proxy::start();
    let url = origins::aiohttp().url("https", "/headers");
    let done = through(
        &proxy,
        &[
            "-H",
            "Connection: keep-alive, X-Secret",
            "-H",
            "X-Secret: 1",
            "-H",
            "Keep-Alive: 5",
            "-H",
            "Proxy-Authorization: Basic c2VjcmV0",
            "-H",
            "X-Kept: 2",
            &url,
        ],
    );
    let seen = done.text.to_ascii_lowercase();
    assert!(seen.contains("\"x-kept\""), "{seen}");
    for gone in ["x-secret", "proxy-authorization", "\"keep-alive\""] {
        assert!(!seen.contains(gone), "{gone} went on: {seen}");
    }
}

#[test]
fn another_upgrade_is_stripped_by_default() {
    let proxy = Proxy::start();
    let url = origins::aiohttp().url("https", "/headers");
    let done = through(
        &proxy,
        &["-H", "Connection: Upgrade", "-H", "Upgrade: something/1", &url],
    );
    assert_eq!(done.status, 200);
    assert!(
        !done.text.to_ascii_lowercase().contains("something/1"),
        "{}",
        done.text
    );
}

#[test]
fn a_client_that_refuses_the_ca_is_named() {
    let proxy = Proxy::start();
    let url = origins::nginx().url("https", "/");
    let done = curl(Some(&proxy.url()), &certs().root, &[&url]);
    assert_eq!(done.code, 60, "{done:?}");
    let line = proxy.log("client_refused_ca", |_| true);
    assert_eq!(
        (line["server_name"].as_str(), line["alert"].as_str()),
        (Some("origin.test"), Some("unknown_ca"))
    );
    let connection = proxy.log("connection", |_| true);
    assert_eq!(connection["outcome"], "client_refused_ca", "{connection}");
    proxy.metric("wsbump_client_refused_ca_total", &[("alert", "unknown_ca")], 1.0);
}

#[test]
fn an_origin_that_cannot_be_verified_is_an_error_page_with_the_reason() {
    let proxy = Proxy::start();
    for identity in [&certs().untrusted, &certs().expired] {
        let recorder = Recorder::with(identity);
        let done = through(&proxy, &[&format!("https://{}/", recorder.target())]);
        assert_eq!(done.status, 502);
        let status = header(&done.text, "proxy-status").expect("a Proxy-Status");
        assert!(status.contains("error=tls_certificate_error"), "{status}");
        assert!(
            done.text.to_ascii_lowercase().contains("certificate"),
            "{}",
            done.text
        );
    }
    proxy.metric(
        "wsbump_tls_handshake_seconds_count",
        &[("outcome", "tls_certificate_error")],
        2.0,
    );
}

#[test]
fn a_certificate_for_another_name_is_an_error_page() {
    let recorder = Recorder::start();
    let proxy = crate::harness::proxy::Setup::new()
        .host("stranger.test", "127.0.0.1")
        .start();
    let done = through(&proxy, &[&format!("https://stranger.test:{}/", recorder.port)]);
    assert_eq!(done.status, 502, "{done:?}");
    assert!(done.text.contains("stranger.test"), "{}", done.text);
}

#[test]
fn a_list_may_allow_an_origin_that_cannot_be_verified() {
    let recorder = Recorder::with(&certs().untrusted);
    let proxy = crate::harness::proxy::Setup::new()
        .file("lenient", "origin.test\n")
        .config(
            "list = [{ name = 'lenient', file = 'lenient', format = 'domains' }]\n\
             policy = { allow_invalid_certificate = ['lenient'] }",
        )
        .start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    assert!(origin.head().unwrap().starts_with("GET / HTTP/1.1\r\n"));
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, b"ok");
    let line = {
        drop((client, origin));
        proxy.log("connection", |_| true)
    };
    assert!(
        line["detail"].as_str().unwrap().contains("not verified"),
        "{line}"
    );

    // That one and no other, though it is the same server with the same certificate.
    let other = format!("https://other.test:{}/", recorder.port);
    assert_eq!(through(&proxy, &[&other]).status, 502);
    assert!(recorder.accept_nothing());
}

#[test]
fn the_leaf_mimics_the_origin() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let client = tls(&proxy, &recorder.target());
    let (leaf, origin) = (client.leaf(), &certs().origin.chain[0]);
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let (_, origin) = x509_parser::parse_x509_certificate(origin).unwrap();
    assert_eq!(leaf.subject(), origin.subject());
    let names = |certificate: &x509_parser::certificate::X509Certificate<'_>| {
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        let mut names: Vec<String> = names
            .value
            .general_names
            .iter()
            .map(|name| format!("{name:?}"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&leaf), names(&origin));
    let usages = |certificate: &x509_parser::certificate::X509Certificate<'_>| {
        let usage = certificate.key_usage().unwrap().unwrap();
        let extended = certificate.extended_key_usage().unwrap().unwrap();
        let extended = (extended.value.server_auth, extended.value.client_auth);
        (usage.value.flags, extended)
    };
    assert_eq!(usages(&leaf), usages(&origin));
    assert_eq!(usages(&leaf).1, (true, false));
    assert!(!leaf.is_ca());
    assert_ne!(leaf.raw_serial(), origin.raw_serial());
    assert_ne!(leaf.public_key().raw, origin.public_key().raw);
    assert!(leaf.validity().not_after <= origin.validity().not_after);
    let ca = std::fs::read(&proxy.ca).unwrap();
    let (_, ca) = x509_parser::pem::parse_x509_pem(&ca).unwrap();
    let ca = ca.parse_x509().unwrap();
    assert_eq!(leaf.issuer(), ca.subject());
    assert!(leaf.validity().not_after <= ca.validity().not_after);
    assert_ne!(
        leaf.public_key().raw,
        ca.public_key().raw,
        "a leaf must not carry the CA's key"
    );
}

#[test]
fn an_origin_form_request_to_the_proxy_itself_is_refused() {
    let proxy = Proxy::start();
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", proxy.address));
    assert_eq!(wire.answer().status, 400);
}
