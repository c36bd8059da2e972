//! The lines by which programs come to trust the CA, as the portal, the admin page and docs/ca-trust.md have them: each is run
//! as it stands, and after it a host that is decrypted works, and one that is spliced, which has a certificate of the public.

use crate::harness::certs::{ROOT_NAME, certs};
use crate::harness::clients::{Client, firefox};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::scratch;
use std::os::unix::fs::PermissionsExt as _;
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
    works_after(&format!("{before}\n{}", lines(id)), env, check);
}

/// The same after other lines.
fn works_after(before: &str, env: &[(&str, &Path)], check: &str) {
    let proxy = splicing();
    let folder = fetched(&proxy);
    std::fs::create_dir(folder.path().join("home")).unwrap();
    let before = before.replace("{machine}", &machine(folder.path()));
    let script = format!("{before}\nfor url in {}; do\n{check}\ndone", urls().join(" "));
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec", &script])
        .current_dir(folder.path());
    alone(&mut command, &folder.path().join("home"))
        .env("https_proxy", proxy.url())
        .envs(env.iter().copied());
    let done = Process::start("sh", command).finish();
    assert!(done.status.success(), "{:?}\n{:?}\n{script}", done.out, done.err);
    // Both went the way that they should.
    for action in ["bump", "splice"] {
        proxy.log("connection", |line| line["action"] == action);
    }
}

/// The checks are no checks if they pass without the lines, or with what people put there first: the CA alone.
fn fails(before: &str, check: &str) {
    fails_in(before, &[], check);
}

/// The same with variables.
fn fails_in(before: &str, env: &[(&str, &Path)], check: &str) {
    let proxy = splicing();
    let folder = fetched(&proxy);
    let script = format!("{before}\nfor url in {}; do\n{check}\ndone", urls().join(" "));
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec", &script])
        .current_dir(folder.path());
    alone(&mut command, folder.path())
        .env("https_proxy", proxy.url())
        .envs(env.iter().copied());
    let done = Process::start("sh", command).finish();
    assert!(!done.status.success(), "{script}: {:?}", done.out);
    // For its certificates, and for nothing else that the check could lack here.
    proxy.log("connection", |line| {
        line["action"] == "bump" || line["action"] == "splice"
    });
}

