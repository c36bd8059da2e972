//! The socket in the file system, which only the user of the proxy can use.

use crate::live::LiveSocket;
use crate::report::admin::{AdminAddress, AdminListener, SocketFile};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// The permissions of the file: the user's own.
const MODE: u32 = 0o600;

/// Listens in the file system.
#[derive(Debug)]
pub struct ApiSocket {
    listener: UnixListener,
    file: SocketFile,
    path: PathBuf,
}

/// Why nobody can listen there.
#[derive(Debug)]
pub enum SocketError {
    /// Others may write to its directory, and could put a socket of their own in its place.
    Directory(PathBuf),
    /// It cannot be made.
    Io(PathBuf, io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => write!(
                f,
                "others may write to {}, and could put a socket of their own there: chmod go-w it, or choose another place with live.socket",
                directory.display()
            ),
            Self::Io(path, error) => write!(
                f,
                "cannot listen on {}: {error}; choose another place with live.socket, or write \"off\"",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SocketError {}

impl ApiSocket {
    /// Listens there. A directory that is not there is made, for this user alone.
    ///
    /// # Errors
    /// It cannot be done, or not in safety.
    pub async fn bind(socket: &LiveSocket) -> Result<Self, SocketError> {
        let path = &socket.path;
        let failed = |error| SocketError::Io(path.clone(), error);
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        if !directory.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(failed)?;
        }
        if !is_own(directory).map_err(failed)? {
            return Err(SocketError::Directory(directory.into()));
        }
        let address = AdminAddress::Unix(path.clone());
        match AdminListener::bind(&address, MODE).await.map_err(failed)? {
            AdminListener::Unix(listener, file) => Ok(Self {
                listener,
                file,
                path: path.clone(),
            }),
            AdminListener::Tcp(_) => Err(failed(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection of this user or of root, and whose it is. Others are turned away.
    pub(super) async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if uid == 0 || uid == rustix::process::geteuid().as_raw() {
                return Ok((stream, uid));
            }
            tracing::warn!(uid, socket = %self.path.display(), "another user is turned away from the live socket");
        }
    }

    /// Its file goes with it.
    pub(super) fn close(self) {
        drop(self.file);
    }
}

/// Whether nobody but this user and root may write there.
fn is_own(directory: &Path) -> io::Result<bool> {
    let found = fs::metadata(directory)?;
    let own = [0, rustix::process::geteuid().as_raw()];
    Ok(found.is_dir() && own.contains(&found.uid()) && found.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn at(path: PathBuf) -> LiveSocket {
        LiveSocket {
            path,
            is_asked_for: true,
        }
    }

    #[tokio::test]
    async fn only_its_user_may_use_it_and_write_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/live.sock");
        let socket = ApiSocket::bind(&at(path.clone())).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let taken = ApiSocket::bind(&at(path.clone())).await.unwrap_err();
        assert!(matches!(taken, SocketError::Io(..)), "{taken}");

        let client = UnixStream::connect(&path).await.unwrap();
        let (_, uid) = socket.accept().await.unwrap();
        assert_eq!(uid, rustix::process::geteuid().as_raw());
        drop((client, socket));
        assert!(!path.exists());

        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o770)).unwrap();
        let open = ApiSocket::bind(&at(path)).await.unwrap_err();
        assert!(open.to_string().contains("others may write"), "{open}");
    }
}
