//! Known formats of secrets. Prefixes and lengths are those that the issuers publish and that public scanners
//! (gitleaks, GitHub secret scanning's partner list) look for; bodies that are obviously made up are left out.

mod numbers;

use super::super::Secret;
use memchr::memmem;
use std::ops::Range;

/// A prefix and what follows it.
struct Token {
    prefix: &'static str,
    /// Bytes besides letters and digits that the body may have.
    also: &'static str,
    min: usize,
    max: usize,
}

const fn token(prefix: &'static str, also: &'static str, min: usize, max: usize) -> Token {
    Token {
        prefix,
        also,
        min,
        max,
    }
}

const SLACK: [Token; 8] = [
    token("xoxb-", "-", 20, 250),
    token("xoxp-", "-", 20, 250),
    token("xoxa-", "-", 20, 250),
    token("xoxr-", "-", 20, 250),
    token("xoxs-", "-", 20, 250),
    token("xoxe-", "-", 20, 250),
    token("xapp-", "-", 30, 250),
    token("https://hooks.slack.com/services/", "/", 40, 60),
];
const GITHUB: [Token; 6] = [
    token("ghp_", "", 36, 255),
    token("gho_", "", 36, 255),
    token("ghu_", "", 36, 255),
    token("ghs_", "", 36, 255),
    token("ghr_", "", 36, 255),
    token("github_pat_", "_", 82, 255),
];
const GITLAB: [Token; 5] = [
    token("glpat-", "_-.", 20, 60),
    token("gldt-", "_-", 20, 60),
    token("glrt-", "_-", 20, 60),
    token("glsoat-", "_-", 20, 60),
    token("glptt-", "", 40, 40),
];
const GOOGLE: [Token; 2] = [token("AIza", "_-", 35, 35), token("GOCSPX-", "_-", 28, 28)];
const STRIPE: [Token; 5] = [
    token("sk_live_", "", 16, 250),
    token("rk_live_", "", 16, 250),
    token("sk_test_", "", 16, 250),
    token("rk_test_", "", 16, 250),
    token("whsec_", "", 32, 64),
];
const AI: [Token; 5] = [
    token("sk-ant-api", "_-", 80, 130),
    token("sk-ant-admin", "_-", 80, 130),
    token("sk-proj-", "_-", 40, 220),
    token("sk-svcacct-", "_-", 40, 220),
    // The middle of an older key is base64 of "OpenAI".
    token("T3BlbkFJ", "_-", 20, 120),
];
const AZURE: [Token; 2] = [
    token("AccountKey=", "+/=", 88, 88),
    token("SharedAccessKey=", "+/=", 44, 44),
];
const AWS: [Token; 4] = [
    token("AKIA", "", 16, 16),
    token("ASIA", "", 16, 16),
    token("ABIA", "", 16, 16),
    token("ACCA", "", 16, 16),
];

impl Secret {
    const fn tokens(self) -> &'static [Token] {
        match self {
            Self::Slack => &SLACK,
            Self::GitHub => &GITHUB,
            Self::GitLab => &GITLAB,
            Self::Google => &GOOGLE,
            Self::Stripe => &STRIPE,
            Self::AiProvider => &AI,
            Self::Azure => &AZURE,
            Self::Aws => &AWS,
            Self::CardNumber | Self::PrivateKey | Self::Jwt | Self::Iban | Self::UsSsn => &[],
        }
    }
}

/// Strings one of which is in any content that has such a secret; empty where there are none.
pub(super) fn triggers(secret: Secret) -> Vec<&'static str> {
    match secret {
        Secret::PrivateKey => vec!["PRIVATE KEY", "PuTTY-User-Key-File-"],
        Secret::Jwt => vec!["eyJ"],
        Secret::Google => vec!["AIza", "GOCSPX-", "service_account"],
        Secret::Aws => vec!["AKIA", "ASIA", "ABIA", "ACCA", "secret"],
        other => other.tokens().iter().map(|token| token.prefix).collect(),
    }
}

/// Adds where such secrets are.
pub(super) fn find(secret: Secret, data: &[u8], into: &mut Vec<Range<usize>>) {
    for token in secret.tokens() {
        find_token(token, data, into);
    }
    match secret {
        Secret::CardNumber => numbers::cards(data, into),
        Secret::Iban => numbers::ibans(data, into),
        Secret::UsSsn => numbers::ssns(data, into),
        Secret::PrivateKey => private_keys(data, into),
        Secret::Jwt => jwts(data, into),
        Secret::Aws => {
            into.retain(|found| !data[found.clone()].ends_with(b"EXAMPLE"));
            aws_secret_keys(data, into);
        }
        Secret::Google => service_accounts(data, into),
        _ => {}
    }
}

fn find_token(token: &Token, data: &[u8], into: &mut Vec<Range<usize>>) {
    for start in memmem::find_iter(data, token.prefix) {
        let body = start + token.prefix.len();
        let length = run(&data[body..], token.also);
        // The older OpenAI keys are the one format whose mark is in the middle.
        let start = if token.prefix == "T3BlbkFJ" {
            let before = back(&data[..start], "_-");
            if !data[before..].starts_with(b"sk-") {
                continue;
            }
            before
        } else if start > 0 && word(data[start - 1]) {
            continue;
        } else {
            start
        };
        let body = body..body + length;
        if (token.min..=token.max).contains(&length) && random(&data[body.clone()]) {
            into.push(start..body.end);
        }
    }
}

