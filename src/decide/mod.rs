//! What happens to a connection, and why. Pure: a policy and facts in, a verdict out.

mod domains;
mod entries;
pub mod ere;
mod explanation;
pub mod hosts;
mod index;
mod kind;
mod lint;
mod list_set;
pub mod nets;
mod patterns;
pub mod policy;
mod program;
mod required;
mod shape;
mod subject;
mod verdict;

pub use explanation::Explanation;
pub use hosts::{Format, List, ListError};
pub use kind::ActKind;
pub use lint::{Doubt, ListWarning};
pub use list_set::{ListSet, Matches};
pub use nets::{Forbidden, Reach};
pub use policy::{Policy, PolicyConfig, Unknown};
pub use verdict::{Act, Bump, CertError, Matched, OtherUpgrade, Reason, Splice, Tunnel, Unserved, Verdict};
