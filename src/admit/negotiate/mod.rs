//! Negotiate (RFC 4559 for proxies): SPNEGO with Kerberos, against a keytab. No key distribution centre is asked about clients; one
//! is for tickets that the proxy itself shows to others (`initiate`).

mod initiate;
mod keytab;
mod messages;
mod mic;
mod ndr;
mod pac;
mod replay;
mod spnego;
#[cfg(test)]
pub(super) mod testing;

pub use initiate::{Initiator, KDC_PORT};
pub use keytab::{Keytab, KeytabError};
pub use pac::{Pac, PacProblem};
pub use replay::Replays;

use crate::kerberos::{Encrypted, Etype, Key, first_number};
use messages::{ApReq, Authenticator, TicketPart};
use mic::Signer;
use replay::Seen;
use spnego::{Offer, Response, SpnegoToken, State};
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the clocks of clients, of the domain and of the proxy may be apart, in seconds (RFC 4120 section 8.2).
const SKEW: i64 = 300;
/// The largest token. Windows' own limit is 65,535 bytes (MaxTokenSize).
const MAX_TOKEN: usize = 65_535;

/// Key usages (RFC 4120 section 7.5.1).
const TICKET: u32 = 2;
const AUTHENTICATOR: u32 = 11;

/// Proves who a client is by its Kerberos ticket.
#[derive(Debug)]
pub struct Negotiate {
    keytab: Arc<Keytab>,
    replays: Arc<Replays>,
}

/// A client that has shown who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The client's name in its realm: `ada`, or what it logged in with.
    pub principal: String,
    /// `CORP.EXAMPLE`
    pub realm: String,
    /// What goes back to the client.
    pub reply: Option<Vec<u8>>,
    /// What the domain says of the client.
    pub pac: Privileges,
}

/// Whether a ticket has a PAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privileges {
    /// It has none.
    None,
    /// It has one that was verified.
    Verified(Pac),
    /// It has one that is not believed.
    Doubtful(PacProblem),
}

/// What a token led to.
#[derive(Debug)]
pub enum Accepted {
    /// The client is known.
    Proven(Proven),
    /// The client has to send one more token, on the same connection.
    Continue {
        /// What goes back to the client.
        reply: Vec<u8>,
        /// What the client's next token is judged with.
        round: Round,
    },
}

/// A negotiation that is not at its end.
#[derive(Debug)]
pub struct Round(Waiting);

