//! The fields of a message's head (RFC 9110 section 5), seen alike by those who only ask for some of them.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The fields of a message's head, whatever carries them.
pub trait Headers {
    /// The values of a field, in their order.
    fn all<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]>;
    /// The first value of a field.
    fn first<'h>(&'h self, name: &'h HeaderName) -> Option<&'h [u8]> {
        self.all(name).next()
    }
    /// Whether a field is there.
    fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }
    /// Each field with its name as it came, in order.
    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8]));
    /// Puts one value in the place of all others of that field; at the end if there was none. A value that cannot
    /// be written is ignored.
    fn set(&mut self, name: &HeaderName, value: &[u8]);
    /// Adds a value behind the others.
    fn add(&mut self, name: &HeaderName, value: &[u8]);
    /// The same for a value that is the program's own.
    fn add_own(&mut self, name: &HeaderName, value: &'static str) {
        self.add(name, value.as_bytes());
    }
    /// Takes a field out.
    fn remove(&mut self, name: &HeaderName);
    /// Takes several out.
    fn remove_all(&mut self, names: &[HeaderName]) {
        names.iter().for_each(|name| self.remove(name));
    }
}

/// Names have lost their case here, and the order is that of each field's first value.
impl Headers for HeaderMap {
    fn all<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn first<'h>(&'h self, name: &'h HeaderName) -> Option<&'h [u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }

    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in self {
            tell(name.as_str().as_bytes(), value.as_bytes());
        }
    }

    fn set(&mut self, name: &HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.insert(name, value);
        }
    }

    fn add(&mut self, name: &HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.append(name, value);
        }
    }

    fn add_own(&mut self, name: &HeaderName, value: &'static str) {
        self.append(name, HeaderValue::from_static(value));
    }

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT, HOST, VIA};

    fn told(headers: &impl Headers) -> Vec<String> {
        let mut lines = Vec::new();
        headers.each(&mut |name, value| {
            lines.push(format!(
                "{}: {}",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value)
            ));
        });
        lines
    }

    #[test]
    fn a_map_is_asked_and_changed_like_any_head() {
        let mut headers = HeaderMap::new();
        headers.add(&HOST, b"a.example");
        headers.add_own(&VIA, "1.1 one");
        headers.add(&VIA, b"1.1 two\xff");
        assert_eq!(
            headers.all(&VIA).collect::<Vec<_>>(),
            [&b"1.1 one"[..], b"1.1 two\xff"]
        );
        assert_eq!(headers.first(&VIA), Some(&b"1.1 one"[..]));
        assert!(headers.has(&HOST) && !headers.has(&ACCEPT));
        headers.set(&VIA, b"1.1 three");
        headers.set(&ACCEPT, b"*/*");
        assert_eq!(
            told(&headers),
            ["host: a.example", "via: 1.1 three", "accept: */*"]
        );
        Headers::remove(&mut headers, &VIA);
        assert!(!headers.has(&VIA));
        headers.remove_all(&[ACCEPT, VIA]);
        assert_eq!(told(&headers), ["host: a.example"]);
        assert_eq!(headers.first(&VIA), None);
    }

    #[test]
    fn a_value_that_cannot_be_written_changes_nothing() {
        let mut headers = HeaderMap::new();
        headers.set(&HOST, b"a.example");
        headers.set(&HOST, b"b\r\nx: y");
        headers.add(&HOST, b"c\0");
        assert_eq!(told(&headers), ["host: a.example"]);
    }
}
