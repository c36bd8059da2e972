//! From those who state events to those who hear them.

use super::act::OperatorAct;
use super::config::{ReportConfig, ReportError};
use super::event::{Event, Topic};
use super::instance::Instance;
use super::sink::Sink;
use super::sinks::{self, Service, Services};
use crate::accept::{ClientLimit, Who};
use crate::admit::{AdmitWatch, Answer, CredentialsJudged};
use crate::dial::{LookUpOutcome, LookUpSource, NameWatch, ParentOutcome, ParentWatch};
use crate::error::Side;
use crate::http::{Flood, RequestDone, Watch};
use crate::inspect::{
    About, Background, Blind, Judgement, Onlookers, RecordedContent, ScanOutcome, SessionFacts, Witness,
};
use crate::live::LiveBus;
use crate::relay::{Batch, Meter};
use crate::wire::frame::Direction;
use crate::wire::names::Authority;
use prometheus::{Registry, TextEncoder};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Hears every event and hands it to the sinks.
#[derive(Debug)]
pub struct Report {
    registry: Registry,
    instance: Instance,
    services: Arc<Services>,
    live: Arc<LiveBus>,
    sinks: Vec<Arc<dyn Sink>>,
    /// By topic, those who listen to it.
    listeners: [Box<[Arc<dyn Sink>]>; Topic::ALL.len()],
}

impl Report {
    /// Opens every sink: each metric is at zero, the logs are open.
    ///
    /// # Errors
    /// When a log's file cannot be opened or a thread cannot be started.
    pub fn new(config: ReportConfig) -> Result<Arc<Self>, ReportError> {
        let (registry, instance) = (Registry::new(), Instance::random());
        let services = Arc::new(Services::new(&registry)?);
        let live = Arc::<LiveBus>::default();
        let sinks = sinks::open(&config, &instance, &services, &live, &registry)?;
        let report = Self::of(registry, instance, services, live, sinks);
        report.declare(&config);
        Ok(Arc::new(report))
    }

    fn of(
        registry: Registry,
        instance: Instance,
        services: Arc<Services>,
        live: Arc<LiveBus>,
        sinks: Vec<Arc<dyn Sink>>,
    ) -> Self {
        let listeners = Topic::ALL.map(|topic| {
            let those = sinks.iter().filter(|sink| sink.topics().contains(&topic));
            those.map(Arc::clone).collect()
        });
        Self {
            registry,
            instance,
            services,
            live,
            sinks,
            listeners,
        }
    }

    /// The id of this run of the program, which stands in every line of its logs.
    pub fn instance(&self) -> &str {
        self.instance.as_str()
    }

    /// Those who watch what happens.
    pub fn live(&self) -> &Arc<LiveBus> {
        &self.live
    }

    /// The service that a destination is of; `None` where services are not counted.
    pub(super) fn service(&self, target: &Authority) -> Option<Arc<Service>> {
        self.services.find(target)
    }

    /// States what happened. Never waits.
    #[inline]
    pub fn state(&self, event: &Event<'_>) {
        for sink in &self.listeners[event.topic() as usize] {
            sink.state(event);
        }
    }

    /// After a reload: what now holds of lists, rules, limits and recordings. Where the logs go stays as it was.
    pub fn declare(&self, config: &ReportConfig) {
        self.sinks.iter().for_each(|sink| sink.declare(config));
    }

    /// Every metric in Prometheus's text format 0.0.4. Reads `/proc`, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When two families contradict each other: a mistake in the program.
    pub fn scrape(&self) -> Result<String, ReportError> {
        self.sinks.iter().for_each(|sink| sink.refresh());
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// States what somebody does who may see and act; says whether that is written, where an audit log is to have it. What
    /// is not written must not be done. Blocks, at most for `limit`.
    #[must_use]
    pub fn act(&self, act: &OperatorAct, limit: Duration) -> bool {
        self.sinks.iter().all(|sink| sink.act(act, limit) != Some(false))
    }

    /// Opens the logs' files anew after logrotate has moved them away. Lines stated before go to the old files.
    pub fn reopen_logs(&self) {
        self.sinks.iter().for_each(|sink| sink.reopen());
    }

    /// Ends the recording, and waits at most for `limit` until it is written; tells whether it is. Blocks.
    pub fn finish_recording(&self, limit: Duration) -> bool {
        self.sinks.iter().all(|sink| sink.finish(limit))
    }

    /// Waits until every line that was stated is written, at most for `limit`; tells whether it is. Blocks: for the
    /// end of `main`, or `spawn_blocking`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.sinks.iter().all(|sink| sink.flush(limit))
    }
}

impl NameWatch for Report {
    fn looked_up(&self, source: LookUpSource, outcome: LookUpOutcome) {
        self.state(&Event::LookedUp(source, outcome));
    }

    fn queried(&self, outcome: LookUpOutcome, took: Duration, kept: usize) {
        self.state(&Event::Queried { outcome, took, kept });
    }
}

