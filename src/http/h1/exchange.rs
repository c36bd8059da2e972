//! One exchange over HTTP/1.1 on both sides: the request goes on while the response is waited for, and what nobody
//! changes goes out as it came.

use super::client::{Client, Reply};
use super::clock::{Clock, Patience};
use super::conn::Conn;
use super::content::{Content, Meanwhile};
use super::outbound::{NoHead, poll_head};
use super::target::{Form, Target};
use super::transfer::{Outgoing, Transfer};
use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::http::broke::Broke;
use crate::http::check::{Asking, Wanted};
use crate::http::destination::Destination;
use crate::http::endless::may_be_quiet;
use crate::http::exchange::{self, Asked};
use crate::http::inspected::{self, Judged};
use crate::http::page::Problem;
use crate::http::record::Record;
use crate::http::serve::{ServeError, UpgradeKind};
use crate::http::{HttpError, Site, hop};
use crate::inspect::Interest;
use crate::tls::Eof;
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use crate::wire::http1::{
    Decoder, Framing, Malformed, RequestHead, ResponseHead, check_expectation, request_framing,
    response_framing,
};
use crate::wire::ws_handshake;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{Method, StatusCode, Version};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

/// Interim responses (RFC 9110 section 15.2) that one request may have.
const INTERIM: u32 = 100;

/// How long an origin has to answer `Expect: 100-continue`. Many never do and wait for the content instead, and some
/// clients wait for ever (RFC 9110 section 10.1.1 would have them not to).
const CONTINUE: Duration = Duration::from_secs(1);

/// How long nothing may move once the client has ended its stream. Nearly all who do so have gone.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// What is read ahead of a client whose request is under way.
const AHEAD: usize = 16 * 1024;

/// A request that may go on, with all that is known of it.
pub(super) struct Prepared {
    head: RequestHead,
    framing: Framing,
    wanted: Wanted,
    record: Record,
    inspected: Option<Box<inspected::Exchange>>,
    reply: Reply,
    /// The client waits for `100 Continue`.
    expects: bool,
    /// What was read of its content before it went on, where a rule had to see it.
    held: Option<Held>,
}

/// Content that was judged before it went on.
enum Held {
    /// As it came: its pieces so far.
    Pieces(
        std::collections::VecDeque<http_body::Frame<bytes::Bytes>>,
        Decoder,
    ),
    /// Something in its place.
    Instead(bytes::Bytes),
}

/// What an exchange leaves of its connections.
pub(super) enum After {
    /// Both can go on.
    Keep,
    /// The client's can go on, the origin's not.
    KeepClient,
    /// Both end in order.
    Close,
    /// The client's ends in the middle, as the origin's did.
    Cut(ServeError),
    /// One of them broke.
    Failed(ServeError),
    /// Both are something else now.
    Upgraded(UpgradeKind),
    /// The origin was gone before it had said anything: the request may be sent again.
    Again(Box<Prepared>),
}

/// What is known of the connection to the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leading {
    /// It has answered before.
    pub(super) is_used: bool,
    /// It is this client's alone: both are kept or closed together.
    pub(super) is_tied: bool,
    /// A request that it does not answer may be sent again.
    pub(super) may_repeat: bool,
    /// What passes gets a Via.
    pub(super) via: bool,
}

