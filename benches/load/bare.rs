//! The bare relay: what TLS on both sides costs with tokio and rustls when nothing is looked at. It is the floor
//! that the other numbers are divided by: an explicit proxy, one fixed certificate, `copy_bidirectional`.

use crate::head::read_head;
use crate::{Fallible, pki};
use rustls_pki_types::ServerName;
use std::io;
use std::path::Path;
use tokio::io::{AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Serves until the process ends. Targets are dialled on loopback, whatever their name; those below `splice.`
/// are relayed without TLS, and all of them where `is_parent` says that another proxy is in front.
pub(crate) async fn serve(dir: &Path, is_parent: bool) -> Fallible<()> {
    let acceptor = TlsAcceptor::from(pki::fixed_server(&dir.join("fixed.pem"))?);
    let connector = TlsConnector::from(pki::client(&dir.join("origin-ca.pem"), true, &[])?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(relay(tcp, acceptor.clone(), connector.clone(), is_parent));
    }
}

async fn relay(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    is_parent: bool,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut client = BufReader::with_capacity(1024, tcp);
    let head = read_head(&mut client).await?.unwrap_or_default();
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split_once(' '));
    let Some((host, port)) = target.and_then(|(target, _)| target.split_once(':')) else {
        return client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    };
    let port = port.parse().map_err(|_| io::ErrorKind::InvalidData)?;
    let mut up = TcpStream::connect(("127.0.0.1", port)).await?;
    up.set_nodelay(true)?;
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    let mut client = client.into_inner();
    if is_parent || host.starts_with("splice.") {
        copy_bidirectional(&mut client, &mut up).await?;
        return Ok(());
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut up = connector.connect(name, up).await?;
    let mut client = acceptor.accept(client).await?;
    copy_bidirectional(&mut client, &mut up).await?;
    Ok(())
}
