//! What is known of a connection and a request, stage by stage.

use super::times::Moment;
use crate::identity::Identity;
use crate::wire::headers::Headers;
use crate::wire::names::Authority;
use http::{HeaderName, Method};
use std::fmt;
use std::net::IpAddr;

/// What is known when a policy is asked. It grows: what is `None` is not known yet.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The name of the listener that it came in by.
    pub listener: &'a str,
    /// Who it is.
    pub user: User<'a>,
    /// What it asked for.
    pub target: &'a Authority,
    /// It asked for a tunnel to it, and not for the answer to one request.
    pub is_tunnel: bool,
    /// When it is.
    pub moment: Moment,
    /// How it begins.
    pub hello: Option<HelloFacts<'a>>,
    /// What the origin has shown.
    pub origin: Option<OriginFacts<'a>>,
    /// What is asked for.
    pub request: Option<RequestFacts<'a>>,
}

/// Who a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User<'a> {
    /// Somebody who was verified.
    Known(&'a Identity),
    /// It has shown nothing, and may be asked.
    Unasked,
    /// It has shown nothing, and cannot be asked: inside of a tunnel, or where nobody is ever asked.
    Nobody,
}

/// How a connection begins: what a ClientHello says, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloFacts<'a> {
    /// The name that the client gives there.
    pub sni: Option<&'a str>,
    /// The address that was asked for is one of that name's, so that the name is as good as the address.
    pub is_confirmed: bool,
}

/// What an origin has shown of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginFacts<'a> {
    /// Its certificate verifies.
    pub is_valid: bool,
    /// The issuer of its certificate, as RFC 4514 writes names.
    pub issuer: Option<&'a str>,
}

/// The head of a request.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path with its query.
    pub path: &'a str,
    /// It came by TLS, or its client asks for `https`.
    pub is_tls: bool,
    /// What it asks its connection to become.
    pub upgrade: Option<&'a str>,
    /// Its fields.
    pub fields: &'a dyn RequestFields,
}

impl fmt::Debug for RequestFacts<'_> {
    /// Fields may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFacts")
            .field("method", self.method)
            .field("path", &self.path)
            .field("upgrade", &self.upgrade)
            .finish_non_exhaustive()
    }
}

/// The fields of a request, asked one by one.
pub trait RequestFields {
    /// Whether a value of the field passes `test`.
    fn any(&self, name: &HeaderName, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

impl<H: Headers> RequestFields for H {
    fn any(&self, name: &HeaderName, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.all(name).any(test)
    }
}

impl<'a> Facts<'a> {
    /// A tunnel that is asked for, of which nothing else is known.
    pub fn tunnel(client: IpAddr, target: &'a Authority) -> Self {
        Self {
            client,
            listener: "",
            user: User::Nobody,
            target,
            is_tunnel: true,
            moment: Moment {
                weekday: 0,
                minute: 0,
            },
            hello: None,
            origin: None,
            request: None,
        }
    }

    /// The same with what the ClientHello says. From here on nobody can be asked for a name any more.
    #[must_use]
    pub fn beginning(mut self, sni: Option<&'a str>) -> Self {
        self.hello = Some(HelloFacts {
            sni,
            is_confirmed: false,
        });
        if self.is_tunnel && self.user == User::Unasked {
            self.user = User::Nobody;
        }
        self
    }
}
