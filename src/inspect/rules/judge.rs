//! One item, asked of the rules from the top down.

use super::super::{
    Action, AppFraming, Finding, Judgement, Judging, Mode, Ruling, ScanOutcome, ScannerId, Subject, Surface,
};
use super::compile::Rule;
use super::framed::{self, Streams, View};
use super::json;
use super::matching::match_all;
use super::redact;
use super::screen::{Hits, Screen};
use crate::wire::frame::Opcode;
use serde_json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;

/// The content, and what was found out about it so far.
struct ScreenedContent<'a> {
    data: Cow<'a, [u8]>,
    hits: OnceCell<Hits>,
    json: OnceCell<Option<Value>>,
    /// The strings of a JSON document, without their escapes.
    strings: OnceCell<Option<(Vec<Vec<u8>>, Hits)>>,
    /// What framings make of it, by [`AppFraming`]; `None` where it is not of that framing.
    views: [OnceCell<Option<View<'a>>>; AppFraming::COUNT],
}

impl<'a> ScreenedContent<'a> {
    fn new(data: Cow<'a, [u8]>) -> Self {
        Self {
            data,
            hits: OnceCell::new(),
            json: OnceCell::new(),
            strings: OnceCell::new(),
            views: [const { OnceCell::new() }; AppFraming::COUNT],
        }
    }

    fn view(&self, framing: AppFraming, item: &Subject<'_>, streams: &'a Streams) -> Option<&View<'a>> {
        let build = || {
            let decoded = match &self.data {
                Cow::Borrowed(_) => streams.decoded(framing).map(Cow::Borrowed),
                Cow::Owned(bytes) => streams.again(framing, item, bytes).map(Cow::Owned),
            };
            decoded.map(View::new)
        };
        self.views.get(framing as usize)?.get_or_init(build).as_ref()
    }

    fn hits(&self, screen: &Screen) -> &Hits {
        self.hits.get_or_init(|| {
            let mut hits = screen.hits();
            screen.scan(&self.data, &mut hits);
            hits
        })
    }

    fn json(&self) -> Option<&Value> {
        self.json
            .get_or_init(|| serde_json::from_slice(&self.data).ok())
            .as_ref()
    }

    fn strings(&self, screen: &Screen) -> Option<&(Vec<Vec<u8>>, Hits)> {
        let build = || {
            let mut strings = Vec::new();
            json::strings(self.json()?.clone(), &mut strings);
            let mut hits = screen.hits();
            strings.iter().for_each(|string| screen.scan(string, &mut hits));
            Some((strings, hits))
        };
        self.strings.get_or_init(build).as_ref()
    }
}

/// What a rule's patterns said.
enum PatternMatch {
    /// None of them matches.
    No,
    /// There, or the rule has none.
    Yes,
    /// Only in the decoded strings, these.
    Decoded(Vec<Vec<u8>>),
    /// In these of the messages that the rule's framing has.
    Framed(AppFraming, Vec<usize>),
}

