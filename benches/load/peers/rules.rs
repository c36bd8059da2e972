//! The rules of the rows that measure inspection. None of them matches what the load tool sends.

use std::fmt::Write as _;

/// Keywords of the rules that look at content.
const KEYWORDS: usize = 1000;
/// Regular expressions of the rules that look at content.
const EXPRESSIONS: usize = 100;

/// One rule that looks at the size of messages and at nothing else.
pub(super) fn counting() -> String {
    "\n[[inspect.rule]]\nname = \"large\"\nmode = \"observe\"\naction = \"log\"\nmin_size = \"32MiB\"\n"
        .into()
}

/// Rules of 1,000 keywords and 100 regular expressions of the kinds that are in use.
pub(super) fn scanning(mode: &str, action: &str) -> String {
    let mut state = 7;
    let keywords: Vec<String> = (0..KEYWORDS).map(|_| word(&mut state)).collect();
    let expressions: Vec<String> = (0..EXPRESSIONS)
        .map(|n| {
            let word = word(&mut state);
            match n % 5 {
                0 => format!(r"(?i)\b{word}[- ]project[- ]\w+"),
                1 => format!(r"{}[0-9A-Z]{{16}}", word.to_uppercase()),
                2 => format!(r"\b{word}-\d{{3}}-\d{{2}}-\d{{4}}\b"),
                3 => format!(r"(?:{word}|{word}s)\s*[:=]\s*[A-Za-z0-9/+]{{20,}}"),
                _ => format!(r"(?i)internal use only.{{0,40}}{word}"),
            }
        })
        .collect();
    let mut text = String::new();
    for (name, key, members) in [
        ("words", "keywords", &keywords),
        ("expressions", "regex", &expressions),
    ] {
        let members: Vec<String> = members.iter().map(|member| format!("'{member}'")).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[inspect.rule]]\nname = \"{name}\"\nmode = \"{mode}\"\naction = \"{action}\"\nignore_case = {}\n{key} = [{}]\n",
            key == "keywords",
            members.join(", ")
        );
    }
    text
}

/// A made-up word of 6 to 15 letters that no English text has.
fn word(state: &mut u32) -> String {
    const SYLLABLES: [&str; 16] = [
        "qua", "zor", "vex", "lum", "tri", "bel", "nox", "kra", "phi", "dun", "sar", "mip", "gol", "weq",
        "hyl", "jat",
    ];
    let mut next = || {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 24) as usize
    };
    let syllables = 3 + next() % 3;
    let mut word = String::from("x");
    for _ in 0..syllables {
        word.push_str(SYLLABLES[next() % SYLLABLES.len()]);
    }
    word
}
