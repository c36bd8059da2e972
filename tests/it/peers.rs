//! Every client with every kind of origin, three times: directly, through a real Squid that only tunnels, and
//! through wsbump with TLS bumped. The first two show that a failure of the third is wsbump's.

use crate::harness::certs::{ROOT_NAME, certs};
use crate::harness::clients::{Client, chromium, curl};
use crate::harness::origins::{self, Origin};
use crate::harness::proxy::Proxy;
use crate::harness::squid::Squid;
use crate::harness::{scratch, until};
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;

/// How a client reaches an origin.
pub(crate) enum Road<'a> {
    /// Without a proxy.
    Direct,
    /// Through a Squid that tunnels.
    Squid(&'a Squid),
    /// Through wsbump.
    Bumped(&'a Proxy),
}

impl Road<'_> {
    /// The client's proxy.
    pub(crate) fn proxy(&self) -> Option<String> {
        match self {
            Self::Direct => None,
            Self::Squid(squid) => Some(squid.url()),
            Self::Bumped(proxy) => Some(proxy.url()),
        }
    }

    /// What the client trusts: this and nothing else, so that a bump and a splice cannot be mistaken.
    pub(crate) fn ca(&self) -> &Path {
        match self {
            Self::Direct | Self::Squid(_) => &certs().root,
            Self::Bumped(proxy) => &proxy.ca,
        }
    }

    /// The origin's name: only a proxy knows where `origin.test` is.
    fn host(&self) -> &'static str {
        if matches!(self, Self::Direct) {
            "localhost"
        } else {
            "origin.test"
        }
    }

    fn url(&self, scheme: &str, origin: &Origin, path: &str) -> String {
        format!("{scheme}://{}:{}{path}", self.host(), origin.port)
    }

    fn client(&self, script: &str, url: &str) -> Client {
        self.on_the_road(Client::new(script)).with("url", url)
    }

    pub(crate) fn on_the_road(&self, client: Client) -> Client {
        let client = client.with("ca", self.ca());
        match self.proxy() {
            Some(proxy) => client.with("proxy", proxy),
            None => client,
        }
    }

    /// The name of the certificate authority that the client must have seen.
    fn issuer(&self) -> String {
        match self {
            Self::Direct | Self::Squid(_) => ROOT_NAME.to_owned(),
            Self::Bumped(proxy) => common_name(&proxy.ca),
        }
    }

    /// The proxy must have said that it bumped, and that it saw this WebSocket's frames in both directions.
    fn websocket_was_seen(&self, origin: &Origin, messages: u64) {
        let Self::Bumped(proxy) = self else { return };
        let target = format!("origin.test:{}", origin.port);
        let line = proxy.log("websocket", |line| line["target"] == target);
        assert_eq!(line["outcome"], "closed", "{line}");
        for way in ["messages_to_origin", "messages_to_client"] {
            assert!(line[way].as_u64().unwrap() >= messages, "{way} of {line}");
        }
        for way in ["frames_to_origin", "frames_to_client"] {
            assert!(line[way].as_u64().unwrap() > messages, "{way} of {line}");
        }
        let connection = proxy.log("connection", |found| found["connection"] == line["connection"]);
        assert_eq!(
            (connection["action"].as_str(), connection["outcome"].as_str()),
            (Some("bump"), Some("ok"))
        );
    }
}

/// The common name of the first certificate in a PEM file.
pub(crate) fn common_name(pem: &Path) -> String {
    let pem = std::fs::read(pem).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let name = certificate.subject().iter_common_name().next().unwrap();
    name.as_str().unwrap().to_owned()
}

fn assert_echoed(found: &Value, road: &Road<'_>, origin: &Origin, code: u16) {
    assert_eq!(found["code"], code, "{found}");
    if found.get("issuer").is_some() {
        assert_eq!(found["issuer"], road.issuer(), "{found}");
    }
    road.websocket_was_seen(origin, found["messages"].as_u64().unwrap_or(1));
}

