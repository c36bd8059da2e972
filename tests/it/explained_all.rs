//! `wsbump explain` held against the proxy, over everything that it can be asked: each question is put to both.

use crate::harness::certs::ROOT_NAME;
use crate::harness::logins::basic;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Plain, start_tls_with};
use crate::harness::until;
use crate::oracle::{believing, dial_from, issuer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The password of both is "secret"; by openssl passwd.
const USERS: &str = "ada:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\nmax:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n";
const RULES: &str = "
[[policy.rule]]
name = 'bad'
hosts = ['bad']
action = 'deny'
[[policy.rule]]
name = 'guests'
clients = ['127.0.0.2']
except_hosts = ['good']
action = 'deny'
[[policy.rule]]
name = 'watched'
hosts = ['good']
action = 'deny'
mode = 'observe'
[[policy.rule]]
name = 'lan-only'
hosts = ['inner']
listeners = ['proxy']
action = 'deny'
[[policy.rule]]
name = 'port'
ports = [9]
action = 'deny'
[[policy.rule]]
name = 'no-posts'
hosts = ['good']
methods = ['POST']
action = 'deny'
[[policy.rule]]
name = 'no-admin'
hosts = ['good']
path = '^/admin'
action = 'deny'
[[policy.rule]]
name = 'no-chat'
hosts = ['good']
upgrade = ['websocket']
path = '^/chat'
action = 'deny'
[[policy.rule]]
name = 'blind'
hosts = ['blind']
action = 'splice'
[[policy.rule]]
name = 'good'
hosts = ['good']
action = 'allow'
[[policy.rule]]
name = 'not-max'
hosts = ['secret']
users = ['CORP\\max']
action = 'deny'
[[policy.rule]]
name = 'staff'
hosts = ['secret']
groups = ['Staff']
action = 'allow'
[[policy.rule]]
name = 'secret'
hosts = ['secret']
action = 'deny'
";

/// One question.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// `HOST`, for CONNECT, or a URL without its port.
    target: &'static str,
    client: &'static str,
    listener: &'static str,
    user: Option<(&'static str, &'static str)>,
    sni: Option<&'static str>,
    method: &'static str,
    /// Where it is not the target's.
    port: Option<u16>,
}

fn of(target: &'static str) -> Asked {
    Asked {
        target,
        client: "127.0.0.1",
        listener: "proxy",
        user: None,
        sni: None,
        method: "GET",
        port: None,
    }
}

/// All of them, with what is wanted of both: the action and the rule.
fn questions() -> Vec<(Asked, &'static str, Option<&'static str>)> {
    let ada = Some(("ADA@corp.example", "staff"));
    let max = Some((r"CORP\max", "guests"));
    let eve = Some(("max", "guests"));
    vec![
        (of("plain.test"), "bump", None),
        (of("https://plain.test/x"), "bump", None),
        (of("http://plain.test/x"), "bump", None),
        (of("bad.test"), "deny", Some("bad")),
        (of("http://bad.test/x"), "deny", Some("bad")),
        (
            Asked {
                sni: Some("bad.test"),
                ..of("plain.test")
            },
            "deny",
            Some("bad"),
        ),
        (of("blind.test"), "splice", Some("blind")),
        (of("https://blind.test/admin"), "splice", Some("blind")),
        // One name alone carries nobody through.
        (
            Asked {
                sni: Some("blind.test"),
                ..of("plain.test")
            },
            "bump",
            None,
        ),
        (
            Asked {
                sni: Some("plain.test"),
                ..of("blind.test")
            },
            "bump",
            None,
        ),
        (
            Asked {
                client: "127.0.0.2",
                ..of("plain.test")
            },
            "deny",
            Some("guests"),
        ),
        (
            Asked {
                client: "127.0.0.2",
                ..of("http://plain.test/")
            },
            "deny",
            Some("guests"),
        ),
        (
            Asked {
                client: "127.0.0.2",
                ..of("good.test")
            },
            "bump",
            Some("good"),
        ),
        (
            Asked {
                client: "127.0.0.2",
                ..of("http://good.test/")
            },
            "bump",
            Some("good"),
        ),
        (of("inner.test"), "deny", Some("lan-only")),
        (
            Asked {
                listener: "lan",
                ..of("inner.test")
            },
            "bump",
            None,
        ),
        (
            Asked {
                listener: "lan",
                ..of("http://inner.test/")
            },
            "bump",
            None,
        ),
        (
            Asked {
                port: Some(9),
                ..of("plain.test")
            },
            "deny",
            Some("port"),
        ),
        (of("https://good.test/open"), "bump", Some("good")),
        (
            Asked {
                method: "POST",
                ..of("https://good.test/open")
            },
            "deny",
            Some("no-posts"),
        ),
        (
            Asked {
                method: "POST",
                ..of("http://good.test/open")
            },
            "deny",
            Some("no-posts"),
        ),
        (of("https://good.test/admin/x?y=1"), "deny", Some("no-admin")),
        (of("https://good.test/x/../%61dmin"), "deny", Some("no-admin")),
        (of("http://good.test//admin"), "deny", Some("no-admin")),
        (of("wss://good.test/chat"), "deny", Some("no-chat")),
        (of("https://good.test/chat"), "bump", Some("good")),
        (of("ws://good.test/chat"), "deny", Some("no-chat")),
        (of("secret.test"), "authenticate", Some("not-max")),
        (of("http://secret.test/"), "authenticate", Some("not-max")),
        (
            Asked {
                user: ada,
                ..of("secret.test")
            },
            "bump",
            Some("staff"),
        ),
        (
            Asked {
                user: ada,
                ..of("https://secret.test/x")
            },
            "bump",
            Some("staff"),
        ),
        (
            Asked {
                user: ada,
                ..of("http://secret.test/x")
            },
            "bump",
            Some("staff"),
        ),
        (
            Asked {
                user: max,
                ..of("secret.test")
            },
            "deny",
            Some("not-max"),
        ),
        (
            Asked {
                user: eve,
                ..of("http://secret.test/x")
            },
            "deny",
            Some("not-max"),
        ),
        (of("now.test"), "deny", Some("now")),
        (of("http://now.test/"), "deny", Some("now")),
        (of("then.test"), "bump", None),
    ]
}

