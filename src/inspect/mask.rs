//! What is masked before anybody reads it: credentials in headers, known formats of secrets, and what is called a secret
//! by its name in a query, a form or JSON.

use super::rules::mask_secrets;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

const MASK: &str = "****";

/// Headers whose value is a credential as a whole.
const HEADERS: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
];

/// Names of secrets: the end of a member's or parameter's name.
const NAMES: &str = r"(?-u:[\w.\-])*(?:password|passwd|passphrase|pwd|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key|credentials?|authorization|assertion|signature|session[_\-]?id|ticket)";
/// Names of secrets in a query or form alone; elsewhere they are common words.
const SHORT: &str = "auth|code|jwt|key|otp|pass|pin|sid|sig";

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (
            format!(r"(?i)(^|[?&;#\s])({NAMES}|{SHORT})=[^&#\s]+"),
            "${1}${2}=****",
        ),
        (
            format!(r#"(?i)"({NAMES})"(\s*:\s*)"(?:[^"\\]|\\.)*(?:"|$)"#),
            r#""${1}"${2}"****""#,
        ),
        // JSON within a JSON text.
        (
            format!(r#"(?i)\\"({NAMES})\\"(\s*:\s*)\\"[^"\\]*(?:\\"|$)"#),
            r#"\"${1}\"${2}\"****\""#,
        ),
        (
            r"(?i)(?-u:\b)(bearer|basic)([ .])(?-u:[\w.\-+/~]){8,}=*".to_owned(),
            "${1}${2}****",
        ),
        // A part of multipart/form-data (RFC 7578): its other headers, an empty line, the value.
        (
            format!(r#"(?i)(name="{NAMES}"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)[^\r\n]+"#),
            "${1}****",
        ),
        // The password of a URL.
        (r"(://[^/\s:@]+:)[^/\s@]+@".to_owned(), "${1}****@"),
    ];
    patterns
        .into_iter()
        .filter_map(|(pattern, with)| Some((Regex::new(&pattern).ok()?, with)))
        .collect()
});

/// Masks, or by the operator's word does not.
#[derive(Debug, Clone, Copy)]
pub struct Mask(pub bool);

impl Mask {
    /// A header's value. The scheme of a credential stays.
    pub fn header(self, name: &str, value: &str) -> String {
        if !self.0 {
            return value.to_owned();
        }
        if !HEADERS.contains(&name) {
            return self.text(value).into_owned();
        }
        match value.split_once(' ') {
            Some((scheme, _)) if name.ends_with("authorization") => format!("{scheme} {MASK}"),
            _ => MASK.to_owned(),
        }
    }

    /// The value of a cookie.
    pub fn cookie(self, value: &str) -> String {
        if self.0 { MASK.to_owned() } else { value.to_owned() }
    }

    /// A text.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        if !self.0 {
            return text.into();
        }
        let mut masked = match mask_secrets(text.as_bytes()).map(String::from_utf8) {
            Some(Ok(masked)) => Cow::Owned(masked),
            _ => Cow::Borrowed(text),
        };
        for (pattern, with) in &*PATTERNS {
            if let Cow::Owned(changed) = pattern.replace_all(&masked, *with) {
                masked = Cow::Owned(changed);
            }
        }
        masked
    }

    /// The same for what may be no text.
    pub fn bytes(self, data: &[u8]) -> Cow<'_, [u8]> {
        if !self.0 {
            return data.into();
        }
        match std::str::from_utf8(data) {
            Ok(text) => match self.text(text) {
                Cow::Borrowed(_) => data.into(),
                Cow::Owned(masked) => Cow::Owned(masked.into_bytes()),
            },
            Err(_) => mask_secrets(data).map_or(data.into(), Cow::Owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 6);
    }

    #[test]
    fn credentials_keep_their_scheme_alone() {
        let mask = Mask(true);
        assert_eq!(mask.header("authorization", "Bearer abc"), "Bearer ****");
        assert_eq!(mask.header("authorization", "abc"), "****");
        assert_eq!(mask.header("proxy-authorization", "Basic dTpw"), "Basic ****");
        assert_eq!(mask.header("cookie", "a=b; c=d"), "****");
        assert_eq!(mask.header("set-cookie", "a=b; Path=/"), "****");
        assert_eq!(mask.header("accept", "text/html"), "text/html");
        let referer = "https://a.example/?x=1&access_token=hunter2#top";
        assert_eq!(
            mask.header("referer", referer),
            "https://a.example/?x=1&access_token=****#top"
        );
        assert_eq!(
            mask.header(
                "sec-websocket-protocol",
                "base64url.bearer.authorization.k8s.io.c2VjcmV0, v4"
            ),
            "base64url.bearer.****, v4"
        );
        assert_eq!(Mask(false).header("cookie", "a=b"), "a=b");
    }

    #[test]
    fn named_and_known_secrets_are_masked_in_texts() {
        for (text, masked) in [
            ("/p?code=abc&x=code", "/p?code=****&x=code"),
            ("user=a&Password=b%20c", "user=a&Password=****"),
            (
                r#"{"user":"a","accessToken": "x\"y","n":1}"#,
                r#"{"user":"a","accessToken": "****","n":1}"#,
            ),
            (r#"{"client_secret":"cut off"#, r#"{"client_secret":"****""#),
            (
                r#"{"d":"{\"token\":\"abc\"}"}"#,
                r#"{"d":"{\"token\":\"****\"}"}"#,
            ),
            (
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\nX: y\r\n\r\nhunter2\r\n--b--",
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\nX: y\r\n\r\n****\r\n--b--",
            ),
            ("see ftp://me:hunter2@host/a:b@c", "see ftp://me:****@host/a:b@c"),
            ("pay 4111 1111 1111 1111 now", "pay **** now"),
            (
                r#"{"token_type":"bearer","code":"not_found"}"#,
                r#"{"token_type":"bearer","code":"not_found"}"#,
            ),
            ("Gr\u{fc}\u{df}e", "Gr\u{fc}\u{df}e"),
        ] {
            assert_eq!(Mask(true).text(text), masked);
            assert_eq!(Mask(true).bytes(text.as_bytes()), masked.as_bytes());
            assert_eq!(Mask(false).text(text), text);
        }
        assert_eq!(&*Mask(true).bytes(b"\xff4111111111111111\xff"), b"\xff****\xff");
    }
}
