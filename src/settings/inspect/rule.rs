//! One rule, from its table to what the engine takes.

use crate::admit::{Names, group_name};
use crate::inspect::{
    Action, AppFraming, FileType, HostScope, JsonTest, LooksFor, Mode, Rate, RuleSpec, ScannerId, Secret,
    Surface, Test, Where,
};
use crate::settings::files::{as_text, read};
use crate::settings::lists::Lists;
use crate::settings::problem::{Diagnostics, FileSpan, nearest};
use crate::settings::reader::{At, Section};
use crate::settings::{duration, words};
use crate::wire::frame::{Direction, Opcode};
use std::path::PathBuf;
use toml::de::DeValue;

/// The longest reason that a Close frame can carry (RFC 6455 section 5.5: 125 bytes, less two for the code).
const REASON_MAX: usize = 123;

/// One `[[inspect.rule]]`, or one `[[rule]]` of an included file.
#[derive(Debug)]
pub(super) struct RuleTable {
    /// What the table is called in its file.
    pub table: &'static str,
    /// Where the table begins.
    pub span: FileSpan,
    /// Where each of its keys stands.
    spans: Vec<(String, FileSpan)>,
    pub name_span: FileSpan,
    /// The rule, without what [`RuleTable::resolve`] adds.
    pub spec: RuleSpec,
    keyword_files: Vec<At<PathBuf>>,
    scan: Option<At<String>>,
    /// Absent where what holds for all rules is to hold.
    pub audit_sample: Option<u64>,
}

pub(super) const SECRETS: [(&str, Secret); Secret::ALL.len()] = [
    ("card_number", Secret::CardNumber),
    ("aws", Secret::Aws),
    ("slack", Secret::Slack),
    ("github", Secret::GitHub),
    ("gitlab", Secret::GitLab),
    ("google", Secret::Google),
    ("stripe", Secret::Stripe),
    ("ai_provider", Secret::AiProvider),
    ("azure", Secret::Azure),
    ("private_key", Secret::PrivateKey),
    ("jwt", Secret::Jwt),
    ("iban", Secret::Iban),
    ("us_ssn", Secret::UsSsn),
];

const FILES: [(&str, FileType); 4] = [
    ("executable", FileType::Executable),
    ("archive", FileType::Archive),
    ("document", FileType::Document),
    ("image", FileType::Image),
];

const FRAMINGS: [(&str, AppFraming); 7] = [
    ("json", AppFraming::Json),
    ("socketio", AppFraming::SocketIo),
    ("signalr", AppFraming::SignalR),
    ("graphql-ws", AppFraming::GraphQlWs),
    ("mqtt", AppFraming::Mqtt),
    ("stomp", AppFraming::Stomp),
    ("zlib-stream", AppFraming::ZlibStream),
];

impl RuleTable {
    /// Reads one table; without a name there is no rule, which is stated.
    pub(super) fn read(section: &mut Section<'_, '_>, lists: &mut Lists, probe: bool) -> Option<Self> {
        let name = section.read("name", |value| match value.as_str() {
            Some(text) => words::name(text, "rule"),
            None => Err(format!("is of type {}; write a name in quotes", value.type_str())),
        });
        if !section.has("name") {
            let span = section.span();
            section.note(
                &span,
                "name",
                "is missing; metrics and logs call the rule by it: name = \"...\"",
            );
        }
        let modes = [("observe", Mode::Observe), ("enforce", Mode::Enforce)];
        let mode = section.choice("mode", &modes, Mode::Observe);
        let action = action(section);
        let place = place(section, lists);
        let what = what(section, probe);
        let keyword_files = section.texts("keyword_files").into_iter().map(|at| At {
            value: at.value.into(),
            span: at.span,
        });
        let keyword_files = keyword_files.collect();
        let scan = section.text("scan");
        let audit_sample = section.number("audit_sample", 1..=1_000_000, 1) as u64;
        let audit_sample = section.has("audit_sample").then_some(audit_sample);
        let decode = section.choice_if_any("decode", &FRAMINGS);
        let At { value, span } = name?;
        Some(Self {
            table: section.name(),
            span: section.span(),
            spans: section.spans(),
            name_span: span,
            spec: RuleSpec {
                name: value.into(),
                mode,
                action,
                place,
                what,
                decode,
            },
            keyword_files,
            scan,
            audit_sample,
        })
    }

    /// Calls users and groups what `names` call them.
    fn rename(&mut self, names: &Names) {
        let place = &mut self.spec.place;
        for user in place.users.iter_mut().chain(&mut place.except_users) {
            *user = names.user(user).unwrap_or_else(|| user.to_lowercase());
        }
        place
            .groups
            .iter_mut()
            .for_each(|group| *group = group_name(group));
    }

