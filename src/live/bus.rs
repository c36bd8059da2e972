//! From what happens to those who watch. Who states never waits.

use super::event::{EventKind, LiveEvent, LiveTopic, LiveTopics};
use super::filter::{LiveFilter, Passing};
use super::people::{People, Pseudonyms};
use super::stamp::Stamp;
use crate::inspect::Viewer;
use crate::wire::names::Authority;
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Who may watch at once.
const SUBSCRIBERS: usize = 64;
/// What waits for one of them, in bytes: the rest is lost to it, and counted.
const WAITING: usize = 4 << 20;
/// What an event takes besides its content, about.
const OVERHEAD: usize = 512;
/// Findings and refused CAs that are remembered for those who come later. They hold no content.
const REMEMBERED: usize = 500;

/// Hands what happens to those who watch.
#[derive(Debug, Default)]
pub struct LiveBus {
    /// The topics that somebody watches.
    watched: AtomicU32,
    subscribers: ArcSwap<Vec<Arc<Subscriber>>>,
    /// One change of them at a time.
    changes: Mutex<()>,
    events: AtomicU64,
    people: AtomicU8,
    pseudonyms: Pseudonyms,
    findings: Mutex<VecDeque<Arc<LiveEvent>>>,
    refusals: Mutex<VecDeque<Arc<LiveEvent>>>,
}

/// Somebody who watches.
struct Subscriber {
    filter: LiveFilter,
    queue: UnboundedSender<Queued>,
    waiting: AtomicUsize,
    /// What was lost since the last event that was not.
    lost: AtomicU64,
    /// What the sample has been taken of.
    counted: AtomicU64,
    /// What the sample has left out, and nobody was told of.
    skipped: AtomicU64,
}

impl Subscriber {
    /// Whether the sample leaves this out: each exchange is in it as a whole or not at all.
    fn skips(&self, passing: &Passing<'_>) -> bool {
        let (Some(of), true) = (self.filter.sample, passing.topic.is_sampled()) else {
            return false;
        };
        let number = match passing.exchange {
            Some(exchange) => exchange,
            None => self.counted.fetch_add(1, Relaxed),
        };
        let is_out = !number.is_multiple_of(of.get().into());
        if is_out {
            self.skipped.fetch_add(1, Relaxed);
        }
        is_out
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

struct Queued {
    event: Arc<LiveEvent>,
    cost: usize,
    /// What was lost right before it.
    lost: u64,
}

/// One who watches, until it is dropped.
pub struct Subscription {
    bus: Arc<LiveBus>,
    own: Arc<Subscriber>,
    queue: UnboundedReceiver<Queued>,
    /// An event that was taken, behind what is to be told first.
    next: Option<Arc<LiveEvent>>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filter", &self.own.filter)
            .finish_non_exhaustive()
    }
}

/// What comes to one who watches.
#[derive(Debug)]
pub enum Delivery {
    /// Something happened.
    Event(Arc<LiveEvent>),
    /// So many events were lost, since they were not read in time.
    Lost(u64),
}

/// As many watch as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlaceLeft;

impl LiveBus {
    /// From now on people are called so.
    pub fn call(&self, people: People) {
        self.people.store(people as u8, Relaxed);
    }

    /// How people are called.
    pub fn people(&self) -> People {
        let word = self.people.load(Relaxed);
        let all = People::ALL.iter().copied();
        all.into_iter()
            .find(|people| *people as u8 == word)
            .unwrap_or(People::Hide)
    }

    /// What they are called by where they are not shown.
    pub fn pseudonyms(&self) -> &Pseudonyms {
        &self.pseudonyms
    }

    /// Whether anybody watches this.
    #[inline]
    pub fn is_watched(&self, topic: LiveTopic) -> bool {
        LiveTopics::of_bits(self.watched.load(Relaxed)).contains(topic)
    }

    /// Tells those who want to know. Nothing is made where nobody does; `size` is what its content and texts take.
    pub fn tell(&self, passing: &Passing<'_>, size: usize, make: impl FnOnce() -> EventKind) {
        if !self.is_watched(passing.topic) {
            return;
        }
        self.hand_out(passing, size, || Arc::new(self.event(passing, make())));
    }

    /// The same for what is remembered for those who come later.
    pub fn tell_and_remember(&self, passing: &Passing<'_>, size: usize, make: impl FnOnce() -> EventKind) {
        let event = Arc::new(self.event(passing, make()));
        let ring = match passing.topic {
            LiveTopic::Refusals => &self.refusals,
            _ => &self.findings,
        };
        {
            let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            if ring.len() >= REMEMBERED {
                ring.pop_front();
            }
            ring.push_back(Arc::clone(&event));
        }
        if self.is_watched(passing.topic) {
            self.hand_out(passing, size, || event);
        }
    }

    fn event(&self, passing: &Passing<'_>, what: EventKind) -> LiveEvent {
        LiveEvent {
            id: self.events.fetch_add(1, Relaxed) + 1,
            at: Stamp::current(),
            who: passing.who.cloned(),
            host: passing.host.cloned(),
            websocket: passing.websocket,
            what,
        }
    }

