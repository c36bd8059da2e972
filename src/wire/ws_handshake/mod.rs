//! The opening handshake of a WebSocket (RFC 6455 section 4, RFC 8441 section 5), as seen by who passes it on.
//!
//! The proxy answers neither side in the other's name: it checks that both keep to the rules, because after
//! the 101 it holds their frames to what they agreed here.

mod deflate;
mod lists;
#[cfg(test)]
mod tests;

pub use deflate::keep_known_extensions;

use crate::wire::deflate::Deflate;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use deflate::PERMESSAGE_DEFLATE;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode, Version, request};
use lists::Single;
use std::fmt;
use tungstenite::handshake::derive_accept_key;

/// The version of the protocol that RFC 6455 is, as `Sec-WebSocket-Version` writes it.
pub const SUPPORTED_VERSION: &str = "13";

const WEBSOCKET: &str = "websocket";

/// A key is any base64 of 16 bytes. Its last character carries four bits that belong to no byte; what they are
/// is no reason to break a WebSocket.
const KEY_FORM: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// What a message asks to change to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgrade {
    /// To a WebSocket; other protocols may be listed too.
    WebSocket,
    /// To these protocols, as listed.
    Other(String),
}

/// What the Upgrade header names, if Connection lists `upgrade` (RFC 9110 section 7.8: otherwise the header is
/// not meant for this hop). Works on requests and on responses; names are compared in any case.
pub fn upgrade_token(headers: &HeaderMap) -> Option<Upgrade> {
    if !lists::has_token(headers, CONNECTION, "upgrade") {
        return None;
    }
    if lists::has_token(headers, UPGRADE, WEBSOCKET) {
        return Some(Upgrade::WebSocket);
    }
    lists::joined(headers, UPGRADE).map(Upgrade::Other)
}

/// What the client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `Sec-WebSocket-Key`, as sent; `None` over HTTP/2, which has no use for it (RFC 8441 section 5).
    pub key: Option<String>,
    /// The subprotocols, most wanted first.
    pub protocols: Vec<String>,
    /// The names of the extensions, without their parameters.
    pub extensions: Vec<String>,
}

/// How a client's handshake breaks RFC 6455 section 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// A method other than GET.
    Method,
    /// HTTP/1.0 or older.
    HttpVersion,
    /// No Upgrade to `websocket`, or Connection does not list it.
    NoUpgrade,
    /// A body is announced: its bytes and the first frames could not be told apart.
    Body,
    /// No `Sec-WebSocket-Version`.
    MissingVersion,
    /// More than one `Sec-WebSocket-Version`.
    RepeatedVersion,
    /// A `Sec-WebSocket-Version` other than 13.
    UnsupportedVersion,
    /// No `Sec-WebSocket-Key`.
    MissingKey,
    /// More than one `Sec-WebSocket-Key`.
    RepeatedKey,
    /// A `Sec-WebSocket-Key` that is not 16 bytes in base64.
    BadKey,
}

impl RequestError {
    /// The status that answers it. A 426 needs the header `Sec-WebSocket-Version:` [`SUPPORTED_VERSION`]
    /// (RFC 6455 section 4.4).
    pub const fn status(self) -> StatusCode {
        match self {
            Self::UnsupportedVersion => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "a WebSocket handshake must be a GET",
            Self::HttpVersion => "a WebSocket handshake needs HTTP/1.1",
            Self::NoUpgrade => "no \"Upgrade: websocket\" with \"Connection: Upgrade\"",
            Self::Body => "a WebSocket handshake must not have a body",
            Self::MissingVersion => "Sec-WebSocket-Version is missing",
            Self::RepeatedVersion => "Sec-WebSocket-Version stands there more than once",
            Self::UnsupportedVersion => "only Sec-WebSocket-Version 13 (RFC 6455) is supported",
            Self::MissingKey => "Sec-WebSocket-Key is missing",
            Self::RepeatedKey => "Sec-WebSocket-Key stands there more than once",
            Self::BadKey => "Sec-WebSocket-Key is not 16 bytes in base64",
        })
    }
}

impl std::error::Error for RequestError {}

/// Checks a client's handshake (RFC 6455 sections 4.1 and 4.2.1). Host is the business of whoever routes the
/// request. Subprotocols and extensions are taken as they are: it is for the origin to choose among them.
///
/// Over HTTP/2 it is an extended CONNECT with `:protocol = websocket`, as its caller has seen, and
/// `Sec-WebSocket-Version` is all that is left to check (RFC 8441 section 5).
///
/// # Errors
///
/// What is wrong first, in the order of [`RequestError`].
pub fn check_request(request: &request::Parts) -> Result<Offer, RequestError> {
    let headers = &request.headers;
    let over_h2 = request.version == Version::HTTP_2;
    if request.method != if over_h2 { Method::CONNECT } else { Method::GET } {
        return Err(RequestError::Method);
    }
    if request.version < Version::HTTP_11 {
        return Err(RequestError::HttpVersion);
    }
    if !over_h2 && upgrade_token(headers) != Some(Upgrade::WebSocket) {
        return Err(RequestError::NoUpgrade);
    }
    let lengths = headers.get_all(CONTENT_LENGTH).iter();
    if headers.contains_key(TRANSFER_ENCODING) || lengths.into_iter().any(|length| length != "0") {
        return Err(RequestError::Body);
    }
    match lists::single(headers, SEC_WEBSOCKET_VERSION) {
        Single::Missing => return Err(RequestError::MissingVersion),
        Single::Repeated => return Err(RequestError::RepeatedVersion),
        Single::Value(version) if version != SUPPORTED_VERSION.as_bytes() => {
            return Err(RequestError::UnsupportedVersion);
        }
        Single::Value(_) => {}
    }
    let key = match lists::single(headers, SEC_WEBSOCKET_KEY) {
        _ if over_h2 => None,
        Single::Missing => return Err(RequestError::MissingKey),
        Single::Repeated => return Err(RequestError::RepeatedKey),
        Single::Value(key) if !is_key(key) => return Err(RequestError::BadKey),
        Single::Value(key) => Some(lists::text(key)),
    };
    Ok(Offer {
        key,
        protocols: lists::elements(headers, SEC_WEBSOCKET_PROTOCOL)
            .map(lists::text)
            .collect(),
        extensions: lists::names(headers, SEC_WEBSOCKET_EXTENSIONS),
    })
}

