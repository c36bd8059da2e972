//! The record layer after the handshake (RFC 8446 section 5, RFC 5246 section 6).
//!
//! rustls shakes hands, keeps the secrets and the tickets, and decrypts single records; what stands around
//! that is here: records are opened in place in whatever buffer they were read into, and sealed into the buffer
//! that is written. Nothing is allocated for a record, and an idle connection owns keys and no buffers. Errors
//! are those that rustls itself would give; each comes with the alert that RFC 8446 names for it.

mod messages;
mod seal;

use super::outgoing::Outgoing;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::cipher::{InboundOpaqueMessage, MessageDecrypter};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ExtractedSecrets, InvalidMessage,
    PeerMisbehaved, ProtocolVersion, Side, SupportedCipherSuite,
};
pub(super) use seal::HEADER;
use seal::{Sealer, key_and_iv};
use std::fmt;

/// The most bytes of one record on the wire: rustls takes what TLS 1.2 allows.
pub const MAX_RECORD: usize = HEADER + PAYLOAD - 1;

/// Payloads of this length are too long (RFC 5246 section 6.2.3).
const PAYLOAD: usize = (1 << 14) + 2048;

/// Empty records in a row that are borne. This and the counts below are those of rustls.
const EMPTY: u8 = 32;
/// Alerts of TLS 1.2 that only warn.
const WARNINGS: u8 = 4;
/// Requests to renegotiate, each answered with a refusal.
const RENEGOTIATIONS: u8 = 1;
/// Key updates without any data between them.
const KEY_UPDATES: u8 = 32;

/// A session after its handshake.
pub struct Records {
    opener: Box<dyn MessageDecrypter>,
    read: u64,
    sealer: Sealer,
    suite: SupportedCipherSuite,
    kernel: Kernel,
    /// The part of a handshake message that has come.
    fragment: Vec<u8>,
    patience: Tolerance,
    /// The peer wants new keys of ours, and has them before the next data. However often it asked: one answer will do
    /// (RFC 8446 section 4.6.3), so that a peer which never reads makes nothing pile up.
    owes_update: bool,
    /// The peer has sent its close_notify.
    closed: bool,
    /// The own close_notify or a fatal alert has been sent.
    silent: bool,
    failure: Option<Box<Error>>,
}

/// What rustls keeps of a session: secrets to derive the next ones from, and where tickets go.
enum Kernel {
    Client(Box<KernelConnection<ClientConnectionData>>),
    Server(Box<KernelConnection<ServerConnectionData>>),
    /// TLS 1.2 has neither key updates nor tickets after the handshake.
    Tls12(Side),
}

/// How often a peer may still do what brings nothing forward.
struct Tolerance {
    empty: u8,
    warnings: u8,
    renegotiations: u8,
    key_updates: u8,
}

/// An error, and the alert that tells the peer.
struct RecordError(Option<AlertDescription>, Error);

impl From<Error> for RecordError {
    fn from(error: Error) -> Self {
        Self(alert_for(&error), error)
    }
}

/// The alert of RFC 8446 sections 5 and 6.2; of floods, for which it has none, the one for what should not come.
fn alert_for(error: &Error) -> Option<AlertDescription> {
    use AlertDescription as A;
    use InvalidMessage as I;
    match error {
        Error::InvalidMessage(I::InvalidContentType | I::InvalidCcs | I::InvalidEmptyPayload)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_) => Some(A::UnexpectedMessage),
        Error::InvalidMessage(I::MessageTooLarge) | Error::PeerSentOversizedRecord => Some(A::RecordOverflow),
        Error::InvalidMessage(_) => Some(A::DecodeError),
        Error::DecryptError => Some(A::BadRecordMac),
        // An alert of the peer's has no answer; what is left is a fault of our own.
        Error::AlertReceived(_) => None,
        _ => Some(A::InternalError),
    }
}

impl From<InvalidMessage> for RecordError {
    fn from(error: InvalidMessage) -> Self {
        Error::from(error).into()
    }
}

impl From<PeerMisbehaved> for RecordError {
    fn from(error: PeerMisbehaved) -> Self {
        Error::from(error).into()
    }
}

fn inappropriate(got_type: ContentType) -> RecordError {
    let expect_types = vec![ContentType::ApplicationData, ContentType::Handshake];
    Error::InappropriateMessage {
        expect_types,
        got_type,
    }
    .into()
}

