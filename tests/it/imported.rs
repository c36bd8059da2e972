//! Configurations of Squid, imported and run: each request ends as with Squid, or as a note has said.
//!
//! `tests/oracle/squid/NAME/` is what Squid had when it said what is in `tests/oracle/NAME.tsv`.

use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, header, prepare};
use crate::harness::{root, scratch, until};
use crate::oracle::{Origins, compare, is_inside, start_with};
use std::fs;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn case(name: &str) -> PathBuf {
    root().join("tests/oracle/squid").join(name)
}

/// Imports a file into a folder.
pub(crate) fn import(file: &Path, into: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command
        .arg("import")
        .arg(file)
        .arg("--output")
        .arg(into)
        .args(options);
    command.output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A row, what happens here instead, and the words of the note that has said so.
pub(crate) type Announced = &'static [(u32, &'static str, &'static str)];

/// Holds a case, inside of a namespace. `code` is the import's exit code.
fn hold(test: &str, name: &str, code: i32, announced: Announced) {
    if !is_inside(&format!("imported::{test}")) {
        return;
    }
    let folder = scratch();
    let into = folder.path().join("new");
    let output = import(&case(name).join("squid.conf"), &into, &["--force"]);
    let notes = said(&output);
    assert_eq!(output.status.code(), Some(code), "{notes}");
    announced_by(&notes, announced);
    Origins::start(folder.path());
    let _directory = directory(&case(name), folder.path());
    parents();
    let proxy = start(&into, folder.path());
    compare(&proxy, name, announced);
}

/// Holds that a note has said of each row that it would end otherwise.
pub(crate) fn announced_by(notes: &str, announced: Announced) {
    for (row, _, words) in announced {
        let has = |line: &str| line.contains(words) && !line.contains(": taken over: ");
        assert!(
            notes.lines().any(has),
            "row {row}: no note says {words:?}:\n{notes}"
        );
    }
}

pub(crate) fn start(imported: &Path, folder: &Path) -> Proxy {
    let config = fs::read_to_string(imported.join("wsbump.toml")).unwrap();
    // Paths are those of the folder that it was written to.
    let secrets = format!("password_file = \"{}/parent-", imported.display());
    let config = config.replace("password_file = \"parent-", &secrets);
    let pages = format!("directory = \"{}/pages\"", imported.display());
    let config = config.replace("directory = \"pages\"", &pages);
    start_with(&config, &imported.join("lists"), folder)
}

/// The parents of the cases: at two addresses, one of which wants a login. What comes by them comes from their addresses.
pub(crate) fn parents() {
    for (address, login) in [
        ("198.51.100.1", None),
        ("198.51.100.2", Some("proxyuser:proxypass")),
    ] {
        let listener = TcpListener::bind((address, 8888)).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || relay(client, address, login));
            }
        });
    }
}

/// Serves one connection with a parent.
fn relay(client: TcpStream, from: &str, login: Option<&str>) -> Option<()> {
    use base64::Engine as _;
    let mut wire = Wire::new(client.try_clone().ok()?);
    let head = wire.head()?;
    let wanted = login.map(|login| base64::engine::general_purpose::STANDARD.encode(login));
    if wanted.is_some_and(|wanted| header(&head, "proxy-authorization") != Some(&format!("Basic {wanted}"))) {
        return wire
            .try_send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            .ok();
    }
    let (method, target) = head.split_once(' ')?;
    let target = target.split(' ').next()?;
    let authority = target.trim_start_matches("http://").split('/').next()?;
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let hosts = fs::read_to_string(root().join("tests/oracle/hosts")).unwrap();
    let named = hosts
        .lines()
        .find(|line| line.split(' ').skip(1).any(|name| name == host));
    let address = named.and_then(|line| line.split(' ').next()).unwrap_or(host);
    let to = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::new(from.parse().unwrap(), 0).into())
        .unwrap();
    socket.connect(&to.into()).ok()?;
    let mut origin: TcpStream = socket.into();
    prepare(&origin);
    match method {
        "CONNECT" => wire.try_send("HTTP/1.1 200 OK\r\n\r\n").ok()?,
        _ => origin.write_all(format!("{head}\r\n\r\n").as_bytes()).ok()?,
    }
    let (mut back, mut to_client) = (origin.try_clone().ok()?, client.try_clone().ok()?);
    std::thread::spawn(move || {
        _ = std::io::copy(&mut back, &mut to_client);
        to_client.shutdown(Shutdown::Write)
    });
    let mut client = client;
    _ = std::io::copy(&mut client, &mut origin);
    origin.shutdown(Shutdown::Write).ok()
}

