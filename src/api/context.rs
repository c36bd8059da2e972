//! What handlers work on.

use super::answer::Problem;
use super::kept::KeptStreams;
use super::rights::Caller;
use super::unlocks::{Locked, Unlocks};
use crate::journey::Proxy;
use crate::report::OperatorAct;
use http::StatusCode;
use serde_json::{Map, Value};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a line of the audit log may take.
const LINE: Duration = Duration::from_secs(2);

/// Has the configuration loaded again; the error says what is wrong with it.
type Reload = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync;

/// What the process does when it is asked to.
#[derive(Clone)]
pub struct Operator {
    /// Has the configuration loaded again.
    pub reload: Arc<Reload>,
    /// Has the process drain and end.
    pub drain: Arc<dyn Fn() + Send + Sync>,
    /// An address of the console that logs one in, once; none if there is no console.
    pub login: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").finish_non_exhaustive()
    }
}

/// What handlers work on.
#[derive(Debug, Clone)]
pub struct ApiContext {
    /// What they look at.
    pub proxy: Arc<Proxy>,
    /// What they have done.
    pub operator: Operator,
    /// When the proxy began.
    pub since: Instant,
    /// Ends streams.
    pub over: CancellationToken,
    /// Streams that can be taken up again.
    pub(super) streams: Arc<KeptStreams>,
    /// Who may see what is locked, and for how long.
    pub(super) unlocks: Arc<Unlocks>,
}

impl ApiContext {
    /// Of a proxy that begins now.
    pub fn new(proxy: Arc<Proxy>, operator: Operator, over: CancellationToken) -> Self {
        Self {
            proxy,
            operator,
            since: Instant::now(),
            over,
            streams: Arc::default(),
            unlocks: Arc::default(),
        }
    }

    /// Until when somebody sees the names of people, whatever others see.
    pub(super) fn sees_people(&self, caller: &Caller) -> Option<Instant> {
        let is_locked = self.proxy.config.load().view.two_persons.people;
        let until = || self.unlocks.until(Locked::People, &caller.person, Instant::now());
        is_locked.then(until).flatten()
    }

    /// Has the audit log say what somebody does, before it is done.
    ///
    /// # Errors
    /// It cannot, and so it is not done.
    pub(super) async fn act(
        &self,
        kind: &'static str,
        by: &str,
        details: Map<String, Value>,
    ) -> Result<(), Problem> {
        let act = OperatorAct {
            r#type: kind,
            by: by.to_owned(),
            details,
        };
        let report = Arc::clone(&self.proxy.report);
        let written = tokio::task::spawn_blocking(move || report.act(&act, LINE)).await;
        match written {
            Ok(true) => Ok(()),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the audit log cannot be written, and nothing is done that it does not have",
            )),
        }
    }
}
