//! Certificates that clients show to the proxy itself.

use crate::harness::certs::openssl;
use crate::harness::clients::{Client, Curled, chromium, curl, firefox, own_certificate};
use crate::harness::domain::domain;
use crate::harness::logins;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{scratch, until};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// An authority of clients, by the `openssl` command.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(scratch());
        authority.run(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=Clients -days 60 \
             -addext keyUsage=critical,keyCertSign,cRLSign",
        );
        std::fs::write(
            authority.path("ca.cnf"),
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n",
        )
        .unwrap();
        std::fs::write(authority.path("crlnumber"), "01\n").unwrap();
        std::fs::write(authority.path("index.txt"), "").unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) -> String {
        openssl(self.0.path(), arguments)
    }

    /// `NAME.pem`, `NAME.key` and `NAME.p12` of a client, good for so many days.
    fn sign(&self, name: &str, days: i32) {
        let names = format!(
            "subjectAltName=email:{name}@corp.example,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:{name}@CORP.EXAMPLE\n\
             extendedKeyUsage=clientAuth\n"
        );
        std::fs::write(self.path("ext"), names).unwrap();
        self.run(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out csr -subj /CN={name}"
        ));
        // Firefox takes what is good for some days alone for a clock that is wrong.
        self.run(&format!(
            "x509 -req -in csr -CA ca.pem -CAkey ca.key -days {days} -extfile ext -out {name}.pem"
        ));
        self.run(&format!(
            "pkcs12 -export -in {name}.pem -inkey {name}.key -name {name} -out {name}.p12 -passout pass:"
        ));
    }

    /// Writes `list.pem`, in which these are revoked.
    fn revoke(&self, names: &[&str]) {
        let lines = names.iter().map(|name| {
            let serial = self.run(&format!("x509 -in {name}.pem -noout -serial"));
            let serial = serial.trim().strip_prefix("serial=").unwrap().to_owned();
            format!("R\t350101000000Z\t251101000000Z\t{serial}\tunknown\t/CN={name}\n")
        });
        std::fs::write(self.path("index.txt"), lines.collect::<String>()).unwrap();
        self.run("ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out list.new");
        std::fs::rename(self.path("list.new"), self.path("list.pem")).unwrap();
    }
}

const RULE: &str = "[[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n";

/// Of "secret", by Apache's htpasswd.
const USERS: &str = "max:$2y$05$t.zcRpoi9B9PAL8YgUWalOtCptFGla/FxicQz0zNQ.jI12TYtBH/.\n";

fn setup(authority: &Authority, more: &str) -> Setup {
    Setup::new().file("users", USERS).config(&format!(
        "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth]\ndomains = ['corp.example']\n[auth.certificate]\nca = '{}'\n{more}{RULE}",
        authority.path("ca.pem").display()
    ))
}

/// curl by way of the listener that speaks TLS, with somebody's certificate.
fn through(proxy: &Proxy, own: Option<(&Authority, &str)>, url: &str) -> Curled {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let mut arguments = vec!["--proxy-cacert".to_owned(), path(&proxy.ca)];
    if let Some((authority, name)) = own {
        arguments.extend([
            "--proxy-cert".to_owned(),
            path(&authority.path(&format!("{name}.pem"))),
        ]);
        arguments.extend([
            "--proxy-key".to_owned(),
            path(&authority.path(&format!("{name}.key"))),
        ]);
    }
    arguments.push(url.to_owned());
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    curl(Some(&proxy.secure_url()), &proxy.ca, &arguments)
}

/// The statuses of streams of one connection of HTTP/2 with these credentials each.
fn streams(proxy: &Proxy, own: (&Authority, &str), method: &str, target: &str, shown: &[&str]) -> Vec<Value> {
    let (authority, name) = own;
    let found = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("cert", authority.path(&format!("{name}.pem")))
        .with("key", authority.path(&format!("{name}.key")))
        .with("method", method)
        .with("target", target)
        .with("credentials", shown.join("|"))
        .run();
    let answers = found.as_array().unwrap();
    answers.iter().map(|head| head["status"].clone()).collect()
}

