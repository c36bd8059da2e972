//! `wsbump doctor`: finds out why a program does not work behind a proxy, and says whose doing it is.

use super::args::{DoctorArgs, default_data_dir};
use super::output::{CommandError, emit};
use crate::doctor::{
    Case, Choice, Diagnosis, DoctorStep, Findings, Fixed, Plan, Roots, SERVICES, Service, Status, Target,
    Tickets, Whose, choose, examine, facts, service,
};
use crate::settings::Problems;
use crate::wire::names::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// One target, examined.
struct Examined {
    target: Target,
    choice: Choice,
    has_ticket: bool,
    healthy: Option<u16>,
    findings: Findings,
}

/// `wsbump doctor`: examines a URL or the hosts of a service; tells whether all is well.
///
/// # Errors
/// An option is wrong.
pub fn doctor(options: &DoctorArgs) -> Result<bool, CommandError> {
    let named = service(&options.target);
    let targets = targets(options, named)?;
    let env = environment(options.env_of)?;
    let wrong = |option: &str| {
        let option = option.to_owned();
        move |message: String| Problems::of_option(&option, message)
    };
    let choices = targets
        .into_iter()
        .map(|(target, healthy)| {
            let asked = options.proxy.as_deref();
            let choice = choose(&target, asked, |name| env.get(name).cloned());
            Ok((target, healthy, choice.map_err(wrong("the proxy"))?))
        })
        .collect::<Result<Vec<_>, Problems>>()?;
    let fixed = options
        .resolve
        .iter()
        .map(|text| fixed(text).map_err(wrong("--resolve")))
        .collect::<Result<Vec<_>, _>>()?;
    let roots = roots(&options.ca)?;
    let user = rustix::process::getuid().as_raw();
    let tickets = options
        .negotiate
        .then(|| Tickets::of(|name| env.get(name).cloned(), user));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    let all = runtime.block_on(async {
        let mut all = Vec::with_capacity(choices.len());
        for (target, healthy, choice) in choices {
            let plan = Plan {
                target: &target,
                proxy: choice.proxy.as_ref(),
                roots: &roots,
                fixed: &fixed,
                tickets: tickets.as_ref(),
                limit: options.timeout,
                idle: options.idle,
                echo: options.echo,
                origin: options.origin.as_deref(),
            };
            let findings = examine(&plan).await;
            all.push(Examined {
                target,
                choice,
                has_ticket: tickets.is_some(),
                healthy,
                findings,
            });
        }
        all
    });
    // A name that is still being looked up holds a thread that nobody waits for.
    runtime.shutdown_background();
    let said = match options.json {
        true => format!("{}\n", as_json(&all, named)),
        false => as_text(&all, named, options.verbose),
    };
    emit(said.as_bytes())?;
    Ok(all.iter().all(|one| one.case().verdict().whose == Whose::Nobody))
}

/// What is examined, and the status that each is known to answer with.
fn targets(options: &DoctorArgs, named: Option<&Service>) -> Result<Vec<(Target, Option<u16>)>, Problems> {
    let wrong = |message: String| Problems::of_option("URL", message);
    if let Some(service) = named {
        let targets = service.targets.iter();
        let targets = targets.map(|probe| Ok((Target::parse(probe.url)?, probe.healthy)));
        return targets.collect::<Result<_, _>>().map_err(wrong);
    }
    if !options.target.contains(['.', ':', '/', '[']) && options.target != "localhost" {
        let names = SERVICES.iter().map(|service| service.name);
        return Err(wrong(format!(
            "{:?} is no service that the doctor knows ({}); write a URL, such as wss://chat.example/socket",
            options.target,
            names.collect::<Vec<_>>().join(", ")
        )));
    }
    Ok(vec![(Target::parse(&options.target).map_err(wrong)?, None)])
}

