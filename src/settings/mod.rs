//! The configuration. Each table of the file has a module, which reads its keys straight into what the stage takes
//! that they are for. What is left to do then is to open the files that it names ([`load`]), and to build what
//! connections are served with ([`Settings::live`]). Whatever is wrong is found before anything binds, all of it at once.

mod admin;
mod auth;
mod ca;
mod certificates;
mod console;
mod dns;
mod duration;
mod file;
mod files;
mod inspect;
mod limits;
mod listen;
mod listener;
mod lists;
mod live;
mod load;
mod log;
mod metrics;
mod network;
mod origin;
mod pac;
mod pages;
mod parents;
mod policy;
mod portal;
mod problem;
mod reader;
mod record;
pub mod reload;
mod secret;
mod site;
mod size;
mod syntax;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod ticket;
mod unknown;
mod view;
mod watch;
mod words;

pub use ca::CaSource;
pub use duration::parse as duration;
pub use inspect::RuleInfo;
pub use listen::{ConsoleWanted, DEFAULT_ADMIN, Listeners, Overrides};
pub use live::{Kept, ServedWatch};
pub use load::{RuleSet, Settings, load, load_rules, load_with};
pub use problem::{FilePlace, Problem, Problems};
pub use words::{address, admin_address, console_address, level};