/// The directory of a case, if it has one: OpenLDAP on the port that the case names.
fn directory(case: &Path, folder: &Path) -> Option<Process> {
    let data = case.join("directory.ldif");
    if !data.is_file() {
        return None;
    }
    let database = folder.join("ldap");
    fs::create_dir(&database).unwrap();
    let config = folder.join("slapd.conf");
    let text = format!(
        "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch\n  \
         SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )\n\
         objectclass ( 1.2.840.113556.1.5.9 NAME 'adUser' SUP top AUXILIARY MAY ( sAMAccountName ) )\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {0}/slapd.pid\ndatabase mdb\n\
         suffix \"dc=corp,dc=example\"\nrootdn \"cn=svc-proxy,dc=corp,dc=example\"\nrootpw bind-secret\n\
         directory {0}/ldap\nmaxsize 10485760\n",
        folder.display()
    );
    fs::write(&config, text).unwrap();
    let mut load = Command::new("/usr/sbin/slapadd");
    let loaded = load.arg("-f").arg(&config).arg("-l").arg(data).output().unwrap();
    assert!(loaded.status.success(), "{}", said(&loaded));
    let mut command = Command::new("/usr/sbin/slapd");
    command
        .args(["-d", "0", "-h", "ldap://127.0.0.1:389", "-f"])
        .arg(config);
    let process = Process::start("slapd", command);
    until("slapd answers", || {
        std::net::TcpStream::connect("127.0.0.1:389").ok()
    });
    Some(process)
}

const IS_TOLD: &str = "a denial is a 403 to the CONNECT where it is known early enough";
const BOTH_NAMES: &str = "needs both names: the CONNECT target and the name in the ClientHello";
const ADDRESS_HAS_NAME: &str = "an address counts as the names that resolve to it";
const NOT_RESOLVED: &str = "names are not resolved for a decision";

#[test]
fn an_explicit_proxy_with_users() {
    hold(
        "an_explicit_proxy_with_users",
        "01-explicit-ad",
        3,
        &[
            (1, "authenticate 407 Basic", "until then Negotiate is not offered"),
            (2, "authenticate 407 Basic", "until then Negotiate is not offered"),
            (15, "deny", IS_TOLD),
        ],
    );
}

#[test]
fn an_allowlist_that_decrypts_nothing() {
    hold(
        "an_allowlist_that_decrypts_nothing",
        "03-egress-allowlist",
        3,
        &[(3, "deny 403", IS_TOLD), (4, "deny 403", BOTH_NAMES)],
    );
}

#[test]
fn exceptions_from_decryption() {
    hold(
        "exceptions_from_decryption",
        "04-bump-all-exceptions",
        3,
        &[
            (5, "bump 200 by proxy, direct via", NOT_RESOLVED),
            (9, "cert-error", "errors are not told apart"),
        ],
    );
}

#[test]
fn a_policy_beside_parents() {
    hold(
        "a_policy_beside_parents",
        "06-parent-chain",
        3,
        &[(8, "splice 200 by origin, parent", ADDRESS_HAS_NAME)],
    );
}

#[test]
fn headers_that_restrict_tenants() {
    hold("headers_that_restrict_tenants", "08-tenant-restrictions", 3, &[]);
}

#[test]
fn one_exception_in_five_ways() {
    hold(
        "one_exception_in_five_ways",
        "11-no-bump-lists",
        3,
        &[
            (2, "splice 200 by origin, direct", ADDRESS_HAS_NAME),
            (12, "bump 200 by proxy, direct via", BOTH_NAMES),
            (13, "bump 200 by proxy, direct via", NOT_RESOLVED),
        ],
    );
}

#[test]
fn rules_of_squid_3() {
    hold("rules_of_squid_3", "12-old-style", 3, &[]);
}

/// Imports a text that stands in a folder of its own.
fn import_text(text: &str, options: &[&str]) -> (Output, tempfile::TempDir) {
    let folder = scratch();
    let file = folder.path().join("squid.conf");
    fs::write(&file, text).unwrap();
    let output = import(&file, &folder.path().join("new"), options);
    (output, folder)
}

