//! Kerberos, as far as who proves something by it and who verifies that share it: keys, and how messages are written.

mod crypto;
mod fields;

pub(crate) use crypto::{Etype, Key};
pub(crate) use fields::{application, content, context, field, integer, message, unsigned};
