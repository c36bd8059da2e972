//! Asks scanners, for messages and for bodies alike: what they are given, how long they take, who is told of it, and what
//! their failure means. Whoever waits for the answer brings the clock.

use super::SessionFacts;
use super::facts::Subject;
use super::inspector::{Inspection, Inspector};
use super::judgement::{Judgement, Judging};
use super::rules::RuleSession;
use super::scan::{OnFailure, ScanItem, ScanOutcome, Scanner, ScannerId, Scanning};
use super::witness::{About, Background, Blind};
use crate::wire::frame::Opcode;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// For whom scanners are asked.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Whose witness is told.
    pub inspector: &'a Arc<Inspector>,
    /// Whose scanners are asked: those that the rules name.
    pub inspection: &'a Inspection,
    /// The content has gone on, so that nothing waits for the answer and nothing can be stopped.
    pub has_passed: bool,
}

impl Asker<'_> {
    /// What a scanner is to be asked; `None` without such a scanner, which is then taken to find nothing.
    pub fn question(self, id: ScannerId, item: ScanItem) -> Option<Question> {
        let scanner = self.inspection.scanners.get(id.0)?.clone();
        if self.has_passed {
            self.inspector.witness().background(Background::Started);
        }
        let about = about(&item);
        let asked = ScanContext {
            inspector: self.inspector.clone(),
            facts: item.facts.clone(),
            about,
            id,
            scanner,
            has_passed: self.has_passed,
        };
        Some(Question { asked, item })
    }

    /// Judges content that has nothing in front of it, and asks the scanners that its rules want, one after the other.
    /// Before one is asked about content that has gone on, `admits` says whether there is room for one more such scan;
    /// without it the scanner is taken to have failed, and what needs none is judged all the same.
    ///
    /// # Errors
    /// A scanner failed, and policy does not let pass what it could not scan.
    pub async fn judge(
        self,
        session: &mut RuleSession,
        item: &Subject<'_>,
        scan_item: impl Fn() -> ScanItem,
        clock: impl Fn() -> Duration,
        mut admits: impl FnMut() -> bool,
    ) -> Result<Judgement, Unscanned> {
        let mut scans = Vec::new();
        loop {
            let id = match session.judge(item, clock(), &scans) {
                Judging::Done(judgement) => return Ok(judgement),
                Judging::Scan(id) => id,
            };
            let scan_item = scan_item();
            if self.has_passed && self.inspection.scanners.get(id.0).is_some() && !admits() {
                let witness = self.inspector.witness();
                witness.blind(&scan_item.facts, &about(&scan_item), Blind::ScanFailed, false);
                witness.background(Background::LeftOut);
                scans.push((id, ScanOutcome::Failed("too many scans are under way".to_owned())));
                continue;
            }
            let Some(question) = self.question(id, scan_item) else {
                scans.push((id, ScanOutcome::Clean));
                continue;
            };
            let mut scan = question.ask(clock());
            let answer = poll_fn(|cx| scan.poll(cx, &clock)).await;
            if answer.stops() {
                return Err(Unscanned);
            }
            scans.push(answer.into_outcome());
        }
    }
}

fn about(item: &ScanItem) -> About {
    About {
        surface: item.surface,
        direction: item.direction,
        opcode: item.opcode.map(Opcode::label),
        size: item.data.len() as u64,
    }
}

/// A scanner failed whose failure stops what it was to scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unscanned;

impl fmt::Display for Unscanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it could not be scanned")
    }
}

impl std::error::Error for Unscanned {}

/// Who was asked, and about what.
#[derive(Debug, Clone)]
struct ScanContext {
    inspector: Arc<Inspector>,
    facts: Arc<SessionFacts>,
    about: About,
    id: ScannerId,
    scanner: Arc<dyn Scanner>,
    has_passed: bool,
}

impl ScanContext {
    fn answer(self, outcome: ScanOutcome, took: Duration) -> Answer {
        let witness = self.inspector.witness();
        witness.scanned(self.scanner.name(), &outcome, took);
        if self.has_passed {
            witness.background(Background::Finished);
        }
        Answer { asked: self, outcome }
    }
}

/// What a scanner is to be asked.
#[derive(Debug)]
pub struct Question {
    asked: ScanContext,
    item: ScanItem,
}

impl Question {
    /// Begins the scan, at this time of the clock that [`Scan::poll`] is given.
    pub fn ask(self, now: Duration) -> Scan {
        Scan {
            scanning: self.asked.scanner.scan(self.item),
            asked: self.asked,
            begun: now,
        }
    }

    /// What the scanner would be given.
    #[cfg(test)]
    pub(super) fn item(&self) -> &ScanItem {
        &self.item
    }

    /// The answer of a scanner that is not asked at all.
    #[cfg(test)]
    pub(super) fn answered(self, outcome: ScanOutcome) -> Answer {
        self.asked.answer(outcome, Duration::ZERO)
    }
}

