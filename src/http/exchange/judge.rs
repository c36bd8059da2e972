//! What the policy says of a request. The journey asks it; this stage only knows when to.

use crate::decide::{HeaderEdit, RequestFacts, TellClient, Treatment};
use crate::http::exchange::destination::Destination;
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use http::HeaderName;
use http::header::FORWARDED;
use http::uri::Scheme;
use std::net::IpAddr;
use std::sync::Arc;

/// Says of each request whether it may go on, and how it is treated.
pub trait Judge: Send + Sync {
    /// Asked with the head as the client sent it, before anything else looks at it.
    ///
    /// # Errors
    /// What the client is answered instead.
    fn judge(&self, asked: &Judged<'_>) -> Result<Allowed, Box<ErrorResponse>>;
}

/// What may go on.
#[derive(Debug)]
pub struct Allowed {
    /// How it is treated.
    pub treatment: Arc<Treatment>,
    /// The rule of the policy's table that lets it pass, if one does.
    pub rule: Option<Arc<str>>,
}

/// What is asked about.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The server that it is for.
    pub target: &'a crate::wire::names::Authority,
    /// Whether it is for `https`.
    pub is_secure: bool,
    /// Its head.
    pub request: RequestFacts<'a>,
}

impl<'a> Judged<'a> {
    pub(in crate::http) fn new(to: &'a Destination<'_>, request: RequestFacts<'a>) -> Self {
        Self {
            target: to.target,
            is_secure: to.scheme == Scheme::HTTPS,
            request,
        }
    }
}

/// Makes the changes to a head that its treatment wants.
pub(in crate::http) fn edit(edits: &[HeaderEdit], headers: &mut impl Headers) {
    for edit in edits {
        match edit {
            HeaderEdit::Set(name, value) => headers.set(name, value.as_bytes()),
            HeaderEdit::Add(name, value) => headers.add(name, value.as_bytes()),
            HeaderEdit::Remove(name) => headers.remove(name),
        }
    }
}

/// Tells the origin whose request it is, behind what others on the way have told: nobody can tell what of that is true.
pub(in crate::http) fn tell_client(how: TellClient, client: IpAddr, headers: &mut impl Headers) {
    let (name, own) = match (how, client) {
        (TellClient::No, _) => return,
        (TellClient::XForwardedFor, ip) => (X_FORWARDED_FOR, ip.to_string()),
        (TellClient::Forwarded, IpAddr::V4(ip)) => (FORWARDED, format!("for={ip}")),
        // A colon is for quoted strings alone (RFC 7239 section 6).
        (TellClient::Forwarded, IpAddr::V6(ip)) => (FORWARDED, format!("for=\"[{ip}]\"")),
    };
    let before: Vec<&[u8]> = headers.all(&name).collect();
    let value = [&before[..], &[own.as_bytes()]].concat().join(&b", "[..]);
    headers.set(&name, &value);
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_client_is_told_behind_what_is_there() {
        let mut headers = HeaderMap::new();
        tell_client(TellClient::No, [192, 0, 2, 1].into(), &mut headers);
        assert!(headers.is_empty());
        headers.append("x-forwarded-for", "198.51.100.1".parse().unwrap());
        headers.append("x-forwarded-for", "198.51.100.2".parse().unwrap());
        tell_client(TellClient::XForwardedFor, [192, 0, 2, 1].into(), &mut headers);
        assert_eq!(
            headers["x-forwarded-for"],
            "198.51.100.1, 198.51.100.2, 192.0.2.1"
        );
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        tell_client(TellClient::Forwarded, [192, 0, 2, 1].into(), &mut headers);
        tell_client(
            TellClient::Forwarded,
            "2001:db8::1".parse().unwrap(),
            &mut headers,
        );
        assert_eq!(headers["forwarded"], "for=192.0.2.1, for=\"[2001:db8::1]\"");
    }
}
