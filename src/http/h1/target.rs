//! The target of a request in its four forms (RFC 9112 section 3.2).

use http::Method;
use std::borrow::Cow;

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form<'t> {
    /// A path, or `*`.
    Origin,
    /// A whole URL.
    Absolute { scheme: &'t str, authority: &'t str },
    /// Neither: what CONNECT has, or nonsense.
    Other,
}

/// A target taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target<'t> {
    pub(super) form: Form<'t>,
    /// What goes on to an origin: the path with its query, as it came.
    pub(super) path: &'t [u8],
}

impl<'t> Target<'t> {
    pub(super) fn parse(target: &'t [u8], method: &Method) -> Self {
        if target.starts_with(b"/") || (target == b"*" && *method == Method::OPTIONS) {
            return Self {
                form: Form::Origin,
                path: target,
            };
        }
        Self::absolute(target, method).unwrap_or(Self {
            form: Form::Other,
            path: target,
        })
    }

    fn absolute(target: &'t [u8], method: &Method) -> Option<Self> {
        let colon = target.windows(3).position(|word| word == b"://")?;
        let scheme = std::str::from_utf8(&target[..colon]).ok()?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let rest = &target[colon + 3..];
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
            .unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = match path {
            // RFC 9112 section 3.2.4.
            [] if *method == Method::OPTIONS => b"*",
            [] => b"/",
            path => path,
        };
        Some(Self {
            form: Form::Absolute {
                scheme,
                authority: std::str::from_utf8(authority).ok()?,
            },
            path,
        })
    }

    /// The path with its query, as rules and logs have it.
    pub(super) fn text(&self) -> Cow<'t, str> {
        String::from_utf8_lossy(self.path)
    }

    /// As it goes to the origin: a query alone has the root before it.
    pub(super) fn outgoing(&self) -> Cow<'t, [u8]> {
        match self.path.first() {
            Some(b'?' | b'#') => [b"/", self.path].concat().into(),
            _ => self.path.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart_as_they_came() {
        let parse = |target: &'static str| Target::parse(target.as_bytes(), &Method::GET);
        let target = parse("/a?f={\"x\":1}");
        assert_eq!(
            (target.form.clone(), &*target.text()),
            (Form::Origin, "/a?f={\"x\":1}")
        );
        for (text, scheme, authority, path) in [
            ("http://a.test/x?y", "http", "a.test", "/x?y"),
            ("HTTPS://a.test:8443", "HTTPS", "a.test:8443", "/"),
            ("ws://u@a.test?q", "ws", "u@a.test", "/?q"),
            ("http:///x", "http", "", "/x"),
        ] {
            let target = parse(text);
            assert_eq!(target.form, Form::Absolute { scheme, authority }, "{text}");
            assert_eq!(target.outgoing(), path.as_bytes(), "{text}");
        }
        for text in ["a.test:443", "*", "x://", "://a", "mailto:x", "a b://c"] {
            let form = parse(text).form;
            assert!(form == Form::Other || text == "x://", "{text}: {form:?}");
        }
        let options = |target: &'static [u8]| Target::parse(target, &Method::OPTIONS);
        assert_eq!(options(b"*").form, Form::Origin);
        assert_eq!(options(b"http://a.test").path, b"*");
    }
}
