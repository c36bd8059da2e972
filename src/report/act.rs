//! What somebody does who may see and act, as the audit log has it.

use serde::Serialize;
use serde_json::{Map, Value};

/// What somebody does who may see and act.
#[derive(Debug, Clone, Serialize)]
pub struct OperatorAct {
    /// `view` before content is shown, or `export` before it is kept, each with `_ended` behind it; `operation` for what changes
    /// something.
    pub r#type: &'static str,
    /// Who.
    pub by: String,
    /// What exactly.
    #[serde(flatten)]
    pub details: Map<String, Value>,
}
