//! The way to an origin: straight, or by parents.

use super::direct::direct;
use super::dns::NameWatch;
use super::network::Network;
use super::outcome::{DialError, DialOutcome};
use super::parent::{Parent, ParentWatch, PlainForm};
use crate::accept::{Prefixed, Socket};
use crate::decide::Leaving;
use crate::wire::names::{Authority, Host};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

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
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// The parents that lead there, in the order in which they are asked; none if it is dialled.
    pub parents: Vec<Arc<Parent>>,
    /// Whether it may be dialled once all of them have failed.
    pub may_go_direct: bool,
    /// It is for requests that name their servers, and not for a tunnel.
    pub is_request: bool,
    /// How its connection leaves.
    pub leaving: Leaving,
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
    if route.parents.is_empty() {
        return straight(target, network, &route.leaving, watch).await;
    }
    // What asks parents is large, and most need none.
    Box::pin(by_parents(target, network, route, watch)).await
}

/// Asks the parents of a route, one after the other.
async fn by_parents<W: NameWatch + ParentWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    route: &Route,
    watch: &Arc<W>,
) -> Result<OriginLeg, DialError> {
    written(target, network)?;
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
        return straight(target, network, &route.leaving, watch).await;
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
fn written(target: &Authority, network: &Network<'_>) -> Result<(), DialError> {
    let ip = match &target.host {
        Host::Ip(ip) => *ip,
        // RFC 6761 section 6.3.
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        Host::Name(_) => return Ok(()),
    };
    network.reach.check(ip).map_err(|why| {
        let text = format!("{target} may not be reached from here ({why}); see [network] allow");
        DialError::new(DialOutcome::Forbidden, text)
    })
}

async fn straight<W: NameWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    leaving: &Leaving,
    watch: &Arc<W>,
) -> Result<OriginLeg, DialError> {
    let stream = direct(target, network, leaving, watch).await?;
    Ok(OriginLeg {
        address: stream.peer_addr().ok(),
        socket: stream.into(),
        by: None,
    })
}
