//! A WebSocket that says back what is said to it: a browser finds out by it whether WebSockets get from there to this proxy.

use super::page::has_host;
use super::site::Portal;
use crate::wire::frame::{DataHead, Direction, Opcode, mask_payload, whole_frame, write_frame};
use crate::wire::ws_handshake::{Upgrade, upgrade_token};
use bytes::Bytes;
use http::header::{
    CONNECTION, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::handshake::derive_accept_key;

/// The longest frame that is said back.
const LONGEST: usize = 1 << 20;
/// The longest header of a frame (RFC 6455 section 5.2).
const HEADER: usize = 14;

/// Agrees to an upgrade, or says why not.
pub(super) fn answered(mut request: Request<Incoming>, portal: &Portal) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let headers = request.headers();
    if let Some(origin) = headers.get(ORIGIN) {
        // A page of any other site could find out by it that its reader is behind this proxy.
        let is_own = origin
            .to_str()
            .is_ok_and(|origin| has_host(origin, portal.host()));
        if !is_own {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return response;
        }
    }
    let is_upgrade = upgrade_token(headers) == Some(Upgrade::WebSocket);
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_upgrade) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return response;
    };
    let accept = derive_accept_key(key.as_bytes());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    tokio::spawn(async move {
        // What ends it is the client's, or the proxy's own relay's; each of them tells.
        if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
            let _ = echo(TokioIo::new(upgraded)).await;
        }
    });
    response
}

/// Until a Close, which is said back too. The relay in front has deadlines and lets pass what is valid alone.
async fn echo(mut socket: TokioIo<Upgraded>) -> io::Result<()> {
    let (mut read, mut written) = (Vec::new(), Vec::new());
    loop {
        while let Some((head, raw, payload)) = whole_frame(&read) {
            let end = raw.len() + payload.len();
            let mut payload = payload.to_vec();
            mask_payload(head.mask.unwrap_or_default(), 0, &mut payload);
            let opcode = match head.opcode {
                Opcode::Ping => Opcode::Pong,
                opcode => opcode,
            };
            if opcode != Opcode::Pong || head.opcode == Opcode::Ping {
                let head = DataHead {
                    opcode,
                    mask: None,
                    ..head
                };
                write_frame(&mut written, Direction::ToClient, head, &payload);
            }
            read.drain(..end);
            if opcode == Opcode::Close {
                socket.write_all(&written).await?;
                return socket.shutdown().await;
            }
        }
        socket.write_all(&written).await?;
        socket.flush().await?;
        written.clear();
        if read.len() > LONGEST + HEADER || socket.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}
