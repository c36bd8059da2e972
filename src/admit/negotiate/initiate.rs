//! The client's side of Negotiate: tickets for a service, by a key of the proxy's own from a keytab.

use super::asking::{self, Asked, NoTicket, Principal, Ticket};
use super::keytab::Keytab;
use super::mic::first_number;
use crate::kerberos::Key;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Where a key distribution centre listens if nothing else is said.
pub const KDC_PORT: u16 = 88;
/// The longest answer of one.
const MAX_ANSWER: u32 = 256 << 10;
/// A ticket is renewed so many seconds before it ends.
const MARGIN: i64 = 120;
/// After a failure nothing is asked for so long.
const REST: Duration = Duration::from_secs(5);

/// Gets tokens for one service.
#[derive(Debug)]
pub struct Initiator {
    client: Principal,
    own: Key,
    service: Principal,
    /// `HOST:PORT`, in the order in which they are asked.
    centres: Vec<String>,
    deadline: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    ticket: Option<Ticket>,
    /// Why there was none, and when.
    failed: Option<(Instant, String)>,
}

impl Initiator {
    /// `principal` is who the proxy is, by default the only one that the keytab has keys of; `service` is `HTTP/HOST`. Each
    /// of `centres` is asked within `deadline`.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn new(
        keytab: &Keytab,
        principal: Option<&str>,
        service: &str,
        centres: Vec<String>,
        deadline: Duration,
    ) -> Result<Self, String> {
        let principals: Vec<_> = keytab.principals().collect();
        let name = match (principal, &principals[..]) {
            (Some(name), _) => name,
            (None, [one]) => one,
            (None, several) => {
                return Err(format!(
                    "has keys of {}; write principal = \"...\" to say which one the proxy is",
                    several.join(", ")
                ));
            }
        };
        let client = Principal::parse(name)
            .ok_or_else(|| format!("{name:?} is no principal; write such as \"wsbump@CORP.EXAMPLE\""))?;
        let own = keytab
            .key_of(name)
            .ok_or_else(|| format!("has no key of {name}, only of {}", principals.join(", ")))?;
        let service = Principal::parse(&format!("{service}@{}", client.realm))
            .filter(|service| service.parts.len() == 2)
            .ok_or_else(|| format!("{service:?} is no service; write such as \"HTTP/proxy.corp.example\""))?;
        Ok(Self {
            own: own.clone(),
            client,
            service,
            centres,
            deadline,
            known: Mutex::default(),
        })
    }

    /// A new token for the service.
    ///
    /// # Errors
    /// Why there is no ticket.
    pub async fn token(&self) -> Result<Vec<u8>, String> {
        let ticket = {
            // Whoever else needs one waits for it.
            let mut known = self.known.lock().await;
            let now = asked()?.now.0;
            if let Some(ticket) = known.ticket.as_ref().filter(|ticket| ticket.end - MARGIN > now) {
                ticket.clone()
            } else {
                if let Some((at, why)) = &known.failed
                    && at.elapsed() < REST
                {
                    return Err(why.clone());
                }
                match self.fetch().await {
                    Ok(ticket) => {
                        *known = Known {
                            ticket: Some(ticket.clone()),
                            failed: None,
                        };
                        ticket
                    }
                    Err(why) => {
                        *known = Known {
                            ticket: None,
                            failed: Some((Instant::now(), why.clone())),
                        };
                        return Err(why);
                    }
                }
            }
        };
        asking::token(&self.client, &ticket, asked()?).ok_or_else(|| "no token could be made".to_owned())
    }

    /// The service does not accept its ticket: its key may have changed.
    pub async fn forget(&self) {
        self.known.lock().await.ticket = None;
    }

    async fn fetch(&self) -> Result<Ticket, String> {
        let mut why = "no key distribution centre is named".to_owned();
        for centre in &self.centres {
            match timeout(self.deadline, self.fetch_from(centre)).await {
                Ok(Ok(ticket)) => return Ok(ticket),
                Ok(Err(error)) => why = format!("{centre}: {error}"),
                Err(_) => why = format!("{centre}: no answer within {:?}", self.deadline),
            }
        }
        Err(why)
    }

    async fn fetch_from(&self, centre: &str) -> Result<Ticket, String> {
        const FAILED: &str = "no request could be made";
        let mut it = asked()?;
        let request = asking::as_request(&self.client, &self.own, it).ok_or(FAILED)?;
        let answer = ask(centre, &request).await?;
        let first = asking::as_reply(&answer, &self.own, it).map_err(|error| told(&error))?;
        it = asked()?;
        let request = asking::tgs_request(&self.client, &first, &self.service, it).ok_or(FAILED)?;
        let answer = ask(centre, &request).await?;
        asking::tgs_reply(&answer, &first, it).map_err(|error| match error {
            NoTicket::Refused(7, _) => format!(
                "the domain knows no service {}@{}: the parent's name in its URL has to be a service principal there, or name another one (service)",
                self.service.parts.join("/"),
                self.service.realm
            ),
            error => told(&error),
        })
    }
}

/// In words (RFC 4120 section 7.5.9).
fn told(error: &NoTicket) -> String {
    match error {
        NoTicket::Broken(what) => (*what).to_owned(),
        NoTicket::Refused(code, words) => {
            let known = match code {
                6 => "the domain does not know the proxy's principal",
                14 => "the domain does not accept the type of the keytab's key",
                18 => "the proxy's account is locked, expired or may not log in now",
                23 => "the password of the proxy's account has expired",
                24 | 31 => {
                    "the keytab's key is not the account's: was its password changed? Export the keytab anew"
                }
                25 => "the domain wants another way to log in than by a key",
                37 => "the clocks of the proxy and the domain are more than five minutes apart",
                _ => "the domain refuses",
            };
            match words.is_empty() {
                true => format!("{known} (error {code})"),
                false => format!("{known} (error {code}: {words})"),
            }
        }
    }
}

fn asked() -> Result<Asked, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Asked {
        now: (
            i64::try_from(now.as_secs()).unwrap_or_default(),
            now.subsec_micros(),
        ),
        nonce: first_number().ok_or("no random number could be had")?,
    })
}

/// One request and its answer, by TCP (RFC 4120 section 7.2.2).
async fn ask(centre: &str, request: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(centre).await.map_err(wrong)?;
    let length = u32::try_from(request.len()).map_err(|_| "the request is too long".to_owned())?;
    let framed = [&length.to_be_bytes()[..], request].concat();
    stream.write_all(&framed).await.map_err(wrong)?;
    let length = stream.read_u32().await.map_err(wrong)?;
    if length > MAX_ANSWER {
        return Err(format!(
            "its answer has {length} bytes, more than the {MAX_ANSWER} that are read"
        ));
    }
    let mut answer = vec![0; length as usize];
    stream.read_exact(&mut answer).await.map_err(wrong)?;
    Ok(answer)
}
