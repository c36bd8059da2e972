//! A real Squid says which targets a list covers; wsbump has to say the same.
//!
//! Squid is asked by CONNECT, with a header that picks the list. Nothing is dialled: a target on the list is
//! refused with one status and every other target with another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use wsbump::decide::{Format, List};
use wsbump::wire::names::{Authority, Host};

const ON_THE_LIST: u16 = 409;
const NOT_ON_IT: u16 = 403;

struct Case {
    /// The type of Squid's ACL that reads the list, with its options.
    acl: &'static str,
    text: String,
    format: Format,
    ignore_case: bool,
}

struct Squid {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Squid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find_squid() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/local/squid/sbin"].map(PathBuf::from))
        .map(|dir| dir.join("squid"))
        .find(|file| file.is_file())
        .expect("Squid is the oracle of this test and is not installed: run tests/setup.sh")
}

impl Squid {
    /// Starts Squid with one ACL for each case and waits until it accepts connections.
    fn start(cases: &[Case]) -> Self {
        let program = find_squid();
        // The port is free when asked for, but not reserved: somebody else may take it before Squid does.
        let mut failures = String::new();
        for _ in 0..5 {
            match Self::try_start(&program, cases) {
                Ok(squid) => return squid,
                Err(output) => failures.push_str(&output),
            }
        }
        panic!("Squid does not start:\n{failures}");
    }

    fn try_start(program: &Path, cases: &[Case]) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut config = format!(
            "http_port 127.0.0.1:{port}\npid_filename none\ncache deny all\naccess_log none\ncache_log /dev/null\n\
             cache_store_log none\nnetdb_filename none\ncoredump_dir none\npinger_enable off\n\
             shutdown_lifetime 0 seconds\nvisible_hostname localhost\ndns_nameservers 127.0.0.1\n"
        );
        for (i, case) in cases.iter().enumerate() {
            let file = dir.path().join(format!("list{i}"));
            std::fs::write(&file, &case.text).unwrap();
            let acl = case.acl;
            let file = file.display();
            write!(
                config,
                "acl pick{i} req_header X-List ^{i}$\nacl list{i} {acl} \"{file}\"\n\
                 deny_info {ON_THE_LIST}:ERR_ACCESS_DENIED list{i}\nhttp_access deny pick{i} list{i}\n"
            )
            .unwrap();
        }
        config.push_str("http_access deny all\n");
        let file = dir.path().join("squid.conf");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(program)
            // A service name of its own keeps its shared memory apart from that of other instances.
            .args(["-N", "-d1", "-n", &format!("lists{port}"), "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let squid = Self {
            child,
            port,
            _dir: dir,
        };
        let mut output = String::new();
        while stderr.read_line(&mut output).unwrap() > 0 {
            if output.contains("invalid regular expression") || output.contains("regcomp(3) failure") {
                panic!("a pattern of this test is refused by Squid:\n{output}");
            }
            if output.contains("Accepting HTTP Socket connections") {
                // Squid must never wait for somebody to read what it logs.
                std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
                return squid.listening(output);
            }
        }
        Err(output)
    }

    /// Squid says that it accepts connections a moment before it listens.
    fn listening(mut self, output: String) -> Result<Self, String> {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if self.child.try_wait().unwrap().is_some() {
                return Err(output);
            }
            std::thread::yield_now();
        }
        Ok(self)
    }

    /// Whether Squid finds `target`, as a client writes it, on list `i`.
    fn has(&self, i: usize, target: &str) -> bool {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nX-List: {i}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        match std::str::from_utf8(&status).unwrap()[9..].parse().unwrap() {
            ON_THE_LIST => true,
            NOT_ON_IT => false,
            other => panic!("Squid answers {other} to CONNECT {target}"),
        }
    }
}

/// What the request parser of wsbump makes of `host:port`.
fn authority(target: &str) -> Authority {
    let (host, port) = target.rsplit_once(':').unwrap();
    let host = match host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
    {
        Ok(ip) => Host::Ip(ip),
        Err(_) => Host::Name(host.trim_end_matches('.').to_ascii_lowercase()),
    };
    Authority {
        host,
        port: port.parse().unwrap(),
    }
}

fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const ARTICLE: &str =
    "^wss-(backup|primary|mobile)\\.slack\\.com:443$\n^([^/][^/]*\\.)*slack-msgs\\.com:443$\n";

