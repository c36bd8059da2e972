//! A company's own CA, in every form that the README promises; curl trusts its root and nothing else.

use crate::harness::clients::curl;
use crate::harness::metrics::get;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{frame, tls, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::scratch;
use std::path::Path;
use std::process::Command;

/// Runs openssl in `folder`.
fn openssl(folder: &Path, arguments: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder);
    let done = Process::start("openssl", command).finish();
    assert!(done.status.success(), "openssl {arguments}: {:?}", done.err);
    done.out.join("\n") + "\n"
}

const RSA: &str = "genrsa -traditional -out KEY 2048";
const RSA_PKCS8: &str = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out KEY";
const P384_SEC1: &str = "ecparam -name secp384r1 -genkey -noout -out KEY";
const P384_PKCS8: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out KEY";
/// With the block of parameters that openssl writes unless told not to.
const P256_SEC1: &str = "ecparam -name prime256v1 -genkey -out KEY";

/// A self-signed CA: `NAME.pem` and `NAME.key`.
fn root(folder: &Path, name: &str, make_key: &str) {
    let key = format!("{name}.key");
    openssl(folder, &make_key.replace("KEY", &key));
    openssl(
        folder,
        &format!(
            "req -x509 -new -key {key} -out {name}.pem -days 3000 -subj /O=Company/CN={name} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
        ),
    );
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn start(cert: &str, key: Option<&str>) -> Proxy {
    let setup = Setup::new().file("ca.pem", cert);
    match key {
        Some(key) => setup
            .file("ca.key", key)
            .config("ca = { cert = 'ca.pem', key = 'ca.key' }"),
        None => setup.config("ca = { cert = 'ca.pem' }"),
    }
    .start()
}

/// Both versions of TLS, a client that takes RSA alone, and a client with another root.
fn works(proxy: &Proxy, trusted: &Path, issuer: &str) {
    let url = origins::nginx().url("https", "/");
    let rsa = "ECDHE-RSA-AES128-GCM-SHA256";
    for arguments in [
        &["--tls-max", "1.2", &url][..],
        &["--tlsv1.3", &url],
        &["--tls-max", "1.2", "--ciphers", rsa, &url],
    ] {
        let done = curl(Some(&proxy.url()), trusted, arguments);
        assert_eq!((done.code, done.status), (0, 200), "{done:?}");
        assert!(
            done.verbose.contains(&format!("issuer: O=Company; CN={issuer}")),
            "{}",
            done.verbose
        );
    }
    let stranger = &crate::harness::certs::certs().root;
    assert_eq!(curl(Some(&proxy.url()), stranger, &[&url]).code, 60);
}

#[test]
fn every_kind_of_key_works() {
    let folder = scratch();
    let folder = folder.path();
    for (name, make_key, begins) in [
        ("rsa-pkcs1", RSA, "-----BEGIN RSA PRIVATE KEY-----"),
        ("rsa-pkcs8", RSA_PKCS8, "-----BEGIN PRIVATE KEY-----"),
        ("p384-sec1", P384_SEC1, "-----BEGIN EC PRIVATE KEY-----"),
        ("p384-pkcs8", P384_PKCS8, "-----BEGIN PRIVATE KEY-----"),
        ("p256-sec1", P256_SEC1, "-----BEGIN EC PARAMETERS-----"),
    ] {
        root(folder, name, make_key);
        let (cert, key) = (
            read(folder, &format!("{name}.pem")),
            read(folder, &format!("{name}.key")),
        );
        assert!(key.starts_with(begins), "openssl wrote another form: {key}");
        let proxy = start(&cert, Some(&key));
        works(&proxy, &folder.join(format!("{name}.pem")), name);
        assert!(
            !proxy.folder().join("data/ca.key").exists(),
            "a CA was made that nobody asked for"
        );
    }
}

#[test]
fn one_file_may_hold_both_in_either_order() {
    let folder = scratch();
    let folder = folder.path();
    root(folder, "both", P384_SEC1);
    let (cert, key) = (read(folder, "both.pem"), read(folder, "both.key"));
    for file in [format!("{cert}{key}"), format!("{key}{cert}")] {
        let proxy = start(&file, None);
        works(&proxy, &folder.join("both.pem"), "both");
        // The file holds the key: what is given out must not.
        let (status, _, pem) = get(&proxy.admin, "/ca.pem");
        assert_eq!((status, pem.contains("PRIVATE")), (200, false), "{pem}");
        assert_eq!(
            pem.split_whitespace().collect::<String>(),
            cert.split_whitespace().collect::<String>()
        );
    }
}

#[test]
fn an_intermediate_works_for_clients_that_know_only_its_root() {
    let folder = scratch();
    let folder = folder.path();
    root(folder, "root", RSA_PKCS8);
    for (name, make_key) in [("upper", P384_PKCS8), ("lower", RSA)] {
        openssl(folder, &make_key.replace("KEY", &format!("{name}.key")));
        openssl(
            folder,
            &format!("req -new -key {name}.key -out {name}.csr -subj /O=Company/CN={name}"),
        );
    }
    std::fs::write(
        folder.join("extensions"),
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
    )
    .unwrap();
    for (name, issuer) in [("upper", "root"), ("lower", "upper")] {
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days 2000 \
                 -extfile extensions -out {name}.pem"
            ),
        );
    }
    let [root, upper, lower] = ["root.pem", "upper.pem", "lower.pem"].map(|name| read(folder, name));
    for chain in [format!("{lower}{upper}"), format!("{lower}{upper}{root}")] {
        let proxy = start(&chain, Some(&read(folder, "lower.key")));
        works(&proxy, &folder.join("root.pem"), "lower");
        // The client that stands on the root alone gets all that is between, and not the root.
        let shown = tls_chain(&proxy, &folder.join("root.pem"));
        assert_eq!(
            shown,
            ["lower", "upper"],
            "issuers of the leaf and of the chain behind it"
        );
    }
}

