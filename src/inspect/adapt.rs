//! Services outside of the process that may change a message of HTTP, or answer in its place (RFC 3507).

use super::facts::HttpHead;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::net::IpAddr;
use std::pin::Pin;

/// A message on its way, for a service that may change it.
pub struct AdaptItem<'a> {
    /// Whose it is.
    pub client: IpAddr,
    /// Its user, where that is known.
    pub user: Option<&'a str>,
    /// The absolute URL.
    pub url: &'a str,
    /// The request's head.
    pub request: &'a HttpHead,
    /// The response's head, where it is the response that may be changed.
    pub response: Option<&'a HttpHead>,
    /// Its content, with the codings that it has.
    pub body: &'a mut dyn AdaptBody,
}

/// Something that takes its time.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Content that is read as far as a service wants to see it. An error says why it cannot be.
pub trait AdaptBody: Send {
    /// Its first bytes, at most so many; whether that is all of it.
    fn preview(&mut self, most: usize) -> Soon<'_, Result<(Bytes, bool), String>>;
    /// All of it, which is at most so much.
    fn whole(&mut self, most: usize) -> Soon<'_, Result<Bytes, String>>;
}

/// What a service makes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapted {
    /// It goes on as it is.
    Unchanged,
    /// This request goes on in its place.
    Request {
        /// The method.
        method: Method,
        /// The path with its query.
        path: String,
        /// The fields, without those that say where the content ends.
        headers: HeaderMap,
        /// The content.
        body: Bytes,
    },
    /// This response goes to the client: in the place of the origin's, or before any origin is asked.
    Response {
        /// The status.
        status: StatusCode,
        /// The fields, likewise.
        headers: HeaderMap,
        /// The content.
        body: Bytes,
    },
    /// The service did not answer in time, or answered nonsense, or is being given a rest.
    Failed(String),
}