/// What is waited for.
#[derive(Debug)]
enum Waiting {
    /// A token of Kerberos, which was chosen from this list.
    Ticket { mechanisms: Vec<u8> },
    /// The signature of the list by a client that has shown the rest.
    Mic {
        mechanisms: Vec<u8>,
        signer: Signer,
        proven: Box<Proven>,
    },
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotProven {
    /// It cannot be read; what it should have been.
    Malformed(&'static str),
    /// It is NTLM: the client has no ticket.
    Ntlm,
    /// The client offers neither Kerberos nor NTLM.
    NoKerberos,
    /// The client stopped the negotiation.
    GivenUp,
    /// A round of a negotiation that did not begin on this connection.
    OutOfOrder,
    /// There is no key of this encryption type and number in the keytab.
    NoKey {
        /// The encryption type (RFC 3961 section 8).
        etype: i64,
        /// The key's number.
        kvno: Option<u32>,
    },
    /// The ticket's own key is of a type that is not accepted any more.
    WeakKey {
        /// The encryption type.
        etype: i64,
    },
    /// The key does not fit, or something was changed.
    Integrity(&'static str),
    /// The client's clock is this many seconds ahead of the proxy's; behind if negative.
    Clock {
        /// How many.
        seconds: i64,
    },
    /// The ticket ended so many seconds ago.
    Expired {
        /// How many.
        seconds: i64,
    },
    /// The ticket begins in so many seconds.
    NotYetValid {
        /// How many.
        seconds: i64,
    },
    /// The ticket is in another user's session key.
    UserToUser,
    /// Ticket and authenticator name different clients.
    OtherClient,
    /// This very token was used before.
    Replay,
    /// More logins than can be kept apart from replays.
    Overload,
}

impl fmt::Display for NotProven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "no token that can be read: {what}"),
            Self::Ntlm => f.write_str(
                "the client sent NTLM, which is not accepted, since it has no Kerberos ticket for the proxy: is the proxy \
                 configured there by its name, not by an address, has that name an HTTP/ service principal, and can the \
                 client reach its domain controller?",
            ),
            Self::NoKerberos => f.write_str("the client does not offer Kerberos"),
            Self::GivenUp => f.write_str("the client rejects the negotiation"),
            Self::OutOfOrder => f.write_str("a negotiation that did not begin on this connection"),
            Self::NoKey { etype, kvno } => {
                write!(f, "the keytab has no key for encryption type {etype}")?;
                match kvno {
                    Some(kvno) => write!(f, " and key version {kvno}: was the account's password changed?"),
                    None => Ok(()),
                }
            }
            Self::WeakKey { etype } => write!(
                f,
                "the session key has encryption type {etype}; only AES is accepted: set msDS-SupportedEncryptionTypes of \
                 the proxy's account to 24"
            ),
            Self::Integrity(what) => write!(f, "{what} does not decrypt: another key, or a changed token"),
            Self::Clock { seconds } => write!(
                f,
                "clock: the client's is {} s {} the proxy's; 300 s are allowed",
                seconds.unsigned_abs(),
                if *seconds < 0 { "behind" } else { "ahead of" }
            ),
            Self::Expired { seconds } => write!(f, "clock or ticket: the ticket ended {seconds} s ago"),
            Self::NotYetValid { seconds } => write!(f, "clock: the ticket begins in {seconds} s"),
            Self::UserToUser => f.write_str("user-to-user tickets are not accepted"),
            Self::OtherClient => f.write_str("the ticket belongs to another client than its user"),
            Self::Replay => f.write_str("replay: this token was used before"),
            Self::Overload => f.write_str("too many logins at a time to tell replays apart"),
        }
    }
}

/// What an AP-REQ has shown.
struct ShownTicket {
    proven: Proven,
    /// AP-REP, if the client wants one.
    ap_rep: Option<Vec<u8>>,
    signer: Signer,
}

impl Negotiate {
    /// `replays` outlives configurations.
    pub fn new(keytab: Arc<Keytab>, replays: Arc<Replays>) -> Self {
        Self { keytab, replays }
    }

