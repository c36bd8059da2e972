//! How a ticket is shown: AP-REQ (RFC 4120 section 5.5.1), and the token with it for a service of HTTP (RFC 4559, RFC 4121
//! section 4.1, RFC 4178 section 4.2.1).

use super::asked::AskedAt;
use super::fields::{application, unsigned};
use super::ticket::Ticket;
use super::values::{encrypted, flags, moment, name, sequence, string, tagged};
use crate::wire::der::{self, OCTET_STRING, OID};

/// 1.3.6.1.5.5.2
pub(crate) const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];
/// 1.2.840.113554.1.2.2
pub(crate) const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];

/// A key usage (RFC 4120 section 7.5.1).
const AUTHENTICATOR: u32 = 11;
/// The checksum that GSS-API has in place of one (RFC 4121 section 4.1.1).
const GSS_CHECKSUM: u32 = 0x8003;

/// A token for the service of a ticket: an offer of Kerberos with a new AP-REQ in it. Nothing is asked of the service.
pub(crate) fn token(ticket: &Ticket, asked: AskedAt) -> Option<Vec<u8>> {
    // No channel is bound, and no flag is set.
    let empty = [&16_u32.to_le_bytes()[..], &[0; 20]].concat();
    let shown = ap_request(ticket, AUTHENTICATOR, (GSS_CHECKSUM, &empty), asked)?;
    let kerberos = der::value(OID, KERBEROS);
    let framed = der::join(application(0), &[&kerberos, &[1, 0], &shown]);
    let offer = sequence(&[
        tagged(0, &sequence(&[kerberos])),
        tagged(2, &der::value(OCTET_STRING, &framed)),
    ]);
    Some(der::join(
        application(0),
        &[&der::value(OID, SPNEGO), &tagged(0, &offer)],
    ))
}

/// A ticket with the proof that it is the client's, and a checksum of this kind.
pub(super) fn ap_request(
    ticket: &Ticket,
    usage: u32,
    (kind, sum): (u32, &[u8]),
    asked: AskedAt,
) -> Option<Vec<u8>> {
    let (seconds, micros) = asked.now;
    let sum = sequence(&[
        tagged(0, &unsigned(kind)),
        tagged(1, &der::value(OCTET_STRING, sum)),
    ]);
    let authenticator = sequence(&[
        tagged(0, &unsigned(5)),
        tagged(1, &string(&ticket.client.realm)),
        tagged(2, &name(&ticket.client)),
        tagged(3, &sum),
        tagged(4, &unsigned(micros)),
        tagged(5, &moment(seconds)?),
        tagged(7, &unsigned(asked.nonce)),
    ]);
    let authenticator = der::value(application(2), &authenticator);
    let request = sequence(&[
        tagged(0, &unsigned(5)),
        tagged(1, &unsigned(14)),
        tagged(2, &flags(0)),
        tagged(3, &ticket.whole),
        tagged(4, &encrypted(&ticket.key, usage, &authenticator)?),
    ]);
    Some(der::value(application(14), &request))
}
