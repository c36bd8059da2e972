//! Network namespaces of a test's own: a client, the proxy's machine as its router, and a network of origins behind it. Nothing
//! leads from there to anywhere else.
//!
//! ```text
//! client 10.9.1.2, fd09:1::2 -- proxy 10.9.1.1, 10.9.2.1 -- origins 10.9.2.2 and 10.9.2.3, fd09:2::2 and fd09:2::3
//! ```

use super::certs::{Identity, certs};
use super::origins::script;
use super::process::Process;
use super::scratch;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The namespaces, which go with it.
pub(crate) struct Net {
    id: String,
    folder: tempfile::TempDir,
}

/// The machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Client,
    Proxy,
    Origins,
}

impl Place {
    const ALL: [Self; 3] = [Self::Client, Self::Proxy, Self::Origins];

    fn suffix(self) -> &'static str {
        match self {
            Self::Client => "c",
            Self::Proxy => "p",
            Self::Origins => "o",
        }
    }
}

/// Where `origin.test` is, and `other.test`.
pub(crate) const ORIGIN: [&str; 2] = ["10.9.2.2", "fd09:2::2"];
pub(crate) const OTHER: [&str; 2] = ["10.9.2.3", "fd09:2::3"];

impl Net {
    /// The machines with their addresses and routes. Each family is looked up in what `hosts` of its machine says.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "wsb{}x{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let net = Self {
            id,
            folder: scratch(),
        };
        for place in Place::ALL {
            net.run(&["ip", "netns", "add", &net.name(place)]);
            net.inside(place, &["ip", "link", "set", "lo", "up"]);
        }
        for (place, own, routers, prefix) in [
            (Place::Client, "2", "1", ["10.9.1.", "fd09:1::"]),
            (Place::Origins, "2", "1", ["10.9.2.", "fd09:2::"]),
        ] {
            let (far, near) = (format!("e{}", place.suffix()), "e0");
            let (there, router) = (net.name(place), net.name(Place::Proxy));
            net.run(&[
                "ip", "link", "add", near, "netns", &there, "type", "veth", "peer", "name", &far, "netns",
                &router,
            ]);
            let [v4, v6] = prefix;
            for (place, device, host) in [(place, near, own), (Place::Proxy, &*far, routers)] {
                let (v4, v6) = (format!("{v4}{host}/24"), format!("{v6}{host}/64"));
                net.inside(place, &["ip", "address", "add", &v4, "dev", device]);
                net.inside(place, &["ip", "address", "add", &v6, "dev", device, "nodad"]);
                net.inside(place, &["ip", "link", "set", device, "up"]);
            }
            let (v4, v6) = (format!("{v4}{routers}"), format!("{v6}{routers}"));
            net.inside(place, &["ip", "route", "add", "default", "via", &v4]);
            net.inside(place, &["ip", "-6", "route", "add", "default", "via", &v6]);
        }
        for address in [format!("{}/24", OTHER[0]), format!("{}/64", OTHER[1])] {
            net.inside(
                Place::Origins,
                &["ip", "address", "add", &address, "dev", "e0", "nodad"],
            );
        }
        let forward = "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding";
        net.inside(Place::Proxy, &["sh", "-c", forward]);
        net
    }

    /// A namespace's name.
    pub(crate) fn name(&self, place: Place) -> String {
        format!("{}{}", self.id, place.suffix())
    }

    /// What `/etc/hosts` is on a machine, beside localhost.
    pub(crate) fn hosts(&self, place: Place, lines: &[(&str, &str)]) {
        let folder = self.etc(place);
        fs::create_dir_all(&folder).unwrap();
        let lines: String = lines.iter().map(|(name, ip)| format!("{ip} {name}\n")).collect();
        fs::write(
            folder.join("hosts"),
            format!("127.0.0.1 localhost\n::1 localhost\n{lines}"),
        )
        .unwrap();
    }

    fn etc(&self, place: Place) -> PathBuf {
        PathBuf::from("/etc/netns").join(self.name(place))
    }

    /// A program on a machine.
    pub(crate) fn command(&self, place: Place, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(place), program]);
        command
    }

    /// The same of a script in `tests/peers/`.
    pub(crate) fn script(&self, place: Place, name: &str) -> Command {
        let script = script(name);
        let mut command = self.command(place, script.get_program().to_str().unwrap());
        command.args(script.get_args());
        command
    }

    /// Runs something on a machine to its end.
    pub(crate) fn inside(&self, place: Place, words: &[&str]) -> String {
        let name = self.name(place);
        self.run(&[&["ip", "netns", "exec", &name], words].concat())
    }

    fn run(&self, words: &[&str]) -> String {
        let done = Command::new(words[0]).args(&words[1..]).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?} in {}: {error}", self.id);
        String::from_utf8(done.stdout).unwrap()
    }

    /// Adds rules of the kernel's firewall to the proxy's machine.
    pub(crate) fn nft(&self, rules: &str) {
        let file = self.folder.path().join("rules.nft");
        fs::write(&file, rules).unwrap();
        self.inside(Place::Proxy, &["nft", "-f", file.to_str().unwrap()]);
    }

    /// Starts the origins, with this certificate.
    pub(crate) fn origins(&self, identity: &Identity) -> Process {
        self.origins_at(identity, &[])
    }

    /// The same, which speak TLS at these ports too.
    pub(crate) fn origins_at(&self, identity: &Identity, ports: &[u16]) -> Process {
        self.start_origins(identity, ports, None)
    }

    /// The same, which have these files below `/files/`.
    pub(crate) fn origins_with(&self, identity: &Identity, files: &Path) -> Process {
        self.start_origins(identity, &[], Some(files))
    }

    fn start_origins(&self, identity: &Identity, ports: &[u16], files: Option<&Path>) -> Process {
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        let mut command = self.script(Place::Origins, "origin_caught.py");
        if let Some(files) = files {
            command.arg("--files").arg(files);
        }
        command
            .arg("--cert")
            .arg(&identity.cert)
            .arg("--key")
            .arg(&identity.key)
            .arg("--ports")
            .arg(ports.join(","));
        let process = Process::start("origin_caught.py", command);
        process.out("READY", |line| line.starts_with("READY ").then_some(()));
        process
    }

    /// curl on a machine, by this family, which knows where the names are.
    pub(crate) fn curl(&self, place: Place, ca: &Path, arguments: &[&str]) -> (i32, String) {
        let mut command = self.command(place, "/usr/bin/curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]);
        command.arg(ca).args(arguments);
        let done = Process::start("curl", command).finish();
        let text = [done.out, done.err].concat().join("\n");
        (done.status.code().unwrap_or(-1), text)
    }
}

/// What origins show unless a test says otherwise.
pub(crate) fn usual() -> &'static Identity {
    &certs().origin
}

impl Drop for Net {
    fn drop(&mut self) {
        for place in Place::ALL {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.name(place)])
                .output();
            let _ = fs::remove_dir_all(self.etc(place));
        }
    }
}
