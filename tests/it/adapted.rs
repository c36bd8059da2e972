//! ICAP for all traffic: services that change requests and responses, or answer in their place.

use crate::harness::clients::{Client, Curled, curl};
use crate::harness::icap::{Given, OwnIcap, Says};
use crate::harness::origins::{self, Origin};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{header, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Version, over_both};
use crate::harness::scanners::{CIcap, Clamd, eicar};

over_both!(
    a_request_is_changed_on_its_way,
    a_response_is_changed_on_its_way,
    a_request_is_answered_by_a_service,
    services_see_what_the_ones_before_have_made_of_it,
    what_a_preview_shows_to_be_harmless_goes_on_as_it_came,
    without_a_service_things_pass_or_not_as_is_configured,
    websockets_pass_services_unharmed_and_may_be_refused,
    c_icap_sees_everything,
    nonsense_of_a_service_does_not_pass,
    another_service_stands_in_for_one_that_fails,
    a_service_may_answer_with_the_beginning_alone,
    c_icap_changes_the_beginning_of_a_page,
);

/// A proxy with these tables, of which everything goes by these services.
fn by(tables: &str, requests: &[&str], responses: &[&str]) -> Setup {
    Setup::new().config(&format!(
        "{tables}\n[[policy.setting]]\nadapt_requests = {requests:?}\nadapt_responses = {responses:?}\n"
    ))
}

fn ask(version: Version, proxy: &Proxy, origin: &Origin, path: &str, more: &[&str]) -> Curled {
    let url = origin.url("https", path);
    let mut arguments = vec![version.curl()];
    arguments.extend(more);
    arguments.push(&url);
    curl(Some(&proxy.url()), &proxy.ca, &arguments)
}

fn content(got: &Curled) -> &str {
    got.text.split("\n\n").last().unwrap_or_default()
}

/// A head with another length and one field more.
fn head(of: &str, length: usize, more: &str) -> String {
    let lines = of.trim_end().lines();
    let kept: Vec<&str> = lines
        .filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"))
        .collect();
    format!(
        "{}\r\nContent-Length: {length}\r\n{more}\r\n\r\n",
        kept.join("\r\n")
    )
}

/// Puts a word behind the content.
fn appending(word: &'static str) -> impl Fn(&Given) -> Says {
    move |given| {
        if given.is_preview {
            return Says::More;
        }
        let body = [&given.body[..], word.as_bytes()].concat();
        let of = if given.response.is_empty() {
            &given.request
        } else {
            &given.response
        };
        Says::Message(head(of, body.len(), "X-Adapted: yes"), body)
    }
}

fn a_request_is_changed_on_its_way(version: Version) {
    for preview in [None, Some(4), Some(1024)] {
        let icap = OwnIcap::start(preview, appending(" and more"));
        let proxy = by(&icap.table("dlp", ""), &["dlp"], &[]).start();
        let got = ask(version, &proxy, version.echo(), "/echo", &["--data", "a request"]);
        assert_eq!(
            (got.status, content(&got)),
            (200, "a request and more"),
            "{preview:?}: {}",
            got.verbose
        );
        let given = &icap.given()[0];
        assert!(
            given.icap.starts_with("REQMOD icap://127.0.0.1:"),
            "{}",
            given.icap
        );
        assert!(
            given.icap.contains("\r\nX-Client-IP: 127.0.0.1\r\n"),
            "{}",
            given.icap
        );
        let url = version.echo().url("https", "/echo");
        assert!(
            given.request.starts_with(&format!("POST {url} HTTP/1.1\r\n")),
            "{}",
            given.request
        );
        assert!(
            given.request.to_lowercase().contains("\r\nhost: origin.test"),
            "{}",
            given.request
        );
        proxy.metric(
            "wsbump_inspect_scan_seconds_count",
            &[("scanner", "dlp"), ("outcome", "replaced")],
            1.0,
        );
    }
}

fn a_response_is_changed_on_its_way(version: Version) {
    for preview in [None, Some(4), Some(1024)] {
        let icap = OwnIcap::start(preview, appending(" and more"));
        let proxy = by(&icap.table("dlp", ""), &[], &["dlp"]).start();
        let got = ask(
            version,
            &proxy,
            version.echo(),
            "/echo",
            &["--data", "a response"],
        );
        assert_eq!(
            (got.status, content(&got)),
            (200, "a response and more"),
            "{preview:?}: {}",
            got.verbose
        );
        assert!(
            got.text.to_lowercase().contains("\nx-adapted: yes\n"),
            "{}",
            got.text
        );
        let given = &icap.given()[0];
        assert!(
            given.response.starts_with("HTTP/1.1 200 OK\r\n"),
            "{}",
            given.response
        );
    }
}