/// Judges. `rules` are those that concern the session; `over` are those whose rate is exceeded.
pub(super) fn judge<'r>(
    rules: impl Iterator<Item = (usize, &'r Rule)>,
    screen: &Screen,
    item: &Subject<'r>,
    over: &[usize],
    scans: &[(ScannerId, ScanOutcome)],
    streams: &'r Streams,
) -> Judging {
    if streams.is_orphaned() {
        // What it belongs to was left out, and told of then.
        return Judging::Done(Judgement {
            verdict: Ruling::Drop,
            findings: Vec::new(),
        });
    }
    let mut content = ScreenedContent::new(Cow::Borrowed(item.data));
    let mut findings = Vec::new();
    let mut redacted: Vec<(&Rule, &str)> = Vec::new();
    let mut verdict = None;
    for (id, rule) in rules {
        let cheap = rule.place.covers(item.surface, item.direction, item.opcode)
            && rule.place.takes(item.head)
            && rule.sizes.0.is_none_or(|min| item.size >= min)
            && rule.sizes.1.is_none_or(|max| item.size <= max)
            && (rule.rate.is_none() || over.contains(&id))
            && (rule.files.is_empty()
                || rule
                    .files
                    .iter()
                    .any(|&kind| super::files::is(kind, &content.data)));
        if !cheap {
            continue;
        }
        let patterns = match rule.framing() {
            Some(framing) => in_framing(rule, framing, item, &content, screen, streams),
            None if json_holds(rule, item, &content) => patterns(rule, &content, screen),
            None => PatternMatch::No,
        };
        if matches!(patterns, PatternMatch::No) {
            continue;
        }
        let mut detail = None;
        let mut replaced = None;
        if let Some(id) = rule.scan {
            match scans.iter().find(|(known, _)| *known == id) {
                None => return Judging::Scan(id),
                Some((_, ScanOutcome::Found(name))) => detail = Some(name.clone()),
                Some((_, ScanOutcome::Replaced(bytes))) => replaced = Some(bytes.to_vec()),
                Some((_, ScanOutcome::Clean | ScanOutcome::Failed(_))) => continue,
            }
        }
        let spans = if rule.has_patterns() {
            rule.spans(&content.data)
        } else {
            Vec::new()
        };
        let (matches, excerpt) = match &patterns {
            PatternMatch::Decoded(strings) => {
                let each = || strings.iter().map(|string| (string, rule.spans(string)));
                let matches: usize = each().map(|(_, spans)| spans.len()).sum();
                let first = each().find(|(_, spans)| !spans.is_empty());
                (
                    matches,
                    first.and_then(|(string, spans)| redact::excerpt(string, &spans)),
                )
            }
            PatternMatch::Framed(framing, units) if rule.has_patterns() => {
                content.view(*framing, item, streams).map_or((0, None), |view| {
                    framed::matches(rule, &view.decoded, units, &content.data)
                })
            }
            _ => (spans.len(), redact::excerpt(&content.data, &spans)),
        };
        let enforced = rule.mode == Mode::Enforce;
        let mut stop = None;
        if enforced
            && rule.action.holds()
            && let Some(bytes) = replaced
        {
            // The scanner saw what came, so what rules before this one took out is taken out again.
            let bytes = redacted.iter().fold(bytes, |bytes, (rule, text)| {
                redact::redact(&bytes, &rule.spans(&bytes), text)
            });
            if item.opcode == Some(Opcode::Text) && std::str::from_utf8(&bytes).is_err() {
                detail = Some("the scanner's replacement is not UTF-8".into());
                stop = Some(Ruling::Drop);
            } else {
                content = ScreenedContent::new(Cow::Owned(bytes));
            }
        } else if enforced {
            match &rule.action {
                Action::Log | Action::Alert => {}
                Action::Allow => stop = Some(Ruling::Pass),
                Action::Drop => stop = Some(leave_out(rule, item, streams, &mut detail)),
                Action::Close(reason) => stop = Some(Ruling::Close(reason.clone())),
                Action::Redact(text) => match unredactable(item, &spans, &patterns) {
                    Some(why) => {
                        stop = Some(leave_out(rule, item, streams, &mut detail));
                        detail.get_or_insert_with(|| why.into());
                    }
                    None => match replaced_by(rule, &patterns, &content, item, streams, &spans, text) {
                        Ok(bytes) => {
                            content = ScreenedContent::new(Cow::Owned(bytes));
                            redacted.push((rule, text));
                        }
                        Err(why) => {
                            stop = Some(leave_out(rule, item, streams, &mut detail));
                            detail.get_or_insert_with(|| why.into());
                        }
                    },
                },
            }
        }
        findings.push(Finding {
            rule: rule.name.clone(),
            action: rule.action.label(),
            enforced,
            matches: u32::try_from(matches.max(1)).unwrap_or(u32::MAX),
            excerpt,
            detail,
        });
        if let Some(stop) = stop {
            verdict = (!matches!(stop, Ruling::Pass)).then_some(stop);
            break;
        }
    }
    let verdict = verdict.unwrap_or(match content.data {
        Cow::Owned(bytes) if bytes != item.data => Ruling::Replace(bytes),
        _ => Ruling::Pass,
    });
    Judging::Done(Judgement { verdict, findings })
}

