//! A request as it goes on: read, held against its destination and the rules, and made the one that the origin gets.

use crate::decide::Treatment;
use crate::error::Side;
use crate::http::error::HttpError;
use crate::http::exchange::absolute::AbsoluteForm;
use crate::http::exchange::check::{Asking, Wanted};
use crate::http::exchange::destination::Destination;
use crate::http::exchange::hop;
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::road::{self, Asked};
use crate::http::h1::client::{Client, Reply};
use crate::http::h1::content::ConnContent;
use crate::http::h1::target::{Form, Target};
use crate::http::h1::transfer::{SendFraming, Transfer};
use crate::http::h1::unwanted::Unwanted;
use crate::http::inspected::adapting::Adapter;
use crate::http::inspected::bodies::{JudgedBody, as_plain};
use crate::http::inspected::exchange::InspectedExchange;
use crate::http::inspected::tap::Tap;
use crate::http::message::broke::ContentError;
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use crate::wire::http1::{Decoder, Framing, Malformed, RequestHead, check_expectation, request_framing};
use crate::wire::ws_handshake;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{Method, Version};
use http_body::Frame;
use std::collections::VecDeque;
use std::sync::Arc;

/// A request that may go on, with all that is known of it.
pub(super) struct Prepared {
    pub(super) head: RequestHead,
    pub(super) framing: Framing,
    pub(super) wanted: Wanted,
    pub(super) treatment: Arc<Treatment>,
    pub(super) record: ExchangeRecord,
    pub(super) inspected: Option<Box<InspectedExchange>>,
    pub(super) adapter: Option<Box<Adapter>>,
    pub(super) reply: Reply,
    /// The client waits for `100 Continue`.
    pub(super) expects: bool,
    /// What was read of its content before it went on, where a rule had to see it.
    pub(super) held: Option<JudgedContent>,
}

/// Content that was judged before it went on.
pub(super) enum JudgedContent {
    /// As it came: its pieces so far, what reads the rest, how it broke off if it did, and what looks on.
    Pieces(
        VecDeque<Frame<Bytes>>,
        Decoder,
        Option<ContentError>,
        Option<Box<Tap>>,
    ),
    /// Something in its place.
    Instead(Bytes),
}

