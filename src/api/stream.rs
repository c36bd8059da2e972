//! One client's stream of events, from what happens to the bytes that leave.

use super::wanted::Format;
use crate::journey::Watching;
use crate::live::{Delivery, LiveHar, Shown};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

/// A stream that says nothing for so long says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often it is looked whether there is anything to say beside events.
const LOOK: Duration = Duration::from_secs(5);
/// What waits is gathered up to this many bytes before it goes out.
const BATCH: usize = 64 << 10;
/// What has been sent and is kept for a client that may not have got it, in bytes.
const SENT: usize = 1 << 20;
/// What a client that reads nothing has beyond a stream's end to take what is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a HAR file is made of at most, in bytes.
const HAR: usize = 16 << 20;

/// Why a stream has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Its client has gone.
    Gone,
    /// It goes on for the same client elsewhere.
    TakenUp,
    /// All that was asked for has been sent, or the process ends.
    Over,
}

/// How a stream is begun or taken up.
#[derive(Debug)]
pub(super) struct Begun {
    /// What is said first.
    pub(super) hello: Value,
    /// The number of the event that its client got last.
    pub(super) from: Option<u64>,
    /// When it ends.
    pub(super) until: Option<Instant>,
}

/// What may end a stream.
#[derive(Clone)]
pub(super) struct Ends {
    /// Whether its client still may see it.
    pub(super) still: Arc<dyn Fn() -> bool + Send + Sync>,
    /// All streams end.
    pub(super) over: CancellationToken,
    /// This one is taken up elsewhere.
    pub(super) taken_up: CancellationToken,
}

/// What has been sent, for a client that may not have got it.
#[derive(Debug, Default)]
struct Sent {
    events: VecDeque<(u64, String)>,
    bytes: usize,
}

/// Fills one client's stream.
#[derive(Debug)]
pub(super) struct Stream {
    watching: Watching,
    shown: Shown,
    format: Format,
    har: LiveHar,
    har_bytes: usize,
    /// What it is called, if it can be taken up again.
    name: Option<String>,
    /// The number of the last event.
    number: u64,
    sent: Sent,
    /// How many events are left until it ends.
    left: Option<u64>,
    /// Events that were shown and that were lost.
    counts: (u64, u64),
}

impl Stream {
    pub(super) fn new(
        watching: Watching,
        shown: Shown,
        format: Format,
        limit: Option<u64>,
        name: Option<String>,
    ) -> Self {
        Self {
            watching,
            shown,
            format,
            har: LiveHar::default(),
            har_bytes: 0,
            name,
            number: 0,
            sent: Sent::default(),
            left: limit,
            counts: (0, 0),
        }
    }

    /// How many events have been shown, and how many lost.
    pub(super) const fn counts(&self) -> (u64, u64) {
        self.counts
    }

    /// Sends what happens, until something ends it.
    pub(super) async fn run(&mut self, begun: Begun, sender: &mpsc::Sender<Bytes>, ends: &Ends) -> Stopped {
        let mut out = String::new();
        self.begin(&begun, &mut out);
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut spoke = Instant::now();
        loop {
            if !out.is_empty() {
                spoke = Instant::now();
                let ready = Bytes::from(std::mem::take(&mut out));
                if let Some(stopped) = hand_over(ready, sender, begun.until, ends).await {
                    return stopped;
                }
            }
            if self.left == Some(0) || self.har_bytes > HAR {
                return self.end(sender).await;
            }
            tokio::select! {
                biased;
                () = sender.closed() => return Stopped::Gone,
                () = ends.taken_up.cancelled() => return Stopped::TakenUp,
                () = ends.over.cancelled() => return self.end(sender).await,
                () = until(begun.until) => return self.end(sender).await,
                // Before events: in a flood they are always there, and whoever may not see them any more would.
                _ = looks.tick() => {
                    if !(ends.still)() {
                        return Stopped::Over;
                    }
                    self.tell_what_is_missing(&mut out);
                    if out.is_empty() && spoke.elapsed() >= HEARTBEAT && self.format == Format::Events {
                        out.push_str(":\n\n");
                    }
                }
                delivery = self.watching.next() => self.take(&delivery, &mut out),
            }
            // One write for what has come meanwhile.
            while out.len() < BATCH
                && self.left != Some(0)
                && let Some(delivery) = self.watching.ready()
            {
                self.take(&delivery, &mut out);
            }
        }
    }

    /// What is said first, and what the client has missed of what was sent already.
    fn begin(&mut self, begun: &Begun, out: &mut String) {
        if self.format == Format::Events {
            write(out, None, "watching", &begun.hello);
        }
        let Some(from) = begun.from else { return };
        let first = self
            .sent
            .events
            .front()
            .map_or(self.number + 1, |(number, _)| *number);
        // The number is whatever a client says.
        let missing = first.saturating_sub(from.saturating_add(1));
        if missing > 0 {
            self.counts.1 += missing;
            // Without a number: who comes back again is told anew.
            write(out, None, "lost", &json!({ "type": "lost", "events": missing }));
        }
        for (_, text) in self.sent.events.iter().filter(|(number, _)| *number > from) {
            out.push_str(text);
        }
    }

