//! Certificates that do not verify: refused with a true sentence, or let through where a list says so, whatever is wrong
//! with them. The certificates are made by the `openssl` command, and served by it.

use crate::harness::certs::openssl;
use crate::harness::clients::curl;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tls;
use crate::harness::{free_port, scratch, until};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

const SUBJECT: &str = "-subj /CN=origin.test";
const SAN: &str = "-addext subjectAltName=DNS:origin.test,DNS:foreign.test";
const EC: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key";

/// A certificate that does not verify, and why.
struct Invalid {
    name: &'static str,
    /// Commands that leave `leaf.pem` and `leaf.key`; `root.pem` is trusted.
    commands: Vec<String>,
    reason: &'static str,
}

/// A leaf that the trusted root signs, with these extensions and arguments.
fn signed(name: &'static str, key: &str, extensions: &str, arguments: &str, reason: &'static str) -> Invalid {
    Invalid {
        name,
        commands: vec![
            format!("req {key} {SUBJECT} -out leaf.csr"),
            format!(
                "x509 -req -in leaf.csr -CA root.pem -CAkey root.key -out leaf.pem {extensions} {arguments}"
            ),
        ],
        reason,
    }
}

fn invalid() -> Vec<Invalid> {
    let alone = |name, arguments: &str, reason| Invalid {
        name,
        commands: vec![format!("req -x509 {EC} {SUBJECT} -out leaf.pem {arguments}")],
        reason,
    };
    let short = "-newkey rsa:1024 -nodes -keyout leaf.key";
    let good = "-extfile good.ext";
    vec![
        alone(
            "self-signed",
            &format!("{SAN} -days 30"),
            "the certificate is self-signed: CN=origin.test",
        ),
        alone("without a SAN", "-days 30", "the certificate is self-signed"),
        signed(
            "version 1",
            EC,
            "",
            "-days 30",
            "a certificate of X.509 version 1 is not taken",
        ),
        signed(
            "a short key",
            short,
            good,
            "-days 30",
            "its key is RSA with 1024 bits",
        ),
        signed(
            "an unknown extension",
            EC,
            "-extfile critical.ext",
            "-days 30",
            "the certificate has a critical extension that is not known here: 1.2.3.4.5",
        ),
        signed(
            "SHA-1",
            EC,
            good,
            "-days 30 -sha1",
            "a certificate of its chain is signed by SHA-1 with ECDSA",
        ),
        signed(
            "MD5",
            EC,
            good,
            "-days 30 -md5 -CA rsa-root.pem -CAkey rsa-root.key",
            "a certificate of its chain is signed by MD5 with RSA",
        ),
        signed(
            "another name",
            EC,
            "-extfile other.ext",
            "-days 30",
            "the certificate is for foreign.test, not origin.test",
        ),
        signed(
            "a validity turned round",
            EC,
            good,
            "-days -1",
            "the certificate's validity ends before it begins",
        ),
    ]
}

/// The roots, and the files of extensions.
fn authorities(folder: &Path) {
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let usage = "-addext keyUsage=critical,keyCertSign -days 60";
    for (name, key) in [
        ("root", ec),
        ("rsa-root", "-newkey rsa:2048 -nodes"),
        ("untrusted", ec),
    ] {
        openssl(
            folder,
            &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} {usage}"),
        );
    }
    let both = ["root.pem", "rsa-root.pem"].map(|file| std::fs::read_to_string(folder.join(file)).unwrap());
    std::fs::write(folder.join("roots.pem"), both.concat()).unwrap();
    for (file, lines) in [
        ("good.ext", "subjectAltName=DNS:origin.test,DNS:foreign.test\n"),
        ("other.ext", "subjectAltName=DNS:foreign.test\n"),
        (
            "critical.ext",
            "subjectAltName=DNS:origin.test\n1.2.3.4.5=critical,ASN1:NULL\n",
        ),
    ] {
        std::fs::write(folder.join(file), lines).unwrap();
    }
}