    /// Adds the words of the keyword files, and the scanner by its number among `scanners`. Users are called what `users` call
    /// them.
    pub(super) fn resolve(&mut self, scanners: &[String], users: &Names, notes: &mut Diagnostics) {
        self.rename(users);
        let key = |key: &str| format!("{}.{key}", self.table);
        for at in &self.keyword_files {
            let Some((path, bytes)) = read(&at.value, &at.span, &key("keyword_files"), notes) else {
                continue;
            };
            match as_text(bytes) {
                Ok(text) => self.spec.what.keywords.extend(keywords(&text)),
                Err((place, message)) => notes.add_in(&path, Some(place), "", message),
            }
        }
        let Some(at) = &self.scan else { return };
        let index = scanners.iter().position(|name| *name == at.value);
        self.spec.what.scan = index.map(ScannerId);
        if index.is_none() {
            let advice = match nearest(&at.value, scanners.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write an [[inspect.scanner]] with name = {:?}", at.value),
            };
            let message = format!("there is no scanner named {:?}; {advice}", at.value);
            notes.add(&at.span, key("scan"), message);
        }
    }

    /// Where `key` stands, or the table if it is not written.
    pub(super) fn span_of(&self, key: &str) -> FileSpan {
        let of = |key: &str| self.spans.iter().find(|(name, _)| name == key);
        // Keywords may all have come from files.
        let found = of(key).or_else(|| of("keyword_files").filter(|_| key == "keywords"));
        found.map_or_else(|| self.span.clone(), |(_, span)| span.clone())
    }
}

fn action(section: &mut Section<'_, '_>) -> Action {
    let word = section.parsed("action", |text| {
        let known = Action::LABELS.into_iter().find(|label| *label == text);
        known.ok_or_else(|| {
            let what = "\"allow\", \"log\", \"alert\", \"redact\" (masks what matched), \"drop\" (leaves the message out) or \"close\" (ends the WebSocket, or answers 403)";
            let blocks = ["block", "deny", "reject", "refuse"].iter().any(|word| word.eq_ignore_ascii_case(text));
            match (blocks, nearest(text, Action::LABELS)) {
                (true, _) => format!("{text:?} is called \"drop\" or \"close\" here; there are {what}"),
                (false, Some(near)) => format!("{text:?} is not known; did you mean {near:?}? There are {what}"),
                (false, None) => format!("{text:?} is not known; write {what}"),
            }
        })
    });
    let word = word.map(|at| at.value);
    if !section.has("action") {
        let span = section.span();
        let message = "is missing; write \"log\" to count what matches, or \"alert\", \"allow\", \"redact\", \"drop\" or \"close\"";
        section.note(&span, "action", message);
    }
    let with = section.read("with", |value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!("is of type {}; write a text in quotes", value.type_str())),
    });
    let reason = section.read("reason", |value| match value.as_str() {
        Some(text) if text.len() <= REASON_MAX => Ok(text.to_owned()),
        Some(text) => Err(format!(
            "has {} bytes, and a Close frame carries {REASON_MAX}; shorten it",
            text.len()
        )),
        None => Err(format!("is of type {}; write a text in quotes", value.type_str())),
    });
    for (key, wanted, at) in [("with", "redact", &with), ("reason", "close", &reason)] {
        if let (Some(at), Some(word)) = (at, word)
            && word != wanted
        {
            let message = format!("is only for action = \"{wanted}\", and this one is {word:?}; take it out");
            section.note(&at.span, key, message);
        }
    }
    match word {
        Some("allow") => Action::Allow,
        Some("alert") => Action::Alert,
        Some("redact") => Action::Redact(with.map_or_else(|| "[redacted]".into(), |at| at.value)),
        Some("drop") => Action::Drop,
        Some("close") => Action::Close(reason.map_or_else(|| "blocked by policy".into(), |at| at.value)),
        // A wrong word has been stated, and the rule is not used.
        _ => Action::Log,
    }
}

fn place(section: &mut Section<'_, '_>, lists: &mut Lists) -> Where {
    let surfaces = Surface::ALL.map(|surface| (surface.label(), surface));
    let directions = [
        ("to_origin", Direction::ToOrigin),
        ("to_client", Direction::ToClient),
    ];
    let opcodes = [("text", Opcode::Text), ("binary", Opcode::Binary)];
    let nets = section.list("clients", words::network);
    Where {
        surfaces: section.choices("in", &surfaces),
        scope: HostScope {
            hosts: lists.named(section, "hosts"),
            except: lists.named(section, "except_hosts"),
        },
        path: value(section.text("path")),
        direction: section.choice_if_any("direction", &directions),
        opcode: section.choice_if_any("opcode", &opcodes),
        subprotocols: values(section.texts("subprotocol")),
        origin: value(section.text("origin")),
        clients: nets.map(|at| values(at.value)).unwrap_or_default(),
        users: values(section.texts("users")),
        groups: values(section.texts("groups")),
        except_users: values(section.texts("except_users")),
        content_types: values(section.texts("content_type")),
    }
}

