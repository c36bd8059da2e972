//! Tickets of a login, shown to a proxy by Negotiate (RFC 4559): as browsers do, from the file that `kinit` has written. Where
//! the proxy's ticket is not among them yet, the domain is asked for it.

mod cache;
mod config;
mod messages;
mod ticket;

use config::Config;
use messages::Moment;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ticket::{Principal, Ticket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The longest answer of a domain.
const ANSWER: usize = 256 * 1024;

/// Where tickets are, and those for proxies, once they are there.
#[derive(Debug)]
pub struct Tickets {
    cache: String,
    config: PathBuf,
    /// By the host of the proxy, in lower case: targets may have proxies of their own.
    shown: Mutex<HashMap<String, Result<Ticket, String>>>,
}

impl Tickets {
    /// By the variables that Kerberos goes by: `KRB5CCNAME` and `KRB5_CONFIG`. `user` is the number of who runs this.
    pub fn of(env: impl Fn(&str) -> Option<String>, user: u32) -> Self {
        Self {
            cache: env("KRB5CCNAME").unwrap_or_else(|| format!("FILE:/tmp/krb5cc_{user}")),
            config: env("KRB5_CONFIG").map_or_else(|| "/etc/krb5.conf".into(), PathBuf::from),
            shown: Mutex::default(),
        }
    }

    /// A token for the proxy on this host; each is good once.
    ///
    /// # Errors
    /// A sentence that says what lacks.
    pub(super) async fn token(&self, host: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let host = host.to_ascii_lowercase();
        let found = {
            // Whoever else needs one waits for it.
            let mut shown = self.shown.lock().await;
            match shown.entry(host) {
                Entry::Occupied(found) => found.get().clone(),
                Entry::Vacant(place) => {
                    let found = self.ticket(place.key(), limit).await;
                    place.insert(found).clone()
                }
            }
        };
        messages::token(&found?, moment()).ok_or_else(|| "the ticket cannot be shown".to_owned())
    }

    /// The ticket for the proxy on a host, which is in lower case.
    async fn ticket(&self, host: &str, limit: Duration) -> Result<Ticket, String> {
        let path = match self.cache.split_once(':') {
            Some(("FILE", path)) => path,
            // A path, as it is.
            _ if self.cache.starts_with('/') => &self.cache,
            Some((kind, _)) => {
                return Err(format!(
                    "the tickets are in a cache of the kind {kind}, and the doctor reads files: KRB5CCNAME=FILE:/tmp/tickets kinit writes one"
                ));
            }
            None => &self.cache,
        };
        let bytes = std::fs::read(path)
            .map_err(|error| format!("there are no tickets in {path} ({error}): log in with kinit"))?;
        let (owner, tickets) =
            cache::read(&bytes).ok_or_else(|| format!("{path} is no file of tickets that can be read"))?;
        let now = moment().seconds;
        let mut live = tickets.into_iter().filter(|ticket| ticket.end > now);
        let text = std::fs::read_to_string(&self.config).unwrap_or_default();
        let config = Config::read(&text);
        let realm = config.realm(host).unwrap_or(&owner.realm).to_owned();
        let server = Principal::http(host, &realm);
        let granting = Principal {
            kind: 2,
            realm: owner.realm.clone(),
            parts: vec!["krbtgt".to_owned(), realm.clone()],
        };
        let mut login = None;
        for ticket in live.by_ref() {
            if ticket.server.is(&server) {
                return Ok(ticket);
            }
            if ticket.server.is(&granting) {
                login = Some(ticket);
            }
        }
        let login = login
            .ok_or_else(|| format!("no ticket for the realm {realm} is left in {path}: log in with kinit"))?;
        ask(&login, &server, &config.servers(&realm), limit).await
    }
}

/// Asks a domain for the ticket of a server. `limit` is that of the whole step, which has begun: each server of the domain has an
/// equal share of it, and one share is left over, so that a silent one is not taken for a silent proxy.
async fn ask(
    login: &Ticket,
    server: &Principal,
    at: &[(String, u16)],
    limit: Duration,
) -> Result<Ticket, String> {
    let shares = u32::try_from(at.len()).unwrap_or(u32::MAX).saturating_add(1);
    let each = limit / shares;
    let mut last = "no server of the domain is known".to_owned();
    for (host, port) in at {
        // A number below 2^31, since some read it with a sign.
        let nonce = moment().micros | 1;
        let request = messages::request(login, server, moment(), nonce).ok_or("no request can be written")?;
        let answer = match timeout(each, exchange(host, *port, &request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                last = format!("the domain's server {host}:{port} does not answer: {error}");
                continue;
            }
            Err(_) => {
                last = format!("the domain's server {host}:{port} does not answer in time");
                continue;
            }
        };
        return messages::reply(&answer, login, server, nonce);
    }
    Err(last)
}

/// By TCP, with the length in front (RFC 4120 section 7.2.2).
async fn exchange(host: &str, port: u16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect((host, port)).await?;
    let length = u32::try_from(request.len()).map_err(std::io::Error::other)?;
    socket.write_u32(length).await?;
    socket.write_all(request).await?;
    let length = usize::try_from(socket.read_u32().await?).map_err(std::io::Error::other)?;
    if length > ANSWER {
        return Err(std::io::Error::other("it is too long"));
    }
    let mut answer = vec![0; length];
    socket.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Now. A server takes what it has seen before for a replay, so that no two of them are the same.
fn moment() -> Moment {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let turn = LAST.fetch_add(1, Ordering::Relaxed);
    Moment {
        seconds: i64::try_from(now.as_secs()).unwrap_or_default(),
        micros: (now.subsec_micros() + turn) % 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kerberos::{Etype, Key, application, context, unsigned};
    use crate::wire::der::{self, SEQUENCE};
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(3);

    fn data(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn principal(parts: &[&str]) -> Vec<u8> {
        let count = u32::try_from(parts.len()).unwrap();
        let parts: Vec<_> = parts.iter().flat_map(|part| data(part.as_bytes())).collect();
        [
            &1_u32.to_be_bytes()[..],
            &count.to_be_bytes(),
            &data(b"CORP.EXAMPLE"),
            &parts,
        ]
        .concat()
    }

    /// A ticket for HTTP on a host, which has the host in it.
    fn entry(host: &str) -> Vec<u8> {
        [
            &principal(&["ada"])[..],
            &principal(&["HTTP", host]),
            &18_u16.to_be_bytes(),
            &data(&[7; 32]),
            &[0; 8],
            &u32::MAX.to_be_bytes(),
            // Until when it can be renewed, for whom, flags, no addresses and no authorization data.
            &[0; 4 + 1 + 4 + 4 + 4],
            &data(format!("ticket of {host}").as_bytes()),
            &data(b""),
        ]
        .concat()
    }

    #[tokio::test]
    async fn each_proxy_is_shown_the_ticket_that_is_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("tickets");
        let hosts = ["one.corp.example", "two.corp.example"];
        let head = [&[5, 4, 0, 0][..], &principal(&["ada"])].concat();
        let entries = hosts.map(entry).concat();
        std::fs::write(&cache, [head, entries].concat()).unwrap();
        let cache = format!("FILE:{}", cache.display());
        let nothing = folder.path().join("krb5.conf").display().to_string();
        let env = |name: &str| match name {
            "KRB5CCNAME" => Some(cache.clone()),
            _ => Some(nothing.clone()),
        };
        let tickets = Tickets::of(env, 0);
        for asked in [hosts[0], hosts[1], "ONE.corp.example", hosts[1]] {
            let token = tickets.token(asked, LIMIT).await.unwrap();
            for host in hosts {
                let ticket = format!("ticket of {host}");
                let is_shown = token
                    .windows(ticket.len())
                    .any(|bytes| bytes == ticket.as_bytes());
                assert_eq!(is_shown, host.eq_ignore_ascii_case(asked), "{asked}: {host}");
            }
        }
    }

    fn login() -> Ticket {
        let principal = |parts: &[&str]| Principal {
            kind: 1,
            realm: "CORP.EXAMPLE".to_owned(),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        };
        Ticket {
            client: principal(&["ada"]),
            server: principal(&["krbtgt", "CORP.EXAMPLE"]),
            key: Key::new(Etype::Aes256Sha1, &[7; 32]).unwrap(),
            end: 4_000_000_000,
            bytes: b"of the login".to_vec(),
        }
    }

    #[tokio::test]
    async fn behind_a_silent_server_of_the_domain_the_next_one_is_asked_within_the_step() {
        // The kernel accepts for it, and nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [first, second] =
            [&silent, &refusing].map(|it| ("127.0.0.1".to_owned(), it.local_addr().unwrap().port()));
        let refuse = async {
            let (mut stream, _) = refusing.accept().await.unwrap();
            let length = stream.read_u32().await.unwrap();
            stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
            // KRB-ERROR: it knows no such service.
            let error = der::value(SEQUENCE, &der::value(context(6), &unsigned(7)));
            let error = der::value(application(30), &error);
            stream
                .write_u32(u32::try_from(error.len()).unwrap())
                .await
                .unwrap();
            stream.write_all(&error).await.unwrap();
        };
        let server = Principal::http("proxy.corp.example", "CORP.EXAMPLE");
        let login = login();
        let both = [first.clone(), second];
        let asking = timeout(LIMIT, ask(&login, &server, &both, LIMIT));
        let (said, ()) = tokio::join!(asking, refuse);
        let why = said.unwrap().unwrap_err();
        assert!(why.contains("knows no service"), "{why}");
        // It is told of the domain before the step is over.
        let said = timeout(LIMIT, ask(&login, &server, &[first], LIMIT)).await;
        let why = said.unwrap().unwrap_err();
        assert!(why.contains("does not answer in time"), "{why}");
    }
}
