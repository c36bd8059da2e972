//! One `[[policy.setting]]`.

use super::conditions::{nested, of_connection};
use crate::decide::{HeaderEdit, OtherUpgrade, PolicySetting};
use crate::handshake::OwnCertificate;
use crate::settings::certificates::own_certificate;
use crate::settings::lists::Lists;
use crate::settings::problem::Diagnostics;
use crate::settings::reader::{At, Section};
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderName, HeaderValue};
use std::path::PathBuf;

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

/// What happens to other upgrades, by its word.
pub(super) const UPGRADES: [(&str, OtherUpgrade); 3] = [
    ("strip", OtherUpgrade::Strip),
    ("tunnel", OtherUpgrade::Tunnel),
    ("refuse", OtherUpgrade::Refuse),
];

/// A setting as written.
#[derive(Debug)]
pub(super) struct SettingTable {
    setting: PolicySetting,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
}

/// Reads one setting.
pub(super) fn setting(section: &mut Section<'_, '_>, lists: &mut Lists) -> Option<SettingTable> {
    let mut setting = PolicySetting {
        conditions: of_connection(section, lists),
        ..PolicySetting::default()
    };
    let places = ("policy.setting.also", "policy.setting.except");
    nested(section, places, &mut setting.conditions, |section| {
        of_connection(section, lists)
    });
    let says = &mut setting.says;
    for (name, value) in header_values(section, "set_headers") {
        says.headers.push(HeaderEdit::Set(name, value));
    }
    for (name, value) in header_values(section, "add_headers") {
        says.headers.push(HeaderEdit::Add(name, value));
    }
    let removed = section.list("remove_headers", header_name);
    let removed = removed.into_iter().flat_map(|list| list.value);
    says.headers
        .extend(removed.map(|at| HeaderEdit::Remove(at.value)));
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
    let span = section.span();
    says.at = section.notes().whereabouts(&span).into();
    Some(SettingTable {
        setting,
        cert: section.path_to("client_cert"),
        key: section.path_to("client_key"),
    })
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
        if key == "set_headers" && values.len() != 1 {
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
