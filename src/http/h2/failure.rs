//! Why a client's connection of HTTP/2 broke.

use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::served::ServeError;
use crate::http::h2::leg::Activity;
use crate::http::watch::Flood;
use ::h2::Reason;

/// Whether a client's connection was closed for what it sent.
pub(in crate::http) fn is_flood(error: &::h2::Error) -> bool {
    error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM)
}

/// Why a client's connection broke.
pub(in crate::http) fn failure(
    error: &::h2::Error,
    context: &ExchangeContext,
    activity: &Activity,
) -> ServeError {
    if is_flood(error) {
        context.watch.flooded(Flood::Frames);
    }
    ServeError {
        error: if error.is_library() {
            HttpError::BadRequest
        } else {
            HttpError::Aborted(Side::Client)
        },
        refusal: activity.refusal(),
        text: error.to_string(),
        is_told: false,
    }
}
