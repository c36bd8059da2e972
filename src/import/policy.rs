//! `http_access` and `ssl_bump` as one table of rules.
//!
//! Squid asks `http_access` about a CONNECT, then `ssl_bump`, and then `http_access` about each request inside of what is
//! decrypted. Here one table is asked throughout. What forbids a tunnel comes before what splices it, and what splices it
//! before what permits its requests.

use super::access::{Access, Permit};
use super::addresses::{Guard, Guards, is_for_all_special};
use super::lists::usable;
use super::meaning::{Meanings, Moment, Unknown};
use super::note::LineOutcome;
use super::ssl_bump::{Action, Decision};
use super::term::{Formula, Part, Term, Test};
use std::collections::BTreeSet;

/// More than so many rules nobody could read.
const MAX_RULES: usize = 2000;

/// A rule to be written.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    /// The lines that it is of.
    pub(super) about: Vec<String>,
    pub(super) term: Term,
    pub(super) action: &'static str,
    /// The last ACL of the line that forbids it, by which Squid chooses the page.
    pub(super) last: Option<String>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rules: Vec<Rule>,
    pub(super) allows_rest: bool,
    /// There were too many.
    pub(super) is_cut: bool,
    /// What holds lines by `dst` against what is dialled.
    pub(super) guards: Guards,
    names: BTreeSet<String>,
}

/// A line, and what it asks of a CONNECT and of requests.
struct Judged {
    line: Access<Permit>,
    about: Vec<String>,
    connect: Formula,
    request: Formula,
}

/// Makes the table.
pub(super) fn table(lines: &[Access<Permit>], exceptions: &[Decision], meanings: &mut Meanings<'_>) -> Table {
    let mut table = Table {
        allows_rest: Permit::otherwise(lines, Permit::Deny) == Permit::Allow,
        ..Table::default()
    };
    table.guards = Guards::of(lines, table.allows_rest, meanings);
    let judged = together(
        lines
            .iter()
            .filter_map(|line| judge(line, &table.guards, meanings))
            .collect(),
    );
    // What lines have let CONNECT through that say nothing of the requests inside.
    let mut passed = Formula::never();
    let mut tunnels_done = false;
    let mut ended = false;
    for (at, it) in judged.iter().enumerate() {
        match it.line.action {
            Permit::Deny => {
                if it.connect == it.request {
                    table.forbid(&it.line.acls, &it.about, &it.connect);
                } else {
                    if !tunnels_done {
                        table.forbid_tunnels(it, &passed);
                    }
                    let inner = match it.request.needs_request() {
                        true => Ok(it.request.clone()),
                        false => it.request.and(&Formula(vec![vec![Part::Not(vec![connect()])]])),
                    };
                    table.forbid(
                        &it.line.acls,
                        &it.about,
                        &inner.unwrap_or_else(|_| it.request.clone()),
                    );
                }
            }
            Permit::Allow => {
                if it.connect.is_never() && !it.request.is_never() && !tunnels_done {
                    tunnels_done = true;
                    table.tunnels(&judged[at..], &passed, exceptions);
                }
                let is_same = it.connect == it.request;
                if !tunnels_done && !it.connect.is_never() {
                    table.except(&it.connect, is_same, &it.about, exceptions);
                    if !is_same {
                        passed = passed.clone().or(it.connect.clone()).unwrap_or(passed);
                    }
                }
                table.add("", &it.line.acls, &it.about, &it.request, "allow");
            }
        }
        if it.connect.is_always() && it.request.is_always() {
            // Nothing comes behind it.
            table.allows_rest = it.line.action == Permit::Allow;
            ended = true;
            break;
        }
    }
    if ended {
        // The default says it.
        while table.rules.last().is_some_and(|rule| {
            rule.term.is_empty() && rule.action != "splice" && rule.action != "authenticate"
        }) {
            table.rules.pop();
        }
    } else if table.allows_rest && !tunnels_done {
        table.except(&Formula::always(), true, &[], exceptions);
    }
    table
}

