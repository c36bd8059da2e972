use super::*;
use crate::report::tests::{rises, who};
use std::time::Duration;

fn exchange() -> RequestDone {
    RequestDone {
        id: crate::http::RequestId::new(),
        rule: None,
        malformed: None,
        who: who(),
        version: http::Version::HTTP_11,
        method: http::Method::GET,
        url: "https://chat.example/".into(),
        status: Some(200),
        time_to_head: Duration::from_millis(20),
        time_total: Duration::from_millis(30),
        request_bytes: 3,
        response_bytes: 500,
        error: None,
        detail: None,
        headers: Vec::new(),
    }
}

#[test]
fn methods_and_statuses_have_their_places() {
    for (method, place) in METHODS[..7].iter().zip(0..) {
        assert_eq!(method_class(&method.parse().unwrap()), place, "{method}");
    }
    for other in ["CONNECT", "TRACE", "PROPFIND", "get", "other"] {
        assert_eq!(METHODS[method_class(&other.parse().unwrap())], "other", "{other}");
    }
    for (status, class) in [
        (100, "1xx"),
        (199, "1xx"),
        (200, "2xx"),
        (404, "4xx"),
        (599, "5xx"),
    ] {
        assert_eq!(STATUSES[status_class(status).unwrap()], class);
    }
    for none in [0, 99, 600, 999, u16::MAX] {
        assert_eq!(status_class(none), None);
    }
}

#[test]
fn exchanges_fall_into_classes() {
    let failed = RequestDone {
        method: http::Method::from_bytes(b"MADEUP").unwrap(),
        status: None,
        error: Some(HttpError::Aborted(Side::Client)),
        ..exchange()
    };
    rises(
        &[Event::Request(&exchange()), Event::Request(&failed)],
        &[
            ("wsbump_http_requests_total{method=\"GET\",status=\"2xx\"}", 1.0),
            (
                "wsbump_http_requests_total{method=\"other\",status=\"none\"}",
                1.0,
            ),
            ("wsbump_http_response_head_seconds_count{status=\"2xx\"}", 1.0),
            ("wsbump_http_body_bytes_total{direction=\"to_origin\"}", 6.0),
            ("wsbump_http_body_bytes_total{direction=\"to_client\"}", 1000.0),
            ("wsbump_http_errors_total{error=\"client_aborted\"}", 1.0),
        ],
    );
}

#[test]
fn what_is_malformed_is_counted_by_who_sent_it() {
    let failed = |malformed, error| RequestDone {
        id: crate::http::RequestId::new(),
        malformed: Some(malformed),
        error: Some(error),
        ..exchange()
    };
    let asked = failed(Malformed::RepeatedHost, HttpError::BadRequest);
    let answered = failed(Malformed::DifferentLengths, HttpError::BadResponse);
    let broke_off = failed(Malformed::ChunkSize, HttpError::Aborted(Side::Origin));
    let series =
        |side: &str, kind: &str| format!("wsbump_http_malformed_total{{kind=\"{kind}\",side=\"{side}\"}}");
    rises(
        &[
            Event::Request(&asked),
            Event::Request(&answered),
            Event::Request(&broke_off),
            Event::Request(&exchange()),
        ],
        &[
            (&series("client", "repeated_host"), 1.0),
            (&series("origin", "repeated_host"), 0.0),
            (&series("origin", "different_lengths"), 1.0),
            (&series("origin", "chunk_size"), 1.0),
            (&series("client", "chunk_size"), 0.0),
        ],
    );
    let docs = include_str!("../../../../docs/metrics.md");
    let told = docs
        .lines()
        .find(|line| line.contains("`wsbump_http_malformed_total`"))
        .unwrap();
    for why in Malformed::ALL {
        assert!(
            told.contains(&format!("`{}`", why.label())),
            "{why:?} is not documented"
        );
    }
}

#[test]
fn fallbacks_to_http1_are_counted_without_their_host() {
    let who = who();
    let event = Event::Http1Fallback {
        who: &who,
        host: "old.example",
    };
    rises(&[event], &[("wsbump_http1_fallbacks_total", 1.0)]);
}
