//! Messages of HTTP/1.1 (RFC 9112): heads, the chunked coding, and what ends a message. Bytes in, facts out.
//!
//! What goes on is written from what was read here, so that no reader behind this one can see other messages in it:
//!
//! - what is unambiguous stays as it came, however odd: order and case of names, bytes of values, reason phrases;
//! - what is merely ugly is mended as RFC 9112 says (`head` names each case);
//! - what two readers could understand in two ways is refused by name ([`Malformed`]).

mod chunked;
mod field_line;
mod fields;
mod framing;
mod head;
mod malformed;
#[cfg(test)]
mod tests;

pub use chunked::{Decoder, Taken, chunk_head};
pub use fields::{Fields, as_usual};
pub use framing::{Framing, check_expectation, check_fields, request_framing, response_framing};
pub use head::{
    RequestHead, ResponseHead, head_end, parse_request, parse_response, skip_blank_lines, write_request,
};
pub use malformed::Malformed;
