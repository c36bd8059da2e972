//! The console: pages in a browser for those who look at a running proxy and act on it, on a listener of its own. The pages
//! ask the programming interface ([`crate::api`]), which is served here too.
//!
//! Who is not logged in gets the pages, which hold nothing, and no answer to anything else. A one-time code or a token buys
//! a session; a program shows its token with each request. Nothing that a browser remembers or sends by itself is enough
//! to have something done: that takes a header that only the console's own pages can know.

mod assets;
mod crowd;
mod login;
mod origin;
mod serve;
mod sessions;
mod site;

pub use serve::{Console, LoginCodes, serve};
