//! Bytes as people read them.

use std::fmt::Write;

/// Offset, hexadecimal digits and ASCII, sixteen bytes a line, at most so many of them.
pub(super) fn dump(bytes: &[u8], most: usize, indent: &str) -> String {
    let mut out = String::new();
    let shown = &bytes[..bytes.len().min(most)];
    for (line, chunk) in shown.chunks(16).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{indent}{:06x} ", line * 16);
        for at in 0..16 {
            let gap = if at == 8 { "  " } else { " " };
            match chunk.get(at) {
                Some(byte) => {
                    let _ = write!(out, "{gap}{byte:02x}");
                }
                None => {
                    let _ = write!(out, "{gap}  ");
                }
            }
        }
        let text: String = (chunk.iter())
            .map(|byte| {
                if (0x20..0x7f).contains(byte) {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        let _ = writeln!(out, "  {text}");
    }
    if bytes.len() > most {
        let _ = writeln!(out, "{indent}... {} more bytes", bytes.len() - most);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_digits_and_what_they_spell() {
        assert_eq!(
            dump(b"\x82\x00hello, world\xff!more", 16, "  "),
            "  000000  82 00 68 65 6c 6c 6f 2c  20 77 6f 72 6c 64 ff 21  ..hello, world.!\n  ... 4 more bytes\n"
        );
        assert!(dump(b"ab", 16, "").starts_with("000000  61 62   "));
        assert_eq!(dump(b"", 16, ""), "");
    }
}
