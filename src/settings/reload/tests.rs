use super::*;
use crate::report::{AccessLog, AuditConfig};
use crate::settings::testing::deaf;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Far more than a reload takes, even on a busy machine: only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Told {
    Swapped(Box<Config>),
    Level(String),
    Reloaded(Result<(), String>),
}

struct Tell(UnboundedSender<Told>);

impl Apply for Tell {
    fn swap(&self, live: Config, _: ReportConfig) {
        self.0.send(Told::Swapped(Box::new(live))).unwrap();
    }
    fn level(&self, level: &str) {
        self.0.send(Told::Level(level.into())).unwrap();
    }
    fn reopen_logs(&self) {}
    fn reloaded(&self, result: Result<(), &str>) {
        self.0
            .send(Told::Reloaded(result.map_err(str::to_owned)))
            .unwrap();
    }
}

/// A running reloader over a directory.
struct Running {
    dir: tempfile::TempDir,
    told: UnboundedReceiver<Told>,
    task: JoinHandle<()>,
}

impl Running {
    /// Runs with `w.toml`, after `prepare` has put it there.
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let source = ConfigSource {
            config: Some(dir.path().join("w.toml")),
            data_dir: Some(dir.path().join("data")),
            overrides: Overrides::default(),
        };
        let settings = source.load().unwrap();
        let (tell, told) = unbounded_channel();
        let reloader = Reloader::start(source, settings, deaf(), |_| Tell(tell)).unwrap();
        Self {
            dir,
            told,
            task: tokio::spawn(reloader.run()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces a file as editors do.
    fn replace(&self, name: &str, text: &str) {
        let new = self.path(&format!(".{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    async fn next(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, self.told.recv())
            .await
            .expect("nothing happened")
            .unwrap()
    }

    /// What the next reload brought.
    async fn swapped(&mut self) -> Config {
        let live = loop {
            match self.next().await {
                Told::Swapped(live) => break live,
                Told::Level(_) => {}
                Told::Reloaded(result) => panic!("{result:?} without a swap"),
            }
        };
        match self.next().await {
            Told::Reloaded(Ok(())) => *live,
            other => panic!("{other:?} after a swap"),
        }
    }

    /// What the next reload found wrong.
    async fn refused(&mut self) -> String {
        match self.next().await {
            Told::Reloaded(Err(text)) => text,
            other => panic!("{other:?} for a broken configuration"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn peek(seconds: u64) -> String {
    format!("[timeouts]\npeek = '{seconds}s'\n")
}

const ONE_LIST: &str = "[[list]]\nname = 'l'\nfile = 'l'\n[policy]\nsplice = ['l']\n";

fn spliced(live: &Config, target: &str) -> bool {
    use crate::decide::{Act, Facts};
    let target = crate::wire::names::Authority::parse(target, None).unwrap();
    let facts = Facts::tunnel([127, 0, 0, 1].into(), &target).beginning(None);
    matches!(live.policy.at_hello(&facts).verdict.act, Act::Splice(_))
}

#[tokio::test]
async fn a_replaced_config_is_loaded() {
    let mut running = Running::start(|dir| fs::write(dir.join("w.toml"), peek(1)).unwrap());
    for seconds in 2..4 {
        running.replace("w.toml", &(peek(seconds) + "[log]\nlevel = 'debug'\n"));
        match running.next().await {
            Told::Level(level) => assert_eq!(level, "debug"),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            running.swapped().await.timeouts.peek,
            Duration::from_secs(seconds)
        );
    }
}

#[tokio::test]
async fn a_list_that_is_written_to_is_loaded() {
    let mut running = Running::start(|dir| {
        fs::write(dir.join("w.toml"), ONE_LIST).unwrap();
        fs::write(dir.join("l"), "^a:1$\n").unwrap();
    });
    fs::write(running.path("l"), "^b:2$\n").unwrap();
    let live = running.swapped().await;
    assert!(spliced(&live, "b:2"));
    assert!(!spliced(&live, "a:1"));
}

#[tokio::test]
async fn a_swapped_link_is_followed_as_kubernetes_makes_them() {
    let mut running = Running::start(|dir| {
        for (version, seconds) in [("..1", 1), ("..2", 2), ("..3", 3)] {
            fs::create_dir(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("w.toml"), peek(seconds)).unwrap();
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/w.toml", dir.join("w.toml")).unwrap();
    });
    for (version, seconds) in [("..2", 2), ("..3", 3)] {
        symlink(version, running.path("..data_tmp")).unwrap();
        fs::rename(running.path("..data_tmp"), running.path("..data")).unwrap();
        assert_eq!(
            running.swapped().await.timeouts.peek,
            Duration::from_secs(seconds)
        );
    }
    fs::write(running.path("..3/w.toml"), peek(4)).unwrap();
    assert_eq!(running.swapped().await.timeouts.peek, Duration::from_secs(4));
}

#[tokio::test]
async fn a_broken_file_changes_nothing_until_it_is_put_right() {
    let mut running = Running::start(|dir| {
        fs::write(dir.join("w.toml"), ONE_LIST).unwrap();
        fs::write(dir.join("l"), "^a:1$\n").unwrap();
    });
    running.replace("l", "^a:1$\n(\n[\n");
    let text = running.refused().await;
    assert!(text.contains("/l:2:1: list l: "), "{text}");
    assert!(text.ends_with(" (and 1 more)"), "{text}");
    running.replace("l", "^c:3$\n");
    assert!(spliced(&running.swapped().await, "c:3"));

    // A file that was never there is waited for, in a directory that was never there.
    running.replace("w.toml", &ONE_LIST.replace("file = 'l'", "file = 'new/l'"));
    let text = running.refused().await;
    assert!(text.contains("w.toml:3:8: list.file: "), "{text}");
    fs::create_dir(running.path("staged")).unwrap();
    fs::write(running.path("staged/l"), "^d:4$\n").unwrap();
    fs::rename(running.path("staged"), running.path("new")).unwrap();
    assert!(spliced(&running.swapped().await, "d:4"));
}

#[tokio::test]
async fn the_ca_is_not_replaced_by_losing_it() {
    let mut running = Running::start(|dir| fs::write(dir.join("w.toml"), peek(1)).unwrap());
    let data = running.path("data");
    assert!(data.join("ca.pem").exists(), "made at the start");
    fs::rename(&data, running.path("away")).unwrap();
    running.replace("w.toml", &peek(2));
    let text = running.refused().await;
    assert!(text.contains("CA"), "{text}");
    assert!(!data.exists(), "no new CA was made");
}

#[test]
fn only_a_restart_changes_listeners() {
    let at = |text: &str| text.parse().unwrap();
    let old = RestartOnly {
        listen: Listeners {
            proxy: vec![at("127.0.0.1:1")],
            tls: vec![],
            named: vec![],
            admin: vec![],
            console: vec![],
            console_is_offered: false,
        },
        access: AccessLog::Stdout,
        audit: AuditConfig::default(),
        connections: 10,
        admin_mode: 0o600,
        live_socket: None,
    };
    let mut new = old.clone();
    assert_eq!(old.needing_restart(&new), [""; 0]);
    new.listen.proxy.push(at("127.0.0.1:2"));
    new.listen.tls.push(at("127.0.0.1:3"));
    new.access = AccessLog::Off;
    new.connections = 20;
    new.admin_mode = 0o660;
    assert_eq!(
        old.needing_restart(&new),
        [
            "listen.proxy",
            "listen.tls",
            "log.access",
            "admin.socket_mode",
            "limits.connections"
        ]
    );
}
