//! The path of a request, as the different ways to write it are one and the same (RFC 3986 section 6.2.2).

use std::borrow::Cow;

/// What becomes of a slash behind another one. RFC 3986 keeps both, and most servers read them as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slashes {
    /// They stay, and there is a segment without a name between them.
    Kept,
    /// They are one.
    Merged,
}

/// The path with its query in the one form that all equivalent ones have: percent-encoding in upper case, and only where a
/// character needs it (sections 6.2.2.1 and 6.2.2.2); without dot segments in the path (6.2.2.3). A percent sign that
/// begins no encoding is one that stands for itself, and becomes `%25`. What has that form is borrowed.
pub fn normalised(path: &str, slashes: Slashes) -> Cow<'_, str> {
    let plain = triplets(path);
    let end = plain.find(['?', '#']).unwrap_or(plain.len());
    let (before, after) = plain.split_at(end);
    match segments(before, slashes) {
        Some(before) => Cow::Owned([&before, after].concat()),
        None => plain,
    }
}

/// Whether it is sure to have that form, as most have: no percent sign, and no slash before a dot or another slash.
pub fn is_plain(path: &str) -> bool {
    let path = path.as_bytes();
    // To the end in any case, and without a branch for each byte: so the compiler takes many at once.
    let encodes = path.iter().fold(false, |is, byte| is | (*byte == b'%'));
    let pairs = path.iter().zip(path.iter().skip(1));
    let is_odd = pairs.fold(false, |is, (byte, next)| {
        is | ((*byte == b'/') & ((*next == b'.') | (*next == b'/')))
    });
    !encodes & !is_odd
}