/// The test for the tunnel's own request.
fn connect() -> Test {
    Test::Methods(["CONNECT".to_owned()].into())
}

/// What a line asks for; nothing if it is left out.
fn judge(line: &Access<Permit>, guards: &Guards, meanings: &mut Meanings<'_>) -> Option<Judged> {
    let place = &line.place;
    let names: Vec<_> = line.acls.iter().map(|(_, name)| &**name).collect();
    if is_for_all_special(line) {
        let text = "without a rule: the proxy dials no address of this machine or network that is not in network.allow";
        meanings.notes.add(place, "http_access", LineOutcome::Taken, text);
        return None;
    }
    if names.contains(&"manager") {
        let text = "there is no cache manager; metrics are at listen.admin";
        meanings
            .notes
            .add(place, "http_access", LineOutcome::NotNeeded, text);
        return None;
    }
    let mut of = |moment| match meanings.all(&line.acls, moment) {
        Ok(formula) => Some(formula),
        Err(Unknown(why)) => {
            let (outcome, what) = match line.action {
                Permit::Deny => (
                    LineOutcome::GuardLost,
                    "the line is left out, and forbids nothing any more",
                ),
                Permit::Allow => (
                    LineOutcome::Lost,
                    "the line is left out: what it alone allows is refused",
                ),
            };
            meanings
                .notes
                .add(place, "http_access", outcome, format!("{why}; {what}"));
            None
        }
    };
    let (connect, request) = (of(Moment::Connect)?, of(Moment::Request)?);
    if connect.is_never() && request.is_never() {
        let text = "the line never holds for what is carried here, and is left out";
        meanings
            .notes
            .add(place, "http_access", LineOutcome::NotNeeded, text);
        return None;
    }
    told_of(line, guards.lines.get(place), meanings);
    let is_dst = |name: &String| meanings.acls.get(name).is_some_and(|acl| acl.kind == "dst");
    let is_held = guards.lines.contains_key(place);
    // What parents resolve is not held to the networks.
    if is_held
        && !meanings.by_parents
        && line.action == Permit::Deny
        && line.acls.iter().any(|(negated, name)| *negated && is_dst(name))
    {
        // A rule would refuse every name.
        return None;
    }
    Some(Judged {
        about: vec![format!("{place}: {}", line.text)],
        line: line.clone(),
        connect,
        request,
    })
}

