//! From the file as written to settings that can be used: opens what is named, resolves what is referred to.

use super::lists::Lists;
use super::problem::{Notes, Place, Problem, Problems, Span, nearest};
use super::raw::File;
use super::reader::At;
use super::trust::{ca, extra_roots, identity_of, server_certificate};
use super::{Identity, Log, RuleInfo, Settings, inspect, relative_to, words};
use crate::decide::nets::Reach;
use crate::decide::policy::{Policy, Rules};
use crate::dial::Hosts;
use crate::inspect::Inspection;
use crate::report::{AccessLog, AuditConfig};
use crate::scan::ScannerConfig;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the command line puts in the place of the file's words.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Instead of `listen.proxy`, unless empty.
    pub listen: Vec<SocketAddr>,
    /// Instead of `listen.tls`, unless empty.
    pub tls: Vec<SocketAddr>,
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
    let (mut notes, file) = open(path)?;
    let settings = build(file, data_dir, overrides, &mut notes);
    notes.verdict(settings)
}

/// Rules, without the rest of a configuration.
#[derive(Debug)]
pub struct RuleSet {
    /// The rules compiled; inspection is taken to be enabled. No scanner is built.
    pub inspection: Inspection,
    /// The rules, in their order.
    pub rules: Vec<RuleInfo>,
    /// What the scanners are to be built from, by [`crate::inspect::ScannerId`].
    pub scanners: Vec<ScannerConfig>,
    /// What is allowed, but may be a mistake: one sentence each.
    pub warnings: Vec<String>,
}

/// Reads the rules of `rules`, which is a file of rules or a whole configuration; or those of `config`. With both,
/// the rules of `rules` are read as if `config` included them and had no others. Nothing else of the
/// configuration is opened, least of all the CA's key.
///
/// # Errors
/// Everything that is wrong, with the file, line and key of each.
pub fn load_rules(rules: Option<&Path>, config: Option<&Path>) -> Result<RuleSet, Problems> {
    if let Some(path) = rules
        && let Err(error) = std::fs::metadata(path)
    {
        let message = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => cannot_read(&error),
        };
        return Err(Problems::of_option(
            "FILE",
            format!("{}: {message}", path.display()),
        ));
    }
    let alone = match rules {
        Some(path) if config.is_some() || inspect::is_rules_only(path) => Some(path),
        _ => None,
    };
    let main = if alone.is_some() { config } else { config.or(rules) };
    let (mut notes, mut file) = open(main)?;
    if let Some(path) = alone {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        file.inspect.include = vec![path.to_string_lossy().into_owned().into()];
        file.inspect.rules.clear();
    }
    file.inspect.enabled = true;
    let mut warnings = Vec::new();
    let mut lists = Lists::read(&file.lists, &mut notes);
    let loaded = inspect::load(&mut file.inspect, &mut lists, &mut notes, &mut warnings);
    notes.verdict(Some(RuleSet {
        inspection: loaded.inspection,
        rules: loaded.rules,
        scanners: loaded.scanners,
        warnings,
    }))
}

/// Reads the file as written; without one, everything is a default.
fn open(path: Option<&Path>) -> Result<(Notes, File), Problems> {
    let Some(path) = path else {
        return Ok((Notes::default(), File::default()));
    };
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
    Ok((notes, file))
}

