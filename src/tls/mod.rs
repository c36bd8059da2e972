//! One TLS connection: the handshake's driver, the record layer, and what stands between them and a socket.
//!
//! `driver` lets rustls shake hands over a socket, [`Records`] opens and seals what comes after. [`TlsStream`] is both
//! as a stream to read and to write. A [`Transport`] is one leg of a connection, plain or TLS; a [`Leg`] is the same,
//! driven directly: it opens records where they were read and seals them into what is written. Whom to trust and
//! what to show is for the `handshake` room.

pub(crate) mod alert;
mod buffer;
pub(crate) mod driver;
mod leg;
mod outgoing;
pub(crate) mod provider;
mod records;
mod resting;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod transport;

pub use buffer::with_buffer;
pub use leg::{Eof, Leg};
pub use outgoing::Outgoing;
pub use records::{MAX_RECORD, Records};
pub use resting::RestingTls;
pub use stream::{TlsParts, TlsStream};
pub use transport::{Parts, Transport};
