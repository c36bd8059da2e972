//! The list of revoked leaves, for clients that insist on one: they fetch it without their proxy, at the address that each
//! leaf names.

use crate::harness::clients::curl;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{free_port, origins, scratch};
use std::process::Command;

/// One whose leaves name the proxy's own port.
fn naming() -> Proxy {
    let port = free_port();
    Setup::new()
        .config(&format!(
            "listen = {{ proxy = ['127.0.0.1:{port}'] }}\nca = {{ crl_url = 'http://127.0.0.1:{port}/ca.crl' }}"
        ))
        .start()
}

/// Whether openssl takes what it sees of an origin through the proxy, if it insists on a list and fetches it by itself.
fn insisting(proxy: &Proxy) -> (bool, String) {
    let mut command = Command::new("openssl");
    command
        .args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-crl_check",
            "-crl_download",
        ])
        .args(["-proxy", &proxy.address, "-servername", "origin.test"])
        .args(["-connect", &format!("origin.test:{}", origins::aiohttp().port)])
        .arg("-CAfile")
        .arg(&proxy.ca);
    let done = Process::start("openssl s_client", command).finish();
    // How the connection ends later is not the matter.
    let said = done.err.join("\n");
    (said.contains("Verification: OK"), said)
}

#[test]
fn a_client_that_insists_on_a_list_finds_it_by_the_leaf() {
    let proxy = naming();
    let (taken, said) = insisting(&proxy);
    assert!(taken, "{said}");
    // It was fetched from the proxy's own port, as from a server.
    let line = proxy.log("request", |line| line["url"] == "http://wsbump.internal/ca.crl");
    assert_eq!(line["status"], 200, "{line}");

    let (taken, said) = insisting(&Proxy::start());
    assert!(!taken && said.contains("unable to get certificate CRL"), "{said}");
}

#[test]
fn the_list_is_the_cas_and_curl_goes_by_it() {
    let proxy = naming();
    let folder = scratch();
    let [der, pem] =
        ["list.crl", "list.pem"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    for url in [
        "http://wsbump.internal/ca.crl".to_owned(),
        format!("http://{}/ca.crl", proxy.address),
    ] {
        // The second one as Windows asks: of the port, and by no proxy.
        let mut fetch = Command::new("curl");
        fetch.args(["-fsS", "-o", &der, &url]);
        if url.contains("internal") {
            fetch.args(["--proxy", &proxy.url()]);
        }
        let done = Process::start("curl", fetch).finish();
        assert!(done.status.success(), "{url}: {:?}", done.err);
        let mut command = Command::new("openssl");
        command
            .args(["crl", "-inform", "DER", "-in", &der, "-out", &pem, "-CAfile"])
            .arg(&proxy.ca);
        let done = Process::start("openssl crl", command).finish();
        assert!(done.err.join("").contains("verify OK"), "{url}: {:?}", done.err);
    }
    let url = origins::aiohttp().url("https", "/status/200");
    let told = curl(Some(&proxy.url()), &proxy.ca, &["--crlfile", &pem, &url]);
    assert_eq!((told.code, told.status), (0, 200), "{told:?}");
    // Nothing else of the portal is to be had that way.
    let told = curl(None, &proxy.ca, &[&format!("http://{}/ca.pem", proxy.address)]);
    assert_ne!(told.status, 200, "{told:?}");
}

#[test]
fn check_says_what_is_wrong_with_the_address_and_of_a_ca_that_may_not_sign_lists() {
    let home = crate::cli::home();
    let file = home.path().join("w.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        crate::cli::output(home.path(), &["check", file.to_str().unwrap()])
    };
    for (written, said) in [
        (
            "[ca]\ncrl_url = 'https://a.example/ca.crl'\n",
            "w.toml:2:11: ca.crl_url: ",
        ),
        ("[ca]\ncrl_url = 'ca.crl'\n", "w.toml:2:11: ca.crl_url: "),
        (
            "[ca]\ncrl_url = 'http://a.example/ca.crl'\n[portal]\nenabled = false\n",
            "w.toml:2:11: ca.crl_url: the portal hands the list out",
        ),
    ] {
        let done = check(written);
        let error = crate::cli::text(&done.stderr);
        assert!(done.status.code() == Some(2) && error.contains(said), "{error}");
    }
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(home.path());
        let done = Process::start("openssl", command).finish();
        assert!(done.status.success(), "{:?}", done.err);
    };
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    for (usage, warned) in [("keyCertSign", true), ("keyCertSign,cRLSign", false)] {
        openssl(&format!(
            "req -x509 -key ca.key -subj /CN=Corp -days 365 -addext keyUsage=critical,{usage} -out ca.pem"
        ));
        let done = check("[ca]\ncert = 'ca.pem'\nkey = 'ca.key'\ncrl_url = 'http://a.example/ca.crl'\n");
        let error = crate::cli::text(&done.stderr);
        assert!(done.status.success(), "{error}");
        assert_eq!(error.contains("cRLSign"), warned, "{error}");
    }
    // A CA that ends soon is told of while there is time to install the next one.
    for (days, warned) in [(89, true), (91, false)] {
        openssl(&format!(
            "req -x509 -key ca.key -subj /CN=Corp -days {days} -addext keyUsage=critical,keyCertSign -out ca.pem"
        ));
        let done = check("[ca]\ncert = 'ca.pem'\nkey = 'ca.key'\n");
        let error = crate::cli::text(&done.stderr);
        assert_eq!(error.contains("expires on"), warned, "{days}: {error}");
    }
}

#[test]
fn a_reload_that_names_a_list_mints_anew() {
    let mut proxy = Proxy::start();
    let (_, said) = insisting(&proxy);
    assert!(said.contains("unable to get certificate CRL"), "{said}");
    let address = proxy.address.clone();
    proxy.rewrite_config(&format!("ca = {{ crl_url = 'http://{address}/ca.crl' }}"));
    crate::harness::until("the leaf names the list", || insisting(&proxy).0.then_some(()));
}