/// What Python since 3.13 and Apple's systems look at, of a leaf as a client is shown it: the origins' certificates here last
/// longer than anybody would take.
#[test]
fn a_leaf_is_one_that_strict_clients_take() {
    let proxy = Proxy::start();
    let folder = scratch();
    let [bumped, _] = urls();
    let target = bumped
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_owned();
    let ca = proxy.ca.display();
    let script = format!(
        "openssl s_client -proxy {} -connect {target} -servername origin.test -CAfile {ca} </dev/null 2>/dev/null |\n\
         openssl x509 -out leaf.pem\n\
         openssl verify -x509_strict -purpose sslserver -verify_hostname origin.test -CAfile {ca} leaf.pem\n\
         openssl x509 -in leaf.pem -noout -ext authorityKeyIdentifier,subjectKeyIdentifier,extendedKeyUsage\n\
         python3 - <<'END'\n\
         import ssl\n\
         leaf = ssl._ssl._test_decode_cert('leaf.pem')\n\
         first, last = (ssl.cert_time_to_seconds(leaf[key]) for key in ('notBefore', 'notAfter'))\n\
         print('seconds', int(last - first + 1))\nEND",
        proxy.address
    );
    let mut command = Command::new("sh");
    command.args(["-ec", &script]).current_dir(folder.path());
    let done = Process::start("openssl", command).finish();
    let said = done.out.join("\n");
    assert!(
        done.status.success() && said.contains("leaf.pem: OK"),
        "{said} {:?}",
        done.err
    );
    for word in [
        "Authority Key Identifier",
        "Subject Key Identifier",
        "TLS Web Server Authentication",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let seconds = said
        .split("seconds ")
        .nth(1)
        .unwrap()
        .trim()
        .parse::<u64>()
        .unwrap();
    assert!(seconds <= 825 * 86_400, "{seconds}");
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

/// Has pip look for a package that is not there: what it says then is about the package, and not about certificates.
const PIP: &str = "$VENV -m pip download --disable-pip-version-check --no-cache-dir --retries 0 --index-url $url nothing >log 2>&1 && exit 1\n\
    grep -q 'No matching distribution' log && ! grep -qi -e ssl -e certificate log || { cat log >&2; exit 1; }";

#[test]
fn requests_and_pip_with_the_bundle() {
    let venv = crate::harness::tool("venv/bin/python");
    let env = [("VENV", venv.as_path())];
    let requests = "$VENV -c \"import requests, sys; requests.get(sys.argv[1]).raise_for_status()\" $url";
    fails_in("export REQUESTS_CA_BUNDLE=\"$PWD/wsbump-ca.pem\"", &env, requests);
    works("python", "", &env, requests);
    fails_in("export PIP_CERT=\"$PWD/wsbump-ca.pem\"", &env, PIP);
    works("python", "", &env, PIP);
}

#[test]
fn what_the_aws_command_line_stands_on_with_the_bundle() {
    // An answer that is none of S3's is one all the same.
    let check = "/usr/bin/python3 - $url <<'END'\n\
        import sys, botocore.session\n\
        from botocore import UNSIGNED\n\
        from botocore.config import Config\n\
        from botocore.exceptions import ClientError, HTTPClientError\n\
        from botocore.parsers import ResponseParserError\n\
        config = Config(signature_version=UNSIGNED, retries={'max_attempts': 0}, connect_timeout=20)\n\
        session = botocore.session.get_session()\n\
        client = session.create_client('s3', region_name='x', endpoint_url=sys.argv[1], config=config)\n\
        try:\n    client.list_buckets()\n\
        except (ClientError, ResponseParserError):\n    pass\nEND";
    fails("export AWS_CA_BUNDLE=\"$PWD/wsbump-ca.pem\"", check);
    works("python", "", &[], check);
}

#[test]
fn go_and_ruby_with_the_bundle() {
    let go = "cat >probe.go <<'END'\n\
        package main\nimport (\"net/http\"; \"os\")\nfunc main() {\n  \
        answer, err := http.Get(os.Args[1])\n  \
        if err != nil { println(err.Error()); os.Exit(1) }\n  \
        if answer.StatusCode != 200 { os.Exit(1) }\n}\nEND\n\
        export HTTPS_PROXY=$https_proxy GOFLAGS=-mod=mod GO111MODULE=off\n[ -e probe ] || go build -o probe probe.go";
    works("openssl", go, &[], "./probe $url");
    let ruby = "ruby -ropen-uri -e 'URI.open(ARGV[0]).read' $url";
    fails("export SSL_CERT_FILE=\"$PWD/wsbump-ca.pem\"", ruby);
    works("openssl", "", &[], ruby);
}

#[test]
fn apt_with_the_bundle() {
    // In a copy of /etc; its own user could not look into the test's folder.
    let check = "/usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::https::Proxy=$https_proxy -o Acquire::Retries=0 \
        download-file $url got";
    let trusting_ca_alone = "sudo() { \"$@\"; }\nmount -t tmpfs none /etc/apt/apt.conf.d\n\
        echo \"Acquire::https::CAInfo \\\"$PWD/wsbump-ca.pem\\\";\" >/etc/apt/apt.conf.d/90wsbump";
    fails(trusting_ca_alone, check);
    works(
        "apt",
        "sudo() { \"$@\"; }\nmount -t tmpfs none /etc/apt/apt.conf.d",
        &[],
        check,
    );
}

#[test]
fn cargo_with_the_bundle() {
    let cargo = Path::new(env!("CARGO"));
    // The index is none, which cargo finds out once it has read it.
    let check = "export CARGO_HOME=$PWD/cargo\n\
        CARGO_REGISTRIES_PROBE_INDEX=sparse+$url CARGO_HTTP_PROXY=$https_proxy CARGO_NET_RETRY=0 \
        \"$CARGO_IT\" search nothing --registry probe >log 2>&1 && exit 1\n\
        grep -q 'EOF while parsing' log && ! grep -qi -e ssl -e certificate log || { cat log >&2; exit 1; }";
    let env = [("CARGO_IT", cargo)];
    fails_in("export CARGO_HTTP_CAINFO=\"$PWD/wsbump-ca.pem\"", &env, check);
    works("cargo", "", &env, check);
}

#[test]
fn uv_by_the_systems_store() {
    let uv = crate::harness::tool("venv/bin/uv");
    let check = "UV_CACHE_DIR=$PWD/uv $UV pip install --dry-run --target here --index-url $url nothing >log 2>&1 && exit 1\n\
        grep -q 'no versions of nothing' log && ! grep -qi -e certificate -e UnknownIssuer log || { cat log >&2; exit 1; }";
    let env = [("UV", uv.as_path())];
    fails_in("", &env, check);
    let before = format!("{{machine}}{}", lines("debian"));
    works("uv", &before, &env, check);
}

#[test]
fn images_line_by_line_as_a_builder_takes_them() {
    let venv = crate::harness::tool("venv/bin/python");
    let node = crate::harness::tool("venv/bin/node");
    let env = [("VENV", venv.as_path()), ("NODE", node.as_path())];
    let lines: Vec<String> = (lines("docker").lines())
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            match word {
                "COPY" => format!("cp {rest}"),
                "RUN" => rest.to_owned(),
                "ENV" => format!("export {rest}"),
                _ => panic!("{line}"),
            }
        })
        .collect();
    let before = format!(
        "{{machine}}{}\nexport NODE_USE_ENV_PROXY=1 HTTPS_PROXY=$https_proxy",
        lines.join("\n")
    );
    let check = format!(
        "{CURL}\n$VENV -c \"import requests, sys; requests.get(sys.argv[1]).raise_for_status()\" $url\n\
         NODE_OPTIONS=--use-openssl-ca $NODE -e 'fetch(process.argv[1]).then((it) => process.exit(it.ok ? 0 : 1), () => process.exit(1))' $url"
    );
    works_after(&before, &env, &check);
}

