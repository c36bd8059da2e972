//! The page at `/`: what this is, and how a machine learns to trust the CA.

use super::state::{CaCertificate, Readiness};
use crate::portal::{Language, STEPS, SetupStep, escape, fetching};

/// The page's only other file, so that its Content-Security-Policy needs no exception.
pub(super) const STYLE: &str = include_str!("style.css");

/// `host` is the request's Host header; one that is not plainly a host is not repeated.
pub(super) fn index(ca: &CaCertificate, portal: &str, readiness: &Readiness, host: Option<&str>) -> String {
    let plain = |host: &&str| {
        host.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
    };
    let base = format!("http://{}", host.filter(plain).unwrap_or("ADMIN-ADDRESS"));
    let install: String = STEPS.iter().map(install).collect();
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
<p><a class="button" href="/ca.pem">wsbump-ca.pem</a><a class="button" href="/ca.crt">wsbump-ca.crt (DER)</a><a class="button" href="/bundle.pem">wsbump-bundle.pem (with the public roots)</a></p>
<p>{subject}<br>
<span class="quiet">SHA-256</span> <code class="fingerprint">{fingerprint}</code></p>

<h2>Install it</h2>
<p class="quiet">This page is not encrypted: compare the fingerprint with what your operator gave you.
Lines are for a shell in the folder with the files, which these fetch:</p>
<pre>{files}</pre>
<p class="quiet">Some programs forget all other roots when they are given a file: they need the bundle, or they could not reach
what is not decrypted. People behind the proxy find all of this at the portal, <code>{portal}</code>, in their language.</p>
<dl>
{install}</dl>
</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
        files = escape(&fetching(&base)),
        portal = escape(portal),
        subject = escape(&ca.subject),
        fingerprint = escape(&ca.fingerprint_sha256),
    )
}

/// One step, as `dt` and `dd`.
fn install(step: &SetupStep) -> String {
    let (title, effect) = (
        step.title.get(Language::English),
        step.effect.text().get(Language::English),
    );
    let mut out = format!(
        "<dt>{}</dt>\n<dd><p class=\"quiet\">{}</p>",
        escape(title),
        escape(effect)
    );
    if !step.lines.is_empty() {
        out.push_str(&format!("<pre>{}</pre>", escape(step.lines)));
    }
    out.push_str(&format!(
        "<p>{}</p></dd>\n",
        escape(step.note.get(Language::English))
    ));
    out
}
