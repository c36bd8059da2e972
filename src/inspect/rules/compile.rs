//! From a rule as it is written to one that can be asked.

use super::super::{
    Action, AppFraming, FileType, Mode, Rate, RuleError, RuleSpec, ScannerId, Secret, Subject, Surface,
};
use super::json::Check;
use super::place::CompiledPlace;
use super::screen::Builder;
use super::{entropy, files, secrets};
use crate::wire::frame::Opcode;
use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use std::ops::Range;
use std::sync::Arc;

/// The most that one compiled expression may take, in bytes.
const REGEX_SIZE: usize = 4 << 20;
/// A rate remembers as many moments as it allows.
const MAX_RATE: u32 = 65_536;
/// RFC 6455 section 5.5: 125 bytes less the code.
const MAX_REASON: usize = 123;

/// A rule that can be asked, with its patterns filed in the screen.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) mode: Mode,
    pub(super) action: Action,
    pub(super) place: CompiledPlace,
    pub(super) sizes: (Option<u64>, Option<u64>),
    pub(super) files: Vec<FileType>,
    pub(super) keywords: Option<(AhoCorasick, u32)>,
    pub(super) regexes: Vec<(Regex, u32)>,
    /// The bits of `regexes`, one after another.
    pub(super) regex_bits: Range<u32>,
    pub(super) secrets: Vec<(Secret, Option<u32>)>,
    pub(super) entropy: Option<f64>,
    pub(super) json: Vec<Check>,
    pub(super) rate: Option<Rate>,
    pub(super) scan: Option<ScannerId>,
    pub(super) decode: Option<AppFraming>,
}

impl Rule {
    /// Compiles, and registers its patterns; what is wrong is added to `errors`.
    pub(super) fn compile(
        rule: usize,
        spec: RuleSpec,
        screen: &mut Builder,
        errors: &mut Vec<RuleError>,
    ) -> Self {
        let what = spec.what;
        let place = CompiledPlace::compile(rule, spec.place, spec.action == Action::Allow, errors);
        let mut refuse = |key, message: String| errors.push(RuleError { rule, key, message });
        if spec.name.trim().is_empty() {
            refuse("name", "the name is empty; metrics and logs need one".into());
        }
        if let Action::Close(reason) = &spec.action
            && reason.len() > MAX_REASON
        {
            let message = format!("the reason has {} bytes; a close frame holds 123", reason.len());
            refuse("action", message);
        }
        let mut keywords = None;
        if what.keywords.iter().any(String::is_empty) {
            refuse(
                "keywords",
                "a keyword is empty, and would match everything; leave it out".into(),
            );
        } else if !what.keywords.is_empty() {
            let bit = screen.bit();
            for word in &what.keywords {
                screen.word(word.as_bytes(), what.ignore_case, bit);
            }
            match AhoCorasick::builder()
                .ascii_case_insensitive(what.ignore_case)
                .build(&what.keywords)
            {
                Ok(finder) => keywords = Some((finder, bit)),
                Err(error) => refuse("keywords", error.to_string()),
            }
        }
        let mut regexes = Vec::new();
        for text in &what.regex {
            let built = RegexBuilder::new(text)
                .case_insensitive(what.ignore_case)
                .size_limit(REGEX_SIZE)
                .build();
            let parsed = regex_syntax::ParserBuilder::new()
                .utf8(false)
                .case_insensitive(what.ignore_case)
                .build()
                .parse(text);
            match (built, parsed) {
                (Ok(regex), Ok(hir)) => {
                    let bit = screen.bit();
                    screen.expression(hir, bit);
                    regexes.push((regex, bit));
                }
                (Err(error), _) => refuse("regex", pictured(text, &error.to_string())),
                (_, Err(error)) => refuse("regex", pictured(text, &error.to_string())),
            }
        }
        let bits = || regexes.iter().map(|(_, bit)| *bit);
        let regex_bits = bits().min().unwrap_or(0)..bits().max().map_or(0, |last| last + 1);
        let secrets = what
            .secrets
            .iter()
            .map(|&secret| {
                let triggers = secrets::triggers(secret);
                let bit = (!triggers.is_empty()).then(|| screen.bit());
                for trigger in triggers {
                    bit.into_iter()
                        .for_each(|bit| screen.word(trigger.as_bytes(), true, bit));
                }
                (secret, bit)
            })
            .collect();
        if what.entropy.is_some_and(|bits| !(0.0..=8.0).contains(&bits)) {
            refuse(
                "entropy",
                "write bits a character, from 0 to 8; 4.5 is a good start".into(),
            );
        }
        let mut json = Vec::new();
        for test in &what.json {
            match Check::compile(test) {
                Ok(check) => json.push(check),
                Err(message) => refuse("json", message),
            }
        }
        match what.rate {
            Some(rate) if rate.per.is_zero() => refuse("rate", "the time is zero; write `1s` or more".into()),
            Some(rate) if rate.count > MAX_RATE => {
                refuse(
                    "rate",
                    format!("at most {MAX_RATE} can be counted; take a shorter time"),
                );
            }
            _ => {}
        }
        Self {
            name: spec.name,
            mode: spec.mode,
            action: spec.action,
            place,
            sizes: (what.min_size, what.max_size),
            files: what.files,
            keywords,
            regexes,
            regex_bits,
            secrets,
            entropy: what.entropy,
            json,
            rate: what.rate,
            scan: what.scan,
            decode: spec.decode,
        }
    }