fn python_websockets(road: &Road<'_>) {
    let origin = origins::websockets();
    let client = road.client("client_websockets.py", &road.url("wss", origin, "/echo"));
    let found = client.with("subprotocol", "chat.v2").run();
    assert_eq!(found["subprotocol"], "chat.v2");
    assert_eq!(found["connection"], "Upgrade");
    assert!(
        found["extensions"]
            .as_str()
            .unwrap()
            .starts_with("permessage-deflate"),
        "{found}"
    );
    assert_echoed(&found, road, origin, 4321);
}

fn python_websockets_without_deflate(road: &Road<'_>) {
    let origin = origins::websockets();
    let client = road.client("client_websockets.py", &road.url("wss", origin, "/echo"));
    let found = client.with("compression", "none").run();
    assert!(
        found["extensions"].is_null() && found["subprotocol"].is_null(),
        "{found}"
    );
    assert_echoed(&found, road, origin, 4321);
}

fn python_websockets_with_node(road: &Road<'_>) {
    let origin = origins::node_ws();
    let found = road
        .client("client_websockets.py", &road.url("wss", origin, "/echo"))
        .run();
    assert!(
        found["extensions"]
            .as_str()
            .unwrap()
            .starts_with("permessage-deflate"),
        "{found}"
    );
    assert_echoed(&found, road, origin, 4321);
}

fn python_websockets_behind_nginx(road: &Road<'_>) {
    let origin = origins::nginx();
    let found = road
        .client("client_websockets.py", &road.url("wss", origin, "/echo"))
        .run();
    assert_echoed(&found, road, origin, 4321);
}

fn python_websockets_are_pushed_to(road: &Road<'_>) {
    let origin = origins::websockets();
    let client = road.client("client_websockets.py", &road.url("wss", origin, "/push"));
    let found = client.with("mode", "push").run();
    assert_eq!(found["issuer"], road.issuer());
}

fn aiohttp(road: &Road<'_>) {
    let origin = origins::aiohttp();
    let found = road
        .client("client_aiohttp.py", &road.url("https", origin, ""))
        .run();
    assert_eq!(found["framing"], "chunked", "{found}");
    assert!(
        found["compress"].as_u64().unwrap() > 0,
        "permessage-deflate was not agreed: {found}"
    );
    assert_echoed(&found, road, origin, 1000);
}

fn node_ws(road: &Road<'_>) {
    let origin = origins::node_ws();
    let found = road
        .client("client_ws.mjs", &road.url("wss", origin, "/echo"))
        .run();
    assert_eq!(found["subprotocol"], "chat.v2");
    assert_eq!(found["extensions"], "permessage-deflate");
    assert_echoed(&found, road, origin, 4003);
}

fn node_ws_with_python(road: &Road<'_>) {
    let origin = origins::websockets();
    let found = road
        .client("client_ws.mjs", &road.url("wss", origin, "/echo"))
        .run();
    assert_echoed(&found, road, origin, 4003);
}

fn undici(road: &Road<'_>) {
    let origin = origins::node_ws();
    let client = road.client("client_builtin.mjs", &road.url("wss", origin, "/echo"));
    let found = client.with("mode", "dispatcher").run();
    assert_echoed(&found, road, origin, 4004);
}

fn node_builtin(road: &Road<'_>) {
    let origin = origins::node_ws();
    let mut client = Client::new("client_builtin.mjs").with("url", road.url("wss", origin, "/echo"));
    client = client.env("NODE_EXTRA_CA_CERTS", road.ca());
    if let Some(proxy) = road.proxy() {
        client = client.env("NODE_USE_ENV_PROXY", "1").env("HTTPS_PROXY", proxy);
    }
    let found = client.run();
    assert_echoed(&found, road, origin, 4004);
}

fn chromium_page(road: &Road<'_>) {
    let origin = origins::node_ws();
    let home = scratch();
    let mut client = chromium(home.path(), road.ca()).with("url", road.url("https", origin, "/"));
    if let Some(proxy) = road.proxy() {
        client = client.with("proxy", proxy);
    }
    let found = client.run();
    assert_eq!(found["status"], 200, "{found}");
    assert_eq!(found["subprotocol"], "chat.v2", "{found}");
    assert_eq!(found["wasClean"], true, "{found}");
    assert!(
        found["extensions"]
            .as_str()
            .unwrap()
            .starts_with("permessage-deflate"),
        "{found}"
    );
    assert_echoed(&found, road, origin, 4002);
}

