//! What is stated of a recording, owned, on its way to the thread that writes it.

use crate::inspect::{HttpHead, Judgement, RecordedContent};
use crate::wire::frame::{Direction, Opcode};
use http::{StatusCode, Version};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What one piece takes besides its bytes.
const OVERHEAD: usize = 256;

#[derive(Debug)]
pub(super) enum HarPiece {
    Head(u64, HeadPiece),
    Body(u64, Direction, BodyBeginning),
    End(u64, ExchangeEnd),
    Message(MessagePiece),
    Closed {
        at: Duration,
        end: &'static str,
        code: Option<u16>,
    },
}

#[derive(Debug)]
pub(super) struct HeadPiece {
    pub(super) at: Duration,
    pub(super) version: Version,
    pub(super) head: HttpHead,
    pub(super) origin: Option<IpAddr>,
    pub(super) has_body: bool,
}

/// A body's beginning.
#[derive(Debug, Default)]
pub(super) struct BodyBeginning {
    pub(super) data: Vec<u8>,
    pub(super) size: u64,
    pub(super) ruled: Option<Ruled>,
}

#[derive(Debug)]
pub(super) struct ExchangeEnd {
    pub(super) wait: Duration,
    pub(super) total: Duration,
    pub(super) status: Option<StatusCode>,
    pub(super) error: Option<(&'static str, Option<String>)>,
}

#[derive(Debug)]
pub(super) struct MessagePiece {
    pub(super) direction: Direction,
    pub(super) opcode: Opcode,
    pub(super) number: u64,
    pub(super) at: Duration,
    pub(super) data: Vec<u8>,
    pub(super) size: u64,
    pub(super) is_whole: bool,
    pub(super) ruled: Option<Ruled>,
}

/// What rules did.
#[derive(Debug)]
pub(super) struct Ruled {
    verdict: &'static str,
    rules: Vec<Arc<str>>,
}

impl Ruled {
    fn of(judgement: &Judgement) -> Self {
        let acted = judgement.findings.iter().filter(|finding| finding.enforced);
        Self {
            verdict: judgement.verdict.label(),
            rules: acted.map(|finding| Arc::clone(&finding.rule)).collect(),
        }
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
        let rules: Vec<Value> = self.rules.iter().map(|rule| (&**rule).into()).collect();
        let verdict = ("verdict".to_owned(), self.verdict.into());
        Map::from_iter([verdict, ("rules".to_owned(), rules.into())])
    }

    pub(super) fn words(&self) -> String {
        format!("{} by {}", self.verdict, self.rules.join(", "))
    }
}

impl HarPiece {
    pub(super) fn of(content: &RecordedContent<'_>) -> Self {
        match *content {
            RecordedContent::Head {
                exchange,
                at,
                version,
                head,
                origin,
                has_body,
            } => Self::Head(
                exchange,
                HeadPiece {
                    at,
                    version,
                    head: head.clone(),
                    origin,
                    has_body,
                },
            ),
            RecordedContent::Body {
                exchange,
                direction,
                data,
                size,
                judgement,
            } => Self::Body(
                exchange,
                direction,
                BodyBeginning {
                    data: data.to_vec(),
                    size,
                    ruled: judgement.map(Ruled::of),
                },
            ),
            RecordedContent::End {
                exchange,
                wait,
                total,
                status,
                error,
            } => Self::End(
                exchange,
                ExchangeEnd {
                    wait,
                    total,
                    status,
                    error: error.map(|(label, detail)| (label, detail.map(str::to_owned))),
                },
            ),
            RecordedContent::Message {
                direction,
                opcode,
                number,
                at,
                data,
                size,
                is_whole,
                judgement,
            } => Self::Message(MessagePiece {
                direction,
                opcode,
                number,
                at,
                data: data.to_vec(),
                size,
                is_whole,
                ruled: judgement.map(Ruled::of),
            }),
            RecordedContent::Closed { at, end, code } => Self::Closed { at, end, code },
        }
    }

    /// What it takes in memory, about.
    pub(super) fn cost(content: &RecordedContent<'_>) -> usize {
        OVERHEAD
            + match content {
                RecordedContent::Head { head, .. } => head
                    .headers
                    .iter()
                    .map(|(name, value)| name.as_str().len() + value.len() + 64)
                    .sum(),
                RecordedContent::Body { data, .. } | RecordedContent::Message { data, .. } => data.len(),
                RecordedContent::End { .. } | RecordedContent::Closed { .. } => 0,
            }
    }
}