    /// Judges one token. `round` is what the last one on this connection left, if it left something.
    ///
    /// # Errors
    /// Why the token proves nothing; a new negotiation may begin.
    pub fn accept(&self, token: &[u8], round: Option<Round>, now: SystemTime) -> Result<Accepted, NotProven> {
        if token.len() > MAX_TOKEN {
            return Err(NotProven::Malformed("it is longer than 65,535 bytes"));
        }
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs().cast_signed());
        match spnego::read(token).ok_or(NotProven::Malformed("neither SPNEGO nor Kerberos"))? {
            SpnegoToken::Ntlm => Err(NotProven::Ntlm),
            SpnegoToken::Kerberos { ap_req, framed } => {
                let shown = self.show(ap_req, now)?;
                let reply = shown.ap_rep.map(|ap_rep| wrapped(ap_rep, framed));
                Ok(Accepted::Proven(Proven {
                    reply,
                    ..shown.proven
                }))
            }
            SpnegoToken::Offer(offer) => self.offered(&offer, now),
            SpnegoToken::Response(response) => self.responded(&response, round, now),
        }
    }

    fn offered(&self, offer: &Offer<'_>, now: i64) -> Result<Accepted, NotProven> {
        let Some(mechanism) = offer.kerberos else {
            return Err(if offer.ntlm || offer.token.is_some_and(spnego::is_ntlm) {
                NotProven::Ntlm
            } else {
                NotProven::NoKerberos
            });
        };
        if let Some((ap_req, framed)) = offer.token.and_then(spnego::kerberos) {
            let shown = self.show(ap_req, now)?;
            let token = shown.ap_rep.map(|ap_rep| wrapped(ap_rep, framed));
            let reply = spnego::reply(State::Completed, Some(mechanism), token.as_deref(), None);
            return Ok(Accepted::Proven(Proven {
                reply: Some(reply),
                ..shown.proven
            }));
        }
        Ok(Accepted::Continue {
            reply: spnego::reply(State::Chosen, Some(mechanism), None, None),
            round: Round(Waiting::Ticket {
                mechanisms: offer.mechanisms.to_vec(),
            }),
        })
    }

    fn responded(
        &self,
        response: &Response<'_>,
        round: Option<Round>,
        now: i64,
    ) -> Result<Accepted, NotProven> {
        if response.rejected {
            return Err(NotProven::GivenUp);
        }
        match (round, response.token) {
            (_, Some(token)) if spnego::is_ntlm(token) => Err(NotProven::Ntlm),
            (Some(Round(Waiting::Ticket { mechanisms })), Some(token)) => {
                let (ap_req, framed) = spnego::kerberos(token)
                    .ok_or(NotProven::Malformed("it is not the Kerberos that was chosen"))?;
                let shown = self.show(ap_req, now)?;
                let token = shown.ap_rep.map(|ap_rep| wrapped(ap_rep, framed));
                let mut proven = shown.proven;
                // The client did not begin with Kerberos: both sign the list that it was chosen from (RFC 4178 section 5).
                let mic = shown.signer.sign(&mechanisms);
                let reply = |state| spnego::reply(state, None, token.as_deref(), mic.as_deref());
                match response.mic {
                    Some(mic) if shown.signer.verifies(&mechanisms, mic) => {
                        proven.reply = Some(reply(State::Completed));
                        Ok(Accepted::Proven(proven))
                    }
                    Some(_) => Err(NotProven::Integrity("the signature of the mechanisms")),
                    None => Ok(Accepted::Continue {
                        reply: reply(State::Incomplete),
                        round: Round(Waiting::Mic {
                            mechanisms,
                            signer: shown.signer,
                            proven: Box::new(proven),
                        }),
                    }),
                }
            }
            (
                Some(Round(Waiting::Mic {
                    mechanisms,
                    signer,
                    proven,
                })),
                None,
            ) => match response.mic {
                Some(mic) if signer.verifies(&mechanisms, mic) => Ok(Accepted::Proven(Proven {
                    reply: Some(spnego::reply(State::Completed, None, None, None)),
                    ..*proven
                })),
                Some(_) => Err(NotProven::Integrity("the signature of the mechanisms")),
                None => Err(NotProven::Malformed("the signature of the mechanisms is missing")),
            },
            _ => Err(NotProven::OutOfOrder),
        }
    }

    /// Checks an AP-REQ (RFC 4120 section 3.2.3).
    fn show(&self, ap_req: &[u8], now: i64) -> Result<ShownTicket, NotProven> {
        let request = ApReq::read(ap_req).ok_or(NotProven::Malformed("a broken AP-REQ"))?;
        if request.user_to_user {
            return Err(NotProven::UserToUser);
        }
        let (key, plain) = self.open(&request.ticket)?;
        let ticket = TicketPart::read(&plain).ok_or(NotProven::Malformed("a broken ticket"))?;
        let session = ticket
            .key
            .as_ref()
            .map_err(|etype| NotProven::WeakKey { etype: *etype })?;
        let plain = opened_with(session, &request.authenticator)?;
        let authenticator =
            Authenticator::read(&plain).ok_or(NotProven::Malformed("a broken authenticator"))?;
        if (authenticator.realm, &authenticator.client) != (ticket.realm, &ticket.client) {
            return Err(NotProven::OtherClient);
        }
        self.check_times(&ticket, &authenticator, now)?;
        self.check_replay(request.authenticator.cipher, now)?;

        let sequence = if request.mutual {
            first_number().ok_or(NotProven::Overload)?
        } else {
            // Without a message of its own the server counts from where the client does (RFC 4121 section 4.1.1).
            authenticator.sequence
        };
        let reply = || authenticator.reply(session, sequence);
        let ap_rep = if request.mutual {
            Some(reply().ok_or(NotProven::Overload)?)
        } else {
            None
        };
        let signer = match &authenticator.subkey {
            Some(Ok(subkey)) => Signer::new(subkey.clone(), sequence),
            Some(Err(etype)) => return Err(NotProven::WeakKey { etype: *etype }),
            None => Signer::new(session.clone(), sequence),
        };
        let pac = match ticket.pac.map(|pac| Pac::read(pac, key)) {
            None => Privileges::None,
            Some(Ok(pac)) => Privileges::Verified(pac),
            Some(Err(problem)) => Privileges::Doubtful(problem),
        };
        let proven = Proven {
            principal: ticket.client.clone(),
            realm: ticket.realm.to_owned(),
            reply: None,
            pac,
        };
        Ok(ShownTicket {
            proven,
            ap_rep,
            signer,
        })
    }

    /// The ticket's content, and the key that it was for.
    fn open(&self, ticket: &Encrypted<'_>) -> Result<(&Key, Vec<u8>), NotProven> {
        let no_key = NotProven::NoKey {
            etype: ticket.etype,
            kvno: ticket.kvno,
        };
        let etype = Etype::from_number(ticket.etype).ok_or(no_key)?;
        let mut keys = self.keytab.candidates(etype, ticket.kvno).into_iter();
        keys.find_map(|key| Some((key, key.decrypt(TICKET, ticket.cipher)?)))
            .ok_or(if self.keytab.has(etype, ticket.kvno) {
                NotProven::Integrity("the ticket")
            } else {
                no_key
            })
    }

    fn check_times(
        &self,
        ticket: &TicketPart<'_>,
        authenticator: &Authenticator<'_>,
        now: i64,
    ) -> Result<(), NotProven> {
        let seconds = authenticator.time.saturating_sub(now);
        if seconds.abs() > SKEW {
            return Err(NotProven::Clock { seconds });
        }
        let seconds = ticket.start.saturating_sub(now);
        if seconds > SKEW || ticket.invalid {
            return Err(NotProven::NotYetValid { seconds });
        }
        let seconds = now.saturating_sub(ticket.end);
        if seconds > SKEW {
            return Err(NotProven::Expired { seconds });
        }
        Ok(())
    }

    fn check_replay(&self, authenticator: &[u8], now: i64) -> Result<(), NotProven> {
        // An authenticator made by a clock that is ahead is valid until that clock is as far behind.
        let window = 2 * SKEW + 1;
        match self
            .replays
            .see(authenticator, now.unsigned_abs(), window.unsigned_abs())
        {
            Seen::First => Ok(()),
            Seen::Again => Err(NotProven::Replay),
            Seen::Full => Err(NotProven::Overload),
        }
    }
}

/// What `key` decrypts.
fn opened_with(key: &Key, authenticator: &Encrypted<'_>) -> Result<Vec<u8>, NotProven> {
    (authenticator.etype == i64::from(key.etype().number()))
        .then(|| key.decrypt(AUTHENTICATOR, authenticator.cipher))
        .flatten()
        .ok_or(NotProven::Integrity("the authenticator"))
}

/// The answer in the framing of the question.
fn wrapped(ap_rep: Vec<u8>, framed: bool) -> Vec<u8> {
    if framed { spnego::framed(&ap_rep) } else { ap_rep }
}

#[cfg(test)]
mod tests;
