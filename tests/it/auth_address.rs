//! Users who are known by their address for a time, after a login from there.

use crate::harness::logins::basic;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial};
use crate::harness::until;

/// Of "secret", by Apache's htpasswd.
const HASH: &str = "$2y$05$t.zcRpoi9B9PAL8YgUWalOtCptFGla/FxicQz0zNQ.jI12TYtBH/.";

fn start(more: &str) -> Proxy {
    Setup::new()
        .file("users", &format!("ada:{HASH}\nmax:{HASH}\n"))
        .config(&format!(
            "[auth.basic]\nhtpasswd = 'users'\n[auth.address]\n{more}\n\
             [[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n"
        ))
        .start()
}

/// The status of a GET of a connection of its own.
fn get(proxy: &Proxy, credentials: Option<&str>) -> u16 {
    let port = origins::plain_aiohttp().port;
    let shown = credentials.map_or_else(String::new, |shown| format!("Proxy-Authorization: {shown}\r\n"));
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n{shown}\r\n"
    ));
    wire.answer().status
}

fn connect(proxy: &Proxy) -> u16 {
    let target = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    wire.answer().status
}

#[test]
fn an_address_is_whoever_logged_in_there_last() {
    let mut proxy = start("for = '8h'");
    assert_eq!(get(&proxy, None), 407);
    assert_eq!(get(&proxy, Some(&basic("ada", "secret"))), 204);
    assert_eq!((get(&proxy, None), connect(&proxy)), (204, 200));
    let line = proxy.log("request", |line| line["auth"] == "address");
    assert_eq!(line["user"], "ada", "{line}");
    proxy.log("connection", |line| {
        line["auth"] == "address" && line["user"] == "ada" && line["requests"] == 1
    });
    let line = proxy.log("request", |line| line["auth"] == "basic");
    assert_eq!(line["user"], "ada", "{line}");
    // Who shows something is judged by that alone, and changes nothing unless it holds.
    assert_eq!(get(&proxy, Some(&basic("max", "wrong"))), 407);
    assert_eq!(get(&proxy, None), 204);
    assert_eq!(get(&proxy, Some(&basic("max", "secret"))), 204);
    assert_eq!(get(&proxy, None), 204);
    proxy.log("request", |line| {
        line["auth"] == "address" && line["user"] == "max"
    });
    let accepted = [("scheme", "address"), ("outcome", "accepted")];
    proxy.metric("wsbump_auth_total", &accepted, 4.0);
    proxy.metric("wsbump_auth_verdicts_total", &[("source", "address")], 4.0);

    // Another configuration knows nobody, and one of something else forgets nobody.
    let reload = |proxy: &mut Proxy, change: &str| {
        let loads = |proxy: &Proxy| {
            let success = [("result", "success")];
            proxy.metrics().sum("wsbump_config_reloads_total", &success)
        };
        let before = loads(proxy);
        proxy.rewrite_config(change);
        until("the reload", || (loads(proxy) > before).then_some(()));
    };
    reload(&mut proxy, "[timeouts]\npeek = '3s'");
    assert_eq!(get(&proxy, None), 204);
    reload(&mut proxy, "[auth]\nrealm = 'Another'");
    assert_eq!(get(&proxy, None), 407);
}

#[test]
fn it_ends_and_addresses_of_several_people_are_nobodys() {
    let proxy = start("for = '1s'");
    assert_eq!(get(&proxy, Some(&basic("ada", "secret"))), 204);
    until("it is over", || (get(&proxy, None) == 407).then_some(()));

    let proxy = start("for = '8h'\nexcept = ['127.0.0.0/8']");
    assert_eq!(get(&proxy, Some(&basic("ada", "secret"))), 204);
    assert_eq!(get(&proxy, None), 407);
}
