//! Kerberos messages as a client of a realm writes and reads them (RFC 4120 section 5.4), and the token that it shows to a
//! service (RFC 4121 section 4.1, RFC 4178 section 4.2.1).

use super::messages::{Encrypted, key, time};
use super::spnego::{KERBEROS, SPNEGO};
use crate::kerberos::{Etype, Key, application, content, context, field, integer, message, unsigned};
use crate::wire::der::{self, BIT_STRING, GENERALIZED_TIME, OCTET_STRING, OID, SEQUENCE};
use jiff::Timestamp;

/// Key usages (RFC 4120 section 7.5.1).
const TIMESTAMP: u32 = 1;
const AS_REPLY: u32 = 3;
const BODY: u32 = 6;
const TGS_AUTHENTICATOR: u32 = 7;
const TGS_REPLY: u32 = 8;
const AUTHENTICATOR: u32 = 11;

/// Kinds of pre-authentication data (section 7.5.2).
const PA_TGS_REQ: u32 = 1;
const PA_ENC_TIMESTAMP: u32 = 2;

/// Kinds of names (section 6.2).
const NT_PRINCIPAL: u32 = 1;
const NT_SRV_INST: u32 = 2;

/// The checksum that GSS-API has in place of one (RFC 4121 section 4.1.1).
const GSS_CHECKSUM: u32 = 0x8003;

/// Somebody in a realm, or a service there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    /// The parts of the name.
    pub(super) parts: Vec<String>,
    pub(super) realm: String,
}

impl Principal {
    /// `ada@CORP.EXAMPLE`, `HTTP/proxy.corp.example@CORP.EXAMPLE`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (name, realm) = text.rsplit_once('@')?;
        let parts: Vec<_> = name.split('/').map(str::to_owned).collect();
        let is_usable = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control() || c == '@');
        (is_usable(realm) && parts.iter().all(|part| is_usable(part))).then(|| Self {
            parts,
            realm: realm.to_owned(),
        })
    }

    fn name(&self) -> Vec<u8> {
        let kind = match self.parts.len() {
            1 => NT_PRINCIPAL,
            _ => NT_SRV_INST,
        };
        let parts: Vec<_> = self.parts.iter().map(|part| string(part)).collect();
        sequence(&[tagged(0, &unsigned(kind)), tagged(1, &sequence(&parts))])
    }
}

/// When something is asked, and what tells its answer from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Seconds since 1970, and microseconds.
    pub(super) now: (i64, u32),
    pub(super) nonce: u32,
}

/// A ticket, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    /// As it came: only who it is for can open it.
    pub(super) whole: Vec<u8>,
    pub(super) key: Key,
    /// When it ends, in seconds since 1970.
    pub(super) end: i64,
}

/// Why an answer brings no ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoTicket {
    /// It cannot be read, or is not the answer to what was asked.
    Broken(&'static str),
    /// The key distribution centre refuses, with this code and these words (section 7.5.9).
    Refused(i64, String),
}

/// Asks for the first ticket of somebody whose key this is (AS-REQ).
pub(super) fn as_request(client: &Principal, own: &Key, asked: Asked) -> Option<Vec<u8>> {
    let (seconds, micro) = asked.now;
    let stamp = sequence(&[tagged(0, &moment(seconds)?), tagged(1, &unsigned(micro))]);
    let stamp = encrypted(own, TIMESTAMP, &stamp)?;
    let service = Principal {
        parts: vec!["krbtgt".to_owned(), client.realm.clone()],
        realm: client.realm.clone(),
    };
    let body = body(Some(client), &service, own.etype(), asked)?;
    Some(request(10, &pa_data(PA_ENC_TIMESTAMP, &stamp), &body))
}

/// Reads the answer to that.
pub(super) fn as_reply(bytes: &[u8], own: &Key, asked: Asked) -> Result<Ticket, NoTicket> {
    reply(bytes, 11, own, AS_REPLY, asked)
}

/// Asks for a ticket for a service (TGS-REQ).
pub(super) fn tgs_request(
    client: &Principal,
    first: &Ticket,
    service: &Principal,
    asked: Asked,
) -> Option<Vec<u8>> {
    let body = body(None, service, first.key.etype(), asked)?;
    let sum = first.key.checksum(BODY, &[&body])?;
    let sum = checksum(first.key.etype().checksum_number(), &sum);
    let shown = ap_request(client, first, TGS_AUTHENTICATOR, &sum, asked)?;
    Some(request(12, &pa_data(PA_TGS_REQ, &shown), &body))
}

/// Reads the answer to that.
pub(super) fn tgs_reply(bytes: &[u8], first: &Ticket, asked: Asked) -> Result<Ticket, NoTicket> {
    reply(bytes, 13, &first.key, TGS_REPLY, asked)
}

