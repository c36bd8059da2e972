//! A client that finds out why a program behind a proxy does not work: it goes the program's road to a target step by
//! step, through any proxy, and beside it the road without one, and says whose doing the difference is.
//!
//! [`choose`] says which proxy is used, [`examine`] finds out ([`facts`]), and a [`Case`] judges: its steps and its verdict.
//! Nothing is sent that an application could take for its own, unless the target is said to echo.

mod belief;
mod examine;
pub mod facts;
mod known;
mod proxy;
mod reach;
mod request;
mod roots;
mod session;
mod sockets;
mod socks;
mod steps;
mod target;
mod tickets;
mod verdict;
mod way;
mod witness;

pub use examine::{Findings, Plan, examine};
pub use known::{SERVICES, Service, ServiceProbe, service};
pub use proxy::{Choice, ProxyKind, ProxyUrl, choose};
pub use roots::Roots;
pub use steps::{DoctorStep, Status};
pub use target::{Scheme, Target};
pub use tickets::Tickets;
pub use verdict::{Case, Diagnosis, Whose};
pub use way::Fixed;
