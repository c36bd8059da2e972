//! What `run` says when it is up: where it listens, and what clients need to use it.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, absolute};

/// The lines for standard error. The first ones are for programs too: their wording does not change.
pub fn announce(proxy: &[SocketAddr], admin: &[SocketAddr], ca: &Path) -> String {
    let mut text = String::new();
    let ca = absolute(ca).unwrap_or_else(|_| ca.into());
    // Writing to a String cannot fail.
    for address in proxy {
        let _ = writeln!(text, "wsbump: proxy listening on {address}");
    }
    for address in admin {
        let _ = writeln!(text, "wsbump: admin listening on http://{address}");
    }
    let _ = writeln!(text, "wsbump: CA certificate in {}", ca.display());
    if let Some(proxy) = proxy.first() {
        let _ = write!(
            text,
            "{}",
            hints(reachable(*proxy), &shell_word(&ca.display().to_string()))
        );
    }
    text
}

/// An address that a client on this machine can use.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn hints(proxy: SocketAddr, ca: &str) -> String {
    let (host, port) = (proxy.ip(), proxy.port());
    format!(
        "\
To use it, with curl:
  curl --proxy http://{proxy} --cacert {ca} https://example.com/
with Chromium (certutil is in Debian's libnss3-tools):
  mkdir -p ~/.pki/nssdb && certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n wsbump -i {ca}
  chromium --proxy-server=http://{proxy}
with Firefox, in about:preferences:
  Certificates > View Certificates > Authorities > Import: {ca}
  Network Settings > Manual proxy: HTTP Proxy {host}, Port {port}, \"Also use this proxy for HTTPS\"
"
    )
}

/// `text` as one word of a shell's command line.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:=".contains(c);
    if text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_are_for_programs() {
        let text = announce(
            &["0.0.0.0:3128".parse().unwrap(), "[::1]:8080".parse().unwrap()],
            &["127.0.0.1:9128".parse().unwrap()],
            Path::new("/var/lib/it's mine/ca.pem"),
        );
        let lines: Vec<_> = text.lines().take(4).collect();
        assert_eq!(
            lines,
            [
                "wsbump: proxy listening on 0.0.0.0:3128",
                "wsbump: proxy listening on [::1]:8080",
                "wsbump: admin listening on http://127.0.0.1:9128",
                "wsbump: CA certificate in /var/lib/it's mine/ca.pem",
            ]
        );
        // A client connects to an address, not to all of them, and a shell splits at spaces.
        assert!(text.contains(r"curl --proxy http://127.0.0.1:3128 --cacert '/var/lib/it'\''s mine/ca.pem'"));
    }

    #[test]
    fn shells_see_one_word() {
        assert_eq!(shell_word("/a/b-c.pem"), "/a/b-c.pem");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("$x"), "'$x'");
    }
}
