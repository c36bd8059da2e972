//! Proxies in front that say whose requests are, in a field of each request.

use super::claimed::among;
use crate::wire::forwarded::ForwardedField;
use crate::wire::headers::Headers;
use ipnet::IpNet;
use std::net::IpAddr;

/// Who is believed about whose requests are. Whatever anybody else writes is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedFor {
    /// From where.
    pub from: Vec<IpNet>,
    /// In which field; the other one is not read.
    pub field: ForwardedField,
}

impl ForwardedFor {
    /// Whether a connection of this client's may bring requests of others.
    pub fn believes(&self, client: IpAddr) -> bool {
        among(&self.from, client)
    }

    /// Whose request this is, told by somebody who is believed; `None` if nothing is told. Each proxy adds the address that the
    /// request came to it from, so the last word is the believed one's own; the word before it counts as well where the
    /// last one is about somebody who is believed, and so on. What is no address ends that.
    pub fn client(&self, headers: &impl Headers) -> Option<IpAddr> {
        let mut client = None;
        for told in self.field.told(headers) {
            let Some(ip) = told else { break };
            client = Some(ip);
            if !self.believes(ip) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_nearest_of_whom_nobody_is_sure_is_the_client() {
        let trust = ForwardedFor {
            from: vec!["10.0.0.0/8".parse().unwrap()],
            field: ForwardedField::XForwardedFor,
        };
        assert!(trust.believes("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!trust.believes("192.0.2.1".parse().unwrap()));
        for (value, client) in [
            ("192.0.2.1", Some("192.0.2.1")),
            // Anybody can write what comes first.
            ("203.0.113.9, 192.0.2.1", Some("192.0.2.1")),
            ("203.0.113.9, 192.0.2.1, 10.0.0.2", Some("192.0.2.1")),
            ("10.0.0.3, 10.0.0.2", Some("10.0.0.3")),
            ("192.0.2.1, unknown", None),
            ("192.0.2.1, nonsense, 10.0.0.2", Some("10.0.0.2")),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", value.parse().unwrap());
            headers.insert("forwarded", "for=203.0.113.8".parse().unwrap());
            let told = trust.client(&headers);
            assert_eq!(told, client.map(|ip| ip.parse().unwrap()), "{value}");
        }
        assert_eq!(trust.client(&HeaderMap::new()), None);
    }
}