/// One file each: what POSIX, glibc and Squid's file reader are known to do in their own way.
const TRICKY: &[&str] = &[
    r"^[\.]*slack",
    r"slack[\.-]com",
    r"\<slack\>",
    r"\bmsgs\b",
    r"\Back",
    r"^\w+:443$",
    r"^\W",
    r"^wss\S+$",
    r"\`slack.com:443\'",
    r"\d",
    r"^sl[[:alpha:]]{3}\.com",
    r"^[[:alnum:].-]+:[[:digit:]]{3}$",
    r"^[^[:digit:]]+:443$",
    r"[[.-.]]msgs",
    r"sl[[=a=]]ck",
    r"^[]a[]",
    r"^\[2001:db8:",
    r"^[[]2001",
    r"^[0-9]{1,3}(\.[0-9]{1,3}){3}:",
    r"(a|b){2}",
    r"s{,2}-",
    r"^x{0}slack",
    "s**-+",
    "^(|www\\.)slack",
    "a||zzz",
    "()zzz|^slack",
    "slack^",
    "com:443$|^b",
    ".*",
    "^.*\\.slack",
    ".*msgs.*",
    "^.*.*^slack",
    "}|zzz",
    "[A-Z]ss",
    "WSS-[P-R]",
    "[A-z]-msgs",
    "# only a comment\n\n   \t \n^slack\\.com:443$",
    "   ^slack\\.com:443$   ",
    "\t^slack\\.com:443$\t# behind a pattern",
    "^slack\\.com:443$#no comment",
    "^slack\\.com:443$\r\n^wss-mobile\r\n",
    "^slack\\.com :443$",
    "+i\n^SLACK\n-i\n^WSS-M",
    "-i\n^SLACK\n+i\n^WSS-M",
    "-i ^slack",
    "-i\n-i\n^SLACK\n+i\n+i\n^WSS-M\n-i\n^X",
    "^wss-primary",
    "slack-msgs.com",
    "\\.com:8443$",
    "(^|\\.)slack\\.com:443$",
    "^(.*\\.)?slack\\.com:443$",
    "^([a-z]+\\.)+slack\\.com:443$",
    "^[^.]+\\.slack\\.com:443$",
    "%2e",
];

fn targets() -> Vec<String> {
    let hosts = [
        "slack.com",
        "SLACK.com",
        "Slack.Com.",
        "slack.com...",
        "wss-primary.slack.com",
        "WSS-PRIMARY.SLACK.COM",
        "wss-Mobile.slack.com.",
        "wss-backup.slack.com",
        "wss-backupx.slack.com",
        "xwss-backup.slack.com",
        "wss-backup.slack.com.evil.example",
        "wss-backupxslackxcom",
        "slack-msgs.com",
        "a.slack-msgs.com",
        "a.b.c.slack-msgs.com",
        "xslack-msgs.com",
        "x-slack-msgs.com",
        "slack-msgs.com.example",
        "slack_msgs.com",
        "www.slack.com",
        "notslack.com",
        "edge.cloud.microsoft",
        "cloud.microsoft",
        "xcloud.microsoft",
        "x.usercontent.microsoft",
        "g.whatsapp.net",
        "whatsapp.net.example",
        "chat.signal.org",
        "x.chat.signal.org",
        "textsecure-service.whispersystems.org",
        "courier.push.apple.com",
        "17-courier.push.apple.com",
        "x-courier.push.apple.com",
        "p1.icloud.com",
        "icloud.com",
        "mercury-connection-a.wbx2.com",
        "ciscospark.com",
        "bb.example",
        "a",
        "b",
        "localhost",
        "192.0.2.1",
        "10.0.0.1",
        "[2001:db8::1]",
        "[2001:DB8:0:0::A]",
        "[::1]",
        "[::ffff:192.0.2.1]",
        "[::192.0.2.1]",
        "[2001:db8:0:1:1:1:1:1]",
        "[64:ff9b::192.0.2.33]",
    ];
    let every_third = hosts.iter().step_by(3);
    let elsewhere = every_third.flat_map(|host| [80, 5223, 8443].map(|port| format!("{host}:{port}")));
    hosts
        .iter()
        .map(|host| format!("{host}:443"))
        .chain(elsewhere)
        .collect()
}

