//! The same test over HTTP/1.1 and over HTTP/2: both ends write HTTP/1.1 and frames, byte for byte, and the version is
//! that of the road between them.

use super::certs::certs;
use super::clients::Client;
use super::origins::{self, Origin};
use super::process::Process;
use super::proxy::Proxy;
use super::raw::{Wire, dial, header, prepare, tls};
use super::recorder::{Recorder, accept, tcp};
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// What the proxy and both ends speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
    /// The client speaks HTTP/2 with the proxy itself, in TLS there, and names `http://` URLs; the origin has HTTP/1.1.
    /// There are no WebSockets on this way.
    Front,
}

/// Makes two tests of each function that takes a [`Version`].
macro_rules! over_both {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[test]
            fn http1() {
                super::$name($crate::harness::road::Version::Http1);
            }

            #[test]
            fn http2() {
                super::$name($crate::harness::road::Version::Http2);
            }
        }
    )* };
}
pub(crate) use over_both;

/// Makes a test of each function that takes a [`Version`], for requests to the proxy itself over HTTP/2.
macro_rules! over_front {
    ($($name:ident),* $(,)?) => {
        mod front {
            $(
                #[test]
                fn $name() {
                    super::$name($crate::harness::road::Version::Front);
                }
            )*
        }
    };
}
pub(crate) use over_front;

impl Version {
    /// As the access log names it.
    pub(crate) fn logged(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 | Self::Front => "HTTP/2",
        }
    }

    /// What makes curl offer it.
    pub(crate) fn curl(self) -> &'static str {
        match self {
            Self::Http1 => "--http1.1",
            Self::Http2 | Self::Front => "--http2",
        }
    }

    /// Python's `websockets` as an origin, which echoes.
    pub(crate) fn websockets(self) -> &'static Origin {
        match self {
            Self::Http1 => origins::websockets(),
            Self::Http2 | Self::Front => origins::websockets_h2(),
        }
    }

    /// Node's `ws` as an origin, which echoes at paths that begin with `/ws`.
    pub(crate) fn node_ws(self) -> &'static Origin {
        match self {
            Self::Http1 => origins::node_ws(),
            Self::Http2 | Self::Front => origins::node_h2(),
        }
    }

    /// An origin that echoes what is sent to `/echo`.
    pub(crate) fn echo(self) -> &'static Origin {
        match self {
            Self::Http1 => origins::aiohttp(),
            Self::Front => origins::plain_aiohttp(),
            Self::Http2 => origins::node_h2(),
        }
    }

    /// A client of Python's `websockets`, on its way to `path` of an origin.
    pub(crate) fn client(self, proxy: &Proxy, origin: &Origin, path: &str) -> Client {
        let client = Client::new("client_websockets.py");
        match self {
            Self::Http1 => client
                .with("proxy", proxy.url())
                .with("ca", &proxy.ca)
                .with("url", origin.url("wss", path)),
            Self::Http2 | Self::Front => {
                let bridge = Bridge::of_client(proxy, &origin.url("https", ""), &[]);
                client
                    .with("url", format!("ws://127.0.0.1:{}{path}", bridge.port))
                    .beside(bridge.process)
            }
        }
    }
}

/// `tests/peers/h2_bridge.py` at a client's end.
pub(crate) struct Bridge {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Bridge {
    /// Listens for a client, whose requests become streams of one connection to the host of `url`.
    pub(crate) fn of_client(proxy: &Proxy, url: &str, arguments: &[&str]) -> Self {
        Self::of(proxy, url, &[&["proxy", &proxy.url()], arguments].concat())
    }

    /// The same, whose requests are streams of one connection to the proxy itself.
    pub(crate) fn of_front(proxy: &Proxy, url: &str) -> Self {
        let front = proxy.secure_url();
        Self::of(proxy, url, &["front", front.trim_start_matches("https://")])
    }

