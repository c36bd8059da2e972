//! `icap_service` and `adaptation_access`: services that requests and responses are put to.

use super::access::{Access, Permit};
use super::document::{Document, array, comments, quoted};
use super::headers::{Setting, chosen};
use super::lists::usable;
use super::meaning::Meanings;
use super::note::{LineOutcome, Notes};
use super::read::Line;
use crate::scan::IcapUrl;
use std::collections::BTreeMap;

/// A service at one point of the way.
#[derive(Debug)]
struct Service {
    name: String,
    of_requests: bool,
    url: String,
    bypass: bool,
    /// Keys that are written as they are.
    more: Vec<String>,
    about: String,
}

/// What is said of adaptation.
#[derive(Debug, Default)]
pub(super) struct Adaptation {
    /// Squid asks nobody without a line that says so.
    is_on: bool,
    services: Vec<Service>,
    /// Sets and chains by name: their services.
    groups: Vec<(String, Vec<String>)>,
    access: Vec<(String, Vec<Access<Permit>>)>,
    tells_client: bool,
    tells_user: bool,
    /// Those that stand in for a service, by its name.
    standby: Vec<(String, Vec<String>)>,
    /// Keys of every service, as Squid has them for all, with their values: of a directive that comes again the last counts.
    of_all: BTreeMap<&'static str, String>,
}