fn what(section: &mut Section<'_, '_>, probe: bool) -> LooksFor {
    LooksFor {
        regex: values(section.texts("regex")),
        keywords: values(section.texts("keywords")),
        ignore_case: section.flag("ignore_case", false),
        secrets: section.choices("secrets", &SECRETS),
        entropy: section.real("entropy"),
        files: section.choices("files", &FILES),
        min_size: section.size("min_size", 0..=1 << 40),
        max_size: section.size("max_size", 0..=1 << 40),
        rate: value(section.read("rate", |value| match value.as_str() {
            Some(text) => rate(text),
            None => Err(format!(
                "is of type {}; write such as \"20/1s\"",
                value.type_str()
            )),
        })),
        json: section.tables("json", "inspect.rule.json", probe, json_test),
        scan: None,
    }
}

/// `20/1s`: more than 20 in a second.
fn rate(text: &str) -> Result<Rate, String> {
    let (count, per) = text.split_once('/').ok_or_else(|| {
        format!("{text:?} is not a rate; write COUNT/TIME, such as \"20/1s\" or \"1000/1m\"")
    })?;
    let count = count.trim().parse().map_err(|_| {
        format!("{text:?} does not begin with a whole number; write COUNT/TIME, such as \"20/1s\"")
    })?;
    let per = per.trim();
    // `20/s` says what it means.
    let per = match per.starts_with(|c: char| c.is_ascii_digit()) {
        true => duration::parse(per)?,
        false => duration::parse(&format!("1{per}"))?,
    };
    Ok(Rate { count, per })
}

fn json_test(section: &mut Section<'_, '_>) -> Option<JsonTest> {
    let pointer = section.text("pointer");
    let flag = |section: &mut Section<'_, '_>, key, test: Test| {
        let read = section.read(key, |value| match value.as_bool() {
            Some(true) => Ok(()),
            _ => Err("write true, or leave it out".to_owned()),
        });
        read.map(|_| test)
    };
    let equals = section.read("equals", json_value);
    let tests = [
        equals.map(|at| Test::Equals(at.value)),
        flag(section, "exists", Test::Exists),
        flag(section, "absent", Test::Absent),
        section.text("matches").map(|at| Test::Matches(at.value)),
        section.real("above").map(Test::Above),
        section.real("below").map(Test::Below),
    ];
    let mut tests: Vec<_> = tests.into_iter().flatten().collect();
    let span = section.span();
    if !section.has("pointer") {
        section.note(
            &span,
            "pointer",
            "is missing; write where to look, such as pointer = \"/data/token\"",
        );
    }
    let written = section
        .spans()
        .into_iter()
        .filter(|(key, _)| key != "pointer")
        .count();
    if span.is_some() && written != 1 {
        let message = "each test has a pointer and one of equals, exists, absent, matches, above and below; write several tests for several conditions";
        section.note(&span, "", message);
    }
    Some(JsonTest {
        pointer: pointer?.value,
        test: tests.pop()?,
    })
}

/// A TOML value as JSON has it.
fn json_value(value: &DeValue<'_>) -> Result<serde_json::Value, String> {
    use serde_json::Value;
    Ok(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            Value::from(number.map_err(|_| "is a number out of range".to_owned())?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse::<f64>().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(|| "is a number that JSON does not have".to_owned())?)
        }
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Datetime(_) => {
            return Err("is a date, which JSON does not have; write a text in quotes".into());
        }
        DeValue::Array(members) => {
            let members: Result<_, _> = members
                .iter()
                .map(|member| json_value(member.get_ref()))
                .collect();
            Value::Array(members?)
        }
        DeValue::Table(members) => {
            let members: Result<_, String> = members
                .iter()
                .map(|(key, member)| Ok((key.get_ref().to_string(), json_value(member.get_ref())?)))
                .collect();
            Value::Object(members?)
        }
    })
}

fn value<T>(at: Option<At<T>>) -> Option<T> {
    at.map(|at| at.value)
}

fn values<T>(list: Vec<At<T>>) -> Vec<T> {
    list.into_iter().map(|at| at.value).collect()
}

/// One a line; blank lines and those that begin with `#` are skipped.
fn keywords(text: &str) -> impl Iterator<Item = String> {
    let lines = text.trim_start_matches('\u{FEFF}').lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
}