/// A token for the service of a ticket: an offer of Kerberos with a new AP-REQ in it. Nothing is asked of the service.
pub(super) fn token(client: &Principal, ticket: &Ticket, asked: Asked) -> Option<Vec<u8>> {
    // No channel is bound, and no flag is set.
    let empty = [&16_u32.to_le_bytes()[..], &[0; 20]].concat();
    let shown = ap_request(
        client,
        ticket,
        AUTHENTICATOR,
        &checksum(GSS_CHECKSUM, &empty),
        asked,
    )?;
    let kerberos = der::value(OID, KERBEROS);
    let framed = der::join(application(0), &[&kerberos, &[1, 0], &shown]);
    let offer = sequence(&[
        tagged(0, &sequence(&[kerberos])),
        tagged(2, &der::value(OCTET_STRING, &framed)),
    ]);
    Some(der::join(
        application(0),
        &[&der::value(OID, SPNEGO), &tagged(0, &offer)],
    ))
}

fn ap_request(client: &Principal, ticket: &Ticket, usage: u32, sum: &[u8], asked: Asked) -> Option<Vec<u8>> {
    let (seconds, micro) = asked.now;
    let authenticator = sequence(&[
        tagged(0, &unsigned(5)),
        tagged(1, &string(&client.realm)),
        tagged(2, &client.name()),
        tagged(3, sum),
        tagged(4, &unsigned(micro)),
        tagged(5, &moment(seconds)?),
        tagged(7, &unsigned(asked.nonce)),
    ]);
    let authenticator = der::value(application(2), &authenticator);
    let request = sequence(&[
        tagged(0, &unsigned(5)),
        tagged(1, &unsigned(14)),
        tagged(2, &flags()),
        tagged(3, &ticket.whole),
        tagged(4, &encrypted(&ticket.key, usage, &authenticator)?),
    ]);
    Some(der::value(application(14), &request))
}

fn reply(bytes: &[u8], kind: u8, key_of: &Key, usage: u32, asked: Asked) -> Result<Ticket, NoTicket> {
    const BROKEN: NoTicket = NoTicket::Broken("its answer cannot be read");
    if let Some(error) = message(bytes, 30) {
        let words = content(error, 11, 0x1b)
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let words = words.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(NoTicket::Refused(integer(error, 6).ok_or(BROKEN)?, words));
    }
    let answer = message(bytes, kind).ok_or(BROKEN)?;
    let part = Encrypted::read(answer, 6).ok_or(BROKEN)?;
    if Etype::from_number(part.etype) != Some(key_of.etype()) {
        return Err(NoTicket::Broken("its answer is encrypted by another type of key"));
    }
    let plain = key_of.decrypt(usage, part.cipher);
    let plain = plain.ok_or(NoTicket::Broken(
        "its answer does not decrypt: another key, or a changed answer",
    ))?;
    // Some write the number of the other one (section 5.4.2).
    let part = message(&plain, 25)
        .or_else(|| message(&plain, 26))
        .ok_or(BROKEN)?;
    if integer(part, 2) != Some(asked.nonce.into()) {
        return Err(NoTicket::Broken("it answers something else"));
    }
    let key = key(part, 0).ok_or(BROKEN)?;
    let ticket = field(answer, 5)
        .filter(|ticket| ticket.tag == application(1))
        .ok_or(BROKEN)?;
    Ok(Ticket {
        whole: ticket.whole.to_vec(),
        key: key
            .map_err(|_| NoTicket::Broken("the ticket's key is of a type that is not accepted any more"))?,
        end: time(part, 7).ok_or(BROKEN)?,
    })
}

/// KDC-REQ-BODY.
fn body(client: Option<&Principal>, service: &Principal, etype: Etype, asked: Asked) -> Option<Vec<u8>> {
    // As long as the centre gives.
    let until = moment(asked.now.0.checked_add(86_400)?)?;
    let mut fields = vec![tagged(0, &flags())];
    fields.extend(client.map(|client| tagged(1, &client.name())));
    fields.extend([
        tagged(2, &string(&service.realm)),
        tagged(3, &service.name()),
        tagged(5, &until),
        tagged(7, &unsigned(asked.nonce)),
        tagged(8, &sequence(&[unsigned(etype.number().into())])),
    ]);
    Some(sequence(&fields))
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

fn checksum(kind: u32, sum: &[u8]) -> Vec<u8> {
    sequence(&[
        tagged(0, &unsigned(kind)),
        tagged(1, &der::value(OCTET_STRING, sum)),
    ])
}

/// EncryptedData.
fn encrypted(key: &Key, usage: u32, plain: &[u8]) -> Option<Vec<u8>> {
    let cipher = key.encrypt(usage, plain)?;
    Some(sequence(&[
        tagged(0, &unsigned(key.etype().number().into())),
        tagged(2, &der::value(OCTET_STRING, &cipher)),
    ]))
}

/// Thirty-two flags, none of them set.
fn flags() -> Vec<u8> {
    der::value(BIT_STRING, &[0; 5])
}

fn moment(seconds: i64) -> Option<Vec<u8>> {
    let time = Timestamp::from_second(seconds).ok()?;
    let text = time.strftime("%Y%m%d%H%M%SZ").to_string();
    Some(der::value(GENERALIZED_TIME, text.as_bytes()))
}

fn string(text: &str) -> Vec<u8> {
    der::value(0x1b, text.as_bytes())
}

fn tagged(n: u8, value: &[u8]) -> Vec<u8> {
    der::value(context(n), value)
}

fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    der::value(SEQUENCE, &fields.concat())
}

