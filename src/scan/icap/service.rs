//! One service of an ICAP server: its connections, and what it says of itself.

use super::super::answer::{ScanAnswer, ScanFailure};
use super::super::conversation::{ReceivedBytes, converse, send_all};
use super::super::endpoint::{Endpoint, ScannerStream};
use super::super::pool::Pool;
use super::super::progress::{Progress, Stage};
use super::IcapUrl;
use super::chunked::{self, Dechunk};
use super::head::{AnsweredMessage, HEAD_MAX, IcapHead, Layout};
use super::options::Options;
use super::outcome;
use super::request::{self, Wrapped};
use crate::dial::ServiceNames;
use crate::handshake::ServiceTls;
use crate::inspect::ScanOutcome;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The least that an answer's content may be: a block page takes this in the place of a short message.
const ANSWER_MIN: usize = 1 << 20;

/// One service of a server: its connections, and what it said of itself.
#[derive(Debug)]
pub(super) struct Service {
    url: IcapUrl,
    endpoint: Endpoint,
    /// How the server of an `icaps://` URL is verified.
    tls: Option<Arc<ServiceTls>>,
    names: ServiceNames,
    pool: Pool,
    answer_max: usize,
    known: Mutex<Known>,
    /// Held by the one that asks for the options.
    asking: tokio::sync::Mutex<()>,
}

/// What is known of a service.
#[derive(Debug, Default)]
struct Known {
    options: Option<Arc<Options>>,
    /// When they were asked for.
    since: Option<Instant>,
    /// The last ISTag that came with a scan. Servers are known whose OPTIONS have another one than their scans, and
    /// they must not be asked again at each scan.
    istag: Option<String>,
    /// `Max-Connections` and as many places.
    places: Option<(usize, Arc<Semaphore>)>,
}

impl Known {
    fn current(&self, now: Instant) -> Option<Arc<Options>> {
        let options = self.options.as_ref()?;
        let age = self.since.map_or(Duration::ZERO, |since| now - since);
        options
            .ttl
            .is_none_or(|ttl| age < ttl)
            .then(|| Arc::clone(options))
    }

    /// A scan's answer came with this tag: another one than before means another service than before.
    fn tagged(&mut self, istag: &str) {
        let as_stated = self
            .options
            .as_ref()
            .is_none_or(|options| options.istag.as_deref().is_none_or(|stated| stated == istag));
        if !as_stated && self.istag.as_deref() != Some(istag) {
            self.options = None;
        }
        self.istag = Some(istag.to_owned());
    }
}

/// A request for a connection to carry.
#[derive(Clone, Copy)]
enum ServiceRequest<'a> {
    Options,
    Modify {
        wrapped: &'a Wrapped,
        head: &'a Bytes,
        preview: Option<usize>,
    },
}

/// What came of it.
enum Told {
    Options(Options),
    Outcome(ScanOutcome, Option<String>),
}

impl Service {
    pub(super) fn new(
        url: IcapUrl,
        tls: Option<Arc<ServiceTls>>,
        names: ServiceNames,
        connections: usize,
        max_size: usize,
    ) -> Self {
        Self {
            endpoint: Endpoint::Tcp(url.authority().clone()),
            tls,
            names,
            url,
            pool: Pool::new(connections),
            answer_max: max_size.max(ANSWER_MIN),
            known: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// An idle connection, if there is one.
    pub(super) fn idle(&self) -> Option<ScannerStream> {
        self.pool.take(now())
    }

    /// Keeps a connection on which nothing is under way.
    pub(super) fn keep(&self, stream: ScannerStream) {
        self.pool.give_back(stream, now());
    }

    /// The most that is read of an answer's content.
    pub(super) fn answer_max(&self) -> usize {
        self.answer_max
    }

    /// An answer came with this ISTag.
    pub(super) fn tagged(&self, istag: Option<&str>) {
        if let Some(istag) = istag {
            self.known().tagged(istag);
        }
    }

    /// One of the places that the service allows, if it says how many.
    pub(super) fn places(&self) -> Option<Arc<Semaphore>> {
        self.known().places.as_ref().map(|(_, places)| Arc::clone(places))
    }

    pub(super) fn url(&self) -> &IcapUrl {
        &self.url
    }

    /// What the service says of itself: asked for once, and again when that has run out or the service changed.
    pub(super) async fn options(&self, progress: &Progress) -> Result<Arc<Options>, ScanFailure> {
        if let Some(options) = self.known().current(Instant::now()) {
            return Ok(options);
        }
        // One asks, and the others wait for what it hears.
        let _asking = self.asking.lock().await;
        if let Some(options) = self.known().current(Instant::now()) {
            return Ok(options);
        }
        let Told::Options(options) = self.ask(ServiceRequest::Options, progress).await? else {
            return Err(ScanFailure::Scanner(
                "its answer is not one to OPTIONS".to_owned(),
            ));
        };
        let options = Arc::new(options);
        let mut known = self.known();
        // Where nothing changed, those that hold a place still count.
        if known.places.as_ref().map(|(most, _)| *most) != options.max_connections {
            known.places = options
                .max_connections
                .map(|most| (most, Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))));
        }
        // It holds for the scan that asked for it, even where its time to live is zero.
        known.options = Some(Arc::clone(&options));
        known.since = Some(Instant::now());
        Ok(options)
    }

