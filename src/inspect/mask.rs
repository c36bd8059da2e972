//! What is masked before anybody reads it: credentials in headers, known formats of secrets, and what is called a secret
//! by its name in a query, a form or JSON.

use super::rules::mask_secrets;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

const MASK: &str = "****";

/// Fields whose values say nothing about who asks: what they hold is shown, but for known secrets in it. Everything else is
/// somebody's until it is known to be nobody's: its name is shown, and its value is not.
const HARMLESS: [&str; 103] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-patch",
    "accept-post",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "dnt",
    "etag",
    "expect",
    "expires",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-timeout",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "nel",
    "origin",
    "permissions-policy",
    "pragma",
    "priority",
    "proxy-connection",
    "proxy-status",
    "range",
    "referer",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "retry-after",
    "save-data",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-gpc",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "server",
    "server-timing",
    "service-worker-allowed",
    "sourcemap",
    "strict-transport-security",
    "te",
    "timing-allow-origin",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "warning",
    "x-content-type-options",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-frame-options",
    "x-powered-by",
    "x-requested-with",
    "x-robots-tag",
    "x-ua-compatible",
    "x-xss-protection",
];

/// Fields of challenges and credentials, of which the scheme may be seen.
const SCHEMES: [&str; 5] = [
    "authentication-info",
    "authorization",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
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
    /// The value of a field, whose name is in lower case. Shown is what is known to be harmless; the scheme of a credential
    /// stays.
    pub fn header(self, name: &str, value: &str) -> String {
        if !self.0 {
            return value.to_owned();
        }
        // Hints that a client gives of its kind, of which there is no end.
        if HARMLESS.binary_search(&name).is_ok() || name.starts_with("sec-ch-") {
            return self.text(value).into_owned();
        }
        match value.split_once(' ') {
            Some((scheme, _)) if SCHEMES.contains(&name) && is_token(scheme) => format!("{scheme} {MASK}"),
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

/// Whether this can be a scheme's name (RFC 9110 section 11.1), and no part of a secret.
fn is_token(scheme: &str) -> bool {
    (1..=20).contains(&scheme.len())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 6);
    }

    #[test]
    fn what_is_not_known_to_be_harmless_is_masked() {
        assert!(HARMLESS.is_sorted(), "it is searched by halves");
        let mask = Mask(true);
        for name in [
            "x-api-key",
            "x-forwarded-for",
            "x-amz-security-token",
            "x-shopify-access-token",
            "private-token",
            "cf-connecting-ip",
            "x-nobody-has-heard-of-this",
            "cookie2",
            "",
        ] {
            assert_eq!(mask.header(name, "hunter2 and more"), "****", "{name}");
        }
        for name in [
            "accept",
            "content-type",
            "server",
            "sec-ch-ua-platform",
            "x-robots-tag",
        ] {
            assert_eq!(mask.header(name, "plain"), "plain", "{name}");
        }
        assert_eq!(
            mask.header("www-authenticate", "Negotiate oYG2MIGzoAMKAQGh"),
            "Negotiate ****"
        );
        assert_eq!(mask.header("authorization", "hunter2! is it"), "****");
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