    /// What the sample left out, and what was lost at the end of a flood with nothing behind it.
    fn tell_what_is_missing(&mut self, out: &mut String) {
        match self.watching.skipped() {
            0 => {}
            skipped => self.say(&json!({ "type": "skipped", "events": skipped }), out),
        }
        match self.watching.lost() {
            0 => {}
            lost => self.take(&Delivery::Lost(lost), out),
        }
    }

    fn take(&mut self, delivery: &Delivery, out: &mut String) {
        match delivery {
            Delivery::Lost(lost) => {
                self.counts.1 += lost;
                self.say(&json!({ "type": "lost", "events": lost }), out);
            }
            Delivery::Event(event) => {
                let Some(shown) = self.shown.event(event) else {
                    return;
                };
                self.counts.0 += 1;
                self.left = self.left.map(|left| left.saturating_sub(1));
                match self.format {
                    Format::Events => self.event(event.id, event.what.topic().label(), &shown, out),
                    Format::Lines => line(&shown, out),
                    Format::Har => {
                        self.har_bytes += shown.to_string().len();
                        self.har.take(&shown);
                    }
                }
            }
        }
    }

    fn event(&mut self, id: u64, topic: &str, shown: &Value, out: &mut String) {
        let Some(name) = &self.name else {
            return write(out, Some(&id.to_string()), topic, shown);
        };
        self.number += 1;
        let mut text = String::new();
        write(&mut text, Some(&format!("{name}.{}", self.number)), topic, shown);
        out.push_str(&text);
        self.sent.keep(self.number, text);
    }

    /// Something about the stream itself. Where that can be taken up again it has a number as events have, since it would be
    /// lost with a client that goes before it has come.
    fn say(&mut self, said: &Value, out: &mut String) {
        let kind = said["type"].as_str().unwrap_or_default();
        match self.format {
            Format::Events if self.name.is_some() => self.event(0, kind, said, out),
            Format::Events => write(out, None, kind, said),
            Format::Lines => line(said, out),
            Format::Har => {}
        }
    }

    async fn end(&mut self, sender: &mpsc::Sender<Bytes>) -> Stopped {
        let mut out = String::new();
        self.tell_what_is_missing(&mut out);
        if self.format == Format::Har {
            out = std::mem::take(&mut self.har).finish().to_string();
        }
        if !out.is_empty() {
            // Whoever has gone does not get it, nor does who reads nothing.
            let _ = sender.send_timeout(Bytes::from(out), PATIENCE).await;
        }
        Stopped::Over
    }
}

impl Sent {
    fn keep(&mut self, number: u64, text: String) {
        self.bytes += text.len();
        self.events.push_back((number, text));
        while self.bytes > SENT
            && let Some((_, gone)) = self.events.pop_front()
        {
            self.bytes -= gone.len();
        }
    }
}

/// Waits until a client takes what is ready; tells why it does not get it. A client that reads nothing keeps no stream beyond its
/// end, and none that it may not see any more.
async fn hand_over(
    ready: Bytes,
    sender: &mpsc::Sender<Bytes>,
    ends_at: Option<Instant>,
    ends: &Ends,
) -> Option<Stopped> {
    let mut sent = pin!(sender.send(ready));
    let mut looks = interval_at(Instant::now() + LOOK, LOOK);
    loop {
        tokio::select! {
            biased;
            () = ends.taken_up.cancelled() => return Some(Stopped::TakenUp),
            sent = sent.as_mut() => return sent.is_err().then_some(Stopped::Gone),
            () = until(ends_at.map(|at| at + PATIENCE)) => return Some(Stopped::Over),
            _ = looks.tick() => if !(ends.still)() {
                return Some(Stopped::Over);
            },
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn write(out: &mut String, id: Option<&str>, event: &str, data: &Value) {
    // Writing to a string cannot fail; JSON has no line's end in it.
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
    let _ = write!(out, "event: {event}\ndata: {data}\n\n");
}

fn line(data: &Value, out: &mut String) {
    let _ = writeln!(out, "{data}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_kept_within_its_bound() {
        let mut sent = Sent::default();
        for number in 1..=10 {
            sent.keep(number, "x".repeat(SENT / 4));
        }
        let kept: Vec<_> = sent.events.iter().map(|(number, _)| *number).collect();
        assert_eq!((kept, sent.bytes), (vec![7, 8, 9, 10], SENT));
        sent.keep(11, "x".repeat(2 * SENT));
        assert!(sent.events.is_empty() && sent.bytes == 0);
    }
}
