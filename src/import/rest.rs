//! Directives that stand for themselves: a key here, or a word about why there is none.

use super::document::{Document, array, quoted};
use super::instead::INSTEAD;
use super::note::{LineOutcome, Notes};
use super::nothing::WITHOUT;
use super::read::Line;
use super::values::duration;

/// Times, by their keys.
const TIMES: [(&str, &str); 13] = [
    ("connect_timeout", "timeouts.dial"),
    ("forward_timeout", "timeouts.dial"),
    ("read_timeout", "timeouts.response"),
    ("request_timeout", "timeouts.request_head"),
    ("request_start_timeout", "timeouts.request_head"),
    ("client_idle_pconn_timeout", "timeouts.http_idle"),
    ("persistent_request_timeout", "timeouts.http_idle"),
    ("pconn_timeout", "timeouts.http_idle"),
    ("server_idle_pconn_timeout", "timeouts.http_idle"),
    ("client_lifetime", "timeouts.tunnel_idle"),
    ("shutdown_lifetime", "timeouts.drain"),
    ("dns_timeout", "timeouts.dns"),
    ("positive_dns_ttl", "network.dns.max_ttl"),
];

/// Takes a directive over that asks for nothing else; false if it is not known.
pub(super) fn take(line: &Line, document: &mut Document, notes: &mut Notes) -> bool {
    let directive = &*line.directive;
    let place = &line.place;
    let about = format!("{place}: {}", line.text);
    let words: Vec<_> = line.words.iter().map(|word| &*word.text).collect();
    let first = words.first().copied().unwrap_or_default();
    let mut note = |outcome, text: String| notes.add(place, directive.to_owned(), outcome, text);
    if let Some((_, key)) = TIMES.iter().find(|(name, _)| *name == directive) {
        let (section, key) = key.rsplit_once('.').unwrap_or(("timeouts", key));
        let section = if section == "network.dns" {
            "network.dns"
        } else {
            "timeouts"
        };
        match duration(first, words.get(1).copied().unwrap_or("seconds")) {
            Some(text) if document.set(section, key, quoted(&text), &about) => {
                note(LineOutcome::Taken, format!("as {section}.{key}"));
            }
            Some(_) => note(
                LineOutcome::Changed,
                format!("{section}.{key} is set by a line above, and there is one such time"),
            ),
            None => note(
                LineOutcome::Changed,
                format!("is no time that could be used; {section}.{key} keeps its default"),
            ),
        }
        return true;
    }
    if let Some((why, _)) = WITHOUT.iter().find(|(_, names)| names.contains(&directive)) {
        note(LineOutcome::NotNeeded, (*why).to_owned());
        return true;
    }
    let is_unlimited = matches!(first, "0" | "none");
    if is_unlimited && matches!(directive, "request_body_max_size" | "reply_body_max_size") {
        note(
            LineOutcome::NotNeeded,
            "no limit is set, and there is none".into(),
        );
        return true;
    }
    if let Some((_, guards, advice)) = INSTEAD.iter().find(|(name, ..)| *name == directive) {
        let outcome = if *guards {
            LineOutcome::GuardLost
        } else {
            LineOutcome::Lost
        };
        note(outcome, (*advice).to_owned());
        return true;
    }
    let mut key = |document: &mut Document, section: &'static str, key: &str, value: String| {
        let outcome = if document.set(section, key, value, &about) {
            LineOutcome::Taken
        } else {
            LineOutcome::Changed
        };
        let text = if outcome == LineOutcome::Taken {
            "as"
        } else {
            "is said twice, and the first counts:"
        };
        note(outcome, format!("{text} {section}.{key}"));
    };
    match directive {
        "dns_nameservers" => {
            let (good, bad): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.parse::<std::net::IpAddr>().is_ok());
            if !good.is_empty() {
                key(document, "network.dns", "servers", array(good));
            }
            if !bad.is_empty() {
                notes.add(place, directive, LineOutcome::Changed, format!("{} is no address of a server", bad.join(", ")));
            }
        }
        "dns_v4_first" if first == "on" => key(document, "network.dns", "prefer", quoted("ipv4")),
        "dns_v4_first" => note(LineOutcome::Taken, "as it is by default".into()),
        "hosts_file" => key(document, "network.dns", "hosts_file", quoted(first)),
        "append_domain" => key(document, "network.dns", "search", array([first.trim_start_matches('.')])),
        "negative_dns_ttl" => match duration(first, words.get(1).copied().unwrap_or("seconds")) {
            Some(text) => key(document, "network.dns", "negative_ttl", quoted(&text)),
            None => note(LineOutcome::Changed, "is no time that could be used".into()),
        },
        "visible_hostname" => note(LineOutcome::NotNeeded, "Via and the pages say \"wsbump\": names of machines are not told".into()),
        "hostname_aliases" => note(LineOutcome::NotNeeded, "there are no other caches that could know this one by another name".into()),
        "cache_mgr" => key(document, "pages", "contact", quoted(first)),
        "access_log" | "cache_access_log" if first == "none" => key(document, "log", "access", quoted("off")),
        "access_log" | "cache_access_log" => note(
            LineOutcome::Changed,
            "the access log is JSON lines on standard output, which the journal keeps; log.access names a file (docs/access-log.md has the fields)".into(),
        ),
        "logformat" => {
            let format = line.rest(1);
            let logged = logged_fields(format);
            if !logged.is_empty() {
                key(document, "log", "request_headers", array(logged.iter().map(String::as_str)));
            }
            notes.add(
                place,
                directive,
                LineOutcome::Changed,
                format!("lines have fields with names of their own; {}", fields(format)),
            );
        }
        "via" if first == "off" => key(document, "origin", "via", "false".into()),
        "via" => note(LineOutcome::Taken, "as it is by default".into()),
        "request_header_max_size" => match size(first, words.get(1).copied().unwrap_or("KB")) {
            Some(bytes) => key(document, "limits", "header_bytes", bytes.clamp(8192, 16_777_216).to_string()),
            None => note(LineOutcome::Changed, "is no size that could be read".into()),
        },
        "client_ip_max_connections" => match first.parse::<i64>() {
            Ok(count @ 0..=10_000_000) => key(document, "limits.client", "connections", count.to_string()),
            _ => note(LineOutcome::Taken, "no limit is set; the default of limits.client.connections holds".into()),
        },
        "on_unsupported_protocol" => match first {
            "tunnel" => key(document, "policy", "unknown_protocol", quoted("tunnel")),
            _ => note(LineOutcome::Taken, "as it is by default: what is neither TLS nor HTTP is refused".into()),
        },
        "httpd_suppress_version" => note(LineOutcome::NotNeeded, "versions are not told".into()),
        _ => return false,
    }
    true
}

