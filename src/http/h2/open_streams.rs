//! The streams of a connection, which run in its own task: what one of them says and what is said to it goes through the
//! connection, and tasks of their own would run on other processors, and have those wait for each other at every step.
//!
//! What leaves HTTP gets a task: a relay runs for long, and may look into what passes.

use crate::http::h2::under_way::{Done, StreamEnd};
use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use tokio::task::JoinSet;

/// The streams that are open.
pub(in crate::http) struct OpenStreams<F> {
    /// A mistake in what serves one of them does not end the others.
    exchanges: FuturesUnordered<CatchUnwind<AssertUnwindSafe<F>>>,
    relays: JoinSet<()>,
}

impl<F: Future<Output = Done>> OpenStreams<F> {
    pub(in crate::http) fn none() -> Self {
        Self {
            exchanges: FuturesUnordered::new(),
            relays: JoinSet::new(),
        }
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.relays.is_empty()
    }

    /// One more. It begins when these are polled next.
    pub(in crate::http) fn add(&mut self, stream: F) {
        self.exchanges.push(AssertUnwindSafe(stream).catch_unwind());
    }

    /// Moves all of them. Ready when some have ended; says how many of those their client took back.
    pub(in crate::http) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let (mut some, mut taken_back) = (false, 0);
        while let Poll::Ready(Some(done)) = self.exchanges.poll_next_unpin(cx) {
            some = true;
            match done {
                Ok(Done::Ended(StreamEnd::Reset)) => taken_back += 1,
                Ok(Done::Ended(StreamEnd::Regular)) | Err(_) => {}
                Ok(Done::GoesOn(relay)) => drop(self.relays.spawn(relay)),
            }
        }
        while let Poll::Ready(Some(_)) = self.relays.poll_join_next(cx) {
            some = true;
        }
        match some {
            true => Poll::Ready(taken_back),
            false => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{BoxFuture, ready};
    use std::future::{pending, poll_fn};
    use tokio::sync::oneshot;

    fn streams() -> OpenStreams<BoxFuture<'static, Done>> {
        OpenStreams::none()
    }

    async fn ended(streams: &mut OpenStreams<BoxFuture<'static, Done>>) -> usize {
        poll_fn(|cx| streams.poll_ended(cx)).await
    }

    #[tokio::test]
    async fn all_that_have_ended_are_told_at_once() {
        let mut streams = streams();
        assert!(streams.is_empty());
        for end in [StreamEnd::Reset, StreamEnd::Regular, StreamEnd::Reset] {
            streams.add(ready(Done::Ended(end)).boxed());
        }
        assert!(!streams.is_empty());
        assert_eq!(ended(&mut streams).await, 2);
        assert!(streams.is_empty());
    }

    #[tokio::test]
    async fn a_mistake_in_one_does_not_end_the_others() {
        let mut streams = streams();
        let (tell, told) = oneshot::channel();
        streams.add(async { panic!("a mistake") }.boxed());
        streams.add(
            async {
                told.await.unwrap();
                Done::Ended(StreamEnd::Reset)
            }
            .boxed(),
        );
        assert_eq!(ended(&mut streams).await, 0);
        assert!(!streams.is_empty());
        tell.send(()).unwrap();
        assert_eq!(ended(&mut streams).await, 1);
        assert!(streams.is_empty());
    }

    #[tokio::test]
    async fn what_leaves_http_runs_by_itself_and_is_there_until_its_end() {
        let mut streams = streams();
        let (tell, told) = oneshot::channel();
        let (heard, hears) = oneshot::channel();
        let relay = async {
            told.await.unwrap();
            heard.send(()).unwrap();
        };
        streams.add(ready(Done::GoesOn(relay.boxed())).boxed());
        assert_eq!(ended(&mut streams).await, 0);
        assert!(!streams.is_empty());
        tell.send(()).unwrap();
        // Nobody polls the streams meanwhile.
        hears.await.unwrap();
        assert_eq!(ended(&mut streams).await, 0);
        assert!(streams.is_empty());
    }

    #[tokio::test]
    async fn what_is_still_open_goes_with_its_connection() {
        let mut streams = streams();
        let (open, closed) = oneshot::channel::<()>();
        let (relay, relayed) = oneshot::channel::<()>();
        streams.add(
            async {
                let _open = open;
                pending().await
            }
            .boxed(),
        );
        let relay = async {
            let _relay = relay;
            pending().await
        };
        streams.add(ready(Done::GoesOn(relay.boxed())).boxed());
        assert_eq!(ended(&mut streams).await, 0);
        drop(streams);
        assert!(closed.await.is_err());
        assert!(relayed.await.is_err());
    }
}
