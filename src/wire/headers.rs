//! The fields of a message's head, whatever carries them.

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

    /// Puts one value in the place of all others of that field; at the end if there was none. A value that cannot be
    /// written is ignored.
    fn set(&mut self, name: &HeaderName, value: &[u8]);

    /// Adds a value behind the others.
    fn add(&mut self, name: &HeaderName, value: &[u8]);

    /// Takes a field out.
    fn remove(&mut self, name: &HeaderName);
}

impl Headers for HeaderMap {
    fn all<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        self.get_all(name).into_iter().map(HeaderValue::as_bytes)
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

    fn remove(&mut self, name: &HeaderName) {
        HeaderMap::remove(self, name);
    }
}