fn build(
    mut file: File,
    data_dir: Option<&Path>,
    overrides: &Overrides,
    notes: &mut Notes,
) -> Option<Settings> {
    let mut warnings = Vec::new();
    let Listeners { proxy, tls, admin } = listeners(&mut file, overrides, notes, &mut warnings);
    let certificate = server_certificate(&file, &tls, notes, &mut warnings);
    let mut lists = Lists::read(&file.lists, notes);
    let policy = policy(&file, &mut lists, notes);
    let looked_into = inspect::load(&mut file.inspect, &mut lists, notes, &mut warnings);
    let recorded = file.record.resolve(&mut lists, notes, &mut warnings);
    let tls_key_log = file.record.key_log(notes, &mut warnings);
    warnings.extend(lists.unused());
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
    let access = log_target("log.access", &file.log.access, notes);
    let audit = AuditConfig {
        to: log_target("log.audit", &file.log.audit, notes),
        excerpts: file.log.audit_excerpts,
        sample: file.log.audit_sample as u64,
        rotate_bytes: file.log.audit_rotate,
        keep: u32::try_from(file.log.audit_keep).unwrap_or(u32::MAX),
    };
    let (recording, record) = recorded.unzip();
    let ca = ca?;
    warnings.extend(ca.ca().iter().flat_map(|ca| ca.warnings()).cloned());
    let identity = Identity {
        ca: identity_of(&ca),
        listener: certificate
            .as_ref()
            .map(|certificate| certificate.chain().to_vec())
            .unwrap_or_default(),
        leaf_entries: file.leaf_cache.entries,
        leaf_lifetime: file.leaf_cache.lifetime,
        system_roots: file.origin.system_roots,
        extra_roots,
    };
    Some(Settings {
        file: notes.file().map(Path::to_owned),
        proxy,
        tls,
        certificate,
        admin,
        log: Log {
            access,
            audit,
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
        inspection: Inspection {
            recording,
            ..looked_into.inspection
        },
        record,
        tls_key_log,
        scanners: looked_into.scanners,
        rules: looked_into.rules,
        inspection_enabled: file.inspect.enabled,
        identity,
    })
}

/// Where it listens.
struct Listeners {
    proxy: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
}

/// The addresses to listen on, after the command line's word.
fn listeners(
    file: &mut File,
    overrides: &Overrides,
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> Listeners {
    let mut keys = ["listen.proxy", "listen.tls", "listen.admin"];
    for (written, options, key) in [
        (&mut file.listen.proxy, &overrides.listen, 0),
        (&mut file.listen.tls, &overrides.tls, 1),
        (&mut file.listen.admin, &overrides.admin, 2),
    ] {
        if !options.is_empty() {
            *written = options
                .iter()
                .map(|address| At::from(*address))
                .collect::<Vec<_>>()
                .into();
            keys[key] = ["--listen", "--listen-tls", "--admin"][key];
        }
    }
    let (proxy, tls, admin) = (&file.listen.proxy, &file.listen.tls, &file.listen.admin);
    if proxy.value.is_empty() && tls.value.is_empty() {
        let message = "nothing to listen on; write at least one address, such as [\"127.0.0.1:3128\"]";
        // Members that could not be read have been stated; that none is left is not another mistake.
        if !notes.problems.iter().any(|problem| problem.key == keys[0]) {
            notes.add(&proxy.span, keys[0], message);
        }
    }
    let mut seen: Vec<SocketAddr> = Vec::new();
    let written = [proxy, tls, admin].into_iter().zip(keys);
    for (key, at) in written.flat_map(|(list, key)| list.value.iter().map(move |at| (key, at))) {
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
        warnings.push(if key != keys[2] {
            format!(
                "{key}: {address} is an open proxy to everyone who can reach it, since there is no authentication: let a firewall decide who can"
            )
        } else {
            format!("{key}: everyone who can reach {address} can read the metrics")
        });
    }
    let addresses = |at: &At<Vec<At<SocketAddr>>>| at.value.iter().map(|at| at.value).collect();
    Listeners {
        proxy: addresses(proxy),
        tls: addresses(tls),
        admin: addresses(admin),
    }
}

fn policy(file: &File, lists: &mut Lists<'_>, notes: &mut Notes) -> Policy {
    let written = &file.policy;
    Policy::new(Rules {
        deny: lists.resolve(&written.deny, "policy.deny", notes),
        splice: lists.resolve(&written.splice, "policy.splice", notes),
        allow_invalid_certificate: lists.resolve(
            &written.allow_invalid_certificate,
            "policy.allow_invalid_certificate",
            notes,
        ),
        only_http1: lists.resolve(&written.only_http1, "policy.only_http1", notes),
        via: file.origin.via,
        without_via: lists.resolve(&written.without_via, "policy.without_via", notes),
        unknown_protocol: written.unknown_protocol,
        other_upgrades: written.other_upgrades,
    })
}

/// Where a log goes.
fn log_target(key: &str, written: &At<String>, notes: &mut Notes) -> AccessLog {
    match &*written.value {
        "off" => AccessLog::Off,
        "stdout" => AccessLog::Stdout,
        "stderr" => AccessLog::Stderr,
        path => AccessLog::File(log_file(key, path, &written.span, notes)),
    }
}

fn log_file(key: &str, written: &str, span: &Span, notes: &mut Notes) -> PathBuf {
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
            key,
            format!("there is no directory {}; {advice}", dir.display()),
        );
    } else if path.is_dir() {
        notes.add(
            span,
            key,
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

pub(super) fn cannot_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; relative paths are taken from the naming file's directory".into()
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
    words::address(text)
}

/// Checks a log level of the environment.
///
/// # Errors
/// A sentence that says what would be right.
pub fn level(text: &str) -> Result<(), String> {
    words::level(text)
}
