//! The script's text.

use super::config::PacConfig;
use crate::decide::{List, ListedPlace};
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::fmt;
use std::net::Ipv4Addr;

/// The most that Chromium reads of a script, in bytes.
pub const MOST_BYTES: usize = 1 << 20;

/// A script, and what of its lists it cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its text.
    pub text: String,
    /// The networks of IPv6 among the entries: PAC has no way to tell whether an address is in one.
    pub left_out: usize,
}

/// A script that browsers would not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge(pub usize);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the script would have {} bytes, and Chromium reads no more than {MOST_BYTES}: name shorter lists",
            self.0
        )
    }
}

impl std::error::Error for TooLarge {}

/// Names and networks, each with the ports that it is meant for, or 1 for every port.
#[derive(Default)]
struct Direct {
    hosts: Map<String, Value>,
    trees: Map<String, Value>,
    networks: Vec<Value>,
    left_out: usize,
}

impl Direct {
    fn add(&mut self, list: &List) {
        for (place, port) in list.places().into_iter().flatten() {
            match place {
                ListedPlace::Host(name) => note(&mut self.hosts, name, port),
                ListedPlace::Tree(name) => note(&mut self.trees, name, port),
                ListedPlace::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                    note(&mut self.hosts, &network.addr().to_string(), port);
                }
                ListedPlace::Network(IpNet::V4(network)) => {
                    let ends: [Ipv4Addr; 2] = [network.addr(), network.netmask()];
                    self.networks.push(json!([ends[0], ends[1], port.unwrap_or(0)]));
                }
                ListedPlace::Network(IpNet::V6(_)) => self.left_out += 1,
            }
        }
    }
}

fn note(map: &mut Map<String, Value>, name: &str, port: Option<u16>) {
    let known = map.entry(name.to_ascii_lowercase()).or_insert_with(|| json!([]));
    match (port, known) {
        (Some(port), Value::Array(ports)) => ports.push(port.into()),
        (Some(_), _) => {}
        (None, every) => *every = json!(1),
    }
}

impl Script {
    /// For this configuration.
    ///
    /// # Errors
    /// It would be larger than browsers read.
    pub fn new(config: &PacConfig) -> Result<Self, TooLarge> {
        let mut direct = Direct::default();
        config.direct.iter().for_each(|list| direct.add(list));
        let proxies = config.proxies.iter();
        let ways = proxies.map(|(protocol, at)| format!("{} {}:{}", protocol.label(), at.host, at.port));
        let ways: Vec<_> = ways
            .chain(config.may_go_direct.then(|| "DIRECT".to_owned()))
            .collect();
        let text = TEXT
            .replace("{proxies}", &json!(ways.join("; ")).to_string())
            .replace("{plain}", if config.plain_hosts { "true" } else { "false" })
            .replace("{hosts}", &Value::Object(direct.hosts).to_string())
            .replace("{trees}", &Value::Object(direct.trees).to_string())
            .replace("{networks}", &Value::Array(direct.networks).to_string());
        match text.len() {
            0..=MOST_BYTES => Ok(Self {
                text,
                left_out: direct.left_out,
            }),
            length => Err(TooLarge(length)),
        }
    }
}

const TEXT: &str = r#"// Made by wsbump from its configuration ([pac]).
var proxies = {proxies};
var hosts = {hosts};
var trees = {trees};
var networks = {networks};

// Whether a name is in one of the tables, for this port: 1 stands for every port.
function listed(table, name, port) {
    if (!Object.prototype.hasOwnProperty.call(table, name)) return false;
    var ports = table[name];
    if (ports === 1) return true;
    for (var at = 0; at < ports.length; at++) if (ports[at] === port) return true;
    return false;
}

