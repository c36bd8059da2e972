//! GraphQL over WebSocket: `graphql-transport-ws`, and the older protocol whose subprotocol is `graphql-ws`.
//!
//! Both send one JSON object a message, whose `type` says what it is. The operation of a `subscribe` (`start` in
//! the older one) is at `/payload/operationName`, `/payload/query` and `/payload/variables`.

use super::decoded::{Decoded, Unit};
use super::pieces::json;

pub(super) fn decode(data: &[u8]) -> Option<Decoded> {
    let mut pieces = Vec::new();
    let document = json(data, 0, data.len(), &mut pieces)?;
    document.get("type")?.as_str()?;
    let unit = Unit {
        at: 0..data.len(),
        pieces,
        document,
    };
    Some(Decoded {
        units: vec![unit],
        ..Decoded::default()
    })
}