fn a_request_is_answered_by_a_service(version: Version) {
    let page = |given: &Given| {
        match given.is_preview {
        true => Says::More,
        false => Says::Message(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nX-Service: dlp\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            b"<h1>Not here</h1>".to_vec(),
        ),
    }
    };
    let icap = OwnIcap::start(Some(4), page);
    let proxy = by(&icap.table("dlp", ""), &["dlp"], &[]).start();
    // Two on one connection: it goes on.
    let url = version.echo().url("https", "/echo");
    let got = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[version.curl(), "--data", "secret", &url, &url],
    );
    assert_eq!(
        (got.status, content(&got)),
        (403, "<h1>Not here</h1>"),
        "{}",
        got.verbose
    );
    assert!(got.text.to_lowercase().contains("x-service: dlp"), "{}", got.text);
    assert_eq!(got.text.matches("<h1>Not here</h1>").count(), 2, "{}", got.text);
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(line["error"], "content_refused", "{line}");
    assert!(line["detail"].as_str().unwrap().contains("\"dlp\""), "{line}");
    proxy.metric(
        "wsbump_inspect_scan_seconds_count",
        &[("scanner", "dlp"), ("outcome", "found")],
        2.0,
    );
}

fn services_see_what_the_ones_before_have_made_of_it(version: Version) {
    let (one, two) = (
        OwnIcap::start(Some(4), appending(" one")),
        OwnIcap::start(None, appending(" two")),
    );
    let tables = format!("{}{}", one.table("one", ""), two.table("two", ""));
    let proxy = by(&tables, &["one", "two"], &["two", "one"]).start();
    let got = ask(version, &proxy, version.echo(), "/echo", &["--data", "zero"]);
    assert_eq!(content(&got), "zero one two two one", "{}", got.verbose);
}

fn what_a_preview_shows_to_be_harmless_goes_on_as_it_came(version: Version) {
    let icap = OwnIcap::start(Some(16), |_| Says::Unchanged);
    // Much larger than what may be kept.
    let proxy = by(&icap.table("dlp", "max_size = '1KiB'"), &["dlp"], &["dlp"]).start();
    let large: String = (0..200_000).map(|at| format!("{at:06}\n")).collect();
    let file = proxy.folder().join("large");
    std::fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.display());
    let got = ask(
        version,
        &proxy,
        version.echo(),
        "/echo",
        &["--data-binary", &data],
    );
    assert_eq!(got.status, 200, "{}", got.verbose);
    assert!(
        got.text.trim_end().ends_with(large.trim_end()),
        "{} of {}",
        got.text.len(),
        large.len()
    );
    let given = icap.given();
    assert_eq!(given.len(), 2);
    for given in &given {
        assert_eq!(
            (&*given.body, given.is_preview),
            (&b"000000\n000001\n00"[..], true)
        );
    }
    proxy.metric(
        "wsbump_inspect_scan_seconds_count",
        &[("scanner", "dlp"), ("outcome", "clean")],
        2.0,
    );
}

fn without_a_service_things_pass_or_not_as_is_configured(version: Version) {
    let broken = || OwnIcap::start(None, |_| Says::Raw("ICAP/1.0 500 Broken\r\n\r\n"));
    for (more, status) in [("on_failure = 'pass'", 200), ("on_failure = 'close'", 502)] {
        for (requests, responses) in [(&["dlp"][..], &[][..]), (&[], &["dlp"])] {
            let icap = broken();
            let proxy = by(&icap.table("dlp", more), requests, responses).start();
            let got = ask(version, &proxy, version.echo(), "/echo", &["--data", "as it is"]);
            assert_eq!(got.status, status, "{more}: {}", got.verbose);
            match status {
                200 => assert_eq!(content(&got), "as it is"),
                _ => assert!(got.text.contains("error=content_uninspected"), "{}", got.text),
            }
            proxy.metric(
                "wsbump_inspect_scan_seconds_count",
                &[("scanner", "dlp"), ("outcome", "failed")],
                1.0,
            );
        }
    }
    // What is too large for the service is the same.
    let icap = OwnIcap::start(None, appending("!"));
    let proxy = by(
        &icap.table("dlp", "max_size = 10\non_failure = 'pass'"),
        &["dlp"],
        &["dlp"],
    )
    .start();
    let got = ask(
        version,
        &proxy,
        version.echo(),
        "/echo",
        &["--data", "more than ten bytes"],
    );
    assert_eq!(content(&got), "more than ten bytes", "{}", got.verbose);
    assert_eq!(icap.given().len(), 0);
}

