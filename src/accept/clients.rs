//! Who has how much, client by client. What is kept is bounded: of clients that have something open by the number of
//! places, of all others by a number of its own.

use ipnet::IpNet;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Parts of the table, each behind its own lock: event loops and listeners hardly ever meet at one.
const SHARDS: usize = 64;

/// Clients of one shard that have nothing open, and are known only since they have just shaken hands.
const RESTING: usize = 1024;

/// Clients of a shard below which nobody looks for those that can go.
const FEW: usize = 64;

/// What a client has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Connection,
    WebSocket,
}

/// One client.
#[derive(Debug, Default)]
struct Client {
    /// Of each kind of [`Open`].
    open: [usize; 2],
    /// Until when it has used up what it may have in the long run: the theoretical arrival time of a leaky bucket
    /// (ITU-T I.371, "generic cell rate algorithm"), one number in the place of two.
    due: Option<Instant>,
}

impl Client {
    fn is_resting(&self) -> bool {
        self.open == [0; 2]
    }

    /// Whether nothing need be known of it.
    fn is_over(&self, now: Instant) -> bool {
        self.is_resting() && self.due.is_none_or(|due| due <= now)
    }
}

#[derive(Debug)]
struct Shard {
    clients: HashMap<IpNet, Client>,
    /// With so many, those are looked for that can go.
    sweep_at: usize,
}

impl Shard {
    fn client(&mut self, client: IpNet) -> &mut Client {
        if self.clients.len() >= self.sweep_at && !self.clients.contains_key(&client) {
            self.sweep();
        }
        self.clients.entry(client).or_default()
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        self.clients.retain(|_, client| !client.is_over(now));
        let resting = self.clients.values().filter(|client| client.is_resting()).count();
        if resting >= RESTING {
            // So many addresses at once are hardly honest. They begin anew, which is kind to them all.
            self.clients.retain(|_, client| !client.is_resting());
        }
        // Looking through all of them is paid for by as many that have come since.
        self.sweep_at = (2 * self.clients.len())
            .max(FEW)
            .min(self.clients.len() + RESTING);
    }
}

/// Every client that has something open or has just shaken hands.
#[derive(Debug)]
pub(super) struct Clients {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

impl Clients {
    pub(super) fn new() -> Self {
        let shard = || {
            Mutex::new(Shard {
                clients: HashMap::new(),
                sweep_at: FEW,
            })
        };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
        }
    }

    fn shard(&self, client: IpNet) -> MutexGuard<'_, Shard> {
        // The remainder is smaller than the number of shards, whatever a usize holds.
        let at = (self.hasher.hash_one(client) % SHARDS as u64) as usize;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a client one more if `refuses` has nothing against it, knowing how many it has.
    pub(super) fn open<E>(
        &self,
        client: IpNet,
        what: Open,
        refuses: impl FnOnce(usize) -> Option<E>,
    ) -> Result<(), E> {
        let mut shard = self.shard(client);
        let open = &mut shard.client(client).open[what as usize];
        if let Some(why) = refuses(*open) {
            return Err(why);
        }
        *open += 1;
        Ok(())
    }

    /// Takes it back.
    pub(super) fn close(&self, client: IpNet, what: Open) {
        let mut shard = self.shard(client);
        let Some(known) = shard.clients.get_mut(&client) else {
            return;
        };
        let open = &mut known.open[what as usize];
        *open = open.saturating_sub(1);
        if known.is_resting() && known.is_over(Instant::now()) {
            shard.clients.remove(&client);
        }
    }

