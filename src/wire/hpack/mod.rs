//! What can be read of one HPACK header block (RFC 7541) without the blocks before it: the fields that it writes out.
//!
//! Nothing passes through here. The `h2` crate decodes every block and says of one that it refuses no more than that it
//! did; what broke it was written out in it, since a field comes into the dynamic table only when it was decoded.

mod huffman;

use std::borrow::Cow;

/// A field as far as its block alone tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HpackField<'a> {
    /// `None` where the dynamic table has it.
    pub name: Option<Cow<'a, [u8]>>,
    /// `None` where the dynamic table has it.
    pub value: Option<Cow<'a, [u8]>>,
}

/// The block is no HPACK, or only a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadBlock;

/// The fields of a block in their order; ends behind the first that cannot be read.
pub fn fields(block: &[u8]) -> impl Iterator<Item = Result<HpackField<'_>, BadBlock>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let read = field(&mut rest).transpose();
        if !matches!(read, Some(Ok(_))) {
            rest = &[];
        }
        read
    })
}

/// The size of the dynamic table that every peer may begin with (RFC 9113 section 6.5.2), in bytes.
const TABLE: usize = 4096;

/// What each entry of the dynamic table takes at least (RFC 7541 section 4.1), in bytes.
const ENTRY: usize = 32;

fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<HpackField<'a>>, BadBlock> {
    loop {
        let Some(&first) = rest.first() else {
            return Ok(None);
        };
        // RFC 7541 section 6.
        let prefix = match first {
            0x80.. => {
                let index = integer(rest, 7)?;
                let (name, value) = match STATIC.get(index.wrapping_sub(1)) {
                    Some((name, value)) => (Some(name), Some(value)),
                    None if in_table(index) => (None, None),
                    None => return Err(BadBlock),
                };
                return Ok(Some(HpackField {
                    name: name.map(|name| name.as_bytes().into()),
                    value: value.map(|value| value.as_bytes().into()),
                }));
            }
            0x40.. => 6,
            0x20.. => {
                if integer(rest, 5)? > TABLE {
                    return Err(BadBlock);
                }
                continue;
            }
            _ => 4,
        };
        let index = integer(rest, prefix)?;
        let name = match index {
            0 => Some(string(rest)?),
            index => match STATIC.get(index - 1) {
                Some((name, _)) => Some(name.as_bytes().into()),
                None if in_table(index) => None,
                None => return Err(BadBlock),
            },
        };
        let value = Some(string(rest)?);
        return Ok(Some(HpackField { name, value }));
    }
}

/// Whether an index beyond the static table can be one of the dynamic table's.
fn in_table(index: usize) -> bool {
    (STATIC.len() + 1..=STATIC.len() + TABLE / ENTRY).contains(&index)
}

/// RFC 7541 section 5.1.
fn integer(rest: &mut &[u8], prefix: u32) -> Result<usize, BadBlock> {
    let mask = (1_u8 << prefix) - 1;
    let (&first, mut left) = rest.split_first().ok_or(BadBlock)?;
    let mut value = usize::from(first & mask);
    if first & mask == mask {
        let mut shift = 0;
        loop {
            let (&byte, more) = left.split_first().ok_or(BadBlock)?;
            left = more;
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 21 {
                // No length and no index is as large as that.
                return Err(BadBlock);
            }
        }
    }
    *rest = left;
    Ok(value)
}

/// RFC 7541 section 5.2.
fn string<'a>(rest: &mut &'a [u8]) -> Result<Cow<'a, [u8]>, BadBlock> {
    let is_coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (text, left) = rest.split_at_checked(length).ok_or(BadBlock)?;
    *rest = left;
    if is_coded {
        huffman::decode(text).map(Cow::Owned).ok_or(BadBlock)
    } else {
        Ok(text.into())
    }
}

/// RFC 7541 appendix A.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests;
