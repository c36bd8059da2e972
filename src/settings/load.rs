//! From the file as written to settings that can be used: what it names is opened here.

use super::ca::CaSource;
use super::file::{File, notes_on};
use super::files::{as_text, cannot_read};
use super::inspect::{self, RuleInfo};
use super::listen::{Listeners, Overrides};
use super::listener::{NamedListener, tell_repeated, tell_unknown};
use super::problem::{Diagnostics, Problems};
use crate::accept::ClientLimits;
use crate::admit::AdmitConfig;
use crate::decide::{Policy, Reach};
use crate::dial::{DnsConfig, Hosts, ParentConfig};
use crate::handshake::ca::Ca;
use crate::handshake::forge::ForgeConfig;
use crate::handshake::origin::UpstreamConfig;
use crate::handshake::{FetchedCrls, OwnCertificate};
use crate::http::Pages;
use crate::inspect::Inspection;
use crate::journey::{Clock, Logged, OnChange, ProxyLimits, Timeouts};
use crate::live::{LiveSocket, ViewConfig};
use crate::portal::PortalConfig;
use crate::report::admin::{AdminAccess, ConsoleAccess};
use crate::report::{AccessLog, ReportConfig};
use crate::scan::{ScannerConfig, ScannerKind};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration that is whole and good: what each stage takes.
#[derive(Debug)]
pub struct Settings {
    /// The configuration file; `None` when everything is a default or an option.
    pub file: Option<PathBuf>,
    /// Every file that this configuration was read from; a change of any of them is worth a reload.
    pub files: Vec<PathBuf>,
    /// What is allowed, but may be a mistake: one sentence each.
    pub warnings: Vec<String>,
    /// Where the proxy listens.
    pub listen: Listeners,
    /// Who may read the admin pages.
    pub admin: AdminAccess,
    /// Who may log in at the console.
    pub console: ConsoleAccess,
    /// What browsers are shown there; `None` for leaves of the CA.
    pub(super) console_certificate: Option<OwnCertificate>,
    /// Who may show to be whom; `None` if nobody is asked.
    pub auth: Option<AdmitConfig>,
    /// The permissions of the admin listener's socket, where it has a file.
    pub admin_mode: u32,
    /// What clients that come in by TLS are shown; `None` for leaves of the CA.
    pub certificate: Option<OwnCertificate>,
    /// What listeners with names of their own have, each.
    pub(super) named: Vec<NamedListener>,
    /// The signing certificate.
    pub ca: CaSource,
    /// What signs for origins whose certificates do not verify, if that is another one.
    pub untrusted_ca: Option<Arc<Ca>>,
    /// What becomes of a destination.
    pub policy: Policy,
    /// What its rules take the time from.
    pub clock: Clock,
    /// What a new policy does to what is open.
    pub on_change: OnChange,
    /// The certificates that its settings show to origins, by their places.
    pub(super) client_certificates: Vec<OwnCertificate>,
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// Names with fixed addresses.
    pub hosts: Hosts,
    /// How all other names become addresses.
    pub dns: DnsConfig,
    /// The proxies that lead to origins.
    pub parents: Vec<ParentConfig>,
    /// What is looked into, without its scanners.
    pub inspection: Inspection,
    /// Whether the rules are used.
    pub inspection_enabled: bool,
    /// The rules, in their order, whether or not inspection is enabled.
    pub rules: Vec<RuleInfo>,
    /// What the reporting stage has to know.
    pub report: ReportConfig,
    /// The operational log's level, in `tracing_subscriber`'s filter syntax.
    pub level: String,
    /// The file that the keys of TLS sessions go to.
    pub tls_key_log: Option<PathBuf>,
    /// What may be seen by those who watch.
    pub view: ViewConfig,
    /// Where they do so, if anywhere.
    pub live_socket: Option<LiveSocket>,
    /// What scanners are built from.
    pub(super) scanners: Vec<ScannerConfig>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How much of anything there may be.
    pub limits: ProxyLimits,
    /// How much of it one client may have.
    pub client_limits: ClientLimits,
    /// What is logged beyond what always is.
    pub logged: Logged,
    /// What people see when the proxy answers by itself.
    pub pages: Pages,
    /// What the portal says.
    pub portal: PortalConfig,
    /// What the forge is built from, beside the CA.
    pub(super) leaf_cache: ForgeConfig,
    /// What TLS towards origins is built from.
    pub(super) upstream: UpstreamConfig,
    /// Which revocation lists are fetched.
    pub(super) fetched_crls: FetchedCrls,
    /// Whether intermediates are fetched that origins do not send.
    pub(super) fetch_intermediates: bool,
}

