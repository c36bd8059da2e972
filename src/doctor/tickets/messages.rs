//! What a client writes and reads of Kerberos (RFC 4120), of its GSS-API mechanism (RFC 4121) and of SPNEGO (RFC 4178).

use super::ticket::{Principal, Ticket};
use crate::kerberos::{Etype, Key, application, content, context, field, integer, message, unsigned};
use crate::wire::der::{self, BIT_STRING, GENERALIZED_TIME, OCTET_STRING, OID, SEQUENCE};
use jiff::Timestamp;

const GENERAL_STRING: u8 = 0x1b;
/// Contents of object identifiers: 1.3.6.1.5.5.2 and 1.2.840.113554.1.2.2.
const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];
const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];

/// The service of a realm that gives tickets.
const GRANTING: &str = "krbtgt";
/// PA-TGS-REQ.
const TICKET_REQUEST: u32 = 1;
/// The checksum of RFC 4121 section 4.1.1, which is none: flags of the GSS-API.
const GSS_FLAGS: u32 = 0x8003;

/// Key usages (RFC 4120 section 7.5.1).
mod usage {
    pub(super) const REQUEST_BODY: u32 = 6;
    pub(super) const REQUEST_AUTHENTICATOR: u32 = 7;
    pub(super) const REPLY: u32 = 8;
    pub(super) const AUTHENTICATOR: u32 = 11;
}

/// A moment, with microseconds that no other message has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) micros: u32,
}

/// What asks for a ticket, with the number that the answer has to have: a TGS-REQ (section 5.4.1).
pub(super) fn request(granting: &Ticket, server: &Principal, now: Moment, nonce: u32) -> Option<Vec<u8>> {
    let etypes: Vec<_> = Etype::ALL
        .iter()
        .map(|etype| unsigned(etype.number().into()))
        .collect();
    let body = sequence(&[
        // Names as the domain writes them.
        (0, der::value(BIT_STRING, &[0, 0, 1, 0, 0])),
        (2, string(&server.realm)),
        (3, name(server)),
        (5, time(granting.end)?),
        (7, unsigned(nonce)),
        (8, der::value(SEQUENCE, &etypes.concat())),
    ]);
    let sum = granting.key.checksum(usage::REQUEST_BODY, &[&body])?;
    let sum = (granting.key.etype().checksum_number(), &*sum);
    let shown = show(granting, usage::REQUEST_AUTHENTICATOR, sum, now)?;
    let data = sequence(&[
        (1, unsigned(TICKET_REQUEST)),
        (2, der::value(OCTET_STRING, &shown)),
    ]);
    let whole = sequence(&[
        (1, unsigned(5)),
        (2, unsigned(12)),
        (3, der::value(SEQUENCE, &data)),
        (4, body),
    ]);
    Some(der::value(application(12), &whole))
}

/// The ticket in an answer to that; or what the domain says instead.
pub(super) fn reply(
    bytes: &[u8],
    granting: &Ticket,
    server: &Principal,
    nonce: u32,
) -> Result<Ticket, String> {
    const UNREADABLE: &str = "the domain's answer cannot be read";
    if let Some(error) = message(bytes, 30) {
        return Err(match integer(error, 6) {
            Some(7) => format!("the domain knows no service {}", server.parts.join("/")),
            Some(32) => "the ticket of the login has ended: log in again".to_owned(),
            Some(37) => "this machine's clock and the domain's differ too much".to_owned(),
            code => format!("the domain gives no ticket (error {})", code.unwrap_or_default()),
        });
    }
    let read = || {
        let answer = message(bytes, 13)?;
        let ticket = field(answer, 5)?.whole.to_vec();
        let cipher = content(content(answer, 6, SEQUENCE)?, 2, OCTET_STRING)?;
        let plain = granting.key.decrypt(usage::REPLY, cipher)?;
        // Some write the tag of the other answer.
        let part = message(&plain, 26).or_else(|| message(&plain, 25))?;
        let key = content(part, 0, SEQUENCE)?;
        let etype = Etype::from_number(integer(key, 0)?)?;
        let key = Key::new(etype, content(key, 1, OCTET_STRING)?)?;
        (integer(part, 2)? == i64::from(nonce)).then(|| (ticket, key, other_realm(part)))
    };
    let (bytes, key, other) = read().ok_or(UNREADABLE)?;
    // The domain may write names as it likes, and so sends whom it does not know to another realm (RFC 6806 section 8).
    if let Some(realm) = other.filter(|_| server.parts.first().is_none_or(|part| part != GRANTING)) {
        return Err(format!(
            "the proxy belongs to the realm {realm}: write its host in [domain_realm] of krb5.conf, and log in there"
        ));
    }
    Ok(Ticket {
        client: granting.client.clone(),
        server: server.clone(),
        key,
        end: granting.end,
        bytes,
    })
}

