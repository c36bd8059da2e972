//! A TLS handshake over a socket, by rustls without its buffers, up to where the record layer takes over.

use super::outgoing::Outgoing;
use super::records::{self, Records};
use super::stream::TlsStream;
use crate::accept::{Prefixed, Socket};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedConnectionCommon, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, ContentType, Error, HandshakeKind, ProtocolVersion, ServerConfig};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A handshake that is done.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) stream: TlsStream,
    pub(crate) negotiated: Negotiated,
}

/// What both ends have agreed to, and who the peer is.
#[derive(Debug)]
pub(crate) struct Negotiated {
    pub(crate) resumed: bool,
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) alpn: Option<Vec<u8>>,
    /// The peer's chain; a server that asks for none has none.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// Shakes hands as a server. The settings must allow the secrets to be extracted.
pub(crate) async fn accept(config: Arc<ServerConfig>, io: Prefixed<Socket>) -> io::Result<Handshake> {
    let (early, socket) = io.into_parts();
    let connection = Box::new(UnbufferedServerConnection::new(config).map_err(io::Error::other)?);
    drive(connection, socket, early.into()).await
}

/// Shakes hands as a client; else like [`accept`].
pub(crate) async fn connect(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    io: impl Into<Prefixed<Socket>>,
) -> io::Result<Handshake> {
    let (early, socket) = io.into().into_parts();
    let connection = Box::new(UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?);
    drive(connection, socket, early.into()).await
}

/// One read during the handshake.
const FLIGHT: usize = 4 * 1024;

/// The two kinds of connections that rustls keeps apart by type.
pub(super) trait Unbuffered {
    type Data;
    /// Whether it may have to skip early data.
    const SKIPS: bool;
    fn common(&mut self) -> &mut UnbufferedConnectionCommon<Self::Data>;
    fn state(&self) -> &CommonState;
    fn kind(&self) -> Option<HandshakeKind> {
        self.state().handshake_kind()
    }
    fn process<'c, 'i>(&'c mut self, wire: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn into_records(self) -> Result<Records, Error>;
}

impl Unbuffered for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    const SKIPS: bool = false;
    fn common(&mut self) -> &mut UnbufferedConnectionCommon<Self::Data> {
        self
    }
    fn state(&self) -> &CommonState {
        self
    }
    fn process<'c, 'i>(&'c mut self, wire: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.common().process_tls_records(wire)
    }
    fn into_records(self) -> Result<Records, Error> {
        Records::client(self)
    }
}

impl Unbuffered for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    const SKIPS: bool = true;
    fn common(&mut self) -> &mut UnbufferedConnectionCommon<Self::Data> {
        self
    }
    fn state(&self) -> &CommonState {
        self
    }
    fn process<'c, 'i>(&'c mut self, wire: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.common().process_tls_records(wire)
    }
    fn into_records(self) -> Result<Records, Error> {
        Records::server(self)
    }
}

async fn drive<C: Unbuffered>(
    mut connection: Box<C>,
    mut socket: Socket,
    wire: Vec<u8>,
) -> io::Result<Handshake> {
    let mut feed = Feed::new(wire);
    let mut out = Vec::new();
    loop {
        let done = feed.advance(&mut *connection, &mut out);
        if done.is_err() {
            // The alert, if the socket takes it at once: the error is what counts.
            let _ = socket.try_write(&out);
        }
        let done = done.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        socket.write_all(&out).await?;
        socket.flush().await?;
        out.clear();
        if done {
            break;
        }
        // Room for most flights at once; a vector by itself would begin with 64 bytes.
        feed.wire.reserve(FLIGHT);
        if socket.read_buf(&mut feed.wire).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the stream ended during the TLS handshake",
            ));
        }
    }
    let negotiated = negotiated(&*connection);
    let records = connection.into_records().map_err(io::Error::other)?;
    let stream = TlsStream::new(socket, records, feed.wire, Outgoing::default());
    Ok(Handshake { stream, negotiated })
}

