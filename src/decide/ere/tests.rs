use super::*;
use proptest::prelude::*;
use regex::bytes::Regex;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn matches(pattern: &str, ignore_case: bool, subject: &[u8]) -> bool {
    Regex::new(&translate(pattern, ignore_case).unwrap())
        .unwrap()
        .is_match(subject)
}

#[test]
fn a_backslash_in_brackets_is_a_backslash() {
    for subject in [".", "\\"] {
        assert!(matches(r"^[\.]$", false, subject.as_bytes()), "{subject}");
    }
    assert!(!matches(r"^[\.]$", false, b"x"));
    assert!(matches(r"^[\w]$", false, b"w"));
    assert!(!matches(r"^[\w]$", false, b"a"));
}

#[test]
fn escaped_ordinary_characters_stand_for_themselves() {
    assert!(matches(r"^\d$", false, b"d"));
    assert!(!matches(r"^\d$", false, b"7"));
    assert!(matches(r"^a\/b\-c$", false, b"a/b-c"));
}

#[test]
fn case_is_folded_as_glibc_folds_it() {
    assert!(matches("^ExAmple$", true, b"eXample"));
    assert!(!matches("^ExAmple$", false, b"example"));
    // The range becomes A-Z, so what lies between Z and a is out.
    assert!(!matches("^[A-z]$", true, b"_"));
    assert!(matches("^[A-z]$", false, b"_"));
    assert_eq!(parse("[Z-a]", true), Err(EreError::BadRange));
}

#[test]
fn what_cannot_work_is_refused_with_its_reason() {
    let cases = [
        ("*a", EreError::NothingToRepeat('*')),
        ("a|*b", EreError::NothingToRepeat('*')),
        ("^*", EreError::NothingToRepeat('*')),
        ("(+b)", EreError::NothingToRepeat('+')),
        ("{1}", EreError::NothingToRepeat('{')),
        ("(a", EreError::UnmatchedOpen),
        ("a)", EreError::UnmatchedClose),
        ("[a", EreError::UnmatchedBracket),
        ("[]", EreError::UnmatchedBracket),
        ("[[:alpha:", EreError::UnmatchedBracket),
        ("a{", EreError::UnmatchedBrace),
        ("a{1,2", EreError::UnmatchedBrace),
        ("a{x}", EreError::BadInterval),
        ("a{}", EreError::BadInterval),
        ("a{2,1}", EreError::IntervalOutOfRange),
        ("a{32768}", EreError::IntervalOutOfRange),
        ("[z-a]", EreError::BadRange),
        ("[a-c-e]", EreError::BadRange),
        ("[a-[:alpha:]]", EreError::BadRange),
        ("[[:alpha:]-z]", EreError::BadRange),
        ("[[:foo:]]", EreError::UnknownClass("foo".into())),
        ("[[.hyphen.]]", EreError::UnknownCollating("hyphen".into())),
        ("a\\", EreError::TrailingBackslash),
        (r"(a)\1", EreError::BackReference('1')),
        ("((a{1000}){1000})", EreError::TooLarge),
    ];
    for (pattern, error) in cases {
        assert_eq!(parse(pattern, false), Err(error), "{pattern}");
    }
    let deep = "(".repeat(5000) + &")".repeat(5000);
    assert_eq!(parse(&deep, false), Err(EreError::TooLarge));
}

#[test]
fn the_largest_allowed_pattern_compiles() {
    let text = translate("^(a{32767})$", false).unwrap();
    regex::bytes::RegexBuilder::new(&text)
        .size_limit(super::super::patterns::SIZE_LIMIT)
        .build()
        .unwrap();
}

