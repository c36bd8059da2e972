//! The origin: TLS, a WebSocket echo on any path that asks for an upgrade, `/` with 1 KiB and `/1m` with 1 MB.

mod echo;
mod h2;

use crate::head::{SOCKET_BUFFER, header, read_head};
use crate::{Fallible, pki};
use echo::echo;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

type Io = TlsStream<BufReader<TcpStream>>;

/// Serves until the process ends. Prints the address it listens on.
pub(crate) async fn serve(dir: &Path) -> Fallible<()> {
    let acceptor = TlsAcceptor::from(pki::minting_server(pki::Ca::load(dir, "origin-ca")?)?);
    let pages = Arc::new([page(1024), page(1_000_000)]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let (acceptor, pages) = (acceptor.clone(), Arc::clone(&pages));
        tokio::spawn(async move {
            tcp.set_nodelay(true)?;
            let io = acceptor
                .accept(BufReader::with_capacity(SOCKET_BUFFER, tcp))
                .await?;
            if io.get_ref().1.alpn_protocol() == Some(b"h2") {
                return h2::serve(io).await;
            }
            Ok(connection(io, &pages).await?)
        });
    }
}

fn page(size: usize) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\nContent-Length: {size}\r\n\r\n"
    )
    .into_bytes();
    text.resize(text.len() + size, b'x');
    text
}

async fn connection(mut io: Io, pages: &[Vec<u8>; 2]) -> io::Result<()> {
    while let Some(head) = read_head(&mut io).await? {
        if let Some(key) = header(&head, "sec-websocket-key") {
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            // Echoed as they came, compressed messages make the same sense in the other direction.
            let deflate = header(&head, "sec-websocket-extensions")
                .map_or("", |_| "Sec-WebSocket-Extensions: permessage-deflate\r\n");
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{deflate}\r\n"
            );
            io.write_all(answer.as_bytes()).await?;
            io.flush().await?;
            return echo(io).await;
        }
        let [small, large] = pages;
        let page = if head.starts_with("GET /1m ") {
            large
        } else {
            small
        };
        io.write_all(page).await?;
        io.flush().await?;
    }
    io.shutdown().await
}
