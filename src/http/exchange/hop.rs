//! What a proxy takes off and puts on a message's head (RFC 9110 section 7.6).

use crate::wire::headers::Headers;
use http::Version;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};

/// Headers that belong to one connection even when Connection does not list them. HTTP/2 does not have them (RFC 9113
/// section 8.2.2).
const OF_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers between a client and its proxy, in either protocol.
const OF_PROXY: [HeaderName; 2] = [PROXY_AUTHENTICATE, PROXY_AUTHORIZATION];

/// Removes everything that is meant for this connection alone. What takes its place, `Connection: Upgrade` with the
/// protocol that is asked for, or TE, stands where it stood.
pub(in crate::http) fn strip(headers: &mut impl Headers, upgrade: Option<&[u8]>) {
    // The listed names are taken out first: the list itself goes with Connection.
    let listed: Vec<HeaderName> = tokens(headers, &CONNECTION)
        // What the loop below takes out anyway.
        .filter(|token| {
            !["close", "keep-alive", "upgrade", "te"]
                .iter()
                .any(|known| token.eq_ignore_ascii_case(known))
        })
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // A sender must not list what the message cannot do without (RFC 9110 section 7.6.1).
        .filter(|name| ![HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name))
        .collect();
    for name in &listed {
        headers.remove(name);
    }
    // The only TE that may go on, since trailers are passed through; it has to be listed again (RFC 9110 section
    // 10.1.4). It may not stand without that, and no upgrade has use for it.
    let trailers = upgrade.is_none()
        && tokens(headers, &TE).any(|t| {
            t.split(';')
                .next()
                .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
        });
    match (upgrade, trailers) {
        (Some(_), _) => headers.set(&CONNECTION, b"Upgrade"),
        (None, true) => headers.set(&CONNECTION, b"TE"),
        (None, false) => headers.remove(&CONNECTION),
    }
    match upgrade {
        Some(token) => headers.set(&UPGRADE, token),
        None => headers.remove(&UPGRADE),
    }
    match trailers {
        true => headers.set(&TE, b"trailers"),
        false => headers.remove(&TE),
    }
    for name in OF_CONNECTION[1..3].iter().chain(&OF_PROXY) {
        headers.remove(name);
    }
}

/// Removes what is meant for this connection alone from a message that came by HTTP/2. What else a message of HTTP/1.1
/// could have makes one of HTTP/2 malformed (RFC 9113 section 8.2.2), and the `h2` crate refuses it.
pub(in crate::http) fn strip_h2(headers: &mut impl Headers) {
    for name in &OF_PROXY {
        headers.remove(name);
    }
}

/// Makes the head of an answer of HTTP/1.1, this proxy's own or passed on by it, one that HTTP/2 can carry.
pub(in crate::http) fn strip_for_h2(headers: &mut HeaderMap) {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
}

/// Makes one line of the pieces that HTTP/2 lets a client cut its cookies into (RFC 9113 section 8.2.3).
pub(in crate::http) fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}

/// The elements of a comma-separated header over all its lines.
pub(in crate::http) fn tokens<'h>(
    headers: &'h impl Headers,
    name: &'h HeaderName,
) -> impl Iterator<Item = &'h str> {
    headers
        .all(name)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Adds this proxy to Via (RFC 9110 section 7.6.3), with the protocol that the message was received by; under a pseudonym,
/// never its address.
pub(in crate::http) fn add_via(headers: &mut impl Headers, received: Version) {
    let value: &[u8] = match received {
        Version::HTTP_2 => b"2 wsbump",
        Version::HTTP_10 => b"1.0 wsbump",
        _ => b"1.1 wsbump",
    };
    headers.add(&VIA, value);
}

/// Whether Via shows that this message has been here before.
pub(in crate::http) fn has_looped(headers: &impl Headers) -> bool {
    // A chain of two wsbumps is legitimate; ten are a loop.
    tokens(headers, &VIA)
        .filter(|entry| entry.split(' ').nth(1) == Some("wsbump"))
        .count()
        >= 10
}

/// Counts Max-Forwards down (RFC 9110 section 7.6.2); `false` when this proxy is the one that must answer.
pub(in crate::http) fn may_forward(headers: &mut impl Headers) -> bool {
    let Some(left) = headers
        .first(&MAX_FORWARDS)
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok())
    else {
        return true;
    };
    match left.checked_sub(1) {
        None => false,
        Some(left) => {
            headers.set(&MAX_FORWARDS, left.to_string().as_bytes());
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        map
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_belongs_to_the_connection_goes_and_the_rest_stays() {
        let mut map = headers(&[
            ("Connection", "close, X-Private"),
            ("connection", "Keep-Alive"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("X-Private", "1"),
            ("X-Public", "1"),
            ("TE", "trailers, deflate;q=0.5"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("Proxy-Authorization", "Basic x"),
            ("Trailer", "x-sum"),
        ]);
        strip(&mut map, None);
        assert_eq!(
            names(&map),
            ["connection", "te", "trailer", "transfer-encoding", "x-public"]
        );
        assert_eq!(map[CONNECTION], "TE");
        assert_eq!(map[TE], "trailers");
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "b=2; c=3"), ("x", "1")]);
        join_cookies(&mut map);
        assert_eq!(map.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
        let mut none = headers(&[("x", "1")]);
        join_cookies(&mut none);
        assert_eq!(names(&none), ["x"]);
    }

    #[test]
    fn a_connection_header_cannot_remove_host_or_length() {
        let mut map = headers(&[
            ("Connection", "host, content-length"),
            ("Host", "a"),
            ("Content-Length", "1"),
        ]);
        strip(&mut map, None);
        assert_eq!(names(&map), ["content-length", "host"]);
    }

    #[test]
    fn max_forwards_counts_down_and_ends() {
        let mut map = headers(&[("Max-Forwards", "1")]);
        assert!(may_forward(&mut map));
        assert_eq!(map[MAX_FORWARDS], "0");
        assert!(!may_forward(&mut map));
        assert!(may_forward(&mut headers(&[])));
    }

    #[test]
    fn a_loop_shows_in_via() {
        let mut map = headers(&[("Via", "1.1 other, 1.1 wsbump")]);
        assert!(!has_looped(&map));
        for _ in 0..9 {
            add_via(&mut map, Version::HTTP_11);
        }
        assert!(has_looped(&map));
    }
}
