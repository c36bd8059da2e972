//! What rules say to HTTP: heads before they go on, bodies while they pass or before.
//!
//! A body that a rule can stop or change is held until it is judged, with its response's head, so that a page can
//! take its place. One that has no end to wait for is judged piece by piece. One that rules only look at passes at
//! once, and a copy of it is judged when it has ended.

pub(in crate::http) mod adapting;
pub(in crate::http) mod bodies;
pub(in crate::http) mod exchange;
pub(in crate::http) mod kept;
pub(in crate::http) mod pieces;
pub(in crate::http) mod reading;
pub(in crate::http) mod recorded;
pub(in crate::http) mod tap;
mod views;
