//! `wsbump health`: asks a running proxy whether it is well.

use super::args::HealthArgs;
use super::output::{CommandError, emit};
use crate::report::admin::AdminAddress;
use crate::settings::{DEFAULT_ADMIN, Problems, admin_address};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// For each step: whoever asks has a deadline of their own.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most of an answer that is read.
const ANSWER: u64 = 16 * 1024;

/// `wsbump health`: asks the admin listener; tells whether all is well.
///
/// # Errors
/// The configuration is wrong, or has no admin listener.
pub fn health(options: &HealthArgs) -> Result<bool, CommandError> {
    let address = match &options.admin {
        Some(address) => address.clone(),
        None => configured(options.place.config.as_deref())?,
    };
    let path = if options.ready { "/readyz" } else { "/healthz" };
    let (well, said) = match asked(&address, path) {
        Ok((200, said)) => (true, said),
        Ok((status, said)) => (false, format!("{status}: {said}")),
        Err(error) => (false, format!("{address} does not answer: {error}")),
    };
    emit(format!("{}\n", said.trim()).as_bytes())?;
    Ok(well)
}

/// The first of `listen.admin`. The rest of the file is left alone: this is asked every few seconds, and lists may be long.
fn configured(file: Option<&Path>) -> Result<AdminAddress, Problems> {
    let wrong = |message: String| Problems::of_option("listen.admin", message);
    let text = match file {
        None => String::new(),
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| wrong(format!("{}: {error}", file.display())))?
        }
    };
    let table: toml::Table = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let Some(admin) = table.get("listen").and_then(|listen| listen.get("admin")) else {
        return Ok(AdminAddress::Tcp(DEFAULT_ADMIN));
    };
    let first = match admin {
        toml::Value::Array(all) => all.first().and_then(toml::Value::as_str),
        one => one.as_str(),
    };
    let first = first.ok_or_else(|| wrong("the configuration has no listener that could be asked".into()))?;
    admin_address(first).map_err(wrong)
}

/// The status, and what is said with it.
fn asked(address: &AdminAddress, path: &str) -> io::Result<(u16, String)> {
    match address {
        AdminAddress::Tcp(address) => {
            let address = near(*address);
            let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            ask(socket, path, &address.to_string())
        }
        AdminAddress::Unix(file) => {
            let socket = UnixStream::connect(file)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            ask(socket, path, "localhost")
        }
    }
}

/// Who listens everywhere listens here.
fn near(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn ask(mut socket: impl Read + Write, path: &str, host: &str) -> io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.take(ANSWER).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("what came is no answer of HTTP/1.1"))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_networks_is_asked_here() {
        for (bound, asked) in [
            ("0.0.0.0:9128", "127.0.0.1:9128"),
            ("[::]:9128", "[::1]:9128"),
            ("10.0.0.1:9128", "10.0.0.1:9128"),
        ] {
            assert_eq!(near(bound.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
