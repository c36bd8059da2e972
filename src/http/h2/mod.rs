//! HTTP/2 on a pair of legs (RFC 9113): the streams of one client connection on one origin connection, each by
//! itself; an extended CONNECT (RFC 8441) leaves HTTP and stays a stream.
//!
//! The `h2` crate is used directly and not through hyper: content goes on without a copy, the far side's room is
//! what gives the near side room, and reset codes can be told.

pub(in crate::http) mod adapted;
pub(in crate::http) mod answer;
pub(in crate::http) mod ask;
pub(in crate::http) mod cork;
pub(in crate::http) mod door;
pub(in crate::http) mod drive;
pub(in crate::http) mod exchange;
pub(in crate::http) mod failure;
pub(in crate::http) mod floods;
pub(in crate::http) mod forwarded;
pub(in crate::http) mod frames;
pub(in crate::http) mod front;
pub(in crate::http) mod heads;
pub(in crate::http) mod kinds;
pub(in crate::http) mod leg;
pub(in crate::http) mod open_streams;
pub(in crate::http) mod origin;
pub(in crate::http) mod parts;
pub(in crate::http) mod pump;
pub(in crate::http) mod serve;
pub(in crate::http) mod settings;
pub(in crate::http) mod stream;
pub(in crate::http) mod tunnel;
pub(in crate::http) mod under_way;
pub(in crate::http) mod unwanted;

pub use door::answer_stream;
pub use front::{StreamLimits, StreamRequest, StreamsEnd, streams};
pub use serve::{refuse_h2, serve_h2};
pub use tunnel::TunnelStream;
