//! A real Squid, and what its configuration is imported to: asked the same, one after the other, on the same addresses.
//!
//! `tests/oracle/squid/NAME/` has the configuration and `requests.tsv`. Each request ends alike, or as a note has said.

use crate::harness::icap::{Given, OwnIcap, Says};
use crate::harness::process::Process;
use crate::harness::{root, scratch, until};
use crate::imported::{Announced, announced_by, import, parents, said, start};
use crate::oracle::{Origins, ask, held, is_inside, parse, subject};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// Where Squid listens, and each configuration with listeners of its own.
const PORT: &str = "127.0.0.1:3128";
const SQUIDS_CA: &str = "Squid of this test";

/// Holds a case inside of a namespace: `code` is the import's exit code.
fn hold(test: &str, name: &str, code: i32, announced: Announced) {
    if !is_inside(&format!("beside_squid::{test}")) {
        return;
    }
    let folder = scratch();
    let folder = folder.path();
    let case = folder.join("case");
    copy(&root().join("tests/oracle/squid").join(name), &case);
    let config = case.join("squid.conf");
    let text = fs::read_to_string(&config).unwrap();
    let [today, tomorrow] = days();
    fs::write(
        &config,
        text.replace("TODAY", today).replace("TOMORROW", tomorrow),
    )
    .unwrap();
    Origins::start(folder);
    parents();
    let _icap = services();
    if text.contains(" intercept") {
        catch();
    }
    let rows = parse(&fs::read_to_string(case.join("requests.tsv")).unwrap());
    let squid = squid(&case, folder);
    let theirs: Vec<_> = rows.iter().map(|row| ask(PORT, SQUIDS_CA, row)).collect();
    drop(squid);
    until("Squid's port is free", || {
        TcpStream::connect(PORT).is_err().then_some(())
    });
    let into = folder.join("new");
    let output = import(&config, &into, &["--force"]);
    let notes = said(&output);
    assert_eq!(output.status.code(), Some(code), "{notes}");
    announced_by(&notes, announced);
    let written = fs::read_to_string(into.join("wsbump.toml")).unwrap();
    let proxy = start(&into, folder);
    let at = match written.contains("[[listener]]") {
        true => PORT,
        false => &proxy.address,
    };
    let ca = subject(&proxy.ca);
    let found = rows
        .iter()
        .zip(theirs)
        .map(|(row, theirs)| (row.id, ask(at, &ca, row), theirs));
    held(name, found, announced);
}

/// The letters that Squid has for today and tomorrow.
fn days() -> [&'static str; 2] {
    const LETTERS: [&str; 7] = ["M", "T", "W", "H", "F", "A", "S"];
    let now = jiff::tz::TimeZone::system().to_datetime(jiff::Timestamp::now());
    let today = usize::from(now.weekday().to_monday_zero_offset().unsigned_abs());
    [LETTERS[today], LETTERS[(today + 1) % 7]]
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = fs::copy(entry.path(), to).unwrap(),
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = || String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {}", said());
}

/// Squid with this configuration. It does not run as root, and the namespace knows nobody else: it gets one of its own,
/// in which root is called otherwise.
fn squid(case: &Path, folder: &Path) -> Process {
    let ca = case.join("certs/ca.pem");
    fs::create_dir(case.join("certs")).unwrap();
    let subject = format!("/CN={SQUIDS_CA}");
    run(Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", &subject,
        ])
        .args(["-addext", "keyUsage=critical,keyCertSign"])
        .arg("-keyout")
        .arg(&ca)
        .arg("-out")
        .arg(case.join("certs/cert.pem")));
    let both = fs::read_to_string(case.join("certs/cert.pem")).unwrap() + &fs::read_to_string(&ca).unwrap();
    fs::write(&ca, both).unwrap();
    run(Command::new("/usr/lib/squid/security_file_certgen")
        .args(["-c", "-s", "ssl_db", "-M", "4MB"])
        .current_dir(case));
    // Squid's format has a name for each address, and hosts(5) too.
    fs::copy(root().join("tests/oracle/hosts"), case.join("hosts")).unwrap();
    let rig = format!(
        "include squid.conf\nhosts_file {0}/hosts\npid_filename none\ncache_log {0}/cache.log\naccess_log none\n\
         pinger_enable off\nshutdown_lifetime 1 second\nicap_log none\nnetdb_filename none\ncoredump_dir none\n\
         dns_nameservers 127.0.0.1\ndns_timeout 1 second\n",
        case.display()
    );
    fs::write(case.join("rig.conf"), rig).unwrap();
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-user=1000",
            "--map-group=1000",
            "--",
            "squid",
            "-N",
            "-d",
            "1",
            "-n",
        ])
        .arg(format!("beside{}", std::process::id()))
        .args(["-f", "rig.conf"])
        .current_dir(case)
        .env("SSL_CERT_FILE", folder.join("origins.pem"))
        .env(
            "PATH",
            "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
        );
    let process = Process::start("squid", command);
    until("Squid listens", || TcpStream::connect(PORT).ok());
    process
}

