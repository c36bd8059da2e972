//! Kerberos, as far as who proves something by it and who verifies that share it: keys, how messages are written, and what a
//! client of a realm asks for and shows.

mod asked;
mod asking;
mod centre;
mod crypto;
mod fields;
mod showing;
mod ticket;
mod values;

pub(crate) use asked::{AskedAt, first_number};
pub(crate) use asking::{NoTicket, as_reply, as_request, tgs_reply, tgs_request};
pub(crate) use centre::ask;
pub(crate) use crypto::{Etype, Key};
pub(crate) use fields::{application, content, context, field, integer, message, unsigned};
pub(crate) use showing::{KERBEROS, SPNEGO, token};
pub(crate) use ticket::{Principal, Ticket};
pub(crate) use values::{Encrypted, key, time};
