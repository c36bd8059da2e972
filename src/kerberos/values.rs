//! Values that messages of Kerberos share (RFC 4120 section 5.2), as they are read and written.

use super::crypto::{Etype, Key};
use super::fields::{content, context, integer, unsigned};
use super::ticket::Principal;
use crate::wire::der::{self, BIT_STRING, GENERALIZED_TIME, OCTET_STRING, SEQUENCE};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const GENERAL_STRING: u8 = 0x1b;

/// A KerberosTime (section 5.2.3) in seconds since 1970.
pub(crate) fn time(bytes: &[u8], n: u8) -> Option<i64> {
    let text: &[u8; 15] = content(bytes, n, GENERALIZED_TIME)?.try_into().ok()?;
    let (digits, b"Z") = text.split_at(14) else {
        return None;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = digits.get(from..to)?;
        Some(
            digits
                .iter()
                .fold(0_i16, |sum, digit| sum * 10 + i16::from(digit - b'0')),
        )
    };
    let two = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    let time = DateTime::new(number(0, 4)?, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?, 0).ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

/// EncryptedData (section 5.2.9).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encrypted<'a> {
    pub(crate) etype: i64,
    pub(crate) kvno: Option<u32>,
    pub(crate) cipher: &'a [u8],
}

impl<'a> Encrypted<'a> {
    pub(crate) fn read(bytes: &'a [u8], n: u8) -> Option<Self> {
        let data = content(bytes, n, SEQUENCE)?;
        Some(Self {
            etype: integer(data, 0)?,
            // Some write the 32 bits as a negative number.
            kvno: integer(data, 1).map(|kvno| kvno as u32),
            cipher: content(data, 2, OCTET_STRING)?,
        })
    }
}

/// An EncryptionKey; `Err` has its type if that is not an AES one.
pub(crate) fn key(bytes: &[u8], n: u8) -> Option<Result<Key, i64>> {
    let data = content(bytes, n, SEQUENCE)?;
    let number = integer(data, 0)?;
    match Etype::from_number(number) {
        Some(etype) => Key::new(etype, content(data, 1, OCTET_STRING)?).map(Ok),
        None => Some(Err(number)),
    }
}

/// EncryptedData of what is `plain`.
pub(super) fn encrypted(key: &Key, usage: u32, plain: &[u8]) -> Option<Vec<u8>> {
    let cipher = key.encrypt(usage, plain)?;
    Some(sequence(&[
        tagged(0, &unsigned(key.etype().number().into())),
        tagged(2, &der::value(OCTET_STRING, &cipher)),
    ]))
}

/// PrincipalName (section 5.2.2).
pub(super) fn name(of: &Principal) -> Vec<u8> {
    let parts: Vec<_> = of.parts.iter().map(|part| string(part)).collect();
    sequence(&[tagged(0, &unsigned(of.kind)), tagged(1, &sequence(&parts))])
}

/// Thirty-two flags, with these bits of the second byte.
pub(super) fn flags(second: u8) -> Vec<u8> {
    der::value(BIT_STRING, &[0, 0, second, 0, 0])
}

/// A KerberosTime.
pub(super) fn moment(seconds: i64) -> Option<Vec<u8>> {
    let time = Timestamp::from_second(seconds).ok()?;
    let text = time.strftime("%Y%m%d%H%M%SZ").to_string();
    Some(der::value(GENERALIZED_TIME, text.as_bytes()))
}

/// What a message says in words, without control characters; empty if it says nothing.
pub(super) fn words(bytes: &[u8], n: u8) -> String {
    content(bytes, n, GENERAL_STRING).map_or_else(String::new, plain)
}

/// Text of somebody else's for people.
pub(super) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

pub(super) fn string(text: &str) -> Vec<u8> {
    der::value(GENERAL_STRING, text.as_bytes())
}

pub(super) fn tagged(n: u8, value: &[u8]) -> Vec<u8> {
    der::value(context(n), value)
}

pub(super) fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    der::value(SEQUENCE, &fields.concat())
}
