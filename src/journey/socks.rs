//! SOCKS at the front door: one tunnel for each connection, and what its client can be told is one number.

use super::connection::Connection;
use super::door::GOODBYE;
use super::next::Next;
use super::reach::Refusal;
use super::tunnel::tunnel;
use crate::accept::{Ask, AskKind, Credentials, Prefixed, Socket, SocksClient, SocksError};
use crate::admit::{Admission, Admitted};
use crate::dial::DialOutcome;
use crate::http::{ErrorResponse, HttpError};
use crate::report::Ending;
use crate::wire::names::Authority;
use crate::wire::socks::{Beginning, Login, NO_METHOD, NO_PASSWORD, PASSWORD, Reply, SocksCommand};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Client = SocksClient<Prefixed<Socket>>;

/// The version that a client speaks, in which it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V4,
    V5,
}

impl Version {
    fn reply(self, reply: Reply, bound: Option<SocketAddr>) -> Vec<u8> {
        match self {
            Self::V4 => reply.v4().to_vec(),
            Self::V5 => reply.v5(bound),
        }
    }
}

/// Something that is asked for, with what its client has shown.
struct Wanted {
    version: Version,
    to: Authority,
    credentials: Option<Credentials>,
}

/// A client that gets nothing: how its connection ends, and the last thing it is told.
struct Declined {
    ending: Ending,
    text: String,
    last: Vec<u8>,
}

impl From<SocksError> for Declined {
    fn from(error: SocksError) -> Self {
        let ending = match error {
            SocksError::Closed => Ending::Closed,
            SocksError::Io(_) => Ending::ClientIo,
            SocksError::NotThis | SocksError::Invalid(_) => Ending::Http(HttpError::BadRequest),
        };
        let last = match error {
            // Nothing can be read any more, which an address of an unknown kind is a case of.
            SocksError::Invalid(crate::wire::socks::UNKNOWN_KIND) => Reply::AddressNotSupported.v5(None),
            _ => Vec::new(),
        };
        Self {
            ending,
            text: error.to_string(),
            last,
        }
    }
}

/// Serves a client that speaks SOCKS.
pub(super) async fn socks(conn: &mut Connection, stream: Prefixed<Socket>) -> Next {
    let mut client = Client::new(stream);
    let (drain, patience) = (conn.proxy.drain.clone(), conn.config.timeouts.request_head);
    let asked = tokio::select! {
        biased;
        () = drain.begun() => return Next::end(Ending::Drained),
        asked = tokio::time::timeout(patience, ask(conn, &mut client)) => asked,
    };
    let wanted = match asked {
        Ok(Ok(wanted)) => wanted,
        Ok(Err(declined)) => return turn_away(client, declined).await,
        Err(_) => {
            let text = ErrorResponse::late_request(patience).text;
            return Next::ended(Ending::RequestTimeout, text);
        }
    };
    let ask = Ask {
        client: conn.record.client,
        credentials: wanted.credentials,
        to: wanted.to,
        kind: AskKind::Tunnel,
    };
    let way = match conn.open(&ask).await {
        Ok(way) => way,
        Err(Refusal { ending, problem, .. }) => {
            conn.record.requests += 1;
            let last = wanted.version.reply(reply_to(problem.error), None);
            let text = problem.text;
            return turn_away(client, Declined { ending, text, last }).await;
        }
    };
    let granted = wanted.version.reply(Reply::Granted, way.local_addr());
    if let Err(error) = client.say(&granted).await {
        return Next::ended(Ending::ClientIo, error);
    }
    let (early, stream) = client.into_parts();
    tunnel(conn, ask.to, stream.rewind(early), way).await
}

