//! The commands that change nothing: check, completions.

use super::args::{Arguments, CheckArgs};
use super::output::{CommandError, emit, tell};
use crate::dial::{DnsPlan, ResolverKind};
use crate::inspect::Mode;
use crate::settings::Settings;
use clap::CommandFactory;
use clap_complete::Shell;
use std::fmt::Write as _;

/// `wsbump check`: says what a configuration amounts to, or everything that is wrong with it.
///
/// # Errors
/// The configuration is wrong.
pub fn check(asked: &CheckArgs) -> Result<(), CommandError> {
    let mut place = asked.place.clone();
    place.config = place.config.or_else(|| asked.file.clone());
    let settings = place.source().load()?;
    for warning in &settings.warnings {
        tell(&format!("warning: {warning}\n"));
    }
    let name = settings
        .file
        .as_ref()
        .map_or("defaults".into(), |file| file.display().to_string());
    emit(format!("{name}: good\n{}", summary(&settings)).as_bytes())
}

fn summary(settings: &Settings) -> String {
    let ca = match settings.ca.ca() {
        Some(ca) => ca.subject().to_owned(),
        None => "to be made at the first start".into(),
    };
    let mut named = String::new();
    for listener in &settings.listen.named {
        let socket = listener.socket.iter().map(|name| format!("the socket {name:?}"));
        let places: Vec<_> = (listener.addresses.iter().map(ToString::to_string))
            .chain(socket)
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            named,
            "  {:<6} {} ({})",
            listener.name,
            join(&places),
            listener.entrance.label()
        );
    }
    let tls = match &settings.listen.tls[..] {
        [] => String::new(),
        some => format!("  TLS    {}\n", join(some)),
    };
    format!(
        "  proxy  {}\n{tls}{named}  admin  {}\n  CA     {} ({ca})\n  DNS    {}\n  auth   {}\n  policy {}\n  rules  {}\n  portal {}\n  files  {} read; a change of any is taken over while the proxy runs\n",
        join(&settings.listen.proxy),
        join(&settings.listen.admin),
        settings.ca.cert_path().display(),
        dns(settings),
        auth(settings),
        policy_count(settings),
        rule_count(settings),
        portal(settings),
        settings.files.len(),
    )
}

fn join<T: ToString>(list: &[T]) -> String {
    let list: Vec<_> = list.iter().map(ToString::to_string).collect();
    if list.is_empty() {
        "nowhere".into()
    } else {
        list.join(", ")
    }
}

/// Whom names are looked up with; from resolv.conf as it is now, which may change.
fn dns(settings: &Settings) -> String {
    let dns = &settings.dns;
    match (dns.resolver, &dns.resolv_conf) {
        (ResolverKind::System, _) => "the system's resolver".into(),
        (ResolverKind::Own, Some(file)) if dns.servers.is_empty() => {
            format!("{} (from {})", DnsPlan::read(dns), file.display())
        }
        (ResolverKind::Own, _) => DnsPlan::read(dns).to_string(),
    }
}

/// The ways in which clients can show who they are, the strongest first.
fn auth(settings: &Settings) -> String {
    let Some(auth) = &settings.auth else {
        return "nobody is asked".to_owned();
    };
    let mut ways = Vec::new();
    if let Some(certificate) = &auth.certificate {
        let required = if certificate.tls.required {
            ", required"
        } else {
            ""
        };
        ways.push(format!("certificate ({}{required})", certificate.name.label()));
    }
    if auth.negotiate.is_some() {
        ways.push("negotiate".to_owned());
    }
    if let Some(bearer) = &auth.bearer {
        ways.push(format!("bearer ({})", bearer.issuer));
    }
    if let Some(basic) = &auth.basic {
        ways.push(format!("basic ({})", basic.directory.label()));
    }
    if let Some(address) = &auth.address {
        ways.push(format!("address (for {:?})", address.time));
    }
    ways.join(", ")
}

/// What the numbers are of.
const MEANING: &str = ": rules say who may go where, settings how that is treated";

/// Rules and settings of the policy's tables.
fn policy_count(settings: &Settings) -> String {
    let policy = &settings.policy;
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let rules = count(policy.rule_names().count(), "rule");
    let observed = match policy
        .rule_names()
        .filter(|(_, is_observed)| *is_observed)
        .count()
    {
        0 => String::new(),
        observed => format!(" ({observed} observed)"),
    };
    let settings_count = count(policy.setting_count(), "setting");
    match settings.parents.len() {
        0 => format!("{rules}{observed}, {settings_count}{MEANING}"),
        parents => format!(
            "{rules}{observed}, {settings_count}, {}{MEANING}",
            count(parents, "parent")
        ),
    }
}

fn portal(settings: &Settings) -> String {
    let host = settings.portal.host.as_ref();
    host.map_or_else(
        || "none".into(),
        |host| format!("http://{host}/, for people behind the proxy"),
    )
}

fn rule_count(settings: &Settings) -> String {
    let all = settings.rules.len();
    let enforced = settings
        .rules
        .iter()
        .filter(|rule| rule.mode == Mode::Enforce)
        .count();
    match (all, settings.inspection_enabled) {
        (0, _) => "none: nothing is looked into".into(),
        (_, true) => format!(
            "{enforced} enforced, {} observed (they only tell)",
            all - enforced
        ),
        (_, false) => format!("{all}, and inspect.enabled is false"),
    }
}

/// `wsbump completions`: prints a completion script.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(shell: Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "wsbump", &mut script);
    emit(&script)
}
