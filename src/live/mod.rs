//! What is open now and what happens now, for whoever looks while it happens.
//!
//! [`OpenConnections`] is a table of what is open. [`LiveBus`] hands what happens to those who watch, who have asked for
//! it by a filter. Nobody is waited for: who does not read loses events, and is told how many. While nobody watches, an
//! event costs one load.

mod bus;
mod event;
mod filter;
mod har;
mod heartbeat;
mod json;
mod open;
mod people;
mod printable;
mod stamp;
mod view;

pub use bus::{Delivery, LiveBus, NoPlaceLeft, Subscription};
pub use event::{EventKind, LiveEvent, LiveTopic, LiveTopics, Ruled};
pub use filter::{LiveFilter, Passing, host_named, host_of};
pub use har::LiveHar;
pub use json::Shown;
pub use open::{
    KnownFacts, OpenConnection, OpenConnections, OpenPlace, OpenRelay, OpenUrl, RelayKind, RelayPlace,
};
pub use people::{People, Pseudonyms};
pub use printable::printable;
pub use stamp::Stamp;
pub use view::{LiveSocket, SOCKET, TwoPersons, ViewConfig};
