//! Values of ACLs: addresses, ports, times, expressions.

use super::term::Range;
use crate::decide::ere;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::TryFromIntError;
use std::ops::RangeInclusive;

/// Squid's `ADDRESS`, `ADDRESS/BITS`, `ADDRESS/MASK`, `FIRST-LAST` and `FIRST-LAST/MASK`; `all` is both families.
///
/// # Errors
/// It is none of these, such as the name of a host.
pub(super) fn ranges(text: &str) -> Result<Vec<Range>, String> {
    match text {
        "all" => return Ok(vec![everything(true), everything(false)]),
        "ipv4" => return Ok(vec![everything(true)]),
        "ipv6" => return Ok(vec![everything(false)]),
        _ => {}
    }
    let wrong = || format!("{text:?} is no address or network");
    let (addresses, mask) = match text.split_once('/') {
        Some((addresses, mask)) => (addresses, Some(mask)),
        None => (text, None),
    };
    let (first, last) = match addresses.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (addresses, None),
    };
    let parse = |text: &str| {
        text.trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .map_err(|_| wrong())
    };
    let first = parse(first)?;
    let bits = match mask {
        None => {
            if first.is_ipv4() {
                32
            } else {
                128
            }
        }
        Some(mask) => bits(mask, first.is_ipv4()).ok_or_else(wrong)?,
    };
    let (low, high) = around(first, bits);
    let (low, high) = match last {
        None => (low, high),
        Some(last) => (low, around(parse(last)?, bits).1),
    };
    if low.is_ipv4() != high.is_ipv4() || low > high {
        return Err(wrong());
    }
    let text = match last {
        Some(_) => format!("{low}-{high}"),
        None if low == high => low.to_string(),
        None => format!("{low}/{bits}"),
    };
    Ok(vec![Range {
        first: low,
        last: high,
        text,
    }])
}

fn everything(is_ipv4: bool) -> Range {
    if is_ipv4 {
        Range {
            first: Ipv4Addr::UNSPECIFIED.into(),
            last: Ipv4Addr::BROADCAST.into(),
            text: "0.0.0.0/0".into(),
        }
    } else {
        Range {
            first: Ipv6Addr::UNSPECIFIED.into(),
            last: Ipv6Addr::from(u128::MAX).into(),
            text: "::/0".into(),
        }
    }
}

