//! Where the programs of others are, and what they need to run here.

use crate::Fallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The other build of wsbump, if one is named.
pub(super) fn other() -> Option<PathBuf> {
    std::env::var_os("LOAD_OTHER").map(PathBuf::from)
}

/// mitmdump in the project's own virtual environment, or on the path.
pub(super) fn mitmdump() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/mitmdump");
    if own.exists() { own } else { "mitmdump".into() }
}

/// Squid's helper that mints; only a Squid built with OpenSSL has it.
pub(super) fn certgen() -> Option<PathBuf> {
    let folders = ["/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid"];
    folders
        .iter()
        .map(|folder| Path::new(folder).join("security_file_certgen"))
        .find(|path| path.exists())
}

/// An empty certificate store, and files that Squid's own user may write once it has dropped root.
pub(super) fn prepare_squid(dir: &Path, port: u16) -> Fallible<()> {
    let (store, log) = (
        dir.join(format!("squid-certs-{port}")),
        dir.join(format!("squid-{port}.log")),
    );
    let done = Command::new(certgen().unwrap_or_default())
        .arg("-c")
        .arg("-s")
        .arg(&store)
        .args(["-M", "64MB"])
        .output()?;
    if !done.status.success() {
        return Err(format!("no certificate store: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    fs::write(&log, "")?;
    // Fails without root; then Squid keeps the user that owns these files already.
    let _ = Command::new("chown")
        .args(["-R", "proxy:"])
        .arg(&store)
        .arg(log)
        .output();
    Ok(())
}