/// Has the kernel bring what clients dial, and not what the proxies do.
fn catch() {
    let rules = "table ip caught { chain c { type nat hook output priority -100;\n\
         ip saddr { 10.0.0.0/8, 192.168.0.0/16 } ip daddr 203.0.113.0/24 tcp dport 80 redirect to :3129\n\
         ip saddr { 10.0.0.0/8, 192.168.0.0/16 } ip daddr 203.0.113.0/24 tcp dport 443 redirect to :3130\n }\n }\n";
    let mut command = Command::new("/usr/sbin/nft");
    command.arg(rules);
    run(&mut command);
}

/// The services of the case that has some: one changes requests and refuses a site's, one marks responses.
fn services() -> OwnIcap {
    OwnIcap::start_on(1344, Some(1024), |given: &Given| {
        if !given.response.is_empty() {
            return match given.is_preview {
                true => Says::More,
                false => Says::Message(
                    given.response.replacen("\r\n", "\r\nX-Adapted: yes\r\n", 1),
                    given.body.clone(),
                ),
            };
        }
        // Squid shows it the CONNECT too.
        if given.request.starts_with("CONNECT ") {
            return Says::Unchanged;
        }
        match given
            .request
            .to_lowercase()
            .contains("\r\nhost: files.example.com")
        {
            true => Says::Message(
                "HTTP/1.1 403 Forbidden\r\nX-Service: dlp\r\nContent-Length: 2\r\n\r\n".into(),
                b"no".to_vec(),
            ),
            false => Says::Message(
                given
                    .request
                    .replace("X-Secret: inner", "X-Secret: masked")
                    .replace("x-secret: inner", "x-secret: masked"),
                Vec::new(),
            ),
        }
    })
}

const IS_TOLD: &str = "a denial is a 403 to the CONNECT where it is known early enough";
const NOT_BY_BROWSER: &str = "how something is treated cannot hang on browser of its requests";
const SPLICES_TLS_1_3: &str = "with TLS 1.3, whose certificates cannot be seen, it splices";
const SERVED_WITHOUT: &str = "anybody else is served without one";

#[test]
fn an_office_in_a_container() {
    hold("an_office_in_a_container", "21-office", 3, &[]);
}

#[test]
fn a_router_that_brings_connections() {
    hold(
        "a_router_that_brings_connections",
        "22-transparent",
        3,
        &[(7, "deny", IS_TOLD)],
    );
}

#[test]
fn parents_in_turn() {
    hold("parents_in_turn", "23-parents-in-turn", 3, &[]);
}

#[test]
fn services_in_a_set() {
    hold("services_in_a_set", "24-icap", 3, &[]);
}

#[test]
fn a_schools_hours() {
    hold("a_schools_hours", "25-school", 3, &[]);
}

#[test]
fn a_file_that_began_with_squid_3() {
    hold(
        "a_file_that_began_with_squid_3",
        "26-squid-3",
        4,
        &[
            (1, "bump 200 by proxy, direct", NOT_BY_BROWSER),
            (4, "bump 200 by proxy-untrusted, direct", NOT_BY_BROWSER),
            (8, "plain 200 direct", NOT_BY_BROWSER),
        ],
    );
}

#[test]
fn what_comes_back() {
    hold("what_comes_back", "27-replies", 3, &[]);
}

#[test]
fn behind_a_load_balancer() {
    hold(
        "behind_a_load_balancer",
        "28-load-balancer",
        3,
        &[(5, "splice 200 by origin, direct", SERVED_WITHOUT)],
    );
}

/// Squid 3.3's words count in step 1 alone: behind a peek they decide nothing, and what they were for is spliced.
#[test]
fn words_of_two_versions() {
    hold("words_of_two_versions", "29-mixed-words", 3, &[]);
}

#[test]
fn an_end_once_the_server_has_answered() {
    hold(
        "an_end_once_the_server_has_answered",
        "30-late-end",
        3,
        &[(2, "deny 403", SPLICES_TLS_1_3), (5, "deny 403", SPLICES_TLS_1_3)],
    );
}

/// Names are resolved by Squid before it decides, and held here against what is dialled.
#[test]
fn networks_for_some() {
    hold("networks_for_some", "31-networks", 3, &[]);
}
