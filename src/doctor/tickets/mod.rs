//! Tickets of a login, shown to a proxy by Negotiate (RFC 4559): as browsers do, from the file that `kinit` has written. Where
//! the proxy's ticket is not among them yet, the domain is asked for it.

mod cache;
mod config;
mod messages;
mod ticket;

use config::Config;
use messages::Moment;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ticket::{Principal, Ticket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// The longest answer of a domain.
const ANSWER: usize = 256 * 1024;

/// Where tickets are, and the proxy's, once it is there.
#[derive(Debug)]
pub struct Tickets {
    cache: String,
    config: PathBuf,
    shown: OnceCell<Result<Ticket, String>>,
}

impl Tickets {
    /// By the variables that Kerberos goes by: `KRB5CCNAME` and `KRB5_CONFIG`. `user` is the number of who runs this.
    pub fn of(env: impl Fn(&str) -> Option<String>, user: u32) -> Self {
        Self {
            cache: env("KRB5CCNAME").unwrap_or_else(|| format!("FILE:/tmp/krb5cc_{user}")),
            config: env("KRB5_CONFIG").map_or_else(|| "/etc/krb5.conf".into(), PathBuf::from),
            shown: OnceCell::new(),
        }
    }

    /// A token for the proxy on this host; each is good once.
    ///
    /// # Errors
    /// A sentence that says what lacks.
    pub(super) async fn token(&self, host: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let found = self.shown.get_or_init(|| self.ticket(host, limit)).await;
        let ticket = found.as_ref().map_err(Clone::clone)?;
        messages::token(ticket, moment()).ok_or_else(|| "the ticket cannot be shown".to_owned())
    }

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
        let host = host.to_ascii_lowercase();
        let realm = config.realm(&host).unwrap_or(&owner.realm).to_owned();
        let server = Principal::http(&host, &realm);
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

/// Asks a domain for the ticket of a server.
async fn ask(
    login: &Ticket,
    server: &Principal,
    at: &[(String, u16)],
    limit: Duration,
) -> Result<Ticket, String> {
    let mut last = "no server of the domain is known".to_owned();
    for (host, port) in at {
        // A number below 2^31, since some read it with a sign.
        let nonce = moment().micros | 1;
        let request = messages::request(login, server, moment(), nonce).ok_or("no request can be written")?;
        let answer = match timeout(limit, exchange(host, *port, &request)).await {
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
