//! The opening handshake of a WebSocket (RFC 6455 section 4, RFC 8441 section 5), as seen by who passes it on.
//!
//! The proxy answers neither side in the other's name. It refuses what would make it read the connection otherwise
//! than its ends do, and leaves to the ends what only they have to agree about: all of that goes on as it came.
//!
//! | of the request | |
//! |---|---|
//! | a method other than GET, HTTP/1.0, no `Upgrade: websocket` that Connection lists | refused: such a request asks for no WebSocket (RFC 9110 section 7.8, RFC 6455 section 4.1) |
//! | a body | refused: its bytes and the first frames could not be told apart |
//! | `Sec-WebSocket-Version` missing, or anything but 13 | refused: it names how frames are written, and the proxy holds frames to RFC 6455 |
//! | `Sec-WebSocket-Version: 13` more than once | passes: there is nothing to choose from |
//! | `Sec-WebSocket-Key` missing, empty or repeated | refused: it is not known what `Sec-WebSocket-Accept` has to answer |
//! | a key of another length than 16 bytes, or not in base64 | passes: the answer is the digest of what was sent |
//! | subprotocols and extensions | pass: the origin chooses; [`keep_known_extensions`] takes out what an inspected host may not choose |
//!
//! | of the 101 | |
//! |---|---|
//! | Upgrade that is not `websocket` alone, Connection that does not list it | refused: both end at the proxy (RFC 9110 section 7.6.1), so that the client could not judge them. Several protocols are layers (section 7.8): what follows would not be the frames of a WebSocket, or not those alone |
//! | `Sec-WebSocket-Accept` missing, repeated or wrong | refused: nothing else shows that the origin has read the request as a handshake, and not as something that an attacker wrote (RFC 6455 section 10.3) |
//! | an extension that was not offered | refused: it changes what frames mean, and the client would read them otherwise |
//! | odd parameters of an extension | pass: frames are followed by their bits, and only who would decompress them minds |
//! | a subprotocol that was not asked for, repeated or empty | passes: clients fail it themselves (RFC 6455 section 4.1), or do not mind |
//!
//! Over HTTP/2 there is neither Upgrade nor key (RFC 8441 section 5): `Sec-WebSocket-Version` and the extensions are
//! what is left to check.

mod deflate;
mod lists;
#[cfg(test)]
mod tests;

pub use deflate::keep_known_extensions;

use crate::wire::deflate::Deflate;
use crate::wire::headers::Headers;
use deflate::PERMESSAGE_DEFLATE;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, StatusCode, Version};
use lists::Single;
use std::fmt;
use tungstenite::handshake::derive_accept_key;

/// The version of the protocol that RFC 6455 is, as `Sec-WebSocket-Version` writes it.
pub const SUPPORTED_VERSION: &str = "13";

const WEBSOCKET: &str = "websocket";

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
pub fn upgrade_token(headers: &impl Headers) -> Option<Upgrade> {
    if !lists::has_token(headers, &CONNECTION, "upgrade") {
        return None;
    }
    if lists::has_token(headers, &UPGRADE, WEBSOCKET) {
        return Some(Upgrade::WebSocket);
    }
    lists::joined(headers, &UPGRADE).map(Upgrade::Other)
}

/// What the client offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `Sec-WebSocket-Key`, as sent but for white space around it; `None` over HTTP/2, which has no use for it
    /// (RFC 8441 section 5).
    pub key: Option<Vec<u8>>,
    /// The subprotocols, most wanted first.
    pub protocols: Vec<String>,
    /// The names of the extensions, without their parameters.
    pub extensions: Vec<String>,
}

/// Why a client's handshake is refused.
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
    /// A `Sec-WebSocket-Version` other than 13.
    UnsupportedVersion,
    /// No `Sec-WebSocket-Key`.
    MissingKey,
    /// More than one `Sec-WebSocket-Key`.
    RepeatedKey,
    /// A `Sec-WebSocket-Key` without a value.
    EmptyKey,
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
            Self::UnsupportedVersion => "only Sec-WebSocket-Version 13 (RFC 6455) is supported",
            Self::MissingKey => "Sec-WebSocket-Key is missing",
            Self::RepeatedKey => "Sec-WebSocket-Key stands there more than once",
            Self::EmptyKey => "Sec-WebSocket-Key is empty",
        })
    }
}

