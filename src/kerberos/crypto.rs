//! Kerberos encryption types: AES with SHA1 (RFC 3962 on the simplified profile of RFC 3961) and with SHA2 (RFC 8009).
//!
//! RC4 and DES are left out: RFC 8429 and RFC 6649 deprecate them.

use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{hmac, rand};
use std::fmt;

/// Length of an AES block, and of the confounder before each plaintext.
const BLOCK: usize = 16;

/// An encryption type that is accepted (RFC 3961 section 8, RFC 8009 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Etype {
    /// aes128-cts-hmac-sha1-96, 17.
    Aes128Sha1,
    /// aes256-cts-hmac-sha1-96, 18.
    Aes256Sha1,
    /// aes128-cts-hmac-sha256-128, 19.
    Aes128Sha256,
    /// aes256-cts-hmac-sha384-192, 20.
    Aes256Sha384,
}

impl Etype {
    /// All of them, the strongest first.
    pub(crate) const ALL: [Self; 4] = [
        Self::Aes256Sha384,
        Self::Aes128Sha256,
        Self::Aes256Sha1,
        Self::Aes128Sha1,
    ];

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        match number {
            17 => Some(Self::Aes128Sha1),
            18 => Some(Self::Aes256Sha1),
            19 => Some(Self::Aes128Sha256),
            20 => Some(Self::Aes256Sha384),
            _ => None,
        }
    }

    /// The number in messages.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Aes128Sha1 => 17,
            Self::Aes256Sha1 => 18,
            Self::Aes128Sha256 => 19,
            Self::Aes256Sha384 => 20,
        }
    }

    /// The number of the checksum type that goes with it.
    pub(crate) fn checksum_number(self) -> u32 {
        match self {
            Self::Aes128Sha1 => 15,
            Self::Aes256Sha1 => 16,
            Self::Aes128Sha256 => 19,
            Self::Aes256Sha384 => 20,
        }
    }

    /// Bytes of a key.
    pub(crate) fn key_length(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes128Sha256 => 16,
            Self::Aes256Sha1 | Self::Aes256Sha384 => 32,
        }
    }

    /// Bytes of a checksum, behind a ciphertext or alone.
    pub(crate) fn mac_length(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => 12,
            Self::Aes128Sha256 => 16,
            Self::Aes256Sha384 => 24,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Aes128Sha256 => hmac::HMAC_SHA256,
            Self::Aes256Sha384 => hmac::HMAC_SHA384,
        }
    }

    fn is_sha1(self) -> bool {
        matches!(self, Self::Aes128Sha1 | Self::Aes256Sha1)
    }
}

/// What the derived keys of one usage are for (RFC 3961 section 5.3, RFC 8009 section 3).
#[derive(Clone, Copy)]
enum Purpose {
    Checksum = 0x99,
    Encryption = 0xaa,
    Integrity = 0x55,
}

/// A key: of the keytab, of a ticket, or made by the client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    etype: Etype,
    bytes: Vec<u8>,
}

/// Never shows the bytes.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("etype", &self.etype)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// `None` if the length is not that of the type.
    pub(crate) fn new(etype: Etype, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.to_vec();
        (bytes.len() == etype.key_length()).then_some(Self { etype, bytes })
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn etype(&self) -> Etype {
        self.etype
    }

    /// The plaintext, if the integrity of `cipher` holds under this key and usage.
    pub(crate) fn decrypt(&self, usage: u32, cipher: &[u8]) -> Option<Vec<u8>> {
        let end = cipher.len().checked_sub(self.etype.mac_length())?;
        let (cipher, mac) = cipher.split_at(end);
        if cipher.len() < BLOCK {
            return None;
        }
        let verified = |parts: &[&[u8]]| {
            let own = self.mac(usage, Purpose::Integrity, parts)?;
            verify_slices_are_equal(&own, mac).ok()
        };
        if !self.etype.is_sha1() {
            // The whole initial vector is part of what is protected (RFC 8009 section 5).
            verified(&[&[0; BLOCK], cipher])?;
        }
        let key = self.derived(usage, Purpose::Encryption)?;
        let mut plain = uncts(|| cipher_key(&key), cipher)?;
        if self.etype.is_sha1() {
            verified(&[&plain])?;
        }
        plain.drain(..BLOCK);
        Some(plain)
    }

    /// A ciphertext with its integrity.
    pub(crate) fn encrypt(&self, usage: u32, plain: &[u8]) -> Option<Vec<u8>> {
        let mut confounder = [0; BLOCK];
        rand::fill(&mut confounder).ok()?;
        self.encrypt_with(usage, confounder, plain)
    }

    fn encrypt_with(&self, usage: u32, confounder: [u8; BLOCK], plain: &[u8]) -> Option<Vec<u8>> {
        let text = [&confounder, plain].concat();
        let key = self.derived(usage, Purpose::Encryption)?;
        let mut cipher = cts(cipher_key(&key)?, &text)?;
        let mac = if self.etype.is_sha1() {
            self.mac(usage, Purpose::Integrity, &[&text])?
        } else {
            self.mac(usage, Purpose::Integrity, &[&[0; BLOCK], &cipher])?
        };
        cipher.extend(mac);
        Some(cipher)
    }

    /// The checksum of the concatenation of `parts`.
    pub(crate) fn checksum(&self, usage: u32, parts: &[&[u8]]) -> Option<Vec<u8>> {
        self.mac(usage, Purpose::Checksum, parts)
    }

    /// Whether `mac` is the checksum of the concatenation of `parts`.
    pub(crate) fn verifies(&self, usage: u32, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.checksum(usage, parts)
            .is_some_and(|own| verify_slices_are_equal(&own, mac).is_ok())
    }

    fn mac(&self, usage: u32, purpose: Purpose, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let key = hmac::Key::new(self.etype.hmac(), &self.derived(usage, purpose)?);
        let mut context = hmac::Context::with_key(&key);
        for part in parts {
            context.update(part);
        }
        let mut mac = context.sign().as_ref().to_vec();
        mac.truncate(self.etype.mac_length());
        Some(mac)
    }

    fn derived(&self, usage: u32, purpose: Purpose) -> Option<Vec<u8>> {
        let [a, b, c, d] = usage.to_be_bytes();
        let constant = [a, b, c, d, purpose as u8];
        if self.etype.is_sha1() {
            return self.derived_by_folding(&constant);
        }
        let bytes = match (self.etype, purpose) {
            (Etype::Aes256Sha384, Purpose::Encryption) => 32,
            (Etype::Aes256Sha384, _) => 24,
            _ => 16,
        };
        // KDF-HMAC-SHA2 of RFC 8009 section 3: one block of NIST SP 800-108 in counter mode.
        let mut context = hmac::Context::with_key(&hmac::Key::new(self.etype.hmac(), &self.bytes));
        context.update(&[0, 0, 0, 1]);
        context.update(&constant);
        context.update(&[0]);
        context.update(&(8 * bytes as u32).to_be_bytes());
        let mut derived = context.sign().as_ref().to_vec();
        derived.truncate(bytes);
        Some(derived)
    }

    /// DK of RFC 3961 section 5.1.
    fn derived_by_folding(&self, constant: &[u8]) -> Option<Vec<u8>> {
        let mut block: [u8; BLOCK] = fold(constant);
        let mut derived = Vec::with_capacity(self.bytes.len());
        while derived.len() < self.bytes.len() {
            cbc_encrypt(cipher_key(&self.bytes)?, &mut block)?;
            derived.extend(block);
        }
        derived.truncate(self.bytes.len());
        Some(derived)
    }
}