    fn hand_out(&self, passing: &Passing<'_>, size: usize, make: impl FnOnce() -> Arc<LiveEvent>) {
        let (people, cost) = (self.people(), size + OVERHEAD);
        let (mut make, mut made) = (Some(make), None);
        for subscriber in &**self.subscribers.load() {
            if !subscriber.filter.wants(passing, people, &self.pseudonyms) {
                continue;
            }
            if subscriber.skips(passing) {
                continue;
            }
            // A race lets in a little more than the bound, which is no harm.
            if subscriber.waiting.load(Relaxed) + cost > WAITING {
                subscriber.lost.fetch_add(1, Relaxed);
                continue;
            }
            if let Some(make) = make.take() {
                made = Some(make());
            }
            let Some(event) = &made else { return };
            subscriber.waiting.fetch_add(cost, Relaxed);
            let lost = subscriber.lost.swap(0, Relaxed);
            let event = Arc::clone(event);
            // Whoever has gone is about to be taken out.
            let _ = subscriber.queue.send(Queued { event, cost, lost });
        }
    }

    /// What was found lately, oldest first.
    pub fn findings(&self) -> Vec<Arc<LiveEvent>> {
        self.findings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Who has refused the certificate lately, oldest first.
    pub fn refusals(&self) -> Vec<Arc<LiveEvent>> {
        self.refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Watches from now on.
    ///
    /// # Errors
    /// As many watch as may.
    pub fn subscribe(self: &Arc<Self>, filter: LiveFilter) -> Result<Subscription, NoPlaceLeft> {
        let (sender, queue) = unbounded_channel();
        let own = Arc::new(Subscriber {
            filter,
            queue: sender,
            waiting: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
        });
        {
            let _change = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            let mut all = Vec::clone(&self.subscribers.load());
            if all.len() >= SUBSCRIBERS {
                return Err(NoPlaceLeft);
            }
            all.push(Arc::clone(&own));
            self.change(all);
        }
        Ok(Subscription {
            bus: Arc::clone(self),
            own,
            queue,
            next: None,
        })
    }

    /// How many watch.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load().len()
    }

    fn leave(&self, own: &Arc<Subscriber>) {
        let _change = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.subscribers.load();
        self.change(all.iter().filter(|it| !Arc::ptr_eq(it, own)).cloned().collect());
    }

    fn change(&self, all: Vec<Arc<Subscriber>>) {
        let topics = all
            .iter()
            .fold(LiveTopics::NONE, |topics, it| topics.and(it.filter.topics));
        self.subscribers.store(Arc::new(all));
        self.watched.store(topics.bits(), Relaxed);
    }

    /// Who watches content, if anybody does.
    pub fn viewer(self: &Arc<Self>) -> Option<Arc<dyn Viewer>> {
        let topics = LiveTopics::of_bits(self.watched.load(Relaxed));
        topics.has_content().then(|| Arc::clone(self) as _)
    }
}

impl Viewer for LiveBus {
    fn wants(&self, name: &Authority) -> bool {
        let all = self.subscribers.load();
        all.iter()
            .any(|subscriber| subscriber.filter.wants_content_of(name))
    }
}

impl Subscription {
    /// What comes next.
    pub async fn next(&mut self) -> Delivery {
        if let Some(event) = self.next.take() {
            return Delivery::Event(event);
        }
        match self.queue.recv().await {
            Some(queued) => self.deliver(queued),
            // It has a sender of its own.
            None => std::future::pending().await,
        }
    }

    /// What has come already, if anything has.
    pub fn ready(&mut self) -> Option<Delivery> {
        if let Some(event) = self.next.take() {
            return Some(Delivery::Event(event));
        }
        let queued = self.queue.try_recv().ok()?;
        Some(self.deliver(queued))
    }

    fn deliver(&mut self, Queued { event, cost, lost }: Queued) -> Delivery {
        self.own.waiting.fetch_sub(cost, Relaxed);
        if lost == 0 {
            return Delivery::Event(event);
        }
        self.next = Some(event);
        Delivery::Lost(lost)
    }

    /// What was lost since the last event came.
    pub fn lost(&self) -> u64 {
        self.own.lost.swap(0, Relaxed)
    }

    /// What the sample has left out since this was asked last.
    pub fn skipped(&self) -> u64 {
        self.own.skipped.swap(0, Relaxed)
    }

