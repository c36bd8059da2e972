//! What ends a message (RFC 9112 section 6).

use super::Malformed;
use super::field_line::{is_framing, is_token, trim};
use super::fields::Fields;
use super::head::{RequestHead, ResponseHead};
use crate::wire::headers::Headers;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

/// What ends a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// It has none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// The last chunk and the trailers behind it.
    Chunked,
    /// The end of the connection.
    ToEnd,
}

impl Framing {
    /// Whether there is content to come.
    pub const fn has_content(self) -> bool {
        !matches!(self, Self::Empty | Self::Length(0))
    }
}

/// What ends a request's content. Lengths that say the same more than once are made one.
///
/// # Errors
/// The framing is ambiguous.
pub fn request_framing(head: &mut RequestHead) -> Result<Framing, Malformed> {
    let coding = coding(&head.fields)?;
    let length = length(&mut head.fields)?;
    match (coding, length) {
        (Some(_), _) if head.version < Version::HTTP_11 => Err(Malformed::CodingInHttp10),
        (Some(Coding::Identity), _) => Err(Malformed::UnknownCoding),
        (Some(Coding::Chunked), Some(_)) => Err(Malformed::LengthBesideCoding),
        (Some(Coding::Chunked), None) => Ok(Framing::Chunked),
        (None, Some(0)) => Ok(Framing::Length(0)),
        (None, Some(length)) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::Empty),
    }
}

/// Holds the fields of a request that came by HTTP/2 to what they will mean as HTTP/1.1.
///
/// # Errors
/// They would be ambiguous there.
pub fn check_fields(fields: &mut impl Headers) -> Result<(), Malformed> {
    let mut is_disguised = false;
    fields.each(&mut |name, _| {
        let is_plain = name
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_disguised |= !is_plain && is_framing(name);
    });
    if is_disguised {
        return Err(Malformed::DisguisedFraming);
    }
    length(fields).map(|_| ())
}

/// A request may expect nothing that is not known (RFC 9110 section 10.1.1).
///
/// # Errors
/// It does, or says it more than once.
pub fn check_expectation(fields: &impl Headers) -> Result<(), Malformed> {
    let mut expectations = fields.all(&EXPECT);
    match (expectations.next(), expectations.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(Malformed::Expectation),
    }
}

/// What ends the content of the response to a request with this method.
///
/// `Transfer-Encoding: identity`, which RFC 2616 had, says nothing and is removed. A length beside `chunked` counts for
/// nothing and is removed (RFC 9112 section 6.3): browsers, curl and the origin agree on the coding.
///
/// # Errors
/// The framing is ambiguous.
pub fn response_framing(head: &mut ResponseHead, method: &Method) -> Result<Framing, Malformed> {
    let coding = coding(&head.fields)?;
    if coding == Some(Coding::Identity) {
        head.fields.remove(&TRANSFER_ENCODING);
    }
    let is_chunked = coding == Some(Coding::Chunked);
    if is_chunked && head.version < Version::HTTP_11 {
        return Err(Malformed::CodingInHttp10);
    }
    let has_none = *method == Method::HEAD
        || head.status.is_informational()
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_chunked {
        head.fields.remove(&CONTENT_LENGTH);
        return Ok(if has_none {
            Framing::Empty
        } else {
            Framing::Chunked
        });
    }
    let length = length(&mut head.fields)?;
    Ok(match length {
        _ if has_none => Framing::Empty,
        Some(length) => Framing::Length(length),
        None => Framing::ToEnd,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Identity,
}

/// The transfer coding, which is one or none.
fn coding(fields: &Fields) -> Result<Option<Coding>, Malformed> {
    let mut values = fields.all(&TRANSFER_ENCODING);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let is_only = values.next().is_none();
    if is_only && value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Some(Coding::Chunked));
    }
    if is_only && value.eq_ignore_ascii_case(b"identity") {
        return Ok(Some(Coding::Identity));
    }
    let names_chunked = fields.all(&TRANSFER_ENCODING).any(|value| {
        value
            .to_ascii_lowercase()
            .windows(7)
            .any(|word| word == b"chunked")
    });
    let is_name = |word: &[u8]| !word.is_empty() && word.iter().all(|&byte| is_token(byte));
    if names_chunked || !is_only || !value.split(|&byte| byte == b',').map(trim).all(is_name) {
        return Err(Malformed::CodingList);
    }
    Err(Malformed::UnknownCoding)
}

/// The length; where it is said more than once, or with zeros before it, once and without is what stays.
fn length(fields: &mut impl Headers) -> Result<Option<u64>, Malformed> {
    let mut known = None;
    let mut is_plain = true;
    for (n, line) in fields.all(&CONTENT_LENGTH).enumerate() {
        for (k, value) in line.split(|&byte| byte == b',').map(trim).enumerate() {
            is_plain &= n + k == 0 && (value.len() == 1 || !value.starts_with(b"0"));
            let length = number(value).ok_or(Malformed::LengthValue)?;
            if *known.get_or_insert(length) != length {
                return Err(Malformed::DifferentLengths);
            }
        }
    }
    if let (Some(length), false) = (known, is_plain) {
        fields.set(&CONTENT_LENGTH, length.to_string().as_bytes());
    }
    Ok(known)
}

/// Decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
