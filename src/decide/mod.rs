//! What happens to a connection, and why. Pure: a policy and facts in, a verdict out.

mod action;
mod bits;
mod candidates;
mod conditions;
mod domains;
mod entries;
pub mod ere;
mod explanation;
mod facts;
mod findings;
pub mod hosts;
mod index;
mod kind;
mod lint;
mod list_set;
pub mod nets;
mod paths;
mod patterns;
pub mod policy;
mod program;
mod required;
mod rule;
mod setting;
mod shape;
mod subject;
mod times;
mod verdict;

pub use action::RuleAction;
pub use conditions::{Addresses, Conditions};
pub use domains::entry::Place as ListedPlace;
pub use explanation::{ExplainedAction, Explanation, Step};
pub use facts::{Facts, Fields, HelloFacts, OriginFacts, RequestFacts, User};
pub use hosts::{Format, List, ListError};
pub use kind::ActKind;
pub use lint::{Doubt, ListWarning};
pub use list_set::{ListSet, Matches};
pub use nets::{Forbidden, Reach};
pub use policy::{
    AtAsk, AtHello, DefaultAction, Permitted, Policy, PolicyConfig, Remaining, SniTrust, Unknown,
};
pub use rule::PolicyRule;
pub use setting::{
    Direct, HeaderEdit, Leaving, ParentOrder, PolicySetting, Says, Sources, TellClient, Treatment, WayOut,
};
pub use times::{Hours, Moment};
pub use verdict::{
    Act, Bump, CertError, Matched, Observed, OtherUpgrade, Reason, Splice, Tunnel, Unserved, Verdict,
};
