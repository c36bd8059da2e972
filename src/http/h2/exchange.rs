//! One stream: a request and its response, or what an extended CONNECT makes of it.

use crate::accept::{Prefixed, Socket};
use crate::http::context::ExchangeContext;
use crate::http::exchange::check::{Asking, Wanted};
use crate::http::exchange::endless::may_be_quiet;
use crate::http::exchange::hop;
use crate::http::exchange::judge;
use crate::http::exchange::road::{self, Asked};
use crate::http::exchange::served::Upgraded;
use crate::http::fallback::Fallback;
use crate::http::h2::adapted::{ask_services, no_url};
use crate::http::h2::answer::deliver;
use crate::http::h2::ask::{RequestPump, StreamFailure, send};
use crate::http::h2::heads::Broken;
use crate::http::h2::pump::Pump;
use crate::http::h2::stream::UpgradedStream;
use crate::http::h2::under_way::{Done, StreamContext, StreamEnd, StreamExchange};
use crate::http::h2::unwanted::{skip, skip_left};
use crate::http::inspected::adapting::Change;
use crate::http::message::body::Body;
use crate::http::message::source::{Leftover, Source, Streamed};
use crate::tls::Transport;
use crate::wire::ws_handshake::Upgrade;
use ::h2::RecvStream;
use ::h2::ext::Protocol;
use ::h2::server::SendResponse;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri, Version, response};
use http_body::Body as _;
use std::sync::Arc;

/// Serves one stream to its end, or to where it leaves HTTP.
pub(in crate::http) async fn serve(
    shared: Arc<StreamContext>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Done {
    let shared = shared.hearing(request.headers());
    let (mut parts, recv) = request.into_parts();
    let has_body = !recv.is_end_stream();
    let (exchange, wanted) = match begin(&shared, &mut parts, has_body, respond) {
        Ok(begun) => begun,
        Err(refused) => {
            // Few streams need it, and it would take room in all of them.
            let ended = Box::pin(refused.answer(&shared.context)).await;
            if parts.method != Method::CONNECT {
                skip(recv).await;
            }
            return Done::Ended(ended);
        }
    };
    if shared.context.fallback.as_ref().is_some_and(Fallback::is_due) {
        return Done::Ended(exchange.turned_back());
    }
    match wanted {
        Wanted::Nothing => {
            let left = has_body.then(Leftover::default);
            let ended = exchange.plain(parts, recv, left.as_ref()).await;
            skip_left(left).await;
            Done::Ended(ended)
        }
        // What few streams need takes no room in all of them.
        wanted => match Box::pin(exchange.upgrade(parts, recv, wanted)).await {
            Ok(upgraded) => Done::GoesOn(shared.onward.upgraded(upgraded)),
            Err(ended) => Done::Ended(ended),
        },
    }
}

/// A request that does not go on.
struct RefusedStream {
    respond: SendResponse<Bytes>,
    response: Response<Bytes>,
    is_head: bool,
}

impl RefusedStream {
    async fn answer(self: Box<Self>, context: &ExchangeContext) -> StreamEnd {
        deliver(context, self.is_head, self.respond, self.response).await
    }
}

/// All that comes before anything is waited for. The head is made one that can go on.
fn begin<'a>(
    shared: &'a StreamContext,
    parts: &mut Parts,
    has_body: bool,
    respond: SendResponse<Bytes>,
) -> Result<(Box<StreamExchange<'a>>, Wanted), Box<RefusedStream>> {
    let to = shared.destination();
    let url = [&shared.base, parts.uri.path()].concat();
    hop::join_cookies(&mut parts.headers);
    let upgrade = parts.extensions.get::<Protocol>().map(|protocol| {
        // RFC 8441 section 5 writes it in lower case.
        match protocol.as_str() {
            "websocket" => Upgrade::WebSocket,
            other => Upgrade::Other(other.to_owned()),
        }
    });
    let audience = shared.context.pages.audience(&parts.headers);
    let mut asking = Asking {
        method: &parts.method,
        version: Version::HTTP_2,
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        headers: &mut parts.headers,
        has_body,
        upgrade,
    };
    let Asked {
        wanted,
        record,
        inspected,
        adapter,
        treatment,
    } = match road::ask(&shared.context, &to, &mut asking, url) {
        Ok(asked) => asked,
        Err(refused) => {
            let (mut record, problem) = *refused;
            let response = road::answer_with(&mut record, &problem, audience);
            return Err(Box::new(RefusedStream {
                respond,
                response,
                is_head: record.is_head(),
            }));
        }
    };
    if parts.extensions.get::<Broken>().is_some() {
        record.received().malformed();
    }
    let exchange = StreamExchange {
        pace: shared.context.pace.unless(may_be_quiet(&parts.headers)),
        shared,
        to,
        audience,
        respond,
        inspected,
        adapter,
        record,
        treatment,
    };
    // Moved from step to step.
    Ok((Box::new(exchange), wanted))
}