/// The variables of this process, or of another: the program that fails may have others than a shell.
fn environment(of: Option<u32>) -> Result<HashMap<String, String>, Problems> {
    let Some(pid) = of else {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let all = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        return Ok(all.collect());
    };
    let read = std::fs::read(format!("/proc/{pid}/environ")).map_err(|error| {
        let message = format!("the variables of process {pid} cannot be read: {error}");
        Problems::of_option("--env-of", message)
    })?;
    let lines = read.split(|byte| *byte == 0);
    let pairs = lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// `HOST:PORT:ADDRESS`, as curl writes it.
fn fixed(text: &str) -> Result<Fixed, String> {
    let parts: Vec<&str> = text.splitn(3, ':').collect();
    let read = || {
        let [host, port, address] = parts.as_slice() else {
            return None;
        };
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        Some(Fixed {
            authority: Authority::parse(&format!("{host}:{port}"), None)?,
            ip: bare.parse().ok()?,
        })
    };
    read().ok_or_else(|| format!("{text:?} is not HOST:PORT:ADDRESS"))
}

fn roots(files: &[std::path::PathBuf]) -> Result<Roots, Problems> {
    let wrong = |message: String| Problems::of_option("--ca", message);
    let mut given = Vec::new();
    for file in files {
        let read = certificates(file).map_err(wrong)?;
        given.push((file.display().to_string(), read));
    }
    // One of this machine's may have signed what is seen. That it is there does not mean that programs believe it.
    let own = default_data_dir().and_then(|dir| certificates(&dir.join("ca.pem")).ok());
    Roots::new(given, own.unwrap_or_default()).map_err(wrong)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let cannot = |error: String| format!("{}: {error}", file.display());
    let pem = std::fs::read(file).map_err(|error| cannot(error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| cannot(format!("is not PEM: {error}")))?;
    match all.is_empty() {
        true => Err(cannot("has no certificate in PEM".to_owned())),
        false => Ok(all),
    }
}

impl Examined {
    fn case(&self) -> Case<'_> {
        Case {
            target: &self.target,
            has_credentials: self
                .choice
                .proxy
                .as_ref()
                .is_some_and(|proxy| proxy.has_credentials()),
            has_ticket: self.has_ticket,
            healthy: self.healthy,
            findings: &self.findings,
        }
    }

    fn settings(&self) -> String {
        match &self.choice.proxy {
            Some(proxy) => format!("{proxy}, since {}", self.choice.why),
            None => format!("no proxy, since {}", self.choice.why),
        }
    }
}

/// What is at fault first: who has to act of several targets' verdicts.
fn overall(verdicts: &[Diagnosis]) -> Option<&Diagnosis> {
    let bad = verdicts.iter().find(|verdict| verdict.whose != Whose::Nobody);
    bad.or(verdicts.first())
}

fn as_text(all: &[Examined], named: Option<&Service>, verbose: bool) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(service) = named {
        let _ = writeln!(
            text,
            "{}: hosts as known on {}; the vendor's own test: {}\n",
            service.name, service.checked, service.page
        );
    }
    let mut verdicts = Vec::new();
    for one in all {
        let _ = writeln!(text, "{}\n  proxy: {}", one.target, one.settings());
        for note in &one.choice.notes {
            let _ = writeln!(text, "    note: {note}");
        }
        let mut road = "";
        for step in one.case().steps() {
            if step.road != road {
                road = step.road;
                let _ = writeln!(
                    text,
                    "  {}",
                    if road == "proxy" {
                        "through the proxy"
                    } else {
                        "directly"
                    }
                );
            }
            text.push_str(&line(&step, verbose));
        }
        let verdict = one.case().verdict();
        if all.len() > 1 {
            let _ = writeln!(text, "  {}\n", verdict.line());
        }
        verdicts.push(verdict);
    }
    if let Some(verdict) = overall(&verdicts) {
        if all.len() == 1 {
            text.push('\n');
        }
        if let Some(row) = verdict.symptom {
            let _ = writeln!(text, "(symptom {row} of docs/troubleshooting.md)");
        }
        let _ = writeln!(text, "{}", verdict.line());
    }
    text
}

/// A step in one line; details only of what is not as it should be.
fn line(step: &DoctorStep, verbose: bool) -> String {
    let mut text = format!("    {:8} {:18} {}", step.status.label(), step.id, step.summary);
    if let Some(took) = step.took {
        let _ = write!(text, " [{}]", facts::shown(took));
    }
    text.push('\n');
    if verbose || matches!(step.status, Status::Failed | Status::Warning) {
        for evidence in &step.evidence {
            let _ = writeln!(text, "             . {evidence}");
        }
        if let Some(remedy) = &step.remedy {
            let _ = writeln!(text, "             > {remedy}");
        }
    }
    text
}

fn as_json(all: &[Examined], named: Option<&Service>) -> Value {
    let verdict = |verdict: &Diagnosis| {
        json!({
            "whose": verdict.whose.label(),
            "sure": verdict.is_sure,
            "symptom": verdict.symptom,
            "text": verdict.text,
            "remedy": verdict.remedy,
            "line": verdict.line(),
        })
    };
    let step = |step: DoctorStep| {
        json!({
            "id": step.id,
            "road": step.road,
            "status": step.status.label(),
            "summary": step.summary,
            "evidence": step.evidence,
            "remedy": step.remedy,
            "seconds": step.took.map(|took: Duration| took.as_secs_f64()),
        })
    };
    let target = |one: &Examined| {
        json!({
            "target": one.target.to_string(),
            "proxy": one.choice.proxy.as_ref().map(ToString::to_string),
            "proxy_because": one.choice.why,
            "notes": one.choice.notes,
            "steps": one.case().steps().into_iter().map(step).collect::<Vec<_>>(),
            "verdict": verdict(&one.case().verdict()),
        })
    };
    let verdicts: Vec<Diagnosis> = all.iter().map(|one| one.case().verdict()).collect();
    json!({
        "doctor": env!("CARGO_PKG_VERSION"),
        "service": named.map(|service| json!({
            "name": service.name,
            "checked": service.checked,
            "page": service.page,
        })),
        "targets": all.iter().map(target).collect::<Vec<_>>(),
        "verdict": overall(&verdicts).map(verdict),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_addresses_are_read_as_curl_writes_them() {
        let read = fixed("a.example:443:10.0.0.1").unwrap();
        assert_eq!(
            (read.authority.to_string(), read.ip.to_string()),
            ("a.example:443".into(), "10.0.0.1".into())
        );
        assert_eq!(fixed("a.example:443:[::1]").unwrap().ip.to_string(), "::1");
        assert_eq!(fixed("a.example:443:::1").unwrap().ip.to_string(), "::1");
        assert!(fixed("a.example:10.0.0.1").is_err());
    }

    #[test]
    fn every_service_is_examined_at_urls() {
        for service in &SERVICES {
            for probe in service.targets {
                Target::parse(probe.url).unwrap();
            }
        }
    }
}
