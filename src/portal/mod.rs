//! The portal: a host of the proxy's own, for the people behind it. It says that their traffic is inspected, and how their
//! machines come to trust the CA. It is asked for through the proxy by any entrance, is never dialled, holds no secret, and
//! changes nothing.

mod echo;
mod files;
mod page;
mod serve;
mod site;
mod steps;
mod text;

pub use files::PublicRoots;
pub use page::{escape, fetching, installing};
pub use serve::connect;
pub use site::{File, Portal, PortalConfig, Reader, is_at};
pub use steps::{Effect, STEPS, SetupStep};
pub use text::{Language, Text};
