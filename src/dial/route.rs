//! The way to an origin: straight, or by parents.

use super::direct::direct;
use super::dns::NameWatch;
use super::network::Network;
use super::outcome::{DialError, DialOutcome};
use super::parent::{Parent, ParentWatch, PlainForm};
use crate::accept::{Prefixed, Socket};
use crate::decide::{Leaving, ProxyProtocolOut, Reach};
use crate::wire::names::{Authority, Host};
use crate::wire::proxy_protocol::{Endpoints, write};
use ipnet::IpNet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// What leads to an origin: a socket, or a stream inside another connection.
#[derive(Debug)]
pub struct OriginLeg {
    /// Its bytes; what came behind a parent's answer is among them.
    pub socket: Prefixed<Socket>,
    /// The origin's address; `None` where it is a parent's to know.
    pub address: Option<SocketAddr>,
    /// The parent that it goes by.
    pub by: Option<ByParent>,
}

/// The way to an origin.
#[derive(Debug, Clone)]
pub struct Route {
    /// The parents that lead there, in the order in which they are asked; none if it is dialled.
    pub parents: Vec<Arc<Parent>>,
    /// Whether it may be dialled once all of them have failed.
    pub may_go_direct: bool,
    /// It is for requests that name their servers, and not for a tunnel.
    pub is_request: bool,
    /// It is for an origin whose place the configuration names, which may be anywhere.
    pub is_own_origin: bool,
    /// How its connection leaves.
    pub leaving: Leaving,
    /// Networks in which it is not dialled, beside those that nobody reaches.
    pub denied: Arc<[IpNet]>,
    /// The address that a connection to an origin comes from, instead of one of the proxy's own. Parents are never reached so:
    /// they may be of the other family, and their answers belong to the proxy.
    pub as_client: Option<IpAddr>,
    /// What the origin is told before the first byte.
    pub proxy_protocol: ProxyProtocolOut,
    /// Whose connection it is; `None` for the proxy's own.
    pub client: Option<SocketAddr>,
}

impl Default for Route {
    /// Straight on, for the proxy itself.
    fn default() -> Self {
        Self {
            parents: Vec::new(),
            may_go_direct: false,
            is_request: false,
            is_own_origin: false,
            leaving: Leaving::default(),
            denied: Arc::default(),
            as_client: None,
            proxy_protocol: ProxyProtocolOut::No,
            client: None,
        }
    }
}

impl Route {
    /// Which addresses it may lead to, where these are fewer than anywhere else.
    fn reach(&self, network: &Network<'_>) -> Option<Reach> {
        (!self.denied.is_empty()).then(|| network.reach.denying(&self.denied))
    }
}

/// The parent that a connection goes by.
#[derive(Debug, Clone)]
pub struct ByParent {
    /// Which.
    pub parent: Arc<Parent>,
    /// It was not asked for a tunnel: each request names its server, and shows who the proxy is.
    pub is_absolute: bool,
}

/// Connects to `target` by this route.
///
/// # Errors
/// It does not resolve, may not be reached, or does not accept; or no parent leads there.
pub async fn dial<W: NameWatch + ParentWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    route: &Route,
    watch: &Arc<W>,
) -> Result<OriginLeg, DialError> {
    let mut leg = match route.parents.is_empty() {
        true => straight(target, network, route, watch).await?,
        // What asks parents is large, and most need none.
        false => Box::pin(by_parents(target, network, route, watch)).await?,
    };
    if route.proxy_protocol != ProxyProtocolOut::No {
        Box::pin(tell(target, network, route, &mut leg)).await?;
    }
    Ok(leg)
}

