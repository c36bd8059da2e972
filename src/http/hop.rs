//! What a proxy takes off and puts on a message's head (RFC 9110 section 7.6).

use http::Version;
use http::header::{
    CONNECTION, COOKIE, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
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

/// What this proxy calls itself in Via (RFC 9110 section 7.6.3); a pseudonym, never its address.
const VIA_VALUE: HeaderValue = HeaderValue::from_static("1.1 wsbump");
const VIA_H2: HeaderValue = HeaderValue::from_static("2 wsbump");

/// Removes everything that is meant for this connection alone.
pub(super) fn strip(headers: &mut HeaderMap) {
    // The listed names are taken out first: the list itself goes with Connection.
    let listed: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        // A sender must not list what the message cannot do without (RFC 9110 section 7.6.1).
        .filter(|name| *name != http::header::HOST && *name != http::header::CONTENT_LENGTH)
        .collect();
    let trailers = tokens(headers, &TE).any(|t| {
        t.split(';')
            .next()
            .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
    });
    for name in listed.iter().chain(&OF_CONNECTION).chain(&OF_PROXY) {
        headers.remove(name);
    }
    headers.remove(TE);
    if trailers {
        // The only TE that may go on, since trailers are passed through; it has to be listed again (RFC 9110
        // section 10.1.4).
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("TE"));
    }
}

/// Removes what is meant for this connection alone from a message that came by HTTP/2. What else a message of HTTP/1.1
/// could have makes one of HTTP/2 malformed (RFC 9113 section 8.2.2), and the `h2` crate refuses it.
pub(super) fn strip_h2(headers: &mut HeaderMap) {
    for name in &OF_PROXY {
        headers.remove(name);
    }
}

/// Makes the head of an answer of HTTP/1.1, this proxy's own or passed on by it, one that HTTP/2 can carry.
pub(super) fn strip_for_h2(headers: &mut HeaderMap) {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
}

/// Makes one line of the pieces that HTTP/2 lets a client cut its cookies into (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
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
pub(super) fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Makes the head one of an upgrade: `Connection: Upgrade`, exactly.
pub(super) fn set_upgrade(headers: &mut HeaderMap, token: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, token);
    // TE may not stand without being listed, and no upgrade has use for it.
    headers.remove(TE);
}

/// Adds this proxy to Via, with the protocol that the message was received by.
pub(super) fn add_via(headers: &mut HeaderMap, received: Version) {
    let value = if received == Version::HTTP_2 {
        VIA_H2
    } else {
        VIA_VALUE
    };
    headers.append(VIA, value);
}

/// Whether Via shows that this message has been here before.
pub(super) fn has_looped(headers: &HeaderMap) -> bool {
    // A chain of two wsbumps is legitimate; ten are a loop.
    tokens(headers, &VIA)
        .filter(|entry| entry.split(' ').nth(1) == Some("wsbump"))
        .count()
        >= 10
}

/// Counts Max-Forwards down (RFC 9110 section 7.6.2); `false` when this proxy is the one that must answer.
pub(super) fn may_forward(headers: &mut HeaderMap) -> bool {
    let Some(left) = headers
        .get(MAX_FORWARDS)
        .and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok())
    else {
        return true;
    };
    match left.checked_sub(1) {
        None => false,
        Some(left) => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(left));
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
        strip(&mut map);
        assert_eq!(names(&map), ["connection", "te", "trailer", "x-public"]);
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
        strip(&mut map);
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
