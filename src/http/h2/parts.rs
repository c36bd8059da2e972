//! The parts of one task, each of which is polled only when it was woken itself.
//!
//! A request over HTTP/2 goes from the client's connection to a stream, from there to the origin's connection, and its
//! response the same way back: each of them wakes the next. If all were polled whenever one is woken, most polls would find
//! nothing to do. And what wakes another part of the task that is running need not have the scheduler run it again.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::task::coop::has_budget_remaining;

/// A part of a connection's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum TaskPart {
    /// The client's connection.
    Client,
    /// What serves the streams.
    Streams,
    /// The origin's connection.
    Origin,
    /// What comes of itself: deadlines, and the end of the program.
    Clock,
}

impl TaskPart {
    /// In the order in which they are polled: what one of them says goes on with the next.
    const ALL: [Self; 4] = [Self::Client, Self::Streams, Self::Origin, Self::Clock];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The parts are being polled: whoever wakes one of them need not wake the task.
const POLLED: u8 = 1 << TaskPart::ALL.len();

/// How often one poll goes round: other tasks want their turn.
const ROUNDS: usize = 8;

/// Which parts were woken.
pub(in crate::http) struct TaskParts {
    task: Arc<Task>,
    /// By [`TaskPart::ALL`].
    wakers: [Waker; TaskPart::ALL.len()],
}

struct Task {
    /// The bits of the parts that were woken, and [`POLLED`].
    state: AtomicU8,
    waker: AtomicWaker,
}

struct PartWaker {
    task: Arc<Task>,
    bit: u8,
}

impl Wake for PartWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.task.state.fetch_or(self.bit, Ordering::AcqRel);
        if before & (self.bit | POLLED) == 0 {
            self.task.waker.wake();
        }
    }
}

impl TaskParts {
    /// All of them are to be polled.
    pub(in crate::http) fn new() -> Self {
        let task = Arc::new(Task {
            state: AtomicU8::new(POLLED - 1),
            waker: AtomicWaker::new(),
        });
        let wakers = TaskPart::ALL.map(|part| {
            Waker::from(Arc::new(PartWaker {
                task: Arc::clone(&task),
                bit: part.bit(),
            }))
        });
        Self { task, wakers }
    }

    /// Has this part polled at the next opportunity: something was done to it that it does not notice by itself.
    pub(in crate::http) fn mark(&self, part: TaskPart) {
        self.task.state.fetch_or(part.bit(), Ordering::AcqRel);
    }

