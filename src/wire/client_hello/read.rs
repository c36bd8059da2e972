//! TLS's presentation language (RFC 8446 section 3): numbers and vectors with their lengths before them.

/// Bytes that are still to be read. Every method answers `None` when they do not suffice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, n: usize) -> Option<Self> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(Self(taken))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let (&bytes, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(bytes))
    }

    /// A vector of at most 255 bytes.
    pub(super) fn short_vector(&mut self) -> Option<Self> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector of at most 65535 bytes.
    pub(super) fn long_vector(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// An extension's type and data.
    pub(super) fn extension(&mut self) -> Option<(u16, Self)> {
        Some((self.u16()?, self.long_vector()?))
    }

    /// All that is left as 16-bit numbers, at least one, without the GREASE ones.
    pub(super) fn numbers(self) -> Option<Vec<u16>> {
        let (pairs, odd) = self.0.as_chunks::<2>();
        (odd.is_empty() && !pairs.is_empty()).then(|| {
            pairs
                .iter()
                .map(|pair| u16::from_be_bytes(*pair))
                .filter(|number| !is_grease(*number))
                .collect()
        })
    }

    /// One long vector of numbers and nothing after it.
    pub(super) fn only_numbers(mut self) -> Option<Vec<u16>> {
        let list = self.long_vector()?;
        self.is_empty().then(|| list.numbers())?
    }
}

/// The values that clients sprinkle in so that servers learn to ignore what they do not know: 0x0A0A, 0x1A1A
/// and so on to 0xFAFA (RFC 8701 section 2).
pub(super) fn is_grease(number: u16) -> bool {
    number & 0x0F0F == 0x0A0A && number >> 8 == number & 0xFF
}