/// Reads a request's framing, holds it against its destination and the rules, and has its content judged where a rule
/// wants that first.
///
/// # Errors
/// It has been answered; whether the client's connection can go on is told.
pub(super) async fn prepare(
    client: &mut Client<'_>,
    to: &Destination<'_>,
    mut head: RequestHead,
) -> Result<Box<Prepared>, bool> {
    let reply = reply_to(&head, client);
    let method = head.method.clone();
    let (path, authority, is_known) = {
        let target = Target::parse(head.target(), &method);
        let authority = match target.form {
            Form::Absolute { authority, .. } => Some(authority.to_owned()),
            _ => None,
        };
        // What an origin glues to its own name may lead elsewhere: `@other.test/`.
        let is_known = target.form != Form::Other || method == Method::CONNECT;
        (target.text().into_owned(), authority, is_known)
    };
    let url = to.url(&path);
    let framing = framed(&mut head).and_then(|framing| is_known.then_some(framing).ok_or(Malformed::Target));
    let framing = match framing {
        Ok(framing) => framing,
        Err(why) => {
            let mut record = Record::begin(client.site, method, head.version, url);
            return Err(client.answer(&mut record, &Problem::malformed(why), reply).await);
        }
    };
    let upgrade = ws_handshake::upgrade_token(&head.fields);
    let mut asking = Asking {
        method: &method,
        version: head.version,
        path: &path,
        authority: authority.as_deref(),
        headers: &mut head.fields,
        has_body: framing.has_content(),
        upgrade,
    };
    let Asked {
        wanted,
        record,
        inspected,
    } = match exchange::ask(client.site, to, &mut asking, url) {
        Ok(asked) => asked,
        Err(refused) => {
            let (mut record, problem) = *refused;
            let keeps = Reply {
                keeps: reply.keeps && !framing.has_content(),
                ..reply
            };
            return Err(client.answer(&mut record, &problem, keeps).await);
        }
    };
    // HTTP/1.0 knows no such expectation (RFC 9110 section 10.1.1).
    let expects = head.version == Version::HTTP_11 && exchange::expects_continue(&head.fields);
    if head.version < Version::HTTP_11 {
        head.fields.remove(&EXPECT);
    }
    let mut prepared = Box::new(Prepared {
        head,
        framing,
        wanted,
        record,
        inspected,
        reply,
        expects: expects && framing.has_content(),
        held: None,
    });
    match hold(client, &mut prepared).await {
        Ok(()) => Ok(prepared),
        Err(problem) => {
            let reply = Reply {
                keeps: false,
                ..prepared.reply
            };
            Err(client.answer(&mut prepared.record, &problem, reply).await)
        }
    }
}

/// How a request is answered by the proxy itself.
pub(super) fn reply_to(head: &RequestHead, client: &Client<'_>) -> Reply {
    Reply {
        html: exchange::wants_html(&head.fields),
        version: head.version,
        is_head: head.method == Method::HEAD,
        keeps: wants_more(&head.fields, head.version)
            && !client.drain.is_begun()
            && client.conn.eof().is_none(),
    }
}

/// What ends the request, which may expect nothing that is not known.
fn framed(head: &mut RequestHead) -> Result<Framing, Malformed> {
    let framing = request_framing(head)?;
    check_expectation(&head.fields)?;
    Ok(framing)
}

/// Whether a sender keeps its connection (RFC 9112 section 9.3).
fn wants_more(fields: &impl Headers, version: Version) -> bool {
    let has = |wanted: &str| hop::tokens(fields, &CONNECTION).any(|token| token.eq_ignore_ascii_case(wanted));
    !has("close") && (version == Version::HTTP_11 || has("keep-alive"))
}

/// Has the content judged where a rule can stop or change it.
async fn hold(client: &mut Client<'_>, prepared: &mut Prepared) -> Result<(), Problem> {
    let Some(it) = prepared
        .inspected
        .as_ref()
        .filter(|_| prepared.framing.has_content())
    else {
        return Ok(());
    };
    if !it.holds_request() {
        return Ok(());
    }
    if std::mem::take(&mut prepared.expects) {
        // What is judged first has to be there first.
        prepared.head.fields.remove(&EXPECT);
        client.conn.queue(b"HTTP/1.1 100 Continue\r\n\r\n");
        if client.flush().await.is_err() {
            return Err(Problem::new(
                HttpError::Aborted(Side::Client),
                "the client went away",
            ));
        }
    }
    let mut decoder = Decoder::new(prepared.framing, client.site.header_bytes);
    let content = Content {
        conn: &mut client.conn,
        decoder: &mut decoder,
    };
    let held = match it.hold_request(content).await {
        Judged::Pass(held) => Held::Pieces(held.frames, decoder),
        Judged::Replace(content) => {
            inspected::as_plain(&mut prepared.head.fields, content.len());
            prepared.framing = Framing::Length(content.len() as u64);
            Held::Instead(content)
        }
        Judged::Stop(problem) => return Err(problem),
    };
    prepared.held = Some(held);
    Ok(())
}