impl Settings {
    /// Whether the console has a certificate of its own, and so speaks TLS wherever it is.
    pub const fn console_is_secure(&self) -> bool {
        self.console_certificate.is_some()
    }

    /// Whether clients can show who they are, and may be asked to.
    pub fn asks_names(&self) -> bool {
        self.auth.is_some()
    }
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
    let settings = resolve(file, data_dir, overrides, &mut notes);
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
    /// Names with fixed addresses, and how others are looked up.
    pub names: (Hosts, DnsConfig),
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
        file.inspect.include_only(&path);
    }
    file.inspect.enabled = true;
    let users = file.auth.is_written().then(|| file.auth.names().clone());
    let loaded = file.inspect.resolve(&mut file.lists, users.as_ref(), &mut notes);
    let warnings = std::mem::take(&mut notes.warnings);
    notes.verdict(Some(RuleSet {
        inspection: loaded.inspection,
        rules: loaded.rules,
        scanners: loaded.scanners,
        names: (file.network.hosts, file.network.dns),
        warnings,
    }))
}

/// Reads the file as written; without one, everything is a default.
fn open(path: Option<&Path>) -> Result<(Diagnostics, File), Problems> {
    let Some(path) = path else {
        let mut notes = Diagnostics::default();
        let file = File::absent(&mut notes);
        return Ok((notes, file));
    };
    let bytes = std::fs::read(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => cannot_read(&error),
        };
        Problems::of_file(path, None, why)
    })?;
    let text = as_text(bytes).map_err(|(place, message)| Problems::of_file(path, Some(place), message))?;
    let mut notes = notes_on(path, &text);
    notes.files.push(path.into());
    let file = File::parse(&text, &mut notes);
    Ok((notes, file))
}

