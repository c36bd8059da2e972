//! Durations as people write them: `500ms`, `10s`, `2m`, `1h30m`, `7d`.

use std::time::Duration;

/// More than this is a slip of the pen, and far below what the clock's arithmetic can hold.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads a duration: one or more whole numbers, each with a unit (`ms`, `s`, `m`, `h`, `d`), largest unit first.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut smallest: Option<u64> = None;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(|b| !b.is_ascii_digit()).count();
        // What follows the digits may be any text: a cut is only safe where a character begins.
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(wrong(text, "does not start with a number"));
        }
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "d" => 24 * 3600 * 1000,
            "" => return Err(wrong(text, "has no unit")),
            _ => {
                let what = format!("has the unknown unit {unit:?}");
                return Err(match meant(unit) {
                    Some(unit) if number.len() + letters == text.len() => {
                        format!("the duration {text:?} {what}; write \"{number}{unit}\"")
                    }
                    _ => wrong(text, &what),
                });
            }
        };
        if smallest.is_some_and(|s| millis >= s) {
            return Err(wrong(text, "has its units out of order"));
        }
        smallest = Some(millis);
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(millis))
            .map(Duration::from_millis);
        match part.and_then(|p| total.checked_add(p)) {
            Some(sum) if sum <= LONGEST => total = sum,
            _ => return Err(wrong(text, "is longer than a year")),
        }
        rest = after;
    }
    if smallest.is_none() {
        return Err(wrong(text, "is empty"));
    }
    if total.is_zero() {
        return Err(wrong(text, "is no time at all"));
    }
    Ok(total)
}

/// The unit that a word is probably meant for: `sec`, `Minutes`, ` s`.
fn meant(word: &str) -> Option<&'static str> {
    let word = word.trim().to_ascii_lowercase();
    let words = [
        ("ms", "milliseconds msec millis"),
        ("s", "s seconds secs"),
        ("m", "m minutes mins"),
        ("h", "h hours hrs hr"),
        ("d", "d days"),
    ];
    let found = words.iter().find(|(_, all)| {
        let mut all = all.split(' ');
        all.any(|full| full == word || (word.len() > 1 && full.starts_with(&word)))
    });
    found.map(|(unit, _)| *unit)
}

fn wrong(text: &str, what: &str) -> String {
    format!(
        "the duration {text:?} {what}; write a number and a unit, such as \"500ms\", \"10s\", \"2m\" or \"1h\""
    )
}

/// The shortest way to write `duration` that [`parse`] reads back, to the millisecond.
#[cfg(test)]
pub(super) fn format(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if millis >= size {
            text.push_str(&format!("{}{unit}", millis / size));
            millis %= size;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_their_sums() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 7 * 86_400_000),
            ("1h30m", 5_400_000),
            ("1m1s1ms", 61_001),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(format(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, what) in [
            ("", "is empty"),
            ("10", "has no unit"),
            ("s", "does not start with a number"),
            ("-5s", "does not start with a number"),
            ("10 s", "unknown unit \" s\""),
            ("1.5h", "unknown unit"),
            ("10S", "unknown unit"),
            ("5é", "unknown unit"),
            ("0s", "no time at all"),
            ("1s1h", "out of order"),
            ("1s1s", "out of order"),
            ("400d", "longer than a year"),
            ("99999999999999999999s", "longer than a year"),
            ("18446744073709551615ms", "longer than a year"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(what), "{text}: {error}");
            assert!(error.contains("\"10s\""), "{text}: {error}");
        }
    }

    #[test]
    fn every_mutation_is_read_or_refused_with_a_sentence() {
        let valid = "1d2h3m4s5ms";
        for end in 0..=valid.len() {
            let _ = parse(&valid[..end]);
        }
        for at in 0..valid.len() {
            for byte in 0..=127u8 {
                let mut bytes = valid.as_bytes().to_vec();
                bytes[at] = byte;
                let text = String::from_utf8(bytes).unwrap();
                if let Ok(duration) = parse(&text) {
                    assert_eq!(parse(&format(duration)), Ok(duration), "{text}");
                }
            }
        }
    }
}