impl Prepared {
    /// The origin cannot be had.
    pub(super) async fn refuse(mut self: Box<Self>, client: &mut Client<'_>, problem: &Problem) -> bool {
        let reply = Reply {
            keeps: self.reply.keeps && (!self.framing.has_content() || self.held.is_some()),
            ..self.reply
        };
        client.answer(&mut self.record, problem, reply).await
    }

    /// Whether it may be sent a second time: it asks for no change, and none of its content is gone.
    pub(super) fn may_repeat(&self) -> bool {
        self.head.method.is_idempotent() && !self.framing.has_content()
    }

    /// Makes the head the one that the origin gets.
    fn outgoing(&mut self, leading: Leading) -> Vec<u8> {
        let fields = &mut self.head.fields;
        let token: Option<&[u8]> = match &self.wanted {
            Wanted::Nothing => None,
            Wanted::WebSocket { .. } => Some(b"websocket"),
            Wanted::Other(token) => Some(token.as_bytes()),
        };
        hop::strip(fields, token);
        if self.framing != Framing::Chunked {
            fields.remove(&TRANSFER_ENCODING);
        }
        if leading.is_tied && !self.reply.keeps && token.is_none() && !fields.has(&CONNECTION) {
            fields.set(&CONNECTION, b"close");
        }
        if leading.via {
            hop::add_via(fields, self.head.version);
        }
        let target = Target::parse(self.head.target(), &self.head.method)
            .outgoing()
            .into_owned();
        let mut out = Vec::with_capacity(1024);
        self.head.write(&target, &mut out);
        out
    }

    /// Its content on its way.
    fn upload(&mut self, limit: usize) -> Transfer {
        let outgoing = match self.framing {
            Framing::Chunked => Outgoing::Chunked,
            _ => Outgoing::Plain,
        };
        let (decoder, held) = match self.held.take() {
            None if !self.framing.has_content() => return Transfer::none(Decoder::new(Framing::Empty, 0)),
            None => (Decoder::new(self.framing, limit), Default::default()),
            Some(Held::Pieces(pieces, decoder)) => (decoder, pieces),
            Some(Held::Instead(content)) => (
                Decoder::new(Framing::Empty, 0),
                [http_body::Frame::data(content)].into(),
            ),
        };
        let tap = self.inspected.as_ref().and_then(|it| it.request_tap());
        Transfer::new(decoder, outgoing).holding(held).tapped(tap)
    }
}

/// Why there is no response.
enum Failed {
    /// The client's connection broke.
    Client(io::Error),
    /// The client ended its stream within its content.
    ClientCut,
    /// The client's content is malformed.
    Request(Malformed),
    /// The origin's connection broke or ended.
    Origin(Option<io::Error>),
    /// What the origin said is no response.
    Response(Malformed),
    /// Nothing moved for too long.
    Silent,
    /// The origin goes on without coming to its response.
    Rambling,
}

