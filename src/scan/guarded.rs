//! What every scanner has around its protocol: a deadline, a bound on scans at once and on sizes, and rest.

use super::answer::{ScanAnswer, ScanFailure};
use super::clamd::Clamd;
use super::icap::{AdaptBounds, Icap};
use super::progress::{Progress, Stage};
use super::{ScannerConfig, ScannerKind};
use crate::breaker::{Breaker, Health, Permit};
use crate::dial::ServiceNames;
use crate::inspect::{AdaptItem, Adapted, OnFailure, ScanItem, ScanOutcome, Scanner, Scanning, Soon};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// A scanner within its bounds.
#[derive(Debug)]
pub(super) struct Guarded {
    inner: Arc<ScanGuard>,
}

#[derive(Debug)]
struct ScanGuard {
    config: ScannerConfig,
    engine: Engine,
    places: Semaphore,
    breaker: Mutex<Breaker>,
    /// Why the scanner failed last, for those that are refused because it rests.
    last: Mutex<String>,
}

/// The protocol that a scanner is spoken to in.
#[derive(Debug)]
enum Engine {
    Clamd(Clamd),
    Icap(Icap),
}

impl Engine {
    async fn scan(&self, item: ScanItem, progress: &Progress) -> ScanAnswer {
        match self {
            Self::Clamd(clamd) => clamd.scan(item.data, progress).await,
            Self::Icap(icap) => icap.scan(&item, progress).await,
        }
    }
}

impl Guarded {
    pub(super) fn new(config: ScannerConfig, names: &ServiceNames) -> Self {
        let engine = match &config.kind {
            ScannerKind::Clamd { address } => Engine::Clamd(Clamd::new(address.clone(), names.clone())),
            ScannerKind::Icap(icap) => {
                Engine::Icap(Icap::new(icap, names, config.concurrency, config.max_size))
            }
        };
        Self {
            inner: Arc::new(ScanGuard {
                engine,
                places: Semaphore::new(config.concurrency.max(1)),
                breaker: Mutex::new(Breaker::new(config.breaker)),
                last: Mutex::default(),
                config,
            }),
        }
    }
}

impl Scanner for Guarded {
    fn name(&self) -> &str {
        &self.inner.config.name
    }

    fn on_failure(&self) -> OnFailure {
        self.inner.config.on_failure
    }

    fn standby(&self) -> &[String] {
        &self.inner.config.standby
    }

    fn scan(&self, item: ScanItem) -> Scanning {
        let inner = Arc::clone(&self.inner);
        let until = Instant::now() + inner.config.deadline;
        Box::pin(async move { inner.scan(item, until).await })
    }

    fn adapt<'a>(&'a self, item: AdaptItem<'a>) -> Soon<'a, Adapted> {
        Box::pin(self.inner.adapt(item))
    }
}

impl ScanGuard {
    async fn scan(&self, item: ScanItem, until: Instant) -> ScanOutcome {
        let (size, most) = (item.data.len(), self.config.max_size);
        if size > most {
            return ScanOutcome::Failed(format!("too large: {size} bytes, and max_size is {most}"));
        }
        // Nobody waits for a place with a scanner that rests.
        let resting = self.breaker().resting(now());
        if let Some(left) = resting {
            return self.rests(left);
        }
        let Ok(place) = timeout_at(until, self.places.acquire()).await else {
            return ScanOutcome::Failed(format!(
                "busy: none of {} scans at once ended within {:?}",
                self.config.concurrency, self.config.deadline
            ));
        };
        let admitted = self.breaker().admit(now());
        let mut trial = match admitted {
            Ok(ticket) => Trial {
                inner: self,
                ticket,
                health: Health::Unknown,
            },
            Err(left) => return self.rests(left),
        };
        let (progress, deadline) = (Progress::new(), self.config.deadline);
        let answer = match timeout_at(until, self.engine.scan(item, &progress)).await {
            Ok(answer) => answer,
            Err(_) => match progress.stage() {
                // The trial ends without a word about the scanner.
                Stage::Waits => {
                    return ScanOutcome::Failed(format!(
                        "busy: none of the connections that the service allows (Max-Connections) was free within {deadline:?}"
                    ));
                }
                Stage::Connects => Err(ScanFailure::Scanner(format!("no connection within {deadline:?}"))),
                Stage::Asks => Err(ScanFailure::Scanner(format!("no answer within {deadline:?}"))),
            },
        };
        if let Err(ScanFailure::Scanner(text)) = &answer {
            self.last().clone_from(text);
        }
        trial.health = match &answer {
            Ok(_) | Err(ScanFailure::Content(_)) => Health::Well,
            Err(ScanFailure::Unasked(_)) => Health::Unknown,
            Err(ScanFailure::Scanner(_)) => Health::Failing,
        };
        drop((trial, place));
        answer.unwrap_or_else(|why| ScanOutcome::Failed(why.into_text()))
    }

