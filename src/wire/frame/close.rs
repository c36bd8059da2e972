//! Close frames: what may stand in one, and how to write one (RFC 6455 sections 5.5.1 and 7.4).

use super::head::CONTROL_MAX;
use super::{Direction, Violation};

/// Whether an endpoint may put `code` into a Close frame: 1000-1003 and 1007-1014 as registered, 3000-4999
/// for libraries and applications. 1004 is reserved; 1005, 1006 and 1015 only ever stand for what was *not*
/// received (RFC 6455 section 7.4).
pub const fn close_code_may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the unmasked payload of a Close, its code and its reason: `None` for an empty one.
pub(super) fn read(payload: &[u8]) -> Result<Option<(u16, &str)>, Violation> {
    let Some((&code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Violation::BadCloseCode)
        };
    };
    let code = u16::from_be_bytes(code);
    if !close_code_may_be_sent(code) {
        return Err(Violation::BadCloseCode);
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason))),
        Err(_) => Err(Violation::BadCloseReason),
    }
}

/// A whole Close frame, in one allocation of at most 131 bytes. It is masked with `mask` when it goes to the
/// origin, as every frame of a client is; to the client `mask` is not used. A reason that does not fit into a
/// control frame (123 bytes) is cut at a character. The caller picks a code that may be sent
/// ([`close_code_may_be_sent`]).
pub fn close_frame(direction: Direction, code: u16, reason: &str, mask: [u8; 4]) -> Vec<u8> {
    let mut fits = reason.len().min(CONTROL_MAX - 2);
    while !reason.is_char_boundary(fits) {
        fits -= 1;
    }
    let reason = &reason[..fits];
    let payload = 2 + reason.len();
    let mut frame = Vec::with_capacity(6 + payload);
    // `payload` is at most 125.
    frame.extend_from_slice(&[0x88, payload as u8]);
    let masked = direction == Direction::ToOrigin;
    if masked {
        frame[1] |= 0x80;
        frame.extend_from_slice(&mask);
    }
    let start = frame.len();
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    if masked {
        unmask(&mut frame[start..], mask);
    }
    frame
}

/// Masks or unmasks a payload from its start (RFC 6455 section 5.3).
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}
