//! Messages of HTTP/1.1 on their way through services that may change them.

use crate::error::Side;
use crate::http::error::HttpError;
use crate::http::exchange::check::Wanted;
use crate::http::h1::client::{Client, Reply};
use crate::http::h1::content::ConnContent;
use crate::http::h1::prepared::{JudgedContent, Prepared};
use crate::http::h1::target::Target;
use crate::http::inspected::adapting::Change;
use crate::http::message::broke::ContentError;
use crate::http::message::held::{Held, Rest};
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use crate::wire::http1::{Decoder, Fields, Framing, parse_request, write_request};
use bytes::Bytes;
use http::Response;
use http::header::{CONNECTION, EXPECT, HeaderMap, UPGRADE};
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A request goes no further.
pub(super) enum NotSent {
    /// The client gets this; whether all of its content has been read.
    Answer(Box<Response<Bytes>>, ErrorResponse, bool),
    /// The client is told why.
    Problem(ErrorResponse),
}

/// Content of which some was read before.
pub(super) struct Resumed<B> {
    pub(super) frames: VecDeque<Frame<Bytes>>,
    pub(super) broke: Option<ContentError>,
    /// What follows; `None` if nothing does.
    pub(super) rest: Option<B>,
}

impl<B: Body<Data = Bytes, Error = ContentError> + Unpin> Body for Resumed<B> {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(error) = self.broke.take() {
            self.rest = None;
            return Poll::Ready(Some(Err(error)));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.broke.is_none() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }
}

/// Has a request changed before it goes on, where services are to see it.
pub(super) async fn adapt_request(client: &mut Client<'_>, prepared: &mut Prepared) -> Result<(), NotSent> {
    let Some(mut adapter) = prepared.adapter.take() else {
        return Ok(());
    };
    if std::mem::take(&mut prepared.expects) {
        // What services look at first has to be there first.
        prepared.head.fields.remove(&EXPECT);
        client.conn.queue(b"HTTP/1.1 100 Continue\r\n\r\n");
        if client.flush().await.is_err() {
            let gone = ErrorResponse::new(HttpError::Aborted(Side::Client), "the client went away");
            return Err(NotSent::Problem(gone));
        }
    }
    let is_upgrade = !matches!(prepared.wanted, Wanted::Nothing);
    let method = prepared.head.method.clone();
    let path = Target::parse(prepared.head.target(), &method)
        .outgoing()
        .into_owned();
    let path = String::from_utf8_lossy(&path).into_owned();
    let headers = map_of(&prepared.head.fields);
    let has_content = prepared.framing.has_content();
    let (frames, mut decoder, broke, tap, is_over) = match prepared.held.take() {
        None if has_content => {
            let decoder = Decoder::new(prepared.framing, client.context.header_bytes);
            let tap = prepared.inspected.as_ref().and_then(|it| it.request_tap());
            (VecDeque::new(), decoder, None, tap, false)
        }
        None => (VecDeque::new(), Decoder::new(Framing::Empty, 0), None, None, true),
        Some(JudgedContent::Pieces(frames, decoder, broke, tap)) => (frames, decoder, broke, tap, false),
        Some(JudgedContent::Instead(content)) => {
            let tap = prepared.inspected.as_ref().and_then(|it| it.request_tap());
            let frames = [Frame::data(content)].into();
            (frames, Decoder::new(Framing::Empty, 0), None, tap, true)
        }
    };
    let body = Resumed {
        frames,
        broke,
        rest: (!is_over).then_some(ConnContent {
            conn: &mut client.conn,
            decoder: &mut decoder,
        }),
    };
    match adapter.request(&method, &path, headers, is_upgrade, body).await {
        Change::None(held) => {
            let (frames, broke) = reclaim(held);
            if has_content {
                prepared.held = Some(JudgedContent::Pieces(frames, decoder, broke, tap));
            }
        }
        Change::Request(changed) => {
            let mut out = Vec::with_capacity(1024);
            let mut fields = Fields::of_map(&changed.headers);
            // What the connection goes by is none of theirs.
            for name in [&CONNECTION, &UPGRADE] {
                fields.remove(name);
            }
            write_request(&changed.method, changed.path.as_bytes(), &fields, &mut out);
            let Ok(mut head) = parse_request(&out) else {
                let text = "a service made a request that cannot be written";
                return Err(NotSent::Problem(ErrorResponse::new(HttpError::Uninspected, text)));
            };
            head.version = prepared.head.version;
            prepared.head = head;
            prepared.framing = match changed.body.len() {
                0 => Framing::Empty,
                length => Framing::Length(length as u64),
            };
            prepared.held = (!changed.body.is_empty()).then_some(JudgedContent::Instead(changed.body));
        }
        Change::Response(response, problem) => {
            let is_read = !has_content || decoder.is_done();
            return Err(NotSent::Answer(Box::new(response), problem, is_read));
        }
        Change::Stop(problem) => return Err(NotSent::Problem(problem)),
    }
    prepared.adapter = Some(adapter);
    Ok(())
}

/// What was read of content and has not gone on, and how it broke off.
pub(super) fn reclaim<B>(
    held: Held<Resumed<B>, ContentError>,
) -> (VecDeque<Frame<Bytes>>, Option<ContentError>) {
    let mut frames = held.frames;
    match held.rest {
        Rest::More(mut resumed) => {
            frames.append(&mut resumed.frames);
            (frames, resumed.broke)
        }
        rest => (frames, rest.into_error()),
    }
}

/// Gives the client what a service has answered; says whether its connection can go on.
pub(super) async fn answer_by_service(
    client: &mut Client<'_>,
    prepared: &mut Prepared,
    response: &Response<Bytes>,
    problem: &ErrorResponse,
    is_read: bool,
) -> bool {
    let keeps = prepared.reply.keeps && is_read;
    prepared.record.answered(problem);
    let reply = Reply {
        keeps,
        ..prepared.reply
    };
    client.say(response, reply).await && keeps
}

/// Fields in the form that services have them.
pub(super) fn map_of(fields: &impl Headers) -> HeaderMap {
    let mut copy = Fields::new();
    fields.each(&mut |name, value| copy.push(name, value));
    copy.to_map()
}
