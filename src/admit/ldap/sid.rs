//! Security identifiers of Windows ([MS-DTYP] section 2.4.2), in text and in bytes.

use std::fmt::Write as _;

/// More parts than this has none.
const PARTS_MAX: usize = 15;

/// The bytes of `S-1-5-21-...`, as `objectSid` has them; `None` if it is no such text.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut numbers = text.strip_prefix("S-1-")?.split('-');
    let authority: u64 = numbers.next()?.parse().ok().filter(|number| *number < 1 << 48)?;
    let parts: Option<Vec<u32>> = numbers.map(|part| part.parse().ok()).collect();
    let parts = parts.filter(|parts| (1..=PARTS_MAX).contains(&parts.len()))?;
    let mut bytes = vec![1, u8::try_from(parts.len()).ok()?];
    bytes.extend_from_slice(&authority.to_be_bytes()[2..]);
    for part in parts {
        bytes.extend_from_slice(&part.to_le_bytes());
    }
    Some(bytes)
}

/// The filter that finds the object with this identifier, each byte escaped (RFC 4515 section 3).
pub(super) fn filter(bytes: &[u8]) -> String {
    let mut filter = String::from("(objectSid=");
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(filter, "\\{byte:02x}");
    }
    filter.push(')');
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_bytes() {
        let admins = bytes("S-1-5-32-544").unwrap();
        assert_eq!(admins, [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]);
        assert_eq!(
            filter(&admins),
            "(objectSid=\\01\\02\\00\\00\\00\\00\\00\\05\\20\\00\\00\\00\\20\\02\\00\\00)"
        );
        let user = bytes("S-1-5-21-4294967295-1-2-1103").unwrap();
        assert_eq!((user.len(), user[1], &user[12..16]), (28, 5, &[255; 4][..]));
    }

    #[test]
    fn what_is_no_identifier_has_none() {
        for text in [
            "",
            "S-1",
            "S-1-5",
            "S-2-5-21",
            "S-1-5-21-4294967296",
            "S-1-281474976710656-1",
            "S-1-5-21-)(cn=*",
            "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
