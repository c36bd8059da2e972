//! Straight to an origin.

use super::dns::NameWatch;
use super::network::{Network, Resolved, is_own_socket, looped, on_port, permitted, resolve};
use super::outcome::{DialError, DialOutcome};
use super::race::{Waiting, race};
use crate::accept::tune;
use crate::decide::Leaving;
use crate::wire::names::Authority;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Connects to `target` itself.
pub(super) async fn direct<W: NameWatch + 'static>(
    target: &Authority,
    network: &Network<'_>,
    leaving: &Leaving,
    watch: &Arc<W>,
) -> Result<TcpStream, DialError> {
    let Resolved { mut now, mut later } = resolve(target, network, watch).await?;
    let connect = async {
        let mut addresses = permitted(target, &now, network);
        if matches!(&addresses, Err(error) if error.outcome == DialOutcome::Forbidden)
            && let Some(mut rest) = later.take()
        {
            // Those of the other family may be allowed.
            now.extend(on_port(rest.arrive().await, target.port));
            addresses = permitted(target, &now, network);
        }
        let expects = later.is_some();
        let more = async {
            let Some(rest) = &mut later else {
                return Vec::new();
            };
            let rest = on_port(rest.arrive().await, target.port);
            // What may not be dialled of them is left out: there are others that may.
            permitted(target, &rest, network).unwrap_or_default()
        };
        let waiting = Waiting::new(addresses?);
        race(target, waiting, expects.then_some(more), leaving).await
    };
    match tokio::time::timeout(network.deadlines.connect, connect).await {
        Ok(connected) => {
            let stream = connected?;
            if is_own_socket(&stream, network.own) {
                return Err(looped(target));
            }
            tune(&stream);
            Ok(stream)
        }
        Err(_) => Err(DialError::new(
            DialOutcome::Timeout,
            format!(
                "{target} did not accept a connection within {:?}",
                network.deadlines.connect
            ),
        )),
    }
}