/// What is known of the connection to the origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leading<'a> {
    /// It has answered before.
    pub(super) is_used: bool,
    /// It is this client's alone: both are kept or closed together.
    pub(super) is_tied: bool,
    /// A request that it does not answer may be sent again.
    pub(super) may_repeat: bool,
    /// It leads to a parent, which is told the server with each request.
    pub(super) absolute: Option<&'a AbsoluteForm>,
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
    // Glued to the name in the log it would name another one there as well.
    let url = to.url(if is_known && method != Method::CONNECT {
        &path
    } else {
        ""
    });
    let framing = framed(&mut head).and_then(|framing| is_known.then_some(framing).ok_or(Malformed::Target));
    let framing = match framing {
        Ok(framing) => framing,
        Err(why) => {
            let mut record = ExchangeRecord::begin(client.context, method, head.version, url)
                .noting(client.context, &head.fields);
            return Err(client
                .answer(&mut record, &ErrorResponse::malformed(why), reply)
                .await);
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
        adapter,
        treatment,
    } = match road::ask(client.context, to, &mut asking, url) {
        Ok(asked) => asked,
        Err(refused) => {
            let (mut record, problem) = *refused;
            let content = Unwanted::new(framing, head.version, &head.fields);
            return Err(client.refuse(&mut record, &problem, reply, content).await);
        }
    };
    // HTTP/1.0 knows no such expectation (RFC 9110 section 10.1.1).
    let expects = head.version == Version::HTTP_11 && road::expects_continue(&head.fields);
    if head.version < Version::HTTP_11 {
        head.fields.remove(&EXPECT);
    }
    let mut prepared = Box::new(Prepared {
        head,
        framing,
        wanted,
        treatment,
        record,
        inspected,
        adapter,
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
        audience: client.context.pages.audience(&head.fields),
        version: head.version,
        is_head: head.method == Method::HEAD,
        keeps: wants_more(&head.fields, head.version)
            && !client.drain.is_begun()
            // Who has ended its stream may have asked for more before.
            && (client.conn.eof().is_none() || !client.conn.rest().is_empty()),
    }
}

/// What ends the request, which may expect nothing that is not known.
fn framed(head: &mut RequestHead) -> Result<Framing, Malformed> {
    let framing = request_framing(head)?;
    check_expectation(&head.fields)?;
    Ok(framing)
}

/// Whether a sender keeps its connection (RFC 9112 section 9.3).
pub(super) fn wants_more(fields: &impl Headers, version: Version) -> bool {
    let has = |wanted: &str| hop::tokens(fields, &CONNECTION).any(|token| token.eq_ignore_ascii_case(wanted));
    !has("close") && (version == Version::HTTP_11 || has("keep-alive"))
}

/// Has the content judged where a rule can stop or change it.
async fn hold(client: &mut Client<'_>, prepared: &mut Prepared) -> Result<(), ErrorResponse> {
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
            return Err(ErrorResponse::new(
                HttpError::Aborted(Side::Client),
                "the client went away",
            ));
        }
    }
    let mut decoder = Decoder::new(prepared.framing, client.context.header_bytes);
    let content = ConnContent {
        conn: &mut client.conn,
        decoder: &mut decoder,
    };
    let held = match it.hold_request(content).await {
        JudgedBody::Pass(held, tap) => {
            let broke = held.rest.into_error();
            JudgedContent::Pieces(held.frames, decoder, broke, tap)
        }
        JudgedBody::Replace(content) => {
            as_plain(&mut prepared.head.fields, content.len());
            prepared.framing = Framing::Length(content.len() as u64);
            JudgedContent::Instead(content)
        }
        JudgedBody::Stop(problem) => return Err(problem),
    };
    prepared.held = Some(held);
    Ok(())
}

impl Prepared {
    /// The origin cannot be had.
    pub(super) async fn refuse(
        mut self: Box<Self>,
        client: &mut Client<'_>,
        problem: &ErrorResponse,
    ) -> bool {
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
    pub(super) fn outgoing(&mut self, leading: Leading<'_>, to: &Destination<'_>) -> Vec<u8> {
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
        if self.treatment.via {
            hop::add_via(fields, self.head.version);
        }
        if let Some(credentials) = leading.absolute.and_then(|form| form.credentials.as_ref()) {
            fields.set(&PROXY_AUTHORIZATION, credentials.as_bytes());
        }
        let target = Target::parse(self.head.target(), &self.head.method)
            .outgoing()
            .into_owned();
        let target = match leading.absolute {
            Some(form) => form.target(to, &target),
            None => target,
        };
        let mut out = Vec::with_capacity(1024);
        self.head.write(&target, &mut out);
        out
    }

    /// Its content on its way.
    pub(super) fn upload(&mut self, limit: usize) -> Transfer {
        let outgoing = match self.framing {
            Framing::Chunked => SendFraming::Chunked,
            _ => SendFraming::Plain,
        };
        let (decoder, held, broke, tap) = match self.held.take() {
            None if !self.framing.has_content() => return Transfer::none(Decoder::new(Framing::Empty, 0)),
            None => {
                let tap = self.inspected.as_ref().and_then(|it| it.request_tap());
                let decoder = Decoder::new(self.framing, limit);
                (decoder, Default::default(), None, tap)
            }
            Some(JudgedContent::Pieces(pieces, decoder, broke, tap)) => (decoder, pieces, broke, tap),
            Some(JudgedContent::Instead(content)) => {
                let tap = self.inspected.as_ref().and_then(|it| it.request_tap());
                let decoder = Decoder::new(Framing::Empty, 0);
                (decoder, [Frame::data(content)].into(), None, tap)
            }
        };
        Transfer::new(decoder, outgoing).holding(held, broke).tapped(tap)
    }
}