    /// What is watched.
    pub fn filter(&self) -> &LiveFilter {
        &self.own.filter
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bus.leave(&self.own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{Direction, Opcode};

    fn watching(topics: &[LiveTopic]) -> LiveFilter {
        LiveFilter {
            topics: topics.iter().copied().collect(),
            ..LiveFilter::default()
        }
    }

    fn message(data: &[u8]) -> EventKind {
        EventKind::Message {
            number: 1,
            path: "/".into(),
            subprotocol: None,
            direction: Direction::ToClient,
            opcode: Opcode::Text,
            data: data.into(),
            size: data.len() as u64,
            ruled: None,
        }
    }

    fn text(delivery: &Delivery) -> String {
        match delivery {
            Delivery::Event(event) => match &event.what {
                EventKind::Message { data, .. } => String::from_utf8_lossy(data).into_owned(),
                other => format!("{other:?}"),
            },
            Delivery::Lost(lost) => format!("lost {lost}"),
        }
    }

    #[tokio::test]
    async fn events_come_to_those_who_asked_and_are_made_for_nobody_else() {
        let bus = Arc::<LiveBus>::default();
        let passing = Passing::of(LiveTopic::Messages);
        bus.tell(&passing, 1, || panic!("nobody watches"));
        assert!(bus.viewer().is_none());
        let rows = bus
            .subscribe(LiveFilter {
                topics: LiveTopics::rows(),
                ..LiveFilter::default()
            })
            .unwrap();
        bus.tell(&passing, 1, || panic!("nobody watches content"));
        let mut first = bus.subscribe(watching(&[LiveTopic::Messages])).unwrap();
        let mut second = bus.subscribe(watching(&[LiveTopic::Messages])).unwrap();
        assert!(
            bus.viewer()
                .unwrap()
                .wants(&Authority::parse("a.test:1", None).unwrap())
        );
        bus.tell(&passing, 1, || message(b"a"));
        assert_eq!(text(&first.next().await), "a");
        assert_eq!(text(&second.next().await), "a");
        drop((first, second, rows));
        assert!(bus.viewer().is_none() && bus.subscribers() == 0);
        bus.tell(&passing, 1, || panic!("nobody watches any more"));
    }

    #[tokio::test]
    async fn who_does_not_read_loses_and_is_told_how_many() {
        let bus = Arc::<LiveBus>::default();
        let mut slow = bus.subscribe(watching(&[LiveTopic::Messages])).unwrap();
        let passing = Passing::of(LiveTopic::Messages);
        let size = WAITING / 4;
        for number in 0..10 {
            bus.tell(&passing, size - OVERHEAD, || {
                message(format!("{number}").as_bytes())
            });
        }
        for number in 0..4 {
            assert_eq!(text(&slow.next().await), format!("{number}"));
        }
        bus.tell(&passing, size, || message(b"again"));
        assert_eq!(text(&slow.next().await), "lost 6");
        assert_eq!(text(&slow.next().await), "again");
        assert_eq!(slow.lost(), 0);
    }

    #[tokio::test]
    async fn a_sample_has_one_of_so_many_and_exchanges_as_a_whole() {
        let bus = Arc::<LiveBus>::default();
        let mut filter = watching(&[LiveTopic::Messages, LiveTopic::Bodies, LiveTopic::Findings]);
        filter.sample = std::num::NonZeroU32::new(10);
        let mut some = bus.subscribe(filter).unwrap();
        for number in 0..25 {
            bus.tell(&Passing::of(LiveTopic::Messages), 1, || {
                message(format!("{number}").as_bytes())
            });
        }
        for number in [0, 10, 20] {
            assert_eq!(text(&some.next().await), format!("{number}"));
        }
        assert_eq!((some.skipped(), some.skipped()), (22, 0));
        let mut seen = Vec::new();
        for exchange in 5..25 {
            let passing = Passing {
                exchange: Some(exchange),
                ..Passing::of(LiveTopic::Bodies)
            };
            for _ in 0..2 {
                bus.tell(&passing, 1, || message(format!("x{exchange}").as_bytes()));
            }
        }
        while let Some(delivery) = some.ready() {
            seen.push(text(&delivery));
        }
        assert_eq!(seen, ["x10", "x10", "x20", "x20"]);
        bus.tell_and_remember(&Passing::of(LiveTopic::Findings), 0, || message(b"found"));
        assert_eq!(
            text(&some.next().await),
            "found",
            "what is rare is never left out"
        );
    }

    #[test]
    fn there_is_an_end_to_those_who_may_watch_and_to_what_is_remembered() {
        let bus = Arc::<LiveBus>::default();
        let mut all: Vec<_> = (0..SUBSCRIBERS)
            .map(|_| bus.subscribe(LiveFilter::default()).unwrap())
            .collect();
        assert_eq!(bus.subscribe(LiveFilter::default()).unwrap_err(), NoPlaceLeft);
        all.pop();
        assert!(bus.subscribe(LiveFilter::default()).is_ok());
        for number in 0..REMEMBERED + 2 {
            bus.tell_and_remember(&Passing::of(LiveTopic::Refusals), 0, || EventKind::RefusedCa {
                server_name: number.to_string(),
                alert: "unknown_ca".into(),
            });
        }
        let kept = bus.refusals();
        assert_eq!(kept.len(), REMEMBERED);
        assert!(matches!(&kept[0].what, EventKind::RefusedCa { server_name, .. } if server_name == "2"));
        assert!(bus.findings().is_empty());
    }
}
