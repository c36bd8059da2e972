//! What clients show to the proxy, and how it asks.

use super::raw::Answer;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A value of `Proxy-Authorization` (RFC 7617).
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// The answer asks who it is, by this challenge, and its connection goes on.
pub(crate) fn is_asked(answer: &Answer, challenge: &str) {
    let head = &answer.head;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (407, None),
        "{head}"
    );
    assert_eq!(answer.header("proxy-authenticate"), Some(challenge), "{head}");
    let status = answer.header("proxy-status").unwrap();
    assert!(status.contains("error=proxy_authentication_required"), "{head}");
    assert!(answer.header("www-authenticate").is_none(), "{head}");
}
