//! HTTP/2 on both ends of the load: requests on streams, and WebSockets on streams (RFC 8441).

use crate::Fallible;
use crate::client::Route;
use crate::echo::{Echo, Script, Until};
use crate::origin;
use crate::stats::Latencies;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response, Uri};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// What each side lets the other send: no row is to be about windows.
const WINDOW: u32 = 4 << 20;

/// One connection, and the task that drives it until the handle is gone.
pub(crate) async fn open(route: &Route) -> Fallible<SendRequest<Bytes>> {
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 8)
        .enable_push(false)
        .handshake::<_, Bytes>(route.open().await?)
        .await?;
    tokio::spawn(connection);
    Ok(sender.ready().await?)
}

fn uri(route: &Route, path: &str) -> Fallible<Uri> {
    Ok(format!("https://{}:{}{path}", route.host, route.port).parse()?)
}

/// GETs of a path, one after another, on one stream at a time.
pub(crate) async fn get(
    sender: SendRequest<Bytes>,
    route: Route,
    path: &'static str,
    end: Instant,
) -> Fallible<Latencies> {
    let uri = uri(&route, path)?;
    let mut latencies = Latencies::default();
    let mut sender = sender;
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(latencies);
        }
        sender = sender.ready().await?;
        let request = Request::get(uri.clone()).body(())?;
        let (response, _) = sender.send_request(request, true)?;
        let response = response.await?;
        if response.status() != 200 {
            return Err(format!("not a page: {}", response.status()).into());
        }
        let mut body = response.into_body();
        let mut size = 0;
        while let Some(data) = body.data().await {
            let data = data?;
            size += data.len();
            body.flow_control().release_capacity(data.len())?;
        }
        if size != if path == "/1m" { 1_000_000 } else { 1024 } {
            return Err(format!("a page of {size} bytes").into());
        }
        latencies.record(u64::try_from(start.elapsed().as_nanos())?);
    }
}

/// A WebSocket on a stream of its own connection.
pub(crate) async fn websocket(route: &Route) -> Fallible<Stream> {
    let mut sender = open(route).await?;
    // Until the peer's SETTINGS have come, nothing may be asked for.
    let patience = Instant::now();
    while !sender.is_extended_connect_protocol_enabled() {
        if patience.elapsed().as_secs() > 5 {
            return Err("extended CONNECT is not offered".into());
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(uri(route, "/ws")?)
        .header("sec-websocket-version", "13")
        .body(())?;
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let (response, send) = sender.send_request(request, false)?;
    let response = response.await?;
    if response.status() != 200 {
        return Err(format!("WebSocket refused: {}", response.status()).into());
    }
    Ok(Stream {
        recv: response.into_body(),
        send,
        rest: Bytes::new(),
        _sender: Some(sender),
    })
}

/// Runs a script on it.
pub(crate) async fn echo(mut stream: Stream, script: Arc<Script>, end: Instant) -> Fallible<Latencies> {
    Echo::run(&mut stream, &script, Until::Time(end)).await
}

/// Serves one connection as the origin.
pub(crate) async fn serve(io: origin::Io) -> Fallible<()> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 8)
        .max_concurrent_streams(1000)
        .enable_connect_protocol()
        .handshake::<_, Bytes>(io)
        .await?;
    let (small, large) = (Bytes::from(vec![b'x'; 1024]), Bytes::from(vec![b'x'; 1_000_000]));
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let page = if request.uri().path() == "/1m" {
            &large
        } else {
            &small
        };
        tokio::spawn(answer(request, respond, page.clone()));
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    mut page: Bytes,
) -> Fallible<()> {
    if request.method() == Method::CONNECT {
        let send = respond.send_response(Response::new(()), false)?;
        let stream = Stream {
            recv: request.into_body(),
            send,
            rest: Bytes::new(),
            _sender: None,
        };
        return Ok(origin::echo(stream).await?);
    }
    let head = Response::builder()
        .header("content-type", "application/octet-stream")
        .header("cache-control", "no-store")
        .header("content-length", page.len())
        .body(())?;
    let mut send = respond.send_response(head, false)?;
    while !page.is_empty() {
        send.reserve_capacity(page.len());
        while send.capacity() == 0 {
            std::future::poll_fn(|cx| send.poll_capacity(cx))
                .await
                .ok_or("the stream is closed")??;
        }
        let some = page.split_to(send.capacity().min(page.len()));
        send.send_data(some, page.is_empty())?;
    }
    Ok(())
}

/// A stream as bytes.
pub(crate) struct Stream {
    recv: RecvStream,
    send: SendStream<Bytes>,
    rest: Bytes,
    /// The connection ends with its last handle.
    _sender: Option<SendRequest<Bytes>>,
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(this.recv.poll_data(cx)) {
                Some(data) => this.rest = data.map_err(io::Error::other)?,
                None => break,
            }
        }
        Poll::Ready(Ok(&this.rest))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        let _ = self.rest.split_to(amount);
        let _ = self.recv.flow_control().release_capacity(amount);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let some = ready!(self.as_mut().poll_fill_buf(cx))?;
        let n = some.len().min(buf.remaining());
        buf.put_slice(&some[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(buf.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(room) => drop(room.map_err(io::Error::other)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let n = self.send.capacity().min(buf.len());
        let sent = self.send.send_data(Bytes::copy_from_slice(&buf[..n]), false);
        Poll::Ready(sent.map(|()| n).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.send.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}
