//! The hours of rules, by a clock that the test sets: what `wsbump explain --time` says of an hour is done at that hour.

use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, connect, dial};
use crate::harness::scratch;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const RULES: &str = "
[policy]
time_zone = 'Europe/Berlin'
[[policy.rule]]
name = 'no-office'
hosts = ['office']
time = ['Mon-Fri 08:00-18:00']
action = 'deny'
[[policy.rule]]
name = 'no-night'
hosts = ['night']
time = ['Fri 22:00-06:00']
action = 'deny'
[[policy.rule]]
name = 'no-weekend'
hosts = ['weekend']
time = ['Sat,Sun']
action = 'deny'
[[policy.rule]]
name = 'at-lunch'
hosts = ['lunch']
time = ['12:00-13:00']
action = 'allow'
[[policy.rule]]
name = 'no-lunch'
hosts = ['lunch']
action = 'deny'
";
const NAMES: [&str; 4] = ["office", "night", "weekend", "lunch"];

/// Moments, what a clock in Berlin shows then, and what is denied. The proxy's clock is set to each, one after the other.
const MOMENTS: [(&str, &str, &[&str]); 12] = [
    ("2024-12-06 06:59:59", "Fri 07:59", &["lunch"]),
    ("2024-12-06 07:00:00", "Fri 08:00", &["office", "lunch"]),
    ("2024-12-06 11:00:00", "Fri 12:00", &["office"]),
    ("2024-12-06 12:00:00", "Fri 13:00", &["office", "lunch"]),
    ("2024-12-06 16:59:59", "Fri 17:59", &["office", "lunch"]),
    ("2024-12-06 17:00:00", "Fri 18:00", &["lunch"]),
    ("2024-12-06 21:00:00", "Fri 22:00", &["night", "lunch"]),
    // The night belongs to the day on which it begins.
    ("2024-12-07 04:59:59", "Sat 05:59", &["night", "weekend", "lunch"]),
    ("2024-12-07 05:00:00", "Sat 06:00", &["weekend", "lunch"]),
    ("2024-12-08 23:00:00", "Mon 00:00", &["lunch"]),
    // In summer the zone's clocks are an hour ahead.
    ("2025-07-04 05:59:59", "Fri 07:59", &["lunch"]),
    ("2025-07-04 06:00:00", "Fri 08:00", &["office", "lunch"]),
];

/// A clock that shows what is written into a file, and stands still.
struct Clock {
    folder: tempfile::TempDir,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { folder: scratch() };
        clock.set(MOMENTS[0].0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("now")
    }

    fn set(&self, moment: &str) {
        let new = self.folder.path().join("next");
        std::fs::write(&new, moment).unwrap();
        // Never seen half written.
        std::fs::rename(new, self.file()).unwrap();
    }

    /// The proxy is told the time by libfaketime, in the place of the kernel; timers go on as ever.
    fn told_to(&self, setup: Setup) -> Setup {
        let set = Path::new("1");
        setup
            .env("LD_PRELOAD", Path::new("/usr/$LIB/faketime/libfaketime.so.1"))
            .env("FAKETIME_TIMESTAMP_FILE", &self.file())
            .env("FAKETIME_NO_CACHE", set)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", set)
            .env("NO_FAKE_STAT", set)
            .env("TZ", Path::new("UTC"))
    }
}

fn start(clock: &Clock) -> Proxy {
    let mut setup = clock.told_to(Setup::new());
    let mut config = String::new();
    for name in NAMES {
        let host = format!("{name}.test");
        setup = setup.file(name, &format!("{host}\n")).host(&host, "127.0.0.1");
        writeln!(
            config,
            "[[list]]\nname = '{name}'\nfile = '{name}'\nformat = 'domains'"
        )
        .unwrap();
    }
    setup.config(&(config + RULES)).start()
}

/// What `wsbump explain` says of a time: the action and the rule.
fn explained(proxy: &Proxy, time: &str, url: &str) -> (String, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command.args(["explain", "--json", "--time", time, url]);
    command.arg("--config").arg(proxy.folder().join("wsbump.toml"));
    // The proxy's CA is of another time.
    command.arg("--data-dir").arg(proxy.folder().join("no data"));
    let done = Process::start("wsbump explain", command).finish();
    assert!(done.status.success(), "{time} {url}: {:?}", done.err);
    let said: Value = serde_json::from_str(&done.out.join("\n")).unwrap();
    (said["action"].as_str().unwrap().to_owned(), said["rule"].clone())
}

#[test]
fn what_explain_says_of_an_hour_is_done_at_that_hour() {
    let clock = Clock::new();
    let proxy = start(&clock);
    let port = origins::plain_aiohttp().port;
    // It lives through all of it.
    let mut client = Wire::new(dial(&proxy.address));
    for (moment, shown, denied) in MOMENTS {
        clock.set(moment);
        for name in NAMES {
            let (host, is_denied) = (format!("{name}.test:{port}"), denied.contains(&name));
            let url = format!("http://{host}/status/204");
            let (wanted, status, connected) = if is_denied {
                ("deny", 403, 403)
            } else {
                ("bump", 204, 200)
            };
            let (action, rule) = explained(&proxy, shown, &url);
            assert_eq!(action, wanted, "{shown}: {name} by {rule}");

            client.send(format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(client.answer().status, status, "{shown}: {name}");
            let line = proxy.log("request", |line| {
                let time = line["time"].as_str().unwrap();
                time.starts_with(&moment.replace(' ', "T")) && line["url"] == *url
            });
            assert_eq!(line["rule"], rule, "{shown}: {line}");

            let (_, answer) = connect(&proxy, &host);
            assert_eq!(answer.status, connected, "{shown}: {name}");
        }
    }
}