/// What changes the machine's own store: the script of the portal.
#[test]
fn the_script_installs_what_has_the_fingerprint_and_nothing_else() {
    let proxy = splicing();
    let mut command = Command::new("openssl");
    command
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&proxy.ca);
    let print = Process::start("openssl", command).finish().out.join("");
    let print = print.split_once('=').unwrap().1.to_owned();
    let (fetch, install) = wsbump::portal::installing("http://wsbump.internal")
        .split_once('\n')
        .map(|(fetch, install)| (fetch.to_owned(), install.replace("sudo -E ", "")))
        .unwrap();
    let ran = |fingerprint: &str, check: &str| {
        let folder = scratch();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let script = format!(
            "{}\n{fetch}\numask 077\n{}\nfor url in {}; do\n{check}\ndone",
            machine(folder.path()),
            install.replace("FINGERPRINT", &format!("'{fingerprint}'")),
            urls().join(" ")
        );
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-ec", &script])
            .current_dir(folder.path());
        alone(&mut command, &folder.path().join("home"))
            .env("http_proxy", proxy.url())
            .env("https_proxy", proxy.url());
        let done = Process::start("install.sh", command).finish();
        let installed = std::fs::metadata(folder.path().join("local/wsbump-ca.crt")).ok();
        (
            done.status.success(),
            installed.map(|file| file.permissions().mode()),
            [done.out, done.err].concat().join("\n"),
        )
    };
    // As people write them: with colons and without, large and small.
    for given in [print.clone(), print.replace(':', "").to_lowercase()] {
        let (is_well, mode, said) = ran(&given, CURL);
        // Everybody may read it, though root's files are root's alone here.
        assert_eq!(mode.map(|mode| mode & 0o044), Some(0o044), "{said}");
        assert!(is_well && said.contains("this machine trusts the CA"), "{said}");
    }
    let other = format!("{}:00", &print[..print.len() - 3]);
    for (given, reason) in [
        (&*other, "another fingerprint"),
        ("AB:CD", "64 hexadecimal digits, and this one 4"),
        ("", "64 hexadecimal digits, and this one 0"),
    ] {
        let (is_well, mode, said) = ran(given, "true");
        assert!(
            !is_well && mode.is_none() && said.contains(reason),
            "{given}: {said}"
        );
    }
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
    let npm = "lib/node_modules/npm/bin/npm-cli.js";
    let check = format!(
        "$NODE \"$(dirname \"$(realpath $NODE)\")/../{npm}\" ping --registry $url --fetch-retries 0 --cache npm"
    );
    works("node", before, &env, &check);
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
