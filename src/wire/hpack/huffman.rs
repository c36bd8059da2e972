//! The code of RFC 7541 appendix B. It is canonical: codes of one length follow each other in the order of their
//! symbols, so that the lengths are all there is to know.

/// The length of each byte's code in bits, and of the end of a string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

/// The symbol of the end, which no string may have in it.
const END: usize = 256;

/// The longest code, in bits.
const LONGEST: usize = 30;

/// What a string says; `None` if it is not of this code.
pub(super) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let codes = Codes::new();
    let mut text = Vec::with_capacity(coded.len() * 2);
    let (mut code, mut length) = (0_u32, 0);
    for bit in coded
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
    {
        (code, length) = (code << 1 | u32::from(bit), length + 1);
        if let Some(symbol) = codes.symbol(code, length)? {
            text.push(u8::try_from(symbol).ok()?);
            (code, length) = (0, 0);
        }
    }
    // Less than a byte of padding, the beginning of the end's code: ones.
    (length < 8 && code == (1 << length) - 1).then_some(text)
}

struct Codes {
    /// How many codes there are of each length.
    counts: [u32; LONGEST + 1],
    /// The symbols by the length of their codes, and by themselves.
    symbols: Vec<usize>,
}

impl Codes {
    fn new() -> Self {
        let mut counts = [0; LONGEST + 1];
        for &length in &LENGTHS {
            if let Some(count) = counts.get_mut(usize::from(length)) {
                *count += 1;
            }
        }
        let mut symbols: Vec<usize> = (0..=END).collect();
        symbols.sort_by_key(|&symbol| LENGTHS.get(symbol));
        Self { counts, symbols }
    }

    /// The symbol of a code of this length; an inner `None` for the beginning of a longer one.
    fn symbol(&self, code: u32, length: usize) -> Option<Option<usize>> {
        let (mut first, mut before) = (0, 0);
        for &count in self.counts.get(1..length)? {
            first = (first + count) << 1;
            before += count;
        }
        let count = *self.counts.get(length)?;
        match code.checked_sub(first) {
            Some(at) if at < count => Some(Some(*self.symbols.get((before + at) as usize)?)),
            _ => Some(None),
        }
    }
}