    fn of(proxy: &Proxy, url: &str, arguments: &[&str]) -> Self {
        let client = Client::new("h2_bridge.py").with("ca", &proxy.ca).with("url", url);
        let client = arguments
            .chunks(2)
            .fold(client, |client, pair| client.with(pair[0], pair[1]));
        let process = client.start();
        let port = process.out("READY", |line| line.strip_prefix("READY ")?.parse().ok());
        Self { process, port }
    }
}

/// A conversation over `websockets` through the proxy.
pub(crate) struct Talk(Process);

impl Talk {
    pub(crate) fn open(version: Version, proxy: &Proxy, origin: &Origin, options: &[(&str, &str)]) -> Self {
        let client = version.client(proxy, origin, "/ws");
        let client = options
            .iter()
            .fold(client.with("mode", "dialogue"), |client, (name, value)| {
                client.with(name, value)
            });
        let process = client.start();
        process.out("open", |line| fact(line).filter(|fact| fact["open"] == true));
        Self(process)
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.0.say(line);
    }

    /// What came back, once `last` has.
    pub(crate) fn heard(&self, last: &str) -> Vec<String> {
        self.0
            .out(last, |line| (fact(line)?["got"] == last).then_some(()));
        let lines = self.0.out.all();
        lines
            .iter()
            .filter_map(|line| Some(fact(line)?["got"].as_str()?.to_owned()))
            .collect()
    }

