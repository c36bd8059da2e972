//! `request_header_*`, `reply_header_*`, and what else is said for some of the traffic: settings.

use super::access::{Access, Permit};
use super::document::{comments, conditions, quoted};
use super::meaning::{Meanings, Moment, Unknown};
use super::note::{LineOutcome, Place};
use super::read::Line;
use super::term::{Formula, Term};
use std::collections::BTreeMap;

/// A setting to be written.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) about: Vec<String>,
    pub(super) term: Term,
    pub(super) says: Vec<String>,
}

impl Setting {
    /// Its lines.
    pub(super) fn lines(&self) -> Vec<String> {
        [comments(&self.about), conditions(&self.term), self.says.clone()].concat()
    }
}

/// Fields that the proxy alone writes, and does not let be changed.
const OWN: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Whose fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    #[default]
    Request,
    Reply,
}

impl Side {
    /// What Squid's directives begin with.
    const fn word(self) -> &'static str {
        match self {
            Self::Request => "request_header",
            Self::Reply => "reply_header",
        }
    }

    /// What the keys of settings end with.
    const fn key(self) -> &'static str {
        match self {
            Self::Request => "headers",
            Self::Reply => "response_headers",
        }
    }
}

/// What is said of the fields of requests, or of responses.
#[derive(Debug, Default)]
pub(super) struct Headers {
    side: Side,
    /// The lines of `request_header_access` by field, in the order of the fields.
    access: Vec<(String, Vec<Access<Permit>>)>,
    replaced: BTreeMap<String, (String, Place)>,
    added: Vec<(String, String, Access<()>)>,
    /// `via off`, or the like.
    pub(super) no_via: bool,
}

impl Headers {
    /// Of these.
    pub(super) fn of(side: Side) -> Self {
        Self {
            side,
            ..Self::default()
        }
    }

