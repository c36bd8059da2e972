//! The client's side of Negotiate: tickets for a service, by a key of the proxy's own from a keytab.

use super::keytab::Keytab;
use crate::kerberos::{self, AskedAt, Key, NoTicket, Principal, Ticket, ask};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Where a key distribution centre listens if nothing else is said.
pub const KDC_PORT: u16 = 88;
/// A ticket is renewed so many seconds before it ends.
const MARGIN: i64 = 120;
/// After a failure nothing is asked for so long.
const REST: Duration = Duration::from_secs(5);
/// The same after a refusal that the domain counts as a wrong password: a few of them lock the account.
const REFUSED_REST: Duration = Duration::from_secs(300);

/// Gets tokens for one service.
#[derive(Debug)]
pub struct Initiator {
    client: Principal,
    own: Key,
    service: Principal,
    /// `HOST:PORT`, in the order in which they are asked.
    centres: Vec<String>,
    deadline: Duration,
    known: Mutex<OwnTicket>,
}

#[derive(Debug, Default)]
struct OwnTicket {
    ticket: Option<Ticket>,
    /// When that came.
    since: Option<Instant>,
    /// When there was none, and why.
    failed: Option<(Instant, Missing)>,
}

/// For how long nothing is asked, since there is no ticket; and why there is none.
#[derive(Debug)]
struct Missing(Duration, String);

impl From<String> for Missing {
    fn from(why: String) -> Self {
        Self(REST, why)
    }
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
                if let Some((at, Missing(rest, why))) = &known.failed
                    && at.elapsed() < *rest
                {
                    return Err(why.clone());
                }
                match self.fetch().await {
                    Ok(ticket) => {
                        *known = OwnTicket {
                            ticket: Some(ticket.clone()),
                            since: Some(Instant::now()),
                            failed: None,
                        };
                        ticket
                    }
                    Err(missing) => {
                        let why = missing.1.clone();
                        *known = OwnTicket {
                            ticket: None,
                            since: None,
                            failed: Some((Instant::now(), missing)),
                        };
                        return Err(why);
                    }
                }
            }
        };
        kerberos::token(&ticket, asked()?).ok_or_else(|| "no token could be made".to_owned())
    }

    /// The service does not accept its ticket: its key may have changed. A ticket that has only just come is kept: the next one
    /// would be no better, and a service that refuses all of them would have the domain asked for each connection.
    pub async fn forget(&self) {
        let mut known = self.known.lock().await;
        if known.since.is_none_or(|since| since.elapsed() >= REST) {
            known.ticket = None;
        }
    }

    async fn fetch(&self) -> Result<Ticket, Missing> {
        let mut missing = Missing::from("no key distribution centre is named".to_owned());
        for centre in &self.centres {
            missing = match timeout(self.deadline, self.fetch_from(centre)).await {
                Ok(Ok(ticket)) => return Ok(ticket),
                Ok(Err(Missing(rest, why))) => Missing(rest, format!("{centre}: {why}")),
                Err(_) => format!("{centre}: no answer within {:?}", self.deadline).into(),
            };
            // The others know the same passwords, and would count once more.
            if missing.0 > REST {
                break;
            }
        }
        Err(missing)
    }

    async fn fetch_from(&self, centre: &str) -> Result<Ticket, Missing> {
        let failed = || "no request could be made".to_owned();
        let mut it = asked()?;
        let request = kerberos::as_request(&self.client, &self.own, it).ok_or_else(failed)?;
        let answer = ask(centre, &request).await?;
        let first = kerberos::as_reply(&answer, &self.client, &self.own, it)
            .map_err(|error| Missing(rest_after(&error), told(&error)))?;
        it = asked()?;
        let request = kerberos::tgs_request(&first, &self.service, it).ok_or_else(failed)?;
        let answer = ask(centre, &request).await?;
        let found = kerberos::tgs_reply(&answer, &first, &self.service, it);
        let found = found.map_err(|error| match error {
            NoTicket::Refused(7, _) => format!(
                "the domain knows no service {}@{}: the parent's name in its URL has to be a service principal there, or name another one (service)",
                self.service.parts.join("/"),
                self.service.realm
            ),
            error => told(&error),
        });
        found.map_err(Missing::from)
    }
}

/// For how long nothing is asked after a login that ended so.
fn rest_after(error: &NoTicket) -> Duration {
    match error {
        NoTicket::Refused(18 | 24 | 31, _) => REFUSED_REST,
        _ => REST,
    }
}

