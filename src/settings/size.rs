//! Sizes as people write them: `64KiB`, `1MiB`, `10MB`, or a number of bytes.

/// The units, largest first: those of IEC 80000-13, and the powers of ten that disks are sold by.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// Reads a whole number with a unit, or of bytes.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let wrong = |what: &str| {
        format!("the size {text:?} {what}; write a number and a unit, such as \"64KiB\" or \"1MiB\"")
    };
    if number.is_empty() {
        return Err(wrong("does not start with a number"));
    }
    let factor = match unit.trim_start() {
        "" => 1,
        unit => UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
            .ok_or_else(|| {
                let first = unit.get(..1).unwrap_or_default();
                // `M` and `megabytes`.
                let meant = UNITS.iter().find(|(name, _)| {
                    name.ends_with("iB") && name.get(..1).is_some_and(|own| own.eq_ignore_ascii_case(first))
                });
                match meant {
                    Some((name, _)) => {
                        format!("the size {text:?} has the unknown unit {unit:?}; write \"{number}{name}\"")
                    }
                    None => wrong(&format!("has the unknown unit {unit:?}")),
                }
            })?,
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| wrong("is too large"))
}

/// The shortest way to write `bytes` that [`parse`] reads back.
pub(super) fn format(bytes: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| bytes >= *factor && bytes.is_multiple_of(*factor);
    // Powers of two are what memory comes in.
    let binary = UNITS.iter().filter(|(name, _)| name.contains('i'));
    match binary.clone().find(fits) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("64kib", 65_536),
            ("10kB", 10_000),
            ("10KB", 10_000),
            ("1MiB", 1 << 20),
            ("10MB", 10_000_000),
            ("2GiB", 2 << 30),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, what) in [
            ("", "does not start with a number"),
            ("-1", "does not start with a number"),
            ("MiB", "does not start with a number"),
            ("1.5MiB", "unknown unit \".5MiB\""),
            ("1M", "unknown unit \"M\""),
            ("1é", "unknown unit"),
            ("99999999999GiB", "too large"),
            ("99999999999999999999", "too large"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(
                error.contains(what) && error.contains("\"1MiB\""),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64) {
            prop_assert_eq!(parse(&format(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
