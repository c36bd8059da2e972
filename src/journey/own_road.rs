//! The way to servers that the configuration itself names, such as an issuer of tokens: they are found as origins are, and by
//! the parents that the policy's settings name for them. They may be anywhere, since the operator has named them.

use super::config::route;
use super::judging::treatment_of_proxy;
use super::proxy::Proxy;
use crate::accept::{Prefixed, Socket};
use crate::admit::{Opening, Road};
use crate::decide::Policy;
use crate::decide::nets::Reach;
use crate::dial::{self, NameWatch, Network, ParentWatch, Parents, Route};
use crate::wire::names::Authority;
use std::sync::Arc;

/// By the configuration that is in force.
impl Road for Proxy {
    fn open<'a>(&'a self, to: &'a Authority) -> Opening<'a> {
        Box::pin(async move {
            let config = self.config.load_full();
            let network = config.network(&self.own, config.deadlines());
            open_own(to, &config.policy, &config.parents, network, &self.report).await
        })
    }
}

/// A connection to a server that the configuration names.
///
/// # Errors
/// There is none; in words.
pub async fn open_own<W: NameWatch + ParentWatch + 'static>(
    to: &Authority,
    policy: &Policy,
    parents: &Parents,
    network: Network<'_>,
    watch: &Arc<W>,
) -> Result<Prefixed<Socket>, String> {
    let everywhere = Reach::everywhere();
    let network = Network {
        reach: &everywhere,
        ..network
    };
    let route = Route {
        is_own_origin: true,
        ..route(parents, &treatment_of_proxy(policy, to), false, None)
    };
    let dialled = dial::dial(to, &network, &route, watch).await;
    dialled.map(|leg| leg.socket).map_err(|error| error.text)
}
