//! A real clamd with a single signature, and a real c-icap in front of it.

use super::certs::{Identity, certs, open_up};
use super::process::Process;
use super::{free_port, scratch, until};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

/// The file that every scanner knows (eicar.org), in two parts so that no scanner takes this source for it.
pub(crate) fn eicar() -> String {
    [
        r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR",
        "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",
    ]
    .concat()
}

/// The most that this clamd takes.
pub(crate) const STREAM_MAX: usize = 10 << 20;

/// A running clamd.
pub(crate) struct Clamd {
    process: Option<Process>,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Clamd {
    /// Starts one that knows the EICAR file and nothing else.
    pub(crate) fn start() -> Self {
        let folder = scratch();
        open_up(folder.path());
        let port = free_port();
        let path = |name: &str| folder.path().join(name);
        let mut signature = "Eicar-Test-Signature:0:*:".to_owned();
        for byte in eicar().bytes() {
            let _ = write!(signature, "{byte:02x}");
        }
        std::fs::create_dir(path("signatures")).unwrap();
        std::fs::write(path("signatures/eicar.ndb"), signature + "\n").unwrap();
        let config = format!(
            "Foreground yes\nTCPSocket {port}\nTCPAddr 127.0.0.1\nLocalSocket {socket}\n\
             DatabaseDirectory {signatures}\nTemporaryDirectory {folder}\nStreamMaxLength {STREAM_MAX}\n\
             SelfCheck 0\n",
            socket = path("clamd.sock").display(),
            signatures = path("signatures").display(),
            folder = folder.path().display(),
        );
        std::fs::write(path("clamd.conf"), config).unwrap();
        let mut clamd = Self {
            process: None,
            folder,
            port,
        };
        clamd.revive();
        clamd
    }

    /// Its Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("clamd.sock")
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it on the same port, and waits until it answers.
    pub(crate) fn revive(&mut self) {
        let mut command = Command::new("/usr/sbin/clamd");
        command
            .arg("--config-file")
            .arg(self.folder.path().join("clamd.conf"));
        self.process = Some(Process::start("clamd", command));
        until("clamd answers", || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.write_all(b"zPING\0").ok()?;
            let mut pong = String::new();
            stream.read_to_string(&mut pong).ok()?;
            (pong == "PONG\0").then_some(())
        });
    }
}

/// A running c-icap with its echo service and with clamd's `virus_scan`.
pub(crate) struct CIcap {
    _process: Process,
    _folder: tempfile::TempDir,
    pub(crate) port: u16,
    /// The port that speaks TLS.
    pub(crate) tls_port: u16,
}

impl CIcap {
    /// Starts one that shows the certificate of the tests' origins inside TLS.
    pub(crate) fn start(clamd: &Clamd) -> Self {
        Self::start_as(clamd, &certs().origin, "")
    }

    /// Starts one that shows this certificate, with more options for its TLS.
    pub(crate) fn start_as(clamd: &Clamd, identity: &Identity, options: &str) -> Self {
        Self::start_with(clamd, identity, options, 100_000)
    }

    /// Starts one that closes a connection after so many requests.
    pub(crate) fn start_impatient(clamd: &Clamd, requests: u32) -> Self {
        Self::start_with(clamd, &certs().origin, "", requests)
    }

    fn start_with(clamd: &Clamd, identity: &Identity, options: &str, requests: u32) -> Self {
        let folder = scratch();
        open_up(folder.path());
        let (port, tls_port) = (free_port(), free_port());
        let config = format!(
            "PidFile {folder}/pid\nCommandsSocket {folder}/ctl\nServerLog {folder}/server.log\n\
             AccessLog {folder}/access.log\nTmpDir {folder}\nPort 127.0.0.1:{port}\nTlsPort 127.0.0.1:{tls_port} cert={cert} key={key} {options}\nServerName c-icap.test\n\
             Timeout 60\nMaxKeepAliveRequests {requests}\nKeepAliveTimeout 60\nStartServers 1\nMaxServers 1\n\
             MinSpareThreads 1\nMaxSpareThreads 20\nThreadsPerChild 20\n\
             ModulesDir /usr/lib/{arch}-linux-gnu/c_icap\nServicesDir /usr/lib/{arch}-linux-gnu/c_icap\n\
             TemplateDir /usr/share/c_icap/templates/\nTemplateDefaultLanguage en\n\
             LoadMagicFile /etc/c-icap/c-icap.magic\nService echo srv_echo.so\nService ex206 srv_ex206.so\nService scan virus_scan.so\n\
             Service url_check srv_url_check.so\nurl_check.LookupTableDB denied host hash:{folder}/denied\n\
             url_check.Profile default block denied\nurl_check.Profile default pass ALL\n\
             Module common clamd_mod.so\nclamd_mod.ClamdHost 127.0.0.1\nclamd_mod.ClamdPort {clamd}\n\
             virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE\n\
             virus_scan.SendPercentData 5\nvirus_scan.StartSendPercentDataAfter 20M\n\
             virus_scan.MaxObjectSize 20M\n",
            folder = folder.path().display(),
            arch = std::env::consts::ARCH,
            clamd = clamd.port,
            cert = identity.cert.display(),
            key = identity.key.display(),
        );
        std::fs::write(folder.path().join("denied"), "other.test\n").unwrap();
        let path = folder.path().join("c-icap.conf");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("/usr/bin/c-icap");
        command.args(["-N", "-D", "-d", "1", "-f"]).arg(path);
        let process = Process::start("c-icap", command);
        for port in [port, tls_port] {
            until("c-icap listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        Self {
            _process: process,
            _folder: folder,
            port,
            tls_port,
        }
    }

    /// The client's ends of connections to one of its ports of late: those that are closed are remembered for a
    /// minute.
    pub(crate) fn connections(port: u16) -> HashSet<String> {
        let remote = format!(":{port:04X}");
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let near = fields.next()?;
                fields.next()?.ends_with(&remote).then(|| near.to_owned())
            })
            .collect()
    }
}
