//! What the program tells the service manager that started it (sd_notify(3)): that it is ready, that it is ending, that it
//! is alive. Without one it tells nobody.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager.
#[derive(Debug, Default)]
pub struct ServiceManager {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Whoever the environment names.
    ///
    /// # Errors
    /// It names a socket that cannot be one.
    pub fn from_environment() -> io::Result<Self> {
        let Some(path) = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Ok(Self::default());
        };
        let number = |name: &str| env::var(name).ok()?.parse().ok();
        let watchdog = watchdog(
            number("WATCHDOG_USEC"),
            number("WATCHDOG_PID"),
            u64::from(std::process::id()),
        );
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            to: Some((socket, address(&path)?)),
            watchdog,
        })
    }

    /// The program serves.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// It is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    /// It is alive.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// In which time it has to be told so, if it wants to be: else the program is ended as one that hangs.
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// A manager that cannot be told any more is no reason to stop serving.
    fn tell(&self, state: &str) {
        if let Some((socket, to)) = &self.to {
            let _ = socket.send_to_addr(state.as_bytes(), to);
        }
    }
}

/// A path, or a name that is in no file system and begins with `@`.
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

/// The time of the watchdog, unless it is another process's.
fn watchdog(usec: Option<u64>, pid: Option<u64>, own: u64) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid == own);
    usec.filter(|usec| is_ours && *usec > 0)
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_for_one_process() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some(1_000_000), None, 7), second);
        assert_eq!(watchdog(Some(1_000_000), Some(7), 7), second);
        assert_eq!(watchdog(Some(1_000_000), Some(8), 7), None);
        assert_eq!(watchdog(Some(0), None, 7), None);
        assert_eq!(watchdog(None, Some(7), 7), None);
    }

    #[test]
    fn both_kinds_of_addresses_are_read() {
        let named = address(OsStr::new("@manager")).unwrap();
        assert_eq!(named.as_abstract_name(), Some(&b"manager"[..]));
        let path = address(OsStr::new("/run/systemd/notify")).unwrap();
        assert_eq!(path.as_pathname().unwrap().to_str(), Some("/run/systemd/notify"));
    }

    #[test]
    fn nobody_is_told_nothing() {
        let nobody = ServiceManager::default();
        nobody.ready();
        nobody.alive();
        nobody.stopping();
        assert_eq!(nobody.watchdog(), None);
    }
}
