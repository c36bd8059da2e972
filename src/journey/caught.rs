//! Connections that the kernel has caught: nobody asks for anything, and what the address, the ClientHello and Host say has
//! to do. What is dialled is the address that the client dialled, whatever it says: a name of the client's with an address of
//! the proxy's own resolver would be an open proxy (CVE-2009-0801), and one that does not agree with it a false alarm.

use super::config::NameTrust;
use super::connection::Connection;
use super::dead_end::tell;
use super::first_host::first_host;
use super::next::Next;
use super::reach::Refusal;
use super::tunnel::tunnel;
use crate::accept::{Ask, AskKind, Entrance, NotCaught, Prefixed, Socket, is_local, original_destination};
use crate::classify::{Classified, Seen, classify};
use crate::report::Ending;
use crate::wire::names::{Authority, Host};
use std::net::{IpAddr, SocketAddr};

/// Serves a connection that the kernel has caught.
pub(super) async fn caught(conn: &mut Connection, stream: Prefixed<Socket>, entrance: Entrance) -> Next {
    let to = match destination(&stream, entrance) {
        Ok(to) => to,
        Err(error) => {
            let ending = match error {
                NotCaught::NoRecord(_) => Ending::NoOriginalDestination,
                NotCaught::Direct(_) => Ending::Dial(crate::dial::DialOutcome::Loop),
            };
            return Next::ended(ending, error);
        }
    };
    conn.names = Some(conn.options.names);
    let target = Authority {
        host: Host::Ip(to.ip()),
        port: to.port(),
    };
    if is_looped(conn, to).await {
        conn.record.target = Some(target);
        return Next::ended(
            Ending::Dial(crate::dial::DialOutcome::Loop),
            "the proxy's own connection was caught: leave out the proxy's user in the rules of the output hook",
        );
    }
    let ask = Ask {
        client: conn.record.client,
        credentials: None,
        to: target,
        kind: AskKind::Tunnel,
    };
    let from = conn.dials_as(&ask);
    let dialling = conn.proxy.own_dials.begin(to, from);
    let opened = conn.open(&ask).await;
    match opened {
        Ok(way) => {
            if let Some(own_end) = way.local_addr() {
                conn.dialled = Some(Box::new(dialling.done(own_end)));
            }
            tunnel(conn, ask.to, stream, way).await
        }
        Err(refusal) => {
            drop(dialling);
            refuse(conn, ask.to, stream, refusal).await
        }
    }
}

fn destination(stream: &Prefixed<Socket>, entrance: Entrance) -> Result<SocketAddr, NotCaught> {
    let no_record = || NotCaught::NoRecord(std::io::ErrorKind::NotConnected.into());
    let local = stream.get_ref().local_addr().ok_or_else(no_record)?;
    match stream.get_ref() {
        Socket::Tcp(socket) => original_destination(socket, entrance, local),
        Socket::Inner(_) => Err(no_record()),
    }
}

/// Whether the proxy has caught itself.
async fn is_looped(conn: &Connection, to: SocketAddr) -> bool {
    let client = conn.record.peer();
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    // One that comes from a client's address may be the proxy's own as well, where it dials so.
    let from = (!is_local(client.ip())).then_some(client.ip());
    let asked = conn.proxy.own_dials.has_dialled(client, to, from);
    // Somebody else of this machine may wait for an address that does not answer.
    let patience = conn.config.timeouts.dial;
    tokio::time::timeout(patience, asked).await.unwrap_or(false)
}

/// Nothing can be had. A request in the open is told why; whoever begins with TLS finds its connection closed, unless it is to
/// be told inside, which [`Connection::open`] sees to.
async fn refuse(
    conn: &mut Connection,
    target: Authority,
    mut client: Prefixed<Socket>,
    refusal: Refusal,
) -> Next {
    let peek = conn.config.timeouts.peek;
    match classify(&mut client, std::future::pending(), peek).await {
        Ok(Classified { seen, bytes }) if seen == Seen::Http => {
            let (host, client) = first_host(conn, client.rewind(bytes)).await;
            conn.host = host.map(Into::into);
            tell(conn, target, seen, client, refusal).await
        }
        Ok(Classified {
            seen: Seen::Tls(hello),
            ..
        }) => {
            conn.record.sni = hello.server_name;
            Next::ended(refusal.ending, refusal.problem.text)
        }
        _ => Next::ended(refusal.ending, refusal.problem.text),
    }
}

impl Connection {
    /// The client's address, if what it asks for is dialled from there.
    fn dials_as(&self, ask: &Ask) -> Option<IpAddr> {
        let client = self.client_facts();
        let facts = client.tunnel(&self.config, &ask.to).beginning(None);
        let way = &self.config.policy.treatment(&facts).way;
        let own = self.record.client.ip().to_canonical();
        let is_of_family = matches!(&ask.to.host, Host::Ip(ip) if ip.is_ipv4() == own.is_ipv4());
        // From an address of this machine's it is asked for as from the proxy's own.
        (way.as_client && is_of_family && !is_local(own)).then_some(own)
    }

    /// Whether what the client calls its destination is believed until the origin's certificate has spoken for it.
    pub(super) fn trusts_certificates(&self) -> bool {
        self.names == Some(NameTrust::Verify)
    }
}