    /// How it ended, as its client was told.
    pub(crate) fn end(&self) -> Value {
        self.0.out("the end", |line| {
            fact(line).filter(|fact| fact["code"].is_number())
        })
    }
}

fn fact(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

/// One end of a road, whatever is below it.
pub(crate) type End = Wire<Box<dyn Duplex>>;

pub(crate) trait Duplex: Read + Write + Send {
    /// Ends the socket, and nothing above it.
    fn cut(&self);
}

impl Duplex for TcpStream {
    fn cut(&self) {
        // What goes over HTTP/2 ends by a reset of its stream, and its bridge resets for a reset.
        socket2::SockRef::from(self)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
    }
}

impl Duplex for StreamOwned<ClientConnection, TcpStream> {
    fn cut(&self) {
        self.sock.shutdown(Shutdown::Both).unwrap();
    }
}

impl Duplex for StreamOwned<ServerConnection, TcpStream> {
    fn cut(&self) {
        self.sock.shutdown(Shutdown::Both).unwrap();
    }
}

/// An origin that does what the test wants, and the ways to it.
pub(crate) enum Road {
    Http1(Recorder),
    Http2(Streams),
    Front(Front),
}

pub(crate) struct Front {
    listener: TcpListener,
    port: u16,
    /// By the proxy that each one leads to.
    bridges: RefCell<HashMap<String, Bridge>>,
}

pub(crate) struct Streams {
    pub(crate) origin: Origin,
    listener: TcpListener,
    cut: Option<&'static str>,
    /// By the proxy that each one leads through.
    bridges: RefCell<HashMap<String, Bridge>>,
}

impl Road {
    pub(crate) fn start(version: Version) -> Self {
        Self::cut(version, None)
    }

    /// One whose bridges cut what they send by chance, if it is of HTTP/2.
    pub(crate) fn cut(version: Version, seed: Option<&'static str>) -> Self {
        match version {
            Version::Http1 => Self::Http1(Recorder::start()),
            Version::Front => {
                let (listener, port) = tcp();
                Self::Front(Front {
                    listener,
                    port,
                    bridges: RefCell::default(),
                })
            }
            Version::Http2 => {
                let (listener, port) = tcp();
                let cut: Vec<&str> = seed.iter().flat_map(|seed| ["--cut", seed]).collect();
                Self::Http2(Streams {
                    origin: origins::bridge(&certs().origin, port, &cut),
                    listener,
                    cut: seed,
                    bridges: RefCell::default(),
                })
            }
        }
    }

    /// `origin.test:PORT`.
    pub(crate) fn target(&self) -> String {
        match self {
            Self::Http1(recorder) => recorder.target(),
            Self::Http2(streams) => format!("origin.test:{}", streams.origin.port),
            Self::Front(front) => format!("origin.test:{}", front.port),
        }
    }

    /// A client's end, for requests.
    pub(crate) fn client(&self, proxy: &Proxy) -> End {
        let stream: Box<dyn Duplex> = match self {
            Self::Http1(recorder) => Box::new(tls(proxy, &recorder.target()).stream),
            Self::Http2(streams) => {
                let mut bridges = streams.bridges.borrow_mut();
                let bridge = bridges.entry(proxy.address.clone()).or_insert_with(|| {
                    let url = format!("https://{}", self.target());
                    let cut: Vec<&str> = streams.cut.iter().flat_map(|&seed| ["cut", seed]).collect();
                    Bridge::of_client(proxy, &url, &cut)
                });
                Box::new(dial(&format!("127.0.0.1:{}", bridge.port)))
            }
            Self::Front(front) => {
                let mut bridges = front.bridges.borrow_mut();
                let bridge = bridges
                    .entry(proxy.address.clone())
                    .or_insert_with(|| Bridge::of_front(proxy, &format!("http://{}", self.target())));
                Box::new(dial(&format!("127.0.0.1:{}", bridge.port)))
            }
        };
        Wire::new(stream)
    }

    /// What a client's bridge has said: the first line of JSON that `find` likes.
    pub(crate) fn fact(&self, proxy: &Proxy, what: &str, mut find: impl FnMut(&Value) -> bool) -> Value {
        let Self::Http2(streams) = self else {
            panic!("there is no bridge that tells");
        };
        let bridges = streams.bridges.borrow();
        bridges[&proxy.address].process.out(what, |line| {
            serde_json::from_str(line).ok().filter(|fact| find(fact))
        })
    }

    /// The same of the origin's.
    pub(crate) fn far_fact(&self, what: &str, find: impl FnMut(&Value) -> bool) -> Value {
        let Self::Http2(streams) = self else {
            panic!("there is no bridge that tells");
        };
        streams.origin.fact(what, find)
    }

    /// Whether nothing has come to the origin that was not asked for.
    pub(crate) fn accept_nothing(&self) -> bool {
        match self {
            Self::Http1(recorder) => recorder.accept_nothing(),
            Self::Http2(Streams { listener, .. }) | Self::Front(Front { listener, .. }) => {
                listener.set_nonblocking(true).unwrap();
                listener.accept().is_err()
            }
        }
    }

    /// The origin's end of a connection that the proxy has made by now for a request to itself, if there is one.
    pub(crate) fn arrived(&self) -> Option<End> {
        let Self::Front(front) = self else {
            panic!("the others' connections are their clients'");
        };
        front.listener.set_nonblocking(true).unwrap();
        let (stream, _) = front.listener.accept().ok()?;
        stream.set_nonblocking(false).unwrap();
        prepare(&stream);
        Some(Wire::new(Box::new(stream)))
    }

    /// The origin's end of the next connection, or stream.
    pub(crate) fn accept(&self) -> End {
        let stream: Box<dyn Duplex> = match self {
            Self::Http1(recorder) => Box::new(recorder.accept().stream),
            Self::Http2(Streams { listener, .. }) | Self::Front(Front { listener, .. }) => {
                Box::new(accept(listener).stream)
            }
        };
        Wire::new(stream)
    }

    /// A WebSocket through the proxy: the client's end and the origin's.
    pub(crate) fn websocket(&self, proxy: &Proxy) -> (End, End) {
        self.websocket_with(proxy, "", "")
    }

    /// The same with more header lines in the request and in the response.
    pub(crate) fn websocket_with(&self, proxy: &Proxy, ask: &str, answer: &str) -> (End, End) {
        let mut client = self.client(proxy);
        client.ask_websocket(&self.target(), "/", ask);
        let mut origin = self.accept();
        origin.accept_websocket(answer);
        let head = client.head().expect("an answer to the upgrade");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(header(&head, "sec-websocket-accept").is_some(), "{head}");
        (client, origin)
    }
}
