//! Responses that say something when there is something to say.

use http::header::{CONTENT_TYPE, HeaderMap};

/// Whether a response has no end to wait for.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    is_of_type(headers, &["text/event-stream", "multipart/x-mixed-replace"])
}

/// Whether a response may be quiet for as long as a tunnel: an event stream, or gRPC, whose streams may be such.
pub(super) fn may_be_quiet(headers: &HeaderMap) -> bool {
    is_event_stream(headers) || is_of_type(headers, &["application/grpc"])
}

fn is_of_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let kind = kind.as_bytes().to_ascii_lowercase();
    types.iter().any(|known| kind.starts_with(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_with_their_parameters_in_any_case() {
        for (kind, events, quiet) in [
            ("text/event-stream", true, true),
            ("Text/Event-Stream; charset=utf-8", true, true),
            ("multipart/x-mixed-replace; boundary=x", true, true),
            ("application/grpc", false, true),
            ("application/grpc+proto", false, true),
            ("application/grpc-web", false, true),
            ("text/plain", false, false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
            assert_eq!(
                (is_event_stream(&headers), may_be_quiet(&headers)),
                (events, quiet),
                "{kind}"
            );
        }
        assert!(!may_be_quiet(&HeaderMap::new()));
    }
}
