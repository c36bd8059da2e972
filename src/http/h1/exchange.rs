//! One exchange over HTTP/1.1 on both sides: the request goes on while the response is waited for, and what nobody
//! changes goes out as it came.

use crate::accept::CarriedPart;
use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::endless::may_be_quiet;
use crate::http::exchange::hop;
use crate::http::exchange::pace::{Pace, Paced};
use crate::http::exchange::served::ServeError;
use crate::http::h1::adapted::{NotSent, Resumed, adapt_request, answer_by_service, map_of, reclaim};
use crate::http::h1::after::{After, INTERIM, end_with, fail};
use crate::http::h1::client::Client;
use crate::http::h1::clock::Standstill;
use crate::http::h1::conn::Conn;
use crate::http::h1::content::Meanwhile;
use crate::http::h1::moving::{HALF_CLOSED, Interrupted, NoResponse, poll_both, poll_response, poll_slow};
use crate::http::h1::prepared::{Leading, Prepared, wants_more};
use crate::http::h1::response_head::{finish_head, switch};
use crate::http::h1::transfer::{SendFraming, Transfer};
use crate::http::inspected::adapting::Change;
use crate::http::inspected::bodies::JudgedBody;
use crate::http::inspected::bodies::as_plain;
use crate::http::message::broke::ContentError;
use crate::http::pages::ErrorResponse;
use crate::tls::Eof;
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use crate::wire::http1::{Decoder, Fields, Framing, ResponseHead, response_framing};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{StatusCode, Version};
use http_body::Frame;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// How long an origin has to answer `Expect: 100-continue`. Many never do and wait for the content instead, and some
/// clients wait for ever (RFC 9110 section 10.1.1 would have them not to).
const CONTINUE: Duration = Duration::from_secs(1);

