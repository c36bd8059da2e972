use super::*;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

const DEADLINE: Duration = Duration::from_secs(20);
const LIMITS: StreamLimits = StreamLimits {
    who: Who {
        connection: 1,
        client: CLIENT.ip(),
        user: None,
    },
    header_bytes: 8192,
    preface: DEADLINE,
    idle: Duration::from_secs(600),
};

type Requests = Arc<Mutex<Vec<StreamRequest>>>;

/// Told of nothing.
struct Deaf;

impl Watch for Deaf {
    fn limited(&self, _: crate::accept::ClientLimit) {}
    fn request_done(&self, _: &RequestDone) {}

    fn flooded(&self, _: Flood) {}

    fn http1_fallback(&self, _: &Who, _: &str) {}
}

/// A connection that is served with these limits; requests stay as they come.
fn served(limits: StreamLimits) -> (DuplexStream, Requests, Drain, JoinHandle<(StreamsEnd, u64)>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (requests, drain) = (Requests::default(), Drain::new());
    let (each, draining) = (Arc::clone(&requests), drain.clone());
    let serving = tokio::spawn(async move {
        streams(far, limits, Arc::new(Deaf), &draining, |request| {
            each.lock().unwrap().push(request)
        })
        .await
    });
    (near, requests, drain, serving)
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("took too long")
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;

/// RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn preface() -> Vec<u8> {
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(SETTINGS, 0, 0, &[]),
    ]
    .concat()
}

/// `:method: CONNECT` and `:authority: a:1`, as literals (RFC 7541 section 6.2.2).
fn connect() -> Vec<u8> {
    [&[2, 7][..], b"CONNECT", &[1, 3], b"a:1"].concat()
}

/// The payload of the next frame of this kind.
async fn next(io: &mut (impl AsyncRead + Unpin), wanted: u8) -> Vec<u8> {
    in_time(async {
        loop {
            let mut head = [0; 9];
            io.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            io.read_exact(&mut payload).await.unwrap();
            if head[3] == wanted {
                return payload;
            }
        }
    })
    .await
}

#[tokio::test]
async fn who_does_not_begin_in_time_is_let_go() {
    let limits = StreamLimits {
        preface: Duration::from_millis(50),
        ..LIMITS
    };
    let (_client, _, _, serving) = served(limits);
    let (end, requests) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Timeout), "{end:?}");
    assert_eq!(requests, 0);
}

#[tokio::test]
async fn what_is_not_http_2_is_a_violation() {
    let (mut client, _, _, serving) = served(LIMITS);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let (end, _) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Violation(_)), "{end:?}");
}

#[tokio::test]
async fn a_client_that_vanishes_is_no_violation() {
    let (mut client, requests, _, serving) = served(LIMITS);
    client.write_all(&preface()).await.unwrap();
    client
        .write_all(&frame(HEADERS, END_HEADERS, 1, &connect()))
        .await
        .unwrap();
    next(&mut client, SETTINGS).await;
    in_time(async {
        while requests.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(client);
    let (end, count) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Ended | StreamsEnd::Io(_)), "{end:?}");
    assert_eq!(count, 1);
    let mut request = requests.lock().unwrap().pop().unwrap();
    assert_eq!(request.ask(CLIENT).unwrap().to.to_string(), "a:1");
    in_time(request.gone()).await;
}

#[tokio::test]
async fn who_does_not_begin_with_settings_is_told_so() {
    let (mut client, requests, _, serving) = served(LIMITS);
    let begun = [&preface()[..24], &frame(HEADERS, END_HEADERS, 1, &connect())].concat();
    client.write_all(&begun).await.unwrap();
    let goaway = next(&mut client, GOAWAY).await;
    assert_eq!(goaway[4..8], 1_u32.to_be_bytes(), "PROTOCOL_ERROR");
    let (end, count) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Violation(_)), "{end:?}");
    assert_eq!((count, requests.lock().unwrap().len()), (1, 0));
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let (mut client, served, _, serving) = served(LIMITS);
    let mut flood = preface();
    for stream in (1..400).step_by(2) {
        flood.extend(frame(HEADERS, END_HEADERS, stream, &connect()));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    client.write_all(&flood).await.unwrap();
    let goaway = next(&mut client, GOAWAY).await;
    assert_eq!(goaway[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    let (end, requests) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Flood(Flood::Frames, _)), "{end:?}");
    let served = served.lock().unwrap().len();
    assert!(served < 200 && requests == 200, "{served} of {requests}");
}