/// Notes what has become of a line, and what is not as people expect it.
fn told_of(line: &Access<Permit>, guard: Option<&Guard>, meanings: &mut Meanings<'_>) {
    let acls: Vec<_> = meanings
        .acls
        .leaves(&line.acls)
        .into_iter()
        .map(|(negated, acl)| (negated, acl.clone()))
        .collect();
    let (by_parents, is_dst) = (meanings.by_parents, |negated: bool| {
        acls.iter()
            .any(|(known, acl)| acl.kind == "dst" && *known == negated)
    });
    let place = &line.place;
    let mut note = |outcome, text: &str| meanings.notes.add(place, "http_access", outcome, text);
    note(
        LineOutcome::Taken,
        "as a rule of the policy, which is asked about the CONNECT and about each request inside",
    );
    let dst = [is_dst(false), is_dst(true)];
    match (guard, line.action, dst) {
        (_, _, [false, false]) => {}
        (Some(Guard::Needless), ..) => note(
            LineOutcome::Taken,
            "dst decides nothing: other lines let the same through, wherever it leads",
        ),
        (Some(_), ..) if by_parents => note(
            LineOutcome::GuardLost,
            "dst is held against the address that is dialled, and parents resolve the names of what goes by them: there it holds for who asks for an address alone. Forbid the names too, or have the parent do it",
        ),
        (Some(Guard::Everybody), ..) => note(
            LineOutcome::Taken,
            "as network.deny too, which is held against the address that is really dialled, whatever name leads there",
        ),
        (Some(Guard::Some { holds_more }), ..) => {
            note(
                LineOutcome::Taken,
                "as deny_networks of a setting, which is held against the address that is really dialled, whatever name leads there",
            );
            if *holds_more {
                note(
                    LineOutcome::Changed,
                    "deny_networks holds also for whom a line above lets through by a method, a URL or a field of its requests",
                );
            }
        }
        (None, Permit::Deny, [true, _]) | (None, Permit::Allow, [_, true]) => note(
            LineOutcome::GuardLost,
            "dst holds here for who asks for an address: names are not resolved for a decision, so that a name that leads there gets through. network.deny and deny_networks of a setting are held against what is really dialled: write the networks there",
        ),
        (None, Permit::Deny, _) => note(
            LineOutcome::Changed,
            "dst holds here for who asks for an address: names are not resolved for a decision, so that names are refused that lead there; list the names too",
        ),
        (None, Permit::Allow, _) => note(
            LineOutcome::Changed,
            "dst holds here for who asks for an address: names that lead there are not allowed by this line, since they are not resolved for a decision; list the names too",
        ),
    }
    for (negated, acl) in &acls {
        let is_wide = acl.kind == "port" && acl.values().any(|value| value.text.starts_with("1025-"));
        if *negated && is_wide && line.action == Permit::Deny {
            note(
                LineOutcome::Surprise,
                "forbids next to nothing: nearly every port is in it. The ports that matter for tunnels are those of the line about CONNECT",
            );
        }
        if acl.kind == "dstdomain" || acl.kind == "dstdom_regex" {
            note(
                LineOutcome::Changed,
                "who asks for an address is not looked up in reverse DNS, as Squid does: the address is in a list, or the name in the ClientHello is one that resolves to it",
            );
        }
        if acl.kind == "url_regex" && acl.values().any(|value| value.text.ends_with(":443$")) {
            note(
                LineOutcome::Surprise,
                ":443$ matches the CONNECT and nothing inside of what is decrypted, where the URL is https://host/path",
            );
        }
    }
    // Where anyone who is known will do, nobody who is known is turned away.
    let asks_name = |acl: &super::acl::Acl| match &*acl.kind {
        "proxy_auth" => acl.values().all(|value| value.text != "REQUIRED"),
        "proxy_auth_regex" | "external" => true,
        _ => false,
    };
    if line.action == Permit::Deny && acls.last().is_some_and(|(_, acl)| asks_name(acl)) {
        note(
            LineOutcome::Changed,
            "who is known and not allowed gets a 403; Squid asks such a client for another name again and again (407)",
        );
    }
}

/// Lines that allow, one behind the other, as one where that is shorter.
fn together(judged: Vec<Judged>) -> Vec<Judged> {
    let mut found: Vec<Judged> = Vec::new();
    for it in judged {
        if let Some(last) = found.last_mut()
            && last.line.action == Permit::Allow
            && it.line.action == Permit::Allow
            && last.connect == last.request
            && it.connect == it.request
            && let Ok(both) = last.connect.clone().or(it.connect.clone())
            && both.0.len() < last.connect.0.len() + it.connect.0.len()
            && !it.connect.is_always()
        {
            last.connect = both.clone();
            last.request = both;
            last.about.extend(it.about);
            continue;
        }
        found.push(it);
    }
    found
}

impl Table {
    /// What is not decrypted of the tunnels that `passed` lets through.
    fn except(&mut self, passed: &Formula, plain_too: bool, about: &[String], exceptions: &[Decision]) {
        for exception in exceptions {
            let Ok(mut formula) = passed.and(&exception.formula) else {
                self.is_cut = true;
                continue;
            };
            let is_splice = exception.action == Action::Splice;
            if !(is_splice && plain_too) {
                formula = of_tunnels(formula);
            }
            let mut told: Vec<_> = match &exception.line {
                Some(line) => vec![format!("{}: {}", line.place, line.text)],
                None => vec!["what no line of ssl_bump decides is spliced".to_owned()],
            };
            told.extend(about.iter().cloned());
            let acls = exception.line.as_ref().map_or(&[][..], |line| &line.acls);
            let (prefix, action) = if is_splice {
                ("splice", "splice")
            } else {
                ("terminate", "deny")
            };
            self.add(prefix, acls, &told, &formula, action);
        }
    }

