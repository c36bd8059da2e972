//! Responses that say something when there is something to say.

use crate::wire::headers::Headers;
use http::header::CONTENT_TYPE;

const EVENT_STREAMS: [&str; 2] = ["text/event-stream", "multipart/x-mixed-replace"];
const QUIET: [&str; 3] = [EVENT_STREAMS[0], EVENT_STREAMS[1], "application/grpc"];

/// Whether a response has no end to wait for.
pub(in crate::http) fn is_event_stream(headers: &impl Headers) -> bool {
    is_of_type(headers, &EVENT_STREAMS)
}

/// Whether a response may be quiet for as long as a tunnel: an event stream, or gRPC, whose streams may be such.
pub(in crate::http) fn may_be_quiet(headers: &impl Headers) -> bool {
    is_of_type(headers, &QUIET)
}

fn is_of_type(headers: &impl Headers, types: &[&str]) -> bool {
    headers.first(&CONTENT_TYPE).is_some_and(|kind| {
        types.iter().any(|known| {
            kind.get(..known.len())
                .is_some_and(|kind| kind.eq_ignore_ascii_case(known.as_bytes()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

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