    /// Has content judged. `head` is what goes before it.
    pub(super) async fn modify(
        &self,
        wrapped: &Wrapped,
        head: Bytes,
        preview: Option<usize>,
        progress: &Progress,
    ) -> ScanAnswer {
        let places = self.known().places.as_ref().map(|(_, places)| Arc::clone(places));
        let _place = match &places {
            Some(places) => progress.during(Stage::Waits, places.acquire()).await.ok(),
            None => None,
        };
        let ask = ServiceRequest::Modify {
            wrapped,
            head: &head,
            preview,
        };
        match self.ask(ask, progress).await? {
            Told::Outcome(outcome, istag) => {
                self.tagged(istag.as_deref());
                Ok(outcome)
            }
            Told::Options(_) => Err(ScanFailure::Scanner("its answer is one to OPTIONS".to_owned())),
        }
    }

    /// Asks on an idle connection, or a new one. Servers close idle connections at will: when one turns out to be
    /// closed before anything was answered, the same is asked once more on a new one.
    async fn ask(&self, ask: ServiceRequest<'_>, progress: &Progress) -> Result<Told, ScanFailure> {
        if let Some(mut stream) = self.pool.take(now()) {
            let mut incoming = ReceivedBytes::default();
            let told = self.exchange(&mut stream, &mut incoming, ask).await;
            if told.is_ok() || incoming.any {
                return self.settle(stream, told);
            }
        }
        let mut stream = progress.during(Stage::Connects, self.connect()).await?;
        let told = self
            .exchange(&mut stream, &mut ReceivedBytes::default(), ask)
            .await;
        self.settle(stream, told)
    }

    /// A new connection, inside TLS where the URL says so.
    pub(super) async fn connect(&self) -> Result<ScannerStream, ScanFailure> {
        let cannot =
            |text: String| ScanFailure::Scanner(format!("cannot connect to {}: {text}", self.endpoint));
        let stream = self.endpoint.connect(&self.names).await;
        let stream = stream.map_err(|error| cannot(error.to_string()))?;
        if !self.url.is_tls() {
            return Ok(stream);
        }
        let (Some(tls), ScannerStream::Tcp(tcp)) = (&self.tls, stream) else {
            return Err(cannot("nothing says how to verify it".to_owned()));
        };
        match tls.connect(tcp, &self.url.authority().host).await {
            Ok(stream) => Ok(ScannerStream::Tls(Box::new(stream))),
            Err(error) => Err(cannot(error.text)),
        }
    }

    /// Keeps the connection if the next request can use it.
    fn settle(
        &self,
        stream: ScannerStream,
        told: Result<(Told, bool), ScanFailure>,
    ) -> Result<Told, ScanFailure> {
        match told {
            Ok((told, true)) => {
                self.pool.give_back(stream, now());
                Ok(told)
            }
            told => {
                stream.close();
                told.map(|(told, _)| told)
            }
        }
    }

    /// One request and its answer. The second result is whether the connection is at the end of both.
    async fn exchange(
        &self,
        stream: &mut ScannerStream,
        incoming: &mut ReceivedBytes,
        ask: ServiceRequest<'_>,
    ) -> Result<(Told, bool), ScanFailure> {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (answer, sent) = match ask {
            ServiceRequest::Options => {
                let request = request::options(&self.url);
                let send = send_all(&mut writer, request);
                converse(send, self.receive(&mut reader, incoming, None)).await
            }
            ServiceRequest::Modify {
                wrapped,
                head,
                preview,
            } => {
                let content = wrapped.content.clone();
                let (before, first, rest, end) = (head.clone(), content, Bytes::new(), chunked::END);
                let (first, rest, end) = match preview {
                    Some(most) if most < first.len() => (first.slice(..most), first.slice(most..), end),
                    Some(_) => (first, rest, chunked::END_OF_ALL),
                    // Without a body nothing follows the heads.
                    None if first.is_empty() => (first, rest, &[][..]),
                    None => (first, rest, end),
                };
                let send = chunked::send(&mut writer, before, first, end);
                let receive = self.receive(&mut reader, incoming, Some(wrapped));
                match converse(send, receive).await {
                    (Ok(IcapRead::Continue), true) if !rest.is_empty() => {
                        let send = chunked::send(&mut writer, Bytes::new(), rest, chunked::END);
                        converse(send, self.receive(&mut reader, incoming, Some(wrapped))).await
                    }
                    other => other,
                }
            }
        };
        match answer? {
            IcapRead::Told(told, whole) => Ok((told, whole && sent && incoming.bytes.is_empty())),
            IcapRead::Continue => Err(ScanFailure::Scanner(
                "it says 100 Continue where nothing is left to send".to_owned(),
            )),
        }
    }

