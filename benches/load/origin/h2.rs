//! The origin over HTTP/2: pages, and WebSockets on streams (RFC 8441).

use super::echo::echo;
use crate::Fallible;
use crate::h2_stream::{Stream, WINDOW};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves one connection as the origin.
pub(crate) async fn serve(io: impl AsyncRead + AsyncWrite + Unpin) -> Fallible<()> {
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
        return Ok(echo(stream).await?);
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
