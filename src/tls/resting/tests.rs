use super::*;
use crate::handshake::ServiceTls;
use crate::tls::testing::{Identity, tcp};
use crate::wire::names::Host;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream as Served;

const BOTH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// Two ends that have said something to each other.
async fn pair(versions: &[&'static SupportedProtocolVersion]) -> (TlsStream, Served<TcpStream>) {
    let identity = Identity::new(&["scanner.example"]);
    let service = ServiceTls::new(Some(vec![identity.root.clone()]), None).unwrap();
    let (near, far) = tcp().await;
    let name = Host::Name("scanner.example".to_owned());
    let (near, far) = tokio::join!(
        service.connect(near, &name),
        TlsAcceptor::from(Arc::new(identity.server(versions))).accept(far)
    );
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    talk(&mut near, &mut far).await;
    (near, far)
}

async fn talk(near: &mut TlsStream, far: &mut Served<TcpStream>) {
    let mut word = [0; 4];
    near.write_all(b"ping").await.unwrap();
    near.flush().await.unwrap();
    far.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ping");
    far.write_all(b"pong").await.unwrap();
    far.flush().await.unwrap();
    near.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"pong");
}

/// Waits until what the peer has sent is there to be read.
async fn arrived(resting: &RestingTls) {
    let socket = resting.socket.try_clone().unwrap();
    TcpStream::from_std(socket).unwrap().readable().await.unwrap();
}

#[test]
fn a_connection_goes_from_one_event_loop_to_another() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    for versions in BOTH {
        let servers = runtime();
        let first = runtime();
        let (near, mut far) = servers.block_on(pair(versions));
        let mut resting = first.block_on(async move { RestingTls::new(near).unwrap() });
        drop(first);
        assert!(resting.is_quiet() && resting.is_quiet());
        servers.block_on(async {
            let mut near = resting.wake().unwrap();
            talk(&mut near, &mut far).await;
        });
    }
}

#[tokio::test]
async fn what_tls_says_by_itself_is_taken_in() {
    let (near, mut far) = pair(&[&TLS13]).await;
    let mut resting = RestingTls::new(near).unwrap();
    // New keys: the answer goes out with what is said next.
    far.get_mut().1.refresh_traffic_keys().unwrap();
    far.flush().await.unwrap();
    arrived(&resting).await;
    assert!(resting.is_quiet());
    assert!(!resting.out.is_empty(), "it has an answer to give");
    let mut near = resting.wake().unwrap();
    talk(&mut near, &mut far).await;
    talk(&mut near, &mut far).await;
}

#[tokio::test]
async fn one_that_was_closed_or_spoke_is_not_quiet() {
    for versions in BOTH {
        // Data, whole and cut inside of its record; a close_notify; the end without one.
        for what in ["data", "close_notify", "end"] {
            let (near, mut far) = pair(versions).await;
            let mut resting = RestingTls::new(near).unwrap();
            assert!(resting.is_quiet());
            match what {
                "data" => {
                    far.write_all(b"408").await.unwrap();
                    far.flush().await.unwrap();
                }
                "close_notify" => far.shutdown().await.unwrap(),
                _ => drop(far),
            }
            arrived(&resting).await;
            assert!(!resting.is_quiet(), "{what}");
        }
        let (near, far) = pair(versions).await;
        let mut resting = RestingTls::new(near).unwrap();
        let (mut raw, _) = far.into_inner();
        // The beginning of a record.
        raw.write_all(&[23, 3, 3, 0, 100, 1]).await.unwrap();
        arrived(&resting).await;
        assert!(!resting.is_quiet());
    }
}

#[tokio::test]
async fn a_server_may_not_go_on_talking_to_nobody() {
    let (near, mut far) = pair(&[&TLS13]).await;
    let mut resting = RestingTls::new(near).unwrap();
    for _ in 0..READS * READ / 30 {
        far.get_mut().1.refresh_traffic_keys().unwrap();
    }
    far.flush().await.unwrap();
    arrived(&resting).await;
    assert!(!resting.is_quiet());
}

#[tokio::test]
async fn one_on_which_something_is_under_way_does_not_rest_and_says_goodbye() {
    let (mut near, mut far) = pair(&[&TLS13]).await;
    far.write_all(b"two").await.unwrap();
    far.flush().await.unwrap();
    near.read_exact(&mut [0]).await.unwrap();
    assert!(RestingTls::new(near).is_none());
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "a clean end");
}

#[tokio::test]
async fn goodbyes_are_heard() {
    for versions in BOTH {
        let (mut near, mut far) = pair(versions).await;
        near.farewell();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "a clean end");
        let (near, mut far) = pair(versions).await;
        RestingTls::new(near).unwrap().farewell();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "a clean end");
    }
}
