//! The words of a line.

/// A word, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::import) struct Word {
    /// Without its quotes.
    pub(in crate::import) text: String,
    /// It stood in double quotes: for an ACL, the name of a file with its values.
    pub(in crate::import) is_quoted: bool,
}

/// What Squid takes for space.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Splits a line. A word that begins with `#` ends it; one that begins with a quote goes on to the next, in which a backslash
/// keeps what is behind it; `parameters("FILE")` is another way to write a quoted file, and the only one where
/// `quotes_words` says so.
pub(super) fn words(line: &str, quotes_words: bool) -> Vec<Word> {
    let mut found = Vec::new();
    let mut rest = line.trim_start_matches(is_space);
    while !rest.is_empty() && !rest.starts_with('#') {
        let inside = rest
            .strip_prefix("parameters(\"")
            .and_then(|rest| rest.split_once("\")"));
        if let Some((file, after)) = inside {
            found.push(Word {
                text: file.to_owned(),
                is_quoted: true,
            });
            rest = after.trim_start_matches(is_space);
            continue;
        }
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (word, after) = match quote {
            Some(quote) => quoted(rest, quote),
            None => {
                let end = rest.find(is_space).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                (word.to_owned(), after)
            }
        };
        found.push(Word {
            text: word,
            is_quoted: quote == Some('"') && !quotes_words,
        });
        rest = after.trim_start_matches(is_space);
    }
    found
}

/// The content of a text in quotes, and what is behind it. What is never closed ends with the line.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut word = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => return (word, text.get(at + 1..).unwrap_or_default()),
            c => word.push(c),
        }
    }
    (word, "")
}

/// `true`, `false`, or two numbers that are the same.
pub(super) fn condition(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => {
            let (one, two) = text.split_once('=')?;
            let number = |text: &str| text.trim().parse::<i64>().ok();
            Some(number(one)? == number(two)?)
        }
    }
}

/// Whether a name fits a pattern with `*`, `?` and sets in brackets. A leading dot has to be written out, as for glob(3).
pub(super) fn globs(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    fits(&pattern, &name)
}

fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let (takes, next) = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => (true, p + 1),
            Some('[') => match set(&pattern[p..], name[n]) {
                Some((is_in, length)) => (is_in, p + length),
                None => (name[n] == '[', p + 1),
            },
            Some(c) => (*c == name[n], p + 1),
            None => (false, p),
        };
        if takes {
            (p, n) = (next, n + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a character is in the set that begins a pattern, and how long that is written.
fn set(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let begin = if negated { 2 } else { 1 };
    let end = begin + 1 + pattern.get(begin + 1..)?.iter().position(|c| *c == ']')?;
    let members = &pattern[begin..end];
    let mut is_in = false;
    let mut at = 0;
    while at < members.len() {
        if members.get(at + 1) == Some(&'-') && at + 2 < members.len() {
            is_in |= (members[at]..=members[at + 2]).contains(&c);
            at += 3;
        } else {
            is_in |= members[at] == c;
            at += 1;
        }
    }
    Some((is_in != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_words_that_squid_sees() {
        for (line, wanted) in [
            ("acl a src 10.0.0.0/8", &["acl", "a", "src", "10.0.0.0/8"][..]),
            ("a\tb  # c", &["a", "b"]),
            ("a b#c", &["a", "b#c"]),
            (r#"a "b c" d"#, &["a", "b c", "d"]),
            (r#"a "b \" c"#, &["a", "b \" c"]),
            ("a 'b c'", &["a", "b c"]),
            (r#"a parameters("/etc/x y") b"#, &["a", "/etc/x y", "b"]),
            ("", &[]),
        ] {
            let texts: Vec<_> = words(line, false).into_iter().map(|word| word.text).collect();
            assert_eq!(texts, wanted, "{line}");
        }
        for (line, quotes_words, is_file) in [
            (r#"a "b""#, false, true),
            (r#"a "b""#, true, false),
            (r#"a parameters("b")"#, true, true),
            ("a b", false, false),
            ("a 'b'", false, false),
        ] {
            assert_eq!(words(line, quotes_words)[1].is_quoted, is_file, "{line}");
        }
    }

    #[test]
    fn patterns_are_those_of_glob() {
        for (pattern, name, fit) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*.conf", "a.conf~", false),
            ("[0-9]*", "10-a", true),
            ("[!0-9]*", "10-a", false),
            ("a?c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[", "[", true),
            ("", "a", false),
        ] {
            assert_eq!(globs(pattern, name), fit, "{pattern} {name}");
        }
    }
}
