//! Where the admin pages are served: TCP, or a socket in the file system.

use super::access::{AdminAddress, Way};
use super::peer::AdminPeer;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A listener of the operator's.
#[derive(Debug)]
pub enum AdminListener {
    /// A port.
    Tcp(TcpListener),
    /// A socket in the file system, which is taken away again when it is dropped.
    Unix(UnixListener, SocketFile),
}

/// A socket's file.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A connection of the operator's.
pub(super) trait AdminConnection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> AdminConnection for T {}

impl AdminListener {
    /// Listens at an address. Who may use a socket in the file system is for `mode` to say, from its first moment on.
    ///
    /// # Errors
    /// Those of listening; `AddrInUse` if somebody listens there.
    pub async fn bind(address: &AdminAddress, mode: u32) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            AdminAddress::Unix(path) => {
                clear_away(path)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                let mode = fs::Permissions::from_mode(mode);
                // Linux gives the file the permissions of the socket that it is made for, less those that the umask
                // takes away: there is no moment at which others may use it.
                fs::File::from(OwnedFd::from(socket.try_clone()?)).set_permissions(mode.clone())?;
                socket.bind(&SockAddr::unix(path)?)?;
                let file = SocketFile(path.clone());
                fs::set_permissions(path, mode)?;
                socket.listen(BACKLOG)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(UnixListener::from_std(socket.into())?, file))
            }
        }
    }

    /// Where it really listens: port 0 has become a real one.
    ///
    /// # Errors
    /// The socket has no address.
    pub fn address(&self) -> io::Result<AdminAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(AdminAddress::Tcp),
            Self::Unix(_, file) => Ok(AdminAddress::Unix(file.0.clone())),
        }
    }

    /// The next connection, and the way that it came by.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn AdminConnection>, Way)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, client) = listener.accept().await?;
                // Only delays an answer if it fails.
                let _ = socket.set_nodelay(true);
                let listener = listener.local_addr()?;
                let local: IpAddr = socket.local_addr()?.ip();
                let client = client.ip();
                Ok((
                    Box::new(socket),
                    Way::Tcp {
                        listener,
                        local,
                        client,
                    },
                ))
            }
            Self::Unix(listener, _) => {
                let (socket, _) = listener.accept().await?;
                let peer = socket
                    .peer_cred()
                    .map_or(AdminPeer::Unknown, |of| AdminPeer::User(of.uid()));
                Ok((Box::new(socket), Way::Unix(peer)))
            }
        }
    }
}

/// Takes away what a process left that ended badly: a socket on which nobody listens. Nothing else is touched.
fn clear_away(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Ok(());
    }
    match BlockingStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sockets_file_is_of_its_user_alone_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let address = AdminAddress::Unix(path.clone());
        let listener = AdminListener::bind(&address, 0o600).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), listener.address().unwrap()),
            (0o600, address.clone())
        );

        let taken = AdminListener::bind(&address, 0o600).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "somebody listens there");
        drop(listener);
        assert!(!path.exists());

        // What is left of a process that was killed is no hindrance; what is no socket is.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let again = AdminListener::bind(&address, 0o660).await.unwrap();
        assert_eq!(mode(&path), 0o660);
        drop(again);
        fs::write(&path, "precious").unwrap();
        assert!(AdminListener::bind(&address, 0o600).await.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