/// The days around today, and the others: a test may run over midnight.
fn days() -> (String, String) {
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86400;
    // The first of January 1970 was a Thursday.
    let today = usize::try_from((since + 3) % 7).unwrap();
    let around: BTreeSet<_> = [today + 6, today, today + 1].map(|day| day % 7).into();
    let written = |is: bool| {
        let some = (0..7)
            .filter(|day| around.contains(day) == is)
            .map(|day| days[day]);
        some.collect::<Vec<_>>().join(",")
    };
    (written(true), written(false))
}

fn start() -> Proxy {
    let names = ["bad", "blind", "good", "inner", "secret", "now", "then"];
    let (now, then) = days();
    let mut config = String::from(
        "[[listener]]\nname = 'lan'\nkind = 'http'\naddress = ['127.0.0.1:0']\n[[policy.setting]]\nallow_invalid_certificate = true\n\
         [auth]\ndomains = ['corp.example']\nnetbios = ['CORP']\n[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n[policy]\ntime_zone = 'UTC'\n",
    );
    let mut setup = Setup::new()
        .file("users", USERS)
        .file("groups", "Staff: ada\nguests: max\n");
    for (name, time) in [("now", now), ("then", then)] {
        write!(
            config,
            "[[policy.rule]]\nname = '{name}'\nhosts = ['{name}']\ntime = ['{time}']\naction = 'deny'\n"
        )
        .unwrap();
    }
    for name in names {
        write!(
            config,
            "[[list]]\nname = '{name}'\nfile = '{name}'\nformat = 'domains'\n"
        )
        .unwrap();
        let host = format!("{name}.test");
        setup = setup.file(name, &format!("{host}\n")).host(&host, "127.0.0.1");
    }
    setup
        .host("plain.test", "127.0.0.1")
        .config(&(config + RULES))
        .start()
}

