use crate::accept::{Prefixed, Socket};
use crate::tls::buffer::with_scratch;
use crate::tls::driver;
use crate::tls::stream::TlsStream;
use crate::tls::testing::{DEADLINE, Identity, client, plain, tcp};
use crate::tls::{Eof, Leg, Outgoing, Transport, with_buffer};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use std::future::Future;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Peer;

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.unwrap()
}

/// Our stream as the server, and an ordinary client.
async fn pair(version: &'static rustls::SupportedProtocolVersion) -> (TlsStream, Peer<TcpStream>) {
    let identity = Identity::new(&["a.example"]);
    let mut server = identity.server(&[version]);
    server.enable_secret_extraction = true;
    let client = Arc::new(client(&identity.root, &[version]));
    let (near, far) = tcp().await;
    let name = ServerName::try_from("a.example").unwrap();
    let (ours, peer) = in_time(async {
        tokio::join!(
            driver::accept(Arc::new(server), plain(far)),
            TlsConnector::from(client).connect(name, near),
        )
    })
    .await;
    (ours.unwrap().stream, peer.unwrap())
}

#[tokio::test]
async fn a_writer_waits_for_a_peer_that_does_not_read_and_loses_nothing() {
    for version in [&TLS12, &TLS13] {
        let (ours, mut peer) = pair(version).await;
        let (mut reading, mut writing) = tokio::io::split(ours);
        let data: Vec<u8> = (0..20_000_000u32).map(|n| (n / 3) as u8).collect();
        let copy = data.clone();
        let mut write = tokio::spawn(async move {
            writing.write_all(&copy).await.unwrap();
            writing.shutdown().await.unwrap();
            writing
        });
        // While the writer waits, the other direction goes on.
        peer.write_all(b"meanwhile").await.unwrap();
        peer.flush().await.unwrap();
        let mut word = [0; 9];
        in_time(reading.read_exact(&mut word)).await.unwrap();
        assert_eq!(&word, b"meanwhile");
        let waits = std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut write).poll(cx).is_pending())
        });
        assert!(waits.await, "more than the sockets hold was not taken");
        let mut got = Vec::new();
        in_time(peer.read_to_end(&mut got)).await.unwrap();
        assert!(got == data);
        peer.shutdown().await.unwrap();
        assert_eq!(in_time(reading.read(&mut word)).await.unwrap(), 0, "a clean end");
        write.await.unwrap();
    }
}

/// Reading one reads the other: they must not meet in the thread's buffer.
#[tokio::test]
async fn a_connection_goes_inside_another_and_a_peer_that_does_not_read_stops_the_writer() {
    for version in [&TLS12, &TLS13] {
        let (outer, peer) = pair(version).await;
        let identity = Identity::new(&["b.example"]);
        let mut server = identity.server(&[version]);
        server.enable_secret_extraction = true;
        let client = Arc::new(client(&identity.root, &[version]));
        let name = ServerName::try_from("b.example").unwrap();
        let outer = Prefixed::new(Bytes::new(), Socket::inner(outer));
        let (ours, peer) = in_time(async {
            tokio::join!(
                driver::accept(Arc::new(server), outer),
                TlsConnector::from(client).connect(name, peer),
            )
        })
        .await;
        let (mut ours, mut peer) = (ours.unwrap().stream, peer.unwrap());
        peer.write_all(&[3; 100_000]).await.unwrap();
        peer.flush().await.unwrap();
        let mut got = vec![0; 100_000];
        in_time(ours.read_exact(&mut got)).await.unwrap();
        assert!(got.iter().all(|byte| *byte == 3));

        let data: Vec<u8> = (0..20_000_000u32).map(|n| (n / 3) as u8).collect();
        let copy = data.clone();
        let mut write = tokio::spawn(async move {
            ours.write_all(&copy).await.unwrap();
            ours.flush().await.unwrap();
            ours.shutdown().await.unwrap();
            ours
        });
        let waits = tokio::time::timeout(Duration::from_millis(200), &mut write).await;
        assert!(waits.is_err(), "more than the sockets hold was taken");
        let mut got = Vec::new();
        in_time(peer.read_to_end(&mut got)).await.unwrap();
        assert!(got == data);
        let mut ours = in_time(write).await.unwrap();
        peer.shutdown().await.unwrap();
        assert_eq!(in_time(ours.read(&mut [0])).await.unwrap(), 0, "a clean end");
    }
}

#[tokio::test]
async fn small_reads_get_everything_and_a_truncated_stream_is_no_clean_end() {
    for version in [&TLS12, &TLS13] {
        let (mut ours, mut peer) = pair(version).await;
        let data: Vec<u8> = (0..100_000u32).map(|n| (n / 5) as u8).collect();
        let copy = data.clone();
        let write = tokio::spawn(async move {
            peer.write_all(&copy).await.unwrap();
            peer.flush().await.unwrap();
            // The socket ends, and TLS says nothing.
            let mut socket = peer.into_inner().0;
            socket.shutdown().await.unwrap();
            socket
        });
        let mut got = Vec::new();
        let error = loop {
            let mut few = [0; 333];
            match in_time(ours.read(&mut few)).await {
                Ok(0) => panic!("a truncated stream is not a clean end"),
                Ok(n) => got.extend_from_slice(&few[..n]),
                Err(error) => break error,
            }
        };
        assert!(got == data);
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        write.await.unwrap();
    }
}