impl std::error::Error for RequestError {}

/// Checks a client's handshake (RFC 6455 sections 4.1 and 4.2.1) for what endangers its relay. Host is the business
/// of whoever routes the request. Over HTTP/2 it is an extended CONNECT with `:protocol = websocket`, as its caller
/// has seen.
///
/// # Errors
///
/// What is wrong first, in the order of [`RequestError`].
pub fn check_request(
    method: &Method,
    version: Version,
    headers: &impl Headers,
) -> Result<Offer, RequestError> {
    let over_h2 = version == Version::HTTP_2;
    if *method != if over_h2 { Method::CONNECT } else { Method::GET } {
        return Err(RequestError::Method);
    }
    if version < Version::HTTP_11 {
        return Err(RequestError::HttpVersion);
    }
    if !over_h2 && upgrade_token(headers) != Some(Upgrade::WebSocket) {
        return Err(RequestError::NoUpgrade);
    }
    if headers.has(&TRANSFER_ENCODING) || headers.all(&CONTENT_LENGTH).any(|length| length != b"0") {
        return Err(RequestError::Body);
    }
    if !headers.has(&SEC_WEBSOCKET_VERSION) {
        return Err(RequestError::MissingVersion);
    }
    let mut versions = headers.all(&SEC_WEBSOCKET_VERSION).map(lists::trimmed);
    if versions.any(|version| version != SUPPORTED_VERSION.as_bytes()) {
        return Err(RequestError::UnsupportedVersion);
    }
    let key = match lists::single(headers, &SEC_WEBSOCKET_KEY) {
        _ if over_h2 => None,
        Single::Missing => return Err(RequestError::MissingKey),
        Single::Repeated => return Err(RequestError::RepeatedKey),
        Single::Value([]) => return Err(RequestError::EmptyKey),
        Single::Value(key) => Some(key.to_vec()),
    };
    Ok(Offer {
        key,
        protocols: lists::elements(headers, &SEC_WEBSOCKET_PROTOCOL)
            .map(lists::text)
            .collect(),
        extensions: lists::names(headers, &SEC_WEBSOCKET_EXTENSIONS),
    })
}

/// What the origin agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol, whether it was offered or not; several of them with commas between.
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

/// Why an origin's 101 is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseError {
    /// Upgrade is missing, or names something else than `websocket` or beside it.
    Upgrade,
    /// Connection does not list `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not belong to the client's key.
    Accept,
    /// An extension that the client did not offer.
    UnofferedExtension(String),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upgrade => f.write_str("the 101 does not say \"Upgrade: websocket\" alone"),
            Self::Connection => f.write_str("the 101 has no \"Connection: Upgrade\""),
            Self::Accept => f.write_str("Sec-WebSocket-Accept of the 101 does not answer the client's key"),
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

/// Checks the headers of an origin's 101 against what the client offered (RFC 6455 section 4.1), for what endangers
/// the relay; or those of the 2xx that stands for it over HTTP/2, where there is no key to answer.
///
/// # Errors
///
/// What is wrong first, in the order of [`ResponseError`].
pub fn check_response(offer: &Offer, headers: &impl Headers) -> Result<Accepted, ResponseError> {
    if let Some(key) = &offer.key {
        let mut upgrades = lists::elements(headers, &UPGRADE);
        let only = upgrades.next().filter(|_| upgrades.next().is_none());
        if !only.is_some_and(|token| token.eq_ignore_ascii_case(WEBSOCKET.as_bytes())) {
            return Err(ResponseError::Upgrade);
        }
        if !lists::has_token(headers, &CONNECTION, "upgrade") {
            return Err(ResponseError::Connection);
        }
        match lists::single(headers, &SEC_WEBSOCKET_ACCEPT) {
            Single::Value(accept) if accept == derive_accept_key(key).as_bytes() => {}
            _ => return Err(ResponseError::Accept),
        }
    }
    let deflate = deflate::agreed(headers);
    let mut allowed_rsv = 0;
    for name in lists::names(headers, &SEC_WEBSOCKET_EXTENSIONS) {
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
        protocol: lists::joined(headers, &SEC_WEBSOCKET_PROTOCOL),
        extensions: lists::joined(headers, &SEC_WEBSOCKET_EXTENSIONS),
        allowed_rsv,
    })
}
