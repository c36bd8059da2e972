//! `http_reply_access`: which responses go on, as rules of `[inspect]`.

use super::access::{Access, Permit};
use super::document::{Document, array, comments, quoted};
use super::lists::usable;
use super::meaning::{Meanings, Moment, Unknown};
use super::note::LineOutcome;
use super::read::Line;
use super::term::{Part, Term, Test};

const DIRECTIVE: &str = "http_reply_access";

/// The lines, in their order.
#[derive(Debug, Default)]
pub(super) struct Replies(Vec<Access<Permit>>);

impl Replies {
    /// Takes a line in.
    pub(super) fn add(&mut self, line: &Line, notes: &mut super::note::Notes) {
        match line.word(0).and_then(Permit::parse) {
            Some(permit) => self.0.push(super::access::access(line, 0, permit)),
            None => {
                let text = "is neither allow nor deny, and left out";
                notes.add(&line.place, DIRECTIVE, LineOutcome::GuardLost, text);
            }
        }
    }

    /// Writes the rules, and returns the lists that they ask for.
    pub(super) fn write(&self, document: &mut Document, meanings: &mut Meanings<'_>) -> Vec<String> {
        let mut lists = Vec::new();
        let denies_later = |at: usize| self.0[at..].iter().any(|line| line.action == Permit::Deny);
        for (at, line) in self.0.iter().enumerate() {
            let is_denial = line.action == Permit::Deny;
            let note = |meanings: &mut Meanings<'_>, outcome, text: &str| {
                meanings.notes.add(&line.place, DIRECTIVE, outcome, text);
            };
            if !is_denial && !denies_later(at) {
                note(
                    meanings,
                    LineOutcome::Taken,
                    "as it is: responses pass that no rule stops",
                );
                continue;
            }
            let lost = if is_denial {
                LineOutcome::GuardLost
            } else {
                LineOutcome::Lost
            };
            let formula = match meanings.all(&line.acls, Moment::Reply) {
                Ok(formula) => formula,
                Err(Unknown(why)) => {
                    let text = format!(
                        "{why}; the line is left out. Rules of [inspect] look into responses (docs/inspection.md)"
                    );
                    note(meanings, lost, &text);
                    continue;
                }
            };
            let mut rules = Vec::new();
            for term in &formula.0 {
                match conditions(term) {
                    Ok((conditions, used)) => {
                        lists.extend(used);
                        rules.push(conditions);
                    }
                    Err(why) => {
                        let text =
                            format!("{why}, which rules of [inspect] cannot ask for; that is left out");
                        note(meanings, lost, &text);
                    }
                }
            }
            if rules.is_empty() {
                continue;
            }
            let text = "as a rule of [inspect], which answers 403 in the place of such a response where it is decrypted; of what is spliced nothing is seen, in Squid neither";
            note(meanings, LineOutcome::Taken, text);
            for (part, conditions) in rules.into_iter().enumerate() {
                let mut lines = comments(&[format!("{}: {}", line.place, line.text)]);
                let names: Vec<_> = line.acls.iter().map(|(_, name)| &**name).collect();
                lines.push(format!(
                    "name = {}",
                    quoted(&usable(&format!("reply-{at}-{part}-{}", names.join("-"))))
                ));
                lines.push("mode = \"enforce\"".into());
                lines.push(format!(
                    "action = \"{}\"",
                    if is_denial { "drop" } else { "allow" }
                ));
                lines.push("in = [\"body\"]".into());
                lines.push("direction = \"to_client\"".into());
                lines.extend(conditions);
                document.add("inspect.rule", lines);
            }
        }
        lists
    }
}

/// A term as the conditions of such a rule, and the lists among them.
fn conditions(term: &Term) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut lines, mut lists): (Vec<String>, Vec<String>) = Default::default();
    let mut add = |key: &str, value: String| {
        let begin = format!("{key} = ");
        if lines.iter().any(|line| line.starts_with(&begin)) {
            return Err(format!("two conditions on {key} have to hold at once"));
        }
        lines.push(begin + &value);
        Ok(())
    };
    let set = |names: &std::collections::BTreeSet<String>| array(names.iter().map(String::as_str));
    for part in term {
        match part {
            Part::Is(Test::Hosts(names)) => {
                lists.extend(names.iter().cloned());
                add("hosts", set(names))?;
            }
            Part::Is(Test::Clients(ranges)) => {
                let networks: Vec<_> = ranges.iter().flat_map(super::values::networks).collect();
                add("clients", array(networks.iter().map(String::as_str)))?;
            }
            Part::Is(Test::Users(names)) => add("users", set(names))?,
            Part::Is(Test::Groups(names)) => add("groups", set(names))?,
            Part::Is(Test::Path(text)) => add("path", quoted(text))?,
            Part::Is(Test::ContentType(types)) => add("content_type", set(types))?,
            Part::Is(_) => return Err("it asks for listeners, ports or hours".to_owned()),
            Part::Not(tests) => match &tests[..] {
                [Test::Hosts(names)] => {
                    lists.extend(names.iter().cloned());
                    add("except_hosts", set(names))?;
                }
                [Test::Users(names)] => add("except_users", set(names))?,
                _ => return Err("it asks for what is not so".to_owned()),
            },
        }
    }
    Ok((lines, lists))
}
