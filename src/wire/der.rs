//! DER (ITU-T X.690), as far as certificates and Kerberos messages use it: tags of one byte, definite lengths.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// One value: tag, length in the shortest form, content.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    join(tag, &[content])
}

/// One value whose content is the concatenation of `parts`.
pub(crate) fn join(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
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
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With tag and length.
    pub(crate) whole: &'a [u8],
}

/// The value that `bytes` begin with, and what stands behind it. Tags of one byte and definite lengths only, which is all
/// that certificates, and what comes with them, are written in.
pub(crate) fn read(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
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
pub(crate) fn expect(bytes: &[u8], tag: u8) -> Option<(Value<'_>, &[u8])> {
    read(bytes).filter(|(value, _)| value.tag == tag)
}

/// The values that `bytes` are made of, up to the first that is none.
pub(crate) fn each(mut bytes: &[u8]) -> impl Iterator<Item = Value<'_>> {
    std::iter::from_fn(move || {
        let (value, rest) = read(bytes)?;
        bytes = rest;
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(value(SEQUENCE, &[]), [SEQUENCE, 0]);
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
}