    /// Whether everything in its place matches.
    pub(super) fn is_unconditional(&self) -> bool {
        self.sizes == (None, None)
            && self.files.is_empty()
            && !self.has_patterns()
            && self.json.is_empty()
            && self.rate.is_none()
            && self.scan.is_none()
    }

    /// Whether it looks for something in the content, wherever that comes: for a text, for a file, or for what a scanner
    /// finds. A rule about an application's messages is about that application alone.
    pub(super) fn looks_for_something(&self) -> bool {
        (self.has_patterns() || !self.files.is_empty() || self.scan.is_some())
            && self.json.is_empty()
            && self.framing().is_none()
    }

    /// Whether it looks for something that has a place in the content.
    pub(super) fn has_patterns(&self) -> bool {
        self.keywords.is_some()
            || !self.regexes.is_empty()
            || !self.secrets.is_empty()
            || self.entropy.is_some()
    }

    /// Whether it looks at a document of JSON, or at what is inside of a framing.
    pub(super) fn wants_document(&self) -> bool {
        !self.json.is_empty() || self.decode.is_some()
    }

    /// Whether content in its place that it does not match may be the beginning of some that it does.
    pub(super) fn may_match_more(&self, item: &Subject<'_>) -> bool {
        let (min, max) = self.sizes;
        let looks_inside = self.has_patterns() || !self.json.is_empty() || self.scan.is_some();
        let is_told = item.data.len() >= files::ENOUGH;
        let is_file = || self.files.iter().any(|&kind| files::is(kind, item.data));
        max.is_none_or(|max| item.size <= max)
            && (self.files.is_empty() || !is_told || is_file())
            && (looks_inside
                || min.is_some_and(|min| item.size < min)
                || (!self.files.is_empty() && !is_told))
    }

    /// Whether it looks at what control frames say. They are too small to be told by their size or their rate, and do not
    /// wait for a scanner.
    pub(super) fn reads_controls(&self) -> bool {
        self.has_patterns() && self.rate.is_none() && self.scan.is_none()
    }

    /// Whether nothing in its place is asked of later rules.
    pub(super) fn lets_off_everything(&self) -> bool {
        self.stops() && self.action == Action::Allow && self.is_unconditional()
    }