/// A scan under way.
pub struct Scan {
    asked: ScanContext,
    begun: Duration,
    scanning: Scanning,
}

impl Scan {
    /// Whether the scanner has answered; not to be asked again when it has.
    pub fn poll(&mut self, cx: &mut Context<'_>, clock: impl FnOnce() -> Duration) -> Poll<Answer> {
        let Poll::Ready(outcome) = self.scanning.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        let took = clock().saturating_sub(self.begun);
        Poll::Ready(self.asked.clone().answer(outcome, took))
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("asked", &self.asked)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

/// What a scanner has answered.
#[derive(Debug)]
pub struct Answer {
    asked: ScanContext,
    outcome: ScanOutcome,
}

impl Answer {
    /// Tells of content that could not be scanned, if it is that, and says whether policy stops it. For whoever still has
    /// the content: what was let go meanwhile has been told of.
    pub fn stops(&self) -> bool {
        let ScanContext {
            inspector,
            facts,
            about,
            scanner,
            has_passed,
            ..
        } = &self.asked;
        if !matches!(self.outcome, ScanOutcome::Failed(_)) {
            return false;
        }
        let stopped = !has_passed && scanner.on_failure() == OnFailure::Close;
        inspector
            .witness()
            .blind(facts, about, Blind::ScanFailed, stopped);
        stopped
    }

    /// What rules are told, whether it is a failure or not.
    pub fn into_outcome(self) -> (ScannerId, ScanOutcome) {
        (self.asked.id, self.outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::super::testing::{Heard, facts};
    use super::super::{Action, LooksFor, Mode, RuleSpec, Ruling, Surface, Where};
    use super::*;
    use crate::wire::frame::Direction;
    use bytes::Bytes;
    use std::sync::Mutex;
    use std::task::Waker;

    /// Answers with this, at the second time that it is polled.
    #[derive(Debug)]
    struct Says(ScanOutcome, OnFailure, Mutex<Vec<Bytes>>);

    impl Scanner for Says {
        fn name(&self) -> &str {
            "says"
        }

        fn on_failure(&self) -> OnFailure {
            self.1
        }

        fn scan(&self, item: ScanItem) -> Scanning {
            self.2.lock().unwrap().push(item.data);
            let (outcome, mut asked) = (self.0.clone(), false);
            Box::pin(poll_fn(move |_| {
                if std::mem::replace(&mut asked, true) {
                    Poll::Ready(outcome.clone())
                } else {
                    Poll::Pending
                }
            }))
        }
    }

    fn scans(id: usize) -> RuleSpec {
        RuleSpec {
            name: format!("scan {id}").into(),
            mode: Mode::Enforce,
            action: Action::Drop,
            place: Where::default(),
            what: LooksFor {
                scan: Some(ScannerId(id)),
                ..LooksFor::default()
            },
            decode: None,
        }
    }

    /// What the rules say about "content", and what is told on the way.
    fn judged(
        rules: Vec<RuleSpec>,
        scanners: &[Arc<Says>],
        has_passed: bool,
        room: usize,
    ) -> (Result<Judgement, Unscanned>, Vec<String>) {
        let heard = Arc::new(Heard::default());
        let inspection = Arc::new(Inspection {
            rules: Arc::new(Rules::compile(rules).unwrap()),
            scanners: scanners.iter().map(|it| it.clone() as Arc<dyn Scanner>).collect(),
            ..Inspection::default()
        });
        let inspector = Arc::new(Inspector::new(inspection.clone(), heard.clone()));
        let mut session = RuleSession::new(inspection.rules.clone(), facts());
        let asker = Asker {
            inspector: &inspector,
            inspection: &inspection,
            has_passed,
        };
        let data = Bytes::from_static(b"content");
        let item = Subject {
            surface: Surface::Body,
            direction: Direction::ToClient,
            opcode: None,
            data: &data,
            size: 7,
            head: None,
        };
        let scan_item = || ScanItem {
            facts: facts(),
            surface: Surface::Body,
            direction: Direction::ToClient,
            opcode: None,
            heads: None,
            data: data.clone(),
        };
        let mut room = (0..room).map(|_| true);
        let admits = || room.next().unwrap_or_default();
        let mut judging = Box::pin(asker.judge(&mut session, &item, scan_item, || Duration::ZERO, admits));
        let mut context = Context::from_waker(Waker::noop());
        let judgement = loop {
            if let Poll::Ready(judgement) = judging.as_mut().poll(&mut context) {
                break judgement;
            }
        };
        (judgement, heard.lines())
    }

    fn says(outcome: ScanOutcome, on_failure: OnFailure) -> Arc<Says> {
        Arc::new(Says(outcome, on_failure, Mutex::default()))
    }

    #[test]
    fn scanners_are_asked_one_after_the_other_until_a_rule_stops_it() {
        let scanners = [
            says(ScanOutcome::Clean, OnFailure::Close),
            says(ScanOutcome::Found("Eicar".into()), OnFailure::Pass),
            says(ScanOutcome::Clean, OnFailure::Pass),
        ];
        let (judgement, told) = judged(vec![scans(0), scans(1), scans(2)], &scanners, false, 0);
        assert_eq!(judgement.unwrap().verdict, Ruling::Drop);
        assert_eq!(told, ["scanned says clean", "scanned says found"]);
        let asked: Vec<usize> = scanners.iter().map(|it| it.2.lock().unwrap().len()).collect();
        assert_eq!(asked, [1, 1, 0]);
        assert_eq!(scanners[0].2.lock().unwrap()[0], "content");
    }

    #[test]
    fn a_failure_stops_what_waits_if_policy_says_so() {
        let failed = || ScanOutcome::Failed("gone".into());
        for (on_failure, has_passed, stopped) in [
            (OnFailure::Close, false, true),
            (OnFailure::Pass, false, false),
            (OnFailure::Close, true, false),
            (OnFailure::Pass, true, false),
        ] {
            let (judgement, told) = judged(vec![scans(0)], &[says(failed(), on_failure)], has_passed, 1);
            let want = if stopped {
                Err(Unscanned)
            } else {
                Ok(Judgement::pass())
            };
            assert_eq!(judgement, want, "{on_failure:?} {has_passed}");
            let blind = format!("blind body scan_failed stopped={stopped}");
            let want = if has_passed {
                vec![
                    "background started",
                    "scanned says failed",
                    "background finished",
                    &blind,
                ]
            } else {
                vec!["scanned says failed", &blind]
            };
            assert_eq!(told, want, "{on_failure:?} {has_passed}");
        }
    }

    #[test]
    fn a_scanner_that_is_not_there_finds_nothing() {
        let (judgement, told) = judged(vec![scans(3)], &[], true, 0);
        assert_eq!((judgement, told), (Ok(Judgement::pass()), Vec::new()));
    }

    #[test]
    fn without_room_for_a_scan_the_other_rules_judge_all_the_same() {
        let words = RuleSpec {
            name: "words".into(),
            mode: Mode::Enforce,
            action: Action::Drop,
            place: Where::default(),
            what: LooksFor {
                keywords: vec!["content".to_owned()],
                ..LooksFor::default()
            },
            decode: None,
        };
        let scanners = [says(ScanOutcome::Clean, OnFailure::Close)];
        let (judgement, told) = judged(vec![scans(0), words], &scanners, true, 0);
        assert_eq!(judgement.unwrap().verdict, Ruling::Drop);
        assert_eq!(
            told,
            ["blind body scan_failed stopped=false", "background left_out"]
        );
        assert!(scanners[0].2.lock().unwrap().is_empty());
    }

    #[test]
    fn the_time_is_that_of_the_clock() {
        /// Keeps how long scans took.
        #[derive(Default)]
        struct Took(Mutex<Vec<Duration>>);
        impl super::super::Witness for Took {
            fn judged(&self, _: &SessionFacts, _: &About, _: &Judgement) {}
            fn blind(&self, _: &SessionFacts, _: &About, _: Blind, _: bool) {}
            fn invalid_utf8(&self, _: &SessionFacts, _: Direction) {}
            fn reframed(&self, _: Direction, _: u64, _: u64) {}
            fn inflated(&self, _: u64, _: u64) {}
            fn scanned(&self, _: &str, _: &ScanOutcome, took: Duration) {
                self.0.lock().unwrap().push(took);
            }
            fn background(&self, _: Background) {}
            fn content(
                &self,
                _: &Arc<SessionFacts>,
                _: super::super::Onlookers,
                _: &super::super::RecordedContent<'_>,
            ) {
            }
        }
        let took = Arc::new(Took::default());
        let inspection = Arc::new(Inspection {
            scanners: vec![says(ScanOutcome::Clean, OnFailure::Pass)],
            ..Inspection::default()
        });
        let inspector = Arc::new(Inspector::new(inspection.clone(), took.clone()));
        let asker = Asker {
            inspector: &inspector,
            inspection: &inspection,
            has_passed: false,
        };
        let item = ScanItem {
            facts: facts(),
            surface: Surface::Message,
            direction: Direction::ToOrigin,
            opcode: Some(Opcode::Text),
            heads: None,
            data: Bytes::new(),
        };
        let mut scan = asker
            .question(ScannerId(0), item)
            .unwrap()
            .ask(Duration::from_secs(5));
        let mut context = Context::from_waker(Waker::noop());
        let early = scan.poll(&mut context, || panic!("nobody asks for the time yet"));
        assert!(early.is_pending());
        let Poll::Ready(answer) = scan.poll(&mut context, || Duration::from_secs(7)) else {
            panic!("it does not answer");
        };
        assert_eq!(took.0.lock().unwrap()[..], [Duration::from_secs(2)]);
        assert!(!answer.stops());
        assert_eq!(answer.into_outcome(), (ScannerId(0), ScanOutcome::Clean));
    }
}
