//! Numbers with a check: payment cards, bank accounts, social security numbers.

use std::ops::Range;

/// Payment cards (ISO/IEC 7812): 13 to 19 digits with an issuer's prefix and Luhn's check digit, together or in
/// groups with single spaces or hyphens; not inside of a longer number.
pub(super) fn cards(data: &[u8], into: &mut Vec<Range<usize>>) {
    runs(data, |run| {
        let text = &data[run.clone()];
        let digits: Vec<u8> = text
            .iter()
            .filter(|b| b.is_ascii_digit())
            .map(|b| b - b'0')
            .collect();
        if digits.len() >= 13 && card(&digits) && grouped(text) {
            into.push(run);
            return;
        }
        // Other numbers may stand beside it, with a space between them.
        let mut start = 0;
        while start < text.len() {
            let mut end = start;
            let mut digits = Vec::new();
            let mut found = None;
            while end < text.len() && digits.len() <= 19 {
                if text[end].is_ascii_digit() {
                    digits.push(text[end] - b'0');
                    let whole = text.get(end + 1).is_none_or(|next| !next.is_ascii_digit());
                    if whole && card(&digits) && grouped(&text[start..=end]) {
                        found = Some(end + 1);
                    }
                }
                end += 1;
            }
            if let Some(end) = found {
                into.push(run.start + start..run.start + end);
                start = end;
            }
            // The next group.
            let rest = &text[start..];
            start += rest
                .iter()
                .position(|b| !b.is_ascii_digit())
                .map_or(rest.len(), |at| at + 1);
        }
    });
}

/// Digits with single spaces or hyphens between them, at least 13 bytes.
fn runs(data: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut at = 0;
    // Of two neighbours in such a run one is a digit, so that twelve bytes can be skipped at a time.
    while at < data.len() {
        let near = data[at].is_ascii_digit() || data.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !near {
            at += 12;
            continue;
        }
        let middle = if data[at].is_ascii_digit() { at } else { at + 1 };
        let digit = |i: usize| data.get(i).is_some_and(u8::is_ascii_digit);
        let separator = |i: usize| matches!(data.get(i), Some(b' ' | b'-'));
        let mut start = middle;
        while start > 0 && (digit(start - 1) || (start > 1 && separator(start - 1) && digit(start - 2))) {
            start -= 1;
        }
        let mut end = middle + 1;
        while digit(end) || (separator(end) && digit(end + 1)) {
            end += 1;
        }
        let alone = |i: Option<usize>| {
            i.and_then(|i| data.get(i))
                .is_none_or(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_')))
        };
        let fraction = start > 1 && data[start - 1] == b'.' && digit(start - 2);
        if end - start >= 13 && alone(start.checked_sub(1)) && alone(Some(end)) && !fraction {
            found(start..end);
        }
        at = end + 1;
    }
}

/// Groups as they are printed: all together, or of three to seven digits with one kind of separator.
fn grouped(text: &[u8]) -> bool {
    let separators: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_digit()).collect();
    let Some(first) = separators.first() else {
        return true;
    };
    separators.iter().all(|separator| separator == first)
        && text
            .split(|b| b == first)
            .all(|group| (3..=7).contains(&group.len()))
}

fn card(digits: &[u8]) -> bool {
    issued(digits) && luhn(digits) && digits.iter().any(|digit| *digit != digits[0])
}

/// Prefixes and lengths that the networks publish.
fn issued(digits: &[u8]) -> bool {
    if digits.len() < 13 {
        return false;
    }
    let prefix = |n: usize| {
        digits[..n]
            .iter()
            .fold(0_u32, |all, &digit| all * 10 + u32::from(digit))
    };
    let length = digits.len();
    match digits[0] {
        4 => matches!(length, 13 | 16 | 19),
        5 => (51..=55).contains(&prefix(2)) && length == 16 || maestro(prefix(4)),
        2 => (2221..=2720).contains(&prefix(4)) && length == 16,
        3 => match prefix(2) {
            34 | 37 => length == 15,
            35 => (3528..=3589).contains(&prefix(4)) && (16..=19).contains(&length),
            30 => (300..=305).contains(&prefix(3)) && (14..=19).contains(&length),
            36 | 38 | 39 => (14..=19).contains(&length),
            _ => false,
        },
        6 => {
            (prefix(4) == 6011 || prefix(2) == 65 || (644..=649).contains(&prefix(3)))
                && (16..=19).contains(&length)
                || prefix(2) == 62 && (16..=19).contains(&length)
                || maestro(prefix(4))
        }
        _ => false,
    }
}

const fn maestro(prefix: u32) -> bool {
    matches!(
        prefix,
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761 | 6762 | 6763
    )
}

/// Luhn's check (ISO/IEC 7812-1 annex B).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(
            |(place, &digit)| match u32::from(digit) * (1 + place as u32 % 2) {
                more @ 10.. => more - 9,
                digit => digit,
            },
        )
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: a country, two check digits, up to 30 letters and digits, in one piece or in groups of four.
pub(super) fn ibans(data: &[u8], into: &mut Vec<Range<usize>>) {
    /// Countries of the registry with the length of their numbers.
    const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27\
        GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19\
        MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20";
    let mut next = 0;
    for (at, window) in data.windows(4).enumerate() {
        if at < next
            || !(window[2].is_ascii_digit() && window[3].is_ascii_digit())
            || !window[..2].iter().all(u8::is_ascii_uppercase)
            || (at > 0 && data[at - 1].is_ascii_alphanumeric())
        {
            continue;
        }
        let Some(entry) = LENGTHS
            .as_bytes()
            .chunks(4)
            .find(|entry| entry[..2] == window[..2])
        else {
            continue;
        };
        let length = usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0');
        let spaced = data.get(at + 4) == Some(&b' ');
        let mut text = Vec::new();
        let mut end = at;
        while text.len() < length {
            match data.get(end) {
                Some(byte) if byte.is_ascii_digit() || byte.is_ascii_uppercase() => text.push(*byte),
                Some(b' ') if spaced && !text.is_empty() && text.len() % 4 == 0 && data[end - 1] != b' ' => {}
                _ => break,
            }
            end += 1;
        }
        let alone = data.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        if text.len() == length && alone && mod_97(&text) == 1 {
            into.push(at..end);
            next = end;
        }
    }
}

/// ISO 7064: the first four behind the others, letters as 10 to 35.
fn mod_97(text: &[u8]) -> u32 {
    text[4..]
        .iter()
        .chain(&text[..4])
        .fold(0, |rest, &byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte.to_ascii_uppercase().wrapping_sub(b'A')) + 10) % 97,
        })
}

/// Nine digits as 3-2-4 with hyphens or spaces; without the areas, groups and serials that are never given out, and
/// the two numbers that were printed in advertisements.
pub(super) fn ssns(data: &[u8], into: &mut Vec<Range<usize>>) {
    for (at, window) in data.windows(11).enumerate() {
        let separator = window[3];
        if !matches!(separator, b'-' | b' ') || window[6] != separator {
            continue;
        }
        let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let beside = |i: Option<usize>| {
            i.and_then(|i| data.get(i))
                .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let (area, group, serial) = (&window[..3], &window[4..6], &window[7..]);
        if digits(area)
            && digits(group)
            && digits(serial)
            && !beside(at.checked_sub(1))
            && !beside(Some(at + 11))
            && !matches!(area, b"000" | b"666" | [b'9', ..])
            && group != b"00"
            && serial != b"0000"
            && !matches!(window, b"078-05-1120" | b"219-09-9999")
        {
            into.push(at..at + 11);
        }
    }
}
