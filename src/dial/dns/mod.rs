//! Names to addresses. A look-up goes from what is written down (the hosts file) over what is known (the cache) and what is
//! being asked (queries under way) to the DNS servers, and blocks nobody on its way.

mod answer;
mod asked;
mod cache;
mod config;
mod flights;
mod hosts_file;
mod plan;
mod reply;
mod resolv_conf;
mod resolver;
mod search;
mod servers;
mod system;
mod transport;
mod watch;
mod watched;

pub use answer::{Failure, Family, LookUpOutcome, LookUpSource};
pub use asked::{Addresses, LaterAddresses};
pub use config::{CacheLimits, DnsConfig, DnsServer, Families, NEXT_SERVER, ResolverKind, ServerOrder};
pub use plan::DnsPlan;
pub use resolver::{LookUpError, Resolver};
pub use watch::NameWatch;
