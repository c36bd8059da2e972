//! `http_upgrade_request_protocols`: which upgrades may pass.

use super::access;
use super::document::{Document, quoted};
use super::lists;
use super::meaning::{Meanings, Moment};
use super::note::LineOutcome;
use super::policy::Rule;
use super::read::Line;
use super::term::{Formula, Test};

/// Which upgrades may pass, as rules.
pub(super) fn upgrades(lines: &[Line], document: &mut Document, meanings: &mut Meanings<'_>) -> Vec<Rule> {
    const DIRECTIVE: &str = "http_upgrade_request_protocols";
    let mut rules = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let protocol = line.word(0).unwrap_or_default();
        let name = protocol
            .split('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut note = |outcome, text: &str| meanings.notes.add(&line.place, DIRECTIVE, outcome, text);
        match (&*name, line.word(1)) {
            ("websocket", Some("allow")) => {
                if protocol.split('/').next() != Some("websocket") {
                    note(
                        LineOutcome::Surprise,
                        "Squid heeds case here, so that this does not match the \"websocket\" that browsers send, and drops every WebSocket",
                    );
                }
                note(
                    LineOutcome::NotNeeded,
                    "WebSockets pass, and are inspected, without a line",
                );
            }
            ("other", Some("allow")) => {
                document.set(
                    "policy",
                    "other_upgrades",
                    quoted("tunnel"),
                    &format!("{}: {}", line.place, line.text),
                );
                note(
                    LineOutcome::Taken,
                    "as policy.other_upgrades = \"tunnel\", whatever the ACLs say: settings have it for some hosts alone",
                );
            }
            ("other", _) => note(LineOutcome::Taken, "as it is by default"),
            (_, Some("allow")) => note(
                LineOutcome::Changed,
                "other upgrades than WebSocket are let through by policy.other_upgrades = \"tunnel\", or by a setting for some hosts",
            ),
            (name, Some("deny")) => {
                let access = access::access(line, 1, ());
                let asked = meanings.all(&access.acls, Moment::Request);
                let upgrade = Formula::of(Test::Upgrade(name.to_owned()));
                match asked.and_then(|asked| Ok(upgrade.and(&asked)?)) {
                    Ok(formula) => {
                        for (part, term) in formula.0.into_iter().enumerate() {
                            rules.push(Rule {
                                name: format!("upgrade-{}-{at}-{part}", lists::usable(name)),
                                about: vec![format!("{}: {}", line.place, line.text)],
                                term,
                                action: "deny",
                                last: None,
                            });
                        }
                        meanings.notes.add(
                            &line.place,
                            DIRECTIVE,
                            LineOutcome::Changed,
                            "as a rule, which refuses the request; Squid takes the Upgrade out of it",
                        );
                    }
                    Err(why) => meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::GuardLost, why.0),
                }
            }
            _ => note(LineOutcome::Changed, "is neither allow nor deny, and left out"),
        }
    }
    rules
}
