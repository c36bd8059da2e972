//! `[portal]`: the proxy's own host for the people behind it.

use super::reader::{At, Section};
use crate::portal::{Language, PortalConfig};
use crate::wire::names::Host;

/// Where it is, if nothing else is said.
const HOST: &str = "wsbump.internal";

/// Reads the table; whose proxy it is, and whom to ask, is known from `[pages]`.
pub(super) fn portal(mut section: Section<'_, '_>) -> PortalConfig {
    let enabled = section.flag("enabled", true);
    let host = section.parsed("host", name);
    let mut purpose = Vec::new();
    for (At { value: tag, span }, mut texts) in section.map("purpose") {
        match (Language::of(&tag), texts.pop()) {
            (Some(_), Some(text)) if texts.is_empty() => purpose.push((tag, text)),
            (Some(_), _) => section.note(&span, "purpose", format!("{tag} has several texts; write one")),
            (None, _) => section.note(
                &span,
                "purpose",
                format!("the portal does not speak {tag:?}; write en or ja"),
            ),
        }
    }
    section.finish();
    let host = host.map_or_else(|| HOST.to_owned(), |host| host.value);
    PortalConfig {
        host: enabled.then_some(host),
        purpose,
        ..PortalConfig::default()
    }
}

/// A name that a browser can ask for.
fn name(text: &str) -> Result<String, String> {
    match Host::parse(text) {
        Some(Host::Name(name)) if name.contains('.') => Ok(name.to_ascii_lowercase()),
        _ => Err(format!(
            "{text:?} is no host name with a dot in it; write one such as {HOST:?}"
        )),
    }
}
