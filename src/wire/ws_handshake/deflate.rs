//! permessage-deflate's offers and answers (RFC 7692 section 7.1).

use super::lists;
use crate::wire::deflate::{Deflate, DeflateSide};
use crate::wire::headers::Headers;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

/// The name of the extension.
pub(super) const PERMESSAGE_DEFLATE: &str = "permessage-deflate";

/// A parameter as RFC 7692 knows it.
enum Parameter {
    ServerNoTakeover,
    ClientNoTakeover,
    /// `None` without a value, which only an offer of the client's may have.
    ServerBits(u8),
    ClientBits(Option<u8>),
}

/// What the origin's 101 agrees to, where permessage-deflate is all of it and every parameter is one of RFC 7692,
/// once and with a value that it may have.
pub(super) fn agreed(headers: &impl Headers) -> Option<Deflate> {
    let mut elements = lists::elements(headers, &SEC_WEBSOCKET_EXTENSIONS);
    let (element, None) = (elements.next()?, elements.next()) else {
        return None;
    };
    let mut sides = [DeflateSide::default(); 2];
    for parameter in parameters(element)? {
        let [client, server] = &mut sides;
        match parameter {
            Parameter::ServerNoTakeover => server.takeover = false,
            Parameter::ClientNoTakeover => client.takeover = false,
            Parameter::ServerBits(bits) => server.window_bits = bits,
            Parameter::ClientBits(bits) => client.window_bits = bits?,
        }
    }
    Some(Deflate { sides })
}

/// Takes every offer out of a client's handshake that the proxy could not decode if the origin took it; what stays
/// is as it was written. Returns whether anything was taken out.
pub fn keep_known_extensions(headers: &mut impl Headers) -> bool {
    let offers: Vec<&[u8]> = lists::elements(headers, &SEC_WEBSOCKET_EXTENSIONS).collect();
    let known: Vec<&[u8]> = offers
        .iter()
        .filter(|offer| parameters(offer).is_some())
        .copied()
        .collect();
    if known.len() == offers.len() {
        return false;
    }
    // Parts of values that came in a head: they can be written again.
    let kept = known.join(&b", "[..]);
    if kept.is_empty() {
        headers.remove(&SEC_WEBSOCKET_EXTENSIONS);
    } else {
        headers.set(&SEC_WEBSOCKET_EXTENSIONS, &kept);
    }
    true
}

/// The parameters of one element, if it is permessage-deflate and all of them are known, once.
fn parameters(element: &[u8]) -> Option<Vec<Parameter>> {
    let mut parts = lists::divide(element, b';');
    if !parts.next()?.eq_ignore_ascii_case(PERMESSAGE_DEFLATE.as_bytes()) {
        return None;
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut all = Vec::new();
    for part in parts {
        let (name, value) = match part.iter().position(|&byte| byte == b'=') {
            Some(at) => (lists::trimmed(&part[..at]), Some(lists::trimmed(&part[at + 1..]))),
            None => (part, None),
        };
        let name = name.to_ascii_lowercase();
        if names.contains(&name) {
            return None;
        }
        all.push(match (&name[..], value) {
            (b"server_no_context_takeover", None) => Parameter::ServerNoTakeover,
            (b"client_no_context_takeover", None) => Parameter::ClientNoTakeover,
            (b"server_max_window_bits", Some(value)) => Parameter::ServerBits(bits(value)?),
            (b"client_max_window_bits", None) => Parameter::ClientBits(None),
            (b"client_max_window_bits", Some(value)) => Parameter::ClientBits(Some(bits(value)?)),
            _ => return None,
        });
        names.push(name);
    }
    Some(all)
}

/// 8 to 15, without leading zeros; quotes are allowed (RFC 6455 section 9.1).
fn bits(value: &[u8]) -> Option<u8> {
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    (8..=15_u8).find(|bits| bits.to_string().as_bytes() == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HeaderMap;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, line.parse().unwrap());
        }
        headers
    }

    fn sides(line: &str) -> Option<[(bool, u8); 2]> {
        agreed(&headers(&[line])).map(|deflate| deflate.sides.map(|side| (side.takeover, side.window_bits)))
    }

    #[test]
    fn every_parameter_is_read() {
        assert_eq!(sides("permessage-deflate"), Some([(true, 15), (true, 15)]));
        assert_eq!(
            sides("Permessage-Deflate; server_no_context_takeover; client_max_window_bits=10"),
            Some([(true, 10), (false, 15)])
        );
        assert_eq!(
            sides("permessage-deflate; client_no_context_takeover ;server_max_window_bits=\"8\""),
            Some([(false, 15), (true, 8)])
        );
    }

    #[test]
    fn what_makes_no_sense_is_not_decoded() {
        for line in [
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; something",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate, x-other",
            "x-other",
            "",
        ] {
            assert_eq!(sides(line), None, "{line}");
        }
    }

    #[test]
    fn only_offers_that_can_be_decoded_go_on() {
        let mut plain = headers(&["permessage-deflate; client_max_window_bits", "permessage-deflate"]);
        let before = plain.clone();
        assert!(!keep_known_extensions(&mut plain));
        assert_eq!(plain, before, "untouched, in two lines");
        let mut mixed = headers(&[
            "x-webkit-deflate-frame, permessage-deflate;  client_max_window_bits=12",
            "foo; a=\"b, c\"",
        ]);
        assert!(keep_known_extensions(&mut mixed));
        assert_eq!(
            mixed[SEC_WEBSOCKET_EXTENSIONS],
            "permessage-deflate;  client_max_window_bits=12"
        );
        let mut none = headers(&["permessage-bzip2"]);
        assert!(keep_known_extensions(&mut none));
        assert!(none.is_empty());
        assert!(!keep_known_extensions(&mut none));
    }
}
