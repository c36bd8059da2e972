//! Kinds and flags of frames (RFC 9113 section 6).

pub(in crate::http) const DATA: u8 = 0;
pub(in crate::http) const HEADERS: u8 = 1;
pub(in crate::http) const RST_STREAM: u8 = 3;
pub(in crate::http) const SETTINGS: u8 = 4;
pub(in crate::http) const PING: u8 = 6;
pub(in crate::http) const GOAWAY: u8 = 7;
pub(in crate::http) const CONTINUATION: u8 = 9;
pub(in crate::http) const ACK: u8 = 1;
