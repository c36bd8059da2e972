//! The doctor at proxies that ask who it is, or that are spoken with in another way than in clear.

use super::{Doctor, echo_url, meddled};
use crate::harness::domain::{Domain, domain};
use crate::harness::free_port;
use crate::harness::meddler::{Meddler, Meddling};
use crate::harness::origins;
use crate::harness::parents::Dante;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::squid::Squid;
use std::process::Command;

#[test]
fn proxies_that_do_not_let_one_in() {
    for (meddling, whose, symptom, words) in [
        (
            Meddling::Refuses(
                "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n",
            ),
            "client",
            Some(23),
            &["Negotiate, NTLM", "helper"][..],
        ),
        (
            Meddling::Refuses(
                "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"secret name\"\r\nContent-Length: 0\r\n\r\n",
            ),
            "client",
            Some(23),
            &["USER:PASSWORD"],
        ),
        (
            Meddling::Refuses("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"),
            "proxy",
            Some(24),
            &["without Proxy-Authenticate"],
        ),
        (
            Meddling::Refuses("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
            "proxy",
            Some(24),
            &["401"],
        ),
        (
            Meddling::Refuses("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
            "proxy",
            None,
            &["forbids the target"],
        ),
        (
            Meddling::Refuses("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
            "proxy",
            None,
            &["and this machine can"],
        ),
        (
            Meddling::Refuses("nonsense\r\n\r\n"),
            "proxy",
            None,
            &["no answer of HTTP/1.1"],
        ),
        (Meddling::Refuses(""), "proxy", None, &["no answer within"]),
        (
            Meddling::Mute,
            "proxy",
            None,
            &["TLS with the target fails", "no answer within"],
        ),
    ] {
        let said = meddled(meddling).examined();
        let line = said.verdict(whose, symptom, words);
        assert!(!line.contains("secret name"), "{line}");
        assert!(!said.has_step("proxy", "websocket"));
        said.is("direct", "websocket", "ok");
    }
    let (url, port) = echo_url();
    let down = format!("http://127.0.0.1:{}", free_port());
    let said = Doctor::of(&url).through(&down).beside(port).examined();
    said.verdict("proxy", None, &["does not accept connections", "refused"]);
    let said = Doctor::of(&url)
        .through("http://nobody.invalid:3128")
        .beside(port)
        .examined();
    said.verdict("client", None, &["the proxy's name does not resolve"]);
}

/// A file of passwords in which Ada is.
fn users() -> String {
    let mut hash = Command::new("openssl");
    hash.args(["passwd", "-6", "pw-ada"]);
    let hash = Process::start("openssl passwd", hash).finish().out.join("");
    format!("ada:{hash}\n")
}

#[test]
fn credentials_are_sent_and_stay_secret() {
    let proxy = Setup::new()
        .file("users", &users())
        .config(
            "[auth.basic]\nhtpasswd = 'users'\n\
             [[policy.rule]]\nname = 'who'\naction = 'authenticate'\n",
        )
        .start();
    let (url, port) = echo_url();
    let with = |user: &str| {
        let through = proxy.url().replace("http://", &format!("http://{user}@"));
        let url = format!("{url}?token=very-secret");
        Doctor::of(&url)
            .trusts(&proxy.ca)
            .beside(port)
            .env("https_proxy", &through)
            .with(&["--echo"])
            .examined()
    };
    let said = with("ada:pw-ada");
    said.verdict("nobody", None, &[]);
    let text = said.json.to_string();
    for secret in ["pw-ada", "ada:", "very-secret"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("the environment has https_proxy"), "{text}");
    let said = with("ada:sesame");
    said.verdict("client", Some(23), &["does not accept the user and the password"]);
    assert!(!said.json.to_string().contains("sesame"));
    // Nobody's.
    let said = Doctor::of(&url)
        .through(&proxy.url())
        .trusts(&proxy.ca)
        .beside(port)
        .examined();
    said.verdict("client", Some(23), &["USER:PASSWORD"]);
}

#[test]
fn a_proxy_behind_tls_is_spoken_with() {
    let proxy = Setup::new().config("listen = { tls = ['127.0.0.1:0'] }").start();
    let (url, port) = echo_url();
    let ask = |through: &str| {
        Doctor::of(&url)
            .through(through)
            .trusts(&proxy.ca)
            .beside(port)
            .examined()
    };
    let said = ask(&proxy.secure_url());
    said.verdict("nobody", None, &[]);
    said.is("proxy", "proxy.tls", "ok");
    let said = ask(&proxy.url().replace("http://", "https://"));
    said.verdict("client", None, &["TLS with the proxy itself fails", "http://"]);
}

#[test]
fn socks_proxies_are_spoken_with() {
    let dante = Dante::start();
    let (url, port) = echo_url();
    for scheme in ["socks5h", "socks5"] {
        let said = Doctor::of(&url)
            .through(&format!("{scheme}://{}", dante.address()))
            .beside(port)
            .examined();
        said.verdict("nobody", None, &["200 B and 200 KiB through the proxy"]);
        assert_eq!(said.is("proxy", "proxy.socks", "ok"), "granted");
        assert!(!said.has_step("proxy", "proxy.connect"));
    }
    // In clear too, which SOCKS tunnels as anything else.
    let plain = origins::plain_aiohttp();
    let said = Doctor::of(&format!("http://localhost:{}/status/204", plain.port))
        .env("ALL_PROXY", &format!("socks5h://{}", dante.address()))
        .examined();
    assert_eq!(said.is("proxy", "http1", "ok"), "answered 204");
    said.verdict("nobody", None, &["through the proxy"]);
    // The name is nobody's here, and the proxy is not asked.
    let said = Doctor::of(&url)
        .through(&format!("socks5://{}", dante.address()))
        .examined();
    said.verdict("client", None, &["does not resolve here", "socks5h://"]);
    // Nobody listens at the target.
    let nobody = free_port();
    let said = Doctor::of(&format!("https://origin.test:{nobody}/"))
        .through(&format!("socks5h://{}", dante.address()))
        .examined();
    said.verdict("origin", None, &["cannot reach the target", "reply 5"]);
    // An HTTP proxy, taken for one of SOCKS.
    let said = Doctor::of(&url)
        .through(&Squid::start().url().replace("http://", "socks5h://"))
        .beside(port)
        .examined();
    said.verdict("proxy", None, &["does not answer by SOCKS properly", "http://"]);
}

#[test]
fn this_proxy_is_spoken_with_by_socks_with_a_password_and_its_policy_is_told() {
    let proxy = Setup::new()
        .file("users", &users())
        .file("denied", "other.test\n")
        .config(
            "listener = [{ name = 'socks', kind = 'socks', address = ['127.0.0.1:0'] }]\n\
             list = [{ name = 'denied', file = 'denied', format = 'domains' }]\n\
             policy = { deny = ['denied'] }\n\
             [auth.basic]\nhtpasswd = 'users'\n",
        )
        .start();
    let (url, port) = echo_url();
    let ask = |url: &str, login: &str| {
        Doctor::of(url)
            .through(&format!("socks5h://{login}{}", proxy.listener("socks")))
            .trusts(&proxy.ca)
            .beside(port)
            .with(&["--echo"])
            .examined()
    };
    let said = ask(&url, "ada:pw-ada@");
    said.verdict("nobody", None, &[]);
    assert!(!said.json.to_string().contains("pw-ada"));
    let said = ask(&url, "ada:sesame@");
    said.verdict("client", Some(23), &["does not accept the user and the password"]);
    let said = ask(&url, "");
    said.verdict("client", Some(23), &["wants a login", "USER:PASSWORD"]);
    let said = ask("https://other.test/", "ada:pw-ada@");
    said.verdict("proxy", None, &["forbids the target"]);
}

/// The proxy of the domain, by the name that it has there.
fn of_the_domain(domain: &Domain) -> Proxy {
    Setup::new()
        .config(&format!(
            "[auth.negotiate]\nkeytab = '{}'\n[[policy.rule]]\nname = 'who'\naction = 'authenticate'\n",
            domain.keytab().display()
        ))
        .start()
}

#[test]
fn a_ticket_of_a_login_is_shown_to_a_proxy_of_a_real_domain() {
    let domain = domain();
    let proxy = of_the_domain(domain);
    let (url, port) = echo_url();
    let ask = |env: &[(&'static str, String); 2], more: &[&str]| {
        let through = proxy.url().replace("127.0.0.1", "localhost");
        let mut doctor = Doctor::of(&url).through(&through).trusts(&proxy.ca).beside(port);
        for (name, value) in env {
            doctor = doctor.env(name, value);
        }
        doctor.with(more).examined()
    };
    let ada = domain.login("ada");
    // The ticket of the proxy is not among hers: the domain is asked for it.
    let said = ask(&ada, &["--negotiate", "--echo"]);
    said.verdict("nobody", None, &["200 B and 200 KiB through the proxy"]);
    proxy.log("websocket", |line| line["user"] == "ada");
    // And where it is there already, it is not. A client of Kerberos' own has put it there.
    domain.token(&ada);
    let said = ask(&ada, &["--negotiate"]);
    said.verdict("nobody", None, &[]);
    assert!(
        proxy.log_so_far("login_failed").is_empty(),
        "each token was good, and shown once"
    );

    let said = ask(&ada, &[]);
    said.verdict("client", Some(23), &["Negotiate", "--negotiate"]);
    let said = ask(&domain.stranger(), &["--negotiate"]);
    said.verdict("client", Some(23), &["no ticket", "kinit"]);
    let said = ask(
        &[ada[0].clone(), ("KRB5CCNAME", "KCM:1000".to_owned())],
        &["--negotiate"],
    );
    said.verdict("client", Some(23), &["a cache of the kind KCM"]);
    // By its address it is nobody whom the domain knows.
    let mut doctor = Doctor::of(&url)
        .through(&proxy.url())
        .beside(port)
        .with(&["--negotiate"]);
    for (name, value) in &ada {
        doctor = doctor.env(name, value);
    }
    let said = doctor.examined();
    said.verdict(
        "client",
        Some(23),
        &["knows no service HTTP/127.0.0.1", "its host name"],
    );
}

#[test]
fn a_ticket_that_the_proxy_does_not_take_is_told_from_one_that_is_not_there() {
    let domain = domain();
    let refuses = Meddler::start(Meddling::Refuses(
        "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
    ));
    let (url, port) = echo_url();
    let mut doctor = Doctor::of(&url)
        .through(&refuses.url.replace("127.0.0.1", "localhost"))
        .beside(port)
        .with(&["--negotiate"]);
    for (name, value) in domain.login("ada") {
        doctor = doctor.env(name, &value);
    }
    doctor
        .examined()
        .verdict("client", Some(23), &["does not accept the ticket", "keytab"]);
}

#[test]
fn squid_of_the_domain_takes_the_ticket_too() {
    // What others have written reads what the doctor writes.
    let domain = domain();
    let squid = Squid::start_with_tickets(domain.keytab());
    let (url, port) = echo_url();
    let mut doctor = Doctor::of(&url)
        .through(&squid.url().replace("127.0.0.1", "localhost"))
        .beside(port)
        .with(&["--negotiate"]);
    for (name, value) in domain.login("ada") {
        doctor = doctor.env(name, &value);
    }
    doctor.examined().verdict("nobody", None, &["through the proxy"]);
}

/// There is no CONNECT in clear: the request itself would show the ticket.
#[test]
fn without_a_ticket_a_request_in_clear_is_not_the_proxys_fault() {
    let proxy = Meddler::start(Meddling::Behaves);
    let plain = origins::plain_aiohttp();
    let said = Doctor::of(&format!("http://localhost:{}/status/204", plain.port))
        .through(&proxy.url)
        .env("KRB5CCNAME", "FILE:/nowhere/tickets")
        .with(&["--negotiate"])
        .examined();
    said.verdict("client", Some(23), &["no ticket to show to the proxy", "kinit"]);
}
