//! What people and programs are told when the proxy answers by itself, and by which name the log has it.

use crate::harness::clients::{Curled, chromium, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::header;
use crate::harness::road::{Version, over_both};
use crate::harness::{scratch, until};
use std::path::Path;

const FRENCH: &str = "<html lang=\"fr\">\n<p>{{rule}}: {{url}} ({{request_id}})\n";

/// Denies `denied.test`, and has French pages too.
fn denying() -> Proxy {
    Setup::new()
        .file("denied", ".denied.test\n")
        .file("blocked.fr.html", FRENCH)
        .config(
            "policy = { deny = ['denied'] }\nlist = [{ name = 'denied', file = 'denied', format = 'domains' }]\n\
             pages = { contact = 'help desk <100>', organisation = 'Example & Co', directory = '.' }",
        )
        .start()
}

/// The id that a text names is the one of the request's line.
fn is_in_the_log(proxy: &Proxy, told: &Curled) {
    let line = proxy.log("request", |line| {
        line["request_id"]
            .as_str()
            .is_some_and(|id| told.text.contains(id))
    });
    assert_eq!(line["status"], told.status, "{line}");
}

fn ask(proxy: &Proxy, arguments: &[&str]) -> Curled {
    let done = curl(Some(&proxy.url()), &proxy.ca, arguments);
    assert_eq!(done.code, 0, "{done:?}");
    done
}

#[test]
fn a_denied_request_is_explained_in_the_readers_language() {
    let proxy = denying();
    let url = "http://www.denied.test/%3Cscript%3E?secret=1";
    for (language, wanted, lang) in [
        (
            "ja-JP,ja;q=0.9,en;q=0.1",
            "ポリシーによりブロックされました",
            "ja",
        ),
        ("en-GB", "Blocked by policy", "en"),
        ("de", "Blocked by policy", "en"),
        ("fr, ja;q=0.5", "denied: http://www.denied.test/", "fr"),
    ] {
        let accepted = format!("Accept-Language: {language}");
        let done = ask(&proxy, &["-H", "Accept: text/html", "-H", &accepted, url]);
        assert_eq!(done.status, 403, "{done:?}");
        assert!(done.text.contains(wanted), "{language}: {}", done.text);
        assert_eq!(header(&done.text, "content-language"), Some(lang));
        let security = header(&done.text, "content-security-policy").unwrap();
        assert!(security.contains("default-src 'none'") && security.contains("frame-ancestors 'none'"));
        let status = header(&done.text, "proxy-status").unwrap();
        assert!(status.contains("error=http_request_denied"), "{status}");
        assert!(
            !done.text.contains("secret") && !done.text.contains("<script"),
            "{}",
            done.text
        );
        // The words of the log stand beside the reader's own.
        let translated = "このサイトへのアクセスは、組織のポリシーで許可されていません。";
        assert_eq!(done.text.contains(translated), lang == "ja", "{}", done.text);
        if lang != "fr" {
            assert!(
                done.text.contains("www.denied.test:80 is not allowed here"),
                "{}",
                done.text
            );
            for shown in ["help desk &lt;100&gt;", "Example &amp; Co", "denied</p>"] {
                assert!(done.text.contains(shown), "{shown}: {}", done.text);
            }
            // What a line is, in the reader's language too.
            let (rule, contact) = match lang {
                "ja" => ("ルール", "お問い合わせ"),
                _ => ("Rule", "Questions"),
            };
            for label in [rule, contact] {
                let label = format!("data-label=\"{label}\"");
                assert!(done.text.contains(&label), "{label}: {}", done.text);
            }
        }
        is_in_the_log(&proxy, &done);
    }
}

#[test]
fn a_program_gets_a_line_with_the_requests_name() {
    let proxy = denying();
    let done = ask(&proxy, &["-H", "Accept-Language: ja", "http://www.denied.test/"]);
    assert_eq!(
        header(&done.text, "content-type"),
        Some("text/plain; charset=utf-8")
    );
    let told = "wsbump: www.denied.test:80 is not allowed here (list \"denied\", line 1) (request ";
    assert!(done.text.contains(told), "{}", done.text);
    is_in_the_log(&proxy, &done);
}

fn inside_tls_too(version: Version) {
    let proxy = denying();
    let url = version.echo().url("https", "/echo");
    let arguments = [version.curl(), "-H", "Host: other.test", &url];
    let program = ask(&proxy, &arguments);
    assert_eq!(program.status, 421, "{program:?}");
    is_in_the_log(&proxy, &program);
    let page = ["-H", "Accept: text/html", "-H", "Accept-Language: ja"];
    let person = ask(&proxy, &[&page[..], &arguments].concat());
    let title = "このリクエストは別のサイト宛てです";
    assert!(person.text.contains(title), "{}", person.text);
    is_in_the_log(&proxy, &person);
    let line = proxy.log("request", |line| line["status"] == 421);
    assert_eq!(line["protocol"], version.logged(), "{line}");
}

over_both!(inside_tls_too);

#[test]
fn chromium_in_japanese_reads_japanese() {
    let proxy = denying();
    let open = |url: &str, picture: &str| {
        let home = scratch();
        let client = chromium(home.path(), &proxy.ca)
            .with("proxy", proxy.url())
            .with("mode", "page")
            .with("language", "ja")
            .with("url", url);
        match std::env::var_os("WSBUMP_SCREENSHOTS") {
            Some(folder) => client.with("screenshot", Path::new(&folder).join(picture)),
            None => client,
        }
        .run()
    };
    let found = open("http://www.denied.test/", "blocked.png");
    assert_eq!(found["status"], 403, "{found}");
    let text = found["text"].as_str().unwrap();
    for shown in ["ポリシーによりブロックされました", "help desk <100>", "denied"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let line = proxy.log("request", |line| {
        line["request_id"].as_str().is_some_and(|id| text.contains(id))
    });
    assert_eq!(line["url"], "http://www.denied.test/", "{line}");
    let found = open(&origins::untrusted_node_ws().url("https", "/"), "error.png");
    let text = found["text"].as_str().unwrap();
    assert!(text.contains("このサイトの証明書は信頼できません"), "{text}");
}

#[test]
fn a_reload_brings_new_pages_and_a_broken_one_changes_nothing() {
    let proxy = denying();
    let accepted = [
        "-H",
        "Accept: text/html",
        "-H",
        "Accept-Language: fr",
        "http://denied.test/",
    ];
    proxy.replace("blocked.fr.html", "{{broken\n");
    proxy.process().err("the reload's failure", |line| {
        line.contains("never closed").then_some(())
    });
    assert!(ask(&proxy, &accepted).text.contains("denied: http"));
    proxy.replace("blocked.fr.html", "<p>Interdit: {{rule}}</p>");
    until("the new page", || {
        ask(&proxy, &accepted)
            .text
            .contains("Interdit: denied")
            .then_some(())
    });
}

#[test]
fn a_rule_may_have_a_page_and_a_title_of_its_own() {
    let proxy = Setup::new()
        .file(
            "lab.en.html",
            "<html lang=\"en\">\n<p>{{rule}}: ask {{contact}} ({{request_id}})\n",
        )
        .config(
            "pages = { contact = 'help desk', directory = '.' }\n\
             [[policy.rule]]\nname = 'no-lab'\ntitle = 'Lab & Co'\nports = [81]\naction = 'deny'\npage = 'lab'\n\
             [[policy.rule]]\nname = 'no-other'\nports = [82]\naction = 'deny'\n",
        )
        .start();
    for (port, rule, shown, missing) in [
        (81, "no-lab", "Lab &amp; Co: ask help desk (", "Blocked by policy"),
        (82, "no-other", "Blocked by policy", "Lab"),
    ] {
        let url = format!("http://denied.test:{port}/");
        let done = ask(&proxy, &["-H", "Accept: text/html", &url]);
        assert_eq!(done.status, 403, "{done:?}");
        assert!(
            done.text.contains(shown) && !done.text.contains(missing),
            "{}",
            done.text
        );
        is_in_the_log(&proxy, &done);
        let line = proxy.log("request", |line| line["rule"] == rule);
        assert_eq!(line["status"], 403, "{line}");
    }
}
