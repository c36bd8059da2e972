//! From the file as written to settings that can be used: opens what is named, resolves what is referred to.

use super::problem::{Notes, Place, Problem, Problems, Span, nearest};
use super::raw::{self, File};
use super::reader::At;
use super::trust::{ca, extra_roots, identity_of};
use super::{Identity, Log, Settings, relative_to};
use crate::decide::hosts::List;
use crate::decide::nets::Reach;
use crate::decide::policy::{Policy, Rules};
use crate::dial::Hosts;
use crate::report::AccessLog;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the command line puts in the place of the file's words.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Instead of `listen.proxy`, unless empty.
    pub listen: Vec<SocketAddr>,
    /// Instead of `listen.admin`, unless empty.
    pub admin: Vec<SocketAddr>,
}

/// Reads and checks a configuration without changing anything anywhere. Without a `path`, everything is a
/// default. `data_dir` is where the CA is (or will be made) if the file names none.
///
/// # Errors
/// Everything that is wrong, with the file, line and key of each.
pub fn load(path: Option<&Path>, data_dir: Option<&Path>) -> Result<Settings, Problems> {
    load_with(path, data_dir, &Overrides::default())
}

/// [`load`], with options of the command line taking precedence.
///
/// # Errors
/// Everything that is wrong, with the file, line and key of each.
pub fn load_with(
    path: Option<&Path>,
    data_dir: Option<&Path>,
    overrides: &Overrides,
) -> Result<Settings, Problems> {
    let (mut notes, file) = match path {
        None => (Notes::default(), File::default()),
        Some(path) => {
            let text = match std::fs::read(path) {
                Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
                    let valid = error.utf8_error().valid_up_to();
                    let place = Place::of(&String::from_utf8_lossy(error.as_bytes()), valid);
                    ("is not UTF-8 text; save it as UTF-8".to_owned(), Some(place))
                }),
                Err(error) => Err((cannot_read(&error), None)),
            };
            let text = text.map_err(|(message, place)| Problems {
                list: vec![Problem {
                    file: Some(path.into()),
                    place,
                    key: String::new(),
                    message,
                }],
                files: vec![path.into()],
            })?;
            let mut notes = Notes::on(path, &text);
            let file = File::parse(&text, &mut notes);
            notes.files.push(path.into());
            (notes, file)
        }
    };
    let settings = build(file, data_dir, overrides, &mut notes);
    notes.verdict(settings)
}

fn build(
    mut file: File,
    data_dir: Option<&Path>,
    overrides: &Overrides,
    notes: &mut Notes,
) -> Option<Settings> {
    let mut warnings = Vec::new();
    let (proxy, admin) = listeners(&mut file, overrides, notes, &mut warnings);
    let lists = lists(&file, notes);
    let policy = policy(&file, &lists, notes, &mut warnings);
    let extra_roots = extra_roots(&file, notes);
    if !file.origin.system_roots && file.origin.extra_roots.is_empty() {
        warnings.push(
            "origin.system_roots is false and origin.extra_roots is empty: no origin's certificate can verify"
                .into(),
        );
    }
    let ca = ca(&file, data_dir, notes);
    let nets = |nets: &[At<ipnet::IpNet>]| nets.iter().map(|at| at.value).collect();
    let reach = Reach::new(nets(&file.network.allow), nets(&file.network.deny));
    let mut hosts = Hosts::default();
    for (name, addresses) in &file.network.hosts {
        if let Err(error) = hosts.insert(&name.value, addresses) {
            notes.add(&name.span, "network.hosts", error.to_string());
        }
    }
    let access = match &*file.log.access.value {
        "off" => AccessLog::Off,
        "stdout" => AccessLog::Stdout,
        "stderr" => AccessLog::Stderr,
        path => AccessLog::File(access_file(path, &file.log.access.span, notes)),
    };
    let ca = ca?;
    warnings.extend(ca.ca().iter().flat_map(|ca| ca.warnings()).cloned());
    let identity = Identity {
        ca: identity_of(&ca),
        leaf_entries: file.leaf_cache.entries,
        leaf_lifetime: file.leaf_cache.lifetime,
        system_roots: file.origin.system_roots,
        extra_roots,
    };
    Some(Settings {
        file: notes.file().map(Path::to_owned),
        proxy,
        admin,
        log: Log {
            access,
            level: file.log.level.value,
        },
        ca,
        policy,
        reach,
        hosts,
        lists: file.lists.iter().map(|list| list.name.value.clone()).collect(),
        warnings,
        files: notes.files.clone(),
        timeouts: file.timeouts,
        limits: file.limits,
        via: file.origin.via,
        identity,
    })
}

/// The addresses to listen on, after the command line's word.
fn listeners(
    file: &mut File,
    overrides: &Overrides,
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let mut keys = ["listen.proxy", "listen.admin"];
    for (written, options, key) in [
        (&mut file.listen.proxy, &overrides.listen, 0),
        (&mut file.listen.admin, &overrides.admin, 1),
    ] {
        if !options.is_empty() {
            *written = options
                .iter()
                .map(|address| At::from(*address))
                .collect::<Vec<_>>()
                .into();
            keys[key] = ["--listen", "--admin"][key];
        }
    }
    let (proxy, admin) = (&file.listen.proxy, &file.listen.admin);
    if proxy.value.is_empty() {
        let message = "nothing to listen on; write at least one address, such as [\"127.0.0.1:3128\"]";
        // Members that could not be read have been stated; that none is left is not another mistake.
        if !notes.problems.iter().any(|problem| problem.key == keys[0]) {
            notes.add(&proxy.span, keys[0], message);
        }
    }
    let mut seen: Vec<SocketAddr> = Vec::new();
    for (key, at) in proxy
        .value
        .iter()
        .map(|at| (keys[0], at))
        .chain(admin.value.iter().map(|at| (keys[1], at)))
    {
        let address = at.value;
        if address.port() != 0 && seen.contains(&address) {
            notes.add(
                &at.span,
                key,
                format!("{address} is listened on twice; give each listener its own port"),
            );
        }
        seen.push(address);
        if address.ip().is_loopback() {
            continue;
        }
        warnings.push(if key == keys[0] {
            format!(
                "{key}: {address} is an open proxy to everyone who can reach it, since there is no authentication: let a firewall decide who can"
            )
        } else {
            format!("{key}: everyone who can reach {address} can read the metrics")
        });
    }
    let addresses = |at: &At<Vec<At<SocketAddr>>>| at.value.iter().map(|at| at.value).collect();
    (addresses(proxy), addresses(admin))
}

