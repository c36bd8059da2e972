//! From a DNS message to addresses, or to the reason why there are none.

use super::answer::{Failure, Family, Found};
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{DnsResponse, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData};
use std::net::IpAddr;
use std::time::Duration;

/// What servers say to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub found: Found,
    /// How long it holds. `None` if nobody says so.
    pub ttl: Option<Duration>,
}

impl Reply {
    /// A failure that says nothing of the future.
    pub(super) const fn failed(failure: Failure) -> Self {
        Self {
            found: Err(failure),
            ttl: None,
        }
    }

    /// Whether asking another server is of no use.
    pub(super) fn is_final(&self) -> bool {
        match &self.found {
            Ok(_) => true,
            Err(failure) => failure.is_negative(),
        }
    }

    /// What a server's answer to a query for `name` comes to.
    pub(super) fn of(result: Result<DnsResponse, NetError>, name: &Name, family: Family) -> Self {
        match result {
            Ok(response) => Self::read(&response, name, family),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Self::negative(&none),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => Self::failed(failure(code)),
            Err(NetError::Timeout) => Self::failed(Failure::Timeout),
            Err(error) => {
                tracing::debug!("a DNS query for {name} failed: {error}");
                Self::failed(Failure::Failed)
            }
        }
    }

    fn negative(none: &NoRecords) -> Self {
        Self {
            found: Err(match none.response_code {
                ResponseCode::NXDomain => Failure::NoSuchName,
                _ => Failure::NoAddress,
            }),
            ttl: none.negative_ttl.map(seconds),
        }
    }

    /// Follows the aliases (RFC 1034 section 3.6.2) from `name`, and takes the addresses at their end. The whole holds for as
    /// long as each of its parts does.
    fn read(response: &DnsResponse, name: &Name, family: Family) -> Self {
        let mut owner = name;
        let mut ttl = u32::MAX;
        // A record is followed once at most, so that aliases in a circle end.
        for _ in 0..response.answers.len() {
            let alias = response.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(to) if record.name == *owner => Some((&to.0, record.ttl)),
                _ => None,
            });
            let Some((to, holds)) = alias else { break };
            owner = to;
            ttl = ttl.min(holds);
        }
        let mut found = Vec::new();
        for record in response.answers.iter().filter(|record| record.name == *owner) {
            let ip: IpAddr = match (&record.data, family) {
                (RData::A(ip), Family::V4) => ip.0.into(),
                (RData::AAAA(ip), Family::V6) => ip.0.into(),
                _ => continue,
            };
            ttl = ttl.min(record.ttl);
            if !found.contains(&ip) {
                found.push(ip);
            }
        }
        if found.is_empty() {
            let failure = match response.response_code {
                ResponseCode::NXDomain => Failure::NoSuchName,
                _ => Failure::NoAddress,
            };
            return Self {
                found: Err(failure),
                ttl: response.negative_ttl().map(seconds),
            };
        }
        Self {
            found: Ok(found.into()),
            ttl: Some(seconds(ttl)),
        }
    }
}

/// RFC 2181 section 8: a TTL with its highest bit set is 0.
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(if ttl > i32::MAX.unsigned_abs() {
        0
    } else {
        ttl.into()
    })
}

