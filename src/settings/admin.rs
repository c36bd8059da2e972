//! `[admin]`: who may read the admin pages.

use super::files::read;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::report::admin::{AdminAccess, Token};
use crate::wire::names::Host;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use toml::de::DeValue;

/// The table as written.
#[derive(Debug)]
pub(super) struct AdminTable {
    names: Vec<Host>,
    token: Option<At<PathBuf>>,
    is_insecure: bool,
    pub(super) socket_mode: u32,
}

impl AdminTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let names = section.list("names", name).unwrap_or_default();
        let table = Self {
            names: names.value.into_iter().map(|at| at.value).collect(),
            token: section.path_to("token"),
            is_insecure: section.flag("insecure", false),
            socket_mode: section.read("socket_mode", mode).map_or(0o600, |at| at.value),
        };
        section.finish();
        table
    }

    /// Whether other machines may be let in.
    pub(super) fn lets_others_in(&self) -> bool {
        self.token.is_some() || self.is_insecure
    }

    /// With its token, if that is good.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> AdminAccess {
        let token = self
            .token
            .as_ref()
            .and_then(|written| token_in(written, "admin.token", notes));
        AdminAccess {
            names: self.names,
            token,
            is_insecure: self.is_insecure,
        }
    }
}

/// The token in a file that `key` names; what is wrong has been stated.
pub(super) fn token_in(written: &At<PathBuf>, key: &str, notes: &mut Diagnostics) -> Option<Token> {
    let (path, bytes) = read(&written.value, &written.span, key, notes)?;
    let mode = std::fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        notes.warn(format!(
            "{key}: {} may be read by others (mode {:03o}): chmod 600 would keep them from it",
            path.display(),
            mode & 0o777
        ));
    }
    match Token::parse(&bytes) {
        Ok(token) => Some(token),
        Err(message) => {
            notes.add(&written.span, key, format!("{} {message}", path.display()));
            None
        }
    }
}

/// A name or an address.
pub(super) fn name(text: &str) -> Result<Host, String> {
    // One of IPv6 need not be in brackets here.
    let bare = text.parse().map(Host::Ip).ok();
    bare.or_else(|| Host::parse(text)).ok_or_else(|| {
        format!("{text:?} is no name; write it as in a URL and without a port, such as proxy.example.com or 192.0.2.7")
    })
}

/// Permissions as chmod takes them.
fn mode(value: &DeValue<'_>) -> Result<u32, String> {
    let advice = "write octal digits in quotes as for chmod, such as \"0600\" or \"0660\"";
    let Some(text) = value.as_str() else {
        return Err(format!("is of type {}; {advice}", value.type_str()));
    };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && mode & 0o600 == 0o600 => Ok(mode),
        _ => Err(format!(
            "{text:?} is no mode that leaves the socket to its owner; {advice}"
        )),
    }
}