    /// Reads one answer: to OPTIONS, or to what was `sent`.
    async fn receive(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        incoming: &mut ReceivedBytes,
        sent: Option<&Wrapped>,
    ) -> Result<IcapRead, ScanFailure> {
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
        let most = HEAD_MAX + sent.map_or(0, Wrapped::heads);
        let layout = head.header("encapsulated");
        let layout = layout.map(|value| Layout::parse(value, most)).transpose();
        let Some(sent) = sent else {
            if head.status != 200 {
                return Err(refused(&head));
            }
            // A body of OPTIONS is of no use, and ends with its connection.
            let alone = layout
                .map_err(ScanFailure::Scanner)?
                .is_none_or(|layout| !layout.body);
            let options = Options::new(&head).map_err(ScanFailure::Scanner)?;
            return Ok(IcapRead::Told(Told::Options(options), keeps && alone));
        };
        let istag = head.header("istag").map(str::to_owned);
        let told = |outcome, whole| Ok(IcapRead::Told(Told::Outcome(outcome, istag), keeps && whole));
        match head.status {
            100 => return Ok(IcapRead::Continue),
            204 => return told(ScanOutcome::Clean, true),
            200 => {}
            _ => return Err(refused(&head)),
        }

        let found = outcome::named(&head);
        if let (Some(name), Err(_) | Ok(None)) = (&found, &layout) {
            return told(ScanOutcome::Found(name.clone()), false);
        }
        let layout = layout
            .map_err(ScanFailure::Scanner)?
            .ok_or_else(|| ScanFailure::Scanner("its answer says nothing of what is inside".to_owned()))?;
        if let Some(name) = found {
            // Whoever waits need not wait for the page; only if it is here already, the connection stays.
            let whole = skip(incoming, &layout, self.answer_max);
            return told(ScanOutcome::Found(name), whole);
        }
        while incoming.bytes.len() < layout.heads {
            incoming.more(reader).await?;
        }
        let heads = incoming.bytes.split_to(layout.heads);
        let inner = AnsweredMessage::parse(&heads, &layout).map_err(ScanFailure::Scanner)?;
        if let Some(name) = outcome::blocked(&inner, sent) {
            let rest = Layout { heads: 0, ..layout };
            let whole = skip(incoming, &rest, self.answer_max);
            return told(ScanOutcome::Found(name), whole);
        }
        let mut dechunk = Dechunk::new(self.answer_max);
        while layout.body && !dechunk.feed(&mut incoming.bytes)? {
            incoming.more(reader).await?;
        }
        told(outcome::compared(&inner, dechunk.into_body(), sent)?, true)
    }

    /// Nothing is left half done under this lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a read came to.
enum IcapRead {
    /// The answer; whether it was read to its end on a connection that goes on.
    Told(Told, bool),
    /// The rest is wanted.
    Continue,
}

/// Takes out the message inside if all of it has arrived.
fn skip(incoming: &mut ReceivedBytes, layout: &Layout, limit: usize) -> bool {
    if incoming.bytes.len() < layout.heads {
        return false;
    }
    let _ = incoming.bytes.split_to(layout.heads);
    !layout.body || Dechunk::new(limit).feed(&mut incoming.bytes).unwrap_or(false)
}

/// A status that is no outcome.
pub(super) fn refused(head: &IcapHead) -> ScanFailure {
    match head.status {
        413 => ScanFailure::Content("too large for the ICAP service (413)".to_owned()),
        // What a client sends must not put the service to rest for all others.
        status @ (400 | 414 | 431) => ScanFailure::Content(format!(
            "the ICAP service does not take what it was sent ({status})"
        )),
        404 => ScanFailure::Scanner("there is no such ICAP service (404)".to_owned()),
        status => ScanFailure::Scanner(format!("the ICAP service answers {status}")),
    }
}

/// The event loop's time, which tests can move.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
