//! The addresses that connections come from.

use crate::harness::parents::OwnParent;
use crate::harness::proxy::Setup;
use crate::harness::raw::{Wire, connect, prepare, tunnel};
use crate::harness::recorder::{accept, tcp};

#[test]
fn connections_come_from_the_address_of_the_last_setting_that_holds() {
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .file("other", "other.test\n")
        .config(
            "[[policy.setting]]\nsource = ['127.0.0.2']\n[[policy.setting]]\nhosts = ['other']\nsource = ['127.0.0.3']\n\
             [[list]]\nname = 'other'\nformat = 'domains'\nfile = 'other'\n[policy]\nunknown_protocol = 'tunnel'\n",
        )
        .start();
    for (host, source) in [("origin.test", "127.0.0.2"), ("other.test", "127.0.0.3")] {
        let mut client = tunnel(&proxy, &format!("{host}:{port}"));
        let mut origin = accept(&listener);
        assert_eq!(origin.stream.peer_addr().unwrap().ip().to_string(), source);
        origin.send("hello\n");
        assert_eq!(client.line(), "hello\n");
    }
}

/// A connection of the other family would come from an address that nobody has chosen: it fails at once, and by name.
#[test]
fn a_family_without_a_source_address_is_not_dialled() {
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .config(
            "network.hosts.'two.test' = ['::1', '127.0.0.1']\n[[policy.setting]]\nsource = ['127.0.0.2']\n",
        )
        .start();
    let answer = connect(&proxy, &format!("[::1]:{port}")).1;
    assert_eq!(answer.status, 502);
    let why = answer.header("proxy-status").unwrap();
    assert!(why.contains("no source address of IPv6 is configured"), "{why}");
    let _client = tunnel(&proxy, &format!("two.test:{port}"));
    let origin = accept(&listener);
    assert_eq!(origin.stream.peer_addr().unwrap().ip().to_string(), "127.0.0.2");
}

#[test]
fn an_address_that_this_machine_does_not_have_is_said() {
    let proxy = Setup::new()
        .config("[[policy.setting]]\nsource = ['192.0.2.1']\n")
        .start();
    let answer = connect(&proxy, "127.0.0.1:9").1;
    let why = answer.header("proxy-status").unwrap();
    assert!(
        answer.status == 502 && why.contains("cannot come from 192.0.2.1"),
        "{why}"
    );
}

/// A parent is reached from it too.
#[test]
fn a_parent_is_reached_from_the_source_address() {
    let parent = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let proxy = Setup::new()
        .config(&format!(
            "[[parent]]\nname = 'up'\nurl = 'http://{}'\n[[policy.setting]]\nparents = ['up']\nsource = ['127.0.0.2']\n",
            parent.address()
        ))
        .start();
    let (_listener, port) = tcp();
    let _client = tunnel(&proxy, &format!("origin.test:{port}"));
    assert!(parent.head().starts_with("CONNECT "));
    assert_eq!(parent.peer(), "127.0.0.2");
}

/// As if there were no proxy: a client's own address, which needs rights.
#[test]
fn an_origin_sees_the_clients_address_where_that_is_wanted() {
    let (listener, port) = tcp();
    let parent = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let proxy = Setup::new()
        .file("other", "other.test\n")
        .config(&format!(
            "network.hosts.'six.test' = '::1'\n[policy]\nunknown_protocol = 'tunnel'\n\
             [[parent]]\nname = 'up'\nurl = 'http://{}'\n[[policy.setting]]\nas_client = true\n\
             [[policy.setting]]\nhosts = ['other']\nparents = ['up']\n\
             [[list]]\nname = 'other'\nformat = 'domains'\nfile = 'other'\n",
            parent.address()
        ))
        .start();
    let from = |address: &str, target: &str| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let own: std::net::SocketAddr = format!("{address}:0").parse().unwrap();
        socket.bind(&own.into()).unwrap();
        let to: std::net::SocketAddr = proxy.address.parse().unwrap();
        socket.connect(&to.into()).unwrap();
        let stream: std::net::TcpStream = socket.into();
        prepare(&stream);
        let mut wire = Wire::new(stream);
        wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        assert!(wire.head().unwrap().starts_with("HTTP/1.1 200 "), "{target}");
        wire
    };
    for address in ["127.0.0.8", "127.0.0.9"] {
        let _client = from(address, &format!("origin.test:{port}"));
        let origin = accept(&listener);
        assert_eq!(origin.stream.peer_addr().unwrap().ip().to_string(), address);
    }
    // A parent is never reached so.
    let _client = from("127.0.0.9", &format!("other.test:{port}"));
    assert_eq!(parent.peer(), "127.0.0.1");
    // And an origin of the other family from an address of the proxy's own.
    let six = std::net::TcpListener::bind("[::1]:0").unwrap();
    let _client = from(
        "127.0.0.9",
        &format!("six.test:{}", six.local_addr().unwrap().port()),
    );
    let (_, peer) = six.accept().unwrap();
    assert_eq!(peer.ip().to_string(), "::1");
}

#[test]
fn without_the_rights_for_a_clients_address_that_is_said() {
    let proxy = Setup::new()
        .wrapped(&["setpriv", "--bounding-set=-net_admin,-net_raw"])
        .config("[[policy.setting]]\nas_client = true\n")
        .start();
    let answer = connect(&proxy, "127.0.0.1:9").1;
    let why = answer.header("proxy-status").unwrap();
    assert!(
        answer.status == 502 && why.contains("cannot come from the client's address 127.0.0.1"),
        "{why}"
    );
}