fn curl_from_nginx(road: &Road<'_>) {
    let folder = scratch();
    let file = folder.path().join("1m");
    let url = road.url("https", origins::nginx(), "/1m");
    let done = curl(
        road.proxy().as_deref(),
        road.ca(),
        &["--no-include", "-o", file.to_str().unwrap(), &url],
    );
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert!(
        std::fs::read(file).unwrap() == origins::megabyte(),
        "not the file that nginx has"
    );
    let issuer = format!("issuer: CN={}", road.issuer());
    assert!(
        done.verbose.contains(&issuer) || done.verbose.contains(&road.issuer()),
        "{}",
        done.verbose
    );
}

/// Slack's clients: the API and the WebSocket through the same proxy.
fn slack(road: &Road<'_>, client: Client) -> Value {
    let (api, socket) = match road {
        Road::Direct => ("localhost", "localhost"),
        _ => ("slack.test", "wss-primary.slack.com"),
    };
    let (origin, _) = origins::slack(socket, 0);
    let found = road
        .on_the_road(client)
        .with("api", format!("https://{api}:{}/api/", origin.port))
        .run();
    assert_eq!(found["texts"].as_array().unwrap().len(), 10, "{found}");
    // The origin got the client's answers, over more than one connection. (A client that leaves may cut off its
    // last answer; Slack's own WebSocket opens one connection more than it is asked to.)
    origin.fact("a second connection", |fact| fact["opened"] == 2);
    until("nine acknowledgements", || {
        let said = origin.process.out.all();
        (said.iter().filter(|line| line.contains("acknowledged")).count() >= 9).then_some(())
    });
    if let Road::Bumped(proxy) = road {
        let target = format!("wss-primary.slack.com:{}", origin.port);
        let busy = |line: &Value| line["messages_to_origin"].as_u64().unwrap_or(0) >= 5;
        let line = proxy.log("websocket", |line| line["target"] == target && busy(line));
        assert!(line["messages_to_client"].as_u64().unwrap() >= 6, "{line}");
        let connection = proxy.log("connection", |found| found["connection"] == line["connection"]);
        assert_eq!(connection["action"], "bump", "{connection}");
    }
    found
}

fn slack_sdk(road: &Road<'_>) {
    let found = slack(road, Client::new("client_slack.py"));
    assert_eq!(found["issuers"], serde_json::json!([road.issuer()]));
}

fn slack_sdk_builtin(road: &Road<'_>) {
    let found = slack(road, Client::new("client_slack.py").with("variant", "builtin"));
    assert_eq!(found["issuers"], serde_json::json!([road.issuer()]));
}

fn slack_for_node(road: &Road<'_>) {
    slack(road, Client::new("client_slack.mjs"));
}

/// Each of these as a test on every road.
macro_rules! everywhere {
    ($($peer:ident)*; only_by_proxy $($proxied:ident)*) => {
        mod direct {
            $( #[test] fn $peer() { super::$peer(&super::Road::Direct) } )*
        }
        mod tunnelled_by_squid {
            $( #[test] fn $peer() { super::$peer(&super::Road::Squid(super::squid())) } )*
            $( #[test] fn $proxied() { super::$proxied(&super::Road::Squid(super::squid())) } )*
        }
        mod bumped {
            $( #[test] fn $peer() { super::$peer(&super::Road::Bumped(&super::Proxy::start())) } )*
            $( #[test] fn $proxied() { super::$proxied(&super::Road::Bumped(&super::Proxy::start())) } )*
        }
    };
}

everywhere! {
    aiohttp
    chromium_page
    curl_from_nginx
    node_builtin
    node_ws
    node_ws_with_python
    python_websockets
    python_websockets_are_pushed_to
    python_websockets_behind_nginx
    python_websockets_with_node
    python_websockets_without_deflate
    slack_for_node
    slack_sdk
    undici;
    // Without a proxy this client speaks TLS on port 443 only.
    only_by_proxy slack_sdk_builtin
}

/// One Squid for all: it keeps no state.
pub(crate) fn squid() -> &'static Squid {
    static SQUID: OnceLock<Squid> = OnceLock::new();
    SQUID.get_or_init(Squid::start)
}
