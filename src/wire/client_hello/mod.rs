//! The TLS ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), read from the records that carry it.

mod read;
#[cfg(test)]
mod tests;

use super::Parse;
use super::names::Host;
use read::Bytes;
use std::borrow::Cow;

/// The most bytes of a stream that a ClientHello may take, record headers included.
pub const CAP: usize = 64 << 10;

const RECORD_HEADER: usize = 5;
/// The longest fragment that an unencrypted record may carry (RFC 8446 section 5.1).
const RECORD_MAX: usize = 1 << 14;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Type and length before a handshake message.
const MESSAGE_HEADER: usize = 4;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xFE0D;

const TLS13: u16 = 0x0304;
const TLS12: u16 = 0x0303;
const SECP256R1: u16 = 23;
/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem).
const X25519_MLKEM768: u16 = 0x11EC;
const ECDSA_SECP256R1_SHA256: u16 = 0x0403;
/// The suites of TLS 1.2 with an ECDSA certificate that rustls speaks (RFC 5289, RFC 7905).
const ECDHE_ECDSA: [u16; 3] = [0xC02B, 0xC02C, 0xCCA9];

/// What a client says of itself before anything is encrypted. GREASE values (RFC 8701) are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The SNI (RFC 6066 section 3), lower-cased; `None` when there is none or it is no DNS name.
    pub server_name: Option<String>,
    /// The application protocols, most wanted first (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
    /// The versions: those of `supported_versions`, else the one of the old field, which stands for itself
    /// and all before it.
    pub versions: Vec<u16>,
    /// The cipher suites, most wanted first.
    pub cipher_suites: Vec<u16>,
    /// The signature schemes for the handshake, most wanted first.
    pub signature_schemes: Vec<u16>,
    /// The key-exchange groups, most wanted first.
    pub groups: Vec<u16>,
    /// Whether there is an Encrypted ClientHello. Browsers send a dummy where they have no key for it, and no
    /// observer can tell the two apart.
    pub ech: bool,
}

impl ClientHello {
    /// Whether this client wants a hybrid of X25519 and ML-KEM-768 for its key exchange.
    pub fn offers_post_quantum(&self) -> bool {
        self.groups.contains(&X25519_MLKEM768)
    }

    /// Whether this client takes an ECDSA P-256 leaf: it lists `ecdsa_secp256r1_sha256`, and for TLS 1.2 also
    /// secp256r1 and an ECDHE_ECDSA suite that rustls speaks. (In TLS 1.3 the groups are about the key
    /// exchange only, RFC 8446 section 4.2.7.)
    pub fn takes_p256(&self) -> bool {
        self.signature_schemes.contains(&ECDSA_SECP256R1_SHA256)
            && (self.versions.contains(&TLS13)
                || (self.versions.contains(&TLS12)
                    && self.groups.contains(&SECP256R1)
                    && self.cipher_suites.iter().any(|suite| ECDHE_ECDSA.contains(suite))))
    }
}

/// Reads the ClientHello at the start of a stream; it may lie in several records. What follows it is not
/// looked at. A hello that is not over within [`CAP`] bytes is invalid. An SSLv2 hello is another protocol.
///
/// The caller reads more and asks again with all bytes from the start; an answer that is not
/// [`Parse::NeedMore`] does not change when more bytes come.
pub fn parse(input: &[u8]) -> Parse<ClientHello> {
    match input {
        [] => return Parse::NeedMore,
        [HANDSHAKE] | [HANDSHAKE, 3, ..] => {}
        _ => return Parse::NotThis,
    }
    match message(&input[..input.len().min(CAP)]) {
        Ok(Some(body)) => match hello(&body) {
            Ok(hello) => Parse::Complete(hello),
            Err(reason) => Parse::Invalid(reason),
        },
        Ok(None) if input.len() >= CAP => Parse::Invalid("the ClientHello is longer than 64 KiB"),
        Ok(None) => Parse::NeedMore,
        Err(reason) => Parse::Invalid(reason),
    }
}

/// The body of the handshake message that the records carry, copied only if it lies in several.
fn message(mut records: &[u8]) -> Result<Option<Cow<'_, [u8]>>, &'static str> {
    let mut joined: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    loop {
        let Some(TlsRecord {
            kind,
            fragment,
            complete,
        }) = record(records)?
        else {
            return Ok(None);
        };
        if kind != HANDSHAKE {
            return Err("another TLS record stands inside the ClientHello");
        }
        if joined.is_empty() {
            joined = Cow::Borrowed(fragment);
        } else {
            joined.to_mut().extend_from_slice(fragment);
        }
        if let Some((&[kind, long @ ..], body)) = joined.split_first_chunk::<MESSAGE_HEADER>() {
            let length = u32::from_be_bytes([0, long[0], long[1], long[2]]) as usize;
            if kind != CLIENT_HELLO {
                return Err("the first handshake message is not a ClientHello");
            }
            if length > CAP - MESSAGE_HEADER - RECORD_HEADER {
                return Err("the ClientHello is longer than 64 KiB");
            }
            if body.len() >= length {
                let whole = MESSAGE_HEADER..MESSAGE_HEADER + length;
                return Ok(Some(match joined {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[whole]),
                    Cow::Owned(bytes) => Cow::Owned(bytes[whole].to_vec()),
                }));
            }
        } else if joined.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err("the first handshake message is not a ClientHello");
        }
        if !complete {
            return Ok(None);
        }
        records = &records[RECORD_HEADER + fragment.len()..];
    }
}

