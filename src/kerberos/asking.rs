//! What a client of a realm asks for, and what comes back (RFC 4120 section 5.4).

use super::asked::AskedAt;
use super::crypto::{Etype, Key};
use super::fields::{application, content, field, integer, message, unsigned};
use super::showing::ap_request;
use super::ticket::{Principal, Ticket};
use super::values::{
    Encrypted, encrypted, flags, key, moment, name, plain, sequence, string, tagged, time, words,
};
use crate::wire::der::{self, OCTET_STRING, SEQUENCE};

/// Key usages (section 7.5.1).
const TIMESTAMP: u32 = 1;
const AS_REPLY: u32 = 3;
const BODY: u32 = 6;
const TGS_AUTHENTICATOR: u32 = 7;
const TGS_REPLY: u32 = 8;

/// Kinds of pre-authentication data (section 7.5.2).
const PA_TGS_REQ: u32 = 1;
const PA_ENC_TIMESTAMP: u32 = 2;

/// The domain may write names as it likes (RFC 6806 section 8).
const CANONICALIZE: u8 = 1;

/// Why an answer brings no ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoTicket {
    /// It cannot be read, or is not the answer to what was asked.
    Broken(&'static str),
    /// The key distribution centre refuses, with this code and these words (section 7.5.9).
    Refused(i64, String),
    /// The service is one of this realm's.
    Elsewhere(String),
}

/// Asks for the first ticket of somebody whose key this is (AS-REQ).
pub(crate) fn as_request(client: &Principal, own: &Key, asked: AskedAt) -> Option<Vec<u8>> {
    let (seconds, micros) = asked.now;
    let stamp = sequence(&[tagged(0, &moment(seconds)?), tagged(1, &unsigned(micros))]);
    let stamp = encrypted(own, TIMESTAMP, &stamp)?;
    let service = Principal::granting(&client.realm, &client.realm);
    let mut fields = vec![tagged(0, &flags(0)), tagged(1, &name(client))];
    // As long as the centre gives.
    let until = seconds.checked_add(86_400)?;
    fields.extend(wanted(&service, until, &[own.etype()], asked)?);
    Some(request(
        10,
        &pa_data(PA_ENC_TIMESTAMP, &stamp),
        &sequence(&fields),
    ))
}

/// Reads the answer to that.
pub(crate) fn as_reply(
    bytes: &[u8],
    client: &Principal,
    own: &Key,
    asked: AskedAt,
) -> Result<Ticket, NoTicket> {
    let service = Principal::granting(&client.realm, &client.realm);
    reply(bytes, (11, AS_REPLY), own, (client, &service), asked)
}

/// Asks for a ticket for a service (TGS-REQ).
pub(crate) fn tgs_request(first: &Ticket, service: &Principal, asked: AskedAt) -> Option<Vec<u8>> {
    let mut fields = vec![tagged(0, &flags(CANONICALIZE))];
    fields.extend(wanted(service, first.end, &Etype::ALL, asked)?);
    let body = sequence(&fields);
    let sum = first.key.checksum(BODY, &[&body])?;
    let sum = (first.key.etype().checksum_number(), &*sum);
    let shown = ap_request(first, TGS_AUTHENTICATOR, sum, asked)?;
    Some(request(12, &pa_data(PA_TGS_REQ, &shown), &body))
}

/// Reads the answer to that.
pub(crate) fn tgs_reply(
    bytes: &[u8],
    first: &Ticket,
    service: &Principal,
    asked: AskedAt,
) -> Result<Ticket, NoTicket> {
    reply(
        bytes,
        (13, TGS_REPLY),
        &first.key,
        (&first.client, service),
        asked,
    )
}

