//! What a body says is seen in every content coding that browsers know, both ways.

use crate::harness::clients::{Curled, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::road::{Version, over_both};
use crate::harness::scanners::{CIcap, Clamd, eicar};
use crate::harness::scratch;
use std::path::PathBuf;

over_both!(
    clamd_stops_eicar_in_bodies_of_every_coding_both_ways,
    c_icap_stops_eicar_in_bodies_of_every_coding_both_ways,
    words_are_found_and_changed_in_bodies_of_every_coding_both_ways,
);

const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

/// Where the origin has `text` in this coding.
fn url(coding: &str, text: &str) -> String {
    let text: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    origins::node_coded().url("https", &format!("/{coding}/{text}"))
}

fn download(version: Version, proxy: &Proxy, coding: &str, text: &str) -> Curled {
    curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[version.curl(), "--compressed", &url(coding, text)],
    )
}

/// Has `text` encoded by the origin itself, and sends it there through the proxy.
fn upload(version: Version, proxy: &Proxy, coding: &str, text: &str) -> Curled {
    let folder = scratch();
    let file: PathBuf = folder.path().join("body");
    let root = &crate::harness::certs::certs().root;
    let connect = format!("origin.test:{}:127.0.0.1", origins::node_coded().port);
    let got = curl(
        None,
        root,
        &[
            "--no-include",
            "--resolve",
            &connect,
            "--output",
            file.to_str().unwrap(),
            &url(coding, text),
        ],
    );
    assert_eq!(got.status, 200, "{}", got.verbose);
    let encoded = std::fs::read(&file).unwrap();
    assert_eq!(
        encoded == text.as_bytes(),
        coding == "identity",
        "it is encoded: {coding}"
    );
    let data = format!("@{}", file.display());
    let stated = format!("Content-Encoding: {coding}");
    let mut arguments = vec![
        version.curl(),
        "--data-binary",
        &data,
        "-H",
        "Content-Type: text/plain",
    ];
    if coding != "identity" {
        arguments.extend(["-H", &stated]);
    }
    let target = origins::node_coded().url("https", "/");
    arguments.push(&target);
    curl(Some(&proxy.url()), &proxy.ca, &arguments)
}

#[track_caller]
fn is_refused_by(rule: &str, answer: &Curled, what: &str) {
    assert_eq!(answer.status, 403, "{what}: {}", answer.text);
    let text = answer.text.to_lowercase();
    assert!(
        text.contains("proxy-status: wsbump; error=content_refused") && text.contains(&format!("\"{rule}\"")),
        "{what}: {text}"
    );
    assert!(!answer.text.contains(&eicar()), "{what}: {}", answer.text);
}

fn stops_eicar_in_bodies(version: Version, scanner: &str) {
    let config = format!(
        "[[inspect.scanner]]\nname = \"clamav\"\nurl = \"{scanner}\"\ndeadline = \"20s\"\non_failure = \"close\"\n\
         [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"clamav\"\n\
         in = [\"body\"]\n"
    );
    let proxy = Setup::new().config(&config).start();
    let mut found = 0.0;
    for coding in CODINGS {
        is_refused_by("viruses", &download(version, &proxy, coding, &eicar()), coding);
        is_refused_by("viruses", &upload(version, &proxy, coding, &eicar()), coding);
        found += 2.0;
        for fine in [
            download(version, &proxy, coding, "harmless text"),
            upload(version, &proxy, coding, "harmless text"),
        ] {
            assert_eq!(fine.status, 200, "{coding}: {}", fine.text);
            assert!(fine.text.ends_with("harmless text"), "{coding}: {}", fine.text);
        }
    }
    let spoken = proxy.log("request", |_| true);
    assert_eq!(spoken["protocol"], version.logged(), "{spoken}");
    proxy.metric(
        "wsbump_inspect_scan_seconds_count",
        &[("scanner", "clamav"), ("outcome", "found")],
        found,
    );
}

fn clamd_stops_eicar_in_bodies_of_every_coding_both_ways(version: Version) {
    let clamd = Clamd::start();
    stops_eicar_in_bodies(version, &format!("clamd+unix:{}", clamd.socket().display()));
}

fn c_icap_stops_eicar_in_bodies_of_every_coding_both_ways(version: Version) {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    stops_eicar_in_bodies(version, &format!("icap://127.0.0.1:{}/scan", server.port));
}

fn words_are_found_and_changed_in_bodies_of_every_coding_both_ways(version: Version) {
    let rules = "[[inspect.rule]]\nname = \"secret\"\nmode = \"enforce\"\naction = \"drop\"\nin = [\"body\"]\n\
                 keywords = [\"merlin\"]\n\
                 [[inspect.rule]]\nname = \"codenames\"\nmode = \"enforce\"\naction = \"redact\"\nwith = \"*\"\n\
                 in = [\"body\"]\nkeywords = [\"kestrel\"]\n";
    let proxy = Setup::new().config(rules).start();
    for coding in CODINGS {
        is_refused_by(
            "secret",
            &download(version, &proxy, coding, "says merlin, says"),
            coding,
        );
        is_refused_by(
            "secret",
            &upload(version, &proxy, coding, "says merlin, says"),
            coding,
        );
        for changed in [
            download(version, &proxy, coding, "about kestrel, and more"),
            upload(version, &proxy, coding, "about kestrel, and more"),
        ] {
            assert_eq!(changed.status, 200, "{coding}: {}", changed.text);
            assert!(
                changed.text.ends_with("about *, and more"),
                "{coding}: {}",
                changed.text
            );
        }
        let untouched = download(version, &proxy, coding, "nothing of that");
        assert!(untouched.text.ends_with("nothing of that"), "{}", untouched.text);
        let stated = untouched
            .text
            .to_lowercase()
            .contains(&format!("content-encoding: {coding}\n"));
        assert_eq!(
            stated,
            coding != "identity",
            "what is not changed keeps its coding: {}",
            untouched.text
        );
    }
}
