//! What `run` says when it is up: where it listens, and what clients need to use it.

use crate::accept::Entrance;
use crate::console::LoginCodes;
use crate::report::admin::AdminAddress;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

/// Where a proxy is to be found.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Where it speaks HTTP/1.1.
    pub proxy: Vec<SocketAddr>,
    /// Where it speaks TLS.
    pub tls: Vec<SocketAddr>,
    /// Where its other listeners are: the name of each, its kind, and an address.
    pub named: Vec<(Arc<str>, Entrance, SocketAddr)>,
    /// Where its metrics are.
    pub admin: Vec<AdminAddress>,
    /// The address of its portal.
    pub portal: Option<String>,
    /// The file with the CA certificate.
    pub ca: PathBuf,
    /// Where the console is: the address, whether it speaks TLS, and a code that logs one in, once.
    pub console: Vec<ConsoleAt>,
    /// The file of the live socket, if there is one.
    pub live: Option<PathBuf>,
    /// Whether the CA vouches for the proxy's own name, too.
    pub forged: bool,
}

/// Where the console is.
#[derive(Debug, Clone)]
pub struct ConsoleAt {
    /// The address.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub is_tls: bool,
    /// Logs somebody in, once.
    pub code: Option<String>,
}

/// How long an address that logs one in works.
const LOGIN: Duration = Duration::from_secs(5 * 60);

/// An address of the console that logs one in, once, within five minutes; none without a console.
pub fn login(consoles: &[ConsoleAt], codes: &LoginCodes) -> Option<String> {
    let at = consoles.first()?;
    let here = ConsoleAt {
        address: reachable(at.address),
        code: Some(codes.code(Some(LOGIN))?),
        ..at.clone()
    };
    Some(here.url())
}

impl ConsoleAt {
    /// Its address; what is behind the # is sent to nobody, and the page takes it out of the browser's history.
    fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        let code = self
            .code
            .as_ref()
            .map_or(String::new(), |code| format!("/#code={code}"));
        format!("{scheme}://{}{code}", self.address)
    }
}

impl Listening {
    /// Each address that it listens on.
    pub fn own(&self) -> Vec<SocketAddr> {
        let admin = self.admin.iter().filter_map(|address| match address {
            AdminAddress::Tcp(address) => Some(address),
            AdminAddress::Unix(_) => None,
        });
        let named = self.named.iter().map(|(_, _, address)| address);
        (self.proxy.iter())
            .chain(&self.tls)
            .chain(named)
            .chain(admin)
            .chain(self.console.iter().map(|at| &at.address))
            .copied()
            .collect()
    }
}