    /// The framing that it takes off, other than plain JSON.
    pub(super) fn framing(&self) -> Option<AppFraming> {
        self.decode.filter(|framing| *framing != AppFraming::Json)
    }

    /// Whether content may have to wait for it.
    pub(super) fn holds(&self) -> bool {
        self.mode == Mode::Enforce && self.action.holds()
    }

    /// Whether no later rule is asked after it.
    pub(super) fn stops(&self) -> bool {
        self.mode == Mode::Enforce && matches!(self.action, Action::Allow | Action::Drop | Action::Close(_))
    }

    /// Where its patterns are, from the first to the last.
    pub(super) fn spans(&self, data: &[u8]) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        if let Some((finder, _)) = &self.keywords {
            spans.extend(finder.find_overlapping_iter(data).map(|hit| hit.range()));
        }
        for (regex, _) in &self.regexes {
            spans.extend(regex.find_iter(data).map(|hit| hit.range()));
        }
        for (secret, _) in &self.secrets {
            let mut of_kind = Vec::new();
            secrets::find(*secret, data, &mut of_kind);
            spans.append(&mut of_kind);
        }
        if let Some(bits) = self.entropy {
            entropy::find(bits, data, &mut spans);
        }
        spans.retain(|span| !span.is_empty());
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        spans.dedup();
        spans
    }
}

/// Rules that can never match or never act.
pub(super) fn warnings(rules: &[Rule]) -> Vec<(usize, String)> {
    let mut warnings = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let mut warn = |message: String| warnings.push((at, format!("`{}` {message}", rule.name)));
        let spec = &rule.place.spec;
        let surfaces = rule.place.surfaces();
        if let Some(before) = rules[..at]
            .iter()
            .find(|before| before.stops() && before.is_unconditional() && wider(before, rule))
        {
            let what = before.action.label();
            warn(format!(
                "is never asked: `{}` before it is for everything here, and its action is {what}",
                before.name
            ));
        }
        if let (Some(min), Some(max)) = rule.sizes
            && min > max
        {
            warn(format!(
                "can never match: min_size {min} is more than max_size {max}"
            ));
        }
        if spec.opcode.is_some() && !surfaces.contains(&Surface::Message) {
            warn("can never match: only messages have an opcode".into());
        }
        if !spec.content_types.is_empty() && !surfaces.contains(&Surface::Body) {
            warn("can never match: only bodies have a content type".into());
        }
        if !spec.users.is_empty() || !spec.groups.is_empty() {
            warn("matches only where the client's user is known".into());
        }
        if rule.entropy.is_some_and(|bits| bits > entropy::MAX_BITS) {
            warn(format!(
                "can never match: a token has at most {} bits a character",
                entropy::MAX_BITS
            ));
        }
        if let (Some((finder, _)), Some(max)) = (&rule.keywords, rule.sizes.1)
            && finder.min_pattern_len() as u64 > max
        {
            warn("can never match: every keyword is longer than max_size".into());
        }
        if !rule.json.is_empty()
            && surfaces
                .iter()
                .all(|s| matches!(s, Surface::Upgrade | Surface::Head))
        {
            warn("can never match: a head is not JSON".into());
        }
        if matches!(rule.action, Action::Redact(_)) {
            if surfaces
                .iter()
                .any(|s| matches!(s, Surface::Upgrade | Surface::Head))
            {
                warn("drops heads: they cannot be redacted".into());
            }
            if !rule.has_patterns() && rule.scan.is_none() {
                warn("drops what it matches: nothing that it looks for has a place to redact".into());
            }
        }
        if rule.holds() && rule.looks_for_something() {
            let others = rules.iter().filter(|other| other.name != rule.name);
            ways_around(rule, others).into_iter().for_each(&mut warn);
        }
        if rule.regexes.iter().any(|(regex, _)| regex.is_match(b"")) {
            warn("has a regex that also matches nothing at all, and so matches everything".into());
        }
        if let Some(framing @ (AppFraming::Mqtt | AppFraming::ZlibStream)) = rule.framing()
            && spec.opcode == Some(Opcode::Text)
        {
            let what = if framing == AppFraming::Mqtt {
                "MQTT packets"
            } else {
                "zlib streams"
            };
            warn(format!(
                "looks at messages as they are: {what} are in binary ones"
            ));
        }
    }
    warnings
}