fn reply(
    bytes: &[u8],
    (kind, usage): (u8, u32),
    key_of: &Key,
    (client, server): (&Principal, &Principal),
    asked: AskedAt,
) -> Result<Ticket, NoTicket> {
    const BROKEN: NoTicket = NoTicket::Broken("its answer cannot be read");
    if let Some(error) = message(bytes, 30) {
        return Err(NoTicket::Refused(
            integer(error, 6).ok_or(BROKEN)?,
            words(error, 11),
        ));
    }
    let answer = message(bytes, kind).ok_or(BROKEN)?;
    let part = Encrypted::read(answer, 6).ok_or(BROKEN)?;
    if Etype::from_number(part.etype) != Some(key_of.etype()) {
        return Err(NoTicket::Broken("its answer is encrypted by another type of key"));
    }
    let decrypted = key_of.decrypt(usage, part.cipher);
    let decrypted = decrypted.ok_or(NoTicket::Broken(
        "its answer does not decrypt: another key, or a changed answer",
    ))?;
    // Some write the number of the other one (section 5.4.2).
    let part = message(&decrypted, 25)
        .or_else(|| message(&decrypted, 26))
        .ok_or(BROKEN)?;
    if integer(part, 2) != Some(asked.nonce.into()) {
        return Err(NoTicket::Broken("it answers something else"));
    }
    // The domain sends whom it does not know to another realm.
    if let Some(realm) = other_realm(part).filter(|_| !server.grants()) {
        return Err(NoTicket::Elsewhere(realm));
    }
    let key = key(part, 0).ok_or(BROKEN)?;
    let ticket = field(answer, 5)
        .filter(|ticket| ticket.tag == application(1))
        .ok_or(BROKEN)?;
    Ok(Ticket {
        client: client.clone(),
        server: server.clone(),
        whole: ticket.whole.to_vec(),
        key: key
            .map_err(|_| NoTicket::Broken("the ticket's key is of a type that is not accepted any more"))?,
        end: time(part, 7).ok_or(BROKEN)?,
    })
}

/// The realm whose tickets a ticket is for, by the name that the domain gave it (EncKDCRepPart, section 5.4.2); `None` if it is
/// for something else, or not named.
fn other_realm(part: &[u8]) -> Option<String> {
    let parts = content(content(part, 10, SEQUENCE)?, 1, SEQUENCE)?;
    let parts = der::each(parts).map(|part| plain(part.content)).collect();
    let named = Principal {
        kind: 0,
        parts,
        realm: String::new(),
    };
    named
        .grants()
        .then(|| named.parts.into_iter().nth(1).unwrap_or_default())
}

/// What is wanted, of KDC-REQ-BODY.
fn wanted(service: &Principal, until: i64, etypes: &[Etype], asked: AskedAt) -> Option<[Vec<u8>; 5]> {
    let etypes: Vec<_> = etypes
        .iter()
        .map(|etype| unsigned(etype.number().into()))
        .collect();
    Some([
        tagged(2, &string(&service.realm)),
        tagged(3, &name(service)),
        tagged(5, &moment(until)?),
        tagged(7, &unsigned(asked.nonce)),
        tagged(8, &sequence(&etypes)),
    ])
}

fn request(kind: u8, padata: &[u8], body: &[u8]) -> Vec<u8> {
    let fields = sequence(&[
        tagged(1, &unsigned(5)),
        tagged(2, &unsigned(kind.into())),
        tagged(3, &sequence(&[padata.to_vec()])),
        tagged(4, body),
    ]);
    der::value(application(kind), &fields)
}

