//! Text of others on its way to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything as an escape that a terminal would obey, or that would show it in another order: controls of
/// ASCII and of Latin-1 (C0, DEL, C1), line and paragraph separators, and what directs bidirectional text (Unicode Standard
/// Annex #9). A tab and a line's end stay with `lines`.
pub fn printable(text: &str, lines: bool) -> Cow<'_, str> {
    let harms = |c: char| match c {
        '\n' | '\t' => !lines,
        // Characters without width hide what is there.
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    };
    if !text.contains(harms) {
        return text.into();
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !harms(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            // Writing to a string cannot fail.
            c if u32::from(c) < 0x100 => {
                let _ = write!(safe, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    safe.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_obey_is_an_escape() {
        for (text, safe) in [
            ("Grüße, 世界 🦀", "Grüße, 世界 🦀"),
            ("\x1b[2Jgone", "\\x1b[2Jgone"),
            ("\u{9b}31m", "\\x9b31m"),
            ("a\x07\x7fb", "a\\x07\\x7fb"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{feff}a\u{200b}", "\\u{feff}a\\u{200b}"),
        ] {
            assert_eq!(printable(text, false), safe);
        }
        assert_eq!(printable("a\n\tb\x1b", true), "a\n\tb\\x1b");
        assert!(matches!(printable("plain", false), Cow::Borrowed("plain")));
    }

    proptest! {
        #[test]
        fn nothing_that_harms_is_left(text in any::<String>(), lines: bool) {
            let safe = printable(&text, lines);
            prop_assert!(safe.chars().all(|c| !c.is_control() || (lines && "\n\t".contains(c))));
            let hides = safe.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}']);
            prop_assert!(!hides);
        }
    }
}
