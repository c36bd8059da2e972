//! Certificates that their issuers have revoked: by a response that the origin staples, and by lists in files.

use crate::harness::certs::openssl;
use crate::harness::clients::curl;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::road::{Version, over_both};
use crate::harness::{free_port, scratch, until};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

/// A CA of the `openssl` command, with what it says of its only leaf.
struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    fn new() -> Self {
        let pki = Self { folder: scratch() };
        let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        pki.write("leaf.ext", "subjectAltName=DNS:origin.test\n");
        pki.write(
            "ca.cnf",
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n",
        );
        pki.write("crlnumber", "01\n");
        let usage = "-addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature";
        pki.run(&format!(
            "req -x509 {ec} -keyout ca.key -out ca.pem -subj /CN=ca -days 60 {usage}"
        ));
        pki.run(&format!(
            "req {ec} -keyout leaf.key -out leaf.csr -subj /CN=origin.test"
        ));
        pki.run("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 60 -extfile leaf.ext -out leaf.pem");
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &str) -> String {
        openssl(self.folder.path(), arguments)
    }

    fn remember(&self, status: &str) {
        let serial = self.run("x509 -in leaf.pem -noout -serial");
        let serial = serial.trim().strip_prefix("serial=").unwrap();
        let line = match status {
            "revoked" => format!("R\t350101000000Z\t251101000000Z\t{serial}\tunknown\t/CN=leaf\n"),
            _ => format!("V\t350101000000Z\t\t{serial}\tunknown\t/CN=leaf\n"),
        };
        self.write("index.txt", &line);
    }

    /// Puts what the CA says of the leaf into `response.der`.
    fn staple(&self, status: &str) {
        self.remember(status);
        self.run("ocsp -issuer ca.pem -cert leaf.pem -reqout request.der");
        self.run(
            "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin request.der -respout response.der -ndays 7",
        );
    }

    /// A CRL in a file of this name.
    fn list(&self, status: &str, name: &str) {
        self.remember(status);
        self.run(&format!(
            "ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out {name}"
        ));
    }

    fn proxy(&self, more: &str) -> Proxy {
        Setup::new()
            .file("lenient", "origin.test\n")
            .config(&format!(
                "list = [{{ name = 'lenient', file = 'lenient', format = 'domains' }}]\n\
                 [origin]\nextra_roots = ['{}']\n{more}",
                self.path("ca.pem").display()
            ))
            .start()
    }
}