fn negotiated(connection: &impl Unbuffered) -> Negotiated {
    let state = connection.state();
    let certificates = state.peer_certificates().unwrap_or_default();
    Negotiated {
        resumed: matches!(connection.kind(), Some(HandshakeKind::Resumed)),
        version: state.protocol_version(),
        alpn: state.alpn_protocol().map(<[u8]>::to_vec),
        certificates: certificates
            .iter()
            .map(|cert| cert.clone().into_owned())
            .collect(),
    }
}

/// What has been read, shown to rustls record by record: the record after the handshake's last is not for it.
pub(super) struct Feed {
    pub(super) wire: Vec<u8>,
    /// How much of it rustls has been shown: whole records.
    shown: usize,
    /// What it has been shown is one record of application data, the first that it has not used up.
    is_alone: bool,
}

impl Feed {
    pub(super) fn new(wire: Vec<u8>) -> Self {
        Self {
            wire,
            shown: 0,
            is_alone: false,
        }
    }

    /// Goes on until more has to be read, or until the handshake is done, which it says; what has to be sent is
    /// in `out`.
    pub(super) fn advance<C: Unbuffered>(
        &mut self,
        connection: &mut C,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let mut nonsense = None;
        loop {
            let UnbufferedStatus { discard, state, .. } = connection.process(&mut self.wire[..self.shown]);
            let waits = match state {
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(|room| message.encode(room), out)?;
                    false
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    false
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => true,
                Ok(_) => return Err(Error::General("data within the handshake".to_owned())),
                Err(error) => {
                    self.wire.drain(..discard);
                    self.shown -= discard;
                    self.last_words(connection, out);
                    return Err(error);
                }
            };
            self.wire.drain(..discard);
            self.shown -= discard;
            self.is_alone &= discard == 0;
            if !waits {
                continue;
            }
            if self.is_alone && self.is_undecryptable() {
                self.wire.drain(..self.shown);
                self.shown = 0;
            }
            if !connection.state().is_handshaking() {
                return Ok(true);
            }
            if let Some(error) = nonsense.take() {
                return Err(error);
            }
            let next = &self.wire[self.shown..];
            match records::header(next) {
                Ok(Some((typ, _, length))) if next.len() >= records::HEADER + length => {
                    self.is_alone = C::SKIPS && self.shown == 0 && typ == ContentType::ApplicationData;
                    self.shown += records::HEADER + length;
                }
                Ok(_) => return Ok(false),
                Err(error) => {
                    // Not TLS: rustls is to say so, with the alert that belongs to it.
                    nonsense = Some(Error::InvalidMessage(error));
                    self.shown = self.wire.len();
                }
            }
        }
    }

    /// Whether rustls has skipped the only record that it keeps: early data that was not accepted (RFC 8446
    /// section 4.2.10). It would open it again with each record that follows, and count it again against the most that
    /// it skips. It opens records where they lie: of one that it could not open only zeros are left, and every
    /// handshake message, whole or in part, begins with something else.
    fn is_undecryptable(&self) -> bool {
        self.wire[..self.shown]
            .get(records::HEADER)
            .is_none_or(|first| *first == 0)
    }

    /// The alert that rustls has ready after an error. It is asked only while it has something to say, since it
    /// would go on reading otherwise; and what it was shown has to stay where it was.
    fn last_words(&mut self, connection: &mut impl Unbuffered, out: &mut Vec<u8>) {
        while connection.state().wants_write() {
            let state = connection.process(&mut self.wire[..self.shown]).state;
            let Ok(ConnectionState::EncodeTlsData(mut message)) = state else {
                return;
            };
            if encode(|room| message.encode(room), out).is_err() {
                return;
            }
        }
    }
}

fn encode(
    mut message: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    let Err(EncodeError::InsufficientSize(size)) = message(&mut []) else {
        return Ok(());
    };
    out.resize(start + size.required_size, 0);
    let written = message(&mut out[start..]).map_err(|error| Error::General(error.to_string()))?;
    out.truncate(start + written);
    Ok(())
}
