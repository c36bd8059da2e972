//! What a proxy takes off and puts on a message's head (RFC 9110 section 7.6).

use crate::wire::headers::Headers;
use http::Version;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VIA,
};
use smallvec::SmallVec;

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
const OF_PROXY: [HeaderName; 3] = [
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
];

/// What Connection says of itself. What stands there beside is the name of a field for this connection alone.
const OPTIONS: [&str; 4] = ["close", "keep-alive", "upgrade", "te"];

/// Fields that a sender must not list there, since the message cannot do without them (RFC 9110 section 7.6.1).
const NEVER_LISTED: [HeaderName; 5] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT];

fn is_option(token: &str) -> bool {
    OPTIONS.iter().any(|known| token.eq_ignore_ascii_case(known))
}

/// The fields that Connection lists as meant for this connection alone.
fn listed(headers: &impl Headers) -> Vec<HeaderName> {
    tokens(headers, &CONNECTION)
        .filter(|token| !is_option(token))
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| !NEVER_LISTED.contains(name))
        .collect()
}

/// Removes the fields that the sender lists in Connection, and their names there: what is put into the head afterwards under
/// such a name is the proxy's own, and [`strip`] must not take it out for the sender.
pub(in crate::http) fn drop_listed(headers: &mut impl Headers) {
    let listed = listed(headers);
    if listed.is_empty() {
        return;
    }
    for name in &listed {
        headers.remove(name);
    }
    let options = tokens(headers, &CONNECTION)
        .filter(|token| is_option(token))
        .collect::<Vec<_>>()
        .join(", ");
    match options.is_empty() {
        true => headers.remove(&CONNECTION),
        false => headers.set(&CONNECTION, options.as_bytes()),
    }
}

/// Removes everything that is meant for this connection alone. What takes its place, `Connection: Upgrade` with the
/// protocol that is asked for, or TE, stands where it stood.
pub(in crate::http) fn strip(headers: &mut impl Headers, upgrade: Option<&[u8]>) {
    // The listed names are taken out first: the list itself goes with Connection.
    for name in &listed(headers) {
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
    let mut gone: SmallVec<[HeaderName; 8]> = OF_CONNECTION[1..3].iter().chain(&OF_PROXY).cloned().collect();
    match (upgrade, trailers) {
        (Some(_), _) => headers.set(&CONNECTION, b"Upgrade"),
        (None, true) => headers.set(&CONNECTION, b"TE"),
        (None, false) => gone.push(CONNECTION),
    }
    match upgrade {
        Some(token) => headers.set(&UPGRADE, token),
        None => gone.push(UPGRADE),
    }
    match trailers {
        true => headers.set(&TE, b"trailers"),
        false => gone.push(TE),
    }
    headers.remove_all(&gone);
}

/// Removes what is meant for this connection alone from a message that came by HTTP/2. What else a message of HTTP/1.1
/// could have makes one of HTTP/2 malformed (RFC 9113 section 8.2.2), and the `h2` crate refuses it.
pub(in crate::http) fn strip_h2(headers: &mut impl Headers) {
    headers.remove_all(&OF_PROXY);
}

/// Makes the head of an answer of HTTP/1.1, this proxy's own or passed on by it, one that HTTP/2 can carry.
pub(in crate::http) fn strip_for_h2(headers: &mut HeaderMap) {
    headers.remove_all(&OF_CONNECTION);
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
    let value = match received {
        Version::HTTP_2 => "2 wsbump",
        Version::HTTP_10 => "1.0 wsbump",
        _ => "1.1 wsbump",
    };
    headers.add_own(&VIA, value);
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
            ("Proxy-Authentication-Info", "x"),
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
    fn what_a_sender_lists_goes_before_anything_else_is_put_there() {
        let mut map = headers(&[
            ("Connection", "Keep-Alive, X-Forwarded-For"),
            ("connection", "x-tenant, Host, \"odd\", Upgrade"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Host", "a"),
            ("Upgrade", "websocket"),
            ("X-Public", "1"),
        ]);
        drop_listed(&mut map);
        assert_eq!(names(&map), ["connection", "host", "upgrade", "x-public"]);
        assert_eq!(map.get_all(CONNECTION).iter().count(), 1);
        assert_eq!(map[CONNECTION], "Keep-Alive, Upgrade");
        // What is the proxy's own stays, whether the sender had such a field or not.
        map.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1"));
        map.insert("x-tenant", HeaderValue::from_static("ours"));
        strip(&mut map, None);
        assert_eq!(names(&map), ["host", "x-forwarded-for", "x-public", "x-tenant"]);
        let mut alone = headers(&[("Connection", "x-tenant"), ("X-Tenant", "theirs")]);
        drop_listed(&mut alone);
        assert!(alone.is_empty());
        for usual in ["keep-alive", "close, TE", "host, Expect"] {
            let mut map = headers(&[("Connection", usual), ("Host", "a"), ("Expect", "100-continue")]);
            let before = map.clone();
            drop_listed(&mut map);
            assert_eq!(map, before);
        }
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
