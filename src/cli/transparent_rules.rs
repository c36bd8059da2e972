//! `wsbump transparent-rules`: what the kernel has to be told so that it brings connections here, and what it has not been.

use super::args::TransparentArgs;
use super::output::{CommandError, emit};
use crate::accept::{Entrance, ListenerConfig};
use crate::settings::Problems;
use serde_json::Value;
use std::fmt::Write;
use std::process::Command;

/// The mark of what TPROXY brings, and the routing table that keeps it here.
const MARK: u32 = 1;
const TABLE: u32 = 100;

/// `wsbump transparent-rules`: prints the rules, or says what is missing of them; whether nothing is.
///
/// # Errors
/// The configuration is wrong or has no such listener, or the kernel cannot be asked.
pub fn transparent_rules(options: &TransparentArgs) -> Result<bool, CommandError> {
    let settings = options.place.source().load()?;
    let caught: Vec<_> = (settings.listen.all().into_iter())
        .filter(|listener| listener.entrance.is_caught() && port(listener).is_some())
        .collect();
    if caught.is_empty() {
        let message = "no [[listener]] of kind \"redirect\" or \"tproxy\" has an address";
        return Err(Problems::of_option("listener.kind", message).into());
    }
    if !options.check {
        let user = options.own.then_some(options.user.as_str());
        emit(rules(&caught, &options.ports, user).as_bytes())?;
        return Ok(true);
    }
    let ruleset = ask("nft", &["--json", "list", "ruleset"])?;
    let mut missing = Vec::new();
    for listener in &caught {
        missing.extend(missing_rule(&ruleset, listener));
    }
    if caught
        .iter()
        .any(|listener| listener.entrance == Entrance::Tproxy)
    {
        for family in ["-4", "-6"] {
            let marked = ask("ip", &["-json", family, "rule", "show"])?;
            let table = table_of(&marked);
            let local = match &table {
                Some(table) => ask("ip", &["-json", family, "route", "show", "table", table])?,
                None => Value::Null,
            };
            missing.extend(missing_route(family, table.is_some(), &local));
        }
        if proc_is("net/ipv4/conf/all/src_valid_mark", "1") {
            missing.push(
                "net.ipv4.conf.all.src_valid_mark is 1, which discards what tproxy brings: sysctl -w net.ipv4.conf.all.src_valid_mark=0"
                    .to_owned(),
            );
        }
    }
    if proc_is("net/ipv4/ip_forward", "0") {
        missing.push("net.ipv4.ip_forward is 0: this machine is no router for others".to_owned());
    }
    let is_whole = missing.is_empty();
    let said = match is_whole {
        true => "nothing is missing\n".to_owned(),
        false => missing.iter().map(|line| format!("missing: {line}\n")).collect(),
    };
    emit(said.as_bytes())?;
    Ok(is_whole)
}

fn port(listener: &ListenerConfig) -> Option<u16> {
    listener.addresses.first().map(|address| address.port())
}

/// A table of nftables; what `ip` has to be told stands in its comments. `own_user` is whom the proxy runs as, if this machine's
/// own connections are to be caught, too.
fn rules(caught: &[ListenerConfig], ports: &[u16], own_user: Option<&str>) -> String {
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let ports = format!("{{ {} }}", ports.join(", "));
    let mut text = String::from("# wsbump transparent-rules | nft -f -\ntable inet wsbump {\n");
    // Writing to a String cannot fail.
    for (at, listener) in caught.iter().enumerate() {
        let port = port(listener).unwrap_or_default();
        let name = if at == 0 { String::new() } else { format!("_{at}") };
        if listener.entrance == Entrance::Tproxy {
            let _ = write!(
                text,
                "\tchain caught{name} {{\n\t\ttype filter hook prerouting priority mangle; policy accept;\n\
                 \t\tmeta l4proto tcp socket transparent 1 meta mark set {MARK} accept\n\
                 \t\tfib daddr type local return\n\
                 \t\ttcp dport {ports} tproxy to :{port} meta mark set {MARK} accept\n\t}}\n"
            );
            continue;
        }
        let _ = write!(
            text,
            "\tchain caught{name} {{\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\
             \t\tfib daddr type local return\n\
             \t\ttcp dport {ports} redirect to :{port}\n\t}}\n"
        );
        if let Some(user) = own_user {
            let _ = write!(
                text,
                "\tchain own{name} {{\n\t\ttype nat hook output priority -100; policy accept;\n\
                 \t\t# The proxy's own connections, or each would beget another.\n\
                 \t\tmeta skuid \"{user}\" return\n\
                 \t\tfib daddr type local return\n\
                 \t\ttcp dport {ports} redirect to :{port}\n\t}}\n"
            );
        }
    }
    text.push_str(
        "\tchain quic {\n\t\ttype filter hook forward priority filter; policy accept;\n\
         \t\t# Told at once, browsers fall back to TCP; what is dropped they wait for.\n\
         \t\tudp dport 443 reject\n\t}\n}\n",
    );
    if caught
        .iter()
        .any(|listener| listener.entrance == Entrance::Tproxy)
    {
        text.push_str("# For tproxy, after each start of the machine:\n");
        for family in ["-4", "-6"] {
            let _ = write!(
                text,
                "#   ip {family} rule add fwmark {MARK} lookup {TABLE}\n\
                 #   ip {family} route add local default dev lo table {TABLE}\n"
            );
        }
    }
    text
}

