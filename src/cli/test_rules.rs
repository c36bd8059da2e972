//! `wsbump test-rules`: which rules fire on messages, and what comes out.

mod said;

use super::args::{MessageKind, MessageWay, TestRules};
use super::output::{CommandError, emit, tell};
use super::recorded::{self, RecordedItem};
use crate::dial::{LookUpOutcome, LookUpSource, NameWatch, Resolver, ServiceNames};
use crate::identity::Identity;
use crate::inspect::rules::{Rest, RuleSession};
use crate::inspect::{Judging, ScanItem, ScanOutcome, Scanner, ScannerId, SessionFacts, Subject, Surface};
use crate::scan;
use crate::settings::{Problems, RuleSet, load_rules};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use said::{RuleTotals, SaidJudgement};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Judges what `options` name. The answer is whether any rule fired.
///
/// # Errors
/// The rules or the messages are wrong, or cannot be read.
pub fn test_rules(options: &TestRules) -> Result<bool, CommandError> {
    let set = load_rules(options.file.as_deref(), options.config.as_deref())?;
    for warning in &set.warnings {
        tell(&format!("warning: {warning}\n"));
    }
    if set.rules.is_empty() {
        tell("warning: there is no rule, so none can fire\n");
    }
    let items = items(options)?;
    let mut trial = RuleTrial {
        set: &set,
        options,
        sessions: BTreeMap::new(),
        waiting: BTreeMap::new(),
        scanners: Scanners::new(&set, options.scan)?,
        unasked: BTreeSet::new(),
        totals: RuleTotals::default(),
        out: String::new(),
    };
    for (number, item) in (1..).zip(items) {
        trial.take(number, item);
    }
    let RuleTrial {
        totals, out, unasked, ..
    } = trial.end();
    emit(out.as_bytes())?;
    for scanner in &unasked {
        tell(&format!(
            "note: scanner {scanner:?} was not asked, and is taken to find nothing; --scan asks it\n"
        ));
    }
    Ok(totals.fired > 0)
}

/// A message with what is judged together with it: the messages that an application's frame is cut over.
struct Group {
    item: RecordedItem,
    /// Of the first one.
    number: u64,
    messages: u64,
    rest: Rest,
}

impl Group {
    fn item(&self) -> Subject<'_> {
        let item = &self.item;
        Subject {
            surface: item.surface,
            direction: item.direction,
            opcode: item.opcode,
            data: &item.data,
            size: item.data.len() as u64,
            head: item.head(),
        }
    }

    fn can_take(&self, next: &RecordedItem, room: usize) -> bool {
        let item = &self.item;
        (item.surface, item.opcode) == (next.surface, next.opcode)
            && item.data.len() + next.data.len() <= room
    }
}

/// Rules that are tried on messages.
struct RuleTrial<'a> {
    set: &'a RuleSet,
    options: &'a TestRules,
    /// With the time of the last message.
    sessions: BTreeMap<u64, (RuleSession, Duration)>,
    /// By session and direction: what the rest of a frame is still to come of.
    waiting: BTreeMap<(u64, usize), Group>,
    scanners: Scanners,
    /// Scanners that a rule wanted to be asked.
    unasked: BTreeSet<String>,
    totals: RuleTotals,
    out: String,
}

fn session<'s>(
    sessions: &'s mut BTreeMap<u64, (RuleSession, Duration)>,
    set: &RuleSet,
    facts: &Arc<SessionFacts>,
) -> &'s mut (RuleSession, Duration) {
    sessions.entry(facts.connection).or_insert_with(|| {
        let rules = set.inspection.rules.clone();
        (RuleSession::new(rules, facts.clone()), Duration::ZERO)
    })
}