/// The type, version and payload length of the record that `wire` begins with, once its header is there.
pub(super) fn header(wire: &[u8]) -> Result<Option<(ContentType, ProtocolVersion, usize)>, InvalidMessage> {
    let Some(&[typ, major, minor, high, low]) = wire.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let typ = ContentType::from(typ);
    let length = usize::from(u16::from_be_bytes([high, low]));
    if let ContentType::Unknown(_) = typ {
        Err(InvalidMessage::InvalidContentType)
    } else if major != 3 {
        Err(InvalidMessage::UnknownProtocolVersion)
    } else if length == 0 && typ != ContentType::ApplicationData {
        Err(InvalidMessage::InvalidEmptyPayload)
    } else if length >= PAYLOAD {
        Err(InvalidMessage::MessageTooLarge)
    } else {
        Ok(Some((typ, u16::from_be_bytes([major, minor]).into(), length)))
    }
}

fn opener(
    suite: SupportedCipherSuite,
    secrets: ConnectionTrafficSecrets,
) -> Result<Box<dyn MessageDecrypter>, Error> {
    let is_gcm = !matches!(secrets, ConnectionTrafficSecrets::Chacha20Poly1305 { .. });
    let (key, iv, _) = key_and_iv(secrets)?;
    Ok(match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        // The rest of a GCM nonce comes with each record (RFC 5288 section 3).
        SupportedCipherSuite::Tls12(suite) if is_gcm => suite.aead_alg.decrypter(key, &iv.as_ref()[..4]),
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.decrypter(key, iv.as_ref()),
    })
}

impl Records {
    /// Takes over from a client's handshake that is complete, with nothing left to send.
    ///
    /// # Errors
    /// What rustls says if it is not, or if its settings do not allow the secrets to be extracted.
    pub(super) fn client(handshake: UnbufferedClientConnection) -> Result<Self, Error> {
        let (secrets, kernel) = handshake.dangerous_into_kernel_connection()?;
        let (suite, tls13) = (
            kernel.negotiated_cipher_suite(),
            is_tls13(kernel.protocol_version()),
        );
        let rest = if tls13 {
            Kernel::Client(Box::new(kernel))
        } else {
            Kernel::Tls12(Side::Client)
        };
        Self::new(suite, secrets, rest)
    }

    /// Takes over from a server's handshake; else like [`client`](Self::client).
    pub(super) fn server(handshake: UnbufferedServerConnection) -> Result<Self, Error> {
        let (secrets, kernel) = handshake.dangerous_into_kernel_connection()?;
        let (suite, tls13) = (
            kernel.negotiated_cipher_suite(),
            is_tls13(kernel.protocol_version()),
        );
        let rest = if tls13 {
            Kernel::Server(Box::new(kernel))
        } else {
            Kernel::Tls12(Side::Server)
        };
        Self::new(suite, secrets, rest)
    }

    fn new(suite: SupportedCipherSuite, secrets: ExtractedSecrets, kernel: Kernel) -> Result<Self, Error> {
        let ExtractedSecrets {
            tx: (write, tx),
            rx: (read, rx),
        } = secrets;
        Ok(Self {
            opener: opener(suite, rx)?,
            read,
            sealer: Sealer::new(suite, tx, write)?,
            suite,
            kernel,
            fragment: Vec::new(),
            patience: Tolerance {
                empty: EMPTY,
                warnings: WARNINGS,
                renegotiations: RENEGOTIATIONS,
                key_updates: KEY_UPDATES,
            },
            owes_update: false,
            closed: false,
            silent: false,
            failure: None,
        })
    }

    /// Whether the peer has ended its stream with a close_notify.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Opens every whole record of `wire` in place and hands the plaintext of each to `each`; answers of TLS's own
    /// go to `out`. Says how many bytes are used up: the rest, less than [`MAX_RECORD`], is to come again with
    /// what follows it. What comes after a close_notify is used up unseen (RFC 8446 section 6.1).
    ///
    /// # Errors
    /// Those of rustls; the alert for the peer is in `out`, and the session stays broken.
    pub fn open(
        &mut self,
        wire: &mut [u8],
        out: &mut Outgoing,
        each: &mut impl FnMut(&[u8]),
    ) -> Result<usize, Error> {
        if let Some(failure) = &self.failure {
            return Err(Error::clone(failure));
        }
        let mut used = 0;
        while !self.closed {
            match self.open_one(&mut wire[used..], out, each) {
                Ok(0) => {
                    self.answer_update(out).map_err(|error| self.fail(error, out))?;
                    return Ok(used);
                }
                Ok(n) => used += n,
                Err(error) => return Err(self.fail(error, out)),
            }
        }
        Ok(wire.len())
    }

    /// Tells the peer, and leaves the session broken.
    fn fail(&mut self, RecordError(alert, error): RecordError, out: &mut Outgoing) -> Error {
        if let Some(alert) = alert {
            self.say_last(2, alert, out);
        }
        self.silent = true;
        self.failure = Some(Box::new(error.clone()));
        error
    }