fn websockets_pass_services_unharmed_and_may_be_refused(version: Version) {
    let icap = OwnIcap::start(Some(1024), |given| match given.request.contains("/refused") {
        true => Says::Message(
            "HTTP/1.1 451 No\r\nContent-Length: 2\r\n\r\n".into(),
            b"no".to_vec(),
        ),
        // It would break the handshake, and is not heard.
        false => Says::Message(
            "GET /elsewhere HTTP/1.1\r\nHost: origin.test\r\n\r\n".into(),
            Vec::new(),
        ),
    });
    let proxy = by(&icap.table("dlp", ""), &["dlp"], &["dlp"]).start();
    version
        .client(&proxy, version.websockets(), "/")
        .with("mode", "suite")
        .run();
    let found = version
        .client(&proxy, version.websockets(), "/refused")
        .with("mode", "open")
        .fail();
    assert_eq!(found.facts["status"], 451, "{}", found.text);
    assert!(
        icap.given()[0].request.starts_with("GET https://origin.test:"),
        "{:?}",
        icap.given()[0]
    );
}

/// c-icap's own services: one that sends back what it gets, and an antivirus.
fn c_icap_sees_everything(version: Version) {
    let clamd = Clamd::start();
    let icap = CIcap::start(&clamd);
    let table = |name: &str, service: &str| {
        format!(
            "[[inspect.scanner]]\nname = '{name}'\nurl = 'icap://127.0.0.1:{}/{service}'\non_failure = 'close'\n",
            icap.port
        )
    };
    let tables = format!("{}{}", table("echo", "echo"), table("virus", "scan"));
    let proxy = by(&tables, &["echo", "virus"], &["virus", "echo"]).start();
    let large = "harmless ".repeat(20_000);
    let file = proxy.folder().join("large");
    std::fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.display());
    let got = ask(
        version,
        &proxy,
        version.echo(),
        "/echo",
        &["--data-binary", &data],
    );
    assert_eq!(got.status, 200, "{}", got.verbose);
    assert!(
        got.text.trim_end().ends_with(large.trim_end()),
        "{}",
        got.text.len()
    );
    // What the client sends is found before the origin gets it.
    let got = ask(
        version,
        &proxy,
        version.echo(),
        "/echo",
        &["--data-binary", &eicar()],
    );
    assert_eq!(got.status, 403, "{}", got.text);
    assert!(got.text.contains("VIRUS FOUND"), "{}", got.text);
    // And what the origin sends before the client gets it.
    let proxy = by(&table("virus", "scan"), &[], &["virus"]).start();
    let got = ask(
        version,
        &proxy,
        version.echo(),
        "/echo",
        &["--data-binary", &eicar()],
    );
    assert_eq!(got.status, 403, "{}", got.text);
    assert!(got.text.contains("VIRUS FOUND"), "{}", got.text);
    // A filter of URLs.
    let proxy = by(&table("urls", "url_check"), &["urls"], &[]).start();
    let port = version.echo().port;
    for (host, status) in [("other.test", 403), ("origin.test", 200)] {
        let url = format!("https://{host}:{port}/echo");
        let got = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[version.curl(), "--data", "x", &url],
        );
        assert_eq!(got.status, status, "{host}: {}", got.text);
    }
}