/// How many bytes of `data` are letters, digits or one of `also`.
fn run(data: &[u8], also: &str) -> usize {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || also.as_bytes().contains(byte);
    data.iter().take_while(|byte| fits(byte)).count()
}

/// Where the letters, digits and `also` before the end of `data` begin.
fn back(data: &[u8], also: &str) -> usize {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || also.as_bytes().contains(byte);
    data.len() - data.iter().rev().take(200).take_while(|byte| fits(byte)).count()
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Not `xxxxxxxx` or `1234512345`: at least eight different bytes.
fn random(body: &[u8]) -> bool {
    let mut seen = [false; 256];
    body.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|&&seen| seen).count() >= 8
}

/// RFC 7468 and what OpenSSH, OpenPGP and PuTTY write: from the first line to the last, or to where it is cut.
fn private_keys(data: &[u8], into: &mut Vec<Range<usize>>) {
    const END: &[u8] = b"-----END ";
    for start in memmem::find_iter(data, "-----BEGIN ") {
        let line = &data[start..data.len().min(start + 64)];
        let Some(key) = memmem::find(line, b"PRIVATE KEY") else {
            continue;
        };
        let label = &line[11..key];
        let body = start + key + 11;
        if !label.iter().all(|&b| b.is_ascii_uppercase() || b == b' ')
            || !(data[body..].starts_with(b"-----") || data[body..].starts_with(b" BLOCK-----"))
            || into.last().is_some_and(|last| last.end > start)
        {
            continue;
        }
        let end = memmem::find(&data[body..], END).map_or(data.len(), |at| {
            let after = body + at + END.len();
            memmem::find(&data[after..], b"-----").map_or(data.len(), |dashes| after + dashes + 5)
        });
        into.push(start..end);
    }
    for start in memmem::find_iter(data, "PuTTY-User-Key-File-") {
        let rest = &data[start..];
        let private = memmem::find(rest, b"Private-Lines:");
        let end = private.and_then(|at| Some(at + memmem::find(&rest[at..], b"Private-MAC:")?));
        if private.is_some() {
            into.push(start..end.map_or(data.len(), |end| start + end));
        }
    }
}

/// RFC 7519 in the compact form of RFC 7515: a header that is JSON with an `alg`, claims, a signature.
fn jwts(data: &[u8], into: &mut Vec<Range<usize>>) {
    let mut next = 0;
    for start in memmem::find_iter(data, "eyJ") {
        if start < next || (start > 0 && (word(data[start - 1]) || data[start - 1] == b'-')) {
            continue;
        }
        let mut end = start;
        let mut parts = Vec::new();
        for part in 0..3 {
            let length = run(&data[end..], "_-");
            parts.push(&data[end..end + length]);
            end += length;
            if part < 2 {
                if data.get(end) != Some(&b'.') {
                    break;
                }
                end += 1;
            }
        }
        next = end;
        if let [header, claims, signature] = parts[..]
            && signature.len() >= 20
            && object(header).is_some_and(|header| header.get("alg").is_some())
            && object(claims).is_some()
        {
            into.push(start..end);
        }
    }
}

fn object(part: &[u8]) -> Option<serde_json::Map<String, serde_json::Value>> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

/// Forty characters of base64, beside a key id or after a name that says what they are.
fn aws_secret_keys(data: &[u8], into: &mut Vec<Range<usize>>) {
    let ids: Vec<usize> = into.iter().map(|id| id.start).collect();
    let named: Vec<usize> = memmem::find_iter(&data.to_ascii_lowercase(), "secret").collect();
    if ids.is_empty() && named.is_empty() {
        return;
    }
    let mut at = 0;
    while at < data.len() {
        let length = run(&data[at..], "+/");
        if length == 40 && mixed(&data[at..at + 40]) {
            let beside = ids.iter().any(|id| id.abs_diff(at) <= 256);
            let name = named
                .iter()
                .any(|&name| name < at && at - name <= 40 && assigned(&data[name..at]));
            if beside || name {
                into.push(at..at + 40);
            }
        }
        at += length + 1;
    }
}

/// `secret_access_key = "`, `SecretAccessKey":"`: a name, then an equals sign or a colon.
fn assigned(between: &[u8]) -> bool {
    let name = between.to_ascii_lowercase();
    memmem::find(&name, b"key").is_some() && name.iter().any(|b| matches!(b, b'=' | b':'))
}

/// Hexadecimal digests are no keys.
fn mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_uppercase)
        && body.iter().any(u8::is_ascii_lowercase)
        && body.iter().any(u8::is_ascii_digit)
        && super::entropy::bits(body) > 4.0
        && !body.ends_with(b"EXAMPLEKEY")
}

/// The member `private_key_id` of a service account's JSON file; its key itself is a PEM private key.
fn service_accounts(data: &[u8], into: &mut Vec<Range<usize>>) {
    if memmem::find(data, b"service_account").is_none() {
        return;
    }
    for name in memmem::find_iter(data, "\"private_key_id\"") {
        let after = name + 16;
        let skip = data[after..]
            .iter()
            .take_while(|b| matches!(b, b' ' | b':' | b'"'))
            .count();
        let length = data[after + skip..]
            .iter()
            .take_while(|b| b.is_ascii_hexdigit())
            .count();
        if length == 40 {
            into.push(after + skip..after + skip + 40);
        }
    }
}

#[cfg(test)]
mod tests;