    /// The same for a message that may be changed. Its deadline holds for each time that the service is waited for: how
    /// fast content comes is none of its business, and what waits for content keeps no other from the service.
    async fn adapt(&self, item: AdaptItem<'_>) -> Adapted {
        let Engine::Icap(icap) = &self.engine else {
            return Adapted::Failed("it changes no messages: only ICAP services do".to_owned());
        };
        let resting = self.breaker().resting(now());
        if let Some(left) = resting {
            return Adapted::Failed(self.why_it_rests(left));
        }
        let admitted = self.breaker().admit(now());
        let mut trial = match admitted {
            Ok(ticket) => Trial {
                inner: self,
                ticket,
                health: Health::Unknown,
            },
            Err(left) => return Adapted::Failed(self.why_it_rests(left)),
        };
        let bounds = AdaptBounds {
            deadline: self.config.deadline,
            max_size: self.config.max_size,
            places: &self.places,
            concurrency: self.config.concurrency,
        };
        let answer = icap.adapt(item, bounds).await;
        if let Err(ScanFailure::Scanner(text)) = &answer {
            self.last().clone_from(text);
        }
        trial.health = match &answer {
            Ok(_) | Err(ScanFailure::Content(_)) => Health::Well,
            Err(ScanFailure::Unasked(_)) => Health::Unknown,
            Err(ScanFailure::Scanner(_)) => Health::Failing,
        };
        drop(trial);
        answer.unwrap_or_else(|why| Adapted::Failed(why.into_text()))
    }

    fn rests(&self, left: Duration) -> ScanOutcome {
        ScanOutcome::Failed(self.why_it_rests(left))
    }

    fn why_it_rests(&self, left: Duration) -> String {
        let last = self.last();
        if left.is_zero() {
            format!("resting after failures, one scan is trying it now; the last failure: {last}")
        } else {
            format!("resting after failures, for another {left:.1?}; the last failure: {last}")
        }
    }

