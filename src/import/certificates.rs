//! Which certificates of origins are good enough, and who the proxy is for them.

use super::access::{Access, Permit};
use super::document::{Document, array, quoted};
use super::headers::{Setting, chosen};
use super::meaning::Meanings;
use super::note::{LineOutcome, Notes};
use super::read::{Line, Reader};

/// What the configuration says of origins' certificates.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    errors: Vec<Access<Permit>>,
    roots: Vec<String>,
    /// Lines that switch verification off.
    unverified: Vec<String>,
    /// The certificate that origins are shown, with its line.
    shown: Option<(String, String)>,
    shown_key: Option<String>,
}

impl Certificates {
    /// Takes a `sslproxy_cert_error` line in.
    pub(super) fn error(&mut self, line: &Line, notes: &mut Notes) {
        match line.word(0).and_then(Permit::parse) {
            Some(permit) => self.errors.push(super::access::access(line, 0, permit)),
            None => notes.add(
                &line.place,
                &*line.directive,
                LineOutcome::Changed,
                "is neither allow nor deny, and left out",
            ),
        }
    }

    /// Takes a line in that is about TLS with origins; false if it is another.
    pub(super) fn take(
        &mut self,
        line: &Line,
        reader: &Reader,
        insecure: bool,
        document: &mut Document,
        notes: &mut Notes,
    ) -> bool {
        let place = &line.place;
        let about = format!("{place}: {}", line.text);
        let mut said = false;
        let options: Vec<(String, String)> = match &*line.directive {
            "tls_outgoing_options" => line
                .words
                .iter()
                .map(|word| {
                    let (name, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
                    (name.to_owned(), value.to_owned())
                })
                .collect(),
            "sslproxy_flags" => vec![("flags".into(), line.word(0).unwrap_or_default().into())],
            "sslproxy_cafile" => vec![("cafile".into(), line.word(0).unwrap_or_default().into())],
            "sslproxy_capath" => vec![("capath".into(), line.word(0).unwrap_or_default().into())],
            "sslproxy_client_certificate" => vec![("cert".into(), line.word(0).unwrap_or_default().into())],
            "sslproxy_client_key" => vec![("key".into(), line.word(0).unwrap_or_default().into())],
            "sslproxy_cert_sign" => {
                let text = "leaves mimic the origin's certificate; those of origins that do not verify are signed by ca.untrusted_cert, if there is one";
                notes.add(place, &*line.directive, LineOutcome::Changed, text);
                return true;
            }
            "sslproxy_cert_adapt" => {
                let text =
                    "a leaf always has the name that was asked for, the origin's validity, and no more";
                notes.add(place, &*line.directive, LineOutcome::Taken, text);
                return true;
            }
            _ => return false,
        };
        let mut note = |outcome, text: String| {
            said = true;
            notes.add(place, &*line.directive, outcome, text);
        };
        for (name, value) in options {
            match &*name {
                "cafile" => match reader.find(&value) {
                    Some(path) => {
                        self.roots.push(path.display().to_string());
                        note(
                            LineOutcome::Taken,
                            "as origin.extra_roots, beside the system's".into(),
                        );
                    }
                    None => note(
                        LineOutcome::Changed,
                        format!(
                            "{value:?} is not on this machine: bring it along and name it in origin.extra_roots"
                        ),
                    ),
                },
                "capath" => note(
                    LineOutcome::Changed,
                    "folders of roots are not read: name their files in origin.extra_roots".into(),
                ),
                "default-ca" if value == "off" => {
                    document.set("origin", "system_roots", "false", &about);
                    note(LineOutcome::Taken, "as origin.system_roots = false".into());
                }
                "cert" => match reader.find(&value) {
                    Some(path) => {
                        self.shown = Some((about.clone(), path.display().to_string()));
                        note(
                            LineOutcome::Taken,
                            "as client_cert of a setting; name the hosts there that are to see it, since sessions with it are not resumed".into(),
                        );
                    }
                    None => note(
                        LineOutcome::Changed,
                        format!(
                            "{value} is not on this machine: bring it along, and name it in client_cert of a setting for the hosts that ask for it"
                        ),
                    ),
                },
                "key" if reader.find(&value).is_some() => {
                    self.shown_key = reader.find(&value).map(|path| path.display().to_string());
                    note(LineOutcome::Taken, "as client_key of the same setting".into());
                }
                "crlfile" => match reader.find(&value) {
                    Some(path) => {
                        let path = path.display().to_string();
                        document.set("origin", "crls", array([&*path]), &about);
                        note(LineOutcome::Taken, "as origin.crls".into());
                    }
                    None => note(
                        LineOutcome::Changed,
                        format!(
                            "{value:?} is not on this machine: bring it along and name it in origin.crls"
                        ),
                    ),
                },
                "flags" if value.contains("DONT_VERIFY") => {
                    self.unverified.push(about.clone());
                    note(LineOutcome::Changed, switched_off(insecure));
                }
                "options" | "min-version" | "cipher" | "flags" | "key" | "default-ca" | "disable" => {
                    note(
                        LineOutcome::Taken,
                        format!("{name}: TLS 1.2 and 1.3 are spoken, verified, with ciphers that are sound"),
                    );
                }
                other => note(LineOutcome::Changed, format!("{other} is not known")),
            }
        }
        if !said {
            notes.add(
                place,
                &*line.directive,
                LineOutcome::NotNeeded,
                "it is so without the line",
            );
        }
        true
    }

    /// Writes what was said, as keys and as settings.
    pub(super) fn settings(
        &mut self,
        insecure: bool,
        document: &mut Document,
        meanings: &mut Meanings<'_>,
    ) -> Vec<Setting> {
        const DIRECTIVE: &str = "sslproxy_cert_error";
        if !self.roots.is_empty() {
            document.set(
                "origin",
                "extra_roots",
                array(self.roots.iter().map(String::as_str)),
                "",
            );
        }
        let mut found = Vec::new();
        if let Some((about, cert)) = &self.shown {
            let mut says = vec![format!("client_cert = {}", quoted(cert))];
            says.extend(
                self.shown_key
                    .iter()
                    .map(|key| format!("client_key = {}", quoted(key))),
            );
            found.push(Setting {
                about: vec![about.clone()],
                term: Vec::new(),
                says,
            });
        }
        if insecure && let Some(about) = self.unverified.first() {
            found.push(Setting {
                about: vec![
                    about.clone(),
                    "Nothing is verified: whoever is between the proxy and a server can read all of it."
                        .into(),
                ],
                term: Vec::new(),
                says: vec!["allow_invalid_certificate = true".into()],
            });
        }
        let mut lines = Vec::new();
        for line in std::mem::take(&mut self.errors) {
            let is_error = |name: &String| meanings.acls.get(name).is_some_and(|acl| acl.kind == "ssl_error");
            let rest: Vec<_> = line
                .acls
                .iter()
                .filter(|(_, name)| !is_error(name))
                .cloned()
                .collect();
            let by_error = rest.len() < line.acls.len();
            let for_all = rest.iter().all(|(negated, name)| !negated && name == "all");
            match (line.action, by_error, for_all) {
                (Permit::Allow, true, true) => {
                    let text = "errors are not told apart: a certificate that does not verify is let through for hosts that a list names, and for everybody by no error. The line is left out; name the hosts instead (policy.allow_invalid_certificate)";
                    meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::Changed, text);
                    continue;
                }
                (Permit::Allow, true, false) => {
                    let text = "errors are not told apart: for these hosts and clients certificates are let through whatever is wrong with them";
                    meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::Changed, text);
                }
                (Permit::Allow, false, true) if !insecure => {
                    meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::Changed, switched_off(false));
                    continue;
                }
                (Permit::Allow, false, true) => {
                    meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::Changed, switched_off(true))
                }
                (Permit::Allow, false, false) => {
                    let text = "as a setting. Where the issuer is unknown, Squid signs the leaf by a CA that browsers do not know, so that they warn, and keeps the dates of one that is expired: make such a CA (`wsbump ca init --data-dir untrusted`) and name it in ca.untrusted_cert, or browsers will trust them";
                    meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::Changed, text);
                }
                (Permit::Deny, true, true) => {
                    let text =
                        "errors are not told apart, and all of them are refused unless a list names the host";
                    meanings
                        .notes
                        .add(&line.place, DIRECTIVE, LineOutcome::Taken, text);
                    continue;
                }
                (Permit::Deny, ..) => {
                    meanings.notes.add(
                        &line.place,
                        DIRECTIVE,
                        LineOutcome::Taken,
                        "certificates have to verify, as by default",
                    );
                }
            }
            lines.push(Access { acls: rest, ..line });
        }
        // Where no line holds, none is let through, whatever the last one says.
        if let Some(last) = lines
            .last()
            .filter(|last| last.action == Permit::Deny && !last.acls.is_empty())
        {
            lines.push(Access {
                acls: Vec::new(),
                ..last.clone()
            });
        }
        for (formula, line) in chosen(&lines, Permit::Allow, meanings, DIRECTIVE) {
            for term in formula.0 {
                found.push(Setting {
                    about: vec![format!("{}: {}", line.place, line.text)],
                    term,
                    says: vec!["allow_invalid_certificate = true".into()],
                });
            }
        }
        if !found.is_empty() {
            let about = "With a CA that clients do not trust, they warn of origins whose certificate does not verify:\nwsbump ca init --data-dir untrusted";
            document.remark("ca", about);
            document.remark(
                "ca",
                &format!(
                    "untrusted_cert = {}\nuntrusted_key = {}",
                    quoted("untrusted/ca.pem"),
                    quoted("untrusted/ca.key")
                ),
            );
        }
        found
    }
}

fn switched_off(insecure: bool) -> String {
    match insecure {
        true => "nothing is verified, as --allow-invalid-certificates asks: name the few hosts that need it instead".into(),
        false => "switches the verification of certificates off for everybody; it stays on. Servers with certificates of your own are trusted by origin.extra_roots, a few others by policy.allow_invalid_certificate. To have it as it was, import with --allow-invalid-certificates".into(),
    }
}