/// In words (RFC 4120 section 7.5.9).
fn told(error: &NoTicket) -> String {
    match error {
        NoTicket::Broken(what) => (*what).to_owned(),
        NoTicket::Elsewhere(realm) => {
            format!("the parent belongs to the realm {realm}, and only the proxy's own is asked")
        }
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

fn asked() -> Result<AskedAt, String> {
    AskedAt::now().ok_or_else(|| "no random number could be had".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Accepted;
    use super::super::testing::making::{Made, NOW, key, server};
    use super::*;
    use crate::kerberos::{application, context, field, message, unsigned};
    use crate::wire::der::{self, SEQUENCE};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::UNIX_EPOCH;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn initiator(centres: Vec<String>) -> Initiator {
        Initiator {
            client: Principal::parse("wsbump@CORP.EXAMPLE").unwrap(),
            own: key(18, 5),
            service: Principal::parse("HTTP/proxy.corp.example@CORP.EXAMPLE").unwrap(),
            centres,
            deadline: Duration::from_secs(5),
            known: Mutex::default(),
        }
    }

    /// A centre that refuses everything with this code, and how often it was asked.
    async fn refusing(code: u32) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let length = stream.read_u32().await.unwrap();
                stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
                count.fetch_add(1, Relaxed);
                let error = der::value(SEQUENCE, &der::value(context(6), &unsigned(code)));
                let error = der::value(application(30), &error);
                let length = u32::try_from(error.len()).unwrap();
                let framed = [&length.to_be_bytes()[..], &error].concat();
                stream.write_all(&framed).await.unwrap();
            }
        });
        (address, asked)
    }

    /// As if the last failure were older by this.
    async fn later(it: &Initiator, by: Duration) {
        let mut known = it.known.lock().await;
        let (at, _) = known.failed.as_mut().unwrap();
        *at = at.checked_sub(by).unwrap();
    }

    #[tokio::test]
    async fn what_counts_as_a_wrong_password_is_asked_of_one_centre_and_not_again_for_minutes() {
        for (code, is_counted) in [
            (18, true),
            (24, true),
            (31, true),
            (6, false),
            (25, false),
            (37, false),
        ] {
            let (first, of_first) = refusing(code).await;
            let (second, of_second) = refusing(code).await;
            let asked = || (of_first.load(Relaxed), of_second.load(Relaxed));
            let it = initiator(vec![first, second]);
            let why = it.token().await.unwrap_err();
            assert!(why.contains(&format!("(error {code})")), "{why}");
            // The reason is told again, and nobody is asked.
            assert_eq!(it.token().await.unwrap_err(), why);
            assert_eq!(asked(), (1, usize::from(!is_counted)), "{code}");
            later(&it, REST).await;
            assert_eq!(it.token().await.unwrap_err(), why);
            assert_eq!(asked(), if is_counted { (1, 0) } else { (2, 2) }, "{code}");
            later(&it, REFUSED_REST).await;
            assert_eq!(it.token().await.unwrap_err(), why);
            assert_eq!(asked(), if is_counted { (2, 0) } else { (3, 3) }, "{code}");
        }
    }

    /// What is made here is what the other half of this room takes.
    #[test]
    fn a_token_proves_its_client_once() {
        let server = server(&[(18, 1, 3)]);
        let made = Made::default();
        let (session, request) = (made.session.clone(), made.ap_req());
        let ticket = Ticket {
            client: Principal::parse("ada@CORP.EXAMPLE").unwrap(),
            server: Principal::parse("HTTP/proxy.corp.example@CORP.EXAMPLE").unwrap(),
            key: session,
            end: NOW + 3600,
            whole: field(message(&request, 14).unwrap(), 3).unwrap().whole.to_vec(),
        };
        let asked = AskedAt {
            now: (NOW, 17),
            nonce: 99,
        };
        let token = kerberos::token(&ticket, asked).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        match server.accept(&token, None, now) {
            Ok(Accepted::Proven(proven)) => {
                assert_eq!((&*proven.principal, &*proven.realm), ("ada", "CORP.EXAMPLE"));
            }
            other => panic!("{other:?}"),
        }
        assert!(server.accept(&token, None, now).is_err(), "a replay");
        // Not with another session key.
        let other = Ticket {
            key: key(18, 9),
            ..ticket
        };
        let token = kerberos::token(&other, asked).unwrap();
        assert!(server.accept(&token, None, now).is_err());
    }

    #[tokio::test]
    async fn a_refused_ticket_is_forgotten_unless_it_has_only_just_come() {
        let it = initiator(Vec::new());
        let now = Instant::now();
        for (since, is_kept) in [(now, true), (now.checked_sub(REST).unwrap(), false)] {
            *it.known.lock().await = OwnTicket {
                ticket: Some(Ticket {
                    client: it.client.clone(),
                    server: it.service.clone(),
                    whole: Vec::new(),
                    key: key(18, 6),
                    end: i64::MAX,
                }),
                since: Some(since),
                failed: None,
            };
            it.forget().await;
            assert_eq!(it.token().await.is_ok(), is_kept);
        }
    }
}
