//! The script by which clients find the proxy, read by what others wrote.

use crate::harness::clients::{Curled, chromium, curl};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::header;
use crate::harness::{root, scratch, until};
use std::fs;
use std::path::Path;
use std::process::Command;

const PROXIES: &str = "PROXY proxy.corp.example:3128; HTTPS proxy.corp.example:3129";

/// A proxy that tells clients of these, and goes anywhere for nobody.
fn telling(more: &str) -> Proxy {
    let proxies = "proxies = ['http://proxy.corp.example:3128', 'https://proxy.corp.example:3129']";
    Setup::new()
        .config(&format!("[policy]\ndefault = 'deny'\n[pac]\n{proxies}\n{more}"))
        .start()
}

/// The script, asked for as of any web server.
fn script(proxy: &Proxy, path: &str) -> Curled {
    curl(None, &proxy.ca, &[&format!("{}{path}", proxy.url())])
}

/// What came behind the head.
fn content(said: &Curled) -> String {
    let lines = said.text.lines().skip_while(|line| !line.trim().is_empty());
    let content: Vec<_> = lines.skip(1).collect();
    assert!(!content.is_empty(), "{said:?}");
    content.join("\n")
}

/// What a script's reader makes of it, for each URL and its host.
fn read(file: &Path, asked: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new("/usr/bin/python3");
    let lines: String = asked
        .iter()
        .map(|(url, host)| format!("{url} {host}\n"))
        .collect();
    let input = file.with_extension("asked");
    fs::write(&input, lines).unwrap();
    command
        .arg(root().join("tests/peers/read_pac.py"))
        .arg(file)
        .arg(input);
    let done = Process::start("read_pac.py", command).finish();
    assert!(done.status.success(), "{:?}", done.err);
    done.out
}

#[test]
fn readers_that_others_wrote_go_where_the_configuration_says() {
    let home = scratch();
    let list = home.path().join("intranet");
    let entries = "intra.example\n.corp.example\n.ports.example:8443\n10.0.0.0/8\n192.0.2.7\n2001:db8::7\n";
    fs::write(&list, entries).unwrap();
    let more = format!(
        "direct = ['intranet']\n[[list]]\nname = 'intranet'\nfile = '{}'\nformat = 'domains'",
        list.display()
    );
    let proxy = telling(&more);
    let said = script(&proxy, "/proxy.pac");
    assert_eq!((said.code, said.status), (0, 200), "{said:?}");
    assert_eq!(
        header(&said.text, "content-type"),
        Some("application/x-ns-proxy-autoconfig")
    );
    let file = home.path().join("proxy.pac");
    fs::write(&file, content(&said)).unwrap();
    let cases = [
        ("http://intra.example/", "intra.example", "DIRECT"),
        ("http://INTRA.example./", "INTRA.example.", "DIRECT"),
        ("http://www.intra.example/", "www.intra.example", PROXIES),
        ("https://corp.example/", "corp.example", "DIRECT"),
        ("https://a.b.corp.example/", "a.b.corp.example", "DIRECT"),
        ("https://notcorp.example/", "notcorp.example", PROXIES),
        ("https://a.ports.example:8443/", "a.ports.example", "DIRECT"),
        ("https://u:8443@a.ports.example/", "a.ports.example", PROXIES),
        ("https://a.ports.example/", "a.ports.example", PROXIES),
        ("http://10.1.2.3/", "10.1.2.3", "DIRECT"),
        ("http://11.1.2.3/", "11.1.2.3", PROXIES),
        ("http://192.0.2.7:81/", "192.0.2.7", "DIRECT"),
        ("http://[2001:db8::7]/", "2001:db8::7", "DIRECT"),
        ("http://[2001:db8::8]/", "2001:db8::8", PROXIES),
        ("http://printer/", "printer", "DIRECT"),
        ("wss://chat.example/socket", "chat.example", PROXIES),
        ("https://www.example.com/", "www.example.com", PROXIES),
    ];
    let asked = cases.map(|(url, host, _)| (url, host));
    let found = read(&file, &asked);
    for ((url, _, wanted), found) in cases.iter().zip(&found) {
        assert_eq!(found, wanted, "{url}");
    }
    assert_eq!(found.len(), cases.len());
}

#[test]
fn it_is_had_of_the_proxy_itself_and_of_the_portal_without_a_login() {
    let proxy = telling("");
    let whole = script(&proxy, "/proxy.pac");
    let wpad = script(&proxy, "/wpad.dat?x");
    assert_eq!(wpad.status, 200, "{wpad:?}");
    assert_eq!(content(&wpad), content(&whole));
    let old = curl(
        None,
        &proxy.ca,
        &["--http1.0", "-H", "Host:", &format!("{}/wpad.dat", proxy.url())],
    );
    assert_eq!((old.code, old.status), (0, 200), "{old:?}");
    assert_eq!(content(&old), content(&whole));
    for url in [
        "http://wsbump.internal/proxy.pac",
        "https://wsbump.internal/wpad.dat",
    ] {
        let said = curl(Some(&proxy.url()), &proxy.ca, &[url]);
        assert_eq!((said.code, said.status), (0, 200), "{said:?}");
        assert_eq!(content(&said), content(&whole));
    }
    // Nothing else is there for who takes the proxy for a server.
    for path in ["/", "/proxy.pac/", "/metrics"] {
        assert_eq!(script(&proxy, path).status, 400, "{path}");
    }
    let silent = Setup::new().start();
    assert_eq!(script(&silent, "/proxy.pac").status, 400);
    let said = curl(
        Some(&silent.url()),
        &silent.ca,
        &["http://wsbump.internal/proxy.pac"],
    );
    assert_eq!(said.status, 404, "{said:?}");
}

#[test]
fn chromium_goes_by_it() {
    let home = scratch();
    // Its own address shows only once it listens.
    let mut proxy = Setup::new().start();
    let reloads = |proxy: &Proxy| {
        proxy
            .metrics()
            .sum("wsbump_config_reloads_total", &[("result", "success")])
    };
    let before = reloads(&proxy);
    let own = format!("[pac]\nproxies = ['http://{}']", proxy.address);
    proxy.rewrite_config(&own);
    proxy.process().signal("HUP");
    until("the reload", || (reloads(&proxy) > before).then_some(()));
    let url = origins::aiohttp().url("https", "/status/200");
    let found = chromium(home.path(), &proxy.ca)
        .with("pac", format!("{}/proxy.pac", proxy.url()))
        .with("mode", "page")
        .with("url", &url)
        .run();
    assert_eq!(found["status"], 200, "{found}");
    assert!(found["issuer"].as_str().unwrap().contains("wsbump"), "{found}");
}
