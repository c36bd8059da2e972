//! The ways in which the receivers of a body may read it. A body whose codings cannot be taken off, and text in UTF-16 or
//! UTF-32, has more than one: rules look at each of them.

use crate::http::inspected::exchange::{Content, InspectedExchange};
use crate::http::message::coding::{self, CodingError};
use crate::http::message::text::WideText;
use crate::inspect::{Blind, Buffered, Finding, HttpHead, Judgement, Ruling, Share, Unscanned};
use crate::wire::frame::Direction;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use std::sync::Arc;

/// What there is of a body to be looked at.
#[derive(Debug)]
pub(super) struct Views {
    /// Without its codings, as far as they could be taken off.
    pub(super) plain: Bytes,
    /// Where that is not all of it: what else its receiver may read, the body as it came included.
    pub(super) others: Vec<Bytes>,
    /// Why that is not all of it.
    pub(super) blind: Option<Blind>,
    /// The room that those take which did not come so.
    _share: Option<Share>,
}

/// How a body is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// All of it is there, so that something can go on in its place.
    pub(super) is_whole: bool,
    /// It has gone on, and nothing can be stopped.
    pub(super) has_passed: bool,
    /// How large it is, where that is known to be more than what has come.
    pub(super) announced: u64,
}

impl InspectedExchange {
    /// What there is to be looked at of a body that came as `raw`.
    pub(super) fn views(&self, head: &HttpHead, raw: Bytes) -> Views {
        let codings = coding::codings(&head.headers);
        if codings.is_empty() {
            return Views {
                plain: raw,
                others: Vec::new(),
                blind: None,
                _share: None,
            };
        }
        let compressed = raw.len() as u64;
        let decoded = coding::decode(&codings, raw.to_vec(), self.inspection.budgets.message);
        if !decoded.plain.is_empty() {
            let plain = decoded.plain.len() as u64;
            self.inspector.witness().inflated(compressed, plain);
        }
        let mut share = Share::new(Arc::clone(self.inspector.kept()), Buffered::Decoded);
        let size = decoded.others.iter().map(Vec::capacity).sum::<usize>() + decoded.plain.capacity();
        if !share.resize(size) {
            return Views {
                plain: raw,
                others: Vec::new(),
                blind: Some(Blind::ProcessBudget),
                _share: None,
            };
        }
        Views {
            plain: decoded.plain.into(),
            others: decoded.others.into_iter().map(Bytes::from).collect(),
            _share: Some(share),
            blind: decoded.error.map(|error| match error {
                CodingError::Unknown => Blind::UnknownCoding,
                CodingError::Corrupt => Blind::Corrupt,
                CodingError::Limit => Blind::MessageBudget,
            }),
        }
    }

    /// Has the rules look at a body in all of its views: the first one that is stopped or changed decides.
    ///
    /// # Errors
    /// A scanner failed, and policy does not let pass what it could not scan.
    pub(super) async fn judge_views(
        &self,
        direction: Direction,
        head: &Arc<HttpHead>,
        views: &Views,
        how: How,
        mut admits: impl FnMut() -> bool,
    ) -> Result<Judgement, Unscanned> {
        let mut all = Judgement::pass();
        let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
        fn content<'a>(
            direction: Direction,
            head: &'a Arc<HttpHead>,
            data: &'a Bytes,
            size: u64,
        ) -> Content<'a> {
            Content {
                direction,
                head,
                data,
                size,
            }
        }
        for view in std::iter::once(&views.plain).chain(&views.others) {
            let texts = WideText::readings(kind, view);
            let is_only = how.is_whole && views.blind.is_none();
            let as_it_is = content(direction, head, view, how.announced.max(view.len() as u64));
            let said = self
                .judge(&mut self.session(), as_it_is, how.has_passed, &mut admits)
                .await?;
            add(&mut all, said, |changed| {
                (is_only && texts.is_empty()).then_some(changed)
            });
            for text in &texts {
                if is_settled(&all) {
                    return Ok(all);
                }
                let utf8 = Bytes::copy_from_slice(text.utf8.as_bytes());
                let as_text = content(direction, head, &utf8, utf8.len() as u64);
                let said = self
                    .judge(&mut self.session(), as_text, how.has_passed, &mut admits)
                    .await?;
                add(&mut all, said, |changed| {
                    let changed = String::from_utf8(changed).ok()?;
                    text.write(&changed).filter(|_| is_only && texts.len() == 1)
                });
            }
            if is_settled(&all) {
                return Ok(all);
            }
        }
        Ok(all)
    }
}

/// Adds what was said to one more view. A rule that has found something before is not told of again, and what cannot be
/// written back by `write` is stopped instead.
fn add(all: &mut Judgement, said: Judgement, write: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
    let Judgement { verdict, findings } = said;
    let decides = verdict != Ruling::Pass;
    let last = findings.len().saturating_sub(1);
    for (at, finding) in findings.into_iter().enumerate() {
        if (decides && at == last) || all.findings.iter().all(|known| known.rule != finding.rule) {
            all.findings.push(finding);
        }
    }
    all.verdict = match verdict {
        Ruling::Replace(changed) => match write(changed) {
            Some(changed) => Ruling::Replace(changed),
            None => {
                if let Some(finding) = all.findings.last_mut() {
                    finding
                        .detail
                        .get_or_insert_with(|| "the content cannot be written back".to_owned());
                }
                Ruling::Drop
            }
        },
        other => other,
    };
}

/// Whether no other view can change anything: it is stopped or changed, or a rule lets it pass whatever else it is.
fn is_settled(judgement: &Judgement) -> bool {
    let allows = |finding: &Finding| finding.enforced && finding.action == "allow";
    judgement.verdict != Ruling::Pass || judgement.findings.last().is_some_and(allows)
}