/// A range as networks.
pub(super) fn networks(range: &Range) -> Vec<String> {
    match (range.first, range.last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let nets = ipnet::Ipv4Subnets::new(first, last, 0);
            nets.map(|net| net.to_string()).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let nets = ipnet::Ipv6Subnets::new(first, last, 0);
            nets.map(|net| net.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

/// All addresses of both families that are in none of these.
pub(super) fn others(ranges: &[Range]) -> Vec<Range> {
    let mut found = Vec::new();
    for family in [everything(true), everything(false)] {
        let mut inside: Vec<_> = ranges
            .iter()
            .filter(|range| range.first.is_ipv4() == family.first.is_ipv4())
            .map(|range| (number(range.first), number(range.last)))
            .collect();
        inside.sort_unstable();
        let address = |number: u128| -> Result<IpAddr, TryFromIntError> {
            match family.first {
                IpAddr::V4(_) => u32::try_from(number).map(|number| Ipv4Addr::from(number).into()),
                IpAddr::V6(_) => Ok(Ipv6Addr::from(number).into()),
            }
        };
        let mut gap = |first: u128, last: u128| {
            if let (Ok(first), Ok(last)) = (address(first), address(last)) {
                let text = format!("{first}-{last}");
                found.push(Range { first, last, text });
            }
        };
        let end = number(family.last);
        let mut next = Some(0);
        for (first, last) in inside {
            let Some(begin) = next else { break };
            if begin < first {
                gap(begin, first - 1);
            }
            next = if last == end {
                None
            } else {
                Some(begin.max(last + 1))
            };
        }
        if let Some(begin) = next {
            gap(begin, end);
        }
    }
    found
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The length of a prefix, by its number or as a mask.
fn bits(mask: &str, is_ipv4: bool) -> Option<u8> {
    if let Ok(bits) = mask.parse::<u8>() {
        return (bits <= if is_ipv4 { 32 } else { 128 }).then_some(bits);
    }
    let (value, length) = match mask.parse::<IpAddr>().ok()? {
        IpAddr::V4(mask) if is_ipv4 => (u128::from(u32::from(mask)) << 96, 32),
        IpAddr::V6(mask) if !is_ipv4 => (u128::from(mask), 128),
        _ => return None,
    };
    let bits = value.leading_ones();
    (value.checked_shl(bits).unwrap_or(0) == 0 && bits <= length)
        .then(|| u8::try_from(bits).ok())
        .flatten()
}

/// The first and the last address that share so many bits.
fn around(address: IpAddr, bits: u8) -> (IpAddr, IpAddr) {
    match address {
        IpAddr::V4(ip) => {
            let host = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            let low = u32::from(ip) & !host;
            (Ipv4Addr::from(low).into(), Ipv4Addr::from(low | host).into())
        }
        IpAddr::V6(ip) => {
            let host = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
            let low = u128::from(ip) & !host;
            (Ipv6Addr::from(low).into(), Ipv6Addr::from(low | host).into())
        }
    }
}

/// `443` or `1025-65535`.
pub(super) fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u16>().ok()?.max(1), last.parse::<u16>().ok()?);
    (first <= last).then_some(first..=last)
}

/// Squid's `[days] [h1:m1-h2:m2]`, as this proxy writes hours. Days count for the hours behind them, and a hyphen between two
/// days means nothing.
///
/// # Errors
/// A word is neither, or a time ends before it begins, with which Squid would not start.
pub(super) fn hours(words: &[&str]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut days: Vec<&str> = Vec::new();
    for word in words {
        if !word.starts_with(|c: char| c.is_ascii_digit()) {
            for letter in word.chars().filter(|letter| *letter != '-') {
                let day = day(letter).ok_or_else(|| {
                    format!(
                        "{letter:?} in {word:?} is no day; Squid has S M T W H F A, and D for Monday to Friday"
                    )
                })?;
                if !days.contains(&day) {
                    days.push(day);
                }
            }
            continue;
        }
        let clock = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
        };
        let times = word
            .split_once('-')
            .and_then(|(from, until)| Some((clock(from)?, clock(until)?)));
        let Some((from, until)) = times else {
            return Err(format!("{word:?} is no time; Squid has 8:00-17:00"));
        };
        if from > until {
            return Err(format!(
                "{word:?} ends before it begins, with which Squid would not start: write two times"
            ));
        }
        // Squid's last minute is the whole of it.
        let until = (until + 1).min(24 * 60);
        let shown = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let hours = format!("{}-{}", shown(from), shown(until));
        found.push(match days.is_empty() {
            true => hours,
            false => format!("{} {hours}", days.join(",")),
        });
        days.clear();
    }
    if !days.is_empty() {
        found.push(days.join(","));
    }
    Ok(found)
}

fn day(letter: char) -> Option<&'static str> {
    Some(match letter {
        'S' => "Sun",
        'M' => "Mon",
        'T' => "Tue",
        'W' => "Wed",
        'H' => "Thu",
        'F' => "Fri",
        'A' => "Sat",
        'D' => "Mon-Fri",
        _ => return None,
    })
}

/// Squid's time in seconds; 0 if it is none.
pub(super) fn seconds(number: &str, unit: &str) -> f64 {
    let number: f64 = number
        .parse()
        .ok()
        .filter(|number: &f64| *number > 0.0)
        .unwrap_or_default();
    let unit = match unit.trim_end_matches('s') {
        "millisecond" => 0.001,
        "" | "second" => 1.0,
        "minute" => 60.0,
        "hour" => 3600.0,
        "day" => 86_400.0,
        "week" => 604_800.0,
        "fortnight" => 1_209_600.0,
        "month" => 2_592_000.0,
        "year" => 31_536_000.0,
        _ => 0.0,
    };
    number * unit
}

