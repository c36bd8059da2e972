//! What an answer means.

use super::super::answer::{ScanAnswer, ScanFailure, printable};
use super::head::{AnsweredMessage, IcapHead};
use super::modification::Modification;
use super::request::Wrapped;
use crate::inspect::ScanOutcome;
use bytes::Bytes;

/// What the head of an ICAP response says was found, in the headers that servers use for it
/// (draft-stecher-icap-subid section 2 and what Symantec's and others' servers send).
pub(super) fn named(head: &IcapHead) -> Option<String> {
    if let Some(value) = head.header("x-infection-found") {
        let threat = value
            .split(';')
            .filter_map(|part| part.trim().split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case("threat"));
        return Some(printable(threat.map_or(value, |(_, name)| name)));
    }
    if let Some(value) = head.header("x-virus-id") {
        return Some(printable(value));
    }
    // A count, then for each violation four lines: the file, the name, and two numbers.
    let mut lines = head
        .header("x-violations-found")?
        .split('\t')
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let count = lines.next()?;
    if count == "0" {
        return None;
    }
    Some(printable(lines.nth(1).unwrap_or("a violation without a name")))
}

/// What the HTTP head that came back says was found: the content must not go where it was going.
pub(super) fn blocked(inner: &AnsweredMessage, sent: &Wrapped) -> Option<String> {
    match inner {
        AnsweredMessage::Request { method, target, .. } => {
            let same = *method == sent.method.as_str() && path_of(target) == path_of(&sent.target);
            let kept = sent.modification == Modification::Request;
            (!(kept && same)).then(|| printable(&format!("the request was turned into {method} {target}")))
        }
        // A response to what goes to the origin is a page in the origin's place, whatever its status.
        AnsweredMessage::Response { status, .. } => {
            let same = Some(*status) == sent.status.map(|status| status.as_u16());
            let kept = sent.modification == Modification::Response;
            (!kept || !(same || (200..300).contains(status)))
                .then(|| format!("the scanner answers with status {status}"))
        }
    }
}

/// The path and query: servers write the URL with its host or without.
fn path_of(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://") else {
        return target;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// What a body that came back means.
pub(super) fn compared(inner: &AnsweredMessage, body: Bytes, sent: &Wrapped) -> ScanAnswer {
    if body == sent.content {
        return Ok(ScanOutcome::Clean);
    }
    let (AnsweredMessage::Request { coded, .. } | AnsweredMessage::Response { coded, .. }) = inner;
    if *coded {
        return Err(ScanFailure::Scanner(
            "its answer has a content coding, which the content did not have".to_owned(),
        ));
    }
    Ok(ScanOutcome::Replaced(body))
}
