//! A CA that says of its only leaf whether it is revoked, and an origin that shows it.

use super::certs::openssl;
use super::clients::curl;
use super::process::Process;
use super::proxy::{Proxy, Setup};
use super::road::Version;
use super::{free_port, scratch, until};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

/// A CA of the `openssl` command, with what it says of its only leaf.
pub(crate) struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn run(&self, arguments: &str) -> String {
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
    pub(crate) fn staple(&self, status: &str) {
        self.remember(status);
        self.run("ocsp -issuer ca.pem -cert leaf.pem -reqout request.der");
        self.run(
            "ocsp -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin request.der -respout response.der -ndays 7",
        );
    }

    /// A CRL in a file of this name.
    pub(crate) fn list(&self, status: &str, name: &str) {
        self.list_with(status, name, "");
    }

    /// The same, which is good for a few seconds.
    pub(crate) fn list_for(&self, status: &str, name: &str, seconds: u32) {
        self.list_with(status, name, &format!("-crlsec {seconds}"));
    }

    /// The same, which was made at this time.
    pub(crate) fn list_since(&self, status: &str, name: &str, time: &str) {
        self.list_with(status, name, &format!("-crl_lastupdate {time}"));
    }

    fn list_with(&self, status: &str, name: &str, more: &str) {
        self.remember(status);
        self.run(&format!(
            "ca -config ca.cnf -gencrl -keyfile ca.key -cert ca.pem -out {name} {more}"
        ));
    }

    pub(crate) fn proxy(&self, more: &str) -> Proxy {
        self.setup(more).start()
    }

    /// A proxy that trusts this CA, with more keys of `[origin]`.
    pub(crate) fn setup(&self, more: &str) -> Setup {
        Setup::new().file("lenient", "origin.test\n").config(&format!(
            "list = [{{ name = 'lenient', file = 'lenient', format = 'domains' }}]\n\
                 [origin]\nextra_roots = ['{}']\n{more}",
            self.path("ca.pem").display()
        ))
    }
}

/// nginx, which staples `response.der` if that is there.
pub(crate) fn origin(pki: &Pki, version: Version) -> (Process, u16) {
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
pub(crate) fn is(proxy: &Proxy, pki: &Pki, version: Version, status: u16, known: Option<&str>) {
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