    /// One more handshake of a client, which may have one for each `interval`, and be so far ahead of that.
    ///
    /// # Errors
    /// It is further ahead, and has to wait for so long.
    pub(super) fn shake_hands(
        &self,
        client: IpNet,
        interval: Duration,
        ahead: Duration,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut shard = self.shard(client);
        let known = shard.client(client);
        let due = known.due.map_or(now, |due| due.max(now));
        let early = due.duration_since(now).saturating_sub(ahead);
        if !early.is_zero() {
            return Err(early);
        }
        known.due = Some(due + interval);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().unwrap().clients.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn client(number: u32) -> IpNet {
        IpNet::from(std::net::IpAddr::from(Ipv4Addr::from_bits(number)))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_and_then_a_rate() {
        let (clients, begun) = (Clients::new(), Instant::now());
        // Two a second, and three at once.
        let (interval, ahead) = (SECOND / 2, SECOND);
        let ask = |number, after| clients.shake_hands(client(number), interval, ahead, begun + after);
        for _ in 0..3 {
            assert_eq!(ask(1, Duration::ZERO), Ok(()));
        }
        assert_eq!(ask(1, Duration::ZERO), Err(SECOND / 2));
        assert_eq!(ask(2, Duration::ZERO), Ok(()), "another is not hindered");
        assert_eq!(ask(1, SECOND / 4), Err(SECOND / 4), "a refusal costs nothing");
        assert_eq!(ask(1, SECOND / 2), Ok(()));
        assert_eq!(ask(1, SECOND / 2), Err(SECOND / 2));
        for _ in 0..3 {
            assert_eq!(
                ask(1, 9 * SECOND),
                Ok(()),
                "after a rest the burst is there again"
            );
        }
        assert_eq!(ask(1, 9 * SECOND), Err(SECOND / 2));
    }

    #[test]
    fn a_client_without_anything_is_forgotten() {
        let clients = Clients::new();
        let open = |what| clients.open(client(1), what, |_| None::<()>).unwrap();
        open(Open::Connection);
        open(Open::WebSocket);
        clients.close(client(1), Open::Connection);
        assert_eq!(clients.known(), 1, "its WebSocket is open");
        clients.close(client(1), Open::WebSocket);
        assert_eq!(clients.known(), 0);
        clients.close(client(1), Open::WebSocket);
        assert_eq!(clients.known(), 0, "what is not there cannot be closed");
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_than_its_bound_and_nothing_from_those_with_connections() {
        let (clients, now) = (Clients::new(), Instant::now());
        for number in 0..100 {
            clients
                .open(client(number), Open::Connection, |_| None::<()>)
                .unwrap();
        }
        for number in 1000..300_000 {
            let _ = clients.shake_hands(client(number), 60 * SECOND, SECOND, now);
        }
        let known = clients.known();
        assert!(known <= SHARDS * 2 * RESTING + 100, "{known}");
        let held = |number| clients.open(client(number), Open::Connection, Some).unwrap_err();
        assert_eq!((0..100).map(held).collect::<Vec<_>>(), [1; 100]);
    }

    #[test]
    fn those_whose_time_is_over_are_forgotten_for_new_ones() {
        let (clients, now) = (Clients::new(), Instant::now());
        for number in 0..100_000 {
            // Over as soon as it has begun.
            let _ = clients.shake_hands(client(number), Duration::from_nanos(1), SECOND, now);
        }
        let known = clients.known();
        assert!(known <= 2 * SHARDS * FEW, "{known}");
    }

    proptest! {
        /// Whatever is opened and closed, a client has what it opened and did not close, and never more than it may.
        #[test]
        fn counts_are_those_of_a_simple_model(steps in prop::collection::vec((0..4u32, any::<bool>(), any::<bool>()), 0..200)) {
            let clients = Clients::new();
            let mut model = HashMap::<(u32, usize), usize>::new();
            for (number, is_websocket, opens) in steps {
                let what = if is_websocket { Open::WebSocket } else { Open::Connection };
                let held = model.entry((number, what as usize)).or_default();
                if opens {
                    let given = clients.open(client(number), what, |held| (held >= 5).then_some(held));
                    prop_assert_eq!(given, if *held >= 5 { Err(*held) } else { Ok(()) });
                    *held += usize::from(given.is_ok());
                } else if *held > 0 {
                    clients.close(client(number), what);
                    *held -= 1;
                }
            }
            let open: std::collections::HashSet<_> =
                model.iter().filter(|(_, held)| **held > 0).map(|((number, _), _)| *number).collect();
            prop_assert!(clients.known() >= open.len());
        }
    }
}