fn is_key(key: &[u8]) -> bool {
    let mut bytes = [0; 18];
    key.len() == 24 && matches!(KEY_FORM.decode_slice(key, &mut bytes), Ok(16))
}

/// What the origin agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol that the origin chose, if it chose one.
    pub protocol: Option<String>,
    /// The extensions with their parameters, as sent.
    pub extensions: Option<String>,
    /// permessage-deflate as agreed, if it is the only extension and its parameters make sense.
    pub deflate: Option<Deflate>,
    /// An extension was agreed that the proxy cannot decode.
    pub is_opaque: bool,
    /// The RSV bits that frames may have set, for [`crate::wire::frame::Follower::new`]: none without an
    /// extension, RSV1 (0x40) for permessage-deflate, all (0x70) with any extension that the proxy does not
    /// know.
    pub allowed_rsv: u8,
}

/// How an origin's 101 breaks RFC 6455 section 4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseError {
    /// Upgrade is missing or names something other than `websocket`.
    Upgrade,
    /// Connection does not list `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not belong to the client's key.
    Accept,
    /// More than one `Sec-WebSocket-Protocol`.
    RepeatedProtocol,
    /// A subprotocol that the client did not offer.
    UnofferedProtocol(String),
    /// An extension that the client did not offer.
    UnofferedExtension(String),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upgrade => f.write_str("the 101 has no \"Upgrade: websocket\""),
            Self::Connection => f.write_str("the 101 has no \"Connection: Upgrade\""),
            Self::Accept => f.write_str("Sec-WebSocket-Accept of the 101 does not answer the client's key"),
            Self::RepeatedProtocol => f.write_str("the 101 has more than one Sec-WebSocket-Protocol"),
            Self::UnofferedProtocol(name) => {
                write!(
                    f,
                    "the 101 chooses subprotocol {name:?}, which the client did not offer"
                )
            }
            Self::UnofferedExtension(name) => {
                write!(
                    f,
                    "the 101 chooses extension {name:?}, which the client did not offer"
                )
            }
        }
    }
}

impl std::error::Error for ResponseError {}

/// Checks the headers of an origin's 101 against what the client offered (RFC 6455 section 4.1), or those of the
/// 2xx that stands for it over HTTP/2, where there is no key to answer (RFC 8441 section 5).
///
/// # Errors
///
/// What is wrong first, in the order of [`ResponseError`].
pub fn check_response(offer: &Offer, headers: &HeaderMap) -> Result<Accepted, ResponseError> {
    if let Some(key) = &offer.key {
        let mut upgrades = lists::elements(headers, UPGRADE);
        let only = upgrades.next().filter(|_| upgrades.next().is_none());
        if !only.is_some_and(|token| token.eq_ignore_ascii_case(WEBSOCKET.as_bytes())) {
            return Err(ResponseError::Upgrade);
        }
        if !lists::has_token(headers, CONNECTION, "upgrade") {
            return Err(ResponseError::Connection);
        }
        match lists::single(headers, SEC_WEBSOCKET_ACCEPT) {
            Single::Value(accept) if accept == derive_accept_key(key.as_bytes()).as_bytes() => {}
            _ => return Err(ResponseError::Accept),
        }
    }
    let protocol = match lists::single(headers, SEC_WEBSOCKET_PROTOCOL) {
        Single::Missing => None,
        Single::Repeated => return Err(ResponseError::RepeatedProtocol),
        Single::Value(name) => Some(lists::text(name)),
    };
    if let Some(name) = protocol.as_ref().filter(|name| !offer.protocols.contains(name)) {
        return Err(ResponseError::UnofferedProtocol(name.clone()));
    }
    let deflate = deflate::agreed(headers);
    let mut allowed_rsv = 0;
    for name in lists::names(headers, SEC_WEBSOCKET_EXTENSIONS) {
        if !offer
            .extensions
            .iter()
            .any(|offered| offered.eq_ignore_ascii_case(&name))
        {
            return Err(ResponseError::UnofferedExtension(name));
        }
        allowed_rsv |= if name.eq_ignore_ascii_case(PERMESSAGE_DEFLATE) {
            0x40
        } else {
            0x70
        };
    }
    Ok(Accepted {
        is_opaque: deflate.is_none() && allowed_rsv != 0,
        deflate,
        protocol,
        extensions: lists::joined(headers, SEC_WEBSOCKET_EXTENSIONS),
        allowed_rsv,
    })
}
