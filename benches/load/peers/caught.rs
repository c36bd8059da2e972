//! Connections that the kernel redirects to the proxy, on loopback: an address that nobody else dials leads there, and from the
//! proxy's own address on to the origin.

use crate::Fallible;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

/// What clients dial.
pub(super) const DIALLED: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);
/// Where the proxy dials from, so that it does not catch itself.
const OWN: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 2);

/// Rules in the kernel, which go with it.
pub(super) struct Rules(String);

impl Rules {
    /// Whether this process may set any.
    pub(super) fn possible() -> bool {
        nft("").is_ok()
    }

    /// Has the kernel bring what is dialled to this port.
    pub(super) fn set(origin: SocketAddr, port: u16) -> Fallible<Self> {
        let table = format!("wsbump_load_{port}");
        let mut text = format!("table ip {table} {{ chain out {{ type nat hook output priority -100;\n");
        let to = origin.port();
        writeln!(text, "ip saddr {OWN} ip daddr {DIALLED} dnat to {}", origin.ip())?;
        writeln!(
            text,
            "ip daddr {DIALLED} tcp dport {to} redirect to :{port}\n}}\n}}"
        )?;
        nft(&text)?;
        Ok(Self(table))
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        // They lead nowhere, and whoever runs this hears of it.
        if let Err(error) = nft(&format!("delete table ip {}\n", self.0)) {
            eprintln!("load: {error}");
        }
    }
}

/// What a configuration has to say of it.
pub(super) fn config(port: u16) -> String {
    format!(
        "\n[[listener]]\nname = \"caught\"\nkind = \"redirect\"\naddress = [\"127.0.0.1:{port}\"]\n\n\
         [[policy.setting]]\nsource = [\"{OWN}\"]\n"
    )
}

fn nft(text: &str) -> Fallible<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Without a rule the kernel is asked whether it would take one.
        let text = if text.is_empty() { "list ruleset\n" } else { text };
        stdin.write_all(text.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("nft: {}", String::from_utf8_lossy(&done.stderr).trim()).into()),
    }
}