function portOf(url) {
    var parts = /^([a-z][a-z0-9+.-]*):\/\/(?:[^\/?#@]*@)?(?:\[[^\]]*\]|[^\/?#:]*)(?::([0-9]+))?/i.exec(url);
    if (!parts) return 0;
    if (parts[2]) return parseInt(parts[2], 10);
    var scheme = parts[1].toLowerCase();
    return scheme === "http" || scheme === "ws" ? 80 : scheme === "ftp" ? 21 : 443;
}

function FindProxyForURL(url, host) {
    var name = host.toLowerCase().replace(/^\[|\]$/g, "").replace(/\.$/, "");
    var port = portOf(url);
    if ({plain} && name.indexOf(".") < 0 && name.indexOf(":") < 0) return "DIRECT";
    if (listed(hosts, name, port)) return "DIRECT";
    if (/^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/.test(name)) {
        for (var at = 0; at < networks.length; at++) {
            var network = networks[at];
            if ((network[2] === 0 || network[2] === port) && isInNet(name, network[0], network[1])) return "DIRECT";
        }
        return proxies;
    }
    for (var tree = name; ; tree = tree.substring(tree.indexOf(".") + 1)) {
        if (listed(trees, tree, port)) return "DIRECT";
        if (tree.indexOf(".") < 0) return proxies;
    }
}
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Format;
    use crate::pac::config::PacProtocol;
    use crate::wire::names::Authority;
    use std::sync::Arc;

    fn config(lists: &[&str]) -> PacConfig {
        let lists = lists.iter().map(|text| {
            let list = List::parse("l", text, Format::Domains, true).unwrap();
            Arc::new(list)
        });
        PacConfig {
            proxies: vec![
                (
                    PacProtocol::Https,
                    Authority::parse("proxy.corp.example:3129", None).unwrap(),
                ),
                (
                    PacProtocol::Http,
                    Authority::parse("[2001:db8::1]:3128", None).unwrap(),
                ),
            ],
            direct: lists.collect(),
            plain_hosts: true,
            may_go_direct: false,
        }
    }

    #[test]
    fn what_it_says_of_lists() {
        let script = Script::new(&config(&[
            "www.a.example\n.B.example\n.b.example:8443\n192.0.2.0/24\n198.51.100.7\nx.example:80\nx.example:81",
            "2001:db8::/32\n2001:db8::5\n",
        ]));
        let Script { text, left_out } = script.unwrap();
        assert_eq!(left_out, 1);
        for line in [
            r#"var proxies = "HTTPS proxy.corp.example:3129; PROXY [2001:db8::1]:3128";"#,
            r#"var hosts = {"198.51.100.7":1,"2001:db8::5":1,"www.a.example":1,"x.example":[80,81]};"#,
            r#"var trees = {"b.example":1};"#,
            r#"var networks = [["192.0.2.0","255.255.255.0",0]];"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_script_that_nobody_reads_to_its_end_is_none() {
        let names: String = (0..60_000).map(|at| format!("host{at}.example\n")).collect();
        assert!(Script::new(&config(&[&names])).unwrap_err().0 > MOST_BYTES);
    }

    proptest::proptest! {
        /// Whatever is in a list, the script is what it was, but for its tables.
        #[test]
        fn no_entry_gets_out_of_its_table(lines in proptest::collection::vec("[ -~\u{a0}-\u{3ff}\u{2028}]{0,20}", 0..6)) {
            let text = lines.join("\n");
            if let Ok(list) = List::parse("l", &text, Format::Domains, true) {
                let config = PacConfig {
                    direct: vec![Arc::new(list)],
                    ..config(&[])
                };
                let script = Script::new(&config).unwrap().text;
                proptest::prop_assert!(script.is_ascii(), "{}", script);
                let empty = Script::new(&PacConfig { direct: Vec::new(), ..config }).unwrap().text;
                let tables = ["var hosts = ", "var trees = ", "var networks = "];
                for (line, plain) in script.lines().zip(empty.lines()) {
                    let Some(table) = tables.iter().find_map(|begin| line.strip_prefix(begin)) else {
                        proptest::prop_assert_eq!(line, plain);
                        continue;
                    };
                    let table = table.strip_suffix(';').map(serde_json::from_str::<Value>);
                    proptest::prop_assert!(matches!(table, Some(Ok(_))), "{}", line);
                }
                proptest::prop_assert_eq!(script.lines().count(), empty.lines().count());
            }
        }
    }

    #[test]
    fn without_a_proxy_only_where_that_is_wanted() {
        let of = |may_go_direct| {
            let config = PacConfig {
                may_go_direct,
                ..config(&[])
            };
            Script::new(&config).unwrap().text
        };
        assert!(of(true).contains("3128; DIRECT\""));
        assert!(!of(false).contains("; DIRECT\""));
    }
}
