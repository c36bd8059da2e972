//! Kerberos messages (RFC 4120 section 5), as far as an application server reads and writes them.

use crate::kerberos::{
    Encrypted, Key, application, content, context, field, integer, key, message, time, unsigned,
};
use crate::wire::der::{self, BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, Value};

const GENERAL_STRING: u8 = 0x1b;
/// Parts of a principal's name; a service has two.
const MAX_COMPONENTS: usize = 8;
/// Entries of authorization data that are looked at, at each level.
const MAX_AUTHORIZATIONS: usize = 32;

const AD_IF_RELEVANT: i64 = 1;
const AD_WIN2K_PAC: i64 = 128;

/// A PrincipalName as people write it: its parts with slashes between.
fn principal(bytes: &[u8], n: u8) -> Option<String> {
    let name = content(bytes, n, SEQUENCE)?;
    let parts = content(name, 1, SEQUENCE)?;
    let parts: Option<Vec<_>> = der::each(parts).take(MAX_COMPONENTS).map(text).collect();
    let name = parts?.join("/");
    (!name.is_empty()).then_some(name)
}

/// A KerberosString; Active Directory writes UTF-8 into it.
fn text(value: Value<'_>) -> Option<&str> {
    let text = std::str::from_utf8(value.content).ok()?;
    (value.tag == GENERAL_STRING && !text.contains(char::is_control)).then_some(text)
}

/// What a client shows: AP-REQ (section 5.5.1), with the ticket in it.
#[derive(Debug)]
pub(super) struct ApReq<'a> {
    /// The client wants the server to show that it is who it is.
    pub(super) mutual: bool,
    /// The ticket is encrypted in the session key of another one.
    pub(super) user_to_user: bool,
    pub(super) ticket: Encrypted<'a>,
    pub(super) authenticator: Encrypted<'a>,
}

impl<'a> ApReq<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let request = message(bytes, 14)?;
        let [_, options, ..] = content(request, 2, BIT_STRING)? else {
            return None;
        };
        let ticket = message(field(request, 3)?.whole, 1)?;
        let versions = [integer(request, 0)?, integer(request, 1)?, integer(ticket, 0)?];
        (versions == [5, 14, 5]).then_some(())?;
        Some(Self {
            user_to_user: options & 0x40 != 0,
            mutual: options & 0x20 != 0,
            ticket: Encrypted::read(ticket, 3)?,
            authenticator: Encrypted::read(request, 4)?,
        })
    }
}

/// What is encrypted in a ticket for the server: EncTicketPart (section 5.3).
#[derive(Debug)]
pub(super) struct TicketPart<'a> {
    /// It is not valid until the key distribution centre says so.
    pub(super) invalid: bool,
    pub(super) key: Result<Key, i64>,
    pub(super) realm: &'a str,
    pub(super) client: String,
    pub(super) start: i64,
    pub(super) end: i64,
    /// The privilege attribute certificate (MS-PAC), unverified.
    pub(super) pac: Option<&'a [u8]>,
}

impl<'a> TicketPart<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let part = message(bytes, 3)?;
        let [_, flags, ..] = content(part, 0, BIT_STRING)? else {
            return None;
        };
        Some(Self {
            invalid: flags & 0x01 != 0,
            key: key(part, 1)?,
            realm: text(field(part, 2)?)?,
            client: principal(part, 3)?,
            start: time(part, 6).or_else(|| time(part, 5))?,
            end: time(part, 7)?,
            pac: content(part, 10, SEQUENCE).and_then(pac),
        })
    }
}

/// The first PAC in authorization data: within AD-IF-RELEVANT (RFC 4120 section 5.2.6.1, MS-PAC 2.10).
fn pac(data: &[u8]) -> Option<&[u8]> {
    of_kind(data, AD_IF_RELEVANT).find_map(|relevant| {
        let (list, _) = der::expect(relevant, SEQUENCE)?;
        of_kind(list.content, AD_WIN2K_PAC).next()
    })
}

/// The contents of the entries of one kind.
fn of_kind(data: &[u8], kind: i64) -> impl Iterator<Item = &[u8]> {
    der::each(data).take(MAX_AUTHORIZATIONS).filter_map(move |entry| {
        (integer(entry.content, 0)? == kind).then_some(())?;
        content(entry.content, 1, OCTET_STRING)
    })
}

/// What the client encrypted in the ticket's key: Authenticator (section 5.5.1).
#[derive(Debug)]
pub(super) struct Authenticator<'a> {
    pub(super) realm: &'a str,
    pub(super) client: String,
    /// Microseconds of the client's time, and the time, as they were written: the answer repeats them.
    cusec: &'a [u8],
    ctime: &'a [u8],
    /// Seconds since 1970.
    pub(super) time: i64,
    pub(super) subkey: Option<Result<Key, i64>>,
    pub(super) sequence: u32,
}

impl<'a> Authenticator<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let part = message(bytes, 2)?;
        (integer(part, 0)? == 5).then_some(())?;
        (0..1_000_000).contains(&integer(part, 4)?).then_some(())?;
        Some(Self {
            realm: text(field(part, 1)?)?,
            client: principal(part, 2)?,
            cusec: field(part, 4)?.whole,
            ctime: field(part, 5)?.whole,
            time: time(part, 5)?,
            // A key that cannot be read is not the same as none.
            subkey: match field(part, 6) {
                Some(_) => Some(key(part, 6)?),
                None => None,
            },
            sequence: integer(part, 7).unwrap_or_default() as u32,
        })
    }

    /// The server's proof that it could decrypt: AP-REP (section 5.5.2), encrypted in the ticket's key. `sequence` is the first number of
    /// what the server signs.
    pub(super) fn reply(&self, ticket: &Key, sequence: u32) -> Option<Vec<u8>> {
        let fields = [
            der::value(context(0), self.ctime),
            der::value(context(1), self.cusec),
            der::value(context(3), &unsigned(sequence)),
        ];
        let part = der::value(application(27), &der::value(SEQUENCE, &fields.concat()));
        let cipher = ticket.encrypt(12, &part)?;
        let encrypted = [
            der::value(context(0), &der::value(INTEGER, &[ticket.etype().number()])),
            der::value(context(2), &der::value(OCTET_STRING, &cipher)),
        ];
        let fields = [
            der::value(context(0), &der::value(INTEGER, &[5])),
            der::value(context(1), &der::value(INTEGER, &[15])),
            der::value(context(2), &der::value(SEQUENCE, &encrypted.concat())),
        ];
        Some(der::value(
            application(15),
            &der::value(SEQUENCE, &fields.concat()),
        ))
    }
}
