//! Just enough of DER to write a certificate whose names are another certificate's bytes.
//!
//! A certificate library that holds names as typed values loses repeated attributes, multi-valued RDNs and
//! string types; verifiers compare issuer names byte for byte, and mimicry wants the subject as it is.

use x509_parser::time::ASN1Time;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An empty Name (RFC 5280 section 4.1.2.6).
pub(super) const EMPTY_NAME: &[u8] = &[SEQUENCE, 0];

/// One value: tag, length in the shortest form, content.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    join(tag, &[content])
}

/// One value whose content is the concatenation of `parts`.
pub(super) fn join(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    if let Ok(short @ 0..=0x7f) = u8::try_from(length) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        // At most eight length bytes: the cast cannot lose anything.
        out.push(0x80 | (bytes.len() - zeros) as u8);
        out.extend_from_slice(&bytes[zeros..]);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// A value that has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

/// The value that `bytes` begin with, and what stands behind it. Tags of one byte and definite lengths only, which is all
/// that certificates, and what comes with them, are written in.
pub(super) fn read(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let fold = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
            (length.iter().fold(0, fold), rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - behind.len()];
    (tag & 0x1f != 0x1f).then_some((Value { tag, content, whole }, behind))
}

/// The same, if it has this tag.
pub(super) fn expect(bytes: &[u8], tag: u8) -> Option<(Value<'_>, &[u8])> {
    read(bytes).filter(|(value, _)| value.tag == tag)
}

/// The values that `bytes` are made of, up to the first that is none.
pub(super) fn each(mut bytes: &[u8]) -> impl Iterator<Item = Value<'_>> {
    std::iter::from_fn(move || {
        let (value, rest) = read(bytes)?;
        bytes = rest;
        Some(value)
    })
}

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
pub(super) fn certificate_pem(der: &[u8]) -> String {
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
    fn lengths_take_the_shortest_form() {
        assert_eq!(value(SEQUENCE, &[]), EMPTY_NAME);
        for (length, header) in [
            (0x7f, vec![4, 0x7f]),
            (0x80, vec![4, 0x81, 0x80]),
            (0xff, vec![4, 0x81, 0xff]),
            (0x100, vec![4, 0x82, 1, 0]),
            (0x1_0000, vec![4, 0x83, 1, 0, 0]),
        ] {
            let der = value(OCTET_STRING, &vec![7; length]);
            assert_eq!(der[..header.len()], header[..]);
            assert_eq!(der.len(), header.len() + length);
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_behind_the_end() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let content = vec![7; length];
            let mut bytes = value(OCTET_STRING, &content);
            let end = bytes.len();
            for short in 0..end.min(300) {
                assert!(read(&bytes[..short]).is_none(), "{length} {short}");
            }
            bytes.extend([1, 2]);
            let (read, rest) = expect(&bytes, OCTET_STRING).unwrap();
            assert_eq!(
                (read.content, read.whole, rest),
                (&content[..], &bytes[..end], &[1, 2][..])
            );
            assert!(expect(&bytes, SEQUENCE).is_none());
        }
        for odd in [
            &[0x1f, 1, 0][..],
            &[4, 0x80, 0, 0],
            &[4, 0x85, 0, 0, 0, 0, 1, 7],
            &[4, 0xff],
        ] {
            assert!(read(odd).is_none(), "{odd:?}");
        }
        let tags: Vec<u8> = each(&[4, 0, 5, 0, 4, 9]).map(|value| value.tag).collect();
        assert_eq!(tags, [4, 5]);
    }

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
