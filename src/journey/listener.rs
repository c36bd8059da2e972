//! TLS with the proxy itself, which comes before the first request where a listener asks for it.

use super::connection::Connection;
use super::connection::tls_version;
use super::door::turn_away;
use super::next::Next;
use super::reach::Refusal;
use crate::accept::{ClientLimit, Prefixed, Socket};
use crate::classify::{Classified, Seen, classify};
use crate::handshake::{HandshakeOutcome, LeafKey};
use crate::http::{ErrorResponse, HttpError};
use crate::report::{Ending, Event};
use crate::tls::TlsStream;
use crate::wire::names::Host;
use std::io;
use std::net::IpAddr;
use std::time::Instant;

/// What a client speaks inside its TLS with the proxy.
pub(super) enum Greeted {
    /// HTTP/1.1, as it is spoken on a plain listener.
    Http1(Prefixed<Socket>),
    /// HTTP/2.
    Http2(TlsStream),
    /// Nothing: it is over.
    Over(Next),
}

/// Shakes hands with a client that speaks TLS with the proxy, within the time for one handshake.
pub(super) async fn greet(conn: &mut Connection, stream: Prefixed<Socket>) -> Greeted {
    let drain = conn.proxy.drain.clone();
    tokio::select! {
        biased;
        // A client that has asked for nothing yet loses nothing.
        () = drain.begun() => Greeted::Over(Next::end(Ending::Drained)),
        greeted = shake_hands(conn, stream) => greeted,
    }
}

async fn shake_hands(conn: &mut Connection, mut stream: Prefixed<Socket>) -> Greeted {
    // Nothing can be said before TLS, and TLS is what it may not have.
    if let Err(wait) = conn.proxy.places.shake_hands(conn.record.peer().ip()) {
        let Refusal { ending, problem, .. } = conn.limited(ClientLimit::Handshakes, wait);
        return Greeted::Over(Next::ended(ending, problem.text));
    }
    let (begun, deadline) = (Instant::now(), conn.config.timeouts.handshake);
    let local = stream
        .get_ref()
        .local_addr()
        .map(|address| address.ip().to_canonical());
    let (seen, stream) = match classify(&mut stream, std::future::pending(), deadline).await {
        Ok(Classified { seen, bytes }) => (seen, stream.rewind(bytes)),
        Err(error) => return Greeted::Over(Next::ended(Ending::ClientIo, error)),
    };
    let hello = match seen {
        Seen::Tls(hello) => Some(hello),
        Seen::Closed => return Greeted::Over(Next::end(Ending::Closed)),
        Seen::Http => return Greeted::Over(not_tls(conn, stream).await),
        // Neither CONNECT nor what is half a request is seen as HTTP by its first line.
        Seen::Unknown if stream.begins_with(b"CONNECT ") => {
            return Greeted::Over(not_tls(conn, stream).await);
        }
        // It is for the TLS library to say what is wrong, with the alert that belongs to it.
        Seen::Unknown | Seen::BadClientHello(_) | Seen::Silent | Seen::ServerFirst => None,
    };
    let key = match &hello {
        Some(hello) if !hello.takes_p256() => LeafKey::Rsa2048,
        _ => LeafKey::P256,
    };
    let name = match called(hello.and_then(|hello| hello.server_name), local) {
        Ok(name) => name,
        Err(error) => return Greeted::Over(Next::ended(Ending::ClientIo, error)),
    };
    let presented = match conn.options.tls.present(&name, key).await {
        Ok(presented) => presented,
        Err(error) => return Greeted::Over(Next::ended(Ending::from(&error), error)),
    };
    let admission = conn.config.admission.clone();
    let asked = admission.filter(|admission| admission.asks_certificates_at(&conn.listener));
    let presented = match (&conn.config.client_auth, &asked) {
        (Some(asks), Some(_)) => presented.asking(asks),
        _ => presented,
    };
    let presented = match conn.options.only_http1 {
        true => presented.without_http2(),
        false => presented,
    };
    if let Some((key, minted)) = presented.leaf {
        conn.state(&Event::Leaf { key, minted });
    }
    match presented
        .accept(stream, deadline.saturating_sub(begun.elapsed()))
        .await
    {
        Ok(tls) => {
            conn.state(&Event::ListenerHandshake(tls.outcome, begun.elapsed()));
            conn.record.proxy_tls = tls_version(tls.version);
            if let (Some(leaf), Some(admission)) = (tls.certificates.first(), asked) {
                conn.certified = admission.certified(leaf, conn.record.client.ip());
            }
            match tls.alpn.as_deref() {
                Some(b"h2") => Greeted::Http2(tls.stream),
                _ => Greeted::Http1(Socket::inner(tls.stream).into()),
            }
        }
        Err(error) => {
            conn.state(&Event::ListenerHandshake(error.outcome, begun.elapsed()));
            if let Some(admission) = asked.filter(|_| error.is_about_certificate) {
                admission.bad_certificate(conn.record.client.ip(), &error.text);
            }
            let text = match error.outcome {
                HandshakeOutcome::Timeout => {
                    format!("the client did not finish the TLS handshake within {deadline:?}")
                }
                _ => error.text,
            };
            Greeted::Over(Next::ended(Ending::ListenerTlsFailed, text))
        }
    }
}

/// By which name the client knows the proxy: the SNI, or the address that it connected to.
fn called(sni: Option<String>, local: Option<IpAddr>) -> io::Result<Host> {
    match sni {
        Some(name) => Ok(Host::Name(name)),
        None => local
            .map(Host::Ip)
            .ok_or_else(|| io::ErrorKind::NotConnected.into()),
    }
}

/// An `http://` proxy URL for a listener of TLS is an easy mistake.
async fn not_tls(conn: &mut Connection, stream: Prefixed<Socket>) -> Next {
    let text =
        "this proxy port speaks TLS, and the client does not: use an https:// proxy URL, or a plain port";
    let problem = ErrorResponse::new(HttpError::BadRequest, text);
    turn_away(conn, stream.into_parts().1, HttpError::BadRequest, problem).await
}