    /// All that lines say of tunnels from some place on, before what they say of requests.
    fn tunnels(&mut self, judged: &[Judged], passed: &Formula, exceptions: &[Decision]) {
        let mut passed = passed.clone();
        for it in judged {
            match it.line.action {
                Permit::Deny => self.forbid_tunnels(it, &passed),
                Permit::Allow => match passed.clone().or(it.connect.clone()) {
                    Ok(both) => passed = both,
                    Err(_) => self.is_cut = true,
                },
            }
        }
        if !self.allows_rest {
            let about = ["what no line lets through".to_owned()];
            match passed.not() {
                Ok(rest) => self.add("tunnels", &[], &about, &of_tunnels(rest), "deny"),
                Err(_) => self.add("tunnels", &[], &about, &of_tunnels(Formula::always()), "deny"),
            }
        }
        self.except(&Formula::always(), false, &[], exceptions);
    }

    fn forbid_tunnels(&mut self, it: &Judged, passed: &Formula) {
        let formula = passed.not().and_then(|rest| it.connect.and(&rest));
        // In doubt more is forbidden.
        let formula = of_tunnels(formula.unwrap_or_else(|_| it.connect.clone()));
        self.forbid(&it.line.acls, &it.about, &formula);
    }

    /// Forbids, or asks for a name where that is all that is missing.
    fn forbid(&mut self, acls: &[(bool, String)], about: &[String], formula: &Formula) {
        let anyone = Part::Not(vec![Test::Users(["*".to_owned()].into())]);
        for term in &formula.0 {
            let one = Formula(vec![
                term.iter().filter(|part| **part != anyone).cloned().collect(),
            ]);
            let action = if term.contains(&anyone) {
                "authenticate"
            } else {
                "deny"
            };
            self.add("", acls, about, &one, action);
        }
    }

    fn add(
        &mut self,
        prefix: &str,
        acls: &[(bool, String)],
        about: &[String],
        formula: &Formula,
        action: &'static str,
    ) {
        for term in &formula.0 {
            if self.rules.len() >= MAX_RULES {
                self.is_cut = true;
                return;
            }
            let name = self.name(prefix, acls, action);
            let last = acls.last().filter(|_| action == "deny" && prefix.is_empty());
            self.rules.push(Rule {
                name,
                about: about.to_vec(),
                term: term.clone(),
                action,
                last: last.map(|(_, name)| name.clone()),
            });
        }
    }

    /// A name after the ACLs of a line.
    fn name(&mut self, prefix: &str, acls: &[(bool, String)], action: &str) -> String {
        let mut words: Vec<_> = acls
            .iter()
            .map(|(negated, name)| {
                if *negated {
                    format!("not-{name}")
                } else {
                    name.clone()
                }
            })
            .collect();
        match prefix {
            "" if words.iter().all(|word| word == "all") => words = vec![action.to_owned()],
            "" => {}
            prefix => words.insert(0, prefix.to_owned()),
        }
        let name = usable(&words.join("-"));
        let mut all = (1..).map(|at| {
            if at == 1 {
                name.clone()
            } else {
                format!("{name}-{at}")
            }
        });
        let free = all.find(|name| !self.names.contains(name)).unwrap_or(name);
        self.names.insert(free.clone());
        free
    }
}

/// The same, of tunnels alone.
fn of_tunnels(formula: Formula) -> Formula {
    let of_tunnels = |mut term: Term| {
        term.insert(0, Part::Is(connect()));
        term
    };
    Formula(formula.0.into_iter().map(of_tunnels).collect())
}
