//! The page at `/`: what this is, and how a machine learns to trust the CA.

use super::state::{CaCertificate, Readiness};

/// The page's only other file, so that its Content-Security-Policy needs no exception.
pub(super) const STYLE: &str = include_str!("style.css");

/// System by system: a title, and the commands.
const INSTALL: [(&str, &str); 7] = [
    (
        "Debian, Ubuntu",
        "sudo curl -fsS -o /usr/local/share/ca-certificates/wsbump-ca.crt {base}/ca.pem\nsudo update-ca-certificates",
    ),
    (
        "Fedora, RHEL",
        "sudo curl -fsS -o /etc/pki/ca-trust/source/anchors/wsbump-ca.pem {base}/ca.pem\nsudo update-ca-trust",
    ),
    (
        "macOS",
        "curl -fsS -o wsbump-ca.pem {base}/ca.pem\nsudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain wsbump-ca.pem",
    ),
    (
        "Windows (as administrator)",
        "curl.exe -fsS -o wsbump-ca.crt {base}/ca.crt\ncertutil -addstore -f Root wsbump-ca.crt",
    ),
    (
        "Chromium on Linux (package libnss3-tools)",
        "curl -fsS -o wsbump-ca.pem {base}/ca.pem\ncertutil -d sql:$HOME/.pki/nssdb -A -t C,, -n wsbump -i wsbump-ca.pem",
    ),
    (
        "Node, Python, curl: they do not look into the system's store everywhere",
        "curl -fsS -o wsbump-ca.pem {base}/ca.pem\nexport NODE_EXTRA_CA_CERTS=$PWD/wsbump-ca.pem   # Node\nexport REQUESTS_CA_BUNDLE=$PWD/wsbump-ca.pem    # Python requests\nexport SSL_CERT_FILE=$PWD/wsbump-ca.pem         # OpenSSL, Python ssl\ncurl --cacert wsbump-ca.pem https://example.com/",
    ),
    (
        "Firefox",
        "Settings > Privacy & Security > Certificates > View Certificates > Authorities > Import, then choose wsbump-ca.crt",
    ),
];

/// `host` is the request's Host header; one that is not plainly a host is not repeated.
pub(super) fn index(ca: &CaCertificate, readiness: &Readiness, host: Option<&str>) -> String {
    let plain = |host: &&str| {
        host.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    let base = format!("http://{}", host.filter(plain).unwrap_or("ADMIN-ADDRESS"));
    let install: String = INSTALL
        .iter()
        .map(|(title, commands)| {
            let commands = escape(&commands.replace("{base}", &base));
            format!("<dt>{}</dt>\n<dd><pre>{commands}</pre></dd>\n", escape(title))
        })
        .collect();
    let (class, state) = match readiness {
        Readiness::Ready => ("good", "ready".into()),
        Readiness::Draining => ("bad", "draining".into()),
        Readiness::NotReady(reason) => ("bad", escape(reason)),
    };
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wsbump</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<h1>wsbump <span class="quiet">{version}</span></h1>
<p class="quiet">A forward proxy for full TLS inspection that never breaks a WebSocket.
State: <strong class="{class}">{state}</strong>.</p>

<h2>For operators</h2>
<ul class="links">
<li><a href="/metrics">/metrics</a> for Prometheus</li>
<li><a href="/healthz">/healthz</a> 200 while the process lives</li>
<li><a href="/readyz">/readyz</a> 200 while new connections are welcome</li>
</ul>

<h2>The CA certificate</h2>
<p>A client must trust it before its TLS connections can be inspected.</p>
<p><a class="button" href="/ca.pem">wsbump-ca.pem</a><a class="button" href="/ca.crt">wsbump-ca.crt (DER)</a></p>
<p>{subject}<br>
<span class="quiet">SHA-256</span> <code class="fingerprint">{fingerprint}</code></p>

<h2>Install it</h2>
<p class="quiet">This page is not encrypted: compare the fingerprint with what your operator gave you.</p>
<dl>
{install}</dl>
</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
        subject = escape(&ca.subject),
        fingerprint = escape(&ca.fingerprint_sha256),
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
