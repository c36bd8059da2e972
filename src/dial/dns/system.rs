//! The system's resolver, which blocks.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use tokio::sync::Semaphore;

/// Half of the threads that the runtime keeps for blocking calls.
const LOOK_UPS: usize = 256;

/// The system's resolver, on a thread of its own. A look-up that has timed out still holds its thread, so only so
/// many run at once: names that nobody answers for must not take the threads that everything else blocks on.
///
/// # Errors
/// In the system's words: its errors have neither kinds nor numbers.
pub(super) async fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    static RUNNING: Semaphore = Semaphore::const_new(LOOK_UPS);
    let permit = RUNNING.acquire().await.map_err(io::Error::other)?;
    let name = name.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        (name.as_str(), 0).to_socket_addrs()
    });
    let found = found.await.map_err(io::Error::other)??;
    Ok(found.map(|address| address.ip()).collect())
}
