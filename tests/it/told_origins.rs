//! Origins that are told whose connections are, by the PROXY protocol.

use crate::harness::certs::{certs, open_up};
use crate::harness::clients::{Curled, curl};
use crate::harness::parents::{OwnParent, Tinyproxy};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial};
use crate::harness::recorder::{accept, tcp};
use crate::harness::{free_port, scratch, until};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// nginx, which wants a header of either version before TLS, or before HTTP, and says what it was told.
struct Nginx {
    _process: Process,
    _folder: tempfile::TempDir,
    secure: u16,
    plain: u16,
}

impl Nginx {
    fn start() -> Self {
        let folder = scratch();
        open_up(folder.path());
        let (secure, plain) = (free_port(), free_port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let own = &certs().origin;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {};\n", path(name)))
            .collect();
        let says = "location / { return 200 \"$proxy_protocol_addr $proxy_protocol_server_port\"; }";
        let config = format!(
            "daemon off; master_process off; pid {pid}; error_log stderr warn; events {{}}
            http {{ access_log off; {temporary}
                server {{ listen 127.0.0.1:{secure} ssl proxy_protocol; ssl_certificate {cert}; ssl_certificate_key {key}; {says} }}
                server {{ listen 127.0.0.1:{plain} proxy_protocol; {says} }}
            }}\n",
            pid = path("pid"),
            cert = own.cert.display(),
            key = own.key.display(),
        );
        std::fs::write(path("nginx.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(path("nginx.conf"));
        command.args(["-e", "stderr"]);
        let process = Process::start("nginx", command);
        until("nginx listens", || TcpStream::connect(("127.0.0.1", plain)).ok());
        Self {
            _process: process,
            _folder: folder,
            secure,
            plain,
        }
    }
}

fn ask(proxy: &Proxy, ca: &Path, url: &str) -> Curled {
    curl(Some(&proxy.url()), ca, &["--interface", "127.0.0.9", url])
}

#[test]
fn nginx_knows_the_client_of_what_is_bumped_spliced_and_in_the_open() {
    let nginx = Nginx::start();
    let splice =
        "[policy]\nsplice = ['spliced']\n[[list]]\nname = 'spliced'\nformat = 'domains'\nfile = 'spliced'\n";
    for version in ["v1", "v2"] {
        let proxy = Setup::new()
            .file("spliced", "other.test\n")
            .config(&format!(
                "{splice}[[policy.setting]]\nproxy_protocol = '{version}'\n"
            ))
            .start();
        for (ca, url, port) in [
            (
                &proxy.ca,
                format!("https://origin.test:{}/", nginx.secure),
                nginx.secure,
            ),
            (
                &certs().root,
                format!("https://other.test:{}/", nginx.secure),
                nginx.secure,
            ),
            (
                &proxy.ca,
                format!("http://origin.test:{}/", nginx.plain),
                nginx.plain,
            ),
        ] {
            let done = ask(&proxy, ca, &url);
            assert_eq!(done.status, 200, "{version} {url}: {done:?}");
            assert!(
                done.text.contains(&format!("127.0.0.9 {port}")),
                "{version} {url}: {}",
                done.text
            );
        }
        for action in ["bump", "splice", "serve"] {
            proxy.log("connection", |line| line["action"] == action);
        }
    }
    // Whom nothing is told of is told nothing.
    let proxy = Proxy::start();
    let done = ask(&proxy, &proxy.ca, &format!("http://origin.test:{}/", nginx.plain));
    assert_ne!(done.status, 200, "{done:?}");
}

#[test]
fn it_goes_inside_of_a_parents_tunnel_and_to_no_parent() {
    let (nginx, tinyproxy) = (Nginx::start(), Tinyproxy::start());
    let setting = "[[policy.setting]]\nparents = ['up']\nproxy_protocol = 'v2'\n";
    let parent = |url: &str, more: &str| format!("[[parent]]\nname = 'up'\nurl = '{url}'\n{more}\n{setting}");
    let proxy = Setup::new()
        .config(&parent(&format!("http://{}", tinyproxy.address()), ""))
        .start();
    let done = ask(
        &proxy,
        &proxy.ca,
        &format!("https://origin.test:{}/", nginx.secure),
    );
    assert!(
        done.text.contains(&format!("127.0.0.9 {}", nginx.secure)),
        "{done:?}"
    );
    let own = OwnParent::refusing("HTTP/1.1 204 No Content\r\n\r\n");
    let proxy = Setup::new()
        .config(&parent(
            &format!("http://{}", own.address()),
            "plain_http = 'absolute'",
        ))
        .start();
    let done = ask(&proxy, &proxy.ca, "http://origin.test/");
    assert_eq!(done.status, 204, "{done:?}");
    assert!(own.head().starts_with("GET http://origin.test/ HTTP/1.1\r\n"));
}

/// One header for each connection: requests of several clients do not share one.
#[test]
fn a_connection_to_an_origin_is_one_clients() {
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .config(
            "listener = [{ name = 'behind', kind = 'http', address = ['127.0.0.1:0'],\n\
             forwarded_for = { from = ['127.0.0.1'] } }]\n[[policy.setting]]\nproxy_protocol = 'v1'\n",
        )
        .start();
    let mut wire = Wire::new(dial(&proxy.listener("behind")));
    let mut origin = None;
    for (client, is_new) in [
        ("203.0.113.7", true),
        ("203.0.113.7", false),
        ("203.0.113.8", true),
    ] {
        wire.send(format!(
            "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\nX-Forwarded-For: {client}\r\n\r\n"
        ));
        if is_new {
            let mut next = accept(&listener);
            assert_eq!(next.line(), format!("PROXY TCP4 {client} 127.0.0.1 0 {port}\r\n"));
            origin = Some(next);
        }
        let origin = origin.as_mut().unwrap();
        assert!(origin.head().unwrap().starts_with("GET / HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(wire.answer().status, 204);
    }
}