    /// Has `each` poll the parts that were woken until none is left or something comes of one.
    pub(in crate::http) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut each: impl FnMut(TaskPart, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Task { state, waker } = &*self.task;
        waker.register(cx.waker());
        state.fetch_or(POLLED, Ordering::AcqRel);
        for _ in 0..ROUNDS {
            for (part, waker) in TaskPart::ALL.into_iter().zip(&self.wakers) {
                if state.load(Ordering::Acquire) & part.bit() == 0 {
                    continue;
                }
                state.fetch_and(!part.bit(), Ordering::AcqRel);
                let polled = each(part, &mut Context::from_waker(waker));
                if polled.is_ready() {
                    // It may have more to say.
                    self.mark(part);
                    state.fetch_and(!POLLED, Ordering::AcqRel);
                    return polled;
                }
            }
            let settled = state.compare_exchange(POLLED, 0, Ordering::AcqRel, Ordering::Acquire);
            if settled.is_ok() {
                return Poll::Pending;
            }
            // At the end of the task's budget every part wakes itself, and none gets anywhere until the task has returned.
            if !has_budget_remaining() {
                break;
            }
        }
        state.fetch_and(!POLLED, Ordering::AcqRel);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls once; which parts were polled, in turn. What `each` returns ends it.
    fn polled(
        parts: &TaskParts,
        woken: &Arc<Woken>,
        mut each: impl FnMut(TaskPart, &Waker) -> bool,
    ) -> (Vec<TaskPart>, Poll<()>) {
        let mut seen = Vec::new();
        let waker = Waker::from(Arc::clone(woken));
        let polled = parts.poll(&mut Context::from_waker(&waker), |part, cx| {
            seen.push(part);
            match each(part, cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        (seen, polled)
    }

    #[test]
    fn a_part_is_polled_when_it_was_woken_and_not_before() {
        let (parts, woken) = (TaskParts::new(), Arc::<Woken>::default());
        let times = || woken.0.load(Ordering::Relaxed);
        let mut wakers = Vec::new();
        let first = polled(&parts, &woken, |_, waker| {
            wakers.push(waker.clone());
            false
        });
        assert_eq!(
            first,
            (TaskPart::ALL.to_vec(), Poll::Pending),
            "each of them begins"
        );
        assert_eq!(polled(&parts, &woken, |_, _| false), (vec![], Poll::Pending));
        assert_eq!(times(), 0);
        wakers[2].wake_by_ref();
        wakers[2].wake_by_ref();
        assert_eq!(times(), 1, "the task is woken once");
        wakers[0].wake_by_ref();
        let both = vec![TaskPart::Client, TaskPart::Origin];
        assert_eq!(polled(&parts, &woken, |_, _| false), (both, Poll::Pending));
        wakers[2].wake_by_ref();
        assert!(times() > 1, "and again when it has been polled");
        parts.mark(TaskPart::Clock);
        let marked = vec![TaskPart::Origin, TaskPart::Clock];
        assert_eq!(polled(&parts, &woken, |_, _| false), (marked, Poll::Pending));
    }

    #[test]
    fn what_one_part_says_reaches_the_next_within_one_poll() {
        let (parts, woken) = (TaskParts::new(), Arc::<Woken>::default());
        let mut wakers = Vec::new();
        let _ = polled(&parts, &woken, |_, waker| {
            wakers.push(waker.clone());
            false
        });
        wakers[2].wake_by_ref();
        let before = woken.0.load(Ordering::Relaxed);
        // As a response goes: from the origin to its stream, and on to the client.
        let (seen, _) = polled(&parts, &woken, |part, _| {
            match part {
                TaskPart::Origin => wakers[1].wake_by_ref(),
                TaskPart::Streams => wakers[0].wake_by_ref(),
                _ => {}
            }
            false
        });
        assert_eq!(seen, [TaskPart::Origin, TaskPart::Streams, TaskPart::Client]);
        assert_eq!(
            woken.0.load(Ordering::Relaxed),
            before,
            "the task is running anyway"
        );
    }

    #[test]
    fn a_part_that_something_came_of_is_polled_again() {
        let (parts, woken) = (TaskParts::new(), Arc::<Woken>::default());
        let (seen, ended) = polled(&parts, &woken, |part, _| part == TaskPart::Streams);
        assert_eq!(
            (seen, ended),
            (vec![TaskPart::Client, TaskPart::Streams], Poll::Ready(()))
        );
        let (seen, _) = polled(&parts, &woken, |_, _| false);
        assert_eq!(seen, [TaskPart::Streams, TaskPart::Origin, TaskPart::Clock]);
    }

    #[test]
    fn a_part_that_wakes_itself_lets_the_task_return_and_come_back() {
        let (parts, woken) = (TaskParts::new(), Arc::<Woken>::default());
        let (seen, ended) = polled(&parts, &woken, |part, waker| {
            if part == TaskPart::Client {
                waker.wake_by_ref();
            }
            false
        });
        assert_eq!((seen.len(), ended), (ROUNDS + 3, Poll::Pending));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(polled(&parts, &woken, |_, _| false).0, [TaskPart::Client]);
    }

    #[tokio::test]
    async fn a_task_at_the_end_of_its_budget_returns_at_once() {
        let (parts, woken) = (TaskParts::new(), Arc::<Woken>::default());
        while has_budget_remaining() {
            // Uses it up, bit by bit.
            tokio::task::coop::consume_budget().await;
        }
        let (seen, ended) = polled(&parts, &woken, |_, waker| {
            waker.wake_by_ref();
            false
        });
        assert_eq!((seen, ended), (TaskPart::ALL.to_vec(), Poll::Pending));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        const WAKES: usize = 20_000;
        let (parts, woken) = (TaskParts::new(), Arc::<Woken>::default());
        let mut wakers = Vec::new();
        let _ = polled(&parts, &woken, |_, waker| {
            wakers.push(waker.clone());
            false
        });
        let said = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..WAKES {
                    said.fetch_add(1, Ordering::SeqCst);
                    wakers[1].wake_by_ref();
                }
            });
            let (mut heard, mut turns) = (0, 0);
            while heard < WAKES {
                // As a scheduler does: the task runs only when it was woken.
                let now = woken.0.load(Ordering::SeqCst);
                if now == turns {
                    std::thread::yield_now();
                    continue;
                }
                turns = now;
                let _ = polled(&parts, &woken, |part, _| {
                    if part == TaskPart::Streams {
                        heard = said.load(Ordering::SeqCst);
                    }
                    false
                });
            }
        });
    }
}
