//! Content: where it comes from, how it is coded, and why it breaks off.

pub(in crate::http) mod body;
pub(in crate::http) mod broke;
mod capped;
pub(in crate::http) mod coding;
pub(in crate::http) mod held;
pub(in crate::http) mod source;
pub(in crate::http) mod text;
pub(in crate::http) mod unfolding;
mod zstd_writer;

pub use coding::beginning;