impl ParentWatch for Report {
    fn asked(&self, parent: &str, outcome: ParentOutcome, took: Duration) {
        self.state(&Event::ParentAsked {
            parent,
            outcome,
            took,
        });
    }

    fn is_well(&self, parent: &str, is_well: bool, why: &str) {
        self.state(&Event::ParentHealth { parent, is_well, why });
    }

    fn went_direct(&self) {
        self.state(&Event::WentDirect);
    }
}

impl AdmitWatch for Report {
    fn judged(&self, judged: &CredentialsJudged<'_>) {
        self.state(&Event::Login(judged));
    }

    fn asked(&self, directory: &'static str, answer: Answer, took: Duration) {
        self.state(&Event::DirectoryAsked {
            directory,
            answer,
            took,
        });
    }

    fn server_failed(&self, directory: &'static str, server: &str, why: &str) {
        self.state(&Event::DirectoryServerFailed {
            directory,
            server,
            why,
        });
    }

    fn locked_out(&self, claimed: &str, client: IpAddr, attempts: u32, rest: Duration) {
        self.state(&Event::LockedOut {
            claimed,
            client,
            attempts,
            rest,
        });
    }
}

impl Watch for Report {
    fn request_done(&self, done: &RequestDone) {
        self.state(&Event::Request(done));
    }

    fn flooded(&self, flood: Flood) {
        self.state(&Event::Flooded(flood));
    }

    fn limited(&self, limit: ClientLimit) {
        self.state(&Event::Limited(limit));
    }

    fn http1_fallback(&self, who: &Who, host: &str) {
        self.state(&Event::Http1Fallback { who, host });
    }
}

impl Meter for Report {
    fn batch(&self, batch: &Batch) {
        self.state(&Event::Batch(batch));
    }

    fn pong(&self, from: Side, round_trip: Duration) {
        self.state(&Event::Pong(from, round_trip));
    }
}

impl Witness for Report {
    fn judged(&self, facts: &SessionFacts, about: &About, judgement: &Judgement) {
        self.state(&Event::Judged {
            facts,
            about,
            judgement,
        });
    }

    fn blind(&self, facts: &SessionFacts, about: &About, why: Blind, stopped: bool) {
        self.state(&Event::Blind {
            facts,
            about,
            why,
            stopped,
        });
    }

    fn invalid_utf8(&self, _facts: &SessionFacts, direction: Direction) {
        self.state(&Event::InvalidUtf8(direction));
    }

    fn reframed(&self, direction: Direction, before: u64, after: u64) {
        self.state(&Event::Reframed {
            direction,
            before,
            after,
        });
    }

    fn inflated(&self, compressed: u64, plain: u64) {
        self.state(&Event::Inflated { compressed, plain });
    }

    fn scanned(&self, scanner: &str, outcome: &ScanOutcome, took: Duration) {
        self.state(&Event::Scanned {
            scanner,
            outcome,
            took,
        });
    }

    fn background(&self, what: Background) {
        self.state(&Event::Background(what));
    }

    fn content(&self, facts: &Arc<SessionFacts>, onlookers: Onlookers, content: &RecordedContent<'_>) {
        self.state(&Event::Content {
            facts,
            onlookers,
            content,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Keeps what it is told of its topics.
    #[derive(Debug)]
    struct Heard(&'static [Topic], Mutex<Vec<String>>);

    impl Sink for Heard {
        fn topics(&self) -> &'static [Topic] {
            self.0
        }

        fn state(&self, event: &Event<'_>) {
            self.1.lock().unwrap().push(format!("{event:?}"));
        }
    }

    #[test]
    fn a_sink_hears_its_topics_and_no_other() {
        let heard = |topics| Arc::new(Heard(topics, Mutex::default()));
        let frames = heard(&[Topic::Frames]);
        let others = heard(&[Topic::Requests, Topic::Inspection]);
        let registry = Registry::new();
        let services = Arc::new(Services::new(&registry).unwrap());
        let report = Report::of(
            registry,
            Instance::random(),
            services,
            Arc::default(),
            vec![frames.clone(), others.clone()],
        );
        report.pong(Side::Client, Duration::from_secs(1));
        report.flooded(Flood::Resets);
        let who = Who {
            connection: 1,
            client: std::net::Ipv4Addr::LOCALHOST.into(),
            user: None,
        };
        report.http1_fallback(&who, "old.example");
        report.inflated(1, 2);
        report.state(&Event::Accepted);
        assert_eq!(*frames.1.lock().unwrap(), ["Pong(Client, 1s)"]);
        assert_eq!(
            *others.1.lock().unwrap(),
            [
                "Flooded(Resets)",
                "Http1Fallback { who: Who { connection: 1, client: 127.0.0.1, user: None }, host: \"old.example\" }",
                "Inflated { compressed: 1, plain: 2 }",
            ]
        );
    }
}