fn pa_data(kind: u32, value: &[u8]) -> Vec<u8> {
    sequence(&[
        tagged(1, &unsigned(kind)),
        tagged(2, &der::value(OCTET_STRING, value)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_910_400;

    fn asked() -> AskedAt {
        AskedAt {
            now: (NOW, 17),
            nonce: 99,
        }
    }

    fn made_key(etype: u8, byte: u8) -> Key {
        let etype = Etype::from_number(etype.into()).unwrap();
        let length = match etype {
            Etype::Aes256Sha1 | Etype::Aes256Sha384 => 32,
            Etype::Aes128Sha1 | Etype::Aes128Sha256 => 16,
        };
        Key::new(etype, &vec![byte; length]).unwrap()
    }

    fn ada() -> Principal {
        Principal::parse("ada@CORP.EXAMPLE").unwrap()
    }

    /// The first ticket of hers.
    fn first() -> Ticket {
        Ticket {
            client: ada(),
            server: Principal::granting("CORP.EXAMPLE", "CORP.EXAMPLE"),
            key: made_key(18, 7),
            end: NOW + 3600,
            whole: Vec::new(),
        }
    }

    fn answer(kind: u8, own: &Key, usage: u32, nonce: u32, server: Option<&Principal>) -> Vec<u8> {
        let session = sequence(&[
            tagged(0, &unsigned(18)),
            tagged(1, &der::value(OCTET_STRING, &[7; 32])),
        ]);
        let mut part = vec![
            tagged(0, &session),
            tagged(2, &unsigned(nonce)),
            tagged(7, &moment(NOW + 600).unwrap()),
        ];
        part.extend(server.map(|server| tagged(10, &name(server))));
        let part = encrypted(own, usage, &der::value(application(25), &sequence(&part))).unwrap();
        let ticket = der::value(application(1), b"of the service");
        let fields = [tagged(5, &ticket), tagged(6, &part)];
        der::value(application(kind), &sequence(&fields))
    }

    #[test]
    fn answers_bring_tickets_if_they_are_to_what_was_asked() {
        let own = made_key(18, 5);
        let of_as = |bytes: &[u8]| as_reply(bytes, &ada(), &own, asked());
        let found = of_as(&answer(11, &own, AS_REPLY, 99, None)).unwrap();
        assert_eq!((found.end, found.key), (NOW + 600, made_key(18, 7)));
        assert!(found.server.grants());
        for (bytes, wanted) in [
            (answer(11, &own, AS_REPLY, 98, None), "it answers something else"),
            (
                answer(11, &made_key(18, 6), AS_REPLY, 99, None),
                "does not decrypt",
            ),
            (
                answer(11, &made_key(17, 5), AS_REPLY, 99, None),
                "another type of key",
            ),
            (answer(13, &own, AS_REPLY, 99, None), "cannot be read"),
            (Vec::new(), "cannot be read"),
        ] {
            match of_as(&bytes) {
                Err(NoTicket::Broken(text)) => assert!(text.contains(wanted), "{text}"),
                other => panic!("{other:?}"),
            }
        }
        let error = sequence(&[tagged(6, &unsigned(24)), tagged(11, &string("no\nsuch"))]);
        let error = der::value(application(30), &error);
        assert_eq!(of_as(&error).unwrap_err(), NoTicket::Refused(24, "nosuch".into()));
    }

    #[test]
    fn a_ticket_for_another_realm_is_not_taken_for_the_services() {
        let (first, service) = (first(), Principal::http("proxy.other.example", "CORP.EXAMPLE"));
        let read = |named: Option<&Principal>, server: &Principal| {
            let bytes = answer(13, &first.key, TGS_REPLY, 99, named);
            tgs_reply(&bytes, &first, server, asked())
        };
        for named in [None, Some(&service)] {
            let ticket = read(named, &service).unwrap();
            assert!(ticket.whole.ends_with(b"of the service"));
            assert!(ticket.server.is(&service) && ticket.client.is(&ada()));
        }
        let other = Principal::granting("OTHER.EXAMPLE", "CORP.EXAMPLE");
        assert_eq!(
            read(Some(&other), &service).unwrap_err(),
            NoTicket::Elsewhere("OTHER.EXAMPLE".into())
        );
        // Unless that was asked for.
        assert!(read(Some(&other), &other).is_ok());
    }

    #[test]
    fn no_cut_or_changed_answer_brings_a_ticket_or_panics() {
        let own = made_key(18, 5);
        let whole = answer(11, &own, AS_REPLY, 99, Some(&first().server));
        for end in 0..whole.len() {
            assert!(as_reply(&whole[..end], &ada(), &own, asked()).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                let _ = as_reply(&bad, &ada(), &own, asked());
            }
        }
    }
}