/// Sends a request and passes its response on.
pub(super) async fn carry(
    client: &mut Client<'_>,
    origin: &mut Conn,
    to: &Destination<'_>,
    leading: Leading,
    mut prepared: Box<Prepared>,
) -> After {
    let site = client.site;
    let again = leading.may_repeat && prepared.may_repeat();
    let kept = again.then(|| prepared.head.clone());
    let out = prepared.outgoing(leading);
    origin.queue(&out);
    let mut upload = prepared.upload(site.header_bytes);
    let mut patience = Patience::new(site.response);
    let (mut interim, mut continued, mut prompted) = (0, false, false);
    let mut prompt = prepared.expects.then(|| Patience::new(CONTINUE));
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
            poll_response(cx, conn, origin, &mut upload, clock, &mut patience, site)
        });
        match next.await {
            Ok(early)
                if early.status.is_informational() && early.status != StatusCode::SWITCHING_PROTOCOLS =>
            {
                interim += 1;
                if interim > INTERIM {
                    break Err(Failed::Rambling);
                }
                continued |= early.status == StatusCode::CONTINUE;
                let is_known = prompted && early.status == StatusCode::CONTINUE;
                // HTTP/1.0 does not know them (RFC 9110 section 15.2).
                if prepared.head.version == Version::HTTP_11 && !is_known {
                    let mut early = early;
                    hop::strip(&mut early.fields, None);
                    early.fields.remove(&TRANSFER_ENCODING);
                    early.fields.remove(&CONTENT_LENGTH);
                    let mut out = Vec::with_capacity(256);
                    early.write(Version::HTTP_11, &mut out);
                    client.conn.queue(&out);
                }
            }
            other => break other,
        }
    };
    prepared.record.sent(upload.bytes());
    if response.is_err() {
        upload.let_go();
    }
    let mut head = match response {
        Ok(head) => head,
        Err(Failed::Origin(error))
            if leading.is_used && kept.is_some() && error.as_ref().and_then(late_failure).is_none() =>
        {
            prepared.head = kept.unwrap_or(prepared.head);
            return After::Again(prepared);
        }
        Err(failed) => return fail(client, to, leading, prepared, failed).await,
    };
    let origin_address = to.origin.or(site.origin);
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
        return switch(client, to, leading, prepared, head).await;
    }
    let framing = match response_framing(&mut head, &prepared.head.method) {
        Ok(framing) => framing,
        Err(why) => {
            let problem = Problem::malformed_response(to.target, why);
            return end_with(client, prepared, &problem).await;
        }
    };
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
        && !is_broken;
    let needs_end = framing == Framing::ToEnd || (is_old && framing == Framing::Chunked);
    let keeps = prepared.reply.keeps
        && !needs_end
        && (!is_unwanted || is_retried)
        && (origin_keeps || !leading.is_tied)
        && !client.drain.is_begun();

    let mut decoder = Decoder::new(framing, site.header_bytes);
    let mut held = Default::default();
    let mut tap = None;
    let mut instead = None;
    if let (Some(it), Some(looked_at)) = (&prepared.inspected, &looked_at)
        && framing.has_content()
    {
        match it.response_interest(looked_at) {
            Interest::Hold => {
                let content = Meanwhile {
                    client: &mut client.conn,
                    origin,
                    decoder: &mut decoder,
                    upload: &mut upload,
                };
                match it.hold(Direction::ToClient, looked_at, content).await {
                    Judged::Pass(pieces) => {
                        held = pieces.frames;
                        tap = it.copy_only(Direction::ToClient, looked_at);
                    }
                    Judged::Replace(content) => instead = Some(content),
                    Judged::Stop(problem) => return end_with(client, prepared, &problem).await,
                }
            }
            interest => tap = it.response_tap(interest, looked_at),
        }
    }
    if let Some(content) = &instead {
        inspected::as_plain(&mut head.fields, content.len());
        head.fields.remove(&TRANSFER_ENCODING);
        prepared.record.add_response_bytes(content.len() as u64);
    }
    let chunked = framing == Framing::Chunked && !is_old && instead.is_none();
    let patient = site.patience(may_be_quiet(&head.fields));
    finish_head(leading.via, &mut head, &prepared, keeps, chunked);
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
                Outgoing::Chunked
            } else {
                Outgoing::Plain
            };
            Transfer::new(decoder, outgoing).holding(held).tapped(tap)
        }
        None => Transfer::none(decoder),
    };
    let before = prepared.record.response_bytes();
    let mut patience = Patience::new(patient);
    let moved = poll_fn(|cx| {
        let Client { conn, clock, .. } = &mut *client;
        let ended = poll_both(cx, conn, origin, &mut upload, &mut download, origin_keeps);
        if ended.is_ready() {
            return ended;
        }
        let moved = download.bytes() + upload.bytes();
        if conn.eof().is_some() {
            patience.shorten(HALF_CLOSED);
        }
        patience.poll(clock, cx, moved).map(|()| Err(Ended::Silent))
    })
    .await;
    upload.let_go();
    download.let_go();
    let record = &mut prepared.record;
    record.sent(upload.bytes());
    record.add_response_bytes(download.bytes().saturating_sub(before));
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
        Err(Ended::Silent) if client.conn.eof().is_some() => {
            record.failed(HttpError::Aborted(Side::Client));
            After::Cut(ServeError::client(
                "the client ended its stream, and nothing moved any more",
            ))
        }
        Err(Ended::Silent) => {
            record.failed(HttpError::Timeout);
            After::Cut(ServeError::silent())
        }
        Err(Ended::Origin(broke)) => {
            let why = match broke {
                Broke::Malformed(why) => Some(why),
                _ => None,
            };
            record.broke_off(why);
            After::Cut(ServeError::origin(format!(
                "the content of the response broke off: {broke}"
            )))
        }
        Err(Ended::Client(error)) => {
            record.failed(HttpError::Aborted(Side::Client));
            After::Failed(ServeError::client(error))
        }
    }
}

