//! `[pac]`: the script by which clients find the proxy.

use super::lists::Lists;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::decide::List;
use crate::pac::{PacConfig, PacProtocol, Script};
use crate::wire::names::Authority;
use std::sync::Arc;

/// What else can be in the place of a proxy that does not answer.
const FALLBACKS: [(&str, bool); 2] = [("none", false), ("direct", true)];

/// Each with its place.
type Proxies = At<Vec<At<(PacProtocol, Authority)>>>;

/// The table as written.
#[derive(Debug)]
pub(super) struct PacTable {
    proxies: Option<Proxies>,
    direct: Vec<Arc<List>>,
    plain_hosts: bool,
    may_go_direct: bool,
}

impl PacTable {
    /// Reads the table; what is wrong is stated and left out.
    pub(super) fn read(mut section: Section<'_, '_>, lists: &mut Lists) -> Self {
        let proxies = section.list("proxies", proxy);
        let direct = lists.named(&mut section, "direct");
        let plain_hosts = section.flag("plain_hosts", true);
        let may_go_direct = section.choice("fallback", &FALLBACKS, false);
        let span = section.span();
        if let Some(list) = direct.iter().find(|list| list.places().is_none()) {
            let message = format!(
                "the list {:?} is of expressions, which browsers read otherwise than Squid does; name lists of format = \"domains\"",
                list.name()
            );
            section.note(&span, "direct", message);
        }
        if section.has("direct") && proxies.is_none() && !direct.is_empty() {
            let message = "nothing is told to clients without pac.proxies; write where they find this proxy, such as [\"http://proxy.corp.example:3128\"]";
            section.note(&span, "direct", message);
        }
        section.finish();
        Self {
            proxies,
            direct,
            plain_hosts,
            may_go_direct,
        }
    }

    /// The script's text, if there is to be one.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> Option<Arc<str>> {
        let At { value, span } = self.proxies?;
        if value.is_empty() {
            return None;
        }
        let config = PacConfig {
            proxies: value.into_iter().map(|at| at.value).collect(),
            direct: self.direct,
            plain_hosts: self.plain_hosts,
            may_go_direct: self.may_go_direct,
        };
        match Script::new(&config) {
            Ok(Script { text, left_out }) => {
                if left_out > 0 {
                    notes.warn(format!(
                        "pac.direct: {left_out} networks of IPv6 are left out, since a script cannot tell whether an address is in one: clients ask the proxy for them"
                    ));
                }
                Some(text.into())
            }
            Err(error) => {
                notes.add(&span, "pac.direct", error.to_string());
                None
            }
        }
    }
}

/// `http://HOST:PORT`, or `https://` or `socks5://`.
fn proxy(text: &str) -> Result<(PacProtocol, Authority), String> {
    let advice =
        "write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, as clients reach this proxy";
    let (protocol, at) = match text.split_once("://") {
        Some(("http", at)) => (PacProtocol::Http, at),
        Some(("https", at)) => (PacProtocol::Https, at),
        Some(("socks5", at)) => (PacProtocol::Socks5, at),
        _ => return Err(format!("{text:?} is no proxy; {advice}")),
    };
    match Authority::parse(at.strip_suffix('/').unwrap_or(at), None) {
        Some(at) => Ok((protocol, at)),
        None => Err(format!("{text:?} is no proxy; {advice}")),
    }
}