#[test]
fn a_certificate_names_the_user_of_each_request_and_stream_of_its_connection() {
    let authority = Authority::new();
    authority.sign("Ada", 60);
    let proxy = setup(&authority, "name = 'san_upn'\n[auth.basic]\nhtpasswd = 'users'\n").start();
    let secure = origins::aiohttp().url("https", "/status/202");
    let plain = origins::plain_aiohttp().url("http", "/status/203");
    let ada = (&authority, "Ada");
    assert_eq!(through(&proxy, Some(ada), &secure).status, 202);
    assert_eq!(through(&proxy, Some(ada), &plain).status, 203);
    proxy.log("request", |line| line["status"] == 202 && line["user"] == "ada");
    proxy.log("request", |line| line["status"] == 203 && line["user"] == "ada");
    // Whoever has none may say who it is in another way.
    let asked = through(&proxy, None, &plain);
    assert_eq!(asked.status, 407, "{asked:?}");
    assert!(asked.text.contains("Basic realm"), "{}", asked.text);

    // What a stream shows by itself counts for that stream.
    let (max, wrong) = (logins::basic("max", "secret"), logins::basic("max", "wrong"));
    let shown = ["", &max, &wrong, ""];
    assert_eq!(
        streams(&proxy, ada, "GET", &plain, &shown),
        ["203", "203", "407", "203"]
    );
    let target = format!("origin.test:{}", origins::aiohttp().port);
    assert_eq!(
        streams(&proxy, ada, "CONNECT", &target, &shown),
        ["200", "200", "407", "200"]
    );
    for user in ["ada", "max"] {
        proxy.log("connection", |line| {
            line["user"] == user && line["inside"].is_number() && line["target"] == target
        });
    }
    let accepted = [("scheme", "certificate"), ("outcome", "accepted")];
    assert!(proxy.metrics().sum("wsbump_auth_total", &accepted) >= 6.0);
}

#[test]
fn whose_certificate_does_not_hold_does_not_get_past_the_handshake() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (name, days) in [("ada", 60), ("late", -1), ("gone", 60)] {
        authority.sign(name, days);
    }
    stranger.sign("ada", 60);
    authority.revoke(&["gone"]);
    let list = format!(
        "required = true\ncrls = ['{}']\n",
        authority.path("list.pem").display()
    );
    let proxy = setup(&authority, &list).start();
    let url = origins::plain_aiohttp().url("http", "/status/200");
    assert_eq!(through(&proxy, Some((&authority, "ada")), &url).status, 200);
    for own in [
        None,
        Some((&stranger, "ada")),
        Some((&authority, "late")),
        Some((&authority, "gone")),
    ] {
        let before = proxy.log_so_far("login_failed").len();
        let curled = through(&proxy, own, &url);
        assert!(curled.code != 0 && curled.status == 0, "{curled:?}");
        until("the line of the login", || {
            (proxy.log_so_far("login_failed").len() > before).then_some(())
        });
    }
    let lines = proxy.log_so_far("login_failed");
    let details: Vec<_> = lines
        .iter()
        .map(|line| line["detail"].as_str().unwrap())
        .collect();
    for (line, part) in lines
        .iter()
        .zip(["no certificates", "BadSignature", "Expired", "Revoked"])
    {
        assert_eq!(
            (&line["scheme"], &line["error"]),
            (&"certificate".into(), &"bad_certificate".into())
        );
        assert!(line["detail"].as_str().unwrap().contains(part), "{details:?}");
    }
    proxy.log("connection", |line| line["outcome"] == "listener_tls_failed");
    // Over HTTP/2 it is the same.
    let stranger = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("cert", stranger.path("ada.pem"))
        .with("key", stranger.path("ada.key"))
        .with("method", "GET")
        .with("target", &url)
        .finish();
    assert!(!stranger.text.contains("\"status\""), "{}", stranger.text);
    let answers = streams(&proxy, (&authority, "ada"), "GET", &url, &["", ""]);
    assert_eq!(answers, ["200", "200"]);
    // The next one on the list is out at the next handshake.
    authority.revoke(&["gone", "ada"]);
    until("ada is out", || {
        (through(&proxy, Some((&authority, "ada")), &url).status == 0).then_some(())
    });
}

#[test]
fn a_file_that_went_bad_lets_nobody_else_in() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.sign("ada", 60);
    stranger.sign("ada", 60);
    let proxy = setup(&authority, "required = true\n").start();
    let url = origins::plain_aiohttp().url("http", "/status/200");
    assert_eq!(through(&proxy, Some((&authority, "ada")), &url).status, 200);
    for wrong in ["no certificate", ""] {
        std::fs::write(authority.path("new"), wrong).unwrap();
        let failed = proxy
            .metrics()
            .sum("wsbump_config_reloads_total", &[("result", "failure")]);
        std::fs::rename(authority.path("new"), authority.path("ca.pem")).unwrap();
        until("the reload fails", || {
            let now = proxy
                .metrics()
                .sum("wsbump_config_reloads_total", &[("result", "failure")]);
            (now > failed).then_some(())
        });
        assert_eq!(through(&proxy, Some((&authority, "ada")), &url).status, 200);
        assert_eq!(through(&proxy, Some((&stranger, "ada")), &url).status, 0);
        assert_eq!(through(&proxy, None, &url).status, 0);
    }
}