impl Asked {
    /// Its scheme, its host with the port of an origin, and its path.
    fn parts(&self) -> (Option<&'static str>, String, &'static str) {
        let (scheme, rest) = match self.target.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, self.target),
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let port = self.port.unwrap_or_else(|| match scheme {
            Some("http" | "ws") => origins::plain_aiohttp().port,
            _ => origins::aiohttp().port,
        });
        (scheme, format!("{host}:{port}"), path)
    }

    /// What `wsbump explain` says.
    fn explained(&self, proxy: &Proxy) -> Value {
        let (scheme, host, path) = self.parts();
        let target = scheme.map_or_else(|| host.clone(), |scheme| format!("{scheme}://{host}{path}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command.args([
            "explain",
            "--json",
            "--client",
            self.client,
            "--listener",
            self.listener,
        ]);
        command.arg("--config").arg(proxy.folder().join("wsbump.toml"));
        command.arg("--data-dir").arg(proxy.folder().join("data"));
        if let Some((user, group)) = self.user {
            command.args(["--user", user, "--group", group]);
        }
        if let Some(sni) = self.sni {
            command.args(["--sni", sni]);
        }
        if scheme.is_some() {
            command.args(["--method", self.method]);
        }
        command.arg(target);
        let done = Process::start("wsbump explain", command).finish();
        assert!(done.status.success(), "{self:?}: {:?}", done.err);
        serde_json::from_str(&done.out.join("\n")).unwrap()
    }

    /// What the proxy does, as its log says it: the action and the rule.
    fn done(&self, proxy: &Proxy) -> (String, Value) {
        let before = proxy.log_so_far("connection").len();
        self.ask(proxy);
        let line = until("the line of the connection", || {
            let lines = proxy.log_so_far("connection");
            lines.get(before).cloned()
        });
        let requests = proxy.log_so_far("request");
        let request = requests
            .iter()
            .rfind(|request| request["connection"] == line["connection"]);
        let decided = request.unwrap_or(&line);
        let action = match (decided["status"].as_u64(), line["action"].as_str().unwrap()) {
            (Some(407), _) => "authenticate",
            (Some(403), _) => "deny",
            (_, "serve") => "bump",
            (_, action) => action,
        };
        (action.to_owned(), decided["rule"].clone())
    }

    fn ask(&self, proxy: &Proxy) {
        let (scheme, host, path) = self.parts();
        let credentials = self.user.map_or_else(String::new, |(user, _)| {
            format!("Proxy-Authorization: {}\r\n", basic(user, "secret"))
        });
        let upgrade = match scheme {
            Some("ws" | "wss") => {
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            }
            _ => "",
        };
        let fields = format!("Host: {host}\r\nContent-Length: 0\r\n{upgrade}");
        let address = match self.listener {
            "proxy" => proxy.address.clone(),
            name => proxy.listener(name),
        };
        let mut wire: Plain = dial_from(self.client.parse().unwrap(), &address);
        if let Some(scheme @ ("http" | "ws")) = scheme {
            let method = self.method;
            wire.send(format!(
                "{method} {scheme}://{host}{path} HTTP/1.1\r\n{fields}{credentials}\r\n"
            ));
            wire.answer();
            return;
        }
        wire.send(format!(
            "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{credentials}\r\n"
        ));
        let head = wire.head().unwrap();
        if !head.starts_with("HTTP/1.1 200 ") {
            return;
        }
        let (name, port) = host.rsplit_once(':').unwrap();
        let named = format!("{}:{port}", self.sni.unwrap_or(name));
        let mut client = start_tls_with(wire, &named, believing(true));
        let rustls::StreamOwned { conn, sock } = &mut client.stream;
        while conn.is_handshaking() {
            if conn.complete_io(sock).is_err() {
                return;
            }
        }
        let is_spliced = issuer(&client.leaf()) == ROOT_NAME;
        if scheme.is_some() {
            client.send(format!("{} {path} HTTP/1.1\r\n{fields}\r\n", self.method));
            client.answer();
        }
        drop(client);
        let line = proxy.log("connection", |line| {
            line["target"] == host && (line["action"] == "splice") == is_spliced
        });
        assert_eq!(line["action"] == "splice", is_spliced, "{self:?}: {line}");
    }
}

#[test]
fn what_is_explained_is_done() {
    let proxy = start();
    let mut wrong = String::new();
    for (asked, action, rule) in questions() {
        let said = asked.explained(&proxy);
        let rule = rule.map_or(Value::Null, Value::from);
        let (said_action, said_rule) = (said["action"].as_str().unwrap(), &said["rule"]);
        let (done, by) = asked.done(&proxy);
        if (said_action, said_rule) != (action, &rule) || (&*done, &by) != (action, &rule) {
            writeln!(
                wrong,
                "{asked:?}: wanted {action} by {rule}; explained {said_action} by {said_rule}; done {done} by {by}"
            )
            .unwrap();
        }
        // Why the rules above have not decided is told of each, until one does.
        let steps = said["steps"].as_array().unwrap();
        assert!(!steps.is_empty(), "{asked:?}: {said}");
        for step in steps {
            assert_eq!(
                step["condition"].is_null(),
                matches!(step["holds"].as_str(), Some("yes" | "name")),
                "{said}"
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");

    // The hours are the only thing that cannot be had of the proxy as one likes.
    let (now, then) = days();
    let first = |days: &str| format!("{} 12:00", &days[..3]);
    for (host, time, action) in [
        ("now.test", &now, "deny"),
        ("now.test", &then, "bump"),
        ("then.test", &then, "deny"),
        ("then.test", &now, "bump"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command.args(["explain", "--json", "--time", &first(time), host]);
        command.arg("--config").arg(proxy.folder().join("wsbump.toml"));
        command.arg("--data-dir").arg(proxy.folder().join("data"));
        let done = Process::start("wsbump explain", command).finish();
        let said: Value = serde_json::from_str(&done.out.join("\n")).unwrap();
        assert_eq!(said["action"], action, "{host} at {time}: {said}");
    }
}