fn failure(code: ResponseCode) -> Failure {
    match code {
        ResponseCode::ServFail => Failure::ServerFailure,
        ResponseCode::Refused => Failure::Refused,
        ResponseCode::FormErr | ResponseCode::NotImp => Failure::NotUnderstood,
        _ => Failure::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::{Message, OpCode, Query};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SOA};
    use hickory_resolver::proto::rr::{Record, RecordType};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A::new(192, 0, 2, last)))
    }

    fn alias(owner: &str, ttl: u32, to: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(to))))
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 2, 3, 4, minimum);
        Record::from_rdata(name("test."), ttl, RData::SOA(soa))
    }

    fn reply(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Reply {
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.response_code = code;
        message.add_query(Query::query(name("a.test."), RecordType::A));
        message.add_answers(answers);
        message.add_authorities(authorities);
        let response = DnsResponse::from_message(message).unwrap();
        // As a server's answer comes out of the library.
        let response = DnsError::from_response(response).map_err(NetError::from);
        Reply::of(response, &name("a.test."), Family::V4)
    }

    fn texts(reply: &Reply) -> Vec<String> {
        reply
            .found
            .as_ref()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn addresses_hold_as_long_as_the_shortest() {
        let answers = vec![a("A.Test.", 60, 1), a("a.test.", 30, 2), a("a.test.", 90, 1)];
        let reply = reply(ResponseCode::NoError, answers, vec![]);
        assert_eq!(texts(&reply), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(reply.ttl, Some(Duration::from_secs(30)));
    }

    #[test]
    fn aliases_are_followed_in_any_order_and_nothing_else_is_taken() {
        let answers = vec![
            a("c.test.", 300, 3),
            alias("b.test.", 20, "c.test."),
            alias("a.test.", 400, "b.test."),
            a("other.test.", 5, 9),
        ];
        let reply = reply(ResponseCode::NoError, answers, vec![]);
        assert_eq!(texts(&reply), ["192.0.2.3"]);
        assert_eq!(reply.ttl, Some(Duration::from_secs(20)));
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let answers = vec![alias("a.test.", 1, "b.test."), alias("b.test.", 1, "a.test.")];
        assert_eq!(
            reply(ResponseCode::NoError, answers, vec![]).found,
            Err(Failure::NoAddress)
        );
    }

    #[test]
    fn that_there_is_none_holds_as_long_as_the_zone_says() {
        let none = reply(ResponseCode::NXDomain, vec![], vec![soa(50, 70)]);
        assert_eq!(none.found, Err(Failure::NoSuchName));
        assert_eq!(none.ttl, Some(Duration::from_secs(50)));
        let none = reply(ResponseCode::NoError, vec![], vec![soa(50, 7)]);
        assert_eq!(none.found, Err(Failure::NoAddress));
        assert_eq!(none.ttl, Some(Duration::from_secs(7)));
        // RFC 2308 section 5: without a SOA nobody says how long.
        assert_eq!(reply(ResponseCode::NXDomain, vec![], vec![]).ttl, None);
        // An alias to a name that is not there, or that has no address.
        let dangling = vec![alias("a.test.", 60, "gone.test.")];
        let none = reply(ResponseCode::NXDomain, dangling.clone(), vec![soa(9, 9)]);
        assert_eq!(none.found, Err(Failure::NoSuchName));
        assert_eq!(none.ttl, Some(Duration::from_secs(9)));
        let none = reply(ResponseCode::NoError, dangling, vec![]);
        assert_eq!((none.found, none.ttl), (Err(Failure::NoAddress), None));
    }

    #[test]
    fn the_other_family_is_no_answer() {
        let six = Record::from_rdata(
            name("a.test."),
            60,
            RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        );
        assert_eq!(
            reply(ResponseCode::NoError, vec![six], vec![]).found,
            Err(Failure::NoAddress)
        );
    }

    #[test]
    fn refusals_are_told_apart() {
        for (code, failure) in [
            (ResponseCode::ServFail, Failure::ServerFailure),
            (ResponseCode::Refused, Failure::Refused),
            (ResponseCode::FormErr, Failure::NotUnderstood),
            (ResponseCode::NotImp, Failure::NotUnderstood),
            (ResponseCode::NotAuth, Failure::Failed),
        ] {
            let reply = reply(code, vec![], vec![]);
            assert_eq!(reply, Reply::failed(failure), "{code}");
            assert!(!reply.is_final());
        }
    }

    #[test]
    fn a_ttl_with_its_highest_bit_set_is_none() {
        let reply = reply(ResponseCode::NoError, vec![a("a.test.", 1 << 31, 1)], vec![]);
        assert_eq!(reply.ttl, Some(Duration::ZERO));
    }
}
