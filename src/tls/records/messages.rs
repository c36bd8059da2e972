//! What TLS says to itself between the data: alerts, tickets, key updates and refused renegotiations.

use super::super::outgoing::Outgoing;
use super::seal::Sealer;
use super::{Kernel, RecordError, Records, inappropriate, opener};
use rustls::{AlertDescription, ContentType, Error, HandshakeType, InvalidMessage, PeerMisbehaved, Side};

/// The longest handshake message after the handshake.
const MESSAGE: usize = 0xffff;

impl Records {
    /// RFC 8446 section 6, RFC 5246 section 7.2.
    pub(super) fn alert(&mut self, payload: &[u8]) -> Result<(), RecordError> {
        let (level, alert) = match *payload {
            [level, alert] => (level, AlertDescription::from(alert)),
            [] => return Err(InvalidMessage::MissingData("AlertLevel").into()),
            [_] => return Err(InvalidMessage::MissingData("AlertDescription").into()),
            _ => return Err(InvalidMessage::TrailingData("AlertMessagePayload").into()),
        };
        let error = Error::AlertReceived(alert);
        match level {
            1 | 2 if alert == AlertDescription::CloseNotify => self.closed = true,
            1 => {
                let left = self.patience.warnings.checked_sub(1);
                self.patience.warnings = left.ok_or(PeerMisbehaved::TooManyWarningAlertsReceived)?;
                // An error whatever its level says (RFC 8446 section 6), after which nothing more is to be said.
                if self.is_tls13() && alert != AlertDescription::UserCanceled {
                    return Err(RecordError(None, error));
                }
            }
            2 => return Err(RecordError(None, error)),
            _ => return Err(RecordError(Some(AlertDescription::IllegalParameter), error)),
        }
        Ok(())
    }

    /// Handshake messages may share records and may span them (RFC 8446 section 5.1).
    pub(super) fn handshake(&mut self, payload: &[u8], out: &mut Outgoing) -> Result<(), RecordError> {
        if self.fragment.is_empty() {
            let used = self.messages(payload, out)?;
            self.fragment.extend_from_slice(&payload[used..]);
            return Ok(());
        }
        // What has come of a long message is not copied for each further piece of it.
        let mut joined = std::mem::take(&mut self.fragment);
        joined.extend_from_slice(payload);
        match self.messages(&joined, out)? {
            0 => self.fragment = joined,
            used => self.fragment = joined[used..].to_vec(),
        }
        Ok(())
    }

    /// Takes in the messages that are whole, and says how many bytes they are.
    fn messages(&mut self, all: &[u8], out: &mut Outgoing) -> Result<usize, RecordError> {
        let mut left = all;
        while let Some((&[typ, high, mid, low], rest)) = left.split_first_chunk::<4>() {
            let length = u32::from_be_bytes([0, high, mid, low]) as usize;
            if length > MESSAGE {
                return Err(InvalidMessage::HandshakePayloadTooLarge.into());
            }
            let Some((body, rest)) = rest.split_at_checked(length) else {
                break;
            };
            left = rest;
            self.message(HandshakeType::from(typ), body, rest.is_empty(), out)?;
        }
        Ok(all.len() - left.len())
    }

    fn message(
        &mut self,
        typ: HandshakeType,
        body: &[u8],
        is_last: bool,
        out: &mut Outgoing,
    ) -> Result<(), RecordError> {
        match (&mut self.kernel, typ) {
            (Kernel::Client(kernel), HandshakeType::NewSessionTicket) => {
                kernel.handle_new_session_ticket(body)?;
                Ok(())
            }
            (Kernel::Client(_) | Kernel::Server(_), HandshakeType::KeyUpdate) => {
                self.key_update(body, is_last)
            }
            (Kernel::Tls12(Side::Client), HandshakeType::HelloRequest)
            | (Kernel::Tls12(Side::Server), HandshakeType::ClientHello) => {
                let left = self.patience.renegotiations.checked_sub(1);
                self.patience.renegotiations = left.ok_or(PeerMisbehaved::TooManyRenegotiationRequests)?;
                self.tell(
                    ContentType::Alert,
                    &[1, AlertDescription::NoRenegotiation.into()],
                    out,
                )
            }
            (Kernel::Tls12(_), _) => Err(inappropriate(ContentType::Handshake)),
            (_, got_type) => Err(Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::NewSessionTicket, HandshakeType::KeyUpdate],
                got_type,
            }
            .into()),
        }
    }

    /// RFC 8446 section 4.6.3.
    fn key_update(&mut self, body: &[u8], is_last: bool) -> Result<(), RecordError> {
        let answer = match body {
            [0] => false,
            [1] => true,
            [_] => {
                let error = InvalidMessage::InvalidKeyUpdate.into();
                return Err(RecordError(Some(AlertDescription::IllegalParameter), error));
            }
            [] => return Err(InvalidMessage::MissingData("KeyUpdateRequest").into()),
            _ => return Err(InvalidMessage::TrailingData("HandshakeMessagePayload").into()),
        };
        if !is_last {
            return Err(PeerMisbehaved::KeyEpochWithPendingFragment.into());
        }
        let left = self.patience.key_updates.checked_sub(1);
        self.patience.key_updates = left.ok_or(PeerMisbehaved::TooManyKeyUpdateRequests)?;
        self.owes_update |= answer;
        let (read, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_rx_secret()?,
            Kernel::Server(kernel) => kernel.update_rx_secret()?,
            Kernel::Tls12(_) => return Err(Error::DecryptError.into()),
        };
        (self.opener, self.read) = (opener(self.suite, secrets)?, read);
        Ok(())
    }

    /// Answers the peer's key updates, if nothing waits to be sent; else before the next data.
    pub(super) fn answer_update(&mut self, out: &mut Outgoing) -> Result<(), RecordError> {
        if self.owes_update && out.is_empty() {
            self.refresh(false, out)?;
        }
        Ok(())
    }

    /// A key update of the own direction, with or without asking the peer for one of its own.
    pub(super) fn refresh(&mut self, ask: bool, out: &mut Outgoing) -> Result<(), RecordError> {
        self.owes_update = false;
        if self.silent {
            return Ok(());
        }
        self.tell(ContentType::Handshake, &[24, 0, 0, 1, ask.into()], out)?;
        let (write, secrets) = match &mut self.kernel {
            Kernel::Client(kernel) => kernel.update_tx_secret()?,
            Kernel::Server(kernel) => kernel.update_tx_secret()?,
            Kernel::Tls12(_) => return Ok(()),
        };
        self.sealer = Sealer::new(self.suite, secrets, write)?;
        Ok(())
    }
}
