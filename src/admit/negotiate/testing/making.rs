//! Tickets and tokens as a key distribution centre and a client make them, each with what a test wants wrong in it.

use super::super::{Keytab, Negotiate};
use super::{entry, file};
use crate::kerberos::{Etype, Key, application, context};
use crate::wire::der::{self, BIT_STRING, GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE};
use jiff::Timestamp;
use std::sync::Arc;

pub(in crate::admit) const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
pub(in crate::admit) const KERBEROS_CUT: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];
pub(in crate::admit) const NTLM: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a];
pub(in crate::admit) const NEGOEX: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x1e];

/// 2026-11-29 00:00:00 UTC.
pub(in crate::admit) const NOW: i64 = 1_795_910_400;

/// A ticket with its authenticator; what is in `Default` is accepted at [`NOW`].
pub(in crate::admit) struct Made {
    pub(in crate::admit) kvno: Option<u32>,
    /// The server's key.
    pub(in crate::admit) key: Key,
    pub(in crate::admit) ticket_etype: u8,
    pub(in crate::admit) session: Key,
    /// The session key's type as the ticket has it.
    pub(in crate::admit) session_etype: u8,
    pub(in crate::admit) subkey: Option<Key>,
    pub(in crate::admit) ticket_flags: u8,
    pub(in crate::admit) options: u8,
    pub(in crate::admit) start: i64,
    pub(in crate::admit) end: i64,
    pub(in crate::admit) client_time: i64,
    pub(in crate::admit) client: &'static str,
    pub(in crate::admit) claims: &'static str,
    pub(in crate::admit) realm: &'static str,
    pub(in crate::admit) claims_realm: &'static str,
    pub(in crate::admit) cusec: u32,
    pub(in crate::admit) pac: Option<Vec<u8>>,
}

pub(in crate::admit) fn key(etype: u8, byte: u8) -> Key {
    let etype = Etype::from_number(etype.into()).unwrap();
    Key::new(etype, &vec![byte; etype.key_length()]).unwrap()
}

impl Default for Made {
    fn default() -> Self {
        Self {
            kvno: Some(3),
            key: key(18, 1),
            ticket_etype: 18,
            session: key(18, 2),
            session_etype: 18,
            subkey: Some(key(18, 3)),
            ticket_flags: 0,
            options: 0x20,
            start: NOW - 3600,
            end: NOW + 3600,
            client_time: NOW,
            client: "ada",
            claims: "ada",
            realm: "CORP.EXAMPLE",
            claims_realm: "CORP.EXAMPLE",
            cusec: 7,
            pac: None,
        }
    }
}

/// A keytab with a key of each type and number, its bytes the number of the key.
pub(in crate::admit) fn server(keys: &[(u8, u8, u32)]) -> Negotiate {
    let entries: Vec<_> = keys
        .iter()
        .map(|&(etype, byte, kvno)| {
            let length = Etype::from_number(etype.into()).unwrap().key_length();
            entry(
                &["HTTP", "proxy"],
                kvno as u8,
                etype.into(),
                &vec![byte; length],
                Some(kvno),
            )
        })
        .collect();
    Negotiate::new(Keytab::read(&file(&entries)).unwrap().into(), Arc::default())
}

fn field(n: u8, value: &[u8]) -> Vec<u8> {
    der::value(context(n), value)
}

fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    der::value(SEQUENCE, &fields.concat())
}

fn number(n: u32) -> Vec<u8> {
    der::value(INTEGER, &[&[0], &n.to_be_bytes()[..]].concat())
}

fn string(text: &str) -> Vec<u8> {
    der::value(0x1b, text.as_bytes())
}

fn name(text: &str) -> Vec<u8> {
    let parts: Vec<_> = text.split('/').map(string).collect();
    sequence(&[field(0, &number(1)), field(1, &sequence(&parts))])
}

fn time(seconds: i64) -> Vec<u8> {
    let text = Timestamp::from_second(seconds)
        .unwrap()
        .strftime("%Y%m%d%H%M%SZ")
        .to_string();
    der::value(GENERALIZED_TIME, text.as_bytes())
}

fn encryption_key(etype: u8, key: &Key) -> Vec<u8> {
    sequence(&[
        field(0, &number(etype.into())),
        field(1, &der::value(OCTET_STRING, key.bytes())),
    ])
}