/// `openssl s_server` with the certificate that lies there.
fn serve(folder: &Path, version: &str) -> (Process, u16) {
    let port = free_port();
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-www", version, "-cipher", "DEFAULT@SECLEVEL=0"])
        .args(["-cert", "leaf.pem", "-key", "leaf.key", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .current_dir(folder);
    let process = Process::start("openssl", command);
    until("openssl listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    (process, port)
}

fn trusting(folder: &Path, more: &str) -> Proxy {
    let roots = folder.join("roots.pem");
    Setup::new()
        .file("lenient", "origin.test\n")
        .config(&format!(
            "origin = {{ extra_roots = ['{}'] }}\n\
             list = [{{ name = 'lenient', file = 'lenient', format = 'domains' }}]",
            roots.display()
        ))
        .config(more)
        .start()
}

const LENIENT: &str = "policy = { allow_invalid_certificate = ['lenient'] }";

#[test]
fn what_is_wrong_is_told_and_let_through_where_a_list_says_so() {
    let folder = scratch();
    authorities(folder.path());
    let strict = trusting(folder.path(), "");
    let lenient = trusting(folder.path(), LENIENT);
    for Invalid {
        name,
        commands,
        reason,
    } in invalid()
    {
        commands
            .iter()
            .for_each(|arguments| drop(openssl(folder.path(), arguments)));
        for version in ["-tls1_2", "-tls1_3"] {
            let (_origin, port) = serve(folder.path(), version);
            let target = format!("origin.test:{port}");
            let url = format!("https://{target}/");
            let done = curl(Some(&strict.url()), &strict.ca, &[&url]);
            assert_eq!((done.code, done.status), (0, 502), "{name} {version}: {done:?}");
            let line = strict.log("connection", |line| line["target"] == target.as_str());
            assert_eq!(
                line["outcome"], "tls_certificate_error",
                "{name} {version}: {line}"
            );
            let detail = line["detail"].as_str().unwrap();
            assert!(detail.contains(reason), "{name} {version}: {detail}");

            let done = curl(Some(&lenient.url()), &lenient.ca, &[&url]);
            assert_eq!((done.code, done.status), (0, 200), "{name} {version}: {done:?}");
            let line = lenient.log("connection", |line| line["target"] == target.as_str());
            let detail = line["detail"].as_str().unwrap();
            assert!(
                detail.contains("origin certificate not verified") && detail.contains(reason),
                "{name} {version}: {detail}"
            );
            // The leaf is for the name that was asked for, and for none that only the certificate claims.
            let leaf = tls(&lenient, &target).leaf();
            let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
            let names = leaf.subject_alternative_name().unwrap().unwrap();
            let names = format!("{:?}", names.value.general_names);
            assert_eq!(names, "[DNSName(\"origin.test\")]", "{name}");
            assert!(leaf.validity().is_valid(), "{name}");
        }
    }
}

#[test]
fn a_certificate_whose_key_the_origin_does_not_hold_is_refused_all_the_same() {
    let folder = scratch();
    authorities(folder.path());
    openssl(
        folder.path(),
        &format!("req -x509 {EC} {SUBJECT} {SAN} -days 30 -out leaf.pem"),
    );
    // rustls as an origin does not look whether they belong together.
    let der = |pem: &str, label: &str| {
        let text = std::fs::read(folder.path().join(pem)).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&text).unwrap();
        assert_eq!(pem.label, label);
        pem.contents
    };
    let certificate = der("leaf.pem", "CERTIFICATE");
    let key = der("untrusted.key", "PRIVATE KEY");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key).into();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![certificate.into()], key);
    let resolver = rustls::sign::SingleCertAndKey::from(certified);
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(resolver));
    let config = std::sync::Arc::new(config);
    let (listener, port) = crate::harness::recorder::tcp();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
            while connection.is_handshaking() && connection.complete_io(&mut socket).is_ok() {}
        }
    });
    let proxy = trusting(folder.path(), LENIENT);
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&format!("https://origin.test:{port}/")],
    );
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
    let line = proxy.log("connection", |_| true);
    assert!(
        line["detail"]
            .as_str()
            .unwrap()
            .contains("does not hold the private key"),
        "{line}"
    );
}

#[test]
fn another_ca_signs_for_them_so_that_clients_see_it() {
    let folder = scratch();
    authorities(folder.path());
    openssl(
        folder.path(),
        &format!("req -x509 {EC} {SUBJECT} {SAN} -days 30 -out leaf.pem"),
    );
    let (_origin, port) = serve(folder.path(), "-tls1_3");
    let url = format!("https://origin.test:{port}/");
    let path = |name: &str| folder.path().join(name);
    let more = format!(
        "{LENIENT}\n[ca]\nuntrusted_cert = '{}'\nuntrusted_key = '{}'",
        path("untrusted.pem").display(),
        path("untrusted.key").display()
    );
    let proxy = trusting(folder.path(), &more);
    // A user who does not go on.
    assert_eq!(curl(Some(&proxy.url()), &proxy.ca, &[&url]).code, 60);
    proxy.log("connection", |line| line["outcome"] == "client_refused_ca");
    // And one who does.
    let done = curl(Some(&proxy.url()), &proxy.ca, &["-k", &url]);
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    let done = curl(Some(&proxy.url()), &path("untrusted.pem"), &[&url]);
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    // Whoever verifies is signed for by the CA that clients trust, and so is an error page.
    let recorder = crate::harness::recorder::Recorder::start();
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&format!("https://other.test:{}/", recorder.port)],
    );
    assert_eq!(
        (done.code, done.status),
        (0, 502),
        "the tests' root is not trusted here: {done:?}"
    );
}

#[test]
fn an_origin_with_nothing_in_common_is_told_what_was_offered() {
    let folder = scratch();
    authorities(folder.path());
    openssl(
        folder.path(),
        &format!("req -x509 -newkey rsa:2048 -nodes -keyout leaf.key {SUBJECT} {SAN} -days 30 -out leaf.pem"),
    );
    let port = free_port();
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-www", "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"])
        .args(["-cert", "leaf.pem", "-key", "leaf.key", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .current_dir(folder.path());
    let _origin = Process::start("openssl", command);
    until("openssl listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let proxy = trusting(folder.path(), "");
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&format!("https://origin.test:{port}/")],
    );
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "tls_alert_received", "{line}");
    let detail = line["detail"].as_str().unwrap();
    for words in [
        "alert handshake_failure",
        "no CBC, no RSA key exchange",
        "policy.splice",
    ] {
        assert!(detail.contains(words), "{detail}");
    }
}
