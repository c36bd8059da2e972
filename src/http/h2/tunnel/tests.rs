use super::*;
use crate::accept::Socket;
use h2::Reason;
use http::{Method, Request, Response};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEADLINE: Duration = Duration::from_secs(20);
/// Small enough that everything here runs into it.
const WINDOW: u32 = 64 * 1024;

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("took too long")
}

/// A client's two directions of a CONNECT, and our stream.
async fn rig() -> (SendStream<Bytes>, RecvStream, TunnelStream) {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let serve = async {
        let mut server = h2::server::Builder::new()
            .initial_window_size(WINDOW)
            .handshake::<_, SentPiece>(far)
            .await
            .unwrap();
        let (request, mut respond) = server.accept().await.unwrap().unwrap();
        let send = respond.send_response(Response::new(()), false).unwrap();
        tokio::spawn(async move { while server.accept().await.is_some() {} });
        TunnelStream::new(request.into_body(), send)
    };
    let ask = async {
        let (mut client, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .handshake::<_, Bytes>(near)
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri("a.example:1")
            .body(())
            .unwrap();
        let (response, send) = client.send_request(request, false).unwrap();
        (send, response.await.unwrap().into_body())
    };
    let (stream, (send, recv)) = in_time(async { tokio::join!(serve, ask) }).await;
    (send, recv, stream)
}

/// What the client is sent, up to the end, or why there is none.
async fn all(recv: &mut RecvStream) -> (Vec<u8>, Option<Reason>) {
    let mut got = Vec::new();
    while let Some(data) = in_time(recv.data()).await {
        match data {
            Ok(data) => {
                recv.flow_control().release_capacity(data.len()).unwrap();
                got.extend_from_slice(&data);
            }
            Err(error) => return (got, error.reason()),
        }
    }
    (got, None)
}

async fn send_all(send: &mut SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let room = in_time(std::future::poll_fn(|cx| send.poll_capacity(cx))).await;
        send.send_data(data.split_to(room.unwrap().unwrap().min(data.len())), false)
            .unwrap();
    }
}

fn pattern(length: usize) -> Bytes {
    (0..length).map(|n| (n / 3) as u8).collect::<Vec<_>>().into()
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    let (mut send, mut recv, mut stream) = rig().await;
    send_all(&mut send, Bytes::from_static(b"question")).await;
    send.send_data(Bytes::new(), true).unwrap();
    let mut got = Vec::new();
    in_time(stream.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"question");
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(stream.write_all(b"more").await.is_err());
    drop(stream);
    assert_eq!(all(&mut recv).await, (b"answer".to_vec(), None));
}

#[tokio::test]
async fn a_peers_window_opens_only_by_what_was_read() {
    let (mut send, _recv, mut stream) = rig().await;
    let data = pattern(4 * WINDOW as usize);
    let copy = data.clone();
    let mut sending = tokio::spawn(async move {
        send_all(&mut send, copy).await;
        send
    });
    // Small reads: most of what came stays where it is, and unread.
    let mut got = vec![0; 100];
    in_time(stream.read_exact(&mut got)).await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(100), &mut sending).await;
    assert!(waits.is_err(), "more than a window was taken");
    assert!(stream.recv.flow_control().used_capacity() <= WINDOW as usize);
    assert!(stream.recv.flow_control().used_capacity() >= WINDOW as usize - 100);
    got.resize(data.len(), 0);
    in_time(stream.read_exact(&mut got[100..])).await.unwrap();
    assert!(got == data);
    in_time(sending).await.unwrap();
}

#[tokio::test]
async fn a_writer_waits_for_the_peers_window_and_loses_nothing() {
    let (_send, mut recv, mut stream) = rig().await;
    let data = pattern(3_000_000);
    let copy = data.clone();
    let mut writing = tokio::spawn(async move {
        stream.write_all(&copy).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    });
    let waits = tokio::time::timeout(Duration::from_millis(100), &mut writing).await;
    assert!(waits.is_err(), "more than a window was taken");
    let (got, reason) = all(&mut recv).await;
    assert!(got == data && reason.is_none());
    in_time(writing).await.unwrap();
}

