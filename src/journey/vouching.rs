//! Names that the certificates of origins have vouched for. A connection that is not decrypted shows a name that its client
//! has chosen freely: an allowed one, say, at an address of the client's own choice. Where a connection is let be by such a
//! name, the proxy asks the origin for its certificate first, on a connection of its own. Who stands there may hand that
//! connection on to whom the name really belongs to: this keeps honest names honest, and is no wall.

use super::connection::Connection;
use super::reach::open;
use crate::dial::Route;
use crate::error::Side;
use crate::handshake::origin::HelloOffer;
use crate::report::Event;
use crate::wire::client_hello::ClientHello;
use crate::wire::names::{Authority, Host};
use std::time::Instant;

impl Connection {
    /// Whether the certificate of what is at this address vouches for the name in the ClientHello.
    pub(super) async fn is_vouched_for(
        &self,
        target: &Authority,
        hello: &ClientHello,
        route: &Route,
    ) -> bool {
        let Some(name) = &hello.server_name else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        let (vouched, begun) = (&self.proxy.vouched, Instant::now());
        if vouched.has(target, &name, begun) {
            return true;
        }
        let Ok(leg) = open(&self.proxy, &self.config, target, route).await else {
            return false;
        };
        let wanted = HelloOffer {
            name: &Host::Name(name.clone()),
            alpn: &hello.alpn,
            post_quantum: true,
            trust: crate::decide::CertError::Deny,
            certificate: None,
            deadline: self.config.timeouts.handshake,
            fetcher: None,
        };
        let permission = self.config.policy.own_handshake();
        let shaken = self
            .config
            .upstream
            .connect(&permission, leg.socket, wanted)
            .await;
        let outcome = shaken
            .as_ref()
            .map_or_else(|error| error.outcome, |tls| tls.outcome);
        self.state(&Event::Handshake(Side::Origin, outcome, begun.elapsed()));
        if shaken.is_ok() {
            vouched.remember(target, &name, Instant::now());
        }
        shaken.is_ok()
    }
}