/// The realm whose tickets a ticket is for, by the name that the domain gave it (EncKDCRepPart, section 5.4.2); `None` if it is
/// for something else, or not named.
fn other_realm(part: &[u8]) -> Option<String> {
    let parts = content(content(part, 10, SEQUENCE)?, 1, SEQUENCE)?;
    let mut parts = der::each(parts).map(|part| String::from_utf8_lossy(part.content));
    if parts.next()? != GRANTING {
        return None;
    }
    let realm = parts.next().unwrap_or_default();
    Some(realm.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// A token that shows a ticket to an HTTP server or proxy (RFC 4559).
pub(super) fn token(ticket: &Ticket, now: Moment) -> Option<Vec<u8>> {
    // No channel is bound, and nothing is asked for but to be believed.
    let mut flags = vec![16, 0, 0, 0];
    flags.extend([0; 16 + 4]);
    let shown = show(ticket, usage::AUTHENTICATOR, (GSS_FLAGS, &flags), now)?;
    let framed = der::join(application(0), &[&der::value(OID, KERBEROS), &[1, 0], &shown]);
    let offer = sequence(&[
        (0, der::value(SEQUENCE, &der::value(OID, KERBEROS))),
        (2, der::value(OCTET_STRING, &framed)),
    ]);
    let offer = der::value(context(0), &offer);
    Some(der::join(application(0), &[&der::value(OID, SPNEGO), &offer]))
}

/// An AP-REQ (section 5.5.1), with a checksum of this kind.
fn show(ticket: &Ticket, usage: u32, (kind, sum): (u32, &[u8]), now: Moment) -> Option<Vec<u8>> {
    let sum = sequence(&[(0, unsigned(kind)), (1, der::value(OCTET_STRING, sum))]);
    let claims = sequence(&[
        (0, unsigned(5)),
        (1, string(&ticket.client.realm)),
        (2, name(&ticket.client)),
        (3, sum),
        (4, unsigned(now.micros)),
        (5, time(now.seconds)?),
        (7, unsigned(now.micros)),
    ]);
    let claims = ticket.key.encrypt(usage, &der::value(application(2), &claims))?;
    let claims = sequence(&[
        (0, unsigned(ticket.key.etype().number().into())),
        (2, der::value(OCTET_STRING, &claims)),
    ]);
    let whole = sequence(&[
        (0, unsigned(5)),
        (1, unsigned(14)),
        (2, der::value(BIT_STRING, &[0; 5])),
        (3, ticket.bytes.clone()),
        (4, claims),
    ]);
    Some(der::value(application(14), &whole))
}

fn sequence(fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, value)| der::value(context(*n), value))
        .collect();
    der::value(SEQUENCE, &fields.concat())
}

/// PrincipalName (section 5.2.2).
fn name(principal: &Principal) -> Vec<u8> {
    let parts: Vec<_> = principal.parts.iter().map(|part| string(part)).collect();
    sequence(&[
        (0, unsigned(principal.kind)),
        (1, der::value(SEQUENCE, &parts.concat())),
    ])
}

fn string(text: &str) -> Vec<u8> {
    der::value(GENERAL_STRING, text.as_bytes())
}

/// KerberosTime (section 5.2.3).
fn time(seconds: i64) -> Option<Vec<u8>> {
    let at = Timestamp::from_second(seconds).ok()?;
    let text = at.strftime("%Y%m%d%H%M%SZ").to_string();
    Some(der::value(GENERALIZED_TIME, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: u32 = 77;

    fn granting() -> Ticket {
        Ticket {
            client: Principal {
                kind: 1,
                realm: "CORP.EXAMPLE".into(),
                parts: vec!["ada".into()],
            },
            server: krbtgt("CORP.EXAMPLE"),
            key: Key::new(Etype::Aes256Sha1, &[7; 32]).unwrap(),
            end: 4_000_000_000,
            bytes: b"of the login".to_vec(),
        }
    }

    fn krbtgt(realm: &str) -> Principal {
        Principal {
            kind: 2,
            realm: "CORP.EXAMPLE".into(),
            parts: vec!["krbtgt".into(), realm.into()],
        }
    }

    /// An answer that brings a ticket for `server`; without it none is named.
    fn answer(server: Option<&Principal>) -> Vec<u8> {
        let key = sequence(&[(0, unsigned(18)), (1, der::value(OCTET_STRING, &[8; 32]))]);
        let mut part = vec![(0, key), (2, unsigned(NONCE))];
        if let Some(server) = server {
            part.extend([(9, string(&server.realm)), (10, name(server))]);
        }
        let part = der::value(application(26), &sequence(&part));
        let part = granting().key.encrypt(usage::REPLY, &part).unwrap();
        let part = sequence(&[(0, unsigned(18)), (2, der::value(OCTET_STRING, &part))]);
        let ticket = der::value(OCTET_STRING, b"of the proxy");
        der::value(application(13), &sequence(&[(5, ticket), (6, part)]))
    }

    #[test]
    fn a_ticket_for_another_realm_is_not_taken_for_the_proxys() {
        let proxy = Principal::http("proxy.other.example", "CORP.EXAMPLE");
        let read = |bytes: &[u8], server: &Principal| reply(bytes, &granting(), server, NONCE);
        for named in [None, Some(&proxy)] {
            let ticket = read(&answer(named), &proxy).unwrap();
            assert!(ticket.bytes.ends_with(b"of the proxy"));
        }
        let other = krbtgt("OTHER.EXAMPLE");
        let why = read(&answer(Some(&other)), &proxy).unwrap_err();
        assert!(why.contains("belongs to the realm OTHER.EXAMPLE"), "{why}");
        // Unless that was asked for.
        assert!(read(&answer(Some(&other)), &other).is_ok());
    }
}
