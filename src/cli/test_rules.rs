//! `wsbump test-rules`: which rules fire on messages, and what comes out.

use super::args::{Kind, TestRules, Way};
use super::output::{Failure, emit, tell};
use super::recorded::{self, Recorded};
use crate::inspect::rules::Session;
use crate::inspect::{
    Facts, Finding, Item, Judgement, Judging, ScanItem, ScanOutcome, Scanner, ScannerId, Surface, Verdict,
};
use crate::scan;
use crate::settings::{Problems, RuleSet, load_rules};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// So much of a content is shown, in characters.
const SHOWN: usize = 400;

/// Judges what `options` name. The answer is whether any rule fired.
///
/// # Errors
/// The rules or the messages are wrong, or cannot be read.
pub fn test_rules(options: &TestRules) -> Result<bool, Failure> {
    let set = load_rules(options.file.as_deref(), options.config.as_deref())?;
    for warning in &set.warnings {
        tell(&format!("warning: {warning}\n"));
    }
    if set.rules.is_empty() {
        tell("warning: there is no rule, so none can fire\n");
    }
    let items = items(options)?;
    let mut sessions: BTreeMap<u64, (Session, Duration)> = BTreeMap::new();
    let scanners = Scanners::new(&set, options.scan)?;
    let mut unasked = BTreeSet::new();
    let mut out = String::new();
    let mut totals = Totals::default();
    let single = options.har.is_none() && options.jsonl.is_none();
    for (number, item) in (1..).zip(&items) {
        let (session, clock) = sessions.entry(item.facts.connection).or_insert_with(|| {
            let rules = set.inspection.rules.clone();
            (Session::new(rules, item.facts.clone()), Duration::ZERO)
        });
        // Recorders' clocks jump; the engine's only goes forward.
        *clock = item.at.max(*clock);
        let (judgement, scans) = judge(session, item, *clock, &scanners);
        totals.count(&judgement);
        if !options.scan {
            let names = scans.iter().filter_map(|id| set.scanners.get(id.0));
            unasked.extend(names.map(|scanner| scanner.name.clone()));
        }
        if options.json {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}", as_json(number, item, &judgement));
        } else if single || !judgement.findings.is_empty() {
            as_text(&mut out, number, item, &judgement, &set);
        }
    }
    if !options.json && !single {
        totals.write(&mut out);
    }
    emit(out.as_bytes())?;
    for scanner in &unasked {
        tell(&format!(
            "note: scanner {scanner:?} was not asked, and is taken to find nothing; --scan asks it\n"
        ));
    }
    Ok(totals.fired > 0)
}

/// Who is asked when a rule wants a scan.
struct Scanners {
    /// `None`: nobody, and what they would say is taken to be nothing.
    runtime: Option<Runtime>,
    built: Vec<Arc<dyn Scanner>>,
}

impl Scanners {
    fn new(set: &RuleSet, asked: bool) -> Result<Self, Failure> {
        let runtime = asked.then(|| tokio::runtime::Builder::new_current_thread().enable_all().build());
        let runtime = runtime
            .transpose()
            .map_err(|error| Failure::Other(format!("cannot start: {error}")))?;
        Ok(Self {
            runtime,
            built: set.scanners.iter().cloned().map(scan::build).collect(),
        })
    }

    fn ask(&self, id: ScannerId, item: &Recorded) -> ScanOutcome {
        let (Some(runtime), Some(scanner)) = (&self.runtime, self.built.get(id.0)) else {
            return ScanOutcome::Clean;
        };
        let outcome = runtime.block_on(async {
            let scan = scanner.scan(ScanItem {
                facts: item.facts.clone(),
                surface: item.surface,
                direction: item.direction,
                opcode: item.opcode,
                heads: item.heads.clone(),
                data: item.data.clone().into(),
            });
            scan.await
        });
        if let ScanOutcome::Failed(why) = &outcome {
            tell(&format!("warning: scanner {:?}: {why}\n", scanner.name()));
        }
        outcome
    }
}

/// The rules' word, and the scanners that it took.
fn judge(
    session: &mut Session,
    item: &Recorded,
    now: Duration,
    scanners: &Scanners,
) -> (Judgement, Vec<ScannerId>) {
    let data = Item {
        surface: item.surface,
        direction: item.direction,
        opcode: item.opcode,
        data: &item.data,
        size: item.data.len() as u64,
        head: item.head(),
    };
    let mut scans = Vec::new();
    loop {
        match session.judge(&data, now, &scans) {
            Judging::Done(judgement) => return (judgement, scans.into_iter().map(|(id, _)| id).collect()),
            Judging::Scan(id) => scans.push((id, scanners.ask(id, item))),
        }
    }
}

/// What the options name, in its order.
fn items(options: &TestRules) -> Result<Vec<Recorded>, Failure> {
    let target = Authority::parse(&options.host, Some(443)).ok_or_else(|| {
        let message = format!("{:?} is not a destination; write HOST or HOST:PORT", options.host);
        Problems::of_option("--host", message)
    })?;
    let mut usual = Recorded {
        facts: Arc::new(Facts {
            connection: 1,
            client: options.client,
            user: options.user.as_deref().map(Into::into),
            target,
            scheme: "wss",
            path: options.path.clone(),
            origin: options.origin.clone(),
            subprotocol: options.subprotocol.clone(),
        }),
        surface: Surface::Message,
        direction: match options.direction {
            Way::ToOrigin => Direction::ToOrigin,
            Way::ToClient => Direction::ToClient,
        },
        opcode: Some(match options.opcode {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        }),
        data: Vec::new(),
        heads: None,
        at: Duration::ZERO,
    };
    if let Some(file) = &options.har {
        return Ok(recorded::har(file, &text(file, "--har")?, &usual)?);
    }
    if let Some(file) = &options.jsonl {
        return Ok(recorded::json_lines(file, &text(file, "--jsonl")?, &usual)?);
    }
    usual.data = match (&options.message, &options.message_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => bytes(file, "--message-file")?,
        (None, None) => Vec::new(),
    };
    Ok(vec![usual])
}

