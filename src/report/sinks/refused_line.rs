//! Lines of requests for the operator's pages that were refused. A page that asks all day fills no disk, and pushes no other
//! line out of a queue: there is a bound on them, and the next line says how many have none.

use super::line::{Stamp, cap};
use crate::report::admin::peer::AdminPeer;
use crate::report::admin::refused::RefusedAdmin;
use crate::report::instance::Instance;
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many lines may follow each other at once.
const BURST: u32 = 20;
/// The time after which there may be one more.
const PACE: Duration = Duration::from_secs(1);

/// A line of the access log and of the audit log.
#[derive(Serialize)]
pub(super) struct RefusedLine<'a> {
    r#type: &'static str,
    time: Stamp,
    instance: &'a Instance,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    pages: &'static str,
    reason: &'static str,
    status: u16,
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    /// How many before this one have no line.
    #[serde(skip_serializing_if = "is_zero")]
    unlogged: u64,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> RefusedLine<'a> {
    fn of(instance: &'a Instance, refused: &RefusedAdmin<'a>, unlogged: u64) -> Self {
        let (client, by) = match refused.peer {
            AdminPeer::Address(client) => (Some(client.to_canonical()), None),
            AdminPeer::User(uid) => (None, Some(format!("uid {uid}"))),
            AdminPeer::Unknown => (None, None),
        };
        Self {
            r#type: "admin_refused",
            time: Stamp::current(),
            instance,
            client,
            by,
            pages: refused.pages.label(),
            reason: refused.why.label(),
            status: refused.why.status().as_u16(),
            method: cap(refused.method),
            path: cap(refused.path),
            host: refused
                .host
                .map(|host| cap(&String::from_utf8_lossy(host)).into_owned().into()),
            unlogged,
        }
    }
}

/// How many lines one log may have.
#[derive(Debug, Default)]
pub(super) struct RefusedLines(Mutex<Spent>);

/// A bucket that leaks.
#[derive(Debug, Default)]
struct Spent {
    lines: u32,
    /// When the oldest of them counts no longer.
    next: Option<Instant>,
    unlogged: u64,
}

impl RefusedLines {
    /// The line of a refusal, unless there have been too many.
    pub(super) fn line<'a>(
        &self,
        instance: &'a Instance,
        refused: &RefusedAdmin<'a>,
    ) -> Option<RefusedLine<'a>> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unlogged = spent.count(Instant::now())?;
        drop(spent);
        Some(RefusedLine::of(instance, refused, unlogged))
    }
}

impl Spent {
    /// Counts a refusal; if it has a line, how many before it have none.
    fn count(&mut self, now: Instant) -> Option<u64> {
        while self.lines > 0
            && let Some(next) = self.next.filter(|next| *next <= now)
        {
            self.lines -= 1;
            self.next = Some(next + PACE);
        }
        if self.lines >= BURST {
            self.unlogged += 1;
            return None;
        }
        if self.lines == 0 {
            self.next = Some(now + PACE);
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::admin::{AdminPages, AdminRefusal};

    #[test]
    fn a_flood_has_few_lines_and_they_say_how_many_have_none() {
        let (mut spent, start) = (Spent::default(), Instant::now());
        let burst = (0..100).filter_map(|_| spent.count(start)).collect::<Vec<_>>();
        assert_eq!(burst, [0; BURST as usize]);
        assert_eq!(spent.count(start + PACE), Some(80));
        assert_eq!(spent.count(start + PACE), None);
        assert_eq!(spent.count(start + 3 * PACE), Some(1));
        assert_eq!(spent.count(start + 3 * PACE), Some(0));
        assert_eq!(spent.count(start + 3 * PACE), None);
        let rested = start + 1000 * PACE;
        let burst = (0..100).filter_map(|_| spent.count(rested)).collect::<Vec<_>>();
        assert_eq!(burst.len(), BURST as usize, "it saves up no more than that");
        assert_eq!(burst.iter().sum::<u64>(), 1);
    }

    #[test]
    fn what_its_sender_says_is_escaped_and_bounded() {
        let (instance, host) = (Instance::random(), [b'a', 0xff, b'"', b'\n']);
        let long = format!("/{}", "x".repeat(5000));
        let refused = RefusedAdmin {
            why: AdminRefusal::UnknownName,
            pages: AdminPages::Admin,
            peer: AdminPeer::Address("::ffff:192.0.2.7".parse().unwrap()),
            method: "GET",
            path: &long,
            host: Some(&host),
        };
        let lines = RefusedLines::default();
        let text = serde_json::to_string(&lines.line(&instance, &refused).unwrap()).unwrap();
        assert!(!text.contains('\n') && text.len() < 2500, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["client"], "192.0.2.7");
        assert_eq!(line["host"], "a\u{fffd}\"\n");
        assert_eq!(
            (&line["reason"], &line["status"]),
            (&"unknown_name".into(), &421.into())
        );
        let user = RefusedAdmin {
            peer: AdminPeer::User(1000),
            ..refused
        };
        let line = serde_json::to_value(lines.line(&instance, &user).unwrap()).unwrap();
        assert_eq!(
            (&line["by"], &line["client"]),
            (&"uid 1000".into(), &serde_json::Value::Null)
        );
    }
}