#[test]
fn the_exit_code_says_how_much_has_to_be_looked_at() {
    let taken = "http_port 127.0.0.1:3128 ssl-bump\ncache_mem 1 GB\n";
    let (output, folder) = import_text("memory_pools off\n", &[]);
    // Without rules everybody is refused, which is said.
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(folder.path().join("new/wsbump.toml").is_file());
    let (output, folder) = import_text(&format!("{taken}never_direct allow all\n"), &[]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(
        said(&output).contains("squid.conf:3: never_direct: GUARD LOST: "),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("nothing is written"), "{}", said(&output));
    assert!(!folder.path().join("new").exists());
    let (output, folder) = import_text(
        &format!("{taken}never_direct allow all\n"),
        &["--force", "--json"],
    );
    assert_eq!(output.status.code(), Some(4));
    assert!(folder.path().join("new/wsbump.toml").is_file());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["exit_code"], &json["written"]), (&4.into(), &true.into()));
    assert_eq!(json["files"][0], "wsbump.toml");
    let notes = json["notes"].as_array().unwrap();
    let lost = notes.iter().find(|note| note["outcome"] == "guard_lost").unwrap();
    assert_eq!(
        (&lost["line"], &lost["directive"]),
        (&3.into(), &"never_direct".into())
    );
    // What is there already is not replaced unasked.
    let file = folder.path().join("squid.conf");
    let again = import(&file, &folder.path().join("new"), &[]);
    assert_eq!(again.status.code(), Some(4));
    fs::write(&file, taken).unwrap();
    let again = import(&file, &folder.path().join("new"), &[]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(
        said(&again).contains("replace it with --force"),
        "{}",
        said(&again)
    );
}

/// Nobody has to look at anything, and no --force is needed.
#[test]
fn what_means_the_same_here_is_written_with_exit_code_0() {
    let text = "# A plain proxy, which lets nobody into private networks.\nhttp_port 127.0.0.1:3128\n\
        acl localnet src 198.51.100.0/24\nacl Safe_ports port 80 443\nacl CONNECT method CONNECT\n\
        acl inner dst 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16\nhttp_access deny to_localhost\n\
        http_access deny to_linklocal\nhttp_access deny inner\nhttp_access deny CONNECT !Safe_ports\n\
        http_access allow localnet\nhttp_access deny all\nforwarded_for delete\nvia off\naccess_log none\n\
        connect_timeout 10 seconds\ncache deny all\nrefresh_pattern . 0 20% 4320\ncoredump_dir /var/spool/squid\n";
    let (output, folder) = import_text(text, &["--json"]);
    let notes = said(&output);
    assert_eq!(output.status.code(), Some(0), "{notes}");
    assert!(folder.path().join("new/wsbump.toml").is_file());
    let written = [": taken over: ", ": not needed: ", "is written; next: "];
    for line in notes.lines() {
        assert!(written.iter().any(|known| line.contains(known)), "{line}");
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["exit_code"], &json["written"]), (&0.into(), &true.into()));
    let mut told = json["notes"].as_array().unwrap().iter();
    assert!(told.any(|note| note["outcome"] == "not_needed"), "{json}");
}

