//! What the policy says of a request. The journey asks it; this stage only knows when to.

use crate::decide::{HeaderEdit, RequestFacts, TellClient, Treatment};
use crate::http::exchange::destination::Destination;
use crate::http::pages::ErrorResponse;
use crate::wire::forwarded::ForwardedField;
use crate::wire::headers::Headers;
use http::uri::Scheme;
use std::net::IpAddr;
use std::sync::Arc;

/// Says of each request whether it may go on, and how it is treated.
pub trait Judge: Send + Sync {
    /// Asked with the head as the client sent it, before anything else looks at it.
    ///
    /// # Errors
    /// What the client is answered instead.
    fn judge(&self, asked: &JudgedRequest<'_>) -> Result<Allowed, Box<ErrorResponse>>;
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
pub struct JudgedRequest<'a> {
    /// Whose it is.
    pub client: IpAddr,
    /// The server that it is for.
    pub target: &'a crate::wire::names::Authority,
    /// Whether it is for `https`.
    pub is_secure: bool,
    /// Its head.
    pub request: RequestFacts<'a>,
}

impl<'a> JudgedRequest<'a> {
    pub(in crate::http) fn new(client: IpAddr, to: &'a Destination<'_>, request: RequestFacts<'a>) -> Self {
        Self {
            client,
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

/// Tells the origin whose request it is, as proxies do: behind what others on the way have told comes the address that the
/// request `came_from`, and nobody can tell what of the rest is true. Or alone, and then it is the `client` as far as it is
/// known here, and nothing that the request says.
pub(in crate::http) fn tell_client(
    treatment: &Treatment,
    (came_from, client): (IpAddr, IpAddr),
    headers: &mut impl Headers,
) {
    let alone = treatment.tells_client_alone;
    let told = if alone { client } else { came_from };
    tell(treatment.tell_client, alone, told, headers);
}

fn tell(how: TellClient, alone: bool, client: IpAddr, headers: &mut impl Headers) {
    let (field, own) = match (how, client) {
        (TellClient::No, _) => return,
        (TellClient::XForwardedFor, ip) => (ForwardedField::XForwardedFor, ip.to_string()),
        (TellClient::Forwarded, IpAddr::V4(ip)) => (ForwardedField::Forwarded, format!("for={ip}")),
        // A colon is for quoted strings alone (RFC 7239 section 6).
        (TellClient::Forwarded, IpAddr::V6(ip)) => (ForwardedField::Forwarded, format!("for=\"[{ip}]\"")),
    };
    if alone {
        for field in ForwardedField::ALL {
            headers.remove(&field.name());
        }
    }
    let name = field.name();
    // Behind what cannot be read nobody could read this one either.
    let before: Vec<&[u8]> = headers.all(&name).filter(|value| field.is_whole(value)).collect();
    let value = [&before[..], &[own.as_bytes()]].concat().join(&b", "[..]);
    headers.set(&name, &value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_client_is_told_behind_what_is_there_or_alone() {
        let (v4, v6) = (IpAddr::from([192, 0, 2, 1]), "2001:db8::1".parse().unwrap());
        let mut headers = HeaderMap::new();
        tell(TellClient::No, true, v4, &mut headers);
        assert!(headers.is_empty());
        headers.append("x-forwarded-for", "198.51.100.1".parse().unwrap());
        headers.append("x-forwarded-for", "198.51.100.2".parse().unwrap());
        tell(TellClient::XForwardedFor, false, v4, &mut headers);
        assert_eq!(
            headers["x-forwarded-for"],
            "198.51.100.1, 198.51.100.2, 192.0.2.1"
        );
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        tell(TellClient::Forwarded, false, v4, &mut headers);
        tell(TellClient::Forwarded, false, v6, &mut headers);
        assert_eq!(headers["forwarded"], "for=192.0.2.1, for=\"[2001:db8::1]\"");
        tell(TellClient::XForwardedFor, true, v6, &mut headers);
        assert_eq!(headers["x-forwarded-for"], "2001:db8::1");
        assert!(!headers.contains_key("forwarded"));
    }

    #[test]
    fn nothing_that_is_broken_stands_before_what_is_told() {
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let mut headers = HeaderMap::new();
        headers.append("forwarded", "for=\"x".parse().unwrap());
        headers.append("forwarded", "for=198.51.100.1".parse().unwrap());
        headers.append("forwarded", "y\"".parse().unwrap());
        tell(TellClient::Forwarded, false, v4, &mut headers);
        assert_eq!(headers["forwarded"], "for=198.51.100.1, for=192.0.2.1");
        assert_eq!(headers.get_all("forwarded").iter().count(), 1);
    }
}
