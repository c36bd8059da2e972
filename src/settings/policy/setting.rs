//! One `[[policy.setting]]`.

use super::conditions::{nested, of_connection};
use crate::decide::{
    Direct, HeaderEdit, OtherUpgrade, ParentOrder, PolicySetting, ProxyProtocolOut, Sources, TellClient,
};
use crate::handshake::OwnCertificate;
use crate::settings::certificates::own_certificate;
use crate::settings::lists::Lists;
use crate::settings::problem::{Diagnostics, nearest};
use crate::settings::reader::{At, Section};
use crate::settings::words::{self, network};
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderName, HeaderValue};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Fields that say where a message goes or where it ends: they are the proxy's own business.
const FRAMING: [HeaderName; 11] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    VIA,
];

/// Fields for one connection alone that HTTP/2 refuses a message for (RFC 9113 section 8.2.2). They may be removed.
const OF_CONNECTION: [HeaderName; 2] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What happens to other upgrades, by its word.
pub(super) const UPGRADES: [(&str, OtherUpgrade); 3] = [
    ("strip", OtherUpgrade::Strip),
    ("tunnel", OtherUpgrade::Tunnel),
    ("refuse", OtherUpgrade::Refuse),
];

/// How origins are told the client's address, by its word.
const TELLS: [(&str, TellClient); 3] = [
    ("no", TellClient::No),
    ("x_forwarded_for", TellClient::XForwardedFor),
    ("forwarded", TellClient::Forwarded),
];

/// What origins are told by the PROXY protocol, by its word.
const PROXY_PROTOCOLS: [(&str, ProxyProtocolOut); 3] = [
    ("no", ProxyProtocolOut::No),
    ("v1", ProxyProtocolOut::V1),
    ("v2", ProxyProtocolOut::V2),
];

/// Which parent is asked first, by its word.
const ORDERS: [(&str, ParentOrder); 2] = [
    ("first", ParentOrder::First),
    ("round_robin", ParentOrder::RoundRobin),
];

/// Whether an origin is dialled to which parents lead, by its word.
const DIRECTS: [(&str, Direct); 2] = [("never", Direct::Never), ("last", Direct::Last)];

/// A setting as written.
#[derive(Debug)]
pub(super) struct SettingTable {
    setting: PolicySetting,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
}

/// Reads one setting.
pub(super) fn setting(
    section: &mut Section<'_, '_>,
    lists: &mut Lists,
    parents: &[String],
) -> Option<SettingTable> {
    let mut setting = PolicySetting {
        conditions: of_connection(section, lists),
        ..PolicySetting::default()
    };
    let places = ("policy.setting.also", "policy.setting.except");
    nested(section, places, &mut setting.conditions, |section| {
        of_connection(section, lists)
    });
    let says = &mut setting.says;
    says.headers = edits(section, ["set_headers", "add_headers", "remove_headers"]);
    says.response_headers = edits(
        section,
        [
            "set_response_headers",
            "add_response_headers",
            "remove_response_headers",
        ],
    );
    says.only_http1 = section.flag_if_any("only_http1").map(|at| at.value);
    says.allow_invalid_certificate = section
        .flag_if_any("allow_invalid_certificate")
        .map(|at| at.value);
    says.other_upgrades = section.choice_if_any("other_upgrades", &UPGRADES);
    says.http_idle = section.duration_if_any("http_idle").map(|at| at.value);
    says.websocket_idle = section.duration_if_any("websocket_idle").map(|at| at.value);
    says.tunnel_idle = section.duration_if_any("tunnel_idle").map(|at| at.value);
    says.via = section.flag_if_any("via").map(|at| at.value);
    says.inspect = section.flag_if_any("inspect").map(|at| at.value);
    says.pages_for_connect = section.flag_if_any("pages_for_connect").map(|at| at.value);
    says.tell_client = section.choice_if_any("tell_client", &TELLS);
    says.tell_client_alone = section.flag_if_any("tell_client_alone").map(|at| at.value);
    says.proxy_protocol = section.choice_if_any("proxy_protocol", &PROXY_PROTOCOLS);
    says.as_client = section.flag_if_any("as_client").map(|at| at.value);
    let mut services = |key| {
        let names = section.list(key, |name| words::name(name, "scanner").map(Arc::<str>::from));
        names.map(|list| list.value.into_iter().map(|at| at.value).collect())
    };
    says.adapt_requests = services("adapt_requests");
    says.adapt_responses = services("adapt_responses");
    let named = section.list("parents", |name| known_parent(name, parents));
    says.parents = named.map(|list| list.value.into_iter().map(|at| at.value).collect());
    says.parent_order = section.choice_if_any("parent_order", &ORDERS);
    says.direct = section.choice_if_any("direct", &DIRECTS);
    says.source = sources(section);
    says.interface = section.parsed("interface", interface).map(|at| at.value.into());
    if section.has("dscp") {
        says.dscp = u8::try_from(section.number("dscp", 0..=63, 0)).ok();
    }
    let denied = section.list("deny_networks", network);
    says.deny_networks = denied
        .into_iter()
        .flat_map(|list| list.value)
        .map(|at| at.value)
        .collect();
    let span = section.span();
    says.at = section.notes().whereabouts(&span).into();
    Some(SettingTable {
        setting,
        cert: section.path_to("client_cert"),
        key: section.path_to("client_key"),
    })
}

