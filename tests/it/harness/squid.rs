//! A real Squid: as a plain CONNECT proxy, to show that the peers themselves work through one, or decrypting.

use super::certs::{NAMES, certs, open_up, openssl};
use super::process::Process;
use super::{free_port, scratch, until};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user `wsbump` with the password `opensesame`, as `openssl passwd -apr1` writes it.
const USERS: &str = "wsbump:$apr1$wsbumpte$9APJYn0qHRn2xxS.Cm10m1\n";

/// A running Squid.
pub(crate) struct Squid {
    _process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

impl Squid {
    /// Starts one that tunnels to every port and knows the tests' names.
    pub(crate) fn start() -> Self {
        Self::with("", "http_access allow all\n")
    }

    /// Starts one that decrypts everything, with a CA of its own; `more` is added to its configuration.
    pub(crate) fn bumping(more: &str) -> Self {
        let bump = format!(
            "sslcrtd_program /usr/lib/squid/security_file_certgen -s DIR/certs -M 4MB\nsslcrtd_children 2\n\
             tls_outgoing_options cafile={}\nssl_bump bump all\n{more}\n\
             http_access allow all\n",
            certs().root.display()
        );
        Self::with(
            " ssl-bump generate-host-certificates=on cert=DIR/ca.pem key=DIR/ca.key",
            &bump,
        )
    }

    /// One that speaks TLS, with the tests' certificate.
    pub(crate) fn start_tls() -> Self {
        let own = &certs().origin;
        Self::with_port(
            "https_port",
            &format!(" tls-cert={} tls-key={}", own.cert.display(), own.key.display()),
            "http_access allow all\n",
        )
    }

    /// One that asks for a login, which is `wsbump` with `opensesame`.
    pub(crate) fn start_with_login() -> Self {
        Self::with(
            "",
            "auth_param basic program /usr/lib/squid/basic_ncsa_auth DIR/users\nacl known proxy_auth REQUIRED\n\
             http_access allow known\nhttp_access deny all\n",
        )
    }

    /// One that asks for tickets, with a keytab of a domain.
    pub(crate) fn start_with_tickets(keytab: &Path) -> Self {
        // It reads it as another user.
        let copy = scratch().keep().join("keytab");
        open_up(copy.parent().unwrap());
        std::fs::copy(keytab, &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o644)).unwrap();
        Self::with(
            "",
            &format!(
                "auth_param negotiate program /usr/lib/squid/negotiate_kerberos_auth -k {} -s GSS_C_NO_NAME\n\
                 auth_param negotiate children 4 startup=1\nacl known proxy_auth REQUIRED\n\
                 http_access allow known\nhttp_access deny all\n",
                copy.display()
            ),
        )
    }

    fn with(port_options: &str, more: &str) -> Self {
        Self::with_port("http_port", port_options, more)
    }

    fn with_port(kind: &str, port_options: &str, more: &str) -> Self {
        let folder = scratch();
        open_up(folder.path());
        let port = free_port();
        if more.contains("DIR/certs") {
            openssl(
                folder.path(),
                "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Squid-of-the-tests \
                 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
            );
            let made = Command::new("/usr/lib/squid/security_file_certgen")
                .args(["-c", "-s"])
                .arg(folder.path().join("certs"))
                .args(["-M", "4MB"])
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            // It gives up root's rights, if it has them, and reads all this afterwards.
            let given = Command::new("chown")
                .args(["-R", "proxy:"])
                .arg(folder.path())
                .status();
            assert!(given.is_ok());
        }
        let dir = folder.path().display().to_string();
        let [port_options, more] = [port_options, more].map(|text| text.replace("DIR", &dir));
        let hosts: String = NAMES.iter().map(|name| format!("127.0.0.1 {name}\n")).collect();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("hosts"), hosts).unwrap();
        let config = format!(
            "{kind} 127.0.0.1:{port}{port_options}\n{more}hosts_file {hosts}\npid_filename none\n\
             access_log none\ncache_log stdio:/dev/null\ncoredump_dir none\ncache_mem 8 MB\npinger_enable off\n\
             netdb_filename none\nshutdown_lifetime 0 seconds\nvisible_hostname squid.test\n",
            hosts = path("hosts").display(),
        );
        std::fs::write(path("users"), USERS).unwrap();
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
            folder,
            port,
        }
    }

    /// The certificate of its CA, if it decrypts.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