/// The subjects of what comes behind the leaf.
fn tls_chain(proxy: &Proxy, root: &Path) -> Vec<String> {
    let target = format!("origin.test:{}", origins::nginx().port);
    let client = tls_over(tunnel(proxy, &target), &target, root);
    let chain = client.stream.conn.peer_certificates().unwrap();
    let name = |der: &[u8]| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
        let name = certificate.subject().iter_common_name().next().unwrap();
        name.as_str().unwrap().to_owned()
    };
    chain[1..].iter().map(|der| name(der)).collect()
}

#[test]
fn the_admin_listener_gives_out_the_certificate() {
    let proxy = Proxy::start();
    let file = std::fs::read_to_string(&proxy.ca).unwrap();
    let (status, head, pem) = get(&proxy.admin, "/ca.pem");
    assert_eq!((status, &pem), (200, &file), "{head}");
    let folder = scratch();
    let mut command = Command::new("curl");
    command.args(["-sS", "-o"]).arg(folder.path().join("ca.crt"));
    command.arg(format!("http://{}/ca.crt", proxy.admin));
    assert!(Process::start("curl", command).finish().status.success());
    let der = std::fs::read(folder.path().join("ca.crt")).unwrap();
    let (_, parsed) = x509_parser::pem::parse_x509_pem(file.as_bytes()).unwrap();
    assert_eq!(der, parsed.contents);
    // openssl reads it as DER and finds the very same certificate.
    assert_eq!(
        openssl(folder.path(), "x509 -inform DER -in ca.crt").trim(),
        file.trim()
    );
    drop(tls(&proxy, &format!("origin.test:{}", origins::nginx().port)));
}

#[test]
fn another_ca_takes_over_without_a_restart() {
    let folder = scratch();
    let folder = folder.path();
    root(folder, "old", P384_SEC1);
    root(folder, "new", RSA_PKCS8);
    let mut proxy = start(&read(folder, "old.pem"), Some(&read(folder, "old.key")));
    works(&proxy, &folder.join("old.pem"), "old");
    let recorder = Recorder::start();
    let client = tls_over(
        tunnel(&proxy, &recorder.target()),
        &recorder.target(),
        &folder.join("old.pem"),
    );
    let (mut client, mut origin) = recorder.websocket_over(client, "", "");

    // A key that does not fit changes nothing.
    proxy.replace("new.pem", &read(folder, "new.pem"));
    proxy.replace("new.key", &read(folder, "old.key"));
    proxy.rewrite_config("ca = { cert = 'new.pem', key = 'new.key' }");
    proxy.process().signal("HUP");
    proxy.metric("wsbump_config_last_reload_successful", &[], 0.0);
    works(&proxy, &folder.join("old.pem"), "old");

    proxy.replace("new.key", &read(folder, "new.key"));
    proxy.process().signal("HUP");
    proxy.metric("wsbump_config_last_reload_successful", &[], 1.0);
    works(&proxy, &folder.join("new.pem"), "new");
    assert_eq!(
        get(&proxy.admin, "/ca.pem").2.trim(),
        read(folder, "new.pem").trim()
    );
    let text = frame(0x81, Some([1, 2, 3, 4]), b"still there");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
}
