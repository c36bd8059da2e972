//! The privilege attribute certificate that Active Directory puts into tickets (MS-PAC): whose account it is, and the groups,
//! nested ones included.

use super::ndr::{Ndr, utf16};
use crate::kerberos::Key;
use std::collections::BTreeSet;
use std::fmt;

/// Buffers in a PAC that are looked at; there are about ten.
const MAX_BUFFERS: usize = 64;

/// Kinds of buffers (MS-PAC 2.4).
const LOGON_INFO: u32 = 1;
const SERVER_CHECKSUM: u32 = 6;
const KDC_CHECKSUM: u32 = 7;
const UPN_DNS_INFO: u32 = 12;

/// KERB_NON_KERB_CKSUM_SALT of MS-PAC 2.8.1.
const USAGE: u32 = 17;
/// SE_GROUP_ENABLED (MS-PAC 2.2.1).
const ENABLED: u32 = 4;

/// What a PAC says of a user, once its signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pac {
    /// The account's name: `sAMAccountName`.
    pub account: String,
    /// The domain's short name: `CORP`.
    pub domain: String,
    /// `m.weber@corp.example`, explicit or made of the account's name.
    pub upn: Option<String>,
    /// The domain's DNS name.
    pub dns_domain: Option<String>,
    /// The account's own identifier: `S-1-5-21-...`.
    pub sid: String,
    /// The identifiers of all groups: the primary one, those of the domain, of others, and those of the server's domain.
    pub groups: Vec<String>,
}

/// Why a PAC is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacProblem {
    /// It cannot be read.
    Malformed,
    /// It has no signature of the server's key, or one of another type.
    Unsigned,
    /// The signature is wrong.
    BadSignature,
}

impl fmt::Display for PacProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the PAC cannot be read",
            Self::Unsigned => "the PAC is not signed with the key of the ticket",
            Self::BadSignature => "the signature of the PAC is wrong",
        })
    }
}

/// A kind of buffer and where it is.
struct Buffer {
    kind: u32,
    start: usize,
    end: usize,
}

impl Pac {
    /// Reads a PAC that was signed with `key`, the key of the ticket that it was in.
    ///
    /// # Errors
    /// Why nothing in it is to be believed.
    pub(super) fn read(bytes: &[u8], key: &Key) -> Result<Self, PacProblem> {
        let buffers = buffers(bytes).ok_or(PacProblem::Malformed)?;
        verify(bytes, &buffers, key)?;
        Self::verified(bytes, &buffers).ok_or(PacProblem::Malformed)
    }

    /// Without looking for a signature.
    #[cfg(test)]
    pub(super) fn read_unsigned(bytes: &[u8]) -> Option<Self> {
        Self::verified(bytes, &buffers(bytes)?)
    }

    fn verified(bytes: &[u8], buffers: &[Buffer]) -> Option<Self> {
        let mut pac = logon_info(of(bytes, buffers, LOGON_INFO)?)?;
        if let Some(info) = of(bytes, buffers, UPN_DNS_INFO) {
            let (upn, dns_domain) = upn_dns_info(info)?;
            pac.upn = Some(upn).filter(|upn| !upn.is_empty());
            pac.dns_domain = Some(dns_domain).filter(|name| !name.is_empty());
        }
        Some(pac)
    }
}

/// The first buffer of a kind.
fn of<'a>(bytes: &'a [u8], buffers: &[Buffer], kind: u32) -> Option<&'a [u8]> {
    let buffer = buffers.iter().find(|buffer| buffer.kind == kind)?;
    bytes.get(buffer.start..buffer.end)
}

/// PACTYPE (MS-PAC 2.3).
fn buffers(bytes: &[u8]) -> Option<Vec<Buffer>> {
    let mut header = Ndr::plain(bytes);
    let count = header.u32()? as usize;
    (header.u32()? == 0 && count <= MAX_BUFFERS).then_some(())?;
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        let (kind, size) = (header.u32()?, header.u32()? as usize);
        let start = usize::try_from(header.u64()?).ok()?;
        let end = start.checked_add(size).filter(|end| *end <= bytes.len())?;
        found.push(Buffer { kind, start, end });
    }
    Some(found)
}