#[test]
fn squid_and_wsbump_find_the_same_targets_on_a_list() {
    let mut cases = Vec::new();
    let mut add = |text: String| {
        for (ignore_case, acl) in [(true, "url_regex -i"), (false, "url_regex")] {
            cases.push(Case {
                acl,
                text: text.clone(),
                format: Format::UrlRegex,
                ignore_case,
            });
        }
    };
    add(ARTICLE.to_owned());
    for file in ["wslist", "whitelist"] {
        add(shipped(file));
    }
    TRICKY.iter().for_each(|text| add((*text).to_owned()));
    add(TRICKY[..28].join("\n"));

    compare(&cases);
}

/// What is searched for in a host alone, where a port or the brackets of an address could be in the way.
const HOST_TRICKY: &[&str] = &[
    r"\.com$",
    r"^slack\.com$",
    r"slack\.com$",
    r"(^|\.)slack\.com$",
    r"^([^/][^/]*\.)*slack-msgs\.com$",
    "^(.*\\.)?slack\\.com$",
    r"^[^.]+\.slack\.com$",
    ":443$",
    ":",
    "443",
    r"^2001:db8::1$",
    r"^\[2001:db8::1\]$",
    r"\]$",
    "1$",
    r"^192\.0\.2\.1$",
    r"^[0-9.]+$",
    r"^[^.]+$",
    "^a$|^b$",
    "SLACK",
    "^-i$",
    "-i\n^SLACK\\.COM$\n+i\n^WSS",
    "^slack\\.com$ # behind a pattern\n# none\n",
    "net$",
    "",
];

#[test]
fn squid_and_wsbump_search_a_host_the_same_way() {
    let mut cases = Vec::new();
    for text in HOST_TRICKY.iter().chain(TRICKY) {
        for (ignore_case, acl) in [
            (true, "dstdom_regex -n -i"),
            (false, "dstdom_regex -n"),
            (true, "ssl::server_name_regex -i"),
            (false, "ssl::server_name_regex"),
        ] {
            cases.push(Case {
                acl,
                text: (*text).to_owned(),
                format: Format::HostRegex,
                ignore_case,
            });
        }
    }
    compare(&cases);
}

#[test]
fn squid_and_wsbump_read_domains_the_same_way() {
    let lists = [
        "slack.com\nWWW.Slack.com # other\n  # none\n",
        ".slack.com\n.microsoft\n\n",
        ".Slack-msgs.COM\nlocalhost\na\n",
        "example\n.slack.com.evil.example\n.chat.signal.org\n",
        "a.slack-msgs.com\n.b.c.slack-msgs.com\n.icloud.com\n.slack_msgs.com\n",
        "192.0.2.1\n.example\n",
    ];
    let case = |text: &str| Case {
        // Without -n Squid would resolve addresses back to names.
        acl: "dstdomain -n",
        text: text.to_owned(),
        format: Format::Domains,
        ignore_case: false,
    };
    compare(&lists.map(case));
}

/// Asks Squid and wsbump for every target on every list.
fn compare(cases: &[Case]) {
    let squid = Squid::start(cases);
    let targets = targets();
    let mut wrong = String::new();
    let (mut asked, mut found) = (0, 0);
    for (i, case) in cases.iter().enumerate() {
        let list = List::parse("list", &case.text, case.format, case.ignore_case)
            .unwrap_or_else(|e| panic!("{:?}: {e:?}", case.text));
        for target in &targets {
            let (theirs, ours) = (squid.has(i, target), list.find(&authority(target)).is_some());
            asked += 1;
            found += usize::from(theirs);
            if theirs != ours {
                writeln!(
                    wrong,
                    "{target} on {} {:?}: Squid {theirs}, wsbump {ours}",
                    case.acl, case.text
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(
        found > asked / 20 && found < asked / 2,
        "{found} of {asked} found: the cases say too little"
    );
}

#[test]
fn the_whitelist_is_all_vendor_lists_in_one() {
    let patterns = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let mut single = Vec::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/lists");
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let text = shipped(&format!("lists/{file}"));
        List::parse(&file, &text, Format::UrlRegex, true).unwrap();
        // Nobody can judge an entry later that does not say why it is there.
        assert!(
            text.contains("# reason: ") && text.contains("source: ") && text.contains("date: 20"),
            "{file}"
        );
        single.extend(patterns(&text));
    }
    let mut whole = patterns(&shipped("whitelist"));
    single.sort();
    whole.sort();
    assert_eq!(whole, single);
    assert_eq!(patterns(&shipped("wslist")).join("\n") + "\n", ARTICLE);
}
