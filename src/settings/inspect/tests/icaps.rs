//! What only scanners behind TLS have.

use super::*;
use crate::handshake::ca::Ca;
use crate::settings::testing::deaf;
use std::os::unix::fs::PermissionsExt as _;

/// A directory with two certificates and their keys.
fn dir() -> Dir {
    let dir = Dir::new();
    for name in ["one", "other"] {
        let (ca, key) = Ca::generate(name).unwrap();
        let (cert_file, key_file) = (format!("{name}.pem"), format!("{name}.key"));
        dir.write(&cert_file, ca.pem()).write(&key_file, &key);
        dir.write(&format!("{name}-both.pem"), &format!("{key}{}", ca.pem()));
        fs::set_permissions(dir.path(&key_file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    dir
}

fn scanner(url: &str, lines: &str) -> String {
    format!("[[inspect.scanner]]\nname = 'a'\nurl = '{url}'\n{lines}\n")
}

const URL: &str = "icaps://scanner.test/x";
const ALL: &str = "ca = 'one.pem'\ncert = 'other.pem'\nkey = 'other.key'";

fn icap(settings: &Settings) -> &IcapConfig {
    let ScannerKind::Icap(icap) = &settings.scanners[0].kind else {
        panic!("no ICAP: {:?}", settings.scanners);
    };
    icap
}

#[test]
fn each_key_reaches_the_scanner_and_its_file_is_watched() {
    let dir = dir();
    let tls = |lines: &str| {
        let settings = dir.load(&scanner(URL, lines)).unwrap();
        icap(&settings).tls.clone().unwrap()
    };
    let system = dir.load(&scanner(URL, "")).unwrap();
    assert_eq!(icap(&system).url, IcapUrl::parse(URL).unwrap());
    assert_eq!(system.warnings, [""; 0]);

    let settings = dir.load(&scanner(URL, ALL)).unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    for file in ["one.pem", "other.pem", "other.key"] {
        assert!(settings.files.contains(&dir.path(file)), "{file} is watched");
    }
    // Each of them makes a difference, and where the key is makes none.
    let all = tls(ALL);
    assert_eq!(all, tls("ca = 'one.pem'\ncert = 'other-both.pem'"));
    assert_ne!(all, tls("ca = 'one.pem'"));
    assert_ne!(
        all,
        tls("ca = 'other.pem'\ncert = 'other.pem'\nkey = 'other.key'")
    );
    assert_ne!(all, tls("cert = 'other.pem'\nkey = 'other.key'"));
    assert_ne!(all, tls("ca = 'one.pem'\ncert = 'one.pem'\nkey = 'one.key'"));
    assert_ne!(tls("ca = 'one.pem'"), tls(""));

    let respmod = dir.load(&scanner(
        "icap://a/x",
        "respmod_url = 'icaps://b/y'\nca = 'one.pem'",
    ));
    let respmod = respmod.unwrap();
    assert_eq!(icap(&respmod).tls, Some(tls("ca = 'one.pem'")));
    let told = &respmod.warnings;
    assert!(
        told.len() == 1
            && told[0].contains("w.toml:4: inspect.scanner.respmod_url: one direction goes by icaps://"),
        "{told:?}"
    );
    let open = dir
        .load(&scanner(URL, "cert = 'other-both.pem'"))
        .unwrap()
        .warnings;
    assert!(
        open.len() == 1 && open[0].contains("w.toml:4: inspect.scanner.cert: the private key in "),
        "{open:?}"
    );
}

#[test]
fn a_reload_keeps_a_scanner_until_the_content_of_one_of_its_files_changes() {
    let dir = dir();
    let text = scanner(URL, ALL);
    let (live, kept) = dir.load(&text).unwrap().live(None, &deaf()).unwrap();
    let mut before = live.inspection.scanners[0].clone();
    let mut kept = kept;
    let mut again = |stays: bool, what: &str| {
        let (live, next) = dir.load(&text).unwrap().live(Some(&kept), &deaf()).unwrap();
        assert_eq!(
            Arc::ptr_eq(&live.inspection.scanners[0], &before),
            stays,
            "{what}"
        );
        before = live.inspection.scanners[0].clone();
        kept = next;
    };
    again(true, "nothing changed");
    let ca = fs::read_to_string(dir.path("one.pem")).unwrap();
    dir.write("one.pem", &format!("# a comment\n{ca}"));
    again(true, "the same certificate");
    dir.write("one.pem", &fs::read_to_string(dir.path("other.pem")).unwrap());
    again(false, "another CA");
    let (renewed, key) = Ca::generate("renewed").unwrap();
    dir.write("other.pem", renewed.pem()).write("other.key", &key);
    again(false, "another client certificate");
    again(true, "nothing changed");
}

#[test]
fn mistakes_are_refused_where_they_stand() {
    let dir = dir();
    dir.write("junk.pem", "no certificate").write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    );
    for (lines, place, what) in [
        ("ca = 'gone.pem'", "4:6: inspect.scanner.ca", "no such file"),
        ("ca = '.'", "4:6: inspect.scanner.ca", "is a directory"),
        ("ca = ''", "4:6: inspect.scanner.ca", "is empty"),
        ("ca = true", "4:6: inspect.scanner.ca", "text in quotes"),
        (
            "ca = 'junk.pem'",
            "4:6: inspect.scanner.ca",
            "holds no certificate",
        ),
        (
            "ca = 'one.key'",
            "4:6: inspect.scanner.ca",
            "holds no certificate",
        ),
        ("ca = 'broken.pem'", "4:6: inspect.scanner.ca", "cannot be read"),
        ("cert = 'gone.pem'", "4:8: inspect.scanner.cert", "no such file"),
        (
            "cert = 'one.pem'",
            "4:8: inspect.scanner.cert",
            "name its file in inspect.scanner.key",
        ),
        (
            "key = 'one.key'",
            "4:7: inspect.scanner.key",
            "write inspect.scanner.cert too",
        ),
        (
            "cert = 'one.pem'\nkey = 'other.key'",
            "5:7: inspect.scanner.key",
            "does not belong",
        ),
        (
            "cert = 'one.pem'\nkey = 'gone.key'",
            "5:7: inspect.scanner.key",
            "no such file",
        ),
        (
            "cert = 'one.key'\nkey = 'one.key'",
            "4:8: inspect.scanner.cert",
            "holds no certificate",
        ),
        ("verify = false", "4:1: inspect.scanner.verify", "unknown key"),
    ] {
        dir.refuses(&scanner(URL, lines), &format!("w.toml:{place}"), what);
    }
    // Of no use to others.
    for (url, what) in [
        ("icap://a/x", "has no icaps:// URL"),
        ("clamd://127.0.0.1", "is a clamd"),
    ] {
        for key in ["ca", "cert", "key"] {
            let place = format!("w.toml:4:{}: inspect.scanner.{key}", key.len() + 4);
            dir.refuses(&scanner(url, &format!("{key} = 'one.pem'")), &place, what);
        }
    }
}
