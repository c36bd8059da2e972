//! The client's side of a bump: a leaf for it, and its handshake.

use super::connection::{Connection, ConnectionEnd};
use super::sites::Site;
use crate::accept::{Prefixed, Socket};
use crate::decide::Bump;
use crate::error::Side;
use crate::handshake::forge::{Forge, ForgeError, Mimic};
use crate::handshake::{HandshakeOutcome, LeafKey, client};
use crate::report::{Ending, Event};
use crate::tls::Transport;
use crate::wire::client_hello::ClientHello;
use crate::wire::names::Host;
use std::time::Instant;

/// What a client is shown.
pub(super) struct Shown<'a> {
    /// What signs its leaf.
    pub(super) forge: &'a Forge,
    /// What the leaf is like.
    pub(super) mimic: Mimic,
    /// The name that the client has asked for.
    pub(super) name: Host,
    /// The protocol that is agreed on.
    pub(super) alpn: Option<&'a [u8]>,
}

impl Connection {
    /// Shakes hands with a client that begins with `hello`, which is stated.
    ///
    /// # Errors
    /// How the connection ends.
    pub(super) async fn shake_hands(
        &mut self,
        permission: &Bump,
        hello: &ClientHello,
        shown: Shown<'_>,
        client: Prefixed<Socket>,
    ) -> Result<Transport, ConnectionEnd> {
        if let Some(site) = self.site.clone() {
            return self.show_own(permission, &site, shown.alpn, client).await;
        }
        let Shown {
            forge,
            mimic,
            name,
            alpn,
        } = shown;
        let key = if hello.takes_p256() {
            LeafKey::P256
        } else {
            LeafKey::Rsa2048
        };
        let given = match forge.leaf(&mimic, key).await {
            // A certificate that verifies and still cannot be read is mimicked by its name alone.
            Err(ForgeError::Unreadable(_)) => forge.leaf(&Mimic::Name(name), key).await,
            given => given,
        };
        let given = given.map_err(|error| ConnectionEnd::new(Ending::from(&error), error))?;
        self.state(&Event::Leaf {
            key,
            minted: given.minted,
        });
        let since = Instant::now();
        let deadline = self.config.timeouts.handshake;
        match client::accept(permission, client, &given.leaf, alpn, deadline).await {
            Ok(tls) => {
                self.state(&Event::Handshake(Side::Client, tls.outcome, since.elapsed()));
                self.agreed(tls.version, alpn);
                Ok(Transport::tls(tls.stream))
            }
            Err(error) => {
                self.state(&Event::Handshake(Side::Client, error.outcome, since.elapsed()));
                if error.outcome == HandshakeOutcome::ClientRefusedCa {
                    self.refused_ca(error.alert);
                }
                Err(ConnectionEnd::new(error.outcome, error.text))
            }
        }
    }

    /// Shakes hands with a client of one's own origin.
    async fn show_own(
        &mut self,
        permission: &Bump,
        site: &Site,
        alpn: Option<&[u8]>,
        client: Prefixed<Socket>,
    ) -> Result<Transport, ConnectionEnd> {
        let (since, deadline) = (Instant::now(), self.config.timeouts.handshake);
        let shaken = site.tls.accept(permission, client, alpn, deadline).await;
        let outcome = (shaken.as_ref()).map_or_else(|error| error.outcome, |tls| tls.outcome);
        self.state(&Event::ListenerHandshake(outcome, since.elapsed()));
        match shaken {
            Ok(tls) => {
                self.agreed(tls.version, alpn);
                Ok(Transport::tls(tls.stream))
            }
            Err(error) => Err(ConnectionEnd::new(Ending::ListenerTlsFailed, error.text)),
        }
    }
}
