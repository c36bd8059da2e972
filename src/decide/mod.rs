//! What happens to a connection, and why. Pure: a policy and facts in, a verdict out.

mod action;
mod addresses;
mod bits;
mod candidates;
mod compiled;
mod conditions;
mod domains;
mod entries;
pub mod ere;
mod explanation;
mod facts;
mod findings;
mod holds;
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
mod quick_hash;
mod required;
mod rule;
mod setting;
mod shape;
mod subject;
mod times;
mod treatment;
mod verdict;

pub use action::RuleAction;
pub use addresses::Addresses;
pub use conditions::Conditions;
pub use domains::entry::DomainPlace as ListedPlace;
pub use explanation::{ExplainedAction, Explanation, RuleStep};
pub use facts::{Facts, HelloFacts, OriginFacts, RequestFacts, RequestFields, User};
pub use hosts::{Format, List, ListError};
pub use kind::ActKind;
pub use lint::{Doubt, ListWarning};
pub use list_set::{ListSet, Matches};
pub use nets::{Forbidden, Reach};
pub use policy::{
    AtAsk, AtHello, DefaultAction, Permitted, Policy, PolicyConfig, Remaining, SniTrust, Unknown,
};
pub use rule::PolicyRule;
pub use setting::{PolicySetting, Says};
pub use times::{Hours, Moment};
pub use treatment::{
    Direct, HeaderEdit, Leaving, ParentOrder, ProxyProtocolOut, Sources, TellClient, Treatment, WayOut,
};
pub use verdict::{
    Act, Bump, CertError, Matched, Observed, OtherUpgrade, Reason, Splice, Tunnel, Unserved, Verdict,
};