impl StreamExchange<'_> {
    /// A request that is no more than that.
    async fn plain(
        mut self: Box<Self>,
        mut parts: Parts,
        recv: RecvStream,
        left: Option<&Leftover>,
    ) -> StreamEnd {
        let waits = road::expects_continue(&parts.headers) && !recv.is_end_stream();
        let Some(mut uri) = self.outgoing(&mut parts) else {
            return self.answer(&no_url()).await;
        };
        let content = Streamed::new(recv).leaving(left);
        let mut body = Body::request(Source::H2(content), self.record.received());
        // Few streams need these, and they would take room in all of them.
        if self.inspected.is_some() {
            let judged = Box::pin(self.judged(parts, body, waits)).await;
            (self, parts, body) = match judged {
                Ok(judged) => judged,
                Err(ended) => return ended,
            };
        }
        if self.adapter.is_some() {
            let adapted = Box::pin(self.adapted(uri, parts, body, waits)).await;
            (self, uri, parts, body) = match adapted {
                Ok(adapted) => adapted,
                Err(ended) => return ended,
            };
        }
        let is_over = body.is_end_stream();
        let place = self.place().await;
        let (response, send) = match place.and_then(|place| send(place, head(uri, parts), is_over)) {
            Ok(sent) => sent,
            Err(failed) => return self.fail(failed).await,
        };
        let mut upload = RequestPump(Some(if is_over {
            Pump::done(send)
        } else {
            Pump::new(body, send).counted_in(self.shared.context.inspector.kept())
        }));
        match self.response(response, &mut upload).await {
            Ok(response) => self.pass_on(response, &mut upload).await,
            Err(failed) => {
                if let StreamFailure::Client(reason) = failed {
                    upload.reset(reason);
                }
                drop(upload);
                self.fail(failed).await
            }
        }
    }

    /// An extended CONNECT (RFC 8441 section 4): both streams, if the origin agrees.
    async fn upgrade(
        mut self: Box<Self>,
        mut parts: Parts,
        recv: RecvStream,
        wanted: Wanted,
    ) -> Result<Upgraded, StreamEnd> {
        let Some(uri) = self.outgoing(&mut parts) else {
            return Err(self.answer(&no_url()).await);
        };
        if let Some(mut adapter) = self.adapter.take() {
            // An upgrade may be answered, and is not changed.
            let asked = ask_services(&mut adapter, &uri, &parts, true, Body::empty());
            match self.unless_reset(Box::pin(asked)).await {
                Ok(Change::None(_) | Change::Request(_)) => {}
                Ok(Change::Response(response, problem)) => {
                    return Err(self.instead(response, &problem).await);
                }
                Ok(Change::Stop(problem)) => return Err(self.answer(&problem).await),
                Err(_) => return Err(StreamEnd::Reset),
            }
        }
        let place = self.place().await;
        let (response, mut send) = match place.and_then(|place| send(place, head(uri, parts), false)) {
            Ok(sent) => sent,
            Err(failed) => return Err(self.fail(failed).await),
        };
        let response = match self.response(response, &mut RequestPump(None)).await {
            Ok(response) => response,
            Err(failed) => {
                if let StreamFailure::Client(reason) = failed {
                    send.send_reset(reason);
                }
                return Err(self.fail(failed).await);
            }
        };
        if !response.status().is_success() {
            // It stays a stream of HTTP, and the client's side of it has nothing to say.
            return Err(self.pass_on(response, &mut RequestPump(None)).await);
        }
        if let Some(it) = &self.inspected
            && let Err(problem) = it.response_head(
                response.status(),
                response.version(),
                response.headers(),
                self.shared.context.origin,
            )
        {
            return Err(self.answer(&problem).await);
        }
        let kind = match road::agree(
            &self.to,
            wanted,
            &self.treatment,
            response.headers(),
            &self.record,
        ) {
            Ok(kind) => kind,
            Err(problem) => return Err(self.answer(&problem).await),
        };
        let (mut parts, origin) = response.into_parts();
        self.incoming(&mut parts);
        let status = parts.status;
        let Ok(client) = self.respond.send_response(Response::from_parts(parts, ()), false) else {
            return Err(StreamEnd::Reset);
        };
        self.record.head(status);
        self.record.complete();
        let (client, origin) = UpgradedStream::pair((recv, client), (origin, send));
        let leg = |stream| Transport::plain(Prefixed::new(Bytes::new(), Socket::inner(stream)));
        Ok(Upgraded {
            kind,
            client: leg(client),
            origin: leg(origin),
        })
    }

    /// Makes the head one that an origin gets; `None` if it cannot be written.
    fn outgoing(&self, parts: &mut Parts) -> Option<Uri> {
        hop::strip_h2(&mut parts.headers);
        if self.treatment.via {
            hop::add_via(&mut parts.headers, Version::HTTP_2);
        }
        // What was checked is what goes on: :authority, or Host where there was none (RFC 9113 section 8.3.1).
        let host = parts.headers.remove(HOST)?;
        let said = parts.uri.authority().map(|said| said.as_str().as_bytes());
        if said == Some(host.as_bytes()) && parts.uri.scheme() == Some(&self.shared.scheme) {
            return Some(std::mem::take(&mut parts.uri));
        }
        let path = parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder()
            .scheme(self.shared.scheme.clone())
            .authority(host.as_bytes())
            .path_and_query(path)
            .build()
            .ok()
    }

    /// Makes a response's head one that the client gets.
    pub(in crate::http) fn incoming(&self, parts: &mut response::Parts) {
        hop::strip_h2(&mut parts.headers);
        self.shared.context.hide(&mut parts.headers);
        judge::edit(&self.treatment.response_headers, &mut parts.headers);
        if self.treatment.via {
            hop::add_via(&mut parts.headers, Version::HTTP_2);
        }
        parts.version = Version::HTTP_2;
    }
}

/// The head of a request that goes on.
fn head(uri: Uri, mut parts: Parts) -> Request<()> {
    parts.uri = uri;
    parts.version = Version::HTTP_2;
    Request::from_parts(parts, ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_takes_little_room() {
        fn size<A, B, C, R>(_: impl FnOnce(A, B, C) -> R) -> usize {
            size_of::<R>()
        }
        let size = size(serve);
        assert!(
            size <= 4352,
            "{size} bytes for each stream, which are moved when it begins"
        );
    }
}
