//! One way to the target, through a proxy or without one: connections are opened as ordinary clients open them.

use super::facts::{Answer, Road, SocksAnswer, Timed, Tls, Trouble, TroubleKind};
use super::proxy::{ProxyKind, ProxyUrl};
use super::request::{answer, ask};
use super::roots::Roots;
use super::socks;
use super::target::{Scheme, Target};
use super::tickets::Tickets;
use super::witness::{shake_hands, trouble};
use crate::accept::Socket;
use crate::wire::names::{Authority, Host};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// A name whose address was given, instead of being looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The host and the port that it is for.
    pub authority: Authority,
    /// The address.
    pub ip: IpAddr,
}

/// A way to the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) target: &'a Target,
    pub(super) proxy: Option<&'a ProxyUrl>,
    pub(super) roots: &'a Roots,
    pub(super) fixed: &'a [Fixed],
    /// What the proxy is shown instead of a password.
    pub(super) tickets: Option<&'a Tickets>,
    /// For each step.
    pub(super) limit: Duration,
}

/// Waits for `work`, for so long at most.
pub(super) async fn timed<T>(limit: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Timed<T> {
    let begun = Instant::now();
    let result = match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Trouble::silence(limit)),
    };
    Timed {
        result,
        took: begun.elapsed(),
    }
}

impl Way<'_> {
    /// What is dialled: the proxy, or the target.
    fn first(&self) -> &Authority {
        self.proxy
            .map_or(&self.target.authority, |proxy| &proxy.authority)
    }

    /// Whether a tunnel is asked for: a request in clear is not tunnelled (RFC 9110 section 9.3.6), a WebSocket is. SOCKS knows
    /// nothing else.
    pub(super) fn is_tunnel(&self) -> bool {
        self.is_socks() || self.proxy.is_some() && self.target.scheme != Scheme::Http
    }

    fn is_socks(&self) -> bool {
        matches!(self.proxy.map(|proxy| proxy.kind), Some(ProxyKind::Socks5 { .. }))
    }

    /// Goes the way step by step until one fails. The connection is dropped at its end: each later step has its own.
    pub(super) async fn explore(&self) -> Road {
        let mut road = Road::default();
        let addresses = match self.known() {
            Some(ip) => vec![ip],
            None => {
                let names = timed(self.limit, look_up(self.first())).await;
                let found = names.good().cloned();
                road.names = Some(names);
                let Some(found) = found else { return road };
                found
            }
        };
        let port = self.first().port;
        let mut address = None;
        let dial = async {
            let (socket, to) = dial(&addresses, port, self.limit).await?;
            address = Some(socket);
            Ok(to)
        };
        let dialled = timed(self.limit, dial).await;
        road.dial = Some(dialled);
        let Some(mut socket) = address else { return road };
        if let Some(proxy) = self.proxy.filter(|proxy| proxy.is_tls()) {
            let alpn = ["http/1.1"];
            let shake = shake_hands(socket, &proxy.authority.host, &alpn, self.roots);
            let (inside, tls) = apart(timed(self.limit, shake).await);
            road.proxy_tls = Some(tls);
            let Some(inside) = inside else { return road };
            socket = inside;
        }
        if self.is_socks() {
            let (tunnel, answer) = apart(timed(self.limit, self.ask_socks(socket)).await);
            road.socks = Some(answer);
            let Some(Some(tunnel)) = tunnel else { return road };
            socket = tunnel;
        } else if self.is_tunnel() {
            let (tunnel, connect) = apart(timed(self.limit, self.connect(socket)).await);
            road.connect = Some(connect);
            let Some(Some(tunnel)) = tunnel else { return road };
            socket = tunnel;
        }
        if self.target.scheme.is_tls() {
            let alpn = ["h2", "http/1.1"];
            let shake = shake_hands(socket, &self.target.authority.host, &alpn, self.roots);
            let (_, tls) = apart(timed(self.limit, shake).await);
            road.tls = Some(tls);
        }
        road
    }

    /// Opens a connection to the target, all of it at once.
    pub(super) async fn open(&self, address: SocketAddr, alpn: &[&str]) -> Result<(Socket, Tls), Trouble> {
        let (mut socket, _) = dial(&[address.ip()], address.port(), self.limit).await?;
        if let Some(proxy) = self.proxy.filter(|proxy| proxy.is_tls()) {
            (socket, _) = shake_hands(socket, &proxy.authority.host, &["http/1.1"], self.roots).await?;
        }
        if self.is_socks() {
            let (tunnel, answer) = self.ask_socks(socket).await?;
            socket = tunnel.ok_or_else(|| Trouble::new(TroubleKind::Invalid, answer.text()))?;
        } else if self.is_tunnel() {
            let (tunnel, answer) = self.connect(socket).await?;
            let refused = || {
                Trouble::new(
                    TroubleKind::Invalid,
                    format!("CONNECT was answered {}", answer.status),
                )
            };
            socket = tunnel.ok_or_else(refused)?;
        }
        match self.target.scheme.is_tls() {
            true => shake_hands(socket, &self.target.authority.host, alpn, self.roots).await,
            false => Ok((socket, Tls::default())),
        }
    }

    /// Asks the proxy for a tunnel; without one there is the answer alone.
    async fn connect(&self, mut socket: Socket) -> Result<(Option<Socket>, Answer), Trouble> {
        let to = self.target.authority.to_string();
        let credentials = self.credentials().await?;
        let shown = credentials.as_ref().map(|shown| shown.as_str());
        let mut more = vec![("Proxy-Connection", "keep-alive")];
        more.extend(shown.map(|shown| ("Proxy-Authorization", shown)));
        let (head, rest) = ask(&mut socket, "CONNECT", &to, &to, &more).await?;
        let answer = answer(head.status, &head.fields);
        if !head.status.is_success() {
            return Ok((None, answer));
        }
        if !rest.is_empty() && self.target.scheme.is_tls() {
            // A client speaks first in TLS.
            let text = "the proxy sent bytes of its own into the tunnel";
            return Err(Trouble::new(TroubleKind::Invalid, text));
        }
        Ok((Some(socket), answer))
    }

    /// Asks a SOCKS proxy for a connection; unless it is granted there is the answer alone.
    async fn ask_socks(&self, mut socket: Socket) -> Result<(Option<Socket>, SocksAnswer), Trouble> {
        let mut to = self.target.authority.clone();
        let by_name = self
            .proxy
            .is_some_and(|proxy| proxy.kind == ProxyKind::Socks5 { by_name: true });
        if let (Host::Name(_), false) = (&to.host, by_name) {
            let given = self.given(&to);
            let found = match given {
                Some(ip) => ip,
                None => first(look_up(&to).await?)?,
            };
            to.host = Host::Ip(found);
        }
        let login = self.proxy.and_then(|proxy| proxy.login.as_ref());
        let answer = socks::ask(&mut socket, &to, login).await?;
        Ok(((answer == SocksAnswer::Granted).then_some(socket), answer))
    }

    /// The value of `Proxy-Authorization`: a token of a ticket, each for one request, or a password.
    async fn credentials(&self) -> Result<Option<Zeroizing<String>>, Trouble> {
        let (Some(proxy), Some(tickets)) = (self.proxy, self.tickets) else {
            return Ok(self.proxy.and_then(ProxyUrl::basic));
        };
        let host = proxy.authority.host.to_string();
        let token = tickets.token(&host, self.limit).await;
        let token = token.map_err(|text| Trouble::new(TroubleKind::Ticket, text))?;
        Ok(Some(Zeroizing::new(format!(
            "Negotiate {}",
            BASE64_STANDARD.encode(token)
        ))))
    }

    /// The target of a GET and what goes with it: a proxy that fetches in clear is told the whole URL.
    pub(super) async fn request(&self) -> Result<(String, Vec<(&'static str, Zeroizing<String>)>), Trouble> {
        let mut more = vec![("Accept", Zeroizing::new("*/*".to_owned()))];
        if self.proxy.is_none() || self.is_tunnel() {
            return Ok((self.target.path.clone(), more));
        }
        more.extend(
            self.credentials()
                .await?
                .map(|shown| ("Proxy-Authorization", shown)),
        );
        let url = format!("http://{}{}", self.target.host_field(), self.target.path);
        Ok((url, more))
    }

    fn known(&self) -> Option<IpAddr> {
        let first = self.first();
        match (&first.host, self.given(first)) {
            (_, Some(given)) => Some(given),
            (Host::Ip(ip), None) => Some(*ip),
            (Host::Name(_), None) => None,
        }
    }

    /// The address that was given for a host and port.
    fn given(&self, authority: &Authority) -> Option<IpAddr> {
        let given = self.fixed.iter().find(|fixed| fixed.authority == *authority);
        given.map(|fixed| fixed.ip)
    }
}

