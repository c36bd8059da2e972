//! Who somebody is: by the cookie of a session, or by a bearer token.

use super::sessions::{Holder, Sessions};
use crate::api::{Caller, Right, StillMay};
use crate::report::admin::{ConsoleAccess, ConsoleRole, bearer};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, Method};
use std::net::IpAddr;
use std::time::Instant;

/// The header in which the console's pages show what no other page can know.
pub(super) const SESSION: HeaderName = HeaderName::from_static("x-wsbump-session");

/// Somebody who may see something.
#[derive(Debug)]
pub(super) struct Known {
    /// Who, and what they may.
    pub(super) caller: Caller,
    /// What the pages put into the header; empty for a program.
    pub(super) token: String,
}

/// Why somebody is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// They show nothing, or nothing that holds any more.
    Nobody,
    /// The cookie alone has come, and something is to be done.
    CookieAlone,
}

/// The cookie's name. Cookies are not kept apart by ports, and another version may read it in another way.
pub(super) fn cookie_name(is_tls: bool, port: u16) -> String {
    // The prefix has browsers hold it to TLS and to this host (RFC 6265bis section 4.1.3.2).
    let prefix = if is_tls { "__Host-" } else { "" };
    format!("{prefix}wsbump-1-{port}")
}

/// The value of the cookie of this name, if there is one alone.
pub(super) fn cookie<'a>(name: &str, headers: &'a HeaderMap) -> Option<&'a [u8]> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            pair.trim_ascii()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")
        });
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Who asks, from this address.
///
/// # Errors
/// Why that is not known.
pub(super) fn who(
    sessions: &Sessions,
    access: &ConsoleAccess,
    (cookie_name, client): (&str, IpAddr),
    method: &Method,
    headers: &HeaderMap,
) -> Result<Known, Unknown> {
    // No page of another site can have a browser send this header.
    if let Some(shown) = bearer(headers) {
        let token = access.shows(shown).ok_or(Unknown::Nobody)?;
        return Ok(Known {
            caller: caller((&token.name, &token.name), client, &token.roles),
            token: String::new(),
        });
    }
    let shown = cookie(cookie_name, headers).ok_or(Unknown::Nobody)?;
    let (holder, token) = sessions.find(shown, Instant::now()).ok_or(Unknown::Nobody)?;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let says = headers.get(SESSION).map_or(&b""[..], |said| said.as_bytes());
    if !reads && aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), says).is_err() {
        return Err(Unknown::CookieAlone);
    }
    let caller = of(&holder, access, client).ok_or(Unknown::Nobody)?;
    Ok(Known { caller, token })
}

/// What the holder of a session may now: who loses their token, or a role of it, has lost it at once.
pub(super) fn of(holder: &Holder, access: &ConsoleAccess, client: IpAddr) -> Option<Caller> {
    match holder {
        // Whoever reads what the proxy writes can use the socket in the file system too.
        Holder::Code => Some(caller(
            ("console code", Caller::MACHINE),
            client,
            &[ConsoleRole::Raw, ConsoleRole::Operator, ConsoleRole::Approver],
        )),
        Holder::Token(name) => {
            let token = access.named(name)?;
            Some(caller((&token.name, &token.name), client, &token.roles))
        }
    }
}