/// Sends a request and passes its response on.
pub(super) async fn carry(
    client: &mut Client<'_>,
    origin: &mut Conn,
    to: &Destination<'_>,
    leading: Leading<'_>,
    mut prepared: Box<Prepared>,
) -> After {
    let context = client.context;
    if prepared.adapter.is_some()
        && let Err(not_sent) = Box::pin(adapt_request(client, &mut prepared)).await
    {
        return match not_sent {
            NotSent::Problem(problem) => end_with(client, prepared, &problem).await,
            NotSent::Answer(response, problem, is_read) => {
                // The origin has been told nothing.
                match answer_by_service(client, &mut prepared, &response, &problem, is_read).await {
                    true => After::Keep,
                    false => After::Close,
                }
            }
        };
    }
    let again = leading.may_repeat && prepared.may_repeat();
    let kept = again.then(|| prepared.head.clone());
    let out = prepared.outgoing(leading, to);
    origin.queue(&out);
    let mut upload = prepared.upload(context.header_bytes);
    let mut carried = CarriedPart::new(&context.carried);
    let mut patience = Standstill::new(context.response);
    let pace = context.pace.unless(may_be_quiet(&prepared.head.fields));
    let mut up = Paced::new(pace);
    let (mut interim, mut continued, mut prompted) = (0, false, false);
    let mut prompt = prepared.expects.then(|| Standstill::new(CONTINUE));
    let response = loop {
        let next = poll_fn(|cx| {
            let Client { conn, clock, .. } = &mut *client;
            if let Some(waiting) = &mut prompt {
                if upload.has_begun() || continued {
                    prompt = None;
                } else if waiting.poll(clock, cx, 0).is_ready() {
                    conn.queue(b"HTTP/1.1 100 Continue\r\n\r\n");
                    (prompt, prompted) = (None, true);
                }
            }
            let polled = poll_response(cx, conn, origin, &mut upload, clock, &mut patience, context);
            carried.reach([upload.bytes(), 0]);
            if polled.is_pending() && poll_slow(cx, clock, &mut up, &upload, origin).is_ready() {
                return Poll::Ready(Err(NoResponse::Slow));
            }
            polled
        });
        match next.await {
            Ok(early)
                if early.status.is_informational() && early.status != StatusCode::SWITCHING_PROTOCOLS =>
            {
                interim += 1;
                if interim > INTERIM {
                    break Err(NoResponse::Rambling);
                }
                if let Some(it) = &prepared.inspected
                    && let Err(problem) = it.interim_head(early.status, &early.fields)
                {
                    break Err(NoResponse::Refused(Box::new(problem)));
                }
                continued |= early.status == StatusCode::CONTINUE;
                let is_known = prompted && early.status == StatusCode::CONTINUE;
                // HTTP/1.0 does not know them (RFC 9110 section 15.2).
                if prepared.head.version == Version::HTTP_11 && !is_known {
                    let mut early = early;
                    hop::strip(&mut early.fields, None);
                    early.fields.remove(&TRANSFER_ENCODING);
                    early.fields.remove(&CONTENT_LENGTH);
                    context.hide(&mut early.fields);
                    let mut out = Vec::with_capacity(256);
                    early.write(Version::HTTP_11, &mut out);
                    client.conn.queue(&out);
                }
            }
            other => break other,
        }
    };
    prepared.record.sent(upload.bytes());
    client.in_step = upload.is_over() && !upload.was_given_up();
    if response.is_err() {
        upload.let_go();
    }
    let mut head = match response {
        Ok(head) => head,
        Err(NoResponse::Origin(error))
            if leading.is_used && kept.is_some() && error.as_ref().and_then(late_failure).is_none() =>
        {
            prepared.head = kept.unwrap_or(prepared.head);
            return After::Again(prepared);
        }
        Err(failed) => return fail(client, to, leading, prepared, failed).await,
    };
    if let Some(problem) = leading.absolute.and_then(|form| form.refusal(to, head.status)) {
        return end_with(client, prepared, &problem).await;
    }
    let adapter = prepared.adapter.take();
    let adapter = adapter.filter(|it| it.takes_response(head.status, &map_of(&head.fields)));
    let mut adapted = None;
    if let Some(adapter) = adapter {
        let framing = match response_framing(&mut head, &prepared.head.method) {
            Ok(framing) => framing,
            Err(why) => {
                let problem = ErrorResponse::malformed_response(to.target, why);
                return end_with(client, prepared, &problem).await;
            }
        };
        let mut decoder = Decoder::of_response(framing, context.header_bytes);
        let body = Resumed {
            frames: Default::default(),
            broke: None,
            rest: framing.has_content().then_some(Meanwhile {
                client: &mut client.conn,
                origin,
                decoder: &mut decoder,
                upload: &mut upload,
            }),
        };
        let change = Box::pin(adapter.response(head.status, map_of(&head.fields), body)).await;
        adapted = Some(match change {
            Change::None(held) => {
                let (frames, broke) = reclaim(held);
                (framing, decoder, frames, broke, None)
            }
            Change::Response(response, _) => {
                let (parts, content) = response.into_parts();
                let mut changed = ResponseHead::new(parts.status);
                changed.fields = Fields::of_map(&parts.headers);
                changed.version = head.version;
                // Whether the connection can go on is for the origin to say.
                for value in head.fields.all(&CONNECTION) {
                    changed.fields.add(&CONNECTION, value);
                }
                head = changed;
                (framing, decoder, Default::default(), None, Some(content))
            }
            Change::Stop(problem) => return end_with(client, prepared, &problem).await,
            Change::Request(_) => {
                let text = "a service answers a response with a request";
                let problem = ErrorResponse::new(HttpError::Uninspected, text);
                return end_with(client, prepared, &problem).await;
            }
        });
    }
    let origin_address = to.origin.or(context.origin);
    let looked_at = match prepared
        .inspected
        .as_ref()
        .map(|it| it.response_head(head.status, head.version, &head.fields, origin_address))
    {
        Some(Err(problem)) => return end_with(client, prepared, &problem).await,
        Some(Ok(looked_at)) => Some(looked_at),
        None => None,
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return switch(client, to, prepared, head).await;
    }
    let (framing, mut decoder, mut held, mut broke, mut instead) = match adapted {
        Some(adapted) => adapted,
        None => match response_framing(&mut head, &prepared.head.method) {
            Ok(framing) => {
                let decoder = Decoder::of_response(framing, context.header_bytes);
                (framing, decoder, Default::default(), None, None)
            }
            Err(why) => {
                let problem = ErrorResponse::malformed_response(to.target, why);
                return end_with(client, prepared, &problem).await;
            }
        },
    };
    // What a service has answered by the beginning alone leaves the rest unread.
    let is_unread = instead.is_some() && !decoder.is_done() && framing.has_content();
    let is_old = prepared.head.version < Version::HTTP_11;
    // A final response in the place of a 100: the content is never going to be wanted.
    let is_unwanted =
        prepared.expects && !continued && !prompted && !upload.has_begun() && !upload.was_given_up();
    let is_broken = upload.was_given_up();
    if is_unwanted {
        upload.give_up();
    }
    // Only who asks for the same once more, now with credentials or without the expectation, keeps its connection: for
    // anyone else, what comes next could be the content after all.
    let is_retried = matches!(
        head.status,
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::EXPECTATION_FAILED
    );
    let origin_keeps = wants_more(&head.fields, head.version)
        && framing != Framing::ToEnd
        && (!is_unwanted || is_retried)
        && !is_broken
        && !is_unread;
    let needs_end =
        instead.is_none() && (framing == Framing::ToEnd || (is_old && framing == Framing::Chunked));
    let keeps = prepared.reply.keeps
        && !needs_end
        && (!is_unwanted || is_retried)
        && (origin_keeps || !leading.is_tied)
        && !client.drain.is_begun();

    let mut tap = None;
    let mut replaced = None;
    if let (Some(it), Some(looked_at)) = (&prepared.inspected, &looked_at)
        && framing.has_content()
    {
        if it.holds_response(looked_at) {
            let before = instead.clone().map(Frame::data);
            let content = Resumed {
                frames: before.into_iter().chain(std::mem::take(&mut held)).collect(),
                broke: broke.take(),
                rest: instead.is_none().then_some(Meanwhile {
                    client: &mut client.conn,
                    origin,
                    decoder: &mut decoder,
                    upload: &mut upload,
                }),
            };
            match it.hold(Direction::ToClient, looked_at, content).await {
                JudgedBody::Pass(pieces, looking) => {
                    ((held, broke), tap) = (reclaim(pieces), looking);
                }
                JudgedBody::Replace(content) => replaced = Some(content),
                JudgedBody::Stop(problem) => return end_with(client, prepared, &problem).await,
            }
        } else {
            match it.response_tap(looked_at) {
                Ok(looking) => tap = looking,
                Err(problem) => return end_with(client, prepared, &problem).await,
            }
        }
    }
    if let Some(content) = replaced {
        as_plain(&mut head.fields, content.len());
        instead = Some(content);
    }
    if let Some(content) = &instead {
        head.fields.remove(&TRANSFER_ENCODING);
        prepared.record.add_response_bytes(content.len() as u64);
    }
    let chunked = framing == Framing::Chunked && !is_old && instead.is_none();
    let is_stream = may_be_quiet(&head.fields);
    let patient = context.patience(is_stream);
    context.hide(&mut head.fields);
    finish_head(&mut head, &prepared, keeps, chunked);
    let mut out = Vec::with_capacity(1024);
    head.write(prepared.head.version, &mut out);
    client.conn.queue(&out);
    prepared.record.head(head.status);

    let mut download = match instead {
        Some(content) => {
            client.conn.queue(&content);
            // What is left of the original is of no use, and neither is its connection.
            Transfer::none(Decoder::new(Framing::Empty, 0))
        }
        None if framing.has_content() => {
            let outgoing = if chunked {
                SendFraming::Chunked
            } else {
                SendFraming::Plain
            };
            Transfer::new(decoder, outgoing).holding(held, broke).tapped(tap)
        }
        None => Transfer::none(decoder),
    };
    let before = prepared.record.response_bytes();
    let mut patience = Standstill::new(patient);
    let mut down = Paced::new(pace.unless(is_stream));
    if is_stream {
        up = Paced::new(Pace::ANY);
    }
    let moved = poll_fn(|cx| {
        let Client { conn, clock, .. } = &mut *client;
        let ended = poll_both(cx, conn, origin, &mut upload, &mut download, origin_keeps);
        carried.reach([upload.bytes(), download.bytes()]);
        if ended.is_ready() {
            return ended;
        }
        if poll_slow(cx, clock, &mut up, &upload, origin).is_ready() {
            return Poll::Ready(Err(Interrupted::Slow(Side::Client)));
        }
        if poll_slow(cx, clock, &mut down, &download, conn).is_ready() {
            return Poll::Ready(Err(Interrupted::Slow(Side::Origin)));
        }
        let moved = download.bytes() + upload.bytes();
        if conn.eof().is_some() {
            patience.shorten(HALF_CLOSED);
        }
        patience.poll(clock, cx, moved).map(|()| Err(Interrupted::Silent))
    })
    .await;
    client.in_step = upload.is_over() && !upload.was_given_up();
    upload.let_go();
    download.let_go();
    let record = &mut prepared.record;
    record.sent(upload.bytes());
    record.moved_response_bytes(download.bytes().saturating_sub(before));
    let is_cut = framing == Framing::ToEnd && origin.eof() == Some(Eof::Truncated);
    match moved {
        Ok(()) if is_cut => {
            // Nobody can tell whether that was all of it.
            record.broke_off(None);
            After::Cut(ServeError::origin("the origin ended TLS without a close_notify"))
        }
        Ok(()) => {
            record.complete();
            match (
                keeps,
                origin_keeps && upload.is_over() && origin.rest().is_empty(),
            ) {
                (true, true) => After::Keep,
                (true, false) if !leading.is_tied => After::KeepClient,
                _ => After::Close,
            }
        }
        // Whoever has ended its stream has very likely gone, and says no more than that.
        Err(Interrupted::Silent) if client.conn.eof().is_some() => {
            record.failed(HttpError::Aborted(Side::Client));
            After::Cut(ServeError::client(
                "the client ended its stream, and nothing moved any more",
            ))
        }
        Err(Interrupted::Silent) => {
            record.failed(HttpError::Timeout);
            After::Cut(ServeError::silent())
        }
        Err(Interrupted::Refused(problem) | Interrupted::Origin(ContentError::Refused(problem))) => {
            record.failed_for(problem.error, problem.text.clone());
            After::Cut(ServeError {
                error: problem.error,
                refusal: None,
                text: problem.text,
                is_told: true,
            })
        }
        Err(Interrupted::Slow(side)) => {
            let text = context.pace.text(side);
            record.failed_for(HttpError::Slow(side), text.clone());
            After::Cut(ServeError::slow(side, text))
        }
        Err(Interrupted::Origin(broke)) => {
            let why = match broke {
                ContentError::Malformed(why) => Some(why),
                _ => None,
            };
            record.broke_off(why);
            After::Cut(ServeError::origin(format!(
                "the content of the response broke off: {broke}"
            )))
        }
        Err(Interrupted::Client(error)) => {
            record.failed(HttpError::Aborted(Side::Client));
            After::Failed(ServeError::client(error))
        }
    }
}
