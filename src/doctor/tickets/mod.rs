//! Tickets of a login, shown to a proxy by Negotiate (RFC 4559): as browsers do, from the file that `kinit` has written. Where
//! the proxy's ticket is not among them yet, the domain is asked for it.

mod cache;
mod config;

use crate::kerberos::{self, AskedAt, NoTicket, Principal, Ticket};
use config::Config;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

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
        kerberos::token(&found?, asked()?).ok_or_else(|| "the ticket cannot be shown".to_owned())
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
        let now = asked()?.now.0;
        let mut live = tickets.into_iter().filter(|ticket| ticket.end > now);
        let text = std::fs::read_to_string(&self.config).unwrap_or_default();
        let config = Config::read(&text);
        let realm = config.realm(host).unwrap_or(&owner.realm).to_owned();
        let server = Principal::http(host, &realm);
        let granting = Principal::granting(&realm, &owner.realm);
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
        let asked = asked()?;
        let request = kerberos::tgs_request(login, server, asked).ok_or("no request can be written")?;
        let answer = match timeout(each, kerberos::ask((&**host, *port), &request)).await {
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
        return kerberos::tgs_reply(&answer, login, server, asked).map_err(|error| told(error, server));
    }
    Err(last)
}

/// In words.
fn told(error: NoTicket, server: &Principal) -> String {
    match error {
        NoTicket::Broken(what) => format!("the domain gives no ticket: {what}"),
        NoTicket::Refused(7, _) => format!("the domain knows no service {}", server.parts.join("/")),
        NoTicket::Refused(32, _) => "the ticket of the login has ended: log in again".to_owned(),
        NoTicket::Refused(37, _) => "this machine's clock and the domain's differ too much".to_owned(),
        NoTicket::Refused(code, words) if words.is_empty() => {
            format!("the domain gives no ticket (error {code})")
        }
        NoTicket::Refused(code, words) => format!("the domain gives no ticket (error {code}: {words})"),
        NoTicket::Elsewhere(realm) => format!(
            "the proxy belongs to the realm {realm}: write its host in [domain_realm] of krb5.conf, and log in there"
        ),
    }
}

fn asked() -> Result<AskedAt, String> {
    AskedAt::now().ok_or_else(|| "no random number could be had".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kerberos::{Etype, Key, application, context, unsigned};
    use crate::wire::der::{self, SEQUENCE};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
            whole: b"of the login".to_vec(),
        }
    }

    #[test]
    fn a_proxy_of_another_realm_is_told_of() {
        let server = Principal::http("proxy.other.example", "CORP.EXAMPLE");
        let why = told(NoTicket::Elsewhere("OTHER.EXAMPLE".to_owned()), &server);
        assert!(why.contains("belongs to the realm OTHER.EXAMPLE"), "{why}");
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
