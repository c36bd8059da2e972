//! The lines by which programs come to trust the CA, as the portal, the admin page and docs/ca-trust.md have them: each is run
//! as it stands, and after it a host that is decrypted works, and one that is spliced, which has a certificate of the public.

use crate::harness::certs::{ROOT_NAME, certs};
use crate::harness::clients::{Client, firefox};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::scratch;
use std::path::Path;
use std::process::Command;
use wsbump::portal::STEPS;

/// Splices `other.test`, and decrypts all else.
fn splicing() -> Proxy {
    Setup::new()
        .file("spliced", "other.test\n")
        .config("policy.splice = ['spliced']\nlist = [{ name = 'spliced', file = 'spliced', format = 'domains' }]")
        .start()
}

fn lines(id: &str) -> &'static str {
    STEPS.iter().find(|step| step.id == id).unwrap().lines
}

/// A host that is decrypted, and one that is not.
fn urls() -> [String; 2] {
    let port = origins::node_ws().port;
    ["origin", "other"].map(|host| format!("https://{host}.test:{port}/"))
}

/// A program that knows nothing of the machine's own roots and proxies but where they usually are.
fn alone<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // The harness starts what it is told variable by variable.
    for (name, _) in std::env::vars_os() {
        command.env_remove(name);
    }
    command.env("PATH", path).env("HOME", home)
}

/// A folder with what the portal hands out, fetched by the lines that the page has.
fn fetched(proxy: &Proxy) -> tempfile::TempDir {
    let folder = scratch();
    let mut command = Command::new("sh");
    command
        .arg("-ec")
        .arg(wsbump::portal::fetching("http://wsbump.internal"))
        .current_dir(folder.path());
    alone(&mut command, folder.path()).env("http_proxy", proxy.url());
    let done = Process::start("sh", command).finish();
    assert!(done.status.success(), "{:?}", done.err);
    folder
}

/// What stands before lines that change the machine: copies of what they change, the root of the tests' origins among the
/// public ones, and nobody that would have to be asked for a password.
fn machine(folder: &Path) -> String {
    format!(
        "cp -r /etc {folder}/etc 2>/dev/null || true\nmount --bind {folder}/etc /etc\n\
         mkdir {folder}/local\nmount --bind {folder}/local /usr/local/share/ca-certificates\n\
         cp {root} /usr/local/share/ca-certificates/public.crt\nupdate-ca-certificates >/dev/null 2>&1\n\
         sudo() {{ \"$@\"; }}\n",
        folder = folder.display(),
        root = certs().root.display()
    )
}

/// Runs the lines of a step and then `check`, which is given each address; with `before` in front.
fn works(id: &str, before: &str, env: &[(&str, &Path)], check: &str) {
    let proxy = splicing();
    let folder = fetched(&proxy);
    std::fs::create_dir(folder.path().join("home")).unwrap();
    let before = before.replace("{machine}", &machine(folder.path()));
    let script = format!(
        "{before}\n{}\nfor url in {}; do\n{check}\ndone",
        lines(id),
        urls().join(" ")
    );
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec", &script])
        .current_dir(folder.path());
    alone(&mut command, &folder.path().join("home"))
        .env("https_proxy", proxy.url())
        .envs(env.iter().copied());
    let done = Process::start(id, command).finish();
    assert!(
        done.status.success(),
        "{id}: {:?}\n{:?}\n{script}",
        done.out,
        done.err
    );
    // Both went the way that they should.
    for action in ["bump", "splice"] {
        proxy.log("connection", |line| line["action"] == action);
    }
}

/// The checks are no checks if they pass without the lines, or with what people put there first: the CA alone.
fn fails(before: &str, check: &str) {
    let proxy = splicing();
    let folder = fetched(&proxy);
    let script = format!("{before}\nfor url in {}; do\n{check}\ndone", urls().join(" "));
    let mut command = Command::new("sh");
    command.args(["-ec", &script]).current_dir(folder.path());
    alone(&mut command, folder.path()).env("https_proxy", proxy.url());
    let done = Process::start("sh", command).finish();
    assert!(!done.status.success(), "{script}: {:?}", done.out);
}

const CURL: &str = "curl -fsS -o /dev/null $url";

#[test]
fn curl_with_the_bundle() {
    fails("", CURL);
    fails("export CURL_CA_BUNDLE=\"$PWD/wsbump-ca.pem\"", CURL);
    works("curl", "", &[], CURL);
}

#[test]
fn wget_with_the_bundle() {
    works("wget", "", &[], "wget -q -O /dev/null $url");
}

#[test]
fn git_with_the_bundle() {
    // There is no repository at the address, and no reference of one then.
    let check = "git ls-remote $url";
    fails("", check);
    works("git", "", &[], check);
}

