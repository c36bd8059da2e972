//! What version 2 may add to the addresses: values, each with a type and a length (section 2.2).

use super::crc32c::crc32c;

/// What a header tells of a client beside its address. Nobody has checked it: it is as good as its sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The protocol that was agreed on by ALPN.
    pub alpn: Option<String>,
    /// The name that the client asked for, by SNI as a rule.
    pub authority: Option<String>,
    /// What the sender calls the connection, in hexadecimal digits unless it is text.
    pub unique_id: Option<String>,
    /// The namespace of the sender's.
    pub netns: Option<String>,
    /// TLS between the client and the sender.
    pub tls: Option<ToldTls>,
}

/// TLS between a client and the sender of a header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToldTls {
    /// Its version.
    pub version: Option<String>,
    /// Its cipher suite.
    pub cipher: Option<String>,
    /// The common name in the client's certificate.
    pub common_name: Option<String>,
    /// The client has shown a certificate that the sender has verified.
    pub is_verified: bool,
}

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const TLS: u8 = 0x20;
const TLS_VERSION: u8 = 0x21;
const TLS_COMMON_NAME: u8 = 0x22;
const TLS_CIPHER: u8 = 0x23;
const NETNS: u8 = 0x30;

/// In the first byte of a value about TLS: the client has shown a certificate, on this connection or in its session.
const SHOWN: u8 = 0x02 | 0x04;

impl Told {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the values in `rest`, with which the header `whole` ends.
pub(super) fn read(rest: &[u8], whole: &[u8]) -> Result<Told, &'static str> {
    let mut told = Told::default();
    let mut values = Values(rest);
    while let Some((kind, value)) = values.next()? {
        match kind {
            ALPN => told.alpn = Some(text(value)),
            AUTHORITY => told.authority = Some(text(value)),
            UNIQUE_ID if value.len() > 128 => return Err("the name of the connection is too long"),
            UNIQUE_ID => told.unique_id = Some(name(value)),
            NETNS => told.netns = Some(text(value)),
            TLS => told.tls = Some(tls(value)?),
            CRC32C => check(value, values.0.len(), whole)?,
            // Whatever a sender may add in years to come.
            _ => {}
        }
    }
    Ok(told)
}

/// Values that are still to be read.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, &'static str> {
        const CUT: &str = "a value is longer than the header";
        if self.0.is_empty() {
            return Ok(None);
        }
        let (&[kind, high, low], rest) = self.0.split_first_chunk::<3>().ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(Some((kind, value)))
    }
}

/// Holds the header to its checksum, behind which there are `left` bytes. It is counted with zeros in its own place.
fn check(value: &[u8], left: usize, whole: &[u8]) -> Result<(), &'static str> {
    let sum: [u8; 4] = value.try_into().map_err(|_| "the checksum has not four bytes")?;
    let (before, behind) = whole.split_at(whole.len().saturating_sub(left));
    let before = before
        .get(..before.len().saturating_sub(sum.len()))
        .unwrap_or_default();
    match crc32c(&[before, &[0; 4], behind]) == u32::from_be_bytes(sum) {
        true => Ok(()),
        false => Err("the checksum is wrong"),
    }
}

fn tls(value: &[u8]) -> Result<ToldTls, &'static str> {
    let (&[client, a, b, c, d], rest) = value
        .split_first_chunk::<5>()
        .ok_or("what is told of TLS is cut short")?;
    let mut told = ToldTls {
        // Zero for success (section 2.2.6).
        is_verified: client & SHOWN != 0 && [a, b, c, d] == [0; 4],
        ..ToldTls::default()
    };
    let mut values = Values(rest);
    while let Some((kind, value)) = values.next()? {
        match kind {
            TLS_VERSION => told.version = Some(text(value)),
            TLS_CIPHER => told.cipher = Some(text(value)),
            TLS_COMMON_NAME => told.common_name = Some(text(value)),
            _ => {}
        }
    }
    Ok(told)
}

/// The log escapes what no text should have.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// HAProxy sends text, others anything.
fn name(value: &[u8]) -> String {
    if value.iter().all(u8::is_ascii_graphic) {
        return text(value);
    }
    value.iter().map(|byte| format!("{byte:02x}")).collect()
}