/// What the thread's buffers hold of other connections.
const OLD: u8 = 0xEE;
const SIZES: [usize; 8] = [1, 100, 4_095, 4_096, 16_384, 16_385, 40_000, 3];

fn poison() {
    with_buffer(|buffer| buffer.fill(OLD));
    with_scratch(|scratch| scratch.fill(OLD));
    Outgoing::poison(OLD);
}

/// The buffers are not cleared between two connections: nothing is read of them that was not written before.
#[tokio::test]
async fn what_another_connection_left_in_the_threads_buffers_goes_nowhere() {
    let all: Vec<u8> = SIZES.iter().flat_map(|size| vec![7; *size]).collect();
    for version in [&TLS12, &TLS13] {
        let (mut ours, mut peer) = pair(version).await;
        for size in SIZES {
            poison();
            let (plain, mut got) = (vec![7; size], vec![0; size]);
            let write = async {
                ours.write_all(&plain).await.unwrap();
                ours.flush().await.unwrap();
            };
            let (_, read) = in_time(async { tokio::join!(write, peer.read_exact(&mut got)) }).await;
            read.unwrap();
            assert_eq!(got, plain);
            poison();
            let write = async {
                peer.write_all(&plain).await.unwrap();
                peer.flush().await.unwrap();
            };
            let (_, read) = in_time(async { tokio::join!(write, ours.read_exact(&mut got)) }).await;
            read.unwrap();
            assert_eq!(got, plain);
        }
        goes_through(Leg::new(Transport::tls(ours)), peer, &all).await;
    }
    let (near, far) = tcp().await;
    goes_through(Leg::new(Transport::plain(plain(far))), near, &all).await;
}

/// All of it, and no byte more, both ways.
async fn goes_through(
    mut leg: Leg,
    mut peer: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    all: &[u8],
) {
    let write = async {
        for size in SIZES {
            poison();
            leg.queue(&vec![7; size]);
            std::future::poll_fn(|cx| leg.poll_flush(cx)).await.unwrap();
        }
    };
    let mut got = vec![0; all.len()];
    let (_, read) = in_time(async { tokio::join!(write, peer.read_exact(&mut got)) }).await;
    read.unwrap();
    assert!(got == all);
    let write = async {
        for size in SIZES {
            peer.write_all(&vec![7; size]).await.unwrap();
            peer.flush().await.unwrap();
        }
        peer.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let read = std::future::poll_fn(|cx| {
        loop {
            if leg.eof().is_some() {
                return std::task::Poll::Ready(());
            }
            poison();
            let fed = with_buffer(|buffer| {
                let n = std::task::ready!(leg.poll_read(cx, buffer)).unwrap();
                leg.feed(&mut buffer[..n], &mut |plain| got.extend_from_slice(plain))
                    .unwrap();
                std::task::Poll::Ready(())
            });
            std::task::ready!(fed);
        }
    });
    in_time(async { tokio::join!(write, read) }).await;
    assert!(got == all);
    assert_eq!(leg.eof(), Some(Eof::Clean));
    poison();
    std::future::poll_fn(|cx| leg.poll_close(cx, Eof::Clean))
        .await
        .unwrap();
    let mut rest = Vec::new();
    in_time(peer.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
}

#[tokio::test]
async fn openssl_may_update_its_keys_and_ask_for_ours() {
    let identity = Identity::new(&["a.example"]);
    let mut server = identity.server(&[&TLS13]);
    server.enable_secret_extraction = true;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut openssl = Command::new("openssl")
        .args([
            "s_client",
            "-tls1_3",
            "-connect",
            &address,
            "-servername",
            "a.example",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (socket, _) = in_time(listener.accept()).await.unwrap();
    let ours = in_time(driver::accept(Arc::new(server), plain(socket))).await;
    let mut ours = ours.unwrap().stream;
    let mut input = openssl.stdin.take().unwrap();
    let (line_read, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let outputs: [Box<dyn Read + Send>; 2] = [
        Box::new(openssl.stdout.take().unwrap()),
        Box::new(openssl.stderr.take().unwrap()),
    ];
    let readers = outputs.map(|output| {
        let line_read = line_read.clone();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines();
            lines.for_each(|line| drop(line_read.send(line.unwrap())));
        })
    });
    for round in 0..6 {
        // `K` asks for an update in return, `k` does not; both are commands at the start of a line.
        input
            .write_all(if round % 2 == 0 { b"K\n" } else { b"k\n" })
            .unwrap();
        // What comes with a command in one read is dropped.
        while in_time(lines.recv()).await.unwrap() != "KEYUPDATE" {}
        let line = format!("round {round}\n");
        input.write_all(line.as_bytes()).unwrap();
        let mut got = vec![0; line.len()];
        in_time(ours.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, line.as_bytes());
        ours.write_all(format!("echo {round}\n").as_bytes())
            .await
            .unwrap();
        ours.flush().await.unwrap();
        let wanted = format!("echo {round}");
        while in_time(lines.recv()).await.unwrap() != wanted {}
    }
    drop((input, ours));
    openssl.wait().unwrap();
    for reader in readers {
        reader.join().unwrap();
    }
}