/// Changes to heads, as these keys say: to be set, added, removed.
fn edits(section: &mut Section<'_, '_>, [set, add, remove]: [&'static str; 3]) -> Vec<HeaderEdit> {
    let mut edits = Vec::new();
    for (name, value) in header_values(section, set) {
        edits.push(HeaderEdit::Set(name, value));
    }
    for (name, value) in header_values(section, add) {
        edits.push(HeaderEdit::Add(name, value));
    }
    let removed = section.list(remove, header_name);
    let removed = removed.into_iter().flat_map(|list| list.value);
    edits.extend(removed.map(|at| HeaderEdit::Remove(at.value)));
    edits
}

fn known_parent(name: &str, parents: &[String]) -> Result<Arc<str>, String> {
    if parents.iter().any(|known| known == name) {
        return Ok(name.into());
    }
    let advice = match nearest(name, parents.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "write a [[parent]] with that name".to_owned(),
    };
    Err(format!("there is no parent {name:?}; {advice}"))
}

/// The addresses that connections come from, one of each family at most.
fn sources(section: &mut Section<'_, '_>) -> Option<Sources> {
    let written = section.list("source", |text| {
        text.parse::<IpAddr>()
            .map_err(|_| format!("{text:?} is no address; write such as \"192.0.2.1\" or \"2001:db8::1\""))
    })?;
    let mut sources = Sources::default();
    for At { value, span } in written.value {
        let is_second = match value {
            IpAddr::V4(ip) => sources.v4.replace(ip).is_some(),
            IpAddr::V6(ip) => sources.v6.replace(ip).is_some(),
        };
        if is_second {
            section.note(
                &span,
                "source",
                "is the second of its family; one of each is used",
            );
        }
    }
    if sources == Sources::default() {
        let message = "names no address; write such as [\"192.0.2.1\", \"2001:db8::1\"], or leave it out";
        section.note(&written.span, "source", message);
        return None;
    }
    Some(sources)
}

/// The name of an interface (netdevice(7)).
fn interface(text: &str) -> Result<String, String> {
    match text.len() < 16 && !text.contains(['/', ' ', '\0']) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} names no interface; write such as \"eth0\"")),
    }
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    let name =
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("{text:?} is no name of a header"))?;
    let is_handshakes = name.as_str().starts_with("sec-websocket-");
    if FRAMING.contains(&name) || is_handshakes {
        return Err(format!(
            "{text:?} says where a message goes or how it is framed, which only the proxy can say; choose another header"
        ));
    }
    Ok(name)
}

/// A table of headers, each with one value or several.
fn header_values(section: &mut Section<'_, '_>, key: &'static str) -> Vec<(HeaderName, HeaderValue)> {
    let mut found = Vec::new();
    for (At { value: name, span }, values) in section.map(key) {
        let name = match header_name(&name) {
            Ok(name) => name,
            Err(message) => {
                section.note(&span, key, message);
                continue;
            }
        };
        if OF_CONNECTION.contains(&name) {
            let message =
                format!("{name} is for one connection alone, and HTTP/2 has none; choose another header");
            section.note(&span, key, message);
            continue;
        }
        if key.starts_with("set_") && values.len() != 1 {
            section.note(
                &span,
                key,
                format!("{name} has several values; a header is set to one"),
            );
        }
        for value in values {
            match HeaderValue::from_str(&value) {
                Ok(value) => found.push((name.clone(), value)),
                Err(_) => section.note(
                    &span,
                    key,
                    format!("the value of {name} cannot stand in a header: it has a line break or another control character"),
                ),
            }
        }
    }
    found
}

impl SettingTable {
    /// The parents that it names.
    pub(super) fn parents(&self) -> impl Iterator<Item = &Arc<str>> {
        self.setting
            .says
            .parents
            .iter()
            .flat_map(|parents| parents.iter())
    }

    /// Opens the certificate that it names, which gets a place among `identities`.
    pub(super) fn resolve(
        mut self,
        identities: &mut Vec<OwnCertificate>,
        notes: &mut Diagnostics,
    ) -> PolicySetting {
        let (cert, key) = (self.cert.as_ref(), self.key.as_ref());
        let cert = ("policy.setting.client_cert", cert);
        if let Some(identity) = own_certificate(cert, ("policy.setting.client_key", key), notes) {
            self.setting.says.client_certificate = Some(identities.len());
            identities.push(identity);
        }
        self.setting
    }
}