/// Why what matched cannot be replaced where it is; then it is dropped.
fn unredactable(
    item: &Subject<'_>,
    spans: &[std::ops::Range<usize>],
    patterns: &PatternMatch,
) -> Option<&'static str> {
    if matches!(item.surface, Surface::Head | Surface::Upgrade) {
        return Some("a head cannot be redacted");
    }
    if matches!(patterns, PatternMatch::Decoded(_)) {
        return Some("the match is only in the decoded content");
    }
    if item.size > item.data.len() as u64 {
        return Some("the content was cut at its budget");
    }
    (spans.is_empty() && !matches!(patterns, PatternMatch::Framed(..)))
        .then_some("the match has no place in the content")
}

/// Leaves the item out, or closes where the receiver could not bear that.
fn leave_out(rule: &Rule, item: &Subject<'_>, streams: &Streams, detail: &mut Option<String>) -> Ruling {
    let sees_all = rule.place.spec.opcode.is_none();
    match streams.needed(item, sees_all) {
        Some(why) if item.surface == Surface::Message => {
            *detail = Some(why.into());
            Ruling::refused()
        }
        _ => Ruling::Drop,
    }
}

fn replaced_by<'a>(
    rule: &Rule,
    patterns: &PatternMatch,
    content: &ScreenedContent<'a>,
    item: &Subject<'_>,
    streams: &'a Streams,
    spans: &[std::ops::Range<usize>],
    text: &str,
) -> Result<Vec<u8>, &'static str> {
    match patterns {
        PatternMatch::Framed(framing, units) => {
            let view = content.view(*framing, item, streams);
            let view = view.ok_or("the content is not of its framing")?;
            framed::replace(rule, &view.decoded, units, &content.data, text)
        }
        _ => Ok(redact::redact(&content.data, spans, text)),
    }
}

/// What a rule finds in the application's messages; in one that is not of its framing, what it finds as it is.
fn in_framing<'a>(
    rule: &Rule,
    framing: AppFraming,
    item: &Subject<'_>,
    content: &ScreenedContent<'a>,
    screen: &Screen,
    streams: &'a Streams,
) -> PatternMatch {
    if !rule.has_patterns() && rule.json.is_empty() {
        return PatternMatch::Yes;
    }
    let Some(view) = content.view(framing, item, streams) else {
        return if rule.json.is_empty() {
            patterns(rule, content, screen)
        } else {
            PatternMatch::No
        };
    };
    let units = view.matching(rule, &content.data, screen);
    if units.is_empty() {
        return PatternMatch::No;
    }
    PatternMatch::Framed(framing, units)
}

fn json_holds(rule: &Rule, item: &Subject<'_>, content: &ScreenedContent<'_>) -> bool {
    rule.json.is_empty()
        || (item.size <= item.data.len() as u64
            && content
                .json()
                .is_some_and(|document| rule.json.iter().all(|check| check.holds(document))))
}

fn patterns(rule: &Rule, content: &ScreenedContent<'_>, screen: &Screen) -> PatternMatch {
    if !rule.has_patterns() {
        return PatternMatch::Yes;
    }
    let raw = match_all(rule, &[&content.data], content.hits(screen), screen);
    // A match that an escape hides is found in the decoded strings, even where another one is in plain sight.
    if rule.decode == Some(AppFraming::Json)
        && let Some((strings, hits)) = content.strings(screen)
    {
        let parts: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
        if match_all(rule, &parts, hits, screen) {
            let hidden = strings.iter().any(|string| {
                let spans = rule.spans(string);
                spans
                    .iter()
                    .any(|span| memchr::memmem::find(&content.data, &string[span.clone()]).is_none())
            });
            if !raw || hidden {
                return PatternMatch::Decoded(strings.clone());
            }
        }
    }
    if raw { PatternMatch::Yes } else { PatternMatch::No }
}
