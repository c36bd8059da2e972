//! Legs that are inside another TLS connection, as behind a proxy that is itself reached by TLS.

use super::*;
use crate::accept::{Carried, Socket};
use crate::relay::opaque::{OpaqueEnd, join};

/// The client's end of a TLS connection, and what is inside it at the proxy.
async fn outer() -> (tokio_rustls::client::TlsStream<TcpStream>, Socket) {
    let (client, from_client) = sockets().await;
    let (server, connector) = tls_configs();
    let name = ServerName::try_from("leg.test").unwrap();
    let (client, from_client) = tokio::join!(
        tokio_rustls::TlsConnector::from(connector).connect(name, client),
        shake_accept(server, Prefixed::new(Bytes::new(), from_client)),
    );
    (client.unwrap(), Socket::inner(from_client.unwrap().stream))
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.unwrap()
}

/// A tunnel that is not decrypted, inside the client's TLS with the proxy.
async fn spliced(
    early: &[u8],
) -> (
    tokio_rustls::client::TlsStream<TcpStream>,
    TcpStream,
    tokio::task::JoinHandle<(OpaqueTotals, OpaqueEnd)>,
) {
    let (client, from_client) = outer().await;
    let (to_origin, origin) = sockets().await;
    let from_client = Prefixed::new(Bytes::copy_from_slice(early), from_client);
    (
        client,
        origin,
        tokio::spawn(async move {
            join(
                from_client,
                Prefixed::new(Bytes::new(), to_origin),
                PATIENT,
                &RelayDrain::new(),
                &Carried::default(),
            )
            .await
        }),
    )
}

#[tokio::test]
async fn a_spliced_tunnel_is_copied_in_order_and_closed_by_halves() {
    let (mut client, mut origin, relay) = spliced(b"first ").await;
    client.write_all(b"second").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    in_time(origin.read_to_end(&mut got)).await.unwrap();
    assert_eq!(
        got, b"first second",
        "and a close_notify is an end for the origin"
    );
    // The other direction is open still.
    origin.write_all(b"answer").await.unwrap();
    origin.shutdown().await.unwrap();
    let mut got = Vec::new();
    in_time(client.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"answer", "which ends with a close_notify");
    let (totals, end) = in_time(relay).await.unwrap();
    assert!(matches!(end, OpaqueEnd::Done), "{end:?}");
    assert_eq!(totals.bytes, [12, 6]);
}

#[tokio::test]
async fn bulk_waits_for_a_client_that_does_not_read_and_all_of_it_comes() {
    let (mut client, mut origin, relay) = spliced(b"").await;
    let data: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7) as u8).collect();
    let copy = data.clone();
    let mut sender = tokio::spawn(async move {
        origin.write_all(&copy).await.unwrap();
        origin.shutdown().await.unwrap();
        origin
    });
    // While one direction waits, the other goes on.
    client.write_all(b"up").await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut sender).await;
    assert!(waits.is_err(), "more than the sockets hold was taken");
    let mut got = Vec::new();
    in_time(client.read_to_end(&mut got)).await.unwrap();
    assert!(got == data);
    client.shutdown().await.unwrap();
    let mut origin = in_time(sender).await.unwrap();
    let mut up = Vec::new();
    in_time(origin.read_to_end(&mut up)).await.unwrap();
    assert_eq!(up, b"up");
    assert_eq!(in_time(relay).await.unwrap().0.bytes, [2, 20_000_000]);
}

#[tokio::test]
async fn a_client_that_vanishes_from_its_tls_is_no_clean_end() {
    let (mut client, mut origin, relay) = spliced(b"").await;
    client.write_all(b"cut").await.unwrap();
    client.flush().await.unwrap();
    let (mut socket, _) = client.into_inner();
    socket.shutdown().await.unwrap();
    let mut got = Vec::new();
    let _ = in_time(origin.read_to_end(&mut got)).await;
    assert_eq!(got, b"cut");
    let (_, end) = in_time(relay).await.unwrap();
    assert!(matches!(end, OpaqueEnd::Io(Side::Client, _)), "{end:?}");
}

/// TLS inside TLS on the client's leg, and TLS on the origin's.
async fn nested() -> (Box<dyn Stream>, Transport, Transport, Box<dyn Stream>) {
    let (client, from_client) = outer().await;
    let (to_origin, origin) = sockets().await;
    let (server, connector) = tls_configs();
    let name = ServerName::try_from("leg.test").unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&server));
    let inner = Arc::clone(&connector);
    let (client, from_client, to_origin, origin) = tokio::join!(
        tokio_rustls::TlsConnector::from(connector).connect(name.clone(), client),
        shake_accept(server, Prefixed::new(Bytes::new(), from_client)),
        shake_connect(inner, name.clone(), to_origin),
        acceptor.accept(origin),
    );
    (
        Box::new(client.unwrap()),
        Transport::tls(from_client.unwrap().stream),
        Transport::tls(to_origin.unwrap().stream),
        Box::new(origin.unwrap()),
    )
}

#[tokio::test]
async fn frames_pass_through_tls_inside_tls_and_wait_for_who_does_not_read() {
    let (mut client, from_client, to_origin, mut origin) = nested().await;
    let (seen, drain) = (Arc::new(Seen::default()), RelayDrain::new());
    let settings = WebSocket {
        allowed_rsv: 0x40,
        tallies: Arc::default(),
        idle: PATIENT,
        mask: [1, 2, 3, 4],
        inspect: None,
    };
    let meter = Arc::clone(&seen);
    let relay =
        tokio::spawn(
            async move { websocket_to_its_end(from_client, to_origin, settings, &drain, &*meter).await },
        );
    for size in [0, 5, 130, 70_000] {
        let out = frame(Direction::ToOrigin, 0x82, &vec![7; size]);
        client.write_all(&out).await.unwrap();
        client.flush().await.unwrap();
        assert!(read_exactly(&mut origin, out.len()).await == out);
    }
    let back: Vec<u8> = (0..400)
        .flat_map(|n| frame(Direction::ToClient, 0x82, &vec![n as u8; 50_000]))
        .collect();
    let copy = back.clone();
    let mut sender = tokio::spawn(async move {
        origin.write_all(&copy).await.unwrap();
        origin.flush().await.unwrap();
        origin
    });
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut sender).await;
    assert!(waits.is_err(), "more than the sockets hold was taken");
    assert!(read_exactly(&mut client, back.len()).await == back);
    let mut origin = in_time(sender).await.unwrap();
    for (end, direction) in [
        (&mut client, Direction::ToOrigin),
        (&mut origin, Direction::ToClient),
    ] {
        end.write_all(&frame(direction, 0x88, &1000_u16.to_be_bytes()))
            .await
            .unwrap();
        end.flush().await.unwrap();
    }
    let close = frame(Direction::ToClient, 0x88, &1000_u16.to_be_bytes());
    assert_eq!(read_exactly(&mut client, close.len()).await, close);
    let close = frame(Direction::ToOrigin, 0x88, &1000_u16.to_be_bytes());
    assert_eq!(read_exactly(&mut origin, close.len()).await, close);
    origin.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    let totals = in_time(relay).await.unwrap();
    assert!(matches!(totals.end, End::Closed), "{:?}", totals.end);
    assert_eq!(totals.messages, [4, 400]);
}
