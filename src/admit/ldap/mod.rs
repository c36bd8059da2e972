//! A directory that passwords are asked of by LDAP.

mod message;
mod sid;
mod template;
mod url;