/// A TLS record whose header is there.
struct TlsRecord<'a> {
    kind: u8,
    /// What is there of its fragment.
    fragment: &'a [u8],
    /// Whether that is all of it.
    complete: bool,
}

fn record(input: &[u8]) -> Result<Option<TlsRecord<'_>>, &'static str> {
    let Some((&[kind, major, _, high, low], rest)) = input.split_first_chunk::<RECORD_HEADER>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if major != 3 {
        return Err("a TLS record of an unknown version stands inside the ClientHello");
    }
    if length == 0 {
        return Err("an empty TLS record");
    }
    if length > RECORD_MAX {
        return Err("a TLS record of more than 16 KiB");
    }
    Ok(Some(TlsRecord {
        kind,
        fragment: &rest[..length.min(rest.len())],
        complete: rest.len() >= length,
    }))
}

/// The fields of the message.
fn hello(body: &[u8]) -> Result<ClientHello, &'static str> {
    const BROKEN: &str = "a field of the ClientHello is cut short";
    let mut rest = Bytes(body);
    let mut hello = ClientHello::default();
    let legacy_version = rest.u16().ok_or(BROKEN)?;
    let _random = rest.take(32).ok_or(BROKEN)?;
    let session_id = rest.short_vector().ok_or(BROKEN)?;
    if session_id.0.len() > 32 {
        return Err("the session id is longer than 32 bytes");
    }
    hello.cipher_suites = rest
        .long_vector()
        .ok_or(BROKEN)?
        .numbers()
        .ok_or("the cipher suites are not a list of numbers")?;
    let compressions = rest.short_vector().ok_or(BROKEN)?;
    if compressions.is_empty() {
        return Err("no compression method, not even \"none\"");
    }
    hello.versions = vec![legacy_version];
    // A hello of TLS 1.2 or older may end here.
    if !rest.is_empty() {
        let extensions = rest.long_vector().ok_or(BROKEN)?;
        if !rest.is_empty() {
            return Err("bytes after the extensions");
        }
        read_extensions(&mut hello, extensions)?;
    }
    Ok(hello)
}

/// Reads the extensions that a decision needs and steps over all others.
fn read_extensions(hello: &mut ClientHello, mut rest: Bytes<'_>) -> Result<(), &'static str> {
    let mut seen = [false; 6];
    while !rest.is_empty() {
        let (kind, mut data) = rest.extension().ok_or("an extension is cut short")?;
        let slot = match kind {
            SERVER_NAME => 0,
            SUPPORTED_GROUPS => 1,
            SIGNATURE_ALGORITHMS => 2,
            ALPN => 3,
            SUPPORTED_VERSIONS => 4,
            ENCRYPTED_CLIENT_HELLO => 5,
            _ => continue,
        };
        // RFC 8446 section 4.2. Two of a kind could mean one to the policy and the other to the origin.
        if std::mem::replace(&mut seen[slot], true) {
            return Err("an extension stands there twice");
        }
        match kind {
            SERVER_NAME => hello.server_name = server_name(data)?,
            SUPPORTED_GROUPS => {
                hello.groups = data.only_numbers().ok_or("supported_groups is broken")?;
            }
            SIGNATURE_ALGORITHMS => {
                hello.signature_schemes = data.only_numbers().ok_or("signature_algorithms is broken")?;
            }
            ALPN => hello.alpn = alpn(data).ok_or("the ALPN extension is broken")?,
            SUPPORTED_VERSIONS => {
                hello.versions = data
                    .short_vector()
                    .filter(|_| data.is_empty())
                    .and_then(Bytes::numbers)
                    .ok_or("supported_versions is broken")?;
            }
            _ => hello.ech = true,
        }
    }
    Ok(())
}

/// RFC 6066 section 3. Something other than a DNS name (an address, say) is as good as no name; two names are
/// an error, because the policy and the origin could each take another one.
fn server_name(mut data: Bytes<'_>) -> Result<Option<String>, &'static str> {
    const BROKEN: &str = "the server_name extension is broken";
    const HOST_NAME: u8 = 0;
    let mut list = data.long_vector().filter(|_| data.is_empty()).ok_or(BROKEN)?;
    let mut found = None;
    if list.is_empty() {
        return Err(BROKEN);
    }
    while !list.is_empty() {
        let kind = list.u8().ok_or(BROKEN)?;
        let name = list.long_vector().ok_or(BROKEN)?;
        if kind == HOST_NAME && found.replace(name).is_some() {
            return Err("server_name has two host names");
        }
    }
    let text = found.and_then(|name| std::str::from_utf8(name.0).ok());
    Ok(match text.and_then(Host::parse) {
        Some(Host::Name(name)) => Some(name),
        _ => None,
    })
}

/// RFC 7301 section 3.1: at least one name, none of them empty.
fn alpn(mut data: Bytes<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = data
        .long_vector()
        .filter(|list| data.is_empty() && !list.is_empty())?;
    let mut names = Vec::new();
    while !list.is_empty() {
        let name = list.short_vector().filter(|name| !name.is_empty())?.0;
        if !matches!(name, &[a, b] if read::is_grease(u16::from_be_bytes([a, b]))) {
            names.push(name.to_vec());
        }
    }
    Some(names)
}