/// Holds the server's signature, which is made over the whole with both signatures zero (MS-PAC 2.8.1), against the key.
fn verify(bytes: &[u8], buffers: &[Buffer], key: &Key) -> Result<(), PacProblem> {
    let signature = of(bytes, buffers, SERVER_CHECKSUM).ok_or(PacProblem::Unsigned)?;
    let Some((kind, signature)) = signature.split_first_chunk::<4>() else {
        return Err(PacProblem::Malformed);
    };
    if u32::from_le_bytes(*kind) != key.etype().checksum_number() {
        return Err(PacProblem::Unsigned);
    }
    let signature = signature
        .get(..key.etype().mac_length())
        .ok_or(PacProblem::Malformed)?;
    let mut zeroed = bytes.to_vec();
    for buffer in buffers {
        if matches!(buffer.kind, SERVER_CHECKSUM | KDC_CHECKSUM)
            && let Some(content) = zeroed.get_mut(buffer.start..buffer.end)
        {
            // A read-only controller's number stands behind its signature, and is no part of it.
            let kind = content
                .first_chunk::<4>()
                .map_or(0, |kind| i32::from_le_bytes(*kind));
            let length = signature_length(kind).unwrap_or(usize::MAX);
            content.iter_mut().skip(4).take(length).for_each(|byte| *byte = 0);
        }
    }
    if key.verifies(USAGE, &[&zeroed], signature) {
        Ok(())
    } else {
        Err(PacProblem::BadSignature)
    }
}

/// Bytes of a signature by its type; `None` for unknown ones.
fn signature_length(kind: i32) -> Option<usize> {
    match kind {
        // HMAC-MD5.
        -138 | 19 => Some(16),
        15 | 16 => Some(12),
        20 => Some(24),
        _ => None,
    }
}

/// KERB_VALIDATION_INFO (MS-PAC 2.5) in NDR: first what has a fixed length, with pointers, then what they point to, in the
/// same order.
fn logon_info(bytes: &[u8]) -> Option<Pac> {
    let mut ndr = Ndr::serialized(bytes)?;
    ndr.pointer()?.then_some(())?;
    // Six times.
    ndr.skip(6 * 8)?;
    let account = ndr.string()?;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(ndr.string()?);
    }
    // Two counters of logons.
    ndr.skip(4)?;
    let (user, primary) = (ndr.u32()?, ndr.u32()?);
    let (group_count, groups) = (ndr.u32()?, ndr.pointer()?);
    // UserFlags, UserSessionKey.
    ndr.skip(4 + 16)?;
    let (server, domain) = (ndr.string()?, ndr.string()?);
    let domain_sid = ndr.pointer()?;
    // Reserved1, UserAccountControl, SubAuthStatus, two times, FailedILogonCount, Reserved3.
    ndr.skip(8 + 4 + 4 + 8 + 8 + 4 + 4)?;
    let (extra_count, extra) = (ndr.u32()?, ndr.pointer()?);
    let resource_sid = ndr.pointer()?;
    let (resource_count, resources) = (ndr.u32()?, ndr.pointer()?);

    let account = ndr.text(&account)?;
    for other in &others {
        ndr.text(other)?;
    }
    let groups = ndr.memberships(group_count, groups)?;
    ndr.text(&server)?;
    let domain = ndr.text(&domain)?;
    let domain_sid = domain_sid.then(|| ndr.sid())??;
    let extra = ndr.sids(extra_count, extra)?;
    let resource_sid = if resource_sid { Some(ndr.sid()?) } else { None };
    let resources = ndr.memberships(resource_count, resources)?;

    let enabled = |found: Vec<(u32, u32)>| {
        let enabled = found
            .into_iter()
            .filter(|(_, attributes)| attributes & ENABLED != 0);
        enabled.map(|(relative, _)| relative)
    };
    let mut found = BTreeSet::new();
    found.insert(domain_sid.member(primary));
    found.extend(enabled(groups).map(|relative| domain_sid.member(relative)));
    let extra = extra
        .into_iter()
        .filter(|(_, attributes)| attributes & ENABLED != 0);
    found.extend(extra.map(|(sid, _)| sid.into_text()));
    if let Some(sid) = resource_sid {
        found.extend(enabled(resources).map(|relative| sid.member(relative)));
    }
    (!account.is_empty()).then(|| Pac {
        account,
        domain,
        upn: None,
        dns_domain: None,
        sid: domain_sid.member(user),
        groups: found.into_iter().collect(),
    })
}

/// UPN_DNS_INFO (MS-PAC 2.10): the principal name and the DNS name of the domain.
fn upn_dns_info(bytes: &[u8]) -> Option<(String, String)> {
    let mut header = Ndr::plain(bytes);
    let mut text = || {
        let (length, start) = (usize::from(header.u16()?), usize::from(header.u16()?));
        utf16(bytes.get(start..start.checked_add(length)?)?)
    };
    Some((text()?, text()?))
}