/// CBC with ciphertext stealing (RFC 3962 section 5): the last two blocks change places, and the last is cut to the
/// length of the text, which is not shorter than a block.
fn cts(key: UnboundCipherKey, text: &[u8]) -> Option<Vec<u8>> {
    let mut blocks = text.to_vec();
    blocks.resize(text.len().next_multiple_of(BLOCK), 0);
    cbc_encrypt(key, &mut blocks)?;
    if let Some(last) = blocks.len().checked_sub(BLOCK)
        && let Some(before) = last.checked_sub(BLOCK)
    {
        let (head, tail) = blocks.split_at_mut(last);
        head[before..].swap_with_slice(tail);
    }
    blocks.truncate(text.len());
    Some(blocks)
}

/// The inverse of [`cts`]; `cipher` is not shorter than a block.
fn uncts(key: impl Fn() -> Option<UnboundCipherKey>, cipher: &[u8]) -> Option<Vec<u8>> {
    let length = cipher.len();
    let mut blocks = cipher.to_vec();
    if length > BLOCK {
        // The block before the last holds what CBC made last. Decrypted by itself, its end is what the cut block lost.
        let full = length.next_multiple_of(BLOCK) - 2 * BLOCK;
        let whole: [u8; BLOCK] = cipher.get(full..full + BLOCK)?.try_into().ok()?;
        let mut lost = whole;
        cbc_decrypt(key()?, &mut lost)?;
        let cut = cipher.get(full + BLOCK..)?;
        blocks.truncate(full);
        blocks.extend(cut);
        blocks.extend(&lost[cut.len()..]);
        blocks.extend(whole);
    }
    cbc_decrypt(key()?, &mut blocks)?;
    blocks.truncate(length);
    Some(blocks)
}

/// `None` if it is not the length of a key.
fn cipher_key(key: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, key).ok()
}

/// `blocks` in CBC mode with the initial vector zero.
fn cbc_encrypt(key: UnboundCipherKey, blocks: &mut [u8]) -> Option<()> {
    let zero = EncryptionContext::Iv128(FixedLength::from([0; BLOCK]));
    let key = EncryptingKey::cbc(key).ok()?;
    key.less_safe_encrypt(blocks, zero).ok().map(|_| ())
}

fn cbc_decrypt(key: UnboundCipherKey, blocks: &mut [u8]) -> Option<()> {
    let zero = DecryptionContext::Iv128(FixedLength::from([0; BLOCK]));
    let key = DecryptingKey::cbc(key).ok()?;
    key.decrypt(blocks, zero).ok().map(|_| ())
}

/// n-fold of RFC 3961 section 5.1: copies of the input, each turned right by 13 more bits, are cut into pieces of `N`
/// bytes and added up in ones' complement.
fn fold<const N: usize>(input: &[u8]) -> [u8; N] {
    let bits = input.len() * 8;
    let length = lcm(input.len(), N);
    let byte = |at: usize| {
        let turn = 13 * (at / input.len()) % bits;
        let start = (at % input.len()) * 8 + bits - turn;
        let bit = |n: usize| (input[(start + n) % bits / 8] >> (7 - (start + n) % 8)) & 1;
        (0..8).fold(0, |byte, n| (byte << 1) | bit(n))
    };
    let mut sum = [0_u32; N];
    for at in 0..length {
        sum[at % N] += u32::from(byte(at));
    }
    // What is carried out of the first byte comes back into the last.
    while sum.iter().any(|part| *part > 0xff) {
        let mut carry = 0;
        for part in sum.iter_mut().rev() {
            *part += carry;
            carry = *part >> 8;
            *part &= 0xff;
        }
        sum[N - 1] += carry;
    }
    sum.map(|part| part as u8)
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests;
