//! The ways in which the receivers of a body may read it. A body whose codings cannot be taken off, and text in UTF-16 or
//! UTF-32, has more than one: rules look at each of them.

use crate::http::inspected::exchange::{InspectedExchange, MessageContent};
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
    /// What each of these says where it is text in UTF-16 or UTF-32, in UTF-8.
    texts: Vec<Vec<ReadText>>,
    /// The room that those take which did not come so.
    share: Share,
}

/// Text that was in UTF-16 or UTF-32.
#[derive(Debug)]
struct ReadText {
    utf8: Bytes,
    /// Writes it back.
    wide: WideText,
}

impl From<WideText> for ReadText {
    fn from(mut wide: WideText) -> Self {
        Self {
            utf8: std::mem::take(&mut wide.utf8).into(),
            wide,
        }
    }
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
        let mut views = self.decoded(head, raw);
        let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
        let each = std::iter::once(&views.plain).chain(&views.others);
        let read = |view: &Bytes| -> Vec<ReadText> {
            let readings = WideText::readings(kind, view).into_iter();
            readings.map(ReadText::from).collect()
        };
        let texts: Vec<_> = each.map(read).collect();
        let size: usize = texts.iter().flatten().map(|text| text.utf8.len()).sum();
        if views.share.resize(views.share.bytes() + size) {
            views.texts = texts;
        } else {
            views.blind = views.blind.or(Some(Blind::ProcessBudget));
        }
        views
    }

    /// The same, without its texts.
    fn decoded(&self, head: &HttpHead, raw: Bytes) -> Views {
        let mut share = Share::new(Arc::clone(self.inspector.kept()), Buffered::Decoded);
        let codings = coding::codings(&head.headers);
        if codings.is_empty() {
            return Views {
                plain: raw,
                others: Vec::new(),
                blind: None,
                texts: Vec::new(),
                share,
            };
        }
        let compressed = raw.len() as u64;
        let decoded = coding::decode(&codings, raw.to_vec(), self.inspection.budgets.message);
        if !decoded.plain.is_empty() {
            let plain = decoded.plain.len() as u64;
            self.inspector.witness().inflated(compressed, plain);
        }
        let size = decoded.others.iter().map(Vec::capacity).sum::<usize>() + decoded.plain.capacity();
        if !share.resize(size) {
            return Views {
                plain: raw,
                others: Vec::new(),
                blind: Some(Blind::ProcessBudget),
                texts: Vec::new(),
                share,
            };
        }
        Views {
            plain: decoded.plain.into(),
            others: decoded.others.into_iter().map(Bytes::from).collect(),
            texts: Vec::new(),
            share,
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
        fn content<'a>(
            direction: Direction,
            head: &'a Arc<HttpHead>,
            data: &'a Bytes,
            size: u64,
        ) -> MessageContent<'a> {
            MessageContent {
                direction,
                head,
                data,
                size,
            }
        }
        let each = std::iter::once(&views.plain).chain(&views.others);
        for (at, view) in each.enumerate() {
            let texts = views.texts.get(at).map_or(&[][..], Vec::as_slice);
            let is_only = how.is_whole && views.blind.is_none();
            let as_it_is = content(direction, head, view, how.announced.max(view.len() as u64));
            let said = self
                .judge(&mut self.session(), as_it_is, how.has_passed, &mut admits)
                .await?;
            add(&mut all, said, |changed| {
                (is_only && texts.is_empty()).then_some(changed)
            });
            for text in texts {
                if is_settled(&all) {
                    return Ok(all);
                }
                let as_text = content(direction, head, &text.utf8, text.utf8.len() as u64);
                let said = self
                    .judge(&mut self.session(), as_text, how.has_passed, &mut admits)
                    .await?;
                add(&mut all, said, |changed| {
                    let changed = String::from_utf8(changed).ok()?;
                    text.wide.write(&changed).filter(|_| is_only && texts.len() == 1)
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