#[test]
fn python_with_the_bundle() {
    let check = "python3 -c \"import urllib.request, sys; urllib.request.urlopen(sys.argv[1]).read()\" $url";
    fails("export SSL_CERT_FILE=\"$PWD/wsbump-ca.pem\"", check);
    works("python", "", &[], check);
    let venv = crate::harness::tool("venv/bin/python");
    let certifi = "$VENV -c \"import httpx, sys; httpx.get(sys.argv[1]).raise_for_status()\" $url";
    works("python", "", &[("VENV", &venv)], certifi);
}

#[test]
fn programs_on_openssl_with_the_bundle() {
    let check = "host=${url#https://}; openssl s_client -brief -verify_return_error -proxy ${https_proxy#http://} -connect ${host%/} -servername ${host%:*} </dev/null";
    fails("export SSL_CERT_FILE=\"$PWD/wsbump-ca.pem\"", check);
    works("openssl", "", &[], check);
}

#[test]
fn node_with_the_ca_beside_its_roots() {
    // Its own roots are OpenSSL's here, among which the tests' origins have theirs.
    let node = crate::harness::tool("venv/bin/node");
    let env = [
        ("NODE", node.as_path()),
        ("SSL_CERT_FILE", certs().root.as_path()),
    ];
    let before = "export NODE_USE_ENV_PROXY=1 NODE_OPTIONS=--use-openssl-ca HTTPS_PROXY=$https_proxy";
    let check = "$NODE -e 'fetch(process.argv[1]).then((it) => process.exit(it.ok ? 0 : 1), (it) => { console.error(it); process.exit(1); })' $url";
    works("node", before, &env, check);
}

#[test]
fn java_with_the_ca_beside_its_roots() {
    let probe = "cat >Probe.java <<'END'\n\
        public class Probe {\n  public static void main(String[] url) throws Exception {\n    \
        var answer = (java.net.HttpURLConnection) new java.net.URL(url[0]).openConnection();\n    \
        if (answer.getResponseCode() != 200) System.exit(1);\n  }\n}\nEND";
    let proxy = "proxy=${https_proxy#http://}; java -Dhttps.proxyHost=${proxy%:*} -Dhttps.proxyPort=${proxy#*:} Probe.java $url";
    let public = format!(
        "keytool -importcert -cacerts -storepass changeit -noprompt -alias public -file {}",
        certs().root.display()
    );
    works("java", &format!("{{machine}}{public}\n{probe}"), &[], proxy);
}

#[test]
fn debians_store_serves_all_that_ask_the_system() {
    let check = format!(
        "{CURL}\nwget -q -O /dev/null $url\npython3 -c \"import urllib.request, sys; urllib.request.urlopen(sys.argv[1]).read()\" $url"
    );
    works("debian", "{machine}", &[], &check);
}

#[test]
fn chromiums_store_has_the_ca_beside_the_public_roots() {
    let proxy = splicing();
    let folder = fetched(&proxy);
    let [bumped, spliced] = urls();
    for (url, issuer) in [(bumped, "wsbump CA"), (spliced, ROOT_NAME)] {
        // One that has never been used; the line comes first, and what stands for the public root after it.
        let home = scratch();
        let public = format!(
            "certutil -d sql:\"$HOME/.pki/nssdb\" -A -t C,, -n public -i {}",
            certs().root.display()
        );
        let mut command = Command::new("sh");
        command
            .args(["-ec", &format!("{}\n{public}", lines("chromium"))])
            .current_dir(folder.path());
        alone(&mut command, home.path());
        let done = Process::start("certutil", command).finish();
        assert!(done.status.success(), "{:?}", done.err);
        let found = Client::new("client_chromium.mjs")
            .with("browser", "/usr/bin/chromium")
            .with("home", home.path())
            .with("proxy", proxy.url())
            .with("mode", "page")
            .with("url", &url)
            .run();
        assert_eq!(found["status"], 200, "{found}");
        assert!(found["issuer"].as_str().unwrap().contains(issuer), "{found}");
    }
}

#[test]
fn firefox_installs_the_ca_by_its_policy() {
    let proxy = splicing();
    let folder = fetched(&proxy);
    for (at, url) in urls().iter().enumerate() {
        let home = scratch();
        // The profile knows the public root alone.
        let browser = firefox(home.path(), &certs().root);
        let work = scratch();
        let before = format!(
            "cd {}\n{}{}",
            folder.path().display(),
            machine(work.path()),
            lines("firefox")
        );
        let found = browser
            .with("proxy", proxy.url())
            .with("mode", "page")
            .with("url", url)
            .within(&before)
            .run();
        assert_eq!(found["status"], 200, "{at}: {found}");
    }
}
