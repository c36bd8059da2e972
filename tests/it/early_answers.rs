//! Requests over HTTP/2 that are answered before their content has come: the answer is heard.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};

const DENIES: &str = "[[policy.rule]]\nname = 'closed'\npath = '^/closed'\naction = 'deny'\n";

/// What comes behind an answer is read and forgotten, up to 1 MiB and for some time.
fn is_heard(proxy: &Proxy, client: Client, status: u16) {
    let found = client.with("ca", &proxy.ca).run();
    let status = format!("status {status}");
    assert_eq!(found["little"], status, "{found}");
    assert_eq!(found["silent"], status, "{found}");
    assert_eq!(found["much"]["status"], status, "{found}");
    // What there was room for when it ended comes on top.
    let sent = found["much"]["sent"].as_u64().unwrap();
    assert!(((1 << 20)..(2 << 20)).contains(&sent), "{found}");
}

fn client(proxy: &Proxy, url: &str) -> Client {
    Client::new("client_early_h2.py")
        .with("proxy", proxy.url())
        .with("url", url)
}

fn client_of_the_listener(proxy: &Proxy, url: &str) -> Client {
    Client::new("client_early_h2.py")
        .with("proxy", proxy.secure_url())
        .with("listener", "1")
        .with("url", url)
}

#[test]
fn of_the_policy_in_a_tunnel() {
    let proxy = Setup::new().config(DENIES).start();
    let url = origins::node_h2().url("https", "/closed");
    is_heard(&proxy, client(&proxy, &url), 403);
}

/// Node takes no content of a request that it has answered.
#[test]
fn of_an_origin() {
    let proxy = Proxy::start();
    let url = origins::node_h2().url("https", "/status/413");
    is_heard(&proxy, client(&proxy, &url), 413);
}

#[test]
fn where_the_reason_of_a_connect_is_told_inside() {
    let proxy = Setup::new()
        .config("pages = { for_connect = true }")
        .file("closed", "origin.test\n")
        .config("list = [{ name = 'closed', file = 'closed', format = 'domains' }]\npolicy = { deny = ['closed'] }")
        .start();
    is_heard(&proxy, client(&proxy, "https://origin.test:443/"), 403);
}

#[test]
fn on_streams_of_the_proxy_itself() {
    let proxy = Setup::new()
        .config("listen = { tls = ['127.0.0.1:0'] }")
        .config(DENIES)
        .start();
    let url = origins::plain_aiohttp().url("http", "/closed");
    is_heard(&proxy, client_of_the_listener(&proxy, &url), 403);
    let dead = format!("http://origin.test:{}/", crate::harness::free_port());
    is_heard(&proxy, client_of_the_listener(&proxy, &dead), 502);
}