/// Every list by its name, in one pass over their files; a list that is wrong is stated and left out.
fn lists<'f>(file: &'f File, notes: &mut Notes) -> BTreeMap<&'f str, Option<Arc<List>>> {
    let mut lists = BTreeMap::new();
    let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
    for raw in &file.lists {
        let name = &*raw.name.value;
        if let Some(line) = first_lines.get(name) {
            let message =
                format!("{name:?} is the name of the list at line {line} too; give each list its own");
            notes.add(&raw.name.span, "list.name", message);
            continue;
        }
        first_lines.insert(name, notes.line(&raw.name.span));
        let content = raw
            .file
            .as_ref()
            .and_then(|at| read(&at.value, &at.span, "list.file", notes));
        let list = content.and_then(|(path, bytes)| {
            let Ok(text) = String::from_utf8(bytes) else {
                notes.add_in(
                    &path,
                    None,
                    format!("list {name}"),
                    "is not UTF-8 text; save it as UTF-8",
                );
                return None;
            };
            match List::parse(name, &text, raw.format, raw.ignore_case) {
                Ok(list) => Some(Arc::new(list)),
                Err(errors) => {
                    for error in errors {
                        let place = Some(Place {
                            line: error.line,
                            column: 1,
                        });
                        let message = format!("{:?}: {}", error.pattern, error.message);
                        notes.add_in(&path, place, format!("list {name}"), message);
                    }
                    None
                }
            }
        });
        lists.insert(name, list);
    }
    lists
}

fn policy(
    file: &File,
    lists: &BTreeMap<&str, Option<Arc<List>>>,
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> Policy {
    let mut used = Vec::new();
    let mut resolve = |names: &[At<String>], key: &str| {
        let mut found = Vec::new();
        for at in names {
            let name = &*at.value;
            used.push(name.to_owned());
            match lists.get(name) {
                // A list that is itself wrong has been stated.
                Some(list) => found.extend(list.clone()),
                None => {
                    let advice = match nearest(name, lists.keys().copied()) {
                        Some(near) => format!("did you mean {near:?}?"),
                        None => format!("write a [[list]] with name = {name:?}"),
                    };
                    notes.add(
                        &at.span,
                        key,
                        format!("there is no list named {name:?}; {advice}"),
                    );
                }
            }
        }
        found
    };
    let rules = Rules {
        splice: resolve(&file.policy.splice, "policy.splice"),
        allow_invalid_certificate: resolve(
            &file.policy.allow_invalid_certificate,
            "policy.allow_invalid_certificate",
        ),
        unknown_protocol: file.policy.unknown_protocol,
        other_upgrades: file.policy.other_upgrades,
    };
    for name in lists.keys().filter(|name| !used.iter().any(|used| used == *name)) {
        warnings.push(format!(
            "list {name:?} is not used: name it in policy.splice or take it out"
        ));
    }
    Policy::new(rules)
}

fn access_file(written: &str, span: &Span, notes: &mut Notes) -> PathBuf {
    let path = relative_to(notes.file(), Path::new(written));
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !dir.is_dir() {
        let words = ["stdout", "stderr", "off"];
        let advice = match nearest(written, words) {
            Some(near) if !written.contains('/') => format!("did you mean {near:?}?"),
            _ => "make it, or write \"stdout\", \"stderr\" or \"off\"".into(),
        };
        notes.add(
            span,
            "log.access",
            format!("there is no directory {}; {advice}", dir.display()),
        );
    } else if path.is_dir() {
        notes.add(
            span,
            "log.access",
            format!("{} is a directory; name a file in it", path.display()),
        );
    }
    path
}

/// The content of a file that the configuration names, and its path.
pub(super) fn read(written: &Path, span: &Span, key: &str, notes: &mut Notes) -> Option<(PathBuf, Vec<u8>)> {
    let path = relative_to(notes.file(), written);
    notes.files.push(path.clone());
    match std::fs::read(&path) {
        Ok(bytes) => Some((path, bytes)),
        Err(error) => {
            notes.add(span, key, format!("{}: {}", path.display(), cannot_read(&error)));
            None
        }
    }
}

fn cannot_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; relative paths are taken from the configuration file's directory".into()
        }
        io::ErrorKind::PermissionDenied => "may not be read; let the user that wsbump runs as read it".into(),
        io::ErrorKind::IsADirectory => "is a directory; name a file".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Reads one address of the command line, with the file's advice when it is wrong.
///
/// # Errors
/// A sentence that says what would be right.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    raw::address(text)
}

/// Checks a log level of the environment.
///
/// # Errors
/// A sentence that says what would be right.
pub fn level(text: &str) -> Result<(), String> {
    raw::level(text)
}
