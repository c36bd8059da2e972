//! SPNEGO (RFC 4178) and the framing of GSS-API tokens (RFC 2743 section 3.1, RFC 4121 section 4.1).

use crate::kerberos::{KERBEROS, SPNEGO, application, content, context, field};
use crate::wire::der::{self, OCTET_STRING, OID, SEQUENCE};

/// 1.2.840.48018.1.2.2: a number that Windows 2000 cut to 16 bits, and that Windows sends to this day (MS-SPNG 3.1.5.2).
const KERBEROS_CUT: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];
/// 1.3.6.1.4.1.311.2.2.10
const NTLM: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a];
/// 1.3.6.1.4.1.311.2.2.30. Windows offers it with NTLM when it has no ticket.
const NEGOEX: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x1e];
/// What each NTLM message begins with (MS-NLMP 2.2.1).
const NTLM_SIGNATURE: &[u8] = b"NTLMSSP\0";

/// Mechanisms of an offer that are looked at; clients offer up to five.
const MAX_MECHANISMS: usize = 16;

const ENUMERATED: u8 = 0x0a;
const ACCEPT_COMPLETED: u8 = 0;
const ACCEPT_INCOMPLETE: u8 = 1;
const REJECT: u8 = 2;
const REQUEST_MIC: u8 = 3;

/// What a client's token is.
#[derive(Debug)]
pub(super) enum SpnegoToken<'a> {
    /// An AP-REQ, with no negotiation around it; `framed` if it has the framing of GSS-API.
    Kerberos { ap_req: &'a [u8], framed: bool },
    /// NegTokenInit: the first of a negotiation.
    Offer(Offer<'a>),
    /// NegTokenResp: one that follows.
    Response(Response<'a>),
    /// NTLM with no negotiation around it.
    Ntlm,
}

/// What a client offers in its first token.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    /// MechTypeList as it came: what a signature of the list is made over.
    pub(super) mechanisms: &'a [u8],
    /// Kerberos, by the number that the client has for it, if it is in the list.
    pub(super) kerberos: Option<&'a [u8]>,
    /// The token of the first mechanism in the list, if the client sent one along.
    pub(super) token: Option<&'a [u8]>,
    /// NTLM is in the list, or NEGOEX.
    pub(super) ntlm: bool,
}

/// What a client answers to a choice.
#[derive(Debug)]
pub(super) struct Response<'a> {
    pub(super) rejected: bool,
    pub(super) token: Option<&'a [u8]>,
    /// The signature of the mechanism list.
    pub(super) mic: Option<&'a [u8]>,
}

/// `None` if it is nothing of this.
pub(super) fn read(bytes: &[u8]) -> Option<SpnegoToken<'_>> {
    if bytes.starts_with(NTLM_SIGNATURE) {
        return Some(SpnegoToken::Ntlm);
    }
    let (outer, _) = der::read(bytes)?;
    if outer.tag == context(1) {
        return response(outer.content).map(SpnegoToken::Response);
    }
    if let Some((SPNEGO, rest)) = unframed(bytes) {
        let (choice, _) = der::read(rest)?;
        return match choice.tag {
            0xa0 => offer(choice.content).map(SpnegoToken::Offer),
            0xa1 => response(choice.content).map(SpnegoToken::Response),
            _ => None,
        };
    }
    let (ap_req, framed) = kerberos(bytes)?;
    Some(SpnegoToken::Kerberos { ap_req, framed })
}

/// The mechanism of a framed token, and what it says.
fn unframed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (outer, _) = der::expect(bytes, application(0))?;
    let (mechanism, rest) = der::expect(outer.content, OID)?;
    Some((mechanism.content, rest))
}

/// The AP-REQ in a token of the Kerberos mechanism, and whether it was framed. Some clients leave the framing out.
pub(super) fn kerberos(token: &[u8]) -> Option<(&[u8], bool)> {
    if token.first() == Some(&application(14)) {
        return Some((token, false));
    }
    let (KERBEROS | KERBEROS_CUT, rest) = unframed(token)? else {
        return None;
    };
    Some((rest.strip_prefix(&[1, 0])?, true))
}

/// Whether a token is of NTLM.
pub(super) fn is_ntlm(token: &[u8]) -> bool {
    token.starts_with(NTLM_SIGNATURE)
}

fn offer(bytes: &[u8]) -> Option<Offer<'_>> {
    let (sequence, _) = der::expect(bytes, SEQUENCE)?;
    let list = field(sequence.content, 0).filter(|list| list.tag == SEQUENCE)?;
    let mechanisms = || {
        der::each(list.content)
            .take(MAX_MECHANISMS)
            .map(|value| value.content)
    };
    Some(Offer {
        mechanisms: list.whole,
        kerberos: mechanisms().find(|oid| [KERBEROS, KERBEROS_CUT].contains(oid)),
        token: content(sequence.content, 2, OCTET_STRING),
        ntlm: mechanisms().any(|oid| [NTLM, NEGOEX].contains(&oid)),
    })
}

fn response(bytes: &[u8]) -> Option<Response<'_>> {
    let (sequence, _) = der::expect(bytes, SEQUENCE)?;
    Some(Response {
        rejected: content(sequence.content, 0, ENUMERATED) == Some(&[REJECT]),
        token: content(sequence.content, 2, OCTET_STRING),
        mic: content(sequence.content, 3, OCTET_STRING),
    })
}

/// An AP-REP as a token of the Kerberos mechanism.
pub(super) fn framed(ap_rep: &[u8]) -> Vec<u8> {
    der::join(application(0), &[&der::value(OID, KERBEROS), &[2, 0], ap_rep])
}

/// How far a negotiation is.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// The client is who it says.
    Completed,
    /// The client's signature of the mechanism list is to come.
    Incomplete,
    /// A mechanism that the client did not begin with was chosen.
    Chosen,
}

/// NegTokenResp.
pub(super) fn reply(
    state: State,
    mechanism: Option<&[u8]>,
    token: Option<&[u8]>,
    mic: Option<&[u8]>,
) -> Vec<u8> {
    let state = match state {
        State::Completed => ACCEPT_COMPLETED,
        State::Incomplete => ACCEPT_INCOMPLETE,
        State::Chosen => REQUEST_MIC,
    };
    let mut fields = der::value(context(0), &der::value(ENUMERATED, &[state]));
    for (n, tag, value) in [
        (1, OID, mechanism),
        (2, OCTET_STRING, token),
        (3, OCTET_STRING, mic),
    ] {
        if let Some(value) = value {
            fields.extend(der::value(context(n), &der::value(tag, value)));
        }
    }
    der::value(context(1), &der::value(SEQUENCE, &fields))
}