    /// Takes a `request_header_access` line in, or one of old.
    pub(super) fn access(&mut self, line: &Line, meanings: &mut Meanings<'_>) {
        let (name, permit) = (
            line.word(0).unwrap_or_default(),
            line.word(1).and_then(Permit::parse),
        );
        let Some(permit) = permit else {
            meanings.notes.add(
                &line.place,
                &*line.directive,
                LineOutcome::Changed,
                "is neither allow nor deny, and left out",
            );
            return;
        };
        let lower = name.to_ascii_lowercase();
        let access = super::access::access(line, 1, permit);
        match self
            .access
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(&lower))
        {
            Some((_, lines)) => lines.push(access),
            None => self.access.push((name.to_owned(), vec![access])),
        }
    }

    /// Takes a `request_header_replace` line in.
    pub(super) fn replace(&mut self, line: &Line) {
        let name = line.word(0).unwrap_or_default().to_ascii_lowercase();
        self.replaced.insert(
            name,
            (line.rest(1).trim_matches('"').to_owned(), line.place.clone()),
        );
    }

    /// Takes a `request_header_add` line in.
    pub(super) fn add(&mut self, line: &Line) {
        let (name, value) = (line.word(0).unwrap_or_default(), line.word(1).unwrap_or_default());
        let access = super::access::access(line, 1, ());
        self.added.push((name.to_owned(), value.to_owned(), access));
    }

    /// The settings that they come to.
    pub(super) fn settings(&mut self, meanings: &mut Meanings<'_>) -> Vec<Setting> {
        let mut found = Vec::new();
        for (name, lines) in std::mem::take(&mut self.access) {
            self.removed(&name, &lines, meanings, &mut found);
        }
        for (place, ..) in self.replaced.values().map(|(_, place)| (place,)) {
            let text = "in place of what the _access line denies of it";
            let directive = format!("{}_replace", self.side.word());
            meanings.notes.add(place, directive, LineOutcome::Taken, text);
        }
        for (name, value, access) in std::mem::take(&mut self.added) {
            self.set(&name, &value, &access, meanings, &mut found);
        }
        found
    }

    fn removed(
        &mut self,
        name: &str,
        lines: &[Access<Permit>],
        meanings: &mut Meanings<'_>,
        found: &mut Vec<Setting>,
    ) {
        let directive = &*format!("{}_access", self.side.word());
        let key = self.side.key();
        let lower = name.to_ascii_lowercase();
        let denied = denied(lines, meanings, directive);
        let replaced = self.replaced.get(&lower).map(|(value, _)| value.clone());
        let is_all =
            |formulas: &[(Formula, &Access<Permit>)]| formulas.iter().any(|(formula, _)| formula.is_always());
        match &*lower {
            "all" | "other" => {
                let has_denial = lines.iter().any(|line| line.action == Permit::Deny);
                for line in lines {
                    let (outcome, text) = if has_denial {
                        (
                            LineOutcome::Lost,
                            "fields are taken out by their names here; write those that are not to pass into remove_headers or remove_response_headers",
                        )
                    } else {
                        (
                            LineOutcome::Taken,
                            "fields pass unless they are taken out by name",
                        )
                    };
                    meanings.notes.add(&line.place, directive, outcome, text);
                }
                return;
            }
            "via" => self.no_via |= is_all(&denied),
            _ => {}
        }
        for line in lines.iter().filter(|line| line.action == Permit::Allow) {
            meanings.notes.add(
                &line.place,
                directive,
                LineOutcome::Taken,
                "lets pass what a line below it would take out",
            );
        }
        for (formula, line) in &denied {
            let mut note = |outcome, text: &str| meanings.notes.add(&line.place, directive, outcome, text);
            if lower == "via" {
                if formula.is_always() {
                    note(LineOutcome::Taken, "as origin.via = false");
                } else {
                    for term in &formula.0 {
                        found.push(Setting {
                            about: vec![about(line)],
                            term: term.clone(),
                            says: vec!["via = false".into()],
                        });
                    }
                    note(LineOutcome::Taken, "as a setting of the policy");
                }
                continue;
            }
            if self.side == Side::Request && lower == "x-forwarded-for" && replaced.is_none() {
                note(
                    LineOutcome::Taken,
                    "as a setting of the policy: what a client sends is taken out, and its address is not told",
                );
                let says = ["remove_headers = [\"X-Forwarded-For\"]", "tell_client = \"no\""];
                for term in &formula.0 {
                    found.push(Setting {
                        about: vec![about(line)],
                        term: term.clone(),
                        says: says.map(str::to_owned).to_vec(),
                    });
                }
                continue;
            } else if OWN.contains(&&*lower) || http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
                note(
                    LineOutcome::NotNeeded,
                    "the proxy writes this field itself, whatever the client or the server sends",
                );
                continue;
            } else {
                note(
                    LineOutcome::Taken,
                    "as a setting of the policy; of what is spliced nothing can be taken out",
                );
            }
            let says = match &replaced {
                Some(value) if http::HeaderValue::from_str(value).is_ok() => {
                    format!("set_{key} = {{ {} = {} }}", quoted(name), quoted(value))
                }
                _ => format!("remove_{key} = [{}]", quoted(name)),
            };
            for term in &formula.0 {
                found.push(Setting {
                    about: vec![about(line)],
                    term: term.clone(),
                    says: vec![says.clone()],
                });
            }
        }
    }

    fn set(
        &self,
        name: &str,
        value: &str,
        access: &Access<()>,
        meanings: &mut Meanings<'_>,
        found: &mut Vec<Setting>,
    ) {
        let directive = &*format!("{}_add", self.side.word());
        let place = &access.place;
        let value = value.replace("%%", "\u{1}");
        if value.contains('%') {
            let text = "the value is made anew for each request, by logformat's codes, and values here are fixed; the header is not added";
            meanings.notes.add(place, directive, LineOutcome::GuardLost, text);
            return;
        }
        let value = value.replace('\u{1}', "%");
        let is_usable = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && http::HeaderValue::from_str(&value).is_ok();
        if OWN.contains(&&*name.to_ascii_lowercase()) || !is_usable {
            meanings.notes.add(
                place,
                directive,
                LineOutcome::Lost,
                "is a field that the proxy writes itself, or cannot stand in a request",
            );
            return;
        }
        match meanings.all(&access.acls, Moment::Treatment) {
            Ok(formula) => {
                if self.side == Side::Reply {
                    let text =
                        "as add_response_headers of a setting; what is spliced gets none, in Squid neither";
                    meanings.notes.add(place, directive, LineOutcome::Taken, text);
                    for term in formula.0 {
                        found.push(Setting {
                            about: vec![format!("{place}: {}", access.text)],
                            term,
                            says: vec![format!(
                                "add_response_headers = {{ {} = {} }}",
                                quoted(name),
                                quoted(&value)
                            )],
                        });
                    }
                    return;
                }
                let text = "as set_headers: it takes the place of one that the client sends. Squid leaves the client's own beside it, and many servers go by that one";
                meanings.notes.add(place, directive, LineOutcome::Changed, text);
                let text = "what is spliced gets no header, in Squid neither: nothing on a splice list may be a sign-in page";
                meanings.notes.add(place, directive, LineOutcome::Surprise, text);
                for term in formula.0 {
                    found.push(Setting {
                        about: vec![format!("{place}: {}", access.text)],
                        term,
                        says: vec![format!(
                            "set_headers = {{ {} = {} }}",
                            quoted(name),
                            quoted(&value)
                        )],
                    });
                }
            }
            Err(Unknown(why)) => {
                let text = format!("{why}; the header is not added");
                meanings.notes.add(place, directive, LineOutcome::GuardLost, text);
            }
        }
    }
}