/// Finds out what a client wants.
async fn ask(conn: &Connection, client: &mut Client) -> Result<Wanted, Declined> {
    let admission = conn.config.admission.as_ref();
    let by_password = admission.filter(|admission| admission.takes_passwords());
    let bad = |version: Version, reply, text: &str| Declined {
        ending: Ending::Http(HttpError::BadRequest),
        text: text.to_owned(),
        last: version.reply(reply, None),
    };
    let (version, command, to, credentials) = match client.beginning().await? {
        Beginning::V4(_) if by_password.is_some() => {
            let text = "SOCKS 4 has no passwords, and one is needed here: use SOCKS 5";
            return Err(Declined {
                ending: Ending::Http(HttpError::NotAuthenticated),
                ..bad(Version::V4, Reply::NotAllowed, text)
            });
        }
        Beginning::V4(request) => (Version::V4, request.command, request.to, None),
        Beginning::V5(greeting) => {
            // Only what was offered can be chosen, and where passwords are set nobody comes in without.
            let method = if by_password.is_some() {
                PASSWORD
            } else {
                NO_PASSWORD
            };
            if !greeting.offers(method) {
                return Err(Declined {
                    ending: Ending::Http(HttpError::NotAuthenticated),
                    text: match by_password {
                        Some(_) => "the client offers no name and password".to_owned(),
                        None => {
                            "the client insists on a way to say who it is that is not on offer".to_owned()
                        }
                    },
                    last: vec![5, NO_METHOD],
                });
            }
            client.say(&[5, method]).await?;
            let credentials = match by_password {
                Some(admission) => Some(log_in(conn, client, admission).await?),
                None => None,
            };
            let request = client.request().await?;
            (Version::V5, request.command, request.to, credentials)
        }
    };
    if let SocksCommand::Other(number) = command {
        let text = format!("the client asks for command {number}, and there is only CONNECT (1)");
        return Err(bad(version, Reply::CommandNotSupported, &text));
    }
    match to {
        Ok(to) => Ok(Wanted {
            version,
            to,
            credentials,
        }),
        Err(why) => Err(bad(version, Reply::Failure, why)),
    }
}

/// Has a client say who it is, and tells it whether that holds (RFC 1929).
async fn log_in(
    conn: &Connection,
    client: &mut Client,
    admission: &Admission,
) -> Result<Credentials, Declined> {
    let Login { name, password } = client.login().await?;
    let declined = |ending: HttpError, text: &str| Declined {
        ending: Ending::Http(ending),
        text: text.to_owned(),
        last: vec![1, 1],
    };
    let Some(credentials) = Credentials::basic(&name, &password) else {
        let text = "a name with a colon is nobody's here";
        return Err(declined(HttpError::NotAuthenticated, text));
    };
    let client_ip = conn.record.client.ip().to_canonical();
    match admission
        .judge(Some(credentials.as_bytes()), client_ip, None)
        .await
    {
        Admitted::Known(_) => {
            client.say(&[1, 0]).await?;
            Ok(credentials)
        }
        Admitted::Challenge(_) => {
            let text = "the name and the password do not hold";
            Err(declined(HttpError::NotAuthenticated, text))
        }
        Admitted::Unsure(_) => {
            let text = "nobody can tell whether the name and the password hold";
            Err(declined(HttpError::AuthenticationUnavailable, text))
        }
    }
}

/// The number that a refusal has. A server that does not answer is behind a network that there is a way to, as far as anybody
/// knows: 3 would say otherwise.
const fn reply_to(error: HttpError) -> Reply {
    match error {
        HttpError::Refused | HttpError::NotAuthenticated => Reply::NotAllowed,
        HttpError::Dial(outcome) => match outcome {
            DialOutcome::Forbidden | DialOutcome::Loop => Reply::NotAllowed,
            DialOutcome::Refused => Reply::Refused,
            DialOutcome::DnsError | DialOutcome::DnsTimeout | DialOutcome::Timeout => Reply::HostUnreachable,
            // What is wrong with a parent is wrong with the proxy.
            _ => Reply::Failure,
        },
        _ => Reply::Failure,
    }
}

/// Says the last thing, and lets it arrive.
async fn turn_away(client: Client, declined: Declined) -> Next {
    let Declined { ending, text, last } = declined;
    let (_, mut stream) = client.into_parts();
    if !last.is_empty() {
        let _ = tokio::time::timeout(GOODBYE, async {
            stream.write_all(&last).await?;
            stream.shutdown().await?;
            // Closing a socket with unread bytes resets it, and the reset would overtake the answer.
            let mut sink = [0; 1024];
            while stream.read(&mut sink).await? > 0 {}
            std::io::Result::Ok(())
        })
        .await;
    }
    if ending == Ending::Closed {
        return Next::end(ending);
    }
    Next::ended(ending, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_numbers_of_their_own() {
        for (error, reply) in [
            (HttpError::Refused, Reply::NotAllowed),
            (HttpError::NotAuthenticated, Reply::NotAllowed),
            (HttpError::Dial(DialOutcome::Loop), Reply::NotAllowed),
            (HttpError::Dial(DialOutcome::Refused), Reply::Refused),
            (HttpError::Dial(DialOutcome::DnsError), Reply::HostUnreachable),
            (HttpError::Dial(DialOutcome::Timeout), Reply::HostUnreachable),
            (HttpError::AuthenticationUnavailable, Reply::Failure),
        ] {
            assert_eq!(reply_to(error), reply, "{error:?}");
        }
    }
}