#[test]
fn every_prefix_and_every_mutation_is_answered() {
    let pattern = r"^([^/][[:alpha:]-]{2,3}*\.)*(a|\<b[\.x-z])+\w?:443$";
    let check = |text: &str| {
        if let Ok(text) = translate(text, true) {
            Regex::new(&text).unwrap();
        }
    };
    for end in 0..=pattern.len() {
        check(&pattern[..end]);
    }
    for at in 0..pattern.len() {
        for byte in 1..128_u8 {
            let mut bytes = pattern.as_bytes().to_vec();
            bytes[at] = byte;
            check(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

/// Answers one `flag pattern subject` in hexadecimal a line with 0, 1, or E for a pattern that it refuses.
const REGCOMP: &str = r#"
#include <regex.h>
#include <stdio.h>
#include <string.h>
static char line[1 << 20];
static int unhex(char *out, const char *in) {
    unsigned byte; int n = 0;
    for (; in[0] && in[1] && sscanf(in, "%2x", &byte) == 1; in += 2) out[n++] = (char)byte;
    out[n] = 0; return n;
}
int main(void) {
    static char pattern[1 << 19], subject[1 << 19], last[1 << 19];
    regex_t re; int have = 0, rc = 1; char last_flag = 0;
    while (fgets(line, sizeof line, stdin)) {
        char *a = strchr(line, ' '), *b = a ? strchr(a + 1, ' ') : 0;
        if (!b) return 2;
        *b = 0; b[strcspn(b + 1, "\n") + 1] = 0;
        unhex(pattern, a + 1); unhex(subject, b + 1);
        if (!have || last_flag != line[0] || strcmp(last, pattern)) {
            if (have && !rc) regfree(&re);
            rc = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | (line[0] == 'i' ? REG_ICASE : 0));
            have = 1; last_flag = line[0]; strcpy(last, pattern);
        }
        putchar(rc ? 'E' : regexec(&re, subject, 0, 0, 0) ? '0' : '1');
    }
    return 0;
}
"#;

/// glibc's own verdicts on (ignore case, pattern, subject).
fn regcomp(questions: &[(bool, String, String)]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("regcomp");
    let source = dir.path().join("regcomp.c");
    std::fs::write(&source, REGCOMP).unwrap();
    let built = Command::new("cc")
        .arg("-O1")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status()
        .expect("the C compiler that Rust links with");
    assert!(built.success());
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let input: String = questions
        .iter()
        .map(|(fold, pattern, subject)| {
            format!(
                "{} {} {}\n",
                if *fold { 'i' } else { '-' },
                hex(pattern),
                hex(subject)
            )
        })
        .collect();
    // A file and not a pipe: the answers could fill their pipe before all questions are asked.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = Command::new(program)
        .env_clear()
        .stdin(Stdio::from(file))
        .output()
        .expect("the program just built");
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), questions.len());
    output.stdout
}

fn ours(fold: bool, pattern: &str, subjects: &[String]) -> Vec<u8> {
    match translate(pattern, fold) {
        Err(_) => vec![b'E'; subjects.len()],
        Ok(text) => {
            let regex = Regex::new(&text).unwrap_or_else(|e| panic!("{pattern} as {text}: {e}"));
            subjects
                .iter()
                .map(|s| if regex.is_match(s.as_bytes()) { b'1' } else { b'0' })
                .collect()
        }
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "B",
        "z",
        ".",
        "-",
        ":",
        "443",
        "_",
        "é",
        r"\.",
        r"\-",
        r"\d",
        r"\n",
        r"\_",
        r"\w",
        r"\W",
        r"\s",
        r"\S",
        r"\b",
        r"\B",
        r"\<",
        r"\>",
        r"\`",
        r"\'",
        "^",
        "$",
        "|",
        "(",
        ")",
        "()",
        "(|",
        "*",
        "+",
        "?",
        "{",
        "}",
        "{2}",
        "{0}",
        "{1,2}",
        "{,2}",
        "{1,}",
        "{,}",
        "[ab]",
        "[^a]",
        "[^/]",
        r"[\.]",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[-a]",
        "[a-z]",
        "[A-z]",
        "[Z-a]",
        "[[:alpha:]]",
        "[[:lower:]_]",
        "[^[:digit:]]",
        "[[.a.]]",
        "[[=a=]b]",
        "[[.-.]-9]",
        "[+--]",
        "[a",
        "]",
        "[[:x:]]",
        r"\",
        "/",
        "a*",
        "(a|b)",
        "(^|x)",
        "($|x)",
        "[x^]",
        "[b-]]",
    ]);
    let bracket = r"\[\^?[]a-c^\[.:=-]{1,5}\]";
    let piece = prop_oneof![6 => piece.prop_map(str::to_owned), 1 => bracket];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// glibc takes an unmatched `)` literally, and knows back-references; this parser refuses both on purpose.
fn differs_on_purpose(pattern: &str) -> bool {
    matches!(
        parse(pattern, false),
        Err(EreError::UnmatchedClose | EreError::BackReference(_))
    )
}

#[test]
fn glibc_is_of_the_same_opinion() {
    if !cfg!(target_env = "gnu") {
        return;
    }
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let patterns = pattern();
    let subject = "[abB:z._4-]{0,6}";
    let mut questions = Vec::new();
    let mut expected = Vec::new();
    for _ in 0..6000 {
        let pattern = patterns.new_tree(&mut runner).unwrap().current();
        if differs_on_purpose(&pattern) {
            continue;
        }
        let subjects: Vec<String> = (0..6)
            .map(|_| {
                proptest::string::string_regex(subject)
                    .unwrap()
                    .new_tree(&mut runner)
                    .unwrap()
                    .current()
            })
            .collect();
        for fold in [false, true] {
            expected.extend(ours(fold, &pattern, &subjects));
            questions.extend(subjects.iter().map(|s| (fold, pattern.clone(), s.clone())));
        }
    }
    let answers = regcomp(&questions);
    // The patterns are random: all kinds of verdicts have to be among them in numbers.
    for kind in *b"01E" {
        assert!(
            answers.iter().filter(|&&answer| answer == kind).count() > 2000,
            "{}",
            char::from(kind)
        );
    }
    let wrong: Vec<_> = questions
        .iter()
        .zip(answers.iter().zip(&expected))
        .filter(|(_, (glibc, ours))| glibc != ours)
        .map(|(question, (glibc, ours))| (question, char::from(*glibc), char::from(*ours)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} differ: {:#?}",
        wrong.len(),
        questions.len(),
        &wrong[..wrong.len().min(25)]
    );
}
