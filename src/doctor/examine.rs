//! The examination: everything is tried, on its own connection, and side by side.

use super::facts::{
    Answer, Ended, Lost, Opened, OverHttp2, Road, Silence, SilenceBroken, Socket, Timed, Trouble, TroubleKind,
};
use super::proxy::ProxyUrl;
use super::request::{self, DEFLATE, Http2, http2_trouble};
use super::roots::Roots;
use super::session::{Load, Pipe, Session, random};
use super::target::Target;
use super::tickets::Tickets;
use super::way::{Fixed, Way, timed};
use crate::wire::ws_handshake::{Offer, SUPPORTED_VERSION, check_response};
use base64::prelude::{BASE64_STANDARD, Engine};
use h2::ext::Protocol;
use http::{Method, Request};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// What is examined, and how.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// What is to be reached.
    pub target: &'a Target,
    /// The proxy that is used.
    pub proxy: Option<&'a ProxyUrl>,
    /// Who is believed.
    pub roots: &'a Roots,
    /// Names whose addresses were given.
    pub fixed: &'a [Fixed],
    /// What the proxy is shown instead of a password: tickets of a login.
    pub tickets: Option<&'a Tickets>,
    /// How long each step may take.
    pub limit: Duration,
    /// How long a WebSocket is left alone at most; `None` for not at all.
    pub idle: Option<Duration>,
    /// The target echoes messages: they are sent instead of pings.
    pub echo: bool,
    /// The `Origin` of upgrades.
    pub origin: Option<&'a str>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The road through the proxy, if there is one.
    pub proxied: Option<Road>,
    /// The road without it.
    pub direct: Road,
}

/// A WebSocket is watched until it is so old: some are cut off only then.
const LIFE: Duration = Duration::from_secs(2);
const SMALL: usize = 200;
const LARGE: usize = 200 * 1024;
/// The ages at which middleboxes are known to lose their patience.
const AGES: [u64; 4] = [30, 60, 120, 300];

/// Tries everything through the proxy and, beside it, without one.
pub async fn examine(plan: &Plan<'_>) -> Findings {
    let through = async {
        match plan.proxy {
            Some(proxy) => Some(plan.travel(Some(proxy)).await),
            None => None,
        }
    };
    let (proxied, direct) = tokio::join!(through, plan.travel(None));
    Findings { proxied, direct }
}

impl<'a> Plan<'a> {
    async fn travel(&self, proxy: Option<&'a ProxyUrl>) -> Road {
        let way = Way {
            target: self.target,
            proxy,
            roots: self.roots,
            fixed: self.fixed,
            tickets: self.tickets.filter(|_| proxy.is_some()),
            limit: self.limit,
        };
        let mut road = way.explore().await;
        let address = road.dial.as_ref().and_then(|dial| dial.good().copied());
        let (Some(address), true) = (address, road.is_open()) else {
            return road;
        };
        let alpn = road.tls.as_ref().and_then(|tls| tls.good()?.alpn.clone());
        let on = WayProbe {
            plan: self,
            way,
            address,
        };
        let (http1, http2, plain, deflate, silences) = tokio::join!(
            on.http1(),
            on.http2(alpn.as_deref()),
            on.websocket(false),
            on.websocket(true),
            on.silences(),
        );
        road.http1 = Some(http1);
        (road.http2, road.over_http2) = http2;
        (road.plain, road.deflate) = (plain, deflate);
        road.silences = silences;
        road
    }

    fn loads(&self) -> [Load; 2] {
        match self.echo {
            true => [Load::Text(SMALL), Load::Binary(LARGE)],
            false => [Load::Pings(SMALL), Load::Pings(LARGE)],
        }
    }
}

struct WayProbe<'a> {
    plan: &'a Plan<'a>,
    way: Way<'a>,
    address: SocketAddr,
}