#[test]
fn without_another_scheme_nobody_is_asked_for_what_they_cannot_show() {
    let authority = Authority::new();
    authority.sign("ada", 60);
    let proxy = setup(&authority, "name = 'san_dns'\n").start();
    let url = origins::plain_aiohttp().url("http", "/status/200");
    // A 407 would have to say how.
    let none = through(&proxy, None, &url);
    assert_eq!(none.status, 403, "{none:?}");
    assert!(!none.text.contains("Proxy-Authenticate"), "{}", none.text);
    // Whose certificate has no such name is nobody.
    assert_eq!(through(&proxy, Some((&authority, "ada")), &url).status, 403);
    let line = proxy.log("login_failed", |line| line["scheme"] == "certificate");
    assert_eq!(line["detail"], "it has no name of the kind san_dns", "{line}");
    let target = format!("origin.test:{}", origins::aiohttp().port);
    let answers = streams(
        &proxy,
        (&authority, "ada"),
        "CONNECT",
        &target,
        &["", "Basic eDp5"],
    );
    assert_eq!(answers, ["403", "403"]);
}

#[test]
fn groups_are_those_of_the_directory() {
    let domain = domain();
    let authority = Authority::new();
    for name in ["ada", "max"] {
        authority.sign(name, 60);
    }
    let proxy = Setup::new()
        .file("password", domain.password())
        .config(&format!(
            "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth]\ndomains = ['corp.example']\n\
             [auth.certificate]\nca = '{}'\nname = 'san_upn'\n\
             [auth.ldap]\nurls = ['{}']\nca = '{}'\nbase = '{}'\nbind_dn = 'http-proxy@corp.example'\nbind_password_file = 'password'\n\
             groups = 'ad'\n[policy]\ndefault = 'deny'\n[[policy.rule]]\nname = 'full'\ngroups = ['web-full']\naction = 'allow'\n",
            authority.path("ca.pem").display(),
            domain.ldaps(),
            domain.ca().display(),
            domain.base(),
        ))
        .start();
    let url = origins::plain_aiohttp().url("http", "/status/200");
    for (user, status) in [("ada", 200), ("max", 403), ("ada", 200)] {
        assert_eq!(
            through(&proxy, Some((&authority, user)), &url).status,
            status,
            "{user}"
        );
        proxy.log("request", |line| line["user"] == user && line["status"] == status);
    }
}

/// Chromium by a script that shows it policies of its own: it has them from one folder, which is the machine's.
fn chromium_with_policy(folder: &Path, policy: &str) -> PathBuf {
    let policies = folder.join("etc/policies/managed");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("tests.json"), policy).unwrap();
    let script = folder.join("chromium");
    std::fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {}/etc /etc/chromium && exec /usr/bin/chromium \"$@\"' chromium \"$@\"\n",
            folder.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[test]
fn browsers_show_their_certificates_to_the_proxy() {
    let authority = Authority::new();
    for name in ["ada", "max"] {
        authority.sign(name, 60);
    }
    let without_http2 =
        "[[listener]]\nname = 'old'\nkind = 'https'\naddress = ['127.0.0.1:0']\nonly_http1 = true\n";
    let more = format!("name = 'san_email'\nrequired = true\n{without_http2}");
    let proxy = setup(&authority, &more).start();
    let url = origins::node_ws().url("https", "/");

    let home = scratch();
    let script = chromium_with_policy(
        home.path(),
        "{\"AutoSelectCertificateForUrls\": [\"{\\\"pattern\\\": \\\"*\\\", \\\"filter\\\": {}}\"]}",
    );
    let client = chromium(home.path(), &proxy.ca)
        .with("browser", script)
        .with("proxy", proxy.secure_url())
        // With certificates of its own Chromium may close all its connections at once, a moment behind its start.
        .with("again", "yes")
        .with("url", &url);
    own_certificate(&home.path().join(".pki/nssdb"), &authority.path("ada.p12"));
    let found = client.run();
    assert_eq!(
        (&found["status"], &found["messages"]),
        (&200.into(), &14.into()),
        "{found}"
    );
    // Each of its tunnels is a stream of HTTP/2, and so is the one with the WebSocket.
    proxy.log("connection", |line| {
        line["user"] == "ada" && line["inside"].is_number() && line["action"] == "bump"
    });
    proxy.log("websocket", |line| line["user"] == "ada");

    let open_in_firefox = |proxy_url: &str| {
        let home = scratch();
        let client = firefox(home.path(), &proxy.ca)
            .with("proxy", proxy_url)
            .with("url", &url);
        own_certificate(&home.path().join("profile"), &authority.path("max.p12"));
        let found = client.run();
        assert_eq!(found["status"], 200, "{found}");
        found
    };
    // Over HTTP/2 Firefox opens WebSockets in some loads and gives up in others, at every proxy (docs/http2.md). Pages are whole.
    open_in_firefox(&proxy.secure_url());
    proxy.log("connection", |line| {
        line["user"] == "max" && line["inside"].is_number() && line["action"] == "bump"
    });
    let found = open_in_firefox(&format!("https://{}", proxy.listener("old")));
    assert_eq!(
        (&found["messages"], &found["code"]),
        (&14.into(), &4002.into()),
        "{found}"
    );
    proxy.log("websocket", |line| line["user"] == "max");
    proxy.log("connection", |line| {
        line["user"] == "max" && line["listener"] == "old" && line["action"] == "bump"
    });
}