    /// Nothing is left half done under this lock.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is left half done under this lock.
    fn last(&self) -> MutexGuard<'_, String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event loop's time, which tests can move.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Tells the breaker how a scan went, also when it is given up: its WebSocket may end while it is under way.
struct Trial<'a> {
    inner: &'a ScanGuard,
    ticket: Permit,
    health: Health,
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        self.inner.breaker().ended(self.ticket, self.health, now());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Changeable, Content, Peer, Turn, message};
    use super::super::{Endpoint, IcapConfig, IcapUrl, Thresholds};
    use super::*;
    use crate::wire::frame::Direction;
    use std::task::{Context, Poll, Waker};
    use tokio::net::TcpListener;

    const CLEAN: &[u8] = b"stream: OK\0";

    fn config(endpoint: Endpoint) -> ScannerConfig {
        ScannerConfig {
            deadline: Duration::from_secs(5),
            breaker: Thresholds {
                failures: 2,
                rest: Duration::from_secs(30),
            },
            ..ScannerConfig::new("clamav", ScannerKind::Clamd { address: endpoint })
        }
    }

    fn item(text: &str) -> ScanItem {
        message(Direction::ToOrigin, text)
    }

    fn clean() -> Vec<Turn> {
        vec![Turn::HearsUntil(vec![0; 4]), Turn::Says(CLEAN.to_vec())]
    }

    fn failed(outcome: &ScanOutcome, word: &str) -> bool {
        matches!(outcome, ScanOutcome::Failed(text) if text.contains(word))
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_sent() {
        let scanner = Guarded::new(
            ScannerConfig {
                max_size: 4,
                on_failure: OnFailure::Close,
                ..config(Endpoint::parse("/nonexistent", 0).unwrap())
            },
            &ServiceNames::default(),
        );
        for _ in 0..3 {
            let outcome = scanner.scan(item("12345")).await;
            assert!(failed(&outcome, "too large"), "{outcome:?}");
        }
        assert!(failed(&scanner.scan(item("1234")).await, "cannot connect"));
        assert_eq!(scanner.on_failure(), OnFailure::Close);
    }

    #[tokio::test]
    async fn a_silent_scanner_costs_its_deadline_and_no_more() {
        // Nobody accepts; the kernel does.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scanner = Guarded::new(
            ScannerConfig {
                deadline: Duration::from_millis(100),
                ..config(Endpoint::parse(&address, 0).unwrap())
            },
            &ServiceNames::default(),
        );
        let begin = Instant::now();
        for _ in 0..2 {
            let outcome = scanner.scan(item("x")).await;
            assert!(failed(&outcome, "no answer within 100ms"), "{outcome:?}");
        }
        assert!(begin.elapsed() >= Duration::from_millis(200));
        let outcome = scanner.scan(item("x")).await;
        assert!(failed(&outcome, "resting"));
        assert!(
            failed(&outcome, "the last failure: no answer within 100ms"),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn waiting_for_a_place_counts_against_the_deadline_and_not_against_the_scanner() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scanner = Guarded::new(
            ScannerConfig {
                concurrency: 1,
                deadline: Duration::from_millis(100),
                ..config(Endpoint::parse(&address, 0).unwrap())
            },
            &ServiceNames::default(),
        );
        let mut first = scanner.scan(item("x"));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        let second = scanner.scan(item("x"));
        let third = scanner.scan(item("x"));
        let (second, third) = tokio::join!(second, third);
        assert!(failed(&second, "busy"), "{second:?}");
        assert!(failed(&third, "busy"), "{third:?}");
        drop(first);
        assert!(scanner.inner.breaker().resting(now()).is_none());
    }

    #[tokio::test]
    async fn waiting_for_one_of_the_services_connections_says_nothing_against_it_either() {
        let heard = Arc::new(tokio::sync::Notify::new());
        let options =
            "ICAP/1.0 200 OK\r\nMethods: REQMOD\r\nMax-Connections: 1\r\nEncapsulated: null-body=0\r\n\r\n";
        let peer = Peer::tcp(vec![vec![
            Turn::HearsUntil(b"null-body=0\r\n\r\n".to_vec()),
            Turn::Says(options.into()),
            Turn::HearsUntil(b"0\r\n\r\n".to_vec()),
            Turn::Tells(Arc::clone(&heard)),
            Turn::Hold,
        ]])
        .await;
        let url = format!("icap://{}/scan", peer.endpoint());
        let icap = IcapConfig::new(IcapUrl::parse(&url).unwrap());
        let scanner = Guarded::new(
            ScannerConfig {
                deadline: Duration::from_secs(1),
                kind: ScannerKind::Icap(icap),
                ..config(peer.endpoint())
            },
            &ServiceNames::default(),
        );
        // The first has the only connection, and is slow.
        let mut first = scanner.scan(item("x"));
        tokio::select! {
            outcome = &mut first => panic!("{outcome:?}"),
            () = heard.notified() => {}
        }
        let (second, third) = tokio::join!(scanner.scan(item("x")), scanner.scan(item("x")));
        for outcome in [second, third] {
            assert!(failed(&outcome, "busy"), "{outcome:?}");
            assert!(failed(&outcome, "Max-Connections"), "{outcome:?}");
        }
        drop(first);
        assert!(scanner.inner.breaker().resting(now()).is_none());
    }

    /// An ICAP service at a peer, within these bounds.
    fn icap(peer: &Peer, concurrency: usize) -> Guarded {
        let url = IcapUrl::parse(&format!("icap://{}/scan", peer.endpoint())).unwrap();
        let config = ScannerConfig {
            concurrency,
            deadline: Duration::from_secs(1),
            kind: ScannerKind::Icap(IcapConfig::new(url)),
            ..config(peer.endpoint())
        };
        Guarded::new(config, &ServiceNames::default())
    }

    fn options(more: &str) -> Vec<Turn> {
        let said = format!("ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n{more}Encapsulated: null-body=0\r\n\r\n");
        vec![
            Turn::HearsUntil(b"null-body=0\r\n\r\n".to_vec()),
            Turn::Says(said.into()),
        ]
    }

    #[tokio::test]
    async fn a_message_that_waits_for_a_connection_says_nothing_against_its_service() {
        let heard = Arc::new(tokio::sync::Notify::new());
        let rest = vec![
            Turn::HearsUntil(b"0\r\n\r\n".to_vec()),
            Turn::Tells(Arc::clone(&heard)),
            Turn::Hold,
        ];
        let peer = Peer::tcp(vec![[options("Max-Connections: 1\r\n"), rest].concat()]).await;
        let scanner = icap(&peer, 16);
        let [mut first, mut second, mut third] = [(); 3].map(|()| Changeable::new(Content::Here("x")));
        let mut first = scanner.adapt(first.item());
        tokio::select! {
            adapted = &mut first => panic!("{adapted:?}"),
            () = heard.notified() => {}
        }
        let (second, third) = tokio::join!(scanner.adapt(second.item()), scanner.adapt(third.item()));
        for adapted in [second, third] {
            let Adapted::Failed(why) = &adapted else {
                panic!("{adapted:?}");
            };
            assert!(why.contains("busy") && why.contains("Max-Connections"), "{why}");
        }
        drop(first);
        assert!(scanner.inner.breaker().resting(now()).is_none());
    }

    #[tokio::test]
    async fn content_that_does_not_come_keeps_no_other_message_from_the_service() {
        let rest = vec![
            Turn::HearsUntil(b"0\r\n\r\n".to_vec()),
            Turn::Says(b"ICAP/1.0 204 No Content\r\n\r\n".to_vec()),
        ];
        let peer = Peer::tcp(vec![[options(""), rest].concat()]).await;
        let scanner = icap(&peer, 1);
        let mut slow = Changeable::new(Content::Never);
        let mut slow = scanner.adapt(slow.item());
        let mut quick = Changeable::new(Content::Here("x"));
        let adapted = tokio::select! {
            biased;
            adapted = &mut slow => panic!("{adapted:?}"),
            adapted = scanner.adapt(quick.item()) => adapted,
        };
        assert_eq!(adapted, Adapted::Unchanged);
    }

    #[tokio::test]
    async fn a_scanner_that_fails_is_left_alone_and_tried_again() {
        let peer = Peer::tcp(vec![
            vec![Turn::Says(b"nonsense\0".to_vec())],
            vec![Turn::Says(b"nonsense\0".to_vec())],
            clean(),
            clean(),
        ])
        .await;
        let mut config = config(peer.endpoint());
        config.breaker.rest = Duration::from_millis(500);
        let scanner = Guarded::new(config, &ServiceNames::default());
        for _ in 0..2 {
            let outcome = scanner.scan(item("x")).await;
            assert!(matches!(outcome, ScanOutcome::Failed(_)), "{outcome:?}");
        }
        let outcome = scanner.scan(item("x")).await;
        assert!(failed(&outcome, "resting"), "{outcome:?}");
        let outcome = loop {
            let outcome = scanner.scan(item("x")).await;
            if !failed(&outcome, "resting") {
                break outcome;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(outcome, ScanOutcome::Clean);
        assert_eq!(scanner.scan(item("x")).await, ScanOutcome::Clean);
        peer.ended().await;
    }

    #[tokio::test]
    async fn a_scan_that_is_given_up_says_nothing_about_the_scanner() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let scanner = Guarded::new(
            config(Endpoint::parse(&address, 0).unwrap()),
            &ServiceNames::default(),
        );
        for _ in 0..3 {
            let mut scan = scanner.scan(item("x"));
            let mut context = Context::from_waker(Waker::noop());
            assert_eq!(scan.as_mut().poll(&mut context), Poll::Pending);
        }
        assert!(scanner.inner.breaker().resting(now()).is_none());
        assert_eq!(scanner.inner.places.available_permits(), 16);
    }
}
