//! The Autobahn test suite, which the field measures WebSockets by: a client's cases end through the proxy as they end
//! without it, to the codes of their Closes, whether rules look into the messages or not.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{free_port, root, scratch, tool, until};
use serde_json::{Value, json};
use std::process::Command;

/// All but the compressed ones, which take half an hour, and those that are about size or time alone: no more than two of
/// the large ones, and none that sends byte by byte for seconds.
const CASES: [&str; 10] = [
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.2.1", "10.*",
];
const SLOW: [&str; 1] = ["6.4.*"];

/// Half a message and then a Close. Where rules hold messages it is held until its rest comes, which never passes: the client
/// hears the Close alone, and has nothing to complain of.
const HALF: &str = "7.1.5";

/// Looks at each message, holds it for its verdict, and finds nothing.
const LOOKING: &str = r##"
[[inspect.rule]]
name = "looking"
mode = "enforce"
action = "close"
reason = "never"
keywords = ["what no case has in it"]
"##;

/// An agent's cases by their numbers, as the suite has judged them: OK, or INFORMATIONAL, or FAILED; and so the Close, and
/// its code.
type Verdicts = Vec<(String, [Value; 3])>;

struct Suite {
    port: u16,
    folder: tempfile::TempDir,
    _server: Process,
}

impl Suite {
    fn start() -> Self {
        let (port, folder) = (free_port(), scratch());
        let spec = folder.path().join("spec.json");
        let text = json!({
            "url": format!("wss://127.0.0.1:{port}"),
            "outdir": folder.path().join("reports"),
            "cases": CASES,
            "exclude-cases": SLOW,
            "exclude-agent-cases": {},
            "cert": certs().origin.cert,
            "key": certs().origin.key,
        });
        std::fs::write(&spec, text.to_string()).unwrap();
        let mut command = Command::new(tool("autobahn/bin/wstest"));
        command
            .args(["-m", "fuzzingserver", "-u", "0", "-s"])
            .arg(&spec)
            .env("PYTHONUNBUFFERED", "1")
            .current_dir(folder.path());
        let server = Process::start("wstest", command);
        server.out("that it listens", |line| {
            line.starts_with("Ok, will run").then_some(())
        });
        Self {
            port,
            folder,
            _server: server,
        }
    }

    fn client(&self, agent: &str, mode: &str, proxy: Option<&Proxy>) -> Client {
        let client = Client::new("client_autobahn.py")
            .with("agent", agent)
            .with("mode", mode);
        match proxy {
            None => client
                .with("url", format!("wss://localhost:{}", self.port))
                .with("ca", &certs().root),
            Some(proxy) => client
                .with("url", format!("wss://origin.test:{}", self.port))
                .with("proxy", proxy.url())
                .with("ca", &proxy.ca),
        }
    }

    /// What has become of each agent's cases.
    fn verdicts(&self, agents: &[&str]) -> Vec<Verdicts> {
        self.client(agents[0], "report", None).run();
        let index = std::fs::read_to_string(self.folder.path().join("reports/index.json")).unwrap();
        let index: Value = serde_json::from_str(&index).unwrap();
        let of = |agent: &&str| {
            let cases = index[*agent].as_object().unwrap();
            cases
                .iter()
                .map(|(case, known)| {
                    let facts = ["behavior", "behaviorClose", "remoteCloseCode"];
                    (case.clone(), facts.map(|fact| as_good(&known[fact])))
                })
                .collect()
        };
        agents.iter().map(of).collect()
    }
}

/// The suite says NON-STRICT where the end is right and an answer to what came before is missing. A frame that breaks the
/// protocol ends both directions at once, and what the client is about to say to the one before it has then come too late:
/// whether it has, is chance.
fn as_good(verdict: &Value) -> Value {
    match verdict.as_str() {
        Some("NON-STRICT") => json!("OK"),
        _ => verdict.clone(),
    }
}

#[test]
fn its_cases_end_as_without_the_proxy() {
    if !root().join(".tools/autobahn/bin/wstest").exists() {
        // `tests/setup.sh` has said so: there is no Python 2 to run it.
        eprintln!("the Autobahn test suite is not here");
        return;
    }
    let suite = Suite::start();
    let (plain, looking) = (Proxy::start(), Setup::new().config(LOOKING).start());
    let roads = [
        ("direct", None),
        ("relayed", Some(&plain)),
        ("inspected", Some(&looking)),
    ];
    let running: Vec<_> = roads
        .iter()
        .map(|(agent, proxy)| suite.client(agent, "cases", *proxy).start())
        .collect();
    for client in running {
        let ended = client.finish();
        assert!(ended.status.success(), "{:?} {:?}", ended.out, ended.err);
    }
    let verdicts = suite.verdicts(&roads.map(|(agent, _)| agent));
    let direct = &verdicts[0];
    assert!(direct.len() > 240, "{}", direct.len());
    for (agent, verdicts) in roads
        .iter()
        .zip(&verdicts)
        .skip(1)
        .map(|((agent, _), all)| (agent, all))
    {
        let is_held = |case: &str| *agent == "inspected" && case == HALF;
        let differ: Vec<_> = direct
            .iter()
            .zip(verdicts)
            .filter(|(one, other)| one != other && !is_held(&other.0))
            .collect();
        assert!(differ.is_empty(), "{agent}: {differ:#?}");
    }
    let half = verdicts[2].iter().find(|(case, _)| case == HALF).unwrap();
    assert_eq!(half.1, [json!("OK"), json!("OK"), json!(1000)]);
    // A text behind the client's Close, which nobody may be made to answer for.
    let behind = direct.iter().find(|(case, _)| case == "7.1.4").unwrap();
    assert_eq!(behind.1, [json!("OK"), json!("OK"), json!(1000)]);
    // All of them went through, and were WebSockets to the proxy.
    for proxy in [&plain, &looking] {
        until("a line for each of them", || {
            (proxy.log_so_far("websocket").len() > direct.len()).then_some(())
        });
    }
}