#[test]
fn what_squid_would_not_start_with_is_said_by_file_and_line() {
    for (text, words) in [
        (
            "\ninclude /nowhere/x.conf",
            "squid.conf:2: nothing is at \"/nowhere/x.conf\"",
        ),
        ("if what\nendif", "squid.conf:1: is no condition"),
        ("endif", "squid.conf:1: \"endif\" without \"if\""),
    ] {
        let (output, _folder) = import_text(text, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    let folder = scratch();
    let output = import(&folder.path().join("nowhere"), &folder.path().join("new"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("cannot be read"), "{}", said(&output));
}

#[test]
fn a_terminal_obeys_nothing_that_stands_in_the_file() {
    let (of_a_line, folder) = import_text("never\u{1b}[2Jheard\u{9b}of it\n", &[]);
    let nowhere = folder.path().join("no\u{1b}[2Jwhere");
    let of_an_error = import(&nowhere, &folder.path().join("other"), &[]);
    for (output, code, words) in [
        (of_a_line, 3, "never\\x1b[2Jheard\\x9bof: "),
        (of_an_error, 2, "cannot be read"),
    ] {
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        let harms = |c: char| c.is_control() && c != '\n';
        assert!(!said(&output).contains(harms), "{:?}", said(&output));
    }
    let (as_json, _folder) = import_text("never\u{7f}\u{9b}heard\u{202e}of it\n", &["--json"]);
    let text = String::from_utf8(as_json.stdout).unwrap();
    assert!(text.contains("never\\u007f\\u009bheard\\u202eof"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut notes = json["notes"].as_array().unwrap().iter();
    assert!(notes.any(|note| note["directive"] == "never\u{7f}\u{9b}heard\u{202e}of"));
}

/// The least that a configuration needs, to which each line is added.
const BASE: &str = "acl localnet src 10.0.0.0/8\nacl names dstdomain .a.example\nacl users proxy_auth REQUIRED\n\
     acl exe urlpath_regex -i \\.exe$\nacl addresses dst 192.0.2.0/24\nacl hours time MTWHF 8:00-17:00\n\
     acl step1 at_step SslBump1\nhttp_port 3128 ssl-bump\nssl_bump peek step1\nssl_bump splice names\n\
     ssl_bump bump all\nhttp_access allow localnet\nhttp_access deny all\n";

/// Each in a configuration of its own: what is written passes the check, which the import itself makes.
#[test]
fn each_directive_comes_to_a_configuration_that_passes_the_check() {
    let lines = [
        "http_access deny exe",
        "http_access deny !users",
        "http_access allow names exe",
        "http_access deny CONNECT addresses",
        "acl x any-of names addresses\nhttp_access allow !x hours",
        "acl x all-of names !addresses\nhttp_access deny !x",
        "acl x url_regex -i ^http://a/(b|c) \\.mp3$\nhttp_access deny x",
        "acl x proto FTP HTTP\nhttp_access deny x",
        "acl x method POST PUT\nhttp_access deny x names",
        "acl x browser -i ^curl wget\nhttp_access deny x",
        "acl x req_header X-Team ^red$\nhttp_access deny x",
        "acl x rep_mime_type application/x-msi\nhttp_reply_access deny x",
        "acl x proxy_auth_regex -i ^(ada|max)$\nhttp_access allow x",
        "acl x myportname second\nhttp_port 3129 name=second\nhttp_access deny x",
        "acl x localport 3128\nhttp_access deny x exe",
        "acl x random 0.5\nhttp_access deny x",
        "http_port 127.0.0.1:3130 ssl-bump cert=/nowhere/ca.pem key=/nowhere/ca.key",
        "https_port 3131 cert=/nowhere/proxy.pem",
        "http_port 3132 intercept",
        "http_port 3133 tproxy ssl-bump",
        "http_port 80 accel defaultsite=a.example",
        "http_port 3134 require-proxy-header",
        "ssl_bump terminate addresses",
        "sslproxy_cert_error allow names",
        "sslproxy_cert_error allow all",
        "sslproxy_cert_sign signUntrusted all",
        "sslproxy_cert_adapt setCommonName all",
        "sslproxy_flags DONT_VERIFY_PEER",
        "tls_outgoing_options cafile=/nowhere/roots.pem min-version=1.2 options=NO_SSLv3 default-ca=on flags=DONT_VERIFY_PEER",
        "http_upgrade_request_protocols websocket allow all",
        "http_upgrade_request_protocols websocket deny names",
        "http_upgrade_request_protocols OTHER allow all",
        "cache_peer 198.51.100.1 parent 3128 0 no-query default login=a:b",
        "cache_peer parent.example parent 3128 0 name=p tls\ncache_peer_access p allow names",
        "never_direct allow all",
        "always_direct allow names",
        "auth_param basic program /usr/lib/squid/basic_ncsa_auth /nowhere/passwd",
        "auth_param basic program /usr/lib/squid/basic_ldap_auth -b dc=a,dc=example -D cn=p,dc=a -w secret -f uid=%s -h ldap.example",
        "auth_param basic program /usr/lib/squid/basic_ldap_auth -b dc=a -u cn -H ldaps://ldap.example",
        "auth_param basic program /usr/lib/squid/basic_radius_auth -f /nowhere",
        "auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -k /nowhere/keytab",
        "auth_param ntlm program /usr/bin/ntlm_auth --helper-protocol=squid-2.5-ntlmssp",
        "auth_param basic realm Our \"proxy\"\nauth_param basic credentialsttl 2 hours\nauth_param basic children 5",
        "external_acl_type g ttl=60 %LOGIN /usr/lib/squid/ext_ldap_group_acl -b ou=g -f (&(cn=%g)(member=%u)) -F uid=%s -B ou=p -h l.example\nacl x external g staff\nhttp_access allow x",
        "external_acl_type g %LOGIN /usr/lib/squid/ext_wbinfo_group_acl\nacl x external g 'Domain\\Web Users'\nhttp_access deny !x",
        "icap_enable on\nicap_service s reqmod_precache bypass=1 icap://127.0.0.1:1344/s\nadaptation_access s allow all",
        "request_header_access From deny !localnet",
        "request_header_access All deny all",
        "request_header_add X-A \"b \\\"c\\\"\" names",
        "request_header_access User-Agent deny all\nrequest_header_replace User-Agent Mozilla/5.0 (x; y)",
        "reply_header_access Server deny all",
        "follow_x_forwarded_for allow localnet",
        "forwarded_for delete\nvia off",
        "tcp_outgoing_address 192.0.2.1 localnet",
        "dns_nameservers 192.0.2.53 2001:db8::53 x\ndns_v4_first on\nappend_domain .a.example\nhosts_file /etc/hosts",
        "deny_info ERR_X names",
        "logformat x %ts %>a %ru\naccess_log stdio:/var/log/squid/access.log x",
        "access_log none",
        "connect_timeout 10 seconds\nread_timeout 15 minutes\nrequest_timeout 5 minutes\nshutdown_lifetime 3 seconds\ndns_timeout 30 seconds",
        "client_lifetime 1 day\nclient_idle_pconn_timeout 2 minutes\npositive_dns_ttl 6 hours\nnegative_dns_ttl 1 minute",
        "visible_hostname p.example\ncache_mgr help@a.example",
        "store_id_program /x\nurl_rewrite_program /usr/bin/squidGuard -c /x",
        "delay_pools 1\ndelay_class 1 1",
        "cache_dir ufs /var/spool/squid 100 16 256\nrefresh_pattern . 0 20% 4320\nsslcrtd_program /x -s /y -M 4MB\ncoredump_dir /x\npinger_enable off\ncachemgr_passwd x all",
        "request_header_max_size 64 KB\nclient_ip_max_connections 32",
        "on_unsupported_protocol tunnel all",
        "what_is_this on",
    ];
    for line in lines {
        let (output, folder) = import_text(&format!("{line}\n{BASE}"), &["--force"]);
        let notes = said(&output);
        assert!(matches!(output.status.code(), Some(3 | 4)), "{line}: {notes}");
        for number in 1..=line.lines().count() {
            let has = |note: &str| note.contains(&format!("squid.conf:{number}: "));
            assert!(
                notes.lines().any(has),
                "{line}: nothing is said of line {number}: {notes}"
            );
        }
        if line.contains(" -w secret") {
            let secret = folder.path().join("new/bind-password");
            assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_to_string(secret).unwrap(), "secret\n");
            assert!(
                !fs::read_to_string(folder.path().join("new/wsbump.toml"))
                    .unwrap()
                    .contains("-w secret"),
                "a password is in a comment"
            );
        }
    }
}

/// A configuration that Squid would take, or would not, with a byte, a line or its end gone: what is written of it passes the
/// check, or the message has the file and the line.
#[test]
fn whatever_is_made_of_a_configuration_passes_the_check() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below.max(1)).unwrap()).unwrap()
    };
    let mut cases: Vec<_> = fs::read_dir(root().join("tests/oracle/squid"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("squid.conf"))
        .collect();
    cases.sort();
    let texts: Vec<_> = cases.iter().map(|case| fs::read(case).unwrap()).collect();
    let lines: Vec<_> = texts
        .iter()
        .flat_map(|text| text.split(|b| *b == b'\n'))
        .collect();
    let folder = scratch();
    let file = folder.path().join("squid.conf");
    for turn in 0..400 {
        let mut text = texts[random(texts.len())].clone();
        match turn % 4 {
            0 => text.truncate(random(text.len())),
            1 => {
                for _ in 0..=random(4) {
                    let at = random(text.len());
                    text[at] = u8::try_from(random(256)).unwrap();
                }
            }
            2 => {
                let mut mixed: Vec<_> = text.split(|b| *b == b'\n').collect();
                for _ in 0..8 {
                    let (one, two) = (random(mixed.len()), random(mixed.len()));
                    mixed.swap(one, two);
                }
                text = mixed.join(&b'\n');
            }
            _ => {
                let some: Vec<_> = (0..random(60)).map(|_| lines[random(lines.len())]).collect();
                text = some.join(&b'\n');
            }
        }
        fs::write(&file, &text).unwrap();
        let shown = || String::from_utf8_lossy(&text).into_owned();
        let imported = match wsbump::import::import(&file, wsbump::import::Wishes::default()) {
            Ok(imported) => imported,
            Err(error) => {
                let (_, line) = error.place.rsplit_once(':').unwrap();
                assert!(line.parse::<usize>().is_ok(), "{error}: {}", shown());
                continue;
            }
        };
        let into = folder.path().join(format!("new-{turn}"));
        for file in &imported.files {
            let path = into.join(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.text).unwrap();
            if file.is_secret {
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
        let source = wsbump::settings::reload::ConfigSource {
            config: Some(into.join("wsbump.toml")),
            data_dir: Some(into.join("data")),
            ..Default::default()
        };
        if let Err(problems) = source.load() {
            panic!("{problems}\n{}\n{}", imported.files[0].text, shown());
        }
        fs::remove_dir_all(into).unwrap();
    }
}
