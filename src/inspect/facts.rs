//! What is known of a session, and of the thing in it that is looked at.

use crate::identity::Identity;
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use std::net::IpAddr;
use std::sync::Arc;

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// A WebSocket message.
    Message,
    /// The head of a WebSocket handshake: the request towards the origin, the 101 towards the client.
    Upgrade,
    /// The head of any other HTTP request or response.
    Head,
    /// The decoded body of an HTTP request or response.
    Body,
}

impl Surface {
    /// Every surface, in the order of [`Surface::index`].
    pub const ALL: [Self; 4] = [Self::Message, Self::Upgrade, Self::Head, Self::Body];

    /// The word in rules, metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Upgrade => "upgrade",
            Self::Head => "head",
            Self::Body => "body",
        }
    }

    /// A dense index for arrays.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What is known of one WebSocket or one HTTP exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// The connection's id, as in the access log.
    pub connection: u64,
    /// The client's address.
    pub client: IpAddr,
    /// Who the client is, when it is known.
    pub user: Option<Arc<Identity>>,
    /// The origin, as the connection to it was asked for.
    pub target: Authority,
    /// What else the client calls it: the SNI, where it is another name.
    pub aliases: Vec<Authority>,
    /// `https`, `http`, `wss` or `ws`.
    pub scheme: &'static str,
    /// The request's path with its query.
    pub path: String,
    /// The Origin header.
    pub origin: Option<String>,
    /// The subprotocol that the origin chose; several of them with commas between.
    pub subprotocol: Option<String>,
    /// The number of the WebSocket, once it is one: a connection of HTTP/2 carries several.
    pub websocket: Option<u64>,
}

impl SessionFacts {
    /// Everything that the client calls the origin.
    pub fn names(&self) -> impl Iterator<Item = &Authority> + Clone {
        std::iter::once(&self.target).chain(&self.aliases)
    }
}

/// One thing that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The part of the traffic that it is.
    pub surface: Surface,
    /// Which way it goes.
    pub direction: Direction,
    /// `Text` or `Binary` for a message, `None` for everything else.
    pub opcode: Option<Opcode>,
    /// The content, decoded: an unmasked and inflated message, a body without its content coding, a head as
    /// HTTP/1.1 text.
    pub data: &'a [u8],
    /// Its whole size in bytes, which is more than `data` has when a budget cut it.
    pub size: u64,
    /// Of a body: the head that it came with.
    pub head: Option<&'a HttpHead>,
}

/// The head of an HTTP request or response.
#[derive(Debug, Clone)]
pub struct HttpHead {
    /// The request's method.
    pub method: http::Method,
    /// The response's status; `None` for a request.
    pub status: Option<http::StatusCode>,
    /// The message's own headers.
    pub headers: http::HeaderMap,
}
