//! The commands that change nothing: check, explain, completions.

use super::args::{Arguments, Where};
use super::output::{Failure, emit, tell};
use crate::settings::{Problems, Settings};
use crate::wire::names::{Authority, Host};
use clap::CommandFactory;
use clap_complete::Shell;
use std::fmt::Write;

/// `wsbump check`: says what a configuration amounts to, or everything that is wrong with it.
///
/// # Errors
/// The configuration is wrong.
pub fn check(place: &Where) -> Result<(), Failure> {
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
    let join = |list: &[std::net::SocketAddr]| {
        let list: Vec<_> = list.iter().map(ToString::to_string).collect();
        if list.is_empty() {
            "nowhere".into()
        } else {
            list.join(", ")
        }
    };
    let ca = match settings.ca.ca() {
        Some(ca) => ca.subject().to_owned(),
        None => "to be made at the first start".into(),
    };
    format!(
        "  proxy  {}\n  admin  {}\n  CA     {} ({ca})\n  files  {}\n",
        join(&settings.proxy),
        join(&settings.admin),
        settings.ca.cert_path().display(),
        settings.files.len(),
    )
}

/// `wsbump explain`: says what would happen to `target`.
///
/// # Errors
/// The configuration is wrong, or `target` is not a destination.
pub fn explain(place: &Where, target: &str) -> Result<(), Failure> {
    let Some(authority) = Authority::parse(target, Some(443)) else {
        let message = format!(
            "{target:?} is not a destination; write HOST:PORT, such as example.com:443 or [2001:db8::1]:443"
        );
        return Err(Problems::of_option("HOST:PORT", message).into());
    };
    let settings = place.source().load()?;
    let mut text = settings.policy.explain(&authority).to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // Writing to a String cannot fail.
    let _ = match &authority.host {
        Host::Ip(ip) => match settings.reach.check(*ip) {
            Ok(()) => writeln!(text, "address: {ip} may be dialled"),
            Err(forbidden) => writeln!(text, "address: refused: {forbidden}"),
        },
        Host::Name(_) => writeln!(
            text,
            "address: not resolved here; each address that the name resolves to is checked when it is dialled"
        ),
    };
    emit(text.as_bytes())
}

/// `wsbump completions`: prints a completion script.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "wsbump", &mut script);
    emit(&script)
}
