//! SignalR's JSON hub protocol: JSON records that each end with 0x1E, several to a message.

use super::pieces::json;
use super::{Decoded, Unit};

const SEPARATOR: u8 = 0x1e;

pub(super) fn decode(data: &[u8]) -> Option<Decoded> {
    let mut decoded = Decoded::default();
    let mut from = 0;
    for end in memchr::memchr_iter(SEPARATOR, data) {
        let mut pieces = Vec::new();
        let document = json(data, from, end, &mut pieces)?;
        decoded.units.push(Unit {
            at: from..end,
            pieces,
            document,
        });
        from = end + 1;
    }
    (from == data.len() && from > 0).then_some(decoded)
}
