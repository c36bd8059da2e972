//! A body of which some was read before it goes on.

use bytes::Bytes;
use http_body::Frame;
use std::collections::VecDeque;

/// A body, or what is left of one, after its frames so far.
#[derive(Debug)]
pub(in crate::http) struct Held<B> {
    /// What was read of it.
    pub(in crate::http) frames: VecDeque<Frame<Bytes>>,
    /// What has not been.
    pub(in crate::http) rest: Option<B>,
}