/// Tells an origin whose connection it is, before the first byte of it. A parent that is put requests is no origin.
async fn tell(
    target: &Authority,
    network: &Network<'_>,
    route: &Route,
    leg: &mut OriginLeg,
) -> Result<(), DialError> {
    if leg.by.as_ref().is_some_and(|by| by.is_absolute) {
        return Ok(());
    }
    let unknown = || match &target.host {
        Host::Ip(ip) => SocketAddr::new(*ip, target.port),
        // Only the parent knows.
        Host::Name(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), target.port),
    };
    let endpoints = route.client.map(|source| Endpoints {
        source,
        destination: leg.address.unwrap_or_else(unknown),
    });
    let header = match route.proxy_protocol {
        ProxyProtocolOut::No => return Ok(()),
        ProxyProtocolOut::V1 => write::v1(endpoints),
        ProxyProtocolOut::V2 => write::v2(endpoints),
    };
    let written = timeout(network.deadlines.connect, leg.socket.write_all(&header)).await;
    let failed = |outcome, why: String| {
        let text = format!("{target} could not be told whose connection it is: {why}");
        Err(DialError::new(outcome, text))
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => failed(DialOutcome::Refused, error.to_string()),
        Err(_) => failed(
            DialOutcome::Timeout,
            format!("not within {:?}", network.deadlines.connect),
        ),
    }
}

/// Asks the parents of a route, one after the other.
async fn by_parents<W: NameWatch + ParentWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    route: &Route,
    watch: &Arc<W>,
) -> Result<OriginLeg, DialError> {
    let reach = route.reach(network);
    written(target, reach.as_ref().unwrap_or(network.reach))?;
    let now = Instant::now();
    let (resting, well): (Vec<_>, Vec<_>) = route.parents.iter().partition(|parent| parent.rests(now));
    // Where nothing else may lead there, those that rest are asked after all.
    let order = well
        .into_iter()
        .chain(resting.into_iter().filter(|_| !route.may_go_direct));
    let (mut failed, mut texts) = (None, String::new());
    for parent in order {
        let is_absolute = route.is_request && parent.config().plain == PlainForm::Absolute;
        let asked = Some(target).filter(|_| !is_absolute);
        match parent.ask(asked, network, &route.leaving, watch).await {
            Ok(socket) => {
                return Ok(OriginLeg {
                    socket,
                    address: None,
                    by: Some(ByParent {
                        parent: Arc::clone(parent),
                        is_absolute,
                    }),
                });
            }
            Err(error) => {
                let comma = if texts.is_empty() { "" } else { "; " };
                let _ = write!(texts, "{comma}{}: {}", parent.name(), error.text);
                let is_final = !error.outcome.fails_over();
                failed = Some(error.into_dial(parent.name()));
                if is_final {
                    return Err(failed_all(target, failed, &texts));
                }
            }
        }
    }
    if route.may_go_direct {
        watch.went_direct();
        return straight(target, network, route, watch).await;
    }
    Err(failed_all(target, failed, &texts))
}

fn failed_all(target: &Authority, failed: Option<DialError>, texts: &str) -> DialError {
    let failed = failed.unwrap_or_else(|| DialError::new(DialOutcome::ParentUnreachable, String::new()));
    DialError {
        text: format!("no parent leads to {target} ({texts})"),
        ..failed
    }
}

/// Whether an address, or a name that can only be this machine, is one that a client may not write. A parent resolves all
/// other names, and what it may reach is for the parent to say.
fn written(target: &Authority, reach: &Reach) -> Result<(), DialError> {
    let ip = match &target.host {
        Host::Ip(ip) => *ip,
        // RFC 6761 section 6.3.
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        Host::Name(_) => return Ok(()),
    };
    reach.check(ip).map_err(|why| {
        let text = format!("{target} may not be reached from here ({why}); see [network] allow");
        DialError::new(DialOutcome::Forbidden, text)
    })
}

async fn straight<W: NameWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    route: &Route,
    watch: &Arc<W>,
) -> Result<OriginLeg, DialError> {
    let as_client = route.as_client.map(|client| Leaving {
        client: Some(client),
        ..route.leaving.clone()
    });
    let leaving = as_client.as_ref().unwrap_or(&route.leaving);
    let reach = route.reach(network);
    let network = Network {
        reach: reach.as_ref().unwrap_or(network.reach),
        ..*network
    };
    let stream = direct(target, &network, leaving, watch).await?;
    Ok(OriginLeg {
        address: stream.peer_addr().ok(),
        socket: stream.into(),
        by: None,
    })
}