fn another_service_stands_in_for_one_that_fails(version: Version) {
    for (requests, responses) in [(&["one"][..], &[][..]), (&[], &["one"])] {
        // One that answers nonsense, once it has had the preview; and one that is not there.
        for (broken, preview) in [("ICAP/1.0 500 Broken\r\n\r\n", Some(4)), ("ICAP/1.0 204 ", None)] {
            let one = OwnIcap::start(preview, move |_| Says::Raw(broken));
            let three = OwnIcap::start(Some(2), appending(" by three"));
            let tables = format!(
                "{}[[inspect.scanner]]\nname = 'two'\nurl = 'icap://127.0.0.1:1/none'\n{}",
                one.table(
                    "one",
                    "standby = ['two', 'three']\non_failure = 'close'\ndeadline = '1s'"
                ),
                three.table("three", "")
            );
            let proxy = by(&tables, requests, responses).start();
            let got = ask(version, &proxy, version.echo(), "/echo", &["--data", "changed"]);
            assert_eq!(
                (got.status, content(&got)),
                (200, "changed by three"),
                "{broken:?}: {}",
                got.verbose
            );
            for (scanner, outcome) in [("one", "failed"), ("two", "failed"), ("three", "replaced")] {
                proxy.metric(
                    "wsbump_inspect_scan_seconds_count",
                    &[("scanner", scanner), ("outcome", outcome)],
                    1.0,
                );
            }
        }
    }
    // Where all fail, the first one's word counts.
    let broken = || OwnIcap::start(None, |_| Says::Raw("ICAP/1.0 500 Broken\r\n\r\n"));
    for (first, status) in [("close", 502), ("pass", 200)] {
        let (one, two) = (broken(), broken());
        let other = if first == "close" { "pass" } else { "close" };
        let tables = format!(
            "{}{}",
            one.table("one", &format!("standby = ['two']\non_failure = '{first}'")),
            two.table("two", &format!("on_failure = '{other}'"))
        );
        let proxy = by(&tables, &["one"], &[]).start();
        let got = ask(version, &proxy, version.echo(), "/echo", &["--data", "x"]);
        assert_eq!(got.status, status, "{}", got.verbose);
        assert_eq!((one.given().len(), two.given().len()), (1, 1));
    }
}

/// draft-icap-ext-partial-content: the rest is as it was, from a byte on that the service names.
fn a_service_may_answer_with_the_beginning_alone(version: Version) {
    let text = "0123456789".repeat(10_000);
    for (preview, from, status) in [
        (Some(4), 3, 200),
        (Some(4), 0, 200),
        (None, 100_000, 200),
        (Some(1_000_000), 99_999, 200),
        (Some(4), 100_001, 502),
    ] {
        let partly = move |given: &Given| {
            let of = if given.response.is_empty() {
                &given.request
            } else {
                &given.response
            };
            Says::Part(head(of, 7, "X-Adapted: partly"), b"before:".to_vec(), from)
        };
        for (requests, responses) in [(&["dlp"][..], &[][..]), (&[], &["dlp"])] {
            let icap = OwnIcap::start_partial(preview, partly);
            let proxy = by(&icap.table("dlp", "on_failure = 'close'"), requests, responses).start();
            let file = proxy.folder().join("content");
            std::fs::write(&file, &text).unwrap();
            let data = format!("@{}", file.display());
            // Two, the second of which takes the connection to the service that the first has left.
            for _ in 0..2 {
                let got = ask(
                    version,
                    &proxy,
                    version.echo(),
                    "/echo",
                    &["--data-binary", &data],
                );
                assert_eq!(got.status, status, "{preview:?} {from}: {}", got.verbose);
                if status == 200 {
                    let wanted = format!("before:{}", &text[from..]);
                    assert!(
                        content(&got) == wanted,
                        "{preview:?} {from}: {} bytes",
                        content(&got).len()
                    );
                }
            }
            for given in icap.given() {
                assert!(given.icap.contains("\r\nAllow: 204, 206\r\n"), "{}", given.icap);
                assert_eq!(given.is_preview, preview.is_some_and(|most| most < text.len()));
            }
        }
    }
}

/// c-icap's example of 206 writes a comment behind the tag that a page's body begins with.
fn c_icap_changes_the_beginning_of_a_page(version: Version) {
    let clamd = Clamd::start();
    let icap = CIcap::start(&clamd);
    let tables = format!(
        "[[inspect.scanner]]\nname = 'ex206'\nurl = 'icap://127.0.0.1:{}/ex206'\non_failure = 'close'\n",
        icap.port
    );
    let proxy = by(&tables, &[], &["ex206"]).start();
    for length in [10, 200_000] {
        let page = format!("<html><body><p>{}</p></body></html>", "text ".repeat(length));
        let file = proxy.folder().join("page");
        std::fs::write(&file, &page).unwrap();
        let data = format!("@{}", file.display());
        let more = ["--data-binary", &data, "-H", "Content-Type: text/html"];
        let got = ask(version, &proxy, version.echo(), "/echo", &more);
        assert_eq!(got.status, 200, "{}", got.verbose);
        let (_, found) = got.text.split_once("\n\n").unwrap();
        let comment = "<!--A simple comment added by the  ex206 C-ICAP service-->";
        assert!(found.contains(comment), "{}", &found[..found.len().min(300)]);
        let rest = &page[page.find("<p>").unwrap()..];
        assert!(found.trim_end().ends_with(rest), "{} bytes", found.len());
    }
    proxy.metric(
        "wsbump_inspect_scan_seconds_count",
        &[("scanner", "ex206"), ("outcome", "replaced")],
        2.0,
    );
}