impl Adaptation {
    /// Takes a line in; false if it is about something else.
    pub(super) fn add(&mut self, line: &Line, notes: &mut Notes) -> bool {
        let first = line.word(0).unwrap_or_default();
        let mut note = |outcome, text: &str| notes.add(&line.place, &*line.directive, outcome, text);
        match &*line.directive {
            "icap_enable" => {
                self.is_on = first == "on";
                note(
                    LineOutcome::Taken,
                    "ICAP servers are asked where a setting names one",
                );
            }
            "icap_send_client_ip" | "adaptation_send_client_ip" => {
                self.tells_client = first == "on";
                note(LineOutcome::Taken, "as tell_client_ip");
            }
            "icap_send_client_username" | "adaptation_send_username" => {
                self.tells_user = first == "on";
                note(LineOutcome::Taken, "as tell_user");
            }
            "icap_service" => self.service(line, notes),
            "adaptation_service_set" | "icap_class" => {
                let mut members: Vec<_> = line.words.iter().skip(1).map(|word| usable(&word.text)).collect();
                let others = members.split_off(members.len().min(1));
                if let Some(name) = members.first().filter(|_| !others.is_empty()) {
                    match self.standby.iter().any(|(known, _)| known == name) {
                        false => {
                            note(
                                LineOutcome::Taken,
                                "as its first service, for which the others stand in (standby): the next is asked where one fails or rests",
                            );
                            self.standby.push((name.clone(), others));
                        }
                        true => note(
                            LineOutcome::Changed,
                            "its first service is that of another set already, and the services of that one stand in for it",
                        ),
                    }
                } else {
                    note(LineOutcome::Taken, "as its only service");
                }
                self.groups.push((usable(first), members));
            }
            "adaptation_service_chain" => {
                let members = line.words.iter().skip(1).map(|word| usable(&word.text));
                self.groups.push((usable(first), members.collect()));
                note(LineOutcome::Taken, "as several services in their order");
            }
            "adaptation_access" | "icap_access" => match line.word(1).and_then(Permit::parse) {
                Some(permit) => {
                    let access = super::access::access(line, 1, permit);
                    let name = usable(first);
                    match self.access.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, lines)) => lines.push(access),
                        None => self.access.push((name, vec![access])),
                    }
                }
                None => note(LineOutcome::GuardLost, "is neither allow nor deny, and left out"),
            },
            "icap_service_failure_limit" => match first.parse::<u32>() {
                Ok(count @ 1..=1_000_000) => {
                    self.of_all.insert("breaker_failures", count.to_string());
                    note(LineOutcome::Taken, "as breaker_failures of each service");
                }
                _ => {
                    self.of_all.remove("breaker_failures");
                    note(
                        LineOutcome::Changed,
                        "breaker_failures keeps its default, 5 in a row",
                    );
                }
            },
            directive @ ("icap_service_revival_delay" | "icap_io_timeout") => {
                let key = match directive {
                    "icap_io_timeout" => "deadline",
                    _ => "breaker_rest",
                };
                let unit = line.word(1).unwrap_or("seconds");
                match super::values::duration(first, unit)
                    .filter(|_| super::values::seconds(first, unit) <= 3600.0)
                {
                    Some(text) => {
                        self.of_all.insert(key, quoted(&text));
                        note(LineOutcome::Taken, &format!("as {key} of each service"));
                    }
                    None => {
                        self.of_all.remove(key);
                        note(
                            LineOutcome::Changed,
                            &format!("is no time up to an hour; {key} keeps its default"),
                        );
                    }
                }
            }
            "icap_client_username_header"
                if !["x-client-username", "x-authenticated-user"]
                    .iter()
                    .any(|known| first.eq_ignore_ascii_case(known)) =>
            {
                note(
                    LineOutcome::Changed,
                    "services are told the user in X-Client-Username and X-Authenticated-User",
                );
            }
            "adaptation_meta" => note(LineOutcome::Lost, "no fields are added for services"),
            name if name.starts_with("icap_") || name.starts_with("adaptation_") => {
                note(
                    LineOutcome::NotNeeded,
                    "how an ICAP server is asked goes by what it says of itself (OPTIONS) and by its [[inspect.scanner]]: docs/scanners.md",
                );
            }
            _ => return false,
        }
        true
    }

    fn service(&mut self, line: &Line, notes: &mut Notes) {
        let mut note = |outcome, text: &str| notes.add(&line.place, "icap_service", outcome, text);
        let words: Vec<_> = line.words.iter().map(|word| &*word.text).collect();
        let is_url = |word: &&str| word.starts_with("icap://") || word.starts_with("icaps://");
        let (Some(name), Some(point), Some(url)) =
            (words.first(), words.get(1), words.iter().copied().find(is_url))
        else {
            note(
                LineOutcome::GuardLost,
                "has no name, no point or no URL, and is left out",
            );
            return;
        };
        let of_requests = match *point {
            "reqmod_precache" => true,
            "respmod_precache" => false,
            _ => {
                note(
                    LineOutcome::GuardLost,
                    "is asked at a point that is not here: reqmod_precache and respmod_precache are",
                );
                return;
            }
        };
        if let Err(why) = IcapUrl::parse(url) {
            note(LineOutcome::GuardLost, &format!("{why}; it is left out"));
            return;
        }
        let bypass = words
            .iter()
            .any(|word| matches!(*word, "1" | "on" | "bypass=1" | "bypass=on"));
        let text = match bypass {
            true => "as an [[inspect.scanner]]; what it cannot be asked about passes, as with bypass",
            false => "as an [[inspect.scanner]]; what it cannot be asked about goes no further",
        };
        note(LineOutcome::Taken, text);
        self.services.push(Service {
            name: usable(name),
            of_requests,
            url: url.to_owned(),
            bypass,
            more: words
                .iter()
                .find_map(|word| word.strip_prefix("max-conn=")?.parse::<u32>().ok())
                .filter(|count| (1..=1024).contains(count))
                .map(|count| format!("concurrency = {count}"))
                .into_iter()
                .collect(),
            about: format!("{}: {}", line.place, line.text),
        });
    }

    /// Writes the services.
    pub(super) fn write(&self, document: &mut Document) {
        for service in self.services.iter().filter(|_| self.is_on) {
            let mut lines = comments(std::slice::from_ref(&service.about));
            lines.push(format!("name = {}", quoted(&service.name)));
            lines.push(format!("url = {}", quoted(&service.url)));
            lines.push(format!(
                "on_failure = \"{}\"",
                if service.bypass { "pass" } else { "close" }
            ));
            lines.extend(service.more.iter().cloned());
            let of_all = self.of_all.iter();
            lines.extend(of_all.map(|(key, value)| format!("{key} = {value}")));
            let standby = self.standby.iter().find(|(name, _)| *name == service.name);
            let is_alike = |name: &&String| {
                let other = self.services.iter().find(|other| other.name == **name);
                other.is_some_and(|other| other.of_requests == service.of_requests)
            };
            let standby: Vec<_> = standby
                .iter()
                .flat_map(|(_, others)| others)
                .filter(is_alike)
                .collect();
            if !standby.is_empty() {
                lines.push(format!(
                    "standby = {}",
                    array(standby.into_iter().map(String::as_str))
                ));
            }
            lines.push(format!("tell_client_ip = {}", self.tells_client));
            if self.tells_user {
                lines.push("tell_user = true".to_owned());
            }
            document.add("inspect.scanner", lines);
        }
    }

    /// The settings that say what is put to which; of those that hold, Squid takes the first and settings the last.
    pub(super) fn settings(&self, meanings: &mut Meanings<'_>) -> Vec<Setting> {
        const DIRECTIVE: &str = "adaptation_access";
        let mut found = Vec::new();
        for (name, lines) in self.access.iter().rev() {
            let members = match self.groups.iter().find(|(group, _)| group == name) {
                Some((_, members)) => members.clone(),
                None => vec![name.clone()],
            };
            let services: Vec<_> = members
                .iter()
                .filter_map(|name| self.services.iter().find(|it| it.name == *name))
                .collect();
            for line in lines {
                let (outcome, text) = match (self.is_on, services.first()) {
                    (false, _) => (
                        LineOutcome::Surprise,
                        "asks nobody, since there is no icap_enable on, in Squid neither",
                    ),
                    (_, None) => (LineOutcome::GuardLost, "names no service that is taken over"),
                    (_, Some(first)) if first.of_requests => (
                        LineOutcome::Changed,
                        "as a setting of the policy; the service is asked about requests, those inside of tunnels too, and not about a CONNECT itself, as by Squid. What is spliced is put to nobody",
                    ),
                    _ => (
                        LineOutcome::Taken,
                        "as a setting of the policy; what is spliced is put to nobody",
                    ),
                };
                meanings.notes.add(&line.place, DIRECTIVE, outcome, text);
            }
            let (Some(first), false) = (services.first(), !self.is_on) else {
                continue;
            };
            let key = if first.of_requests {
                "adapt_requests"
            } else {
                "adapt_responses"
            };
            let names = services
                .iter()
                .filter(|it| it.of_requests == first.of_requests)
                .map(|it| &*it.name);
            let says = format!("{key} = {}", array(names));
            for (formula, line) in chosen(lines, Permit::Allow, meanings, DIRECTIVE) {
                for term in formula.0 {
                    found.push(Setting {
                        about: vec![format!("{}: {}", line.place, line.text)],
                        term,
                        says: vec![says.clone()],
                    });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn of_what_is_said_again_of_all_services_the_last_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("squid.conf");
        let text = "http_access deny all\nicap_enable on\nicap_service q reqmod_precache icap://127.0.0.1:1344/q\n\
            icap_io_timeout 5 seconds\nicap_io_timeout 7 seconds\n\
            icap_service_failure_limit 3\nicap_service_failure_limit 9\n\
            icap_service_revival_delay 3 minutes\nicap_service_revival_delay 3 weeks\n";
        std::fs::write(&path, text).unwrap();
        let imported = crate::import::import(&path, crate::import::Wishes::default()).unwrap();
        let written: toml::Table = imported.files[0].text.parse().unwrap();
        let scanner = &written["inspect"]["scanner"][0];
        assert_eq!(scanner["deadline"].as_str(), Some("7s"));
        assert_eq!(scanner["breaker_failures"].as_integer(), Some(9));
        assert!(
            scanner.get("breaker_rest").is_none(),
            "the last is none, as its note says"
        );
    }
}
