//! The program as a service: what the service manager is told, what health checks see, and how it ends under load.

use crate::cli::{bad, good, home, output, text};
use crate::harness::metrics::get;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tunnel;
use crate::harness::recorder::Recorder;
use crate::harness::{DEADLINE, free_port, scratch, until};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// What a service manager hears.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn start() -> Self {
        let folder = scratch();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, folder }
    }

    fn setup(&self) -> Setup {
        Setup::new().env("NOTIFY_SOCKET", &self.folder.path().join("notify"))
    }

    fn hears(&self) -> String {
        let mut bytes = [0; 512];
        let length = self.socket.recv(&mut bytes).expect("a word of the service's");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }
}

#[test]
fn the_service_manager_is_told_of_readiness_life_and_the_end() {
    let manager = Manager::start();
    let proxy = manager.setup().env("WATCHDOG_USEC", "300000".as_ref()).start();
    assert!(manager.hears().starts_with("READY=1\n"));
    for _ in 0..4 {
        assert_eq!(manager.hears(), "WATCHDOG=1");
    }
    proxy.process().signal("TERM");
    let heard = std::iter::from_fn(|| Some(manager.hears())).find(|word| word != "WATCHDOG=1");
    assert!(heard.unwrap().starts_with("STOPPING=1\n"));
    assert!(proxy.terminate_after_signal().status.success());
}

#[test]
fn a_service_that_does_not_start_is_not_ready() {
    let manager = Manager::start();
    let home = home();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wsbump"));
    let ended = command
        .args(["run", "--admin", "127.0.0.1:0", "--listen"])
        .arg(taken.local_addr().unwrap().to_string())
        .env("HOME", home.path())
        .env("NOTIFY_SOCKET", manager.folder.path().join("notify"))
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 8]).is_err(), "nothing was said");
}

#[test]
fn health_asks_the_listener_of_the_configuration() {
    let proxy = Proxy::start();
    let home = home();
    let ask = |more: &[&str]| good(home.path(), &[&["health"], more].concat());
    assert_eq!(ask(&["--admin", &proxy.admin]), "ok\n");
    assert_eq!(ask(&["--ready", "--admin", &proxy.admin]), "ready\n");
    let nobody = format!("127.0.0.1:{}", free_port());
    let ended = output(home.path(), &["health", "--admin", &nobody]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stdout).contains("does not answer"), "{ended:?}");

    let socket = home.path().join("admin.sock");
    let address = format!("unix:{}", socket.display());
    let by_socket = Setup::new()
        .config(&format!("listen = {{ admin = ['127.0.0.1:0', '{address}'] }}"))
        .start();
    assert_eq!(ask(&["--admin", &address]), "ok\n");
    drop(by_socket);

    // Where a token is wanted, health is not among what it guards.
    let file = home.path().join("wsbump.toml");
    std::fs::write(&file, format!("[listen]\nadmin = ['{}']\n", proxy.admin)).unwrap();
    assert_eq!(ask(&["--config", file.to_str().unwrap()]), "ok\n");
    std::fs::write(&file, "[listen]\nadmin = []\n").unwrap();
    let said = bad(home.path(), &["health", "--config", file.to_str().unwrap()], 2);
    assert!(said.contains("listen.admin"), "{said}");
}

#[test]
fn a_lame_duck_serves_on_and_says_that_it_is_one() {
    let proxy = Setup::new().config("[timeouts]\nlame_duck = '3s'").start();
    let origin = Recorder::start();
    let (mut client, _far) = origin.websocket(&proxy);
    proxy.process().signal("TERM");
    until("not ready", || {
        (get(&proxy.admin, "/readyz").0 == 503).then_some(())
    });
    // It lives, and takes what comes.
    assert_eq!(get(&proxy.admin, "/healthz").0, 200);
    drop(tunnel(&proxy, &origin.target()));
    let begun = Instant::now();
    assert_eq!(client.frame().and_then(|frame| frame.close_code()), Some(1001));
    assert!(
        begun.elapsed() > Duration::from_millis(500),
        "not before its time"
    );
    until("the listener is gone", || {
        TcpStream::connect(&proxy.address).err()
    });
    drop(client);
    assert!(proxy.terminate_after_signal().status.success());
}

#[test]
fn a_second_signal_ends_the_waiting_of_a_lame_duck() {
    let proxy = Setup::new().config("[timeouts]\nlame_duck = '1h'").start();
    proxy.process().signal("TERM");
    until("not ready", || {
        (get(&proxy.admin, "/readyz").0 == 503).then_some(())
    });
    proxy.process().signal("TERM");
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
    // Ctrl-C has somebody in front of it who does not want to wait.
    let proxy = Setup::new().config("[timeouts]\nlame_duck = '1h'").start();
    proxy.process().signal("INT");
    assert!(proxy.terminate_after_signal().status.success());
}

#[test]
fn websockets_are_closed_one_after_another() {
    const COUNT: usize = 30;
    let proxy = Setup::new().config("[timeouts]\ndrain = '20s'").start();
    let origin = Recorder::start();
    let pairs: Vec<_> = (0..COUNT).map(|_| origin.websocket(&proxy)).collect();
    proxy.metric("wsbump_websockets_open", &[], COUNT as f64);
    proxy.process().signal("TERM");
    let waiting: Vec<_> = pairs
        .into_iter()
        .map(|(mut client, far)| {
            std::thread::spawn(move || {
                let code = client.frame().and_then(|frame| frame.close_code());
                let at = Instant::now();
                drop((client, far));
                (code, at)
            })
        })
        .collect();
    let told: Vec<_> = waiting.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(told.iter().all(|(code, _)| *code == Some(1001)));
    let (first, last) = (
        told.iter().map(|(_, at)| at).min(),
        told.iter().map(|(_, at)| at).max(),
    );
    let spread = *last.unwrap() - *first.unwrap();
    // A tenth of a second for ten; less would be all at once.
    assert!(spread > Duration::from_millis(200), "{spread:?}");
    assert!(proxy.terminate_after_signal().status.success());
}

#[test]
fn both_units_are_hardened_alike() {
    let read = |path: &str| std::fs::read_to_string(crate::harness::root().join(path)).unwrap();
    let [own, packaged] = ["config/wsbump.service", "packaging/debian/wsbump.service"].map(read);
    let hardening = |text: &str| {
        let (_, after) = text.split_once("# For ports below 1024").unwrap();
        after.to_owned()
    };
    assert_eq!(hardening(&own), hardening(&packaged));
    for unit in [own, packaged] {
        for line in [
            "Type=notify",
            "WatchdogSec=60s",
            "StateDirectory=wsbump",
            "RestartPreventExitStatus=2",
        ] {
            assert!(unit.lines().any(|written| written == line), "{line}: {unit}");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let home = home();
    good(home.path(), &["man", home.path().to_str().unwrap()]);
    let page = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();
    for name in ["wsbump.1", "wsbump-run.1", "wsbump-doctor.1", "wsbump-ca-init.1"] {
        assert!(page(name).starts_with(".ie"), "{name}");
    }
    let page = page("wsbump-run.1");
    assert!(
        page.contains("Examples:") && page.contains("WSBUMP_DATA_DIR"),
        "{page}"
    );
}