#[tokio::test]
async fn a_flood_of_requests_that_were_set_out_for_and_taken_back_ends_the_connection() {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (drain, looked_at) = (Drain::new(), Arc::new(AtomicU32::new(0)));
    let seen = Arc::clone(&looked_at);
    let serving = tokio::spawn(async move {
        streams(far, LIMITS, Arc::new(Deaf), &drain, |mut request| {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                seen.fetch_add(1, Ordering::Relaxed);
                request.gone().await;
            });
        })
        .await
    });
    let (mut client, mut write) = tokio::io::split(near);
    let asking = async {
        write.write_all(&preface()).await.unwrap();
        for number in 0..2000_u32 {
            let ask = frame(HEADERS, END_HEADERS, 2 * number + 1, &connect());
            if write.write_all(&ask).await.is_err() {
                return;
            }
            while looked_at.load(Ordering::Relaxed) <= number && !serving.is_finished() {
                tokio::task::yield_now().await;
            }
            let reset = frame(RST_STREAM, 0, 2 * number + 1, &8_u32.to_be_bytes());
            if write.write_all(&reset).await.is_err() {
                return;
            }
        }
    };
    let (goaway, ()) = tokio::join!(next(&mut client, GOAWAY), in_time(asking));
    assert_eq!(goaway[4..8], 11_u32.to_be_bytes(), "ENHANCE_YOUR_CALM");
    let (end, requests) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Flood(Flood::Resets, _)), "{end:?}");
    assert!((1000..2000).contains(&requests), "{requests}");
}

#[tokio::test]
async fn extended_connect_is_neither_offered_nor_served() {
    let (mut client, requests, _, serving) = served(LIMITS);
    client.write_all(&preface()).await.unwrap();
    let settings = next(&mut client, SETTINGS).await;
    let offered = settings.chunks(6).any(|setting| setting[..2] == [0, 8]);
    assert!(!offered, "SETTINGS_ENABLE_CONNECT_PROTOCOL: {settings:?}");
    let mut head = connect();
    head.extend([&[0, 9][..], b":protocol", &[9], b"websocket", &[0x87, 0x84]].concat());
    client
        .write_all(&frame(HEADERS, END_HEADERS, 1, &head))
        .await
        .unwrap();
    assert_eq!(
        next(&mut client, RST_STREAM).await,
        1_u32.to_be_bytes(),
        "PROTOCOL_ERROR"
    );
    assert!(requests.lock().unwrap().is_empty());
    drop(client);
    in_time(serving).await.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_and_not_served() {
    let (near, requests, _, _serving) = served(LIMITS);
    let (mut client, connection) = h2::client::handshake(near).await.unwrap();
    tokio::spawn(connection);
    let ask = |size: usize| {
        Request::builder()
            .method(Method::CONNECT)
            .uri("a.example:1")
            .header("x", "y".repeat(size))
            .body(())
            .unwrap()
    };
    let (response, _send) = client.send_request(ask(9000), false).unwrap();
    assert_eq!(in_time(response).await.unwrap().status(), 431);
    assert!(requests.lock().unwrap().is_empty());
    assert_eq!(client.current_max_send_streams(), STREAMS as usize);
    let (_response, _send) = client.send_request(ask(1000), false).unwrap();
    in_time(async {
        while requests.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_takes_no_new_ones() {
    let (near, requests, drain, serving) = served(LIMITS);
    let (mut client, connection) = h2::client::handshake(near).await.unwrap();
    tokio::spawn(connection);
    let ask = || {
        Request::builder()
            .method(Method::CONNECT)
            .uri("a:1")
            .body(())
            .unwrap()
    };
    let (response, _send) = client.send_request(ask(), false).unwrap();
    let request = in_time(async {
        loop {
            if let Some(request) = requests.lock().unwrap().pop() {
                break request;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    drain.start();
    let stream = request.accept().unwrap();
    assert_eq!(in_time(response).await.unwrap().status(), 200);
    // The GOAWAY has come: a client does not ask again.
    in_time(async {
        while client.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!serving.is_finished(), "a stream is open");
    drop(stream);
    let (end, count) = in_time(serving).await.unwrap();
    assert!(matches!(end, StreamsEnd::Ended), "{end:?}");
    assert_eq!(count, 1);
}

#[tokio::test]
async fn what_is_no_target_is_refused() {
    for (authority, good) in [("a:1", true), ("a", false), ("u@a:1", false), ("a:0", false)] {
        let (near, requests, _, _serving) = served(LIMITS);
        let (mut client, connection) = h2::client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(Method::CONNECT).uri(authority).body(());
        let (response, _send) = client.send_request(request.unwrap(), false).unwrap();
        let request = in_time(async {
            loop {
                if let Some(request) = requests.lock().unwrap().pop() {
                    break request;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        match request.ask(CLIENT) {
            Ok(ask) => assert!(good, "{}", ask.to),
            Err(problem) => {
                assert!(!good, "{authority}");
                request.answer(&problem, crate::http::RequestId::new());
                let response = in_time(response).await.unwrap();
                assert_eq!(response.status(), 400);
                assert!(response.headers().contains_key("proxy-status"));
            }
        }
    }
}
