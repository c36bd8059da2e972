//! Parsers that never do I/O: bytes in, facts out. "Need more bytes", "invalid" and "not this protocol"
//! are three different answers.

pub(crate) mod byte_set;
pub mod client_hello;
pub mod deflate;
pub(crate) mod der;
pub mod forwarded;
pub mod frame;
pub mod headers;
pub mod hpack;
pub mod http1;
pub mod names;
pub mod path;
pub mod proxy_protocol;
pub mod socks;
pub mod ws_handshake;

/// The answer of a parser that may be given a prefix of its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parse<T> {
    /// The whole of it is there.
    Complete(T),
    /// What is there is a valid beginning.
    NeedMore,
    /// It is this protocol, and it is broken; the text says how.
    Invalid(&'static str),
    /// It is some other protocol.
    NotThis,
}

impl<T> Parse<T> {
    /// The same answer with another value.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Parse<U> {
        match self {
            Self::Complete(value) => Parse::Complete(to(value)),
            Self::NeedMore => Parse::NeedMore,
            Self::Invalid(why) => Parse::Invalid(why),
            Self::NotThis => Parse::NotThis,
        }
    }
}
