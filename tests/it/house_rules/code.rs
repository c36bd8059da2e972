//! A source file as a compiler would see it, without comments, literals and tests.

/// The code that ships: in place of comments, of what literals hold, and of what stands under `#[cfg(test)]` there are
/// spaces, so that every line is still where it was.
pub(super) fn shipped(text: &str) -> String {
    without_tests(without_words(text))
}

/// Words and signs in their order; `::` is one of them.
pub(super) fn words(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while !rest.is_empty() {
        let word = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => rest.chars().next().map_or(0, char::len_utf8),
            word => word,
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    found
}

pub(super) fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Blanks comments and what literals hold.
fn without_words(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let word = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        let (from, to) = if word > 0 {
            let behind = &rest[word..];
            let hashes = behind.len() - behind.trim_start_matches('#').len();
            if matches!(&rest[..word], "r" | "br" | "cr") && behind[hashes..].starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let start = word + hashes + 1;
                let inside = rest[start..].find(&end).unwrap_or(rest.len() - start);
                (start, start + inside + end.len())
            } else {
                (word, word)
            }
        } else if rest.starts_with("//") {
            (0, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (0, block_comment(rest))
        } else if let Some(behind) = rest.strip_prefix('"') {
            (1, 1 + literal(behind, b'"'))
        } else if let Some(behind) = rest.strip_prefix('\'').filter(|behind| is_char(behind)) {
            (1, 1 + literal(behind, b'\''))
        } else {
            let one = rest.chars().next().map_or(1, char::len_utf8);
            (one, one)
        };
        blank(&mut bytes[at + from..(at + to).min(text.len())]);
        at += to;
    }
    String::from_utf8(bytes).unwrap()
}

/// How long a comment is that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = match text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// How long the rest of a literal is, with the quote that ends it.
fn literal(text: &str, quote: u8) -> usize {
    let mut at = 0;
    while at < text.len() && text.as_bytes()[at] != quote {
        at += if text.as_bytes()[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Whether this follows the quote of a character, and not that of a lifetime.
fn is_char(behind: &str) -> bool {
    let mut chars = behind.chars();
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

const MARK: &str = "#[cfg(test)]";

/// Blanks what stands under `#[cfg(test)]`, item by item; the code has neither comments nor literals.
fn without_tests(code: String) -> String {
    let mut bytes = code.clone().into_bytes();
    let mut at = 0;
    while let Some(found) = code[at..].find(MARK) {
        let start = at + found;
        at = start + MARK.len() + item(&code[start + MARK.len()..]);
        blank(&mut bytes[start..at]);
    }
    String::from_utf8(bytes).unwrap()
}

/// How long the first item of `code` is: to the end of its braces, or to a semicolon; a field, a variant or an arm ends at
/// its comma or with what it stands in.
fn item(code: &str) -> usize {
    const ITEMS: [&str; 15] = [
        "pub", "mod", "fn", "use", "impl", "struct", "enum", "trait", "type", "const", "static", "async",
        "unsafe", "let", "extern",
    ];
    let mut start = 0;
    loop {
        start += code[start..].len() - code[start..].trim_start().len();
        if !code[start..].starts_with("#[") {
            break;
        }
        start += bracketed(&code[start + 1..]) + 1;
    }
    let head = words(code[start..].lines().next().unwrap_or_default());
    // `pub name:` is a field.
    let field = head
        .iter()
        .position(|word| *word == ":")
        .is_some_and(|colon| !head[..colon].iter().any(|word| ITEMS[1..].contains(word)));
    let is_item = !field && head.first().is_some_and(|word| ITEMS.contains(word));
    let (mut depth, mut before) = (0, ' ');
    for (at, c) in code[start..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return start + at,
            ')' | ']' | '}' => depth -= 1,
            '<' if !is_item => depth += 1,
            '>' if !is_item && !matches!(before, '-' | '=') => depth -= 1,
            _ => {}
        }
        before = c;
        if depth == 0 && (c == ';' || c == '}' || (c == ',' && !is_item)) {
            return start + at + 1;
        }
    }
    code.len()
}

/// How long the bracketed part is that `code` begins with.
fn bracketed(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

#[test]
fn what_is_no_code_is_left_out() {
    let text = "a(\"b // \\\" c\", 'd', b'\\'', r#\"e \" f\"#) /* g /* h */ i */; // j\nk::<'l>(\"\")";
    assert_eq!(words(&shipped(text)).concat(), "a(\",',b',r#\");k::<'l>(\")");
    assert_eq!(shipped(text).len(), text.len());
}

#[test]
fn tests_are_left_out_item_by_item() {
    let text = "
        #[cfg(test)]
        mod tests;
        a();
        #[cfg(test)]
        #[derive(Debug)]
        pub(super) struct B<C, D> { e: [u8; 2] }
        struct F {
            #[cfg(test)]
            pub(super) g: HashMap<u8, u8>,
            h: u8,
            #[cfg(test)]
            i: u8
        }
        #[cfg(test)]
        fn j(k: u8, l: [u8; 2]) -> u8 { if k { 1 } else { 2 } }
        m();
        #[cfg(test)]
        mod tests { fn n() { o('}', \"}\") } // }
        }
        p();";
    let left = words(&shipped(text)).concat();
    assert_eq!(left, "a();structF{h:u8,}m();p();");
}
