//! Whether what became of a message is what had to.

use super::seen::Seen;
use crate::harness::corpus::{Entry, Message, Next, Wanted};
use crate::harness::plain::{plain_responses, values};
use crate::harness::readers::Reading;
use serde_json::Value;

/// What is the same in a head however often it is forwarded: the request line and the fields, in their order, but for
/// those of the connection.
pub(super) fn lasting(message: &[u8], is_front: bool) -> Vec<Vec<u8>> {
    let head = message.windows(4).position(|four| four == b"\r\n\r\n");
    let head = &message[..head.unwrap_or(message.len())];
    let mut own = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "via",
    ]
    .map(str::to_owned)
    .to_vec();
    for named in values(head, "connection") {
        own.extend(named.split(',').map(|name| name.trim().to_ascii_lowercase()));
    }
    // Not even Connection takes these away.
    own.retain(|name| !["content-length", "transfer-encoding", "host"].contains(&&name[..]));
    if is_front {
        own.push("host".to_owned());
    }
    let mut lines = Vec::new();
    let mut rest = head;
    while !rest.is_empty() {
        let end = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .unwrap_or(rest.len());
        lines.push(rest[..end].to_vec());
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    lines.drain(..usize::from(is_front));
    lines.retain(|line| {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        !own.contains(&String::from_utf8_lossy(name).to_ascii_lowercase())
    });
    lines
}

