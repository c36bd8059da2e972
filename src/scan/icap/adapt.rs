//! Messages that a service may change, or answer in the place of (RFC 3507 sections 4.8 and 4.9): whole heads, and content
//! with the codings that it has.

use super::Icap;
use super::bounds::AdaptBounds;
use super::chunked::{self, Dechunk};
use super::head::{HEAD_MAX, IcapHead, Layout};
use super::message::{Beginning, Message, extension};
use super::modification::Modification;
use super::service::{Service, refused};
use crate::inspect::{AdaptBody, AdaptItem, Adapted};
use crate::scan::answer::ScanFailure;
use crate::scan::conversation::{ReceivedBytes, converse};
use crate::scan::endpoint::ScannerStream;
use crate::scan::progress::Progress;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// An answer.
enum Answer {
    /// The rest is wanted.
    Continue,
    /// This is what comes of it; whether the connection is at the end of it.
    Adapted(Adapted, bool),
    /// The same, with the content that was sent behind it from this byte on.
    Partly(Adapted, usize, bool),
}

impl Icap {
    /// Has a message changed, or answered. Where the service does not offer that way, the message goes on as it is.
    pub(in crate::scan) async fn adapt(
        &self,
        item: AdaptItem<'_>,
        bounds: AdaptBounds<'_>,
    ) -> Result<Adapted, ScanFailure> {
        let AdaptBounds {
            deadline, max_size, ..
        } = bounds;
        let modification = match item.response {
            Some(_) => Modification::Response,
            None => Modification::Request,
        };
        let service = match modification {
            Modification::Request => &self.request,
            Modification::Response => &self.response,
        };
        let progress = Progress::new();
        let options = in_time(deadline, service.options(&progress)).await?;
        let extension = extension(item.url);
        if !options.offers(modification) || options.ignores(extension) {
            return Ok(Adapted::Unchanged);
        }
        let message = Message::new(modification, &item);
        let (client, user) = (item.client, item.user);
        let (tell, body) = (self.tell, item.body);
        let beginning = match options.preview.filter(|_| options.wants_preview(extension)) {
            Some(most) => {
                let (bytes, is_all) = body.preview(most).await.map_err(ScanFailure::Unasked)?;
                Beginning {
                    is_preview: !(is_all && bytes.is_empty()),
                    bytes,
                    is_all,
                }
            }
            None => Beginning {
                bytes: body.whole(max_size).await.map_err(ScanFailure::Unasked)?,
                is_all: true,
                is_preview: false,
            },
        };
        let mut tells = Vec::new();
        tell.write(client, user, &mut tells);
        let head = message.head(service.url(), &tells, &beginning, options.partial);
        let exchange = Exchange {
            service,
            message: &message,
            head,
            beginning: &beginning,
            partial: options.partial,
            deadline,
            max_size,
        };
        // Not before the content is there: who is slow would keep all others from the service.
        let all = || format!("none of {} scans at once ended", bounds.concurrency);
        let _turn = in_turn(bounds.places, deadline, all).await?;
        let places = service.places();
        let _place = match &places {
            Some(places) => Some(in_turn(places, deadline, too_many_connections).await?),
            None => None,
        };
        // A server closes idle connections at will: what was closed before anything was answered is asked once more.
        if let Some(stream) = service.idle() {
            let mut incoming = ReceivedBytes::default();
            match exchange.run(stream, &mut incoming, body).await {
                Err(ScanFailure::Scanner(_)) if !incoming.any => {}
                answered => return answered,
            }
        }
        let stream = in_time(deadline, service.connect()).await?;
        exchange.run(stream, &mut ReceivedBytes::default(), body).await
    }
}

/// What one exchange with a service needs.
struct Exchange<'a> {
    service: &'a Service,
    message: &'a Message,
    head: Bytes,
    beginning: &'a Beginning,
    /// The service may answer in part.
    partial: bool,
    deadline: Duration,
    max_size: usize,
}