/// Why an exchange did not come to its end once its response had begun.
enum Ended {
    Silent,
    Origin(Broke),
    Client(String),
}

/// Moves the response, and what is left of the request.
fn poll_both(
    cx: &mut Context<'_>,
    client: &mut Conn,
    origin: &mut Conn,
    upload: &mut Transfer,
    download: &mut Transfer,
    origin_keeps: bool,
) -> Poll<Result<(), Ended>> {
    if !upload.is_over() || origin.wants_flush() {
        match upload.poll(cx, client, origin) {
            // What the origin does not want it need not have.
            Poll::Ready(Err(Broke::Write(_))) => upload.give_up(),
            Poll::Ready(Err(broke)) => return Poll::Ready(Err(Ended::Client(broke.to_string()))),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
    }
    match download.poll(cx, origin, client) {
        Poll::Pending => {}
        Poll::Ready(Ok(())) if upload.is_over() || !origin_keeps => return Poll::Ready(Ok(())),
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(Broke::Write(error))) => return Poll::Ready(Err(Ended::Client(error.to_string()))),
        Poll::Ready(Err(broke)) => return Poll::Ready(Err(Ended::Origin(broke))),
    }
    // A client that is gone is noticed by what it resets; what it says next waits for its turn.
    if upload.is_over()
        && client.eof().is_none()
        && client.rest().len() < AHEAD
        && let Poll::Ready(Err(error)) = client.poll_fill(cx)
    {
        return Poll::Ready(Err(Ended::Client(error.to_string())));
    }
    Poll::Pending
}

/// Sends what is left of the request, and waits for the head of a response.
fn poll_response(
    cx: &mut Context<'_>,
    client: &mut Conn,
    origin: &mut Conn,
    upload: &mut Transfer,
    clock: &mut Clock,
    patience: &mut Patience,
    site: &Site,
) -> Poll<Result<ResponseHead, Failed>> {
    // An interim response may be on its way.
    if let Poll::Ready(Err(error)) = client.poll_flush(cx) {
        return Poll::Ready(Err(Failed::Client(error)));
    }
    match upload.poll(cx, client, origin) {
        Poll::Pending | Poll::Ready(Ok(())) => {}
        // It may have answered before it closed.
        Poll::Ready(Err(Broke::Write(_))) => upload.give_up(),
        Poll::Ready(Err(Broke::Read(error))) => return Poll::Ready(Err(Failed::Client(error))),
        Poll::Ready(Err(Broke::Cut)) => return Poll::Ready(Err(Failed::ClientCut)),
        Poll::Ready(Err(Broke::Malformed(why))) => return Poll::Ready(Err(Failed::Request(why))),
    }
    if let Poll::Ready(head) = poll_head(cx, origin, site.header_bytes) {
        return Poll::Ready(head.map_err(|no| match no {
            NoHead::Closed(error) => Failed::Origin(error),
            NoHead::Malformed(why) => Failed::Response(why),
        }));
    }
    // A client that is gone is noticed by what it resets. One that has only ended its stream gets its answer.
    if upload.is_over()
        && client.eof().is_none()
        && client.rest().len() < AHEAD
        && let Poll::Ready(Err(error)) = client.poll_fill(cx)
    {
        return Poll::Ready(Err(Failed::Client(error)));
    }
    patience
        .poll(clock, cx, upload.bytes())
        .map(|()| Err(Failed::Silent))
}

