//! One rule as it is written.

use crate::inspect::{Action, FileType, Framing, JsonTest, Mode, Rate, Secret, Surface, Test, What};
use crate::settings::problem::Span;
use crate::settings::reader::{At, Section};
use crate::settings::{duration, words};
use crate::wire::frame::{Direction, Opcode};
use ipnet::IpNet;
use std::path::PathBuf;
use toml::de::DeValue;

/// The longest reason that a Close frame can carry (RFC 6455 section 5.5: 125 bytes, less two for the code).
const REASON_MAX: usize = 123;

/// One `[[inspect.rule]]`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::settings) struct Rule {
    /// What the table is called in its file.
    pub table: &'static str,
    /// Where the table begins, and each of its keys.
    pub span: Span,
    pub spans: Vec<(String, Span)>,
    pub name: At<String>,
    pub mode: Mode,
    pub action: Action,
    pub place: Place,
    pub what: What,
    pub keyword_files: Vec<At<PathBuf>>,
    pub scan: Option<At<String>>,
    /// Absent where what holds for all rules is to hold.
    pub audit_sample: Option<u64>,
    pub decode: Option<Framing>,
}

/// [`crate::inspect::Where`], with lists by their names.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::settings) struct Place {
    pub surfaces: Vec<Surface>,
    pub hosts: Vec<At<String>>,
    pub except_hosts: Vec<At<String>>,
    pub path: Option<String>,
    pub direction: Option<Direction>,
    pub opcode: Option<Opcode>,
    pub subprotocols: Vec<String>,
    pub origin: Option<String>,
    pub clients: Vec<IpNet>,
    pub users: Vec<String>,
    pub content_types: Vec<String>,
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

const FRAMINGS: [(&str, Framing); 7] = [
    ("json", Framing::Json),
    ("socketio", Framing::SocketIo),
    ("signalr", Framing::SignalR),
    ("graphql-ws", Framing::GraphQlWs),
    ("mqtt", Framing::Mqtt),
    ("stomp", Framing::Stomp),
    ("zlib-stream", Framing::ZlibStream),
];

impl Rule {
    pub(in crate::settings) fn read(section: &mut Section<'_, '_>, probe: bool) -> Option<Self> {
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
        let place = Place::read(section);
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
        Some(Self {
            table: section.name(),
            span: section.span(),
            spans: section.spans(),
            name: name?,
            mode,
            action,
            place,
            what,
            keyword_files,
            scan,
            audit_sample,
            decode,
        })
    }

    /// Where `key` stands, or the table if it is not written.
    pub(in crate::settings) fn span_of(&self, key: &str) -> Span {
        let of = |key: &str| self.spans.iter().find(|(name, _)| name == key);
        // Keywords may all have come from files.
        let found = of(key).or_else(|| of("keyword_files").filter(|_| key == "keywords"));
        found.map_or_else(|| self.span.clone(), |(_, span)| span.clone())
    }
}

fn action(section: &mut Section<'_, '_>) -> Action {
    let words = Action::LABELS.map(|label| (label, label));
    let word = section.choice_if_any("action", &words);
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

impl Place {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let surfaces = Surface::ALL.map(|surface| (surface.label(), surface));
        let directions = [
            ("to_origin", Direction::ToOrigin),
            ("to_client", Direction::ToClient),
        ];
        let opcodes = [("text", Opcode::Text), ("binary", Opcode::Binary)];
        let nets = section.list("clients", words::network);
        Self {
            surfaces: section.choices("in", &surfaces),
            hosts: section.texts("hosts"),
            except_hosts: section.texts("except_hosts"),
            path: value(section.text("path")),
            direction: section.choice_if_any("direction", &directions),
            opcode: section.choice_if_any("opcode", &opcodes),
            subprotocols: values(section.texts("subprotocol")),
            origin: value(section.text("origin")),
            clients: nets.map(|at| values(at.value)).unwrap_or_default(),
            users: values(section.texts("users")),
            content_types: values(section.texts("content_type")),
        }
    }
}

fn what(section: &mut Section<'_, '_>, probe: bool) -> What {
    What {
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
