//! Content of a stream that nobody wants: that of a request which is answered before its end.

use crate::http::message::source::Leftover;
use ::h2::RecvStream;
use std::time::Duration;

/// How much of it is read, in bytes.
const BOUND: usize = 1 << 20;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads what comes of it behind the answer, and forgets it. A stream that is reset while its client still has something to
/// send is one whose answer may go unheard, although RFC 9113 section 8.1 has it heard: curl 7.88 gives up with "stream
/// error in the HTTP/2 framing layer" where the reset overtakes its own content.
pub(in crate::http) async fn skip(mut content: RecvStream) {
    let end = async {
        let mut left = BOUND;
        while let Some(Ok(data)) = content.data().await {
            // It fails only for more than was received.
            let _ = content.flow_control().release_capacity(data.len());
            match left.checked_sub(data.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, end).await;
}

/// The same for what somebody has begun to read.
pub(in crate::http) async fn skip_left(left: Option<Leftover>) {
    if let Some(content) = left.and_then(|left| left.take()) {
        skip(content).await;
    }
}