/// The response's head as the client gets it.
fn finish_head(via: bool, head: &mut ResponseHead, prepared: &Prepared, keeps: bool, chunked: bool) {
    let fields = &mut head.fields;
    // A 426 without Upgrade would not say what it requires (RFC 9110 section 15.5.22).
    let wanted = fields
        .first(&UPGRADE)
        .filter(|_| head.status == StatusCode::UPGRADE_REQUIRED)
        .map(<[u8]>::to_vec);
    hop::strip(fields, wanted.as_deref());
    if !chunked {
        fields.remove(&TRANSFER_ENCODING);
    }
    match (keeps, wanted.is_some()) {
        (false, true) => fields.set(&CONNECTION, b"Upgrade, close"),
        (false, false) => fields.set(&CONNECTION, b"close"),
        (true, _) if prepared.head.version < Version::HTTP_11 => {
            fields.set(&CONNECTION, b"keep-alive");
        }
        (true, _) => {}
    }
    if via {
        hop::add_via(fields, head.version);
    }
}

/// The origin agrees to become something else.
async fn switch(
    client: &mut Client<'_>,
    to: &Destination<'_>,
    leading: Leading,
    mut prepared: Box<Prepared>,
    mut head: ResponseHead,
) -> After {
    let wanted = std::mem::replace(&mut prepared.wanted, Wanted::Nothing);
    let kind = match exchange::agree(to, wanted, &head.fields, &prepared.record) {
        Ok(kind) => kind,
        Err(problem) => return end_with(client, prepared, &problem).await,
    };
    let token = head.fields.first(&UPGRADE).unwrap_or(b"websocket").to_vec();
    hop::strip(&mut head.fields, Some(&token));
    head.fields.remove(&TRANSFER_ENCODING);
    head.fields.remove(&CONTENT_LENGTH);
    if leading.via {
        hop::add_via(&mut head.fields, head.version);
    }
    let mut out = Vec::with_capacity(512);
    head.write(Version::HTTP_11, &mut out);
    client.conn.queue(&out);
    if let Err(error) = client.flush().await {
        prepared.record.failed(HttpError::Aborted(Side::Client));
        return After::Failed(ServeError::reading(&error));
    }
    prepared.record.head(StatusCode::SWITCHING_PROTOCOLS);
    prepared.record.complete();
    After::Upgraded(kind)
}

/// Answers in the origin's place, and ends both connections: whatever it still says belongs to nobody.
async fn end_with(client: &mut Client<'_>, mut prepared: Box<Prepared>, problem: &Problem) -> After {
    let reply = Reply {
        keeps: false,
        ..prepared.reply
    };
    client.answer(&mut prepared.record, problem, reply).await;
    After::Close
}

/// There is no response.
async fn fail(
    client: &mut Client<'_>,
    to: &Destination<'_>,
    leading: Leading,
    mut prepared: Box<Prepared>,
    failed: Failed,
) -> After {
    let target = to.target;
    let problem = match failed {
        Failed::Client(error) => {
            prepared.record.failed(HttpError::Aborted(Side::Client));
            return After::Failed(ServeError::reading(&error));
        }
        Failed::ClientCut => {
            prepared.record.failed(HttpError::Aborted(Side::Client));
            return After::Failed(ServeError::client(
                "the client ended its stream within a request's content",
            ));
        }
        Failed::Request(why) => Problem::malformed(why),
        Failed::Response(why) => Problem::malformed_response(target, why),
        Failed::Silent if client.conn.eof().is_some() && client.site.response > HALF_CLOSED => {
            prepared.record.failed(HttpError::Aborted(Side::Client));
            return After::Failed(ServeError::client(
                "the client ended its stream, and no response came for a minute",
            ));
        }
        Failed::Silent => {
            let text = format!("{target} sent no response for {:?}", client.site.response);
            Problem::new(HttpError::Timeout, text)
        }
        Failed::Rambling => {
            let text = format!("{target} sent more than {INTERIM} interim responses");
            Problem::new(HttpError::BadResponse, text)
        }
        Failed::Origin(error) => match error.as_ref().and_then(late_failure) {
            // In TLS 1.3 an origin says only now that it wanted a client certificate.
            Some(outcome) => Problem::late(target, outcome),
            // The client sees what the origin did, and retries as it would without a proxy.
            None if leading.is_used => {
                prepared.record.failed(HttpError::Aborted(Side::Origin));
                let text = format!("{target} closed the connection that it had kept");
                return After::Failed(ServeError::origin(text));
            }
            None => {
                let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
                let text = format!("{target} closed the connection without a response{why}");
                Problem::new(HttpError::Aborted(Side::Origin), text)
            }
        },
    };
    end_with(client, prepared, &problem).await
}