/// nginx, which staples `response.der` if that is there.
fn origin(pki: &Pki, version: Version) -> (Process, u16) {
    let port = free_port();
    let protocol = if version == Version::Http2 { "http2" } else { "" };
    let staple = if pki.path("response.der").exists() {
        format!(
            "ssl_stapling on; ssl_stapling_file {};",
            pki.path("response.der").display()
        )
    } else {
        String::new()
    };
    let path = |name: &str| pki.path(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {};\n", path(name)))
        .collect();
    pki.write(
        "nginx.conf",
        &format!(
            "daemon off; master_process off; pid {}; error_log stderr warn;
            events {{}}
            http {{
                access_log off; {temporary}
                server {{
                    listen 127.0.0.1:{port} ssl {protocol}; server_name origin.test;
                    ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.2 TLSv1.3; {staple}
                    location / {{ return 200 'here'; }}
                }}
            }}\n",
            path("pid"),
            path("leaf.pem"),
            path("leaf.key"),
        ),
    );
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-p")
        .arg(pki.folder.path())
        .arg("-c")
        .arg(pki.path("nginx.conf"))
        .args(["-e", "stderr"]);
    let process = Process::start("nginx", command);
    until("nginx listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    (process, port)
}

/// What becomes of a request, and what the metric says that was known.
fn is(proxy: &Proxy, pki: &Pki, version: Version, status: u16, known: Option<&str>) {
    let (_origin, port) = origin(pki, version);
    let target = format!("origin.test:{port}");
    let url = format!("https://{target}/");
    let done = curl(Some(&proxy.url()), &proxy.ca, &[version.curl(), &url]);
    assert_eq!((done.code, done.status), (0, status), "{done:?}");
    let line = proxy.log("connection", |line| line["target"] == target.as_str());
    let outcome = if status == 200 {
        "ok"
    } else {
        "tls_certificate_error"
    };
    assert_eq!(line["outcome"], outcome, "{line}");
    if status != 200 {
        let words = match known {
            Some("revoked") => "the certificate has been revoked by its issuer",
            _ => "nothing says whether the certificate has been revoked",
        };
        assert!(line["detail"].as_str().unwrap().contains(words), "{line}");
    }
    let metrics = proxy.metrics();
    for label in ["good", "revoked", "unknown"] {
        let count = metrics.sum("wsbump_revocation_checks_total", &[("status", label)]) as u64;
        assert_eq!(count, u64::from(known == Some(label)), "{label}");
    }
}

over_both!(
    a_stapled_response_of_the_issuer_counts,
    a_list_of_the_issuer_counts,
    hard_wants_to_know,
);

fn a_stapled_response_of_the_issuer_counts(version: Version) {
    let pki = Pki::new();
    pki.staple("good");
    is(&pki.proxy(""), &pki, version, 200, Some("good"));
    is(
        &pki.proxy("revocation = 'hard'"),
        &pki,
        version,
        200,
        Some("good"),
    );
    pki.staple("revoked");
    is(&pki.proxy(""), &pki, version, 502, Some("revoked"));
    is(&pki.proxy("revocation = 'off'"), &pki, version, 200, None);
    // Not even where invalid certificates are let through.
    let lenient = pki.proxy("[policy]\nallow_invalid_certificate = ['lenient']");
    is(&lenient, &pki, version, 502, Some("revoked"));
}

fn a_list_of_the_issuer_counts(version: Version) {
    let pki = Pki::new();
    pki.list("good", "now.crl");
    let crls = format!("crls = ['{}']", pki.path("now.crl").display());
    is(&pki.proxy(&crls), &pki, version, 200, Some("good"));
    is(
        &pki.proxy(&format!("{crls}\nrevocation = 'hard'")),
        &pki,
        version,
        200,
        Some("good"),
    );
    let proxy = pki.proxy(&crls);
    is(&proxy, &pki, version, 200, Some("good"));
    // A new list is taken up; sessions from before it are not.
    pki.list("revoked", "new.crl");
    std::fs::rename(pki.path("new.crl"), pki.path("now.crl")).unwrap();
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 1.0);
    let (_origin, port) = origin(&pki, version);
    let url = format!("https://origin.test:{port}/");
    let done = curl(Some(&proxy.url()), &proxy.ca, &[version.curl(), &url]);
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
    proxy.metric("wsbump_revocation_checks_total", &[("status", "revoked")], 1.0);
}

fn hard_wants_to_know(version: Version) {
    let pki = Pki::new();
    is(&pki.proxy(""), &pki, version, 200, Some("unknown"));
    is(
        &pki.proxy("revocation = 'hard'"),
        &pki,
        version,
        502,
        Some("unknown"),
    );
}

#[test]
fn what_is_no_list_is_told() {
    let pki = Pki::new();
    let config = pki.path("wsbump.toml");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command.arg("check").arg("--config").arg(&config);
        command.arg("--data-dir").arg(pki.path("data"));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for (file, words) in [
        (
            "ca.pem",
            "ca.pem: holds no CRL; it must be PEM, with -----BEGIN X509 CRL-----, or DER",
        ),
        ("broken.crl", "broken.crl: a CRL cannot be used"),
        ("none.crl", "there is no such file"),
    ] {
        pki.write("broken.crl", "0\u{3}\u{2}\u{1}\u{5}");
        std::fs::write(&config, format!("[origin]\ncrls = ['{file}']\n")).unwrap();
        let (code, said) = check();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("origin.crls") && said.contains(words), "{said}");
    }
    pki.list("good", "good.crl");
    pki.run("crl -in good.crl -outform DER -out good.der");
    std::fs::write(&config, "[origin]\ncrls = ['good.crl', 'good.der']\n").unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
}