/// What a listener needs of the rules that there are, if it is not there.
fn missing_rule(ruleset: &Value, listener: &ListenerConfig) -> Option<String> {
    let port = port(listener)?;
    let statement = match listener.entrance {
        Entrance::Tproxy => "tproxy",
        _ => "redirect",
    };
    (!has(ruleset, statement, port)).then(|| {
        format!(
            "no {statement} rule leads to port {port} of listener {:?}",
            &*listener.name
        )
    })
}

/// Whether there is such a statement with this port anywhere.
fn has(value: &Value, statement: &str, port: u16) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| (key == statement && value["port"] == port) || has(value, statement, port)),
        Value::Array(members) => members.iter().any(|value| has(value, statement, port)),
        _ => false,
    }
}

/// The table that what is marked is looked up in.
fn table_of(rules: &Value) -> Option<String> {
    let mark = format!("{MARK:#x}");
    let rule = rules
        .as_array()?
        .iter()
        .find(|rule| rule["fwmark"] == mark.as_str())?;
    Some(rule["table"].as_str()?.to_owned())
}

/// What is missing of the way by which what is marked stays here.
fn missing_route(family: &str, is_marked: bool, routes: &Value) -> Option<String> {
    let stays = |route: &Value| route["type"] == "local" && route["dst"] == "default";
    if !is_marked {
        return Some(format!("ip {family} rule add fwmark {MARK} lookup {TABLE}"));
    }
    let routes = routes.as_array().map_or(&[][..], Vec::as_slice);
    (!routes.iter().any(stays)).then(|| format!("ip {family} route add local default dev lo table {TABLE}"))
}

/// What a program of the system's says, as JSON.
fn ask(program: &str, arguments: &[&str]) -> Result<Value, CommandError> {
    let failed = |why: &str| CommandError::Other(format!("{program} cannot be asked: {why}"));
    let done = Command::new(program).args(arguments).output();
    let done = done.map_err(|error| failed(&error.to_string()))?;
    if !done.status.success() {
        // A table that nobody has made is an empty one.
        if program == "ip" {
            return Ok(Value::Null);
        }
        return Err(failed(String::from_utf8_lossy(&done.stderr).trim()));
    }
    match done.stdout.trim_ascii() {
        [] => Ok(Value::Null),
        text => serde_json::from_slice(text).map_err(|error| failed(&error.to_string())),
    }
}

fn proc_is(name: &str, value: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/{name}")).is_ok_and(|text| text.trim() == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listener(entrance: Entrance, port: u16) -> ListenerConfig {
        ListenerConfig {
            name: "caught".into(),
            entrance,
            addresses: vec![([0, 0, 0, 0], port).into()],
            socket: None,
            reuse_port: false,
        }
    }

    #[test]
    fn the_rules_are_those_of_the_listener_and_leave_the_proxy_alone() {
        let text = rules(&[listener(Entrance::Redirect, 3129)], &[80, 443], Some("wsbump"));
        for line in [
            "tcp dport { 80, 443 } redirect to :3129",
            "meta skuid \"wsbump\" return",
            "udp dport 443 reject",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("ip -4"), "{text}");
        let text = rules(&[listener(Entrance::Tproxy, 3130)], &[8443], None);
        for line in [
            "tcp dport { 8443 } tproxy to :3130 meta mark set 1 accept",
            "socket transparent 1",
            "#   ip -6 route add local default dev lo table 100",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("skuid"), "{text}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let ruleset = json!({ "nftables": [{ "rule": { "expr": [{ "redirect": { "port": 3129 } }] } }] });
        assert_eq!(missing_rule(&ruleset, &listener(Entrance::Redirect, 3129)), None);
        for other in [
            listener(Entrance::Redirect, 3130),
            listener(Entrance::Tproxy, 3129),
        ] {
            assert!(missing_rule(&ruleset, &other).is_some());
        }
        let marked = json!([{ "priority": 0 }, { "fwmark": "0x1", "table": "100" }]);
        assert_eq!(table_of(&marked).as_deref(), Some("100"));
        assert_eq!(table_of(&json!([{ "fwmark": "0x2", "table": "100" }])), None);
        assert!(
            missing_route("-4", false, &Value::Null)
                .unwrap()
                .contains("rule add")
        );
        assert!(
            missing_route("-4", true, &json!([]))
                .unwrap()
                .contains("route add")
        );
        let stays = json!([{ "type": "local", "dst": "default", "dev": "lo" }]);
        assert_eq!(missing_route("-4", true, &stays), None);
    }
}