impl WayProbe<'_> {
    async fn http1(&self) -> Timed<Answer> {
        let asking = async {
            let (mut socket, _) = self.way.open(self.address, &["http/1.1"]).await?;
            let (target, more) = self.way.request().await?;
            let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let host = self.plan.target.host_field();
            let (head, _) = request::ask(&mut socket, "GET", &target, &host, &more).await?;
            Ok(request::answer(head.status, &head.fields))
        };
        timed(self.plan.limit, asking).await
    }

    /// A request, and a WebSocket on the same connection where its SETTINGS allow that.
    async fn http2(&self, alpn: Option<&str>) -> (Option<Timed<Answer>>, Option<OverHttp2>) {
        if alpn != Some("h2") {
            return (None, None);
        }
        let mut connection = None;
        let asking = async {
            let (socket, _) = self.way.open(self.address, &["h2", "http/1.1"]).await?;
            let opened = request::http2(socket).await?;
            let answer = request::get2(&opened, self.plan.target).await?;
            connection = Some(opened);
            Ok(answer)
        };
        let asked = timed(self.plan.limit, asking).await;
        let Some(connection) = connection.filter(|_| self.plan.target.scheme.is_websocket()) else {
            return (Some(asked), None);
        };
        // The answer came behind the SETTINGS.
        let tried = match connection.sender.is_extended_connect_protocol_enabled() {
            false => OverHttp2::NotOffered,
            true => OverHttp2::Tried(Box::new(self.over_http2(&connection).await)),
        };
        (Some(asked), Some(tried))
    }

    async fn over_http2(&self, connection: &Http2) -> Socket {
        let mut refused = None;
        let (mut session, mut opened) = (None, Opened::default());
        let asking = async {
            let mut asked = Request::builder()
                .method(Method::CONNECT)
                .uri(request::url(self.plan.target))
                .header("sec-websocket-version", SUPPORTED_VERSION)
                .header("user-agent", request::AGENT);
            if let Some(origin) = self.plan.origin {
                asked = asked.header("origin", origin);
            }
            let asked = asked
                .extension(Protocol::from_static("websocket"))
                .body(())
                .map_err(|error| Trouble::new(TroubleKind::Invalid, error.to_string()))?;
            let ready = connection.sender.clone().ready().await;
            let mut sender = ready.map_err(|error| http2_trouble(&error))?;
            let sent = sender.send_request(asked, false);
            let (response, send) = sent.map_err(|error| http2_trouble(&error))?;
            let response = response.await.map_err(|error| http2_trouble(&error))?;
            opened.answer = request::answer(response.status(), response.headers());
            if !response.status().is_success() {
                refused = Some(opened.answer.clone());
                return Err(not_agreed(&opened.answer));
            }
            let offer = Offer {
                key: None,
                protocols: Vec::new(),
                extensions: Vec::new(),
            };
            check_response(&offer, response.headers())
                .map_err(|error| Trouble::new(TroubleKind::Invalid, error.to_string()))?;
            session = Some(Session::new(
                Pipe::Stream(send, response.into_body()),
                Vec::new(),
                None,
            ));
            Ok(())
        };
        let asked = timed(self.plan.limit, asking).await;
        self.carry(asked, opened, session, refused).await
    }

    async fn websocket(&self, deflate: bool) -> Option<Socket> {
        if !self.plan.target.scheme.is_websocket() {
            return None;
        }
        let mut refused = None;
        let (mut session, mut opened) = (None, Opened::default());
        let opening = async {
            let (agreed, with) = self.upgrade(deflate, &mut refused).await?;
            opened = agreed;
            session = Some(with);
            Ok(())
        };
        let asked = timed(self.plan.limit, opening).await;
        Some(self.carry(asked, opened, session, refused).await)
    }

    /// Opens a WebSocket over HTTP/1.1.
    async fn upgrade(
        &self,
        deflate: bool,
        refused: &mut Option<Answer>,
    ) -> Result<(Opened, Session), Trouble> {
        let (mut socket, _) = self.way.open(self.address, &["http/1.1"]).await?;
        let key = BASE64_STANDARD.encode(random::<16>());
        let fields = request::upgrade_fields(&key, deflate, self.plan.origin);
        let target = self.plan.target;
        let (head, rest) =
            request::ask(&mut socket, "GET", &target.path, &target.host_field(), &fields).await?;
        let answer = request::answer(head.status, &head.fields);
        if head.status.as_u16() != 101 {
            let trouble = not_agreed(&answer);
            *refused = Some(answer);
            return Err(trouble);
        }
        let offered = deflate.then(|| DEFLATE.split(';').next().unwrap_or(DEFLATE).to_owned());
        let offer = Offer {
            key: Some(key.into_bytes()),
            protocols: Vec::new(),
            extensions: offered.into_iter().collect(),
        };
        let accepted = check_response(&offer, &head.fields)
            .map_err(|error| Trouble::new(TroubleKind::Invalid, error.to_string()))?;
        let opened = Opened {
            answer,
            deflate: accepted.deflate.is_some(),
        };
        let session = Session::new(Pipe::Own(socket), rest, accepted.deflate);
        Ok((opened, session))
    }

    /// Sends both loads, and watches for a while.
    async fn carry(
        &self,
        asked: Timed<()>,
        opened: Opened,
        session: Option<Session>,
        refused: Option<Answer>,
    ) -> Socket {
        let upgrade = Timed {
            result: asked.result.map(|()| opened),
            took: asked.took,
        };
        let mut socket = Socket::failed(upgrade, refused);
        let Some(mut session) = session else { return socket };
        let [small, large] = self.plan.loads();
        let trip = session.trip(small, self.plan.limit).await;
        let arrived = trip.is_ok();
        socket.small = Some(trip);
        if arrived {
            let trip = session.trip(large, self.plan.limit).await;
            let arrived = trip.is_ok();
            socket.large = Some(trip);
            if arrived {
                session.watch(LIFE).await;
                socket.ended = session.ended().cloned();
            }
        }
        socket.hello = session.hello;
        session.leave().await;
        socket
    }

    /// WebSockets that are left alone for longer and longer, all at once.
    async fn silences(&self) -> Vec<Silence> {
        let Some(longest) = self.plan.idle.filter(|_| self.plan.target.scheme.is_websocket()) else {
            return Vec::new();
        };
        let ages = AGES.into_iter().map(Duration::from_secs);
        let ages: Vec<Duration> = ages.filter(|age| *age < longest).chain([longest]).collect();
        let waiting = ages.into_iter().map(|age| Box::pin(self.silence(age)));
        together(waiting.collect()).await
    }

    async fn silence(&self, wanted: Duration) -> Silence {
        let broken = |broken| Silence {
            wanted,
            result: Err(broken),
            spoken: false,
        };
        let opened = timed(self.plan.limit, self.upgrade(false, &mut None)).await;
        let mut session = match opened.result {
            Ok((_, session)) => session,
            Err(trouble) => return broken(SilenceBroken::NotOpened(trouble.text)),
        };
        session.watch(wanted).await;
        let spoken = session.spoken;
        let ended: Option<Ended> = session.ended().cloned();
        let result = match ended {
            Some(ended) => Err(SilenceBroken::Ended(ended)),
            None => {
                let trip = session.trip(Load::Pings(SMALL), self.plan.limit).await;
                trip.map_err(|lost: Lost| SilenceBroken::Dead(lost))
            }
        };
        session.leave().await;
        Silence {
            wanted,
            result,
            spoken,
        }
    }
}

/// Waits for all of them side by side.
async fn together<F: Future>(mut waiting: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, slot) in waiting.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *slot = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

fn not_agreed(answer: &Answer) -> Trouble {
    Trouble::new(
        TroubleKind::Invalid,
        format!("the upgrade was answered {}", answer.status),
    )
}
