//! Certificates that their issuers have revoked: by a response that the origin staples, and by lists in files.

use crate::harness::clients::curl;
use crate::harness::revocation::{Pki, is, origin};
use crate::harness::road::{Version, over_both};
use std::process::Command;

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
