//! Requests that go to a parent in absolute form (RFC 9112 section 3.2.2).

use super::destination::Destination;
use crate::dial::DialOutcome;
use crate::http::error::HttpError;
use crate::http::pages::ErrorResponse;
use http::StatusCode;
use std::fmt;
use std::sync::Arc;

/// A parent that is put each request by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct AbsoluteForm {
    /// Its name.
    pub parent: Arc<str>,
    /// The value of `Proxy-Authorization`, which is for the parent alone.
    pub credentials: Option<Box<str>>,
}

impl AbsoluteForm {
    /// The target of a request for this path.
    pub(in crate::http) fn target(&self, to: &Destination<'_>, path: &[u8]) -> Vec<u8> {
        let mut target = to.base().as_bytes().to_vec();
        // An `OPTIONS *` has an empty path there (RFC 9112 section 3.2.4).
        if path != b"*" {
            target.extend_from_slice(path);
        }
        target
    }

    /// What a client is told in the place of a response that is about the proxy's own login. Nothing of such a response
    /// goes further: it would ask the client for a password that is not its own.
    pub(in crate::http) fn refusal(&self, to: &Destination<'_>, status: StatusCode) -> Option<ErrorResponse> {
        if status != StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return None;
        }
        let text = format!(
            "no parent leads to {} ({}: it does not accept the proxy's login (407))",
            to.target, self.parent
        );
        Some(ErrorResponse {
            received: Some(status),
            ..ErrorResponse::new(HttpError::Dial(DialOutcome::ParentLogin), text)
        })
    }
}

impl fmt::Debug for AbsoluteForm {
    /// Credentials are nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AbsoluteForm({:?})", self.parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::names::Authority;
    use http::uri::Scheme;

    #[test]
    fn a_target_names_its_server() {
        let form = AbsoluteForm {
            parent: "upstream".into(),
            credentials: Some("Basic c2VjcmV0".into()),
        };
        let target = |authority, path: &str| {
            let server = Authority::parse(authority, None).unwrap();
            let to = Destination::new(Scheme::HTTP, &server, None);
            String::from_utf8(form.target(&to, path.as_bytes())).unwrap()
        };
        assert_eq!(target("a.example:80", "/x?y"), "http://a.example/x?y");
        assert_eq!(target("a.example:8080", "/"), "http://a.example:8080/");
        assert_eq!(target("[2001:db8::1]:80", "/"), "http://[2001:db8::1]/");
        assert_eq!(target("a.example:80", "*"), "http://a.example");
        assert!(!format!("{form:?}").contains("Basic"));
    }
}