/// An answer that makes no sense is the service's failure, and nobody else's.
fn nonsense_of_a_service_does_not_pass(version: Version) {
    for (nonsense, of_request) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("ICAP/1.0 200 OK\r\n\r\n", true),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body=4\r\n\r\nHTTP",
            true,
        ),
        ("ICAP/1.0 206 Partial\r\nEncapsulated: null-body=0\r\n\r\n", true),
        ("ICAP/1.0 100 Continue\r\n\r\n", true),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, null-body=40\r\n\r\nGET http://evil.test/ HTTP/1.1\r\nA: b\r\n\r\n",
            true,
        ),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, null-body=35\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
            true,
        ),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: req-hdr=0, null-body=18\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            false,
        ),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\nzz\r\n",
            false,
        ),
    ] {
        let icap = OwnIcap::start(None, move |_| Says::Raw(nonsense));
        let (requests, responses) = match of_request {
            true => (&["dlp"][..], &[][..]),
            false => (&[][..], &["dlp"][..]),
        };
        let proxy = by(
            &icap.table("dlp", "on_failure = 'close'\ndeadline = '1s'"),
            requests,
            responses,
        )
        .start();
        let got = ask(version, &proxy, version.echo(), "/echo", &["--data", "x"]);
        assert_eq!(got.status, 502, "{nonsense:?}: {}", got.text);
        assert!(
            got.text.contains("content_uninspected"),
            "{nonsense:?}: {}",
            got.text
        );
    }
}

/// A service leaves Host out: it is there all the same, since the request is for whom it was for.
#[test]
fn a_request_is_for_whom_it_was_for() {
    let recorder = Recorder::start();
    let icap = OwnIcap::start(None, |_| {
        Says::Message("GET /changed HTTP/1.1\r\nX-A: 1\r\n\r\n".to_owned(), Vec::new())
    });
    let proxy = by(&icap.table("dlp", "on_failure = 'close'"), &["dlp"], &[]).start();
    let target = recorder.target();
    let mut client = tls_over(tunnel(&proxy, &target), &target, &proxy.ca);
    client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert!(head.starts_with("GET /changed HTTP/1.1\r\n"), "{head}");
    assert_eq!(
        (header(&head, "host"), header(&head, "x-a")),
        (Some(&*target), Some("1")),
        "{head}"
    );
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

/// A request to the proxy that names its server goes by services as one inside of a tunnel does.
#[test]
fn plain_requests_go_by_services_over_both_versions() {
    let icap = OwnIcap::start(Some(4), appending(" and more"));
    let proxy = by(&icap.table("dlp", ""), &["dlp"], &["dlp"])
        .config("[listen]\ntls = ['127.0.0.1:0']")
        .start();
    let url = origins::plain_aiohttp().url("http", "/echo");
    let got = curl(Some(&proxy.url()), &proxy.ca, &["--data", "plain", &url]);
    assert_eq!(content(&got), "plain and more and more", "{}", got.verbose);
    let said = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "POST")
        .with("content", "5")
        .with("target", &url)
        .run();
    assert_eq!(said["x-adapted"], "yes", "{said}");
    assert_eq!(icap.given().len(), 4);
}

#[test]
fn a_service_that_is_none_is_a_mistake() {
    for (tables, hint) in [
        ("", "is no scanner"),
        (
            "[[inspect.scanner]]\nname = 'dlp'\nurl = 'clamd://127.0.0.1:1'\n",
            "is a clamd",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        std::fs::write(
            &file,
            format!("{tables}[[policy.setting]]\nadapt_requests = ['dlp']\n"),
        )
        .unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wsbump"));
        let output = command.arg("check").arg("--config").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(hint), "{said}");
    }
}
