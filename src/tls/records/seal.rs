//! Outgoing records: gathered in place, sealed in place, or sealed straight from where the plaintext lies.

use super::super::outgoing::Outgoing;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};
use rustls::crypto::cipher::{Iv, NONCE_LEN, Nonce, make_tls12_aad, make_tls13_aad};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite};

/// Type, version and length (RFC 8446 section 5.1).
pub(in crate::tls) const HEADER: usize = 5;

/// The largest plaintext of a record (RFC 8446 section 5.1).
pub(super) const PLAINTEXT: usize = 1 << 14;

/// Every AEAD of these suites has a tag of this length.
const TAG: usize = 16;

/// The part of a TLS 1.2 GCM nonce that is sent along (RFC 5288 section 3).
const EXPLICIT: usize = 8;

/// A piece at least this large is sealed from where it is; smaller ones are gathered into one record first.
const DIRECT: usize = 4 * 1024;

/// No sequence number comes near to wrapping (RFC 8446 section 5.5).
const LAST_SEQUENCE: u64 = 0xffff_ffff_ffff_0000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordForm {
    Tls13,
    Tls12Gcm,
    Tls12ChaCha,
}

/// One direction's key.
pub(super) struct Sealer {
    key: LessSafeKey,
    iv: Iv,
    sequence: u64,
    limit: u64,
    form: RecordForm,
    /// Where a record begins that is still being filled.
    open: Option<usize>,
}

/// A key and its nonce's start, whichever the AEAD.
pub(super) fn key_and_iv(
    secrets: ConnectionTrafficSecrets,
) -> Result<(rustls::crypto::cipher::AeadKey, Iv, &'static aead::Algorithm), Error> {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => Ok((key, iv, &aead::AES_128_GCM)),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => Ok((key, iv, &aead::AES_256_GCM)),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => Ok((key, iv, &aead::CHACHA20_POLY1305)),
        _ => Err(Error::General(
            "an AEAD that the record layer does not know".to_owned(),
        )),
    }
}

impl Sealer {
    pub(super) fn new(
        suite: SupportedCipherSuite,
        secrets: ConnectionTrafficSecrets,
        sequence: u64,
    ) -> Result<Self, Error> {
        let (key, iv, algorithm) = key_and_iv(secrets)?;
        let (common, form) = match suite {
            SupportedCipherSuite::Tls13(suite) => (&suite.common, RecordForm::Tls13),
            SupportedCipherSuite::Tls12(suite) if algorithm == &aead::CHACHA20_POLY1305 => {
                (&suite.common, RecordForm::Tls12ChaCha)
            }
            SupportedCipherSuite::Tls12(suite) => (&suite.common, RecordForm::Tls12Gcm),
        };
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| Error::EncryptError)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            iv,
            sequence,
            limit: common.confidentiality_limit.min(LAST_SEQUENCE),
            form,
            open: None,
        })
    }

    /// What stands before the plaintext of a record, and behind it.
    const fn around(&self) -> (usize, usize) {
        match self.form {
            RecordForm::Tls13 => (HEADER, 1 + TAG),
            RecordForm::Tls12Gcm => (HEADER + EXPLICIT, TAG),
            RecordForm::Tls12ChaCha => (HEADER, TAG),
        }
    }

    /// The key has one record left, which has to be the key update.
    pub(super) fn is_worn_out(&self) -> bool {
        self.sequence > 0 && self.sequence + 1 >= self.limit
    }

    /// Takes as much of `plain` as fits into one record, and says how much; the record stays open while it has
    /// room.
    pub(super) fn put(&mut self, plain: &[u8], out: &mut Outgoing) -> Result<usize, Error> {
        let (before, _) = self.around();
        let Some(start) = self.open else {
            let n = plain.len().min(PLAINTEXT);
            if n >= DIRECT {
                self.whole(ContentType::ApplicationData, &plain[..n], out)?;
            } else {
                self.check(self.limit)?;
                self.open = Some(out.end());
                out.grow(before + n)[before..].copy_from_slice(&plain[..n]);
            }
            return Ok(n);
        };
        let n = plain.len().min(PLAINTEXT - (out.end() - start - before));
        out.extend(&plain[..n]);
        if out.end() - start - before == PLAINTEXT {
            self.finish(out)?;
        }
        Ok(n)
    }

    /// Seals the record that is being filled.
    pub(super) fn finish(&mut self, out: &mut Outgoing) -> Result<(), Error> {
        let Some(start) = self.open.take() else {
            return Ok(());
        };
        let (_, behind) = self.around();
        out.grow(behind);
        self.seal(ContentType::ApplicationData, None, start, out)
    }

    /// Seals one record out of `plain`, which is at most [`PLAINTEXT`] long, after the one being filled.
    pub(super) fn whole(&mut self, typ: ContentType, plain: &[u8], out: &mut Outgoing) -> Result<(), Error> {
        self.finish(out)?;
        // Alerts have to go out whatever the key has seen.
        self.check(if typ == ContentType::Alert {
            LAST_SEQUENCE
        } else {
            self.limit
        })?;
        let (before, behind) = self.around();
        let start = out.end();
        out.grow(before + plain.len() + behind);
        self.seal(typ, Some(plain), start, out)
    }

    fn check(&self, limit: u64) -> Result<(), Error> {
        if self.sequence < limit {
            Ok(())
        } else {
            Err(Error::EncryptError)
        }
    }

    /// Makes what lies from `start` on a record, or takes it away: plaintext never stays.
    fn seal(
        &mut self,
        typ: ContentType,
        source: Option<&[u8]>,
        start: usize,
        out: &mut Outgoing,
    ) -> Result<(), Error> {
        self.seal_record(typ, source, out.from(start)).map_err(|_| {
            out.truncate(start);
            Error::EncryptError
        })
    }

    /// The plaintext is `source`, or lies where it belongs already.
    fn seal_record(
        &mut self,
        typ: ContentType,
        source: Option<&[u8]>,
        record: &mut [u8],
    ) -> Result<(), aws_lc_rs::error::Unspecified> {
        let (before, behind) = self.around();
        let length = record.len() - HEADER;
        let (head, rest) = record.split_at_mut(before);
        let (body, tail) = rest.split_at_mut(rest.len() - behind);
        let nonce: [u8; NONCE_LEN] = Nonce::new(&self.iv, self.sequence).0;
        let aad13 = make_tls13_aad(length);
        let aad12 = make_tls12_aad(self.sequence, typ, ProtocolVersion::TLSv1_2, body.len());
        let inner = [u8::from(typ)];
        let (aad, extra): (&[u8], &[u8]) = match self.form {
            RecordForm::Tls13 => (&aad13, &inner),
            RecordForm::Tls12Gcm | RecordForm::Tls12ChaCha => (&aad12, &[]),
        };
        // The additional data of TLS 1.3 is the header itself.
        head[..HEADER].copy_from_slice(&aad13);
        if self.form != RecordForm::Tls13 {
            head[0] = inner[0];
        }
        if self.form == RecordForm::Tls12Gcm {
            head[HEADER..].copy_from_slice(&nonce[NONCE_LEN - EXPLICIT..]);
        }
        self.sequence += 1;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        match source {
            Some(plain) => {
                self.key
                    .seal_out_of_place_scatter(nonce, Aad::from(aad), plain, body, extra, tail)
            }
            None => self
                .key
                .seal_in_place_scatter(nonce, Aad::from(aad), body, extra, tail),
        }
    }

    #[cfg(test)]
    pub(super) fn wear_out(&mut self, left: u64) {
        self.limit = self.sequence + left;
    }
}
