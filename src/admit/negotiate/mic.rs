//! Signatures of single messages (RFC 4121 section 4.2), with which SPNEGO protects its list of mechanisms.

use crate::kerberos::Key;

/// Token identifier 0404 and what fills the header up to the sequence number.
const IDENTIFIER: [u8; 2] = [4, 4];
const FILLER: [u8; 5] = [0xff; 5];
/// Flag: the acceptor of the context signs.
const BY_ACCEPTOR: u8 = 1;
/// Key usages of signatures (RFC 4121 section 2).
const ACCEPTOR: u32 = 23;
const INITIATOR: u32 = 25;

/// Signs for the server, and verifies the client.
#[derive(Debug)]
pub(super) struct Signer {
    key: Key,
    /// The server's first message.
    sequence: u32,
}

impl Signer {
    /// `key` is the client's own key, or that of the ticket if the client made none.
    pub(super) fn new(key: Key, sequence: u32) -> Self {
        Self { key, sequence }
    }

    /// The server's first signature.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut token = [&IDENTIFIER[..], &[BY_ACCEPTOR], &FILLER].concat();
        token.extend(u64::from(self.sequence).to_be_bytes());
        let sum = self.key.checksum(ACCEPTOR, &[message, &token])?;
        token.extend(sum);
        Some(token)
    }

    /// Whether `token` is a signature of the client.
    pub(super) fn verifies(&self, message: &[u8], token: &[u8]) -> bool {
        let Some((header, sum)) = token.split_at_checked(16) else {
            return false;
        };
        // The server makes no key of its own: no other flag may be set.
        header.starts_with(&[4, 4, 0, 0xff, 0xff, 0xff, 0xff, 0xff])
            && self.key.verifies(INITIATOR, &[message, header], sum)
    }
}