impl Exchange<'_> {
    async fn run(
        &self,
        mut stream: ScannerStream,
        incoming: &mut ReceivedBytes,
        body: &mut dyn AdaptBody,
    ) -> Result<Adapted, ScanFailure> {
        let begun = self.begin(&mut stream, incoming).await;
        let done = match begun {
            Ok((Answer::Continue, true)) if !self.beginning.is_all => {
                match body.whole(self.max_size).await {
                    Ok(whole) => {
                        let rest = whole.slice(self.beginning.bytes.len().min(whole.len())..);
                        self.go_on(&mut stream, incoming, Bytes::new(), rest, chunked::END)
                            .await
                    }
                    // The service waits for what does not come: its connection ends with this.
                    Err(why) => Err(ScanFailure::Content(why)),
                }
            }
            other => other,
        };
        let done = match done {
            Ok((Answer::Partly(adapted, from, is_whole), sent)) => {
                let whole = body.whole(self.max_size).await.map_err(ScanFailure::Content);
                let joined = whole.and_then(|whole| joined(adapted, &whole, from));
                joined.map(|adapted| (Answer::Adapted(adapted, is_whole), sent))
            }
            other => other,
        };
        match done {
            Ok((Answer::Adapted(adapted, is_whole), sent)) => {
                if is_whole && sent && incoming.bytes.is_empty() {
                    self.service.keep(stream);
                } else {
                    stream.close();
                }
                Ok(adapted)
            }
            Ok((Answer::Continue | Answer::Partly(..), _)) => {
                stream.close();
                Err(ScanFailure::Scanner(
                    "it says 100 Continue where nothing is left to send".to_owned(),
                ))
            }
            Err(why) => {
                stream.close();
                Err(why)
            }
        }
    }

    async fn begin(
        &self,
        stream: &mut ScannerStream,
        incoming: &mut ReceivedBytes,
    ) -> Result<(Answer, bool), ScanFailure> {
        let Beginning {
            bytes,
            is_all,
            is_preview,
        } = self.beginning;
        let end: &[u8] = match (is_preview, is_all) {
            (true, true) => chunked::END_OF_ALL,
            (false, true) if bytes.is_empty() => &[],
            _ => chunked::END,
        };
        self.go_on(stream, incoming, self.head.clone(), bytes.clone(), end)
            .await
    }

    /// Sends something, and reads what is answered.
    async fn go_on(
        &self,
        stream: &mut ScannerStream,
        incoming: &mut ReceivedBytes,
        before: Bytes,
        content: Bytes,
        end: &'static [u8],
    ) -> Result<(Answer, bool), ScanFailure> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let talk = async {
            let send = chunked::send(&mut writer, before, content, end);
            let (answer, sent) = converse(send, self.receive(&mut reader, incoming)).await;
            answer.map(|answer| (answer, sent))
        };
        in_time(self.deadline, talk).await
    }

    async fn receive(
        &self,
        reader: &mut (impl tokio::io::AsyncRead + Unpin),
        incoming: &mut ReceivedBytes,
    ) -> Result<Answer, ScanFailure> {
        let head = loop {
            match IcapHead::parse(&incoming.bytes).map_err(ScanFailure::Scanner)? {
                Some((head, length)) => {
                    let _ = incoming.bytes.split_to(length);
                    break head;
                }
                None => incoming.more(reader).await?,
            }
        };
        let keeps = !head.closes();
        self.service.tagged(head.header("istag"));
        match head.status {
            100 => return Ok(Answer::Continue),
            204 => return Ok(Answer::Adapted(Adapted::Unchanged, keeps)),
            200 => {}
            206 if self.partial => {}
            _ => return Err(refused(&head)),
        }
        let most = HEAD_MAX + self.message.request.len() + self.message.response.len();
        let layout = head
            .header("encapsulated")
            .ok_or_else(|| ScanFailure::Scanner("its answer says nothing of what is inside".to_owned()))?;
        let layout = Layout::parse(layout, most).map_err(ScanFailure::Scanner)?;
        while incoming.bytes.len() < layout.heads {
            incoming.more(reader).await?;
        }
        let heads = incoming.bytes.split_to(layout.heads);
        let mut dechunk = Dechunk::new(self.service.answer_max());
        while layout.body && !dechunk.feed(&mut incoming.bytes)? {
            incoming.more(reader).await?;
        }
        let original = dechunk.original().filter(|_| head.status == 206);
        let adapted = self.message.adapted(&heads, &layout, dechunk.into_body());
        let adapted = adapted.map_err(ScanFailure::Scanner)?;
        Ok(match original {
            Some(from) => Answer::Partly(adapted, from, keeps),
            None => Answer::Adapted(adapted, keeps),
        })
    }
}

/// What a service has answered in part, with what follows of the content that was sent.
fn joined(mut adapted: Adapted, whole: &Bytes, from: usize) -> Result<Adapted, ScanFailure> {
    let rest = whole.get(from..).ok_or_else(|| {
        ScanFailure::Scanner(format!(
            "it wants the content from byte {from} on, and there are {}",
            whole.len()
        ))
    })?;
    if let Adapted::Request { body, .. } | Adapted::Response { body, .. } = &mut adapted {
        *body = [&body[..], rest].concat().into();
    }
    Ok(adapted)
}

fn too_many_connections() -> String {
    "none of the connections that the service allows (Max-Connections) was free".to_owned()
}

/// Waits for a turn no longer than this; that there is none says nothing of the service.
async fn in_turn<'s>(
    places: &'s Semaphore,
    deadline: Duration,
    why: impl FnOnce() -> String,
) -> Result<Option<SemaphorePermit<'s>>, ScanFailure> {
    match timeout(deadline, places.acquire()).await {
        Ok(place) => Ok(place.ok()),
        Err(_) => Err(ScanFailure::Unasked(format!(
            "busy: {} within {deadline:?}",
            why()
        ))),
    }
}

/// Waits for a service no longer than this.
async fn in_time<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, ScanFailure>>,
) -> Result<T, ScanFailure> {
    let done = timeout(deadline, work).await;
    done.unwrap_or_else(|_| Err(ScanFailure::Scanner(format!("no answer within {deadline:?}"))))
}