/// Opens what the file names. Whatever is wrong is noted before anything is given up.
fn resolve(
    mut file: File,
    data_dir: Option<&Path>,
    overrides: &Overrides,
    notes: &mut Diagnostics,
) -> Option<Settings> {
    tell_repeated(&file.listeners, notes);
    let lets_in = [
        file.admin.lets_others_in(),
        file.auth.is_written(),
        file.console.has_tokens(),
    ];
    let mut listen = (file.listen).addresses(&file.listeners, overrides, lets_in, notes);
    let (console, console_certificate) = file.console.resolve(!listen.console.is_empty(), notes);
    let named = file.listeners.into_iter().map(|table| table.resolve(notes));
    let named: Vec<NamedListener> = named.collect();
    listen.named = named.iter().map(|named| named.config.clone()).collect();
    tell_unknown(&listen.names(), notes);
    let admin_mode = file.admin.socket_mode;
    let admin = file.admin.resolve(notes);
    let auth = file.auth.resolve(&listen.secure(), notes);
    let certificate = file.listen.certificate(notes);
    let inspection_enabled = file.inspect.enabled;
    let names = auth.as_ref().map(|auth| &auth.names);
    let looked_into = file.inspect.resolve(&mut file.lists, names, notes);
    let (recorded, tls_key_log) = file.record.resolve(notes);
    let (recording, record) = recorded.unzip();
    let (clock, on_change) = (file.policy.clock.clone(), file.policy.on_change);
    let pages_for_connect = file.pages.for_connect;
    let texts = file.pages.texts().clone();
    if let (None, Some(span)) = (&file.portal.host, file.ca.crl_span()) {
        let message = "the portal hands the list out, and portal.enabled is false; leave one of them out";
        notes.add(span, "ca.crl_url", message);
    }
    let portal = PortalConfig {
        organisation: texts.organisation,
        contact: texts.contact,
        language: texts.language,
        pac: file.pac.resolve(notes),
        ..file.portal
    };
    let pages = file.pages.resolve(notes);
    let parents = file.parents.resolve(|name| file.policy.uses_parent(name), notes);
    let (policy, client_certificates) = file.policy.resolve(names, pages_for_connect, notes);
    for (rule, page) in (policy.rules.iter()).filter_map(|rule| Some((rule, rule.page.as_ref()?))) {
        if !pages.has(page) {
            notes.warn(format!(
                "policy.rule {:?}: there is no page {page:?}, and the usual one is shown: write {page}.en.html into pages.directory",
                rule.name
            ));
        }
    }
    for says in policy.settings.iter().map(|setting| &setting.says) {
        for (key, names) in [
            ("adapt_requests", &says.adapt_requests),
            ("adapt_responses", &says.adapt_responses),
        ] {
            for name in names.iter().flat_map(|names| names.iter()) {
                let scanner = looked_into.scanners.iter().find(|scanner| scanner.name == **name);
                let wrong = match scanner.map(|scanner| &scanner.kind) {
                    Some(ScannerKind::Icap(_)) => continue,
                    Some(ScannerKind::Clamd { .. }) => {
                        "is a clamd, which changes no messages; name an ICAP service"
                    }
                    None => "is no scanner; write an [[inspect.scanner]] with that name",
                };
                let message = format!("{name:?} {wrong} (the setting at {})", says.at);
                notes.add(&None, format!("policy.setting.{key}"), message);
            }
        }
    }
    let policy = Policy::new(policy);
    notes.warnings.extend(file.lists.unused());
    notes.warnings.extend(file.lists.doubts());
    let fetch_intermediates = file.origin.fetch_intermediates;
    let fetched_crls = file.origin.fetched_crls(data_dir, notes);
    let upstream = file.origin.resolve(notes);
    let ca = file.ca.resolve(data_dir, notes);
    let untrusted_ca = file.ca.untrusted(notes);
    let level = file.log.level.clone();
    let mut logs = file.log.resolve(notes);
    if overrides.takes_stdout && logs.access == AccessLog::Stdout {
        logs.access = AccessLog::Off;
    }
    let (viewed, view, live_socket) = file.view.resolve(&logs.audit.to, data_dir, notes);
    let rules = looked_into.rules;
    let scanners = looked_into.scanners;
    let report = ReportConfig {
        access: logs.access,
        findings: logs.findings,
        audit: logs.audit,
        lists: file.lists.names,
        services: file.services,
        policy_rules: policy
            .rule_names()
            .map(|(name, is_observed)| (name.to_string(), is_observed))
            .collect(),
        rules: rules.iter().map(RuleInfo::label).collect(),
        audit_samples: rules.iter().filter_map(RuleInfo::sample).collect(),
        scanners: scanners.iter().map(|scanner| scanner.name.clone()).collect(),
        parents: parents.iter().map(|parent| Arc::clone(&parent.name)).collect(),
        connection_limit: file.limits.connections as u64,
        record,
        tls_key_log: tls_key_log.is_some(),
    };
    Some(Settings {
        file: notes.file().map(Path::to_owned),
        listen,
        admin,
        console,
        console_certificate,
        auth,
        admin_mode,
        certificate,
        named,
        ca: ca?,
        untrusted_ca,
        policy,
        clock,
        on_change,
        client_certificates,
        reach: file.network.reach,
        hosts: file.network.hosts,
        dns: file.network.dns,
        parents,
        inspection: Inspection {
            recording,
            view: viewed,
            ..looked_into.inspection
        },
        inspection_enabled,
        rules,
        report,
        level,
        tls_key_log,
        view,
        live_socket,
        scanners,
        timeouts: file.timeouts,
        limits: file.limits,
        client_limits: file.client_limits,
        logged: logs.logged,
        pages,
        portal,
        leaf_cache: file.leaf_cache,
        upstream,
        fetched_crls,
        fetch_intermediates,
        warnings: std::mem::take(&mut notes.warnings),
        files: notes.files.clone(),
    })
}