impl RuleTrial<'_> {
    fn take(&mut self, number: u64, item: RecordedItem) {
        let key = (item.facts.connection, item.direction.index());
        let mut group = Group {
            item,
            number,
            messages: 1,
            rest: Rest::default(),
        };
        if let Some(mut waiting) = self.waiting.remove(&key) {
            if waiting.can_take(&group.item, self.set.inspection.budgets.message) {
                waiting.item.data.append(&mut group.item.data);
                waiting.item.at = group.item.at;
                waiting.messages += 1;
                group = waiting;
            } else {
                self.judge(&waiting);
            }
        }
        let (session, _) = session(&mut self.sessions, self.set, &group.item.facts);
        let mut rest = std::mem::take(&mut group.rest);
        if group.item.surface == Surface::Message && session.awaits_rest(&group.item(), &mut rest) {
            group.rest = rest;
            self.waiting.insert(key, group);
        } else {
            self.judge(&group);
        }
    }

    fn end(mut self) -> Self {
        for group in std::mem::take(&mut self.waiting).into_values() {
            self.judge(&group);
        }
        if !self.options.json && !self.is_single() {
            self.totals.write(&mut self.out);
        }
        self
    }

    fn is_single(&self) -> bool {
        self.options.har.is_none() && self.options.jsonl.is_none()
    }

    fn judge(&mut self, group: &Group) {
        let item = &group.item;
        let (session, clock) = session(&mut self.sessions, self.set, &item.facts);
        // Recorders' clocks jump; the engine's only goes forward.
        *clock = item.at.max(*clock);
        let now = *clock;
        let mut scans = Vec::new();
        let judgement = loop {
            match session.judge(&group.item(), now, &scans) {
                Judging::Done(judgement) => break judgement,
                Judging::Scan(id) => {
                    let outcome = self.scanners.ask(id, item);
                    if !self.options.scan {
                        let scanner = self.set.scanners.get(id.0);
                        self.unasked.extend(scanner.map(|scanner| scanner.name.clone()));
                    }
                    scans.push((id, outcome));
                }
            }
        };
        self.totals.count(&judgement, group.messages);
        let said = SaidJudgement {
            number: group.number,
            messages: group.messages,
            item,
            judgement: &judgement,
        };
        if self.options.json {
            // Writing to a String cannot fail.
            let _ = writeln!(self.out, "{}", said.as_json());
        } else if self.is_single() || !judgement.findings.is_empty() {
            said.as_text(&mut self.out, self.set);
        }
    }
}

/// How long a scanner's name may take.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Nobody counts look-ups here.
struct Untold;

impl NameWatch for Untold {
    fn looked_up(&self, _: LookUpSource, _: LookUpOutcome) {}
    fn queried(&self, _: LookUpOutcome, _: Duration, _: usize) {}
}

/// Who is asked when a rule wants a scan.
struct Scanners {
    /// `None`: nobody, and what they would say is taken to be nothing.
    runtime: Option<Runtime>,
    built: Vec<Arc<dyn Scanner>>,
}

impl Scanners {
    fn new(set: &RuleSet, asked: bool) -> Result<Self, CommandError> {
        let runtime = asked.then(|| tokio::runtime::Builder::new_current_thread().enable_all().build());
        let runtime = runtime
            .transpose()
            .map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
        let names = ServiceNames::default();
        let (hosts, dns) = set.names.clone();
        let resolver = Resolver::new(dns)
            .map_err(|error| CommandError::Other(format!("cannot look names up: {error}")))?;
        names.follow(hosts, Arc::new(resolver), LOOK_UP, Arc::new(Untold));
        let configs = set.scanners.iter().cloned();
        Ok(Self {
            runtime,
            built: configs.map(|config| scan::build(config, &names)).collect(),
        })
    }

    fn ask(&self, id: ScannerId, item: &RecordedItem) -> ScanOutcome {
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

/// What the options name, in its order.
fn items(options: &TestRules) -> Result<Vec<RecordedItem>, CommandError> {
    let target = Authority::parse(&options.host, Some(443)).ok_or_else(|| {
        let message = format!("{:?} is not a destination; write HOST or HOST:PORT", options.host);
        Problems::of_option("--host", message)
    })?;
    let mut usual = RecordedItem {
        facts: Arc::new(SessionFacts {
            connection: 1,
            client: options.client,
            user: options.user.as_deref().map(|name| Arc::new(Identity::from(name))),
            target,
            aliases: Vec::new(),
            scheme: "wss",
            path: options.path.clone(),
            origin: options.origin.clone(),
            subprotocol: options.subprotocol.clone(),
            websocket: None,
        }),
        surface: Surface::Message,
        direction: match options.direction {
            MessageWay::ToOrigin => Direction::ToOrigin,
            MessageWay::ToClient => Direction::ToClient,
        },
        opcode: Some(match options.opcode {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
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