/// Bytes of a number with a unit.
fn size(number: &str, unit: &str) -> Option<u64> {
    let number: u64 = number.parse().ok()?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "bytes" | "byte" => 1,
        "kb" => 1024,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Fields of requests that a format has: `%{NAME}>h`.
fn logged_fields(format: &str) -> Vec<String> {
    const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "set-cookie"];
    let mut found: Vec<String> = Vec::new();
    for part in format.split("%{").skip(1) {
        let Some((name, behind)) = part.split_once('}') else {
            continue;
        };
        let is_request = behind.starts_with(">h") || behind.starts_with('h');
        let is_usable = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && !SECRET.contains(&name.to_ascii_lowercase().as_str());
        if is_request
            && is_usable
            && found.len() < 16
            && !found.iter().any(|it| it.eq_ignore_ascii_case(name))
        {
            found.push(name.to_owned());
        }
    }
    found
}

/// What the codes of a format are called here.
fn fields(format: &str) -> String {
    const FIELDS: [(&str, &str); 13] = [
        ("%>a", "client"),
        ("%ru", "url, target"),
        ("%rm", "method"),
        ("%>Hs", "status"),
        ("%<st", "bytes_to_client"),
        ("%un", "user"),
        ("%ul", "user"),
        ("%tr", "duration"),
        ("%<a", "origin"),
        ("%ssl::>sni", "sni"),
        ("%ssl::bump_mode", "action"),
        ("%{User-Agent}>h", "request_headers (log.request_headers)"),
        ("%Ss", "outcome, error"),
    ];
    let known: Vec<_> = FIELDS
        .iter()
        .filter(|(code, _)| format.contains(code))
        .map(|(code, field)| format!("{code} is {field}"))
        .collect();
    match known.is_empty() {
        true => "docs/access-log.md has them".to_owned(),
        false => known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_directive_is_told_of_twice() {
        let mut names: Vec<&str> = WITHOUT
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        names.extend(INSTEAD.iter().map(|(name, ..)| *name));
        names.extend(TIMES.iter().map(|(name, _)| *name));
        names.sort_unstable();
        let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
