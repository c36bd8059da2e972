//! A body that is read as far as services want to see it.

use crate::http::inspected::kept::Kept;
use crate::http::message::held::{Held, Rest};
use crate::inspect::{AdaptBody, Blind, Budgets, Room, Soon};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::timeout_at;

/// A body that is read as far as services want to see it.
pub(in crate::http) struct Reading<B: Body> {
    body: Option<B>,
    error: Option<B::Error>,
    kept: Option<Kept>,
    /// All that was kept, once it is all that there is: the frames, and the content in one piece.
    all: Option<(VecDeque<Frame<Bytes>>, Bytes)>,
    /// Why no more of it is kept.
    full: Option<Blind>,
    /// What a service has put in its place.
    pub(in crate::http) replaced: Option<Bytes>,
    until: tokio::time::Instant,
}

impl<B> Reading<B>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Send,
{
    pub(in crate::http) fn new(rooms: &[Arc<Room>; 2], budgets: &Budgets, body: B) -> Self {
        Self {
            body: Some(body),
            error: None,
            kept: Some(Kept::new(rooms, budgets.message)),
            all: None,
            full: None,
            replaced: None,
            until: tokio::time::Instant::now() + budgets.hold,
        }
    }

    /// Reads until there are more than so many bytes, or no more come.
    async fn read_beyond(&mut self, most: usize) -> Result<(), String> {
        let Some(kept) = &mut self.kept else {
            return Ok(());
        };
        while kept.raw().len() <= most {
            if let Some(why) = self.full {
                return Err(format!("it cannot be kept ({})", why.label()));
            }
            let Some(body) = &mut self.body else {
                break;
            };
            let Ok(frame) = timeout_at(self.until, body.frame()).await else {
                return Err("it does not come in time".to_owned());
            };
            match frame {
                None => self.body = None,
                Some(Err(error)) => (self.body, self.error) = (None, Some(error)),
                Some(Ok(frame)) => self.full = kept.push(frame),
            }
        }
        Ok(())
    }

    /// What goes on where nothing is in its place.
    pub(in crate::http) fn put_back(self) -> Held<B, B::Error> {
        let frames = match (self.all, self.kept) {
            (Some((frames, _)), _) => frames,
            (None, Some(kept)) => kept.into_parts().0,
            (None, None) => VecDeque::new(),
        };
        let rest = match (self.error, self.body) {
            (Some(error), _) => Rest::Broken(error),
            (None, Some(body)) if !body.is_end_stream() => Rest::More(body),
            (None, _) => Rest::Over,
        };
        Held { frames, rest }
    }
}

impl<B> AdaptBody for Reading<B>
where
    B: Body<Data = Bytes> + Unpin + Send,
    B::Error: Send,
{
    fn preview(&mut self, most: usize) -> Soon<'_, Result<(Bytes, bool), String>> {
        Box::pin(async move {
            let replaced = self
                .replaced
                .as_ref()
                .or(self.all.as_ref().map(|(_, whole)| whole));
            if let Some(whole) = replaced {
                let end = whole.len().min(most);
                return Ok((whole.slice(..end), end == whole.len()));
            }
            self.read_beyond(most).await?;
            let raw = self.kept.as_ref().map_or(&[][..], Kept::raw);
            let end = raw.len().min(most);
            let is_all = self.body.is_none() && self.error.is_none() && end == raw.len();
            Ok((Bytes::copy_from_slice(&raw[..end]), is_all))
        })
    }

    fn whole(&mut self, most: usize) -> Soon<'_, Result<Bytes, String>> {
        Box::pin(async move {
            let replaced = self
                .replaced
                .as_ref()
                .or(self.all.as_ref().map(|(_, whole)| whole));
            if let Some(whole) = replaced {
                return Ok(whole.clone());
            }
            self.read_beyond(most).await?;
            if self.body.is_some() {
                return Err(format!("it is larger than {most} bytes (max_size)"));
            }
            if self.error.is_some() {
                return Err("it breaks off".to_owned());
            }
            let all = self.kept.take().map(Kept::into_parts).unwrap_or_default();
            let whole = all.1.clone();
            self.all = Some(all);
            Ok(whole)
        })
    }
}
