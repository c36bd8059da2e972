//! A real Squid as a plain CONNECT proxy, to show that the peers themselves work through one.

use super::certs::{NAMES, open_up};
use super::process::Process;
use super::{free_port, scratch, until};
use std::net::TcpStream;
use std::process::Command;

/// A running Squid.
pub(crate) struct Squid {
    _process: Process,
    _folder: tempfile::TempDir,
    port: u16,
}

impl Squid {
    /// Starts one that tunnels to every port and knows the tests' names.
    pub(crate) fn start() -> Self {
        let folder = scratch();
        open_up(folder.path());
        let port = free_port();
        let hosts: String = NAMES.iter().map(|name| format!("127.0.0.1 {name}\n")).collect();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("hosts"), hosts).unwrap();
        let config = format!(
            "http_port 127.0.0.1:{port}\nhttp_access allow all\nhosts_file {hosts}\npid_filename none\n\
             access_log none\ncache_log stdio:/dev/null\ncoredump_dir none\ncache_mem 8 MB\npinger_enable off\n\
             netdb_filename none\nshutdown_lifetime 0 seconds\nvisible_hostname squid.test\n",
            hosts = path("hosts").display(),
        );
        std::fs::write(path("squid.conf"), config).unwrap();
        // Its shared memory is named after the service.
        let mut command = Command::new("/usr/sbin/squid");
        command
            .args(["-N", "-n", &format!("wsbump{port}"), "-f"])
            .arg(path("squid.conf"));
        let process = Process::start_watched("squid", command);
        until("squid listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self {
            _process: process,
            _folder: folder,
            port,
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
