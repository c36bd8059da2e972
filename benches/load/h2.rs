//! The client over HTTP/2: requests on streams, and WebSockets on streams (RFC 8441).

use crate::Fallible;
use crate::client::Route;
use crate::echo::{Echo, Script, Until};
use crate::h2_stream::{Stream, WINDOW};
use crate::stats::Latencies;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use http::{Method, Request, Uri};
use std::sync::Arc;
use std::time::Instant;

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