fn about(line: &Access<Permit>) -> String {
    format!("{}: {}", line.place, line.text)
}

/// What a list denies, line by line, without what lines above it allow; of the treatment of traffic.
pub(super) fn denied<'l>(
    lines: &'l [Access<Permit>],
    meanings: &mut Meanings<'_>,
    directive: &str,
) -> Vec<(Formula, &'l Access<Permit>)> {
    chosen(lines, Permit::Deny, meanings, directive)
}

/// Which lines of a list guard something: where a service is asked or a way is closed, those that say so.
fn guarding(directive: &str) -> Permit {
    match directive {
        "adaptation_access" | "never_direct" => Permit::Allow,
        _ => Permit::Deny,
    }
}

/// What a list does `wanted` with, line by line, without what lines above it decide otherwise.
pub(super) fn chosen<'l>(
    lines: &'l [Access<Permit>],
    wanted: Permit,
    meanings: &mut Meanings<'_>,
    directive: &str,
) -> Vec<(Formula, &'l Access<Permit>)> {
    let mut other = Formula::never();
    let mut found = Vec::new();
    for line in lines {
        let formula = match meanings.all(&line.acls, Moment::Treatment) {
            Ok(formula) => formula,
            Err(Unknown(why)) => {
                let outcome = if line.action == guarding(directive) {
                    LineOutcome::GuardLost
                } else {
                    LineOutcome::Lost
                };
                meanings.notes.add(
                    &line.place,
                    directive.to_owned(),
                    outcome,
                    format!("{why}; the line is left out"),
                );
                continue;
            }
        };
        if line.action == wanted {
            match other.not().and_then(|rest| rest.and(&formula)) {
                Ok(rest) if rest.is_never() => {}
                Ok(rest) => found.push((rest, line)),
                Err(_) => {
                    let text = "combined with the lines above it, it asks for too much to be written out; the line is left out";
                    meanings
                        .notes
                        .add(&line.place, directive.to_owned(), LineOutcome::GuardLost, text);
                }
            }
        } else if let Ok(both) = other.clone().or(formula) {
            other = both;
        }
        if other.is_always() {
            return found;
        }
    }
    // Where no line holds Squid does the opposite of the last.
    if let Some(last) = lines.last()
        && last.action != wanted
        && let Ok(rest) = other.not()
    {
        found.push((rest, last));
    }
    found
}