fn caller((name, person): (&str, &str), client: IpAddr, roles: &[ConsoleRole]) -> Caller {
    let has = |role| roles.contains(&role);
    let (raw, operates) = (has(ConsoleRole::Raw), has(ConsoleRole::Operator));
    // Each that sees more sees what the others see.
    let (content, views) = (raw || has(ConsoleRole::Content), !roles.is_empty());
    let rights = [
        (Right::View, views),
        (Right::Content, content),
        (Right::Raw, raw),
        (Right::Operate, operates),
        (Right::Approve, has(ConsoleRole::Approver)),
    ];
    Caller {
        by: format!("{name} from {client}"),
        person: person.into(),
        rights: rights
            .into_iter()
            .filter_map(|(right, had)| had.then_some(right))
            .collect(),
        is_local: false,
        still: StillMay::by(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::admin::{ConsoleToken, Token};
    use http::header::AUTHORIZATION;
    use std::time::Duration;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NAME: &str = "wsbump-1-9130";

    fn access(roles: &[ConsoleRole]) -> ConsoleAccess {
        ConsoleAccess {
            tokens: vec![ConsoleToken {
                name: "ada".into(),
                token: Token::parse(SECRET.as_bytes()).unwrap(),
                roles: roles.to_vec(),
            }],
            ..ConsoleAccess::default()
        }
    }

    fn ask(
        sessions: &Sessions,
        access: &ConsoleAccess,
        method: &Method,
        headers: &[(HeaderName, String)],
    ) -> Result<Vec<Right>, Unknown> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let client = "192.0.2.1".parse().unwrap();
        who(sessions, access, (NAME, client), method, &headers).map(|known| known.caller.rights.to_vec())
    }

    #[test]
    fn each_role_has_its_rights() {
        use Right::{Approve, Content, Operate, Raw, View};
        for (roles, rights) in [
            (&[][..], &[][..]),
            (&[ConsoleRole::Viewer][..], &[View][..]),
            (&[ConsoleRole::Content], &[View, Content]),
            (&[ConsoleRole::Raw], &[View, Content, Raw]),
            (&[ConsoleRole::Operator], &[View, Operate]),
            (&[ConsoleRole::Approver], &[View, Approve]),
            (
                &[ConsoleRole::Content, ConsoleRole::Operator],
                &[View, Content, Operate],
            ),
        ] {
            let shown = [(AUTHORIZATION, format!("Bearer {SECRET}"))];
            let found = ask(&Sessions::default(), &access(roles), &Method::POST, &shown).unwrap();
            assert_eq!(found, rights, "{roles:?}");
        }
        let wrong = [(AUTHORIZATION, format!("Bearer {SECRET}0"))];
        let found = ask(&Sessions::default(), &access(&[]), &Method::GET, &wrong);
        assert_eq!(found, Err(Unknown::Nobody));
    }

    #[test]
    fn a_cookie_alone_reads_and_does_nothing() {
        let (sessions, access) = (Sessions::default(), access(&[ConsoleRole::Viewer]));
        let begin = |holder| {
            sessions
                .begin(holder, Instant::now(), Duration::from_secs(9))
                .unwrap()
        };
        let begun = begin(Holder::Token("ada".into()));
        let cookie = (COOKIE, format!("a=b; {NAME}={}", begun.cookie));
        let ask = |method: &Method, headers: &[_]| ask(&sessions, &access, method, headers);
        assert_eq!(
            ask(&Method::GET, std::slice::from_ref(&cookie)),
            Ok(vec![Right::View])
        );
        assert_eq!(
            ask(&Method::POST, std::slice::from_ref(&cookie)),
            Err(Unknown::CookieAlone)
        );
        let wrong = (SESSION, begun.cookie.clone());
        assert_eq!(
            ask(&Method::DELETE, &[cookie.clone(), wrong]),
            Err(Unknown::CookieAlone)
        );
        let right = (SESSION, begun.token.clone());
        assert_eq!(
            ask(&Method::POST, &[cookie.clone(), right]),
            Ok(vec![Right::View])
        );
        let twice = [cookie.clone(), cookie];
        assert_eq!(ask(&Method::GET, &twice), Err(Unknown::Nobody));
        assert_eq!(
            ask(&Method::GET, &[(COOKIE, format!("{NAME}=x"))]),
            Err(Unknown::Nobody)
        );
        // Who has lost the token has lost the session that it bought.
        let gone = begin(Holder::Token("eve".into()));
        let gone = [(COOKIE, format!("{NAME}={}", gone.cookie))];
        assert_eq!(ask(&Method::GET, &gone), Err(Unknown::Nobody));
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "n=a".parse().unwrap());
        assert_eq!(cookie("n", &headers), Some(&b"a"[..]));
        assert_eq!(cookie("na", &headers), None);
        headers.append(COOKIE, "m=x; n=b".parse().unwrap());
        assert_eq!(cookie("n", &headers), None);
        assert_eq!(cookie("m", &headers), Some(&b"x"[..]));
        assert!(cookie_name(true, 1).starts_with("__Host-"));
    }
}
