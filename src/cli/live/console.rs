//! `wsbump console`: a way into the console of a running proxy.

use super::client::LiveClient;
use crate::cli::args::LivePlace;
use crate::cli::output::{CommandError, emit};
use crate::live::printable;
use serde_json::json;

/// `wsbump console`: prints an address that logs a browser in, once.
///
/// # Errors
/// No proxy answers, or it has no console.
pub fn console(place: &LivePlace) -> Result<(), CommandError> {
    let client = LiveClient::of(place)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    let answer = runtime.block_on(client.post("/api/v1/login", &json!({})))?;
    let url = answer["url"].as_str().unwrap_or_default();
    emit(format!("{}\n", printable(url, false)).as_bytes())
}
