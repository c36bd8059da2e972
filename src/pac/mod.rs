//! Proxy auto-configuration (PAC): the script by which clients find the proxy, made from the configuration.
//!
//! The script is written in the third edition of ECMAScript and asks for nothing but `isInNet`, which is only called with
//! addresses: the engines in the field are old, and a look-up of a name would hang each page until it is answered.

mod config;
mod script;

pub use config::{PacConfig, PacProtocol};
pub use script::{MOST_BYTES, Script, TooLarge};
