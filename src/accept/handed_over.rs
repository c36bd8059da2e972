//! Sockets that a service manager has opened (sd_listen_fds(3)): the program needs no right to listen at low ports, and
//! connections wait in the kernel while it is restarted.

use listenfd::ListenFd;
use std::net::TcpListener;

/// The sockets that this process was started with.
#[derive(Debug, Default)]
pub struct HandedOver(Vec<(String, TcpListener)>);

impl HandedOver {
    /// Takes them; to be called once, since the environment that tells of them is cleared.
    ///
    /// # Errors
    /// A sentence about one that is no listening socket of TCP.
    pub fn take() -> Result<Self, String> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut sockets = ListenFd::from_env();
        let names = named(&names, sockets.len());
        let mut taken = Vec::with_capacity(names.len());
        for (at, name) in names.into_iter().enumerate() {
            match sockets.take_tcp_listener(at) {
                Ok(Some(socket)) => taken.push((name, socket)),
                Ok(None) => {}
                Err(error) => {
                    return Err(format!(
                        "the service manager has handed over {name:?}, which is no listening socket of TCP (ListenStream= with a port): {error}"
                    ));
                }
            }
        }
        Ok(Self(taken))
    }

    /// Those of this name.
    pub fn named(&mut self, name: &str) -> Vec<TcpListener> {
        let (found, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(known, _)| known == name);
        self.0 = rest;
        let found: Vec<_> = found;
        found.into_iter().map(|(_, socket)| socket).collect()
    }

    /// The names of those that nobody has asked for.
    pub fn rest(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// A name for each of so many sockets; the service manager calls those `unknown` that have none.
fn named(names: &str, count: usize) -> Vec<String> {
    let mut names = names.split(':').filter(|name| !name.is_empty());
    (0..count)
        .map(|_| names.next().unwrap_or("unknown").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_names_and_the_rest_is_told() {
        assert_eq!(named("lan:caught:lan", 3), ["lan", "caught", "lan"]);
        assert_eq!(named("", 2), ["unknown", "unknown"]);
        assert_eq!(named("lan", 0), [""; 0]);
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let mut handed = HandedOver(vec![
            ("lan".into(), socket()),
            ("caught".into(), socket()),
            ("lan".into(), socket()),
        ]);
        assert_eq!(handed.named("lan").len(), 2);
        assert_eq!(handed.named("lan").len(), 0);
        assert_eq!(handed.rest().collect::<Vec<_>>(), ["caught"]);
    }
}