#[tokio::test]
async fn a_write_that_need_not_wait_takes_what_fits_the_window() {
    let (_send, _recv, stream) = rig().await;
    let mut socket = Socket::inner(stream);
    let data = pattern(2 * WINDOW as usize);
    let mut sent = 0;
    let stopped = loop {
        // The client's settings may be on their way yet.
        match socket.try_write(&data[sent..]) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(stopped.kind(), io::ErrorKind::WouldBlock);
    // The connection's window (RFC 9113 section 6.9.2).
    assert_eq!(sent, 65_535);
}

#[tokio::test]
async fn a_reset_is_an_error_to_reader_and_writer() {
    let (mut send, _recv, mut stream) = rig().await;
    send_all(&mut send, Bytes::from_static(b"cut")).await;
    let mut got = [0; 3];
    in_time(stream.read_exact(&mut got)).await.unwrap();
    // A writer that waits is woken by it.
    let blocked = async {
        let data = pattern(2 * WINDOW as usize);
        let (mut reading, mut writing) = tokio::io::split(stream);
        let (read, written) = tokio::join!(reading.read(&mut got), writing.write_all(&data));
        let again = writing.write_all(b"x").await;
        (read, written, again)
    };
    let reset = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        send.send_reset(Reason::CONNECT_ERROR);
    };
    let ((read, written, again), ()) = in_time(async { tokio::join!(blocked, reset) }).await;
    for error in [read.unwrap_err(), written.unwrap_err(), again.unwrap_err()] {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
}

#[tokio::test]
async fn dropped_without_an_end_it_is_reset_after_what_was_flushed() {
    let (_send, mut recv, mut stream) = rig().await;
    stream.write_all(b"so far").await.unwrap();
    in_time(stream.flush()).await.unwrap();
    drop(stream);
    assert_eq!(
        all(&mut recv).await,
        (b"so far".to_vec(), Some(Reason::CONNECT_ERROR))
    );
}

#[tokio::test]
async fn a_flush_waits_until_the_connection_has_sent_everything() {
    let (_send, mut recv, mut stream) = rig().await;
    let data = pattern(60_000);
    stream.write_all(&data).await.unwrap();
    let mut flush = std::pin::pin!(stream.flush());
    let at_once = std::future::poll_fn(|cx| Poll::Ready(flush.as_mut().poll(cx).is_ready())).await;
    assert!(!at_once, "nothing of it can have been sent yet");
    in_time(flush).await.unwrap();
    // What a reset would have lost.
    drop(stream);
    assert_eq!(all(&mut recv).await, (data.to_vec(), Some(Reason::CONNECT_ERROR)));
}

#[tokio::test]
async fn a_stream_that_is_reset_has_nothing_to_flush() {
    let (mut send, _recv, mut stream) = rig().await;
    stream.write_all(&pattern(60_000)).await.unwrap();
    send.send_reset(Reason::CANCEL);
    in_time(stream.flush()).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_cancels_has_closed_like_a_socket() {
    for reason in [Reason::CANCEL, Reason::NO_ERROR] {
        let (mut send, _recv, mut stream) = rig().await;
        send_all(&mut send, Bytes::from_static(b"bye")).await;
        tokio::task::yield_now().await;
        let mut got = [0; 3];
        in_time(stream.read_exact(&mut got)).await.unwrap();
        send.send_reset(reason);
        assert_eq!(in_time(stream.read(&mut got)).await.unwrap(), 0);
        let error = stream.write_all(b"too late").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        let error = stream.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected, "{error}");
    }
}

#[tokio::test]
async fn dropped_after_its_end_it_only_asks_the_peer_to_stop() {
    let (mut send, mut recv, mut stream) = rig().await;
    stream.write_all(b"all").await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    assert_eq!(all(&mut recv).await, (b"all".to_vec(), None));
    let reason = in_time(std::future::poll_fn(|cx| send.poll_reset(cx))).await;
    assert_eq!(reason.unwrap(), Reason::NO_ERROR);
}
