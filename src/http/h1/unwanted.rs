//! Content that nobody wants: that of a request which goes no further.

use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::road;
use crate::http::h1::client::{Client, Reply};
use crate::http::h1::content::poll_content;
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use crate::wire::http1::{Decoder, Framing};
use http::Version;
use std::future::poll_fn;

/// How much of it is read, in bytes, so that the connection can go on: a client that is asked who it is has often begun to
/// send, and some can only answer on the same connection.
const BOUND: u64 = 1 << 20;

/// The content of a request that goes no further.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwanted {
    framing: Framing,
    /// Whether it comes at all is the client's choice (RFC 9110 section 10.1.1).
    is_unsure: bool,
}

impl Unwanted {
    pub(super) fn new(framing: Framing, version: Version, fields: &impl Headers) -> Self {
        Self {
            framing,
            is_unsure: version == Version::HTTP_11 && road::expects_continue(fields),
        }
    }

    /// Where it ends is known, and near.
    fn can_be_skipped(self) -> bool {
        match self.framing {
            Framing::Empty | Framing::Length(0) => true,
            Framing::Length(bytes) => bytes <= BOUND && !self.is_unsure,
            Framing::Chunked => !self.is_unsure,
            Framing::ToEnd => false,
        }
    }
}

impl Client<'_> {
    /// Answers a request that goes no further, then reads what comes of its content and forgets it; says whether the
    /// connection can go on.
    pub(super) async fn refuse(
        &mut self,
        record: &mut ExchangeRecord,
        problem: &ErrorResponse,
        reply: Reply,
        content: Unwanted,
    ) -> bool {
        let reply = Reply {
            keeps: reply.keeps && content.can_be_skipped(),
            ..reply
        };
        self.answer(record, problem, reply).await
            && (!content.framing.has_content() || self.skip(content.framing).await)
    }

    /// Reads content to its end within the time for a head; says whether that came.
    async fn skip(&mut self, framing: Framing) -> bool {
        let mut decoder = Decoder::new(framing, self.context.header_bytes);
        let mut left = BOUND;
        let end = poll_fn(|cx| {
            loop {
                match std::task::ready!(poll_content(&mut self.conn, &mut decoder, cx)) {
                    None => return true.into(),
                    Some(Err(_)) => return false.into(),
                    Some(Ok(frame)) => {
                        let read = frame.data_ref().map_or(0, |data| data.len() as u64);
                        match left.checked_sub(read) {
                            Some(less) => left = less,
                            None => return false.into(),
                        }
                    }
                }
            }
        });
        tokio::time::timeout(self.context.request_head, end)
            .await
            .unwrap_or(false)
    }
}
