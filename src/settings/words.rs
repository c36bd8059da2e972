//! Values that need more than a type: addresses, networks, names, levels.

use crate::inspect::OnFailure;
use crate::report::admin::AdminAddress;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// What happens to what cannot be judged.
pub(super) const FAILURES: [(&str, OnFailure); 2] = [("pass", OnFailure::Pass), ("close", OnFailure::Close)];

/// `ADDRESS:PORT`.
///
/// # Errors
/// A sentence that says what would be right.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let is_ip = |host: &str| host.parse::<IpAddr>().is_ok();
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let is_name = |host: &str| {
            let has_letters = host.contains(|c: char| c.is_ascii_alphabetic());
            has_letters && host != "localhost" && !host.contains(['[', ':', '/'])
        };
        let bare = text.split_once("://").map(|(_, rest)| rest.trim_end_matches('/'));
        let advice = match text.rsplit_once(':') {
            _ if bare.is_some_and(|bare| bare.parse::<SocketAddr>().is_ok()) => {
                format!("write {}", bare.unwrap_or_default())
            }
            // `::1:3128` is an address itself, and was not meant as one.
            Some((host, port)) if port.len() > 2 && is_port(port) && host.contains(':') && is_ip(host) => {
                format!("write [{host}]:{port}")
            }
            Some((host, port)) if is_port(port) && port.parse::<u16>().is_err() && is_ip(host) => {
                "the last port is 65535".to_owned()
            }
            Some((host, port)) if is_port(port) && is_name(host) => {
                format!("names are not resolved here: write the address of {host}")
            }
            Some(("localhost", port)) => format!("names are not resolved here: write 127.0.0.1:{port}"),
            Some(("" | "*", port)) => format!(
                "write the address: 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} for every network"
            ),
            _ if text.parse::<u16>().is_ok() => format!("write the address too: 127.0.0.1:{text}"),
            _ if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => format!("write [{text}]:3128"),
            _ if text.parse::<IpAddr>().is_ok() => format!("write the port too: {text}:3128"),
            _ => "write ADDRESS:PORT, such as 127.0.0.1:3128 or [::1]:3128".into(),
        };
        format!("{text:?} is not an address with a port; {advice}")
    })
}

/// `ADDRESS:PORT` or `unix:/PATH`.
///
/// # Errors
/// A sentence that says what would be right.
pub fn admin_address(text: &str) -> Result<AdminAddress, String> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(AdminAddress::Unix(path.into())),
        Some(path) => Err(format!(
            "{text:?} is not a whole path; write it from the root, such as unix:/run/wsbump/{}",
            path.rsplit('/')
                .next()
                .filter(|name| !name.is_empty())
                .unwrap_or("admin.sock")
        )),
        None => address(text).map(AdminAddress::Tcp),
    }
}

/// `ADDRESS:PORT`, or `off`.
///
/// # Errors
/// A sentence that says what would be right.
pub fn console_address(text: &str) -> Result<Option<SocketAddr>, String> {
    match text {
        "off" => Ok(None),
        text => address(text).map(Some),
    }
}

/// `ADDRESS/BITS`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.into());
    }
    let net: IpNet = text.parse().map_err(|_| {
        let advice = meant(text).unwrap_or_else(|| {
            "write ADDRESS/BITS, such as 10.0.0.0/8 or fd00::/8, or one address".to_owned()
        });
        format!("{text:?} is not a network; {advice}")
    })?;
    if net.addr() == net.network() {
        Ok(net)
    } else {
        Err(format!(
            "{text:?} has bits set after the first {}; write {}",
            net.prefix_len(),
            net.trunc()
        ))
    }
}

/// What was probably meant by what is no network.
fn meant(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("there are 0 to {most} bits"));
    }
    let bits = ipnet::ip_mask_to_prefix(bits.parse().ok()?).ok()?;
    let net = IpNet::new(address, bits).ok()?;
    Some(format!("write {}", net.trunc()))
}

/// A name that may stand in metrics, logs and other keys; `what` says whose.
pub(super) fn name(text: &str, what: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} cannot name a {what}; write 1 to 64 letters, digits, hyphens, dots or underscores"
    ))
}

/// `info`, or `info,wsbump=debug`. `EnvFilter` alone would take a misspelt level for a module's name.
///
/// # Errors
/// A sentence that says what would be right.
pub fn level(text: &str) -> Result<(), String> {
    let known = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    let all = text
        .split(',')
        .all(|part| known(part.rsplit_once('=').map_or(part, |(_, level)| level)));
    if all && tracing_subscriber::EnvFilter::try_new(text).is_ok() {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a level; write \"error\", \"warn\", \"info\", \"debug\" or \"trace\", or one for each part: \"info,wsbump=debug\""
    ))
}
