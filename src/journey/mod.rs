//! One connection's whole life, from accept to its record. The stages never call each other; this room does:
//! `claim` hears whose it is, `listener` is TLS with the proxy itself, `door` takes what is asked in HTTP/1.1, `streams` in
//! HTTP/2, `socks` in SOCKS, `caught` what nobody asks for, `reverse` what one's own origins are asked for,
//! `reach` decides about all of it and dials, `tunnel` goes through classification and handshakes
//! (`dead_end` where there is no origin), `onward` after all is known.

mod caught;
mod claim;
mod client_facts;
mod client_tls;
mod clock;
mod config;
mod connection;
mod crls;
mod dead_end;
mod door;
mod fetch;
mod first_host;
mod go_on;
mod identity;
mod judging;
mod limited;
mod listener;
mod next;
mod onward;
mod own_dials;
mod own_road;
mod parents;
mod portal;
mod proxy;
mod reach;
mod relays;
mod reverse;
mod serve;
mod sites;
mod socks;
mod standing;
mod streams;
mod tunnel;
mod vouched;
mod vouching;
mod workers;

pub use clock::Clock;
pub use config::{Config, ListenerOptions, Listeners, Logged, NameTrust, OnChange, ProxyLimits, Timeouts};
pub use crls::keep_crls;
pub use fetch::may_be_fetched;
pub use own_road::open_own;
pub use parents::check_parents;
pub use proxy::{Proxy, Watching};
pub use serve::serve;
pub use sites::{Site, SiteName, Sites};
pub use workers::Workers;