/// The percent-encoding in its one form.
fn triplets(path: &str) -> Cow<'_, str> {
    let mut out = String::new();
    // What is before this is in `out`, or needs no change.
    let mut from = 0;
    for (at, _) in path.match_indices('%') {
        let written = path.get(at..at + 3);
        let decoded = written.and_then(|triplet| u8::from_str_radix(&triplet[1..], 16).ok());
        // `from_str_radix` takes a sign.
        let is_hex = |text: &str| text[1..].bytes().all(|byte| byte.is_ascii_hexdigit());
        let (changed, taken) = match (written.filter(|text| is_hex(text)), decoded) {
            (Some(_), Some(byte)) if is_unreserved(byte) => (char::from(byte).to_string(), 3),
            (Some(triplet), _) if triplet.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                (triplet.to_ascii_uppercase(), 3)
            }
            (Some(_), _) => continue,
            (None, _) => ("%25".to_owned(), 1),
        };
        out.push_str(&path[from..at]);
        out.push_str(&changed);
        from = at + taken;
    }
    if from == 0 {
        return Cow::Borrowed(path);
    }
    out.push_str(&path[from..]);
    Cow::Owned(out)
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The path without dot segments (RFC 3986 section 5.2.4); `None` where it has none, nor slashes to be merged.
fn segments(path: &str, slashes: Slashes) -> Option<String> {
    let rest = path.strip_prefix('/')?;
    let is_odd = |segment: &str| matches!(segment, "." | "..");
    // An empty one at the end is a slash that stands alone.
    let mut between = rest.split('/');
    let last = between.next_back().unwrap_or_default();
    let has_empty = slashes == Slashes::Merged && between.clone().any(str::is_empty);
    if !has_empty && !is_odd(last) && !between.clone().any(is_odd) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in between {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            "" if slashes == Slashes::Merged => {}
            name => kept.push(name),
        }
    }
    match last {
        "." => kept.push(""),
        ".." => {
            kept.pop();
            kept.push("");
        }
        name => kept.push(name),
    }
    Some(["/", &kept.join("/")].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_plain_is_in_its_one_form(path in "[/.%a?]{0,10}") {
            let kept = normalised(&path, Slashes::Kept);
            prop_assert!(!is_plain(&path) || (*kept == *path && *normalised(&path, Slashes::Merged) == *path));
            // And most of what is in that form is plain.
            prop_assert!(is_plain(&path) || path.contains('%') || path.contains("/.") || path.contains("//"));
        }
    }

    #[test]
    fn every_way_to_write_a_path_is_one() {
        for (written, merged, kept) in [
            ("", "", ""),
            ("*", "*", "*"),
            ("/", "/", "/"),
            ("/a/b?c=d", "/a/b?c=d", "/a/b?c=d"),
            ("/%61dmin", "/admin", "/admin"),
            ("/%7euser/%2D%5F", "/~user/-_", "/~user/-_"),
            ("/a%2fb%c3%A4", "/a%2Fb%C3%A4", "/a%2Fb%C3%A4"),
            ("/a%20b", "/a%20b", "/a%20b"),
            ("/./admin", "/admin", "/admin"),
            ("/x/../admin", "/admin", "/admin"),
            ("/x/%2e%2E/admin", "/admin", "/admin"),
            ("/../../admin", "/admin", "/admin"),
            ("/admin/.", "/admin/", "/admin/"),
            ("/admin/x/..", "/admin/", "/admin/"),
            ("/..", "/", "/"),
            ("/.hidden/..x", "/.hidden/..x", "/.hidden/..x"),
            ("//admin", "/admin", "//admin"),
            ("/api///admin//", "/api/admin/", "/api///admin//"),
            ("/a//../admin", "/admin", "/a/admin"),
            (
                "/a?x=//b/../%63&y=%",
                "/a?x=//b/../c&y=%25",
                "/a?x=//b/../c&y=%25",
            ),
            ("/a#//%62", "/a#//b", "/a#//b"),
            // What decoding makes is not decoded again.
            ("/%2561", "/%2561", "/%2561"),
            ("/%%36%31", "/%2561", "/%2561"),
            ("/%+1%g0%4", "/%25+1%25g0%254", "/%25+1%25g0%254"),
            ("/%é%c3é", "/%25é%C3é", "/%25é%C3é"),
        ] {
            assert_eq!(normalised(written, Slashes::Merged), merged, "{written}");
            assert_eq!(normalised(written, Slashes::Kept), kept, "{written}");
        }
    }

    fn path() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "/", ".", "..", "a", "%61", "%2e", "%2F", "%2f", "%", "%4", "6", "1", "?", "#", "é", "%C3",
            "%zz", "%+1",
        ]);
        prop::collection::vec(piece, 0..16).prop_map(|pieces| ["/", &pieces.concat()].concat())
    }

    proptest! {
        #[test]
        fn once_is_enough_and_what_is_as_it_should_be_costs_nothing(
            written in prop_oneof![path(), any::<String>()],
            merged: bool,
        ) {
            let slashes = if merged { Slashes::Merged } else { Slashes::Kept };
            let once = normalised(&written, slashes);
            prop_assert_eq!(matches!(once, Cow::Borrowed(_)), once == written, "{}", once);
            let twice = normalised(&once, slashes);
            prop_assert_eq!(&twice, &once);
            prop_assert!(matches!(twice, Cow::Borrowed(_)));
        }

        #[test]
        fn encoding_more_than_needed_changes_nothing(
            written in "/[a-c./~-]{0,12}(\\?[a-c/.]{0,4})?",
            which in prop::collection::vec(0..3_usize, 0..20),
        ) {
            let mut which = which.iter().chain(std::iter::repeat(&0));
            let encoded: String = written
                .bytes()
                .map(|byte| match which.next() {
                    Some(1) if is_unreserved(byte) => format!("%{byte:02x}"),
                    Some(2) if is_unreserved(byte) => format!("%{byte:02X}"),
                    _ => char::from(byte).to_string(),
                })
                .collect();
            prop_assert_eq!(normalised(&encoded, Slashes::Merged), normalised(&written, Slashes::Merged));
        }

        #[test]
        fn no_segment_is_left_that_means_another_place(written in path()) {
            let path = normalised(&written, Slashes::Merged).into_owned();
            let path = path.split(['?', '#']).next().unwrap_or_default();
            prop_assert!(path.starts_with('/') && !path.contains("//"), "{}", path);
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{}", path);
        }
    }
}
