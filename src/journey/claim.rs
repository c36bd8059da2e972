//! Whose connection it is where a load balancer says so.

use super::connection::{Connection, ConnectionEnd};
use crate::accept::{NoHeader, Prefixed, Socket};
use crate::report::Ending;
use crate::wire::proxy_protocol::ProxyHeader;
use tokio::net::TcpStream;

/// Hears what a peer that has to speak the PROXY protocol says of its client; from then on it is that client's connection, but
/// for what each peer may have. Of a peer that does not, nothing is read.
///
/// # Errors
/// It has not said it, and whatever it has said is not believed.
pub(super) async fn hear(
    conn: &mut Connection,
    mut stream: TcpStream,
) -> Result<Prefixed<Socket>, ConnectionEnd> {
    let speaks = conn.options.proxy_protocol.as_ref();
    let Some(protocol) = speaks.filter(|it| it.is_spoken_by(conn.record.client.ip())) else {
        return Ok(stream.into());
    };
    let drain = conn.proxy.drain.clone();
    let heard = tokio::select! {
        biased;
        () = drain.begun() => return Err(Ending::Drained.into()),
        heard = protocol.read(&mut stream) => heard,
    };
    let (header, rest) = match heard {
        Ok(heard) => heard,
        // Load balancers look whether somebody listens.
        Err(NoHeader::Closed) => return Err(Ending::Closed.into()),
        Err(error) => return Err(ConnectionEnd::new(Ending::ProxyProtocol, error)),
    };
    let ProxyHeader { endpoints, told } = header;
    if let Some(endpoints) = endpoints {
        conn.is_of(endpoints.source);
    }
    conn.record.told = (!told.is_empty()).then(|| Box::new(told));
    Ok(Prefixed::new(rest, stream))
}
