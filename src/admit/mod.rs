//! Who is asking: authentication towards the proxy (RFC 9110 section 11.7). A scheme is a file here, and an arm of
//! [`Admission::judge`]; what passwords are asked of is an arm of `Directory`.

mod addresses;
mod admission;
mod basic;
mod bearer;
mod bound;
mod certificate;
mod challenge;
mod directory;
mod flights;
mod guard;
mod htpasswd;
mod ldap;
mod limits;
mod login;
mod names;
mod negotiate;
mod passwords;
mod road;
#[cfg(test)]
mod testing;
mod ticket_groups;
mod tickets;
mod verdicts;
mod watch;

pub use addresses::AddressConfig;
pub use admission::{Admission, AdmitConfig, BasicConfig};
pub use bearer::{Algorithm, BearerConfig, FetchedFrom, KeySet, KeysFrom, KeysUrl};
pub use bound::Bound;
pub use certificate::{CertificateConfig, Certified};
pub use challenge::{Admitted, Challenge, Realm, Scheme, Undecided, Unproven, Unsure};
pub use directory::DirectoryConfig;
pub use htpasswd::{HtpasswdTable, Wrong};
pub use ldap::{
    BindBy, GroupSearch, GroupsBy, LdapConfig, LdapLimits, LdapUrl, Secret, ServiceAccount, Template, Users,
};
pub use limits::PasswordLimits;
pub use names::{Names, group_name};
pub use negotiate::{
    Accepted, Initiator, KDC_PORT, Keytab, KeytabError, Negotiate, NotProven, Pac, PacProblem, Privileges,
    Proven, Replays, Round,
};
pub use road::{LaterRoad, Opening, Road};
pub use tickets::NegotiateConfig;
pub use watch::{AdmitWatch, Answer, Claim, CredentialsJudged, Source};
