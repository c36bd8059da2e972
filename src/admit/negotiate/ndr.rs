//! NDR (C706 chapter 14, MS-RPCE 2.2.6) as MS-PAC uses it: little-endian numbers, pointers whose targets follow later.

/// Longest name in UTF-16 units.
const MAX_TEXT: u32 = 1024;
/// Numbers of one security identifier (MS-DTYP 2.4.2.2).
const MAX_SID_PARTS: u8 = 15;

/// A security identifier as MS-DTYP 2.4.2.1 writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sid(String);

impl Sid {
    /// From its revision, authority and further numbers.
    fn new(revision: u8, authority: u64, parts: impl Iterator<Item = u32>) -> Self {
        let mut text = format!("S-{revision}-{authority}");
        for part in parts {
            text.push('-');
            text.push_str(&part.to_string());
        }
        Self(text)
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// The identifier of a member of this domain.
    pub(super) fn member(&self, relative: u32) -> String {
        format!("{}-{relative}", self.0)
    }
}

/// Reads from the front. Numbers stand at multiples of their length.
pub(super) struct Ndr<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A string's place in the fixed part: whether there is one.
pub(super) struct Text(bool);

impl<'a> Ndr<'a> {
    /// Numbers without a header.
    pub(super) fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What serialisation version 1 has after its two headers.
    pub(super) fn serialized(bytes: &'a [u8]) -> Option<Self> {
        let (header, _) = bytes.split_at_checked(16)?;
        // Version 1, little-endian, a header of eight bytes.
        header
            .starts_with(&[1, 0x10, 8, 0])
            .then_some(Self { bytes, at: 16 })
    }

    pub(super) fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.at = self.at.next_multiple_of(N);
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    /// Whether a pointer points to something.
    pub(super) fn pointer(&mut self) -> Option<bool> {
        Some(self.u32()? != 0)
    }

    /// RPC_UNICODE_STRING in the fixed part.
    pub(super) fn string(&mut self) -> Option<Text> {
        let _lengths = self.u32()?;
        self.pointer().map(Text)
    }

    /// The string that a pointer was for.
    pub(super) fn text(&mut self, text: &Text) -> Option<String> {
        if !text.0 {
            return Some(String::new());
        }
        let (_room, offset, length) = (self.u32()?, self.u32()?, self.u32()?);
        (offset == 0 && length <= MAX_TEXT).then_some(())?;
        utf16(self.take(2 * length as usize)?)
    }

    /// SID (MS-DTYP 2.4.2.3).
    pub(super) fn sid(&mut self) -> Option<Sid> {
        let conformance = self.u32()?;
        let [revision, count] = self.take(2)?.try_into().ok()?;
        (conformance == u32::from(count) && count <= MAX_SID_PARTS).then_some(())?;
        let authority = self
            .take(6)?
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let parts: Option<Vec<_>> = (0..count).map(|_| self.u32()).collect();
        Some(Sid::new(revision, authority, parts?.into_iter()))
    }

    /// The count of an array whose entries have eight bytes in the fixed part; no more than there are bytes for.
    fn array(&mut self, count: u32) -> Option<u32> {
        let left = self.bytes.len().saturating_sub(self.at) / 8;
        (self.u32()? == count && count as usize <= left).then_some(count)
    }

    /// Relative identifiers with their attributes.
    pub(super) fn memberships(&mut self, count: u32, there: bool) -> Option<Vec<(u32, u32)>> {
        if !there {
            return Some(Vec::new());
        }
        let count = self.array(count)?;
        (0..count).map(|_| Some((self.u32()?, self.u32()?))).collect()
    }

    /// Identifiers with their attributes: an array of pointers, then what they point to.
    pub(super) fn sids(&mut self, count: u32, there: bool) -> Option<Vec<(Sid, u32)>> {
        if !there {
            return Some(Vec::new());
        }
        let count = self.array(count)?;
        let entries: Option<Vec<_>> = (0..count).map(|_| Some((self.pointer()?, self.u32()?))).collect();
        let entries = entries?.into_iter().filter(|(there, _)| *there);
        entries
            .map(|(_, attributes)| Some((self.sid()?, attributes)))
            .collect()
    }
}

/// Text in UTF-16 that a log line can show.
pub(super) fn utf16(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|pair| {
        pair.iter()
            .rev()
            .fold(0, |sum, byte| (sum << 8) | u16::from(*byte))
    });
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    (!text.contains(char::is_control)).then_some(text)
}