/// How whoever knows an enforcing rule gets by it with the same content, as far as the rule itself shows that.
fn ways_around<'r>(rule: &Rule, others: impl Iterator<Item = &'r Rule>) -> Vec<String> {
    let mut ways = Vec::new();
    let spec = &rule.place.spec;
    let surfaces = rule.place.surfaces();
    if surfaces.contains(&Surface::Message)
        && let Some(opcode) = spec.opcode
    {
        let (own, other) = match opcode {
            Opcode::Text => ("text", "binary"),
            _ => ("binary", "text"),
        };
        ways.push(format!(
            "lets the same pass in a {other} message, a ping, a pong or a Close: its opcode is {own}; leave opcode out"
        ));
    }
    if surfaces.contains(&Surface::Body) && !spec.content_types.is_empty() {
        ways.push(
            "lets the same pass under another Content-Type, which its sender writes: leave content_type out"
                .into(),
        );
    }
    // Another rule may look there, for the same by other means.
    let elsewhere: Vec<Surface> = others
        .filter(|other| other.holds() && other.looks_for_something())
        .flat_map(|other| other.place.surfaces())
        .copied()
        .collect();
    for (own, other, what) in [
        (Surface::Body, Surface::Message, "a WebSocket message"),
        (Surface::Message, Surface::Body, "an HTTP body"),
    ] {
        if surfaces == [own] && !elsewhere.contains(&other) {
            ways.push(format!(
                "lets the same pass in {what}: add \"{}\" to in, or a rule for that",
                other.label()
            ));
        }
    }
    if let Some(max) = rule.sizes.1 {
        ways.push(format!(
            "lets the same pass in anything of more than {max} bytes: leave max_size out"
        ));
    }
    if spec.origin.is_some() {
        ways.push(
            "lets clients pass that write another Origin, as any but browsers can: leave origin out".into(),
        );
    }
    ways
}

/// Whether whatever `b` looks at, `a` looks at too; `false` when it is not obvious.
fn wider(a: &Rule, b: &Rule) -> bool {
    let (surfaces, a, others, b) = (
        a.place.surfaces(),
        &a.place.spec,
        b.place.surfaces(),
        &b.place.spec,
    );
    fn among<T>(narrow: &[T], wide: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|n| wide.iter().any(|w| same(w, n))))
    }
    others.iter().all(|surface| surfaces.contains(surface))
        && among(&b.scope.hosts, &a.scope.hosts, Arc::ptr_eq)
        && (a.scope.except)
            .iter()
            .all(|x| b.scope.except.iter().any(|y| Arc::ptr_eq(x, y)))
        && (a.path.is_none() || a.path == b.path)
        && (a.origin.is_none() || a.origin == b.origin)
        && (a.direction.is_none() || a.direction == b.direction)
        && (a.opcode.is_none() || a.opcode == b.opcode)
        && among(&b.subprotocols, &a.subprotocols, |w, n| w == n)
        && among(&b.users, &a.users, |w, n| w == n)
        && among(&b.groups, &a.groups, |w, n| w == n)
        && (a.except_users).iter().all(|user| b.except_users.contains(user))
        && among(&b.content_types, &a.content_types, |w, n| w == n)
        && among(&b.clients, &a.clients, |w, n| w.contains(n))
}
/// An error of an expression; one that draws where it is has the expression in it already.
fn pictured(text: &str, error: &str) -> String {
    match error.contains('\n') {
        true => error.to_owned(),
        false => format!("`{text}`: {error}"),
    }
}
