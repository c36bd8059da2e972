//! Just enough of DER to write a certificate whose names are another certificate's bytes.
//!
//! A certificate library that holds names as typed values loses repeated attributes, multi-valued RDNs and
//! string types; verifiers compare issuer names byte for byte, and mimicry wants the subject as it is.

pub(super) use crate::wire::der::{
    BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, UTC_TIME, UTF8_STRING,
    Value, each, expect, join, read, value,
};
use x509_parser::time::ASN1Time;

/// An empty Name (RFC 5280 section 4.1.2.6).
pub(super) const EMPTY_NAME: &[u8] = &[SEQUENCE, 0];

/// A BIT STRING of whole bytes.
pub(super) fn bits(content: &[u8]) -> Vec<u8> {
    join(BIT_STRING, &[&[0], content])
}

/// A named BIT STRING: bit `n` of `flags` is named bit `n`; trailing zero bits are left out, as DER wants.
pub(super) fn named_bits(flags: u16) -> Vec<u8> {
    let [first, second] = flags.reverse_bits().to_be_bytes();
    match (first, second) {
        (0, 0) => value(BIT_STRING, &[0]),
        (first, 0) => value(BIT_STRING, &[first.trailing_zeros() as u8, first]),
        (first, second) => value(BIT_STRING, &[second.trailing_zeros() as u8, first, second]),
    }
}

/// An extension (RFC 5280 section 4.1): `oid` is the content of the object identifier.
pub(super) fn extension(oid: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 1, 0xff] } else { &[] };
    join(
        SEQUENCE,
        &[&value(OID, oid), critical, &value(OCTET_STRING, content)],
    )
}

/// A moment as RFC 5280 section 4.1.2.5 wants it: UTCTime up to 2049, GeneralizedTime from 2050.
/// `None` outside the years 0 to 9999.
pub(super) fn time(unix: i64) -> Option<Vec<u8>> {
    let (year, rest) = calendar(unix)?;
    let [month, day, hour, minute, second] = rest;
    let tail = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    Some(if (1950..2050).contains(&year) {
        value(UTC_TIME, format!("{:02}{tail}", year % 100).as_bytes())
    } else {
        value(GENERALIZED_TIME, format!("{year:04}{tail}").as_bytes())
    })
}

/// A moment as people read it, `2031-02-03 04:05:06 UTC`.
pub(super) fn date(unix: i64) -> String {
    match calendar(unix) {
        Some((year, [month, day, hour, minute, second])) => {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
        }
        None => format!("{unix} s after 1970"),
    }
}

fn calendar(unix: i64) -> Option<(i32, [u8; 5])> {
    let moment = ASN1Time::from_timestamp(unix).ok()?.to_datetime();
    let rest = [
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
    ];
    (0..=9999).contains(&moment.year()).then(|| (moment.year(), rest))
}

/// A DER certificate as PEM (RFC 7468 section 5).
pub fn certificate_pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / 64 + 60);
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Text out of a certificate, made safe for a log line or a page: no control characters, a bounded length.
pub(super) fn clean(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut out: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push_str("...");
    }
    out
}

/// Seconds since 1970 now.
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_bits_drop_trailing_zeros() {
        assert_eq!(named_bits(0), [3, 1, 0]);
        assert_eq!(named_bits(0b1), [3, 2, 7, 0x80]);
        assert_eq!(named_bits(0b101), [3, 2, 5, 0xa0]);
        assert_eq!(named_bits(0b1000_0000), [3, 2, 0, 0x01]);
        assert_eq!(named_bits(0b1_0001_0000), [3, 3, 7, 0x08, 0x80]);
    }

    #[test]
    fn times_change_form_in_2050() {
        assert_eq!(time(0).unwrap(), b"\x17\x0d700101000000Z");
        assert_eq!(time(2_524_607_999).unwrap(), b"\x17\x0d491231235959Z");
        assert_eq!(time(2_524_608_000).unwrap(), b"\x18\x0f20500101000000Z");
        assert_eq!(time(i64::MAX), None);
        assert_eq!(time(i64::MIN), None);
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00 UTC");
    }

    #[test]
    fn text_from_certificates_cannot_forge_log_lines() {
        assert_eq!(clean("CN=a\r\nb\u{1b}[2J"), "CN=a\u{fffd}\u{fffd}b\u{fffd}[2J");
        assert_eq!(clean(&"x".repeat(1000)).len(), 303);
    }
}
