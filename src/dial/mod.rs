//! Reaching the origin: resolve, check what is really dialled, connect to whichever address answers first; or ask a parent.

mod direct;
mod dns;
mod hosts;
mod network;
mod outcome;
mod parent;
mod race;
mod route;
mod service_names;

pub use dns::{
    Addresses, CacheLimits, DnsConfig, DnsPlan, DnsServer, Failure, Families, Family, LaterAddresses,
    LookUpError, LookUpOutcome, LookUpSource, NEXT_SERVER, NameWatch, Resolver, ResolverKind, ServerOrder,
};
pub use hosts::{Hosts, HostsError};
pub use network::{Deadlines, Network, is_at};
pub use outcome::{DialError, DialOutcome};
pub use parent::{
    Parent, ParentConfig, ParentLogin, ParentOutcome, ParentProtocol, ParentTickets, ParentWatch, Parents,
    PlainForm, TokenSource,
};
pub use route::{ByParent, OriginLeg, Route, dial};
pub use service_names::ServiceNames;

#[cfg(test)]
mod tests;