/// The content of `file`; `-` is standard input.
fn bytes(file: &Path, option: &str) -> Result<Vec<u8>, Problems> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| Problems::of_option(option, format!("cannot read {}: {error}", file.display())))
}

fn text(file: &Path, option: &str) -> Result<String, Problems> {
    String::from_utf8(bytes(file, option)?)
        .map_err(|_| Problems::of_option(option, format!("{} is not UTF-8 text", file.display())))
}

#[derive(Debug, Default)]
struct Totals {
    items: u64,
    fired: u64,
    changed: u64,
    dropped: u64,
    closed: u64,
    by_rule: BTreeMap<Arc<str>, u64>,
}

impl Totals {
    fn count(&mut self, judgement: &Judgement) {
        self.items += 1;
        self.fired += u64::from(!judgement.findings.is_empty());
        match judgement.verdict {
            Verdict::Pass => {}
            Verdict::Replace(_) => self.changed += 1,
            Verdict::Drop => self.dropped += 1,
            Verdict::Close(_) => self.closed += 1,
        }
        for finding in &judgement.findings {
            *self.by_rule.entry(finding.rule.clone()).or_default() += 1;
        }
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{} judged: rules fired on {}; {} changed, {} dropped, {} closed",
            self.items, self.fired, self.changed, self.dropped, self.closed
        );
        for (rule, count) in &self.by_rule {
            let _ = writeln!(out, "  {rule}  {count}");
        }
    }
}

fn as_text(out: &mut String, number: u64, item: &Recorded, judgement: &Judgement, set: &RuleSet) {
    let facts = &item.facts;
    let opcode = item
        .opcode
        .map_or_else(String::new, |opcode| format!(" {}", opcode.label()));
    let _ = writeln!(
        out,
        "{number}. {}{opcode} {}, {} bytes, {}://{}{}",
        item.surface.label(),
        item.direction.label(),
        item.data.len(),
        facts.scheme,
        facts.target,
        facts.path
    );
    for finding in &judgement.findings {
        let _ = writeln!(out, "   {}", finding_text(finding, set));
        if let Some(excerpt) = &finding.excerpt {
            let _ = writeln!(out, "     {}", shown(excerpt));
        }
    }
    if judgement.findings.is_empty() {
        out.push_str("   no rule fires\n");
    }
    let _ = match &judgement.verdict {
        Verdict::Pass => writeln!(out, "   => passes"),
        Verdict::Replace(data) => {
            writeln!(out, "   => changed to: {}", shown(&String::from_utf8_lossy(data)))
        }
        Verdict::Drop if item.surface == Surface::Message => writeln!(out, "   => dropped"),
        Verdict::Drop => writeln!(out, "   => answered 403"),
        Verdict::Close(reason) => writeln!(out, "   => closed with 1008 {reason:?}"),
    };
}

fn finding_text(finding: &Finding, set: &RuleSet) -> String {
    let mode = match finding.enforced {
        true => "",
        false => " (observe: would)",
    };
    let times = match finding.matches {
        1 => "1 match".to_owned(),
        many => format!("{many} matches"),
    };
    let detail = finding
        .detail
        .as_ref()
        .map_or_else(String::new, |detail| format!(", {detail}"));
    let at = set.rules.iter().find(|rule| rule.name == finding.rule);
    let at = at.map_or_else(String::new, |rule| format!("  [{}]", rule.at));
    format!("{}: {}{mode}, {times}{detail}{at}", finding.rule, finding.action)
}

/// On one line, without what a terminal would act upon, and not too long.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(escaped).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str(" ...");
    }
    shown
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let control = c.is_control();
    let escaped = control.then(|| c.escape_default());
    escaped.into_iter().flatten().chain((!control).then_some(c))
}

fn as_json(number: u64, item: &Recorded, judgement: &Judgement) -> serde_json::Value {
    let findings: Vec<_> = judgement
        .findings
        .iter()
        .map(|finding| {
            json!({
                "rule": &*finding.rule,
                "action": finding.action,
                "enforced": finding.enforced,
                "matches": finding.matches,
                "excerpt": finding.excerpt,
                "detail": finding.detail,
            })
        })
        .collect();
    let mut line = json!({
        "number": number,
        "session": item.facts.connection,
        "surface": item.surface.label(),
        "direction": item.direction.label(),
        "opcode": item.opcode.map(Opcode::label),
        "host": item.facts.target.to_string(),
        "path": item.facts.path,
        "bytes": item.data.len(),
        "findings": findings,
    });
    let (verdict, key, value) = match &judgement.verdict {
        Verdict::Pass => ("pass", None, String::new()),
        Verdict::Drop => ("drop", None, String::new()),
        Verdict::Close(reason) => ("close", Some("reason"), reason.clone()),
        Verdict::Replace(data) => match std::str::from_utf8(data) {
            Ok(text) => ("replace", Some("data"), text.to_owned()),
            Err(_) => ("replace", Some("data_base64"), STANDARD.encode(data)),
        },
    };
    line["verdict"] = verdict.into();
    if let Some(key) = key {
        line[key] = value.into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_shown_cannot_drive_a_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\r\n\u{9b}ü"), "a\\u{1b}[31mb\\r\\n\\u{9b}ü");
        assert_eq!(shown(&"x".repeat(400)), "x".repeat(400));
        assert_eq!(shown(&"x".repeat(401)), "x".repeat(400) + " ...");
    }
}