#[cfg(test)]
mod tests {
    use super::super::testing::making::{key as made_key, server};
    use super::*;
    use crate::admit::negotiate::Accepted;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: i64 = super::super::testing::making::NOW;

    fn asked() -> Asked {
        Asked {
            now: (NOW, 17),
            nonce: 99,
        }
    }

    fn ada() -> Principal {
        Principal::parse("ada@CORP.EXAMPLE").unwrap()
    }

    /// A ticket for the service of [`server`], of which ada has the session key.
    fn ticket() -> Ticket {
        let made = super::super::testing::making::Made::default();
        let session = made.session.clone();
        let request = made.ap_req();
        let ticket = field(message(&request, 14).unwrap(), 3).unwrap().whole.to_vec();
        Ticket {
            whole: ticket,
            key: session,
            end: NOW + 3600,
        }
    }

    #[test]
    fn names_have_parts_and_a_realm() {
        let name = Principal::parse("HTTP/a.example@R").unwrap();
        assert_eq!(
            (&name.parts[..], &*name.realm),
            (&["HTTP".into(), "a.example".into()][..], "R")
        );
        for text in ["", "ada", "@R", "ada@", "a//b@R", "a\n@R"] {
            assert_eq!(Principal::parse(text), None, "{text:?}");
        }
    }

    /// What is made here is what the other half of this room takes.
    #[test]
    fn a_token_proves_its_client_once() {
        let server = server(&[(18, 1, 3)]);
        let token = token(&ada(), &ticket(), asked()).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        match server.accept(&token, None, now) {
            Ok(Accepted::Proven(proven)) => {
                assert_eq!((&*proven.principal, &*proven.realm), ("ada", "CORP.EXAMPLE"));
            }
            other => panic!("{other:?}"),
        }
        assert!(server.accept(&token, None, now).is_err(), "a replay");
        // Not with another session key.
        let other = Ticket {
            key: made_key(18, 9),
            ..ticket()
        };
        let token = super::token(&ada(), &other, asked()).unwrap();
        assert!(server.accept(&token, None, now).is_err());
    }

    fn answer(kind: u8, own: &Key, usage: u32, nonce: u32) -> Vec<u8> {
        let session = sequence(&[
            tagged(0, &unsigned(18)),
            tagged(1, &der::value(OCTET_STRING, &[7; 32])),
        ]);
        let part = sequence(&[
            tagged(0, &session),
            tagged(2, &unsigned(nonce)),
            tagged(7, &moment(NOW + 600).unwrap()),
        ]);
        let part = encrypted(own, usage, &der::value(application(25), &part)).unwrap();
        let fields = [tagged(5, &ticket().whole), tagged(6, &part)];
        der::value(application(kind), &sequence(&fields))
    }

    #[test]
    fn answers_bring_tickets_if_they_are_to_what_was_asked() {
        let own = made_key(18, 5);
        let found = as_reply(&answer(11, &own, AS_REPLY, 99), &own, asked()).unwrap();
        assert_eq!((found.end, found.key), (NOW + 600, made_key(18, 7)));
        let first = ticket();
        assert!(tgs_reply(&answer(13, &first.key, TGS_REPLY, 99), &first, asked()).is_ok());
        for (bytes, wanted) in [
            (answer(11, &own, AS_REPLY, 98), "it answers something else"),
            (answer(11, &made_key(18, 6), AS_REPLY, 99), "does not decrypt"),
            (answer(11, &made_key(17, 5), AS_REPLY, 99), "another type of key"),
            (answer(13, &own, AS_REPLY, 99), "cannot be read"),
            (Vec::new(), "cannot be read"),
        ] {
            match as_reply(&bytes, &own, asked()) {
                Err(NoTicket::Broken(text)) => assert!(text.contains(wanted), "{text}"),
                other => panic!("{other:?}"),
            }
        }
        let error = sequence(&[tagged(6, &unsigned(24)), tagged(11, &string("no\nsuch"))]);
        let error = der::value(application(30), &error);
        assert_eq!(
            as_reply(&error, &own, asked()).unwrap_err(),
            NoTicket::Refused(24, "nosuch".into())
        );
    }

    #[test]
    fn no_cut_or_changed_answer_brings_a_ticket_or_panics() {
        let own = made_key(18, 5);
        let whole = answer(11, &own, AS_REPLY, 99);
        for end in 0..whole.len() {
            assert!(as_reply(&whole[..end], &own, asked()).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            for bit in [0, 3, 7] {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                let _ = as_reply(&bad, &own, asked());
            }
        }
    }
}