fn encrypted(etype: u8, kvno: Option<u32>, cipher: &[u8]) -> Vec<u8> {
    let mut fields = vec![field(0, &number(etype.into()))];
    fields.extend(kvno.map(|kvno| field(1, &number(kvno))));
    fields.push(field(2, &der::value(OCTET_STRING, cipher)));
    sequence(&fields)
}

impl Made {
    /// The AP-REQ.
    pub(in crate::admit) fn ap_req(&self) -> Vec<u8> {
        let flags = der::value(BIT_STRING, &[0, self.ticket_flags, 0, 0, 0]);
        let mut part = vec![
            field(0, &flags),
            field(1, &encryption_key(self.session_etype, &self.session)),
            field(2, &string(self.realm)),
            field(3, &name(self.client)),
            field(
                4,
                &sequence(&[field(0, &number(0)), field(1, &der::value(OCTET_STRING, b""))]),
            ),
            field(5, &time(self.start)),
            field(7, &time(self.end)),
        ];
        if let Some(pac) = &self.pac {
            let entry = |kind, data: &[u8]| {
                let entry = sequence(&[field(0, &number(kind)), field(1, &der::value(OCTET_STRING, data))]);
                sequence(&[entry])
            };
            part.push(field(10, &entry(1, &entry(128, pac))));
        }
        let part = der::value(application(3), &sequence(&part));
        let part = self.key.encrypt(2, &part).unwrap();
        let ticket = sequence(&[
            field(0, &number(5)),
            field(1, &string("CORP.EXAMPLE")),
            field(2, &name("HTTP/proxy.corp.example")),
            field(3, &encrypted(self.ticket_etype, self.kvno, &part)),
        ]);
        let mut claims = vec![
            field(0, &number(5)),
            field(1, &string(self.claims_realm)),
            field(2, &name(self.claims)),
            field(4, &number(self.cusec)),
            field(5, &time(self.client_time)),
        ];
        claims.extend(
            self.subkey
                .as_ref()
                .map(|key| field(6, &encryption_key(key.etype().number(), key))),
        );
        claims.push(field(7, &number(1)));
        let claims = der::value(application(2), &sequence(&claims));
        let claims = self.session.encrypt(11, &claims).unwrap();
        let request = sequence(&[
            field(0, &number(5)),
            field(1, &number(14)),
            field(2, &der::value(BIT_STRING, &[0, self.options, 0, 0, 0])),
            field(3, &der::value(application(1), &ticket)),
            field(4, &encrypted(self.session.etype().number(), None, &claims)),
        ]);
        der::value(application(14), &request)
    }
}

/// A token of the Kerberos mechanism.
pub(in crate::admit) fn framed(oid: &[u8], ap_req: &[u8]) -> Vec<u8> {
    der::join(application(0), &[&der::value(der::OID, oid), &[1, 0], ap_req])
}

/// MechTypeList.
pub(in crate::admit) fn list(mechanisms: &[&[u8]]) -> Vec<u8> {
    let oids: Vec<_> = mechanisms.iter().map(|oid| der::value(der::OID, oid)).collect();
    sequence(&oids)
}

/// NegTokenInit.
pub(in crate::admit) fn offer(mechanisms: &[&[u8]], token: Option<&[u8]>) -> Vec<u8> {
    let mut fields = vec![field(0, &list(mechanisms))];
    fields.extend(token.map(|token| field(2, &der::value(OCTET_STRING, token))));
    let init = field(0, &sequence(&fields));
    der::join(
        application(0),
        &[&der::value(der::OID, &[0x2b, 6, 1, 5, 5, 2]), &init],
    )
}

/// NegTokenResp of a client.
pub(in crate::admit) fn response(state: Option<u8>, token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let mut fields = Vec::new();
    fields.extend(state.map(|state| field(0, &[0x0a, 1, state])));
    fields.extend(token.map(|token| field(2, &der::value(OCTET_STRING, token))));
    fields.extend(mic.map(|mic| field(3, &der::value(OCTET_STRING, mic))));
    field(1, &sequence(&fields))
}

/// The client's signature (RFC 4121 section 4.2.6.1).
pub(in crate::admit) fn client_mic(key: &Key, message: &[u8]) -> Vec<u8> {
    let mut token = vec![4, 4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1];
    let sum = key.checksum(25, &[message, &token]).unwrap();
    token.extend(sum);
    token
}