    fn open_one(
        &mut self,
        wire: &mut [u8],
        out: &mut Outgoing,
        each: &mut impl FnMut(&[u8]),
    ) -> Result<usize, RecordError> {
        let Some((typ, version, length)) = header(wire)? else {
            return Ok(0);
        };
        let end = HEADER + length;
        let Some(payload) = wire.get_mut(HEADER..end) else {
            return Ok(0);
        };
        if typ == ContentType::ChangeCipherSpec {
            // It is never encrypted, and has no place after the handshake.
            return Err(match payload {
                [1] => inappropriate(typ),
                _ => InvalidMessage::InvalidCcs.into(),
            });
        }
        // The header is authenticated as what it always is (RFC 8446 section 5.2).
        if self.is_tls13() && typ != ContentType::ApplicationData {
            return Err(RecordError(
                Some(AlertDescription::UnexpectedMessage),
                Error::DecryptError,
            ));
        }
        if self.is_tls13() && version != ProtocolVersion::TLSv1_2 {
            return Err(Error::DecryptError.into());
        }
        let message = InboundOpaqueMessage::new(typ, version, payload);
        let plain = self.opener.decrypt(message, self.read)?;
        self.read += 1;
        let (typ, payload) = (plain.typ, plain.payload);
        if !self.fragment.is_empty() && typ != ContentType::Handshake {
            return Err(PeerMisbehaved::MessageInterleavedWithHandshakeMessage.into());
        }
        if payload.is_empty() {
            // RFC 8446 section 5.4.
            let may_be = !matches!(typ, ContentType::Handshake | ContentType::Alert);
            if self.is_tls13() && !may_be {
                return Err(InvalidMessage::InvalidEmptyPayload.into());
            }
            let left = self.patience.empty.checked_sub(1);
            self.patience.empty = left.ok_or(PeerMisbehaved::TooManyEmptyFragments)?;
        } else {
            self.patience.empty = EMPTY;
        }
        match typ {
            ContentType::ApplicationData => {
                self.patience.key_updates = KEY_UPDATES;
                if !payload.is_empty() {
                    each(payload);
                }
            }
            ContentType::Handshake => self.handshake(payload, out)?,
            ContentType::Alert => self.alert(payload)?,
            ContentType::ChangeCipherSpec => return Err(inappropriate(typ)),
            _ => return Err(InvalidMessage::InvalidContentType.into()),
        }
        Ok(end)
    }

    fn tell(&mut self, typ: ContentType, message: &[u8], out: &mut Outgoing) -> Result<(), RecordError> {
        if self.silent {
            return Ok(());
        }
        Ok(self.sealer.whole(typ, message, out)?)
    }

    fn say_last(&mut self, level: u8, alert: AlertDescription, out: &mut Outgoing) {
        // Without a key that may still be used there is nothing more to say.
        let _ = self.tell(ContentType::Alert, &[level, alert.into()], out);
        self.silent = true;
    }

    /// Takes plaintext; it is in `out` as whole records after the next [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Error::EncryptError`] if the key has been used for all that it is good for and cannot be replaced, and
    /// if the stream was closed.
    pub fn put(&mut self, mut plain: &[u8], out: &mut Outgoing) -> Result<(), Error> {
        while !plain.is_empty() {
            if self.silent {
                return Err(Error::EncryptError);
            }
            if self.owes_update || (self.sealer.is_worn_out() && self.is_tls13()) {
                self.sealer.finish(out)?;
                let ask = self.sealer.is_worn_out();
                self.refresh(ask, out).map_err(|RecordError(_, error)| error)?;
            }
            let n = self.sealer.put(plain, out)?;
            plain = &plain[n..];
        }
        Ok(())
    }

    /// Ends the record that small pieces are gathered in; to be called before `out` is written.
    ///
    /// # Errors
    /// Those of [`put`](Self::put).
    pub fn finish(&mut self, out: &mut Outgoing) -> Result<(), Error> {
        self.sealer.finish(out)
    }

    /// Ends the outgoing stream (RFC 8446 section 6.1).
    pub fn close_notify(&mut self, out: &mut Outgoing) {
        self.say_last(1, AlertDescription::CloseNotify, out);
    }

    fn is_tls13(&self) -> bool {
        !matches!(self.kernel, Kernel::Tls12(_))
    }
}

fn is_tls13(version: ProtocolVersion) -> bool {
    version == ProtocolVersion::TLSv1_3
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("suite", &self.suite)
            .field("closed", &self.closed)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
