//! A body of which some was read before it goes on.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body, or what is left of one, after its frames so far.
#[derive(Debug)]
pub(in crate::http) struct Held<B, E> {
    /// What was read of it.
    pub(in crate::http) frames: VecDeque<Frame<Bytes>>,
    /// What has not been.
    pub(in crate::http) rest: Rest<B, E>,
}

/// What follows the part of a body that was read before it goes on.
#[derive(Debug)]
pub(in crate::http) enum Rest<B, E> {
    /// Nothing: all of it was read.
    Over,
    /// What is still to be read.
    More(B),
    /// This, in the place of its end: its receiver learns of it as if nobody had read ahead.
    Broken(E),
}

impl<B, E> Rest<B, E> {
    /// Why it has no end.
    pub(in crate::http) fn into_error(self) -> Option<E> {
        match self {
            Self::Broken(error) => Some(error),
            Self::Over | Self::More(_) => None,
        }
    }
}

impl<B> Rest<B, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// The next frame, or in the place of one why there is none.
    pub(in crate::http) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self {
            Self::More(body) => Pin::new(body).poll_frame(cx),
            Self::Over | Self::Broken(_) => {
                let error = std::mem::replace(self, Self::Over).into_error();
                Poll::Ready(error.map(Err))
            }
        }
    }

    pub(in crate::http) fn is_end_stream(&self) -> bool {
        match self {
            Self::Over => true,
            Self::More(body) => body.is_end_stream(),
            Self::Broken(_) => false,
        }
    }

    pub(in crate::http) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Over => SizeHint::with_exact(0),
            Self::More(body) => body.size_hint(),
            Self::Broken(_) => SizeHint::new(),
        }
    }
}