fn first(found: Vec<IpAddr>) -> Result<IpAddr, Trouble> {
    let none = || Trouble::new(TroubleKind::Name, "the name has no address here");
    found.into_iter().next().ok_or_else(none)
}

/// What a step yields apart from what it found out.
fn apart<S, T>(timed: Timed<(S, T)>) -> (Option<S>, Timed<T>) {
    let took = timed.took;
    match timed.result {
        Ok((yielded, found)) => (
            Some(yielded),
            Timed {
                result: Ok(found),
                took,
            },
        ),
        Err(trouble) => (
            None,
            Timed {
                result: Err(trouble),
                took,
            },
        ),
    }
}

/// Looks a name up as this machine's programs do.
async fn look_up(authority: &Authority) -> Result<Vec<IpAddr>, Trouble> {
    let found = tokio::net::lookup_host((authority.host.to_string(), authority.port)).await;
    let mut found: Vec<IpAddr> = found
        .map_err(|error| {
            Trouble::new(
                TroubleKind::Name,
                format!("the name has no address here: {error}"),
            )
        })?
        .map(|address| address.ip())
        .collect();
    found.dedup();
    match found.is_empty() {
        true => Err(Trouble::new(TroubleKind::Name, "the name has no address here")),
        false => Ok(found),
    }
}

/// Connects to the first address that takes it.
async fn dial(addresses: &[IpAddr], port: u16, limit: Duration) -> Result<(Socket, SocketAddr), Trouble> {
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = Trouble::new(TroubleKind::Name, "the name has no address here");
    for ip in addresses {
        let to = SocketAddr::new(*ip, port);
        last = match timeout(share, TcpStream::connect(to)).await {
            Ok(Ok(socket)) => {
                // A ping is small, and is not to wait for another.
                let _ = socket.set_nodelay(true);
                return Ok((socket.into(), to));
            }
            Ok(Err(error)) => {
                let trouble = trouble(&error);
                Trouble::new(trouble.kind, format!("{to}: {}", trouble.text))
            }
            Err(_) => Trouble::new(TroubleKind::Silence, format!("{to}: no answer within {share:?}")),
        };
    }
    Err(last)
}