/// What is wrong with what came out for an entry.
pub(super) fn judge_request(
    seen: &Seen<'_>,
    readings: &[(&'static str, Reading)],
    logged: &[u16],
) -> Option<String> {
    let entry = seen.entry;
    let statuses = seen.statuses();
    let sees = entry.sees(&seen.host, 2);
    let next = Message::new("GET /next", "");
    let is_through = !statuses.is_empty() && statuses.iter().all(|&status| status == 200);
    let mut wanted = match &entry.proxy {
        Wanted::Pass | Wanted::Mended if !is_through => {
            return Some(format!("not let through: {statuses:?}"));
        }
        Wanted::Refused(_) | Wanted::Cut if is_through => return Some("let through".to_owned()),
        Wanted::Refused(allowed) => match statuses.split_last() {
            Some((last, _)) if allowed.contains(last) => sees,
            _ => return Some(format!("refused otherwise: {statuses:?}")),
        },
        _ if is_through => sees,
        _ => Vec::new(),
    };
    if is_through && entry.next != Next::None {
        wanted.push(next);
    }
    let answered = statuses.iter().filter(|&&status| status == 200).count();
    if answered != wanted.len() {
        return Some(format!("{answered} answers for {wanted:?}"));
    }
    // Who goes away in the middle may find the connection cut.
    let is_left = entry.next == Next::None && statuses.is_empty();
    if let Some(end) = &seen.end
        && !is_left
    {
        return Some(format!("the client's connection ends by: {end}"));
    }
    let has_head = seen.sent.windows(4).any(|four| four == b"\r\n\r\n");
    if (is_left && has_head && logged.is_empty()) || (!is_left && logged != statuses) {
        return Some(format!("logged as {logged:?}, answered {statuses:?}"));
    }
    let out = seen.out.concat();
    if is_through {
        if let Some(missed) = entry.missed(&out) {
            return Some(missed);
        }
        if entry.proxy == Wanted::Pass {
            let (sent, came) = (lasting(&seen.sent, entry.is_front), lasting(&out, entry.is_front));
            if sent != came {
                return Some("not as it came".to_owned());
            }
        }
    }
    disagreement(entry, &wanted, readings, is_through)
}

/// What is wrong with what a client got for an entry.
pub(super) fn judge_response(
    seen: &Seen<'_>,
    readings: &[(&'static str, Reading)],
    logged: &[u16],
) -> Option<String> {
    let entry = seen.entry;
    let got = plain_responses(&seen.answers, &asks(entry));
    let next = Message::new("200", "next");
    let mut wanted = entry.sees(&seen.host, 1);
    let is_refused = got
        .messages
        .first()
        .is_some_and(|first| first.line.starts_with(b"50"));
    if is_refused && values(&seen.answers, "proxy-status").is_empty() {
        return Some("refused without a word".to_owned());
    }
    let is_cut = got.messages.is_empty();
    match &entry.proxy {
        Wanted::Pass | Wanted::Mended if is_refused || is_cut => return Some("not let through".to_owned()),
        Wanted::Refused(allowed) if !is_refused => return Some(format!("not refused with {allowed:?}")),
        Wanted::Cut if !is_refused && !is_cut => return Some("neither cut nor refused".to_owned()),
        _ => {}
    }
    if is_refused {
        wanted = got.messages[..1].to_vec();
    } else if is_cut {
        wanted.clear();
    } else if got.messages.len() > wanted.len() || (entry.next == Next::Answered && !entry.ends) {
        wanted.push(next);
    }
    let status = |answer: &Message| String::from_utf8_lossy(&answer.line).parse::<u16>().ok();
    let first = got.messages.first().and_then(status);
    if logged.first().copied() != first && !is_cut {
        return Some(format!("logged as {logged:?}, answered {first:?}"));
    }
    if is_cut && logged.is_empty() {
        return Some("not logged".to_owned());
    }
    if !is_refused && !is_cut {
        if let Some(missed) = entry.missed(&seen.answers) {
            return Some(missed);
        }
        let is_late =
            entry.proxy == Wanted::Pass && lasting(&seen.sent, false) != lasting(&seen.answers, false);
        if is_late {
            return Some("not as it came".to_owned());
        }
    }
    // A server is asked for the first response alone.
    let servers = ["nginx", "haproxy"];
    let (servers, others): (Vec<_>, Vec<_>) = readings
        .iter()
        .cloned()
        .partition(|(name, _)| servers.contains(name));
    let first = &wanted[..wanted.len().min(1)];
    disagreement(entry, &wanted, &others, !is_cut).or_else(|| disagreement(entry, first, &servers, !is_cut))
}

/// What is wrong with what came out for a request over HTTP/2.
pub(super) fn judge_stream(
    seen: &Seen<'_>,
    said: &Value,
    readings: &[(&'static str, Reading)],
    logged: &[u16],
) -> Option<String> {
    let entry = seen.entry;
    let [first, next] = ["first", "next"].map(|key| said[key].as_str().unwrap_or_default());
    let is_through = first == "status 200";
    match &entry.proxy {
        Wanted::Pass | Wanted::Mended if !is_through => return Some("not let through".to_owned()),
        Wanted::Refused(_) if is_through => return Some("let through".to_owned()),
        _ => {}
    }
    // A malformed request may end its connection, and with it the one behind.
    let is_alive = !first.starts_with("goaway") && first != "closed";
    if is_alive && next != "status 200" {
        return Some("the next request is not answered".to_owned());
    }
    let mut wanted = if is_through {
        entry.sees(&seen.host, 2)
    } else {
        Vec::new()
    };
    wanted.extend(is_alive.then(|| Message::new("GET /next", "")));
    // However it ended, and whoever ended it: the connection's library included.
    let asked = 1 + usize::from(is_alive);
    if logged.len() != asked {
        return Some(format!("logged as {logged:?}"));
    }
    if is_through && let Some(missed) = entry.missed(&seen.out.concat()) {
        return Some(missed);
    }
    disagreement(entry, &wanted, readings, true)
}

/// The first reader that sees something else.
pub(super) fn disagreement(
    entry: &Entry,
    wanted: &[Message],
    readings: &[(&'static str, Reading)],
    is_whole: bool,
) -> Option<String> {
    let differs = |(name, reading): &&(&'static str, Reading)| {
        let may_refuse = entry.is_refused_by(name) && reading.trouble.is_some();
        if reading.messages == wanted {
            return is_whole && reading.trouble.is_some() && !may_refuse;
        }
        !(may_refuse && wanted.starts_with(&reading.messages))
    };
    let Some((name, reading)) = readings.iter().find(differs) else {
        let takes = |(name, reading): &&(&'static str, Reading)| {
            entry.is_refused_by(name) && !name.ends_with("-lenient") && reading.trouble.is_none()
        };
        let (name, _) = readings.iter().find(takes).filter(|_| is_whole)?;
        return Some(format!("{name} refuses nothing"));
    };
    Some(format!(
        "{name} sees {:?}{}, and not {wanted:?}",
        reading.messages,
        reading
            .trouble
            .as_ref()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default(),
    ))
}

/// What the client asked for.
pub(super) fn asks(entry: &Entry) -> Vec<String> {
    vec![entry.asks.clone(), "GET".to_owned()]
}