/// Squid's time as this proxy writes durations; nothing for none, and for more than a year.
pub(super) fn duration(number: &str, unit: &str) -> Option<String> {
    let seconds = seconds(number, unit);
    if seconds > 31_536_000.0 {
        return None;
    }
    // A year of milliseconds is far below 2^53.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let milliseconds = (seconds * 1000.0).round() as u64;
    Some(match milliseconds {
        0 => return None,
        it if it % 86_400_000 == 0 => format!("{}d", it / 86_400_000),
        it if it % 3_600_000 == 0 => format!("{}h", it / 3_600_000),
        it if it % 60_000 == 0 => format!("{}m", it / 60_000),
        it if it % 1000 == 0 => format!("{}s", it / 1000),
        it => format!("{it}ms"),
    })
}

/// Expressions as one in the syntax that rules here have, searched for in text.
///
/// # Errors
/// The first that cannot be used, and why.
pub(super) fn expression<'v>(values: impl Iterator<Item = (&'v str, bool)>) -> Result<String, String> {
    let mut parts = Vec::new();
    for (text, ignore_case) in values {
        let part = ere::translate_text(text, ignore_case).map_err(|error| format!("{text:?}: {error}"))?;
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Ok(match &parts[..] {
        [one] => one.clone(),
        // Flags hold for the group that they are in.
        several => several
            .iter()
            .map(|part| format!("(?:{part})"))
            .collect::<Vec<_>>()
            .join("|"),
    })
}

/// What IANA registers media types below.
const TOP_LEVEL: [&str; 9] = [
    "application",
    "audio",
    "font",
    "image",
    "message",
    "model",
    "multipart",
    "text",
    "video",
];

/// The beginnings of media types that expressions are about, where they are a few plain ones.
///
/// # Errors
/// The first that says more than that.
pub(super) fn media_types<'v>(values: impl Iterator<Item = &'v str>) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    for written in values {
        let wrong = || format!("{written:?} is more than the beginning of a media type");
        let text = written.to_ascii_lowercase();
        let (text, is_anchored) = match text.strip_prefix('^') {
            Some(rest) => (rest, true),
            None => (&*text, false),
        };
        let text = text.strip_suffix('$').unwrap_or(text);
        let text = text.strip_suffix(".*").unwrap_or(text);
        let parsed = regex_syntax::parse(text).map_err(|_| wrong())?;
        let literals = regex_syntax::hir::literal::Extractor::new().extract(&parsed);
        let literals = literals
            .literals()
            .filter(|_| literals.is_exact())
            .ok_or_else(wrong)?;
        for literal in literals {
            let literal = std::str::from_utf8(literal.as_bytes()).map_err(|_| wrong())?;
            let kind = literal.split('/').next().unwrap_or_default();
            // Without an anchor it is searched anywhere; what has a type in front stands at the beginning.
            if literal.is_empty() || !(is_anchored || TOP_LEVEL.contains(&kind)) {
                return Err(wrong());
            }
            found.insert(literal.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_beginnings_or_nothing() {
        let of = |values: &[&str]| {
            media_types(values.iter().copied()).map(|found| Vec::from_iter(found).join(" "))
        };
        for (values, wanted) in [
            (&["application/x-msi"][..], "application/x-msi"),
            (&["^video/", "^audio/.*$"], "audio/ video/"),
            (&["^(Audio|video)/.*"], "audio/ video/"),
            (
                &[r"^application/x-shockwave-flash$", "video"],
                "application/x-shockwave-flash video",
            ),
            (&[r"image/svg\+xml"], "image/svg+xml"),
        ] {
            assert_eq!(of(values).as_deref(), Ok(wanted), "{values:?}");
        }
        for value in ["mpeg", ".*", "^", "x-msi$", "^[a-z]+/", "application/.*zip", "("] {
            assert!(of(&[value]).is_err(), "{value}");
        }
    }

    #[test]
    fn ranges_are_networks() {
        let of = |text: &str| {
            ranges(text)
                .unwrap()
                .iter()
                .flat_map(networks)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("10.0.0.0/8"), ["10.0.0.0/8"]);
        assert_eq!(of("10.0.0.1-10.0.0.2"), ["10.0.0.1/32", "10.0.0.2/32"]);
        assert_eq!(of("all"), ["0.0.0.0/0", "::/0"]);
        let without = |texts: &[&str]| {
            let ranges: Vec<_> = texts.iter().flat_map(|text| ranges(text).unwrap()).collect();
            others(&ranges).iter().flat_map(networks).collect::<Vec<_>>()
        };
        assert_eq!(without(&[]), ["0.0.0.0/0", "::/0"]);
        assert_eq!(without(&["all"]), Vec::<String>::new());
        assert_eq!(
            without(&["128.0.0.0/1", "0.0.0.0-63.255.255.255", "10.0.0.0/8", "ipv6"]),
            ["64.0.0.0/2"]
        );
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        for (text, wanted) in [
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/255.255.0.0", "10.1.0.0/16"),
            ("10.1.0.0-10.1.0.9", "10.1.0.0-10.1.0.9"),
            ("0.0.0.1-0.255.255.255", "0.0.0.1-0.255.255.255"),
            ("192.168.1.0-192.168.3.0/24", "192.168.1.0-192.168.3.255"),
            ("fe80::/10", "fe80::/10"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ] {
            let found = ranges(text).unwrap();
            assert_eq!(found[0].text, wanted, "{text}");
        }
        for text in [
            "host.example",
            "10.0.0.0/33",
            "10.0.0.0/255.0.255.0",
            "10.0.0.9-10.0.0.1",
            "",
            "10.0.0.1-::1",
        ] {
            assert!(ranges(text).is_err(), "{text}");
        }
        assert_eq!(ranges("all").unwrap().len(), 2);
    }

    #[test]
    fn hours_are_written_as_rules_have_them() {
        for (words, wanted) in [
            (
                &["MTWHF", "8:00-17:30"][..],
                &["Mon,Tue,Wed,Thu,Fri 08:00-17:31"][..],
            ),
            (&["D"], &["Mon-Fri"]),
            (&["AS"], &["Sat,Sun"]),
            (&["00:00-23:59"], &["00:00-24:00"]),
            (&["A", "S", "9:00-10:00"], &["Sat,Sun 09:00-10:01"]),
            (&["M-F", "0:00-24:00", "A"], &["Mon,Fri 00:00-24:00", "Sat"]),
        ] {
            let found = hours(words).unwrap();
            assert_eq!(found, wanted);
            for hours in found {
                crate::decide::Hours::parse(&hours).unwrap();
            }
        }
        for word in ["X", "8-9", "22:00-06:00", "8:00-24:01", "8:00-7:5x"] {
            assert!(hours(&[word]).is_err(), "{word}");
        }
    }

    #[test]
    fn times_have_units() {
        for (number, unit, wanted) in [
            ("2", "hours", Some("2h")),
            ("90", "minutes", Some("90m")),
            ("1", "minute", Some("1m")),
            ("1.5", "seconds", Some("1500ms")),
            ("0", "seconds", None),
            ("9", "years", None),
            ("x", "seconds", None),
            ("2", "moons", None),
        ] {
            assert_eq!(duration(number, unit).as_deref(), wanted, "{number} {unit}");
        }
    }

    #[test]
    fn expressions_are_joined() {
        let of = |values: &[(&str, bool)]| expression(values.iter().copied()).unwrap();
        let is_match =
            |values: &[(&str, bool)], text: &str| regex::Regex::new(&of(values)).unwrap().is_match(text);
        assert!(is_match(&[(r"\.exe$", true)], "/a.EXE"));
        assert!(!is_match(&[(r"\.exe$", false)], "/a.EXE"));
        assert!(
            is_match(&[("^/x", true), ("B", false)], "/X") && !is_match(&[("^/x", true), ("B", false)], "b")
        );
        assert!(expression([("a(", false)].into_iter()).is_err());
    }
}
