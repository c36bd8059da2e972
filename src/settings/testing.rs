//! Who hears nothing of what happens.

use super::live::ServedWatch;
use crate::admit::{AdmitWatch, Answer, CredentialsJudged};
use crate::dial::{LookUpOutcome, LookUpSource, NameWatch};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

struct Deaf;

impl AdmitWatch for Deaf {
    fn judged(&self, _: &CredentialsJudged<'_>) {}
    fn asked(&self, _: &'static str, _: Answer, _: Duration) {}
    fn locked_out(&self, _: &str, _: IpAddr, _: u32, _: Duration) {}
}

impl NameWatch for Deaf {
    fn looked_up(&self, _: LookUpSource, _: LookUpOutcome) {}
    fn queried(&self, _: LookUpOutcome, _: Duration, _: usize) {}
}

/// Hears nothing.
pub(super) fn deaf() -> Arc<dyn ServedWatch> {
    Arc::new(Deaf)
}
