//! What handlers work on.

use super::answer::Problem;
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
}

impl ApiContext {
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