/// The lines for standard error. The first ones are for programs too: their wording does not change.
pub fn announce(listening: &Listening) -> String {
    let mut text = String::new();
    let ca = absolute(&listening.ca).unwrap_or_else(|_| listening.ca.clone());
    // Writing to a String cannot fail.
    for address in &listening.proxy {
        let _ = writeln!(text, "wsbump: proxy listening on {address}");
    }
    for address in &listening.tls {
        let _ = writeln!(text, "wsbump: TLS proxy listening on https://{address}");
    }
    for (name, entrance, address) in &listening.named {
        let kind = entrance.label();
        let _ = writeln!(text, "wsbump: listener {name} ({kind}) listening on {address}");
    }
    for address in &listening.admin {
        let scheme = match address {
            AdminAddress::Tcp(_) => "http://",
            AdminAddress::Unix(_) => "",
        };
        let _ = writeln!(text, "wsbump: admin listening on {scheme}{address}");
    }
    for at in &listening.console {
        let what = if at.code.is_some() {
            ", logs in once:"
        } else {
            " listening on"
        };
        let _ = writeln!(text, "wsbump: console{what} {}", at.url());
    }
    let _ = writeln!(text, "wsbump: CA certificate in {}", ca.display());
    if let Some(live) = &listening.live {
        let live = absolute(live).unwrap_or_else(|_| live.clone());
        let _ = writeln!(text, "wsbump: live socket at {}", live.display());
    }
    let ca = shell_word(&ca.display().to_string());
    if let Some(proxy) = listening.proxy.first() {
        text.push_str(&hints(reachable(*proxy), &ca));
    }
    if let Some(proxy) = listening.tls.first() {
        text.push_str(&tls_hints(reachable(*proxy), listening.forged, &ca));
    }
    if let Some(portal) = &listening.portal {
        let _ = writeln!(
            text,
            "with everything else, through the proxy: {portal}\n  It has the lines for each system, and the bundle: programs that are given the CA alone forget all other roots."
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

fn tls_hints(proxy: SocketAddr, forged: bool, ca: &str) -> String {
    let port = proxy.port();
    // A certificate of the operator's is for a name that only the operator knows.
    let (proxy, trust) = match forged {
        true => (proxy.to_string(), format!(" --proxy-cacert {ca}")),
        false => (format!("NAME:{port}"), String::new()),
    };
    let name = match forged {
        true => "",
        false => " (NAME is one of the certificate's in listen.cert)",
    };
    format!(
        "\
To use it by TLS{name}, with curl:
  curl --proxy https://{proxy}{trust} --cacert {ca} https://example.com/
with Chromium, which has to trust the CA as above:
  chromium --proxy-server=https://{proxy}
with Firefox, in a file for \"Automatic proxy configuration URL\":
  function FindProxyForURL(url, host) {{ return \"HTTPS {proxy}\"; }}
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
        let mut listening = Listening {
            proxy: vec!["0.0.0.0:3128".parse().unwrap(), "[::1]:8080".parse().unwrap()],
            tls: vec!["0.0.0.0:3129".parse().unwrap()],
            named: vec![("lan".into(), Entrance::Http, "192.0.2.1:8081".parse().unwrap())],
            admin: vec![
                AdminAddress::Tcp("127.0.0.1:9128".parse().unwrap()),
                AdminAddress::Unix("/run/wsbump/admin.sock".into()),
            ],
            portal: Some("http://wsbump.internal/".into()),
            ca: "/var/lib/it's mine/ca.pem".into(),
            forged: true,
            console: vec![
                ConsoleAt {
                    address: "127.0.0.1:9130".parse().unwrap(),
                    is_tls: false,
                    code: Some("abc".into()),
                },
                ConsoleAt {
                    address: "192.0.2.1:9130".parse().unwrap(),
                    is_tls: true,
                    code: None,
                },
            ],
            live: None,
        };
        let text = announce(&listening);
        let lines: Vec<_> = text.lines().take(9).collect();
        assert_eq!(
            lines,
            [
                "wsbump: proxy listening on 0.0.0.0:3128",
                "wsbump: proxy listening on [::1]:8080",
                "wsbump: TLS proxy listening on https://0.0.0.0:3129",
                "wsbump: listener lan (http) listening on 192.0.2.1:8081",
                "wsbump: admin listening on http://127.0.0.1:9128",
                "wsbump: admin listening on unix:/run/wsbump/admin.sock",
                "wsbump: console, logs in once: http://127.0.0.1:9130/#code=abc",
                "wsbump: console listening on https://192.0.2.1:9130",
                "wsbump: CA certificate in /var/lib/it's mine/ca.pem",
            ]
        );
        // A client connects to an address, not to all of them, and a shell splits at spaces.
        assert!(text.contains(r"curl --proxy http://127.0.0.1:3128 --cacert '/var/lib/it'\''s mine/ca.pem'"));
        assert!(
            text.contains(r"--proxy https://127.0.0.1:3129 --proxy-cacert '/var/lib/it'\''s mine/ca.pem'")
        );
        assert!(
            text.contains("through the proxy: http://wsbump.internal/"),
            "{text}"
        );
        // Another certificate is for a name, and trusted or not by itself.
        listening.forged = false;
        let text = announce(&listening);
        assert!(text.contains("--proxy https://NAME:3129 --cacert"), "{text}");
    }

    #[test]
    fn shells_see_one_word() {
        assert_eq!(shell_word("/a/b-c.pem"), "/a/b-c.pem");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("$x"), "'$x'");
    }
}
