//! Lines of logins that failed. A name in them is what somebody claims to be, and never called a user.

use super::line::{Stamp, cap};
use crate::admit::{Claim, CredentialsJudged, Source, Unproven};
use crate::report::instance::Instance;
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

/// A line of the access log.
#[derive(Serialize)]
pub(super) struct LoginLine<'a> {
    r#type: &'static str,
    time: Stamp,
    instance: &'a Instance,
    client: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<f64>,
}

impl<'a> LoginLine<'a> {
    fn of(instance: &'a Instance, r#type: &'static str, client: IpAddr) -> Self {
        Self {
            r#type,
            time: Stamp::current(),
            instance,
            client: client.to_canonical(),
            claimed: None,
            scheme: None,
            error: None,
            detail: None,
            attempts: None,
            rest: None,
        }
    }

    /// `None` for what is no failed login, or is the same as one that has a line: a client that was asked for the first time,
    /// and a wrong password that was remembered.
    pub(super) fn failed(instance: &'a Instance, judged: &CredentialsJudged<'a>) -> Option<Self> {
        let is_usual = matches!(judged.claim, Claim::Accepted | Claim::Unproven(Unproven::Nothing));
        if is_usual || judged.source == Source::Cache {
            return None;
        }
        Some(Self {
            claimed: judged.claimed.map(cap),
            scheme: Some(judged.scheme.label()),
            error: Some(judged.claim.label()),
            detail: judged.detail.map(cap),
            ..Self::of(instance, "login_failed", judged.client)
        })
    }

    pub(super) fn locked_out(
        instance: &'a Instance,
        claimed: &'a str,
        client: IpAddr,
        attempts: u32,
        rest: Duration,
    ) -> Self {
        Self {
            claimed: Some(cap(claimed)),
            attempts: Some(attempts),
            rest: Some(rest.as_secs_f64()),
            ..Self::of(instance, "locked_out", client)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::{Scheme, Undecided};
    use std::net::Ipv4Addr;

    fn judged(claim: Claim, source: Source) -> CredentialsJudged<'static> {
        CredentialsJudged {
            scheme: Scheme::Basic,
            claim,
            source,
            client: Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
            claimed: Some("ada"),
            detail: None,
        }
    }

    #[test]
    fn a_failed_login_says_why_and_calls_nobody_a_user() {
        let instance = Instance::random();
        let line = |judged: &CredentialsJudged<'_>| {
            let line = LoginLine::failed(&instance, judged)?;
            Some(serde_json::to_value(line).unwrap())
        };
        let wrong = Claim::Unproven(Unproven::WrongPassword);
        let told = line(&judged(wrong, Source::Directory)).unwrap();
        assert_eq!(told["type"], "login_failed");
        assert_eq!(told["client"], "127.0.0.1");
        assert_eq!(told["claimed"], "ada");
        assert_eq!(told["scheme"], "basic");
        assert_eq!(told["error"], "wrong_password");
        assert!(told.get("user").is_none() && told.get("detail").is_none());
        let unsure = CredentialsJudged {
            detail: Some("no answer"),
            ..judged(
                Claim::Undecided(Undecided::DirectoryUnavailable),
                Source::Directory,
            )
        };
        assert_eq!(line(&unsure).unwrap()["detail"], "no answer");
        assert_eq!(line(&judged(wrong, Source::Cache)), None);
        assert_eq!(line(&judged(Claim::Accepted, Source::Directory)), None);
        let nothing = Claim::Unproven(Unproven::Nothing);
        assert_eq!(line(&judged(nothing, Source::Credentials)), None);
    }

    #[test]
    fn a_lockout_says_for_whom_and_how_long() {
        let instance = Instance::random();
        let client = Ipv4Addr::LOCALHOST.into();
        let line = LoginLine::locked_out(&instance, "ada", client, 4, Duration::from_secs(1800));
        let told = serde_json::to_value(line).unwrap();
        assert_eq!(told["type"], "locked_out");
        assert_eq!(told["claimed"], "ada");
        assert_eq!(told["attempts"], 4);
        assert_eq!(told["rest"], 1800.0);
        let docs = include_str!("../../../docs/access-log.md");
        for (kind, fields) in [
            ("login_failed", &["claimed", "scheme", "error", "detail"][..]),
            ("locked_out", &["claimed", "attempts", "rest"]),
        ] {
            let section = docs
                .split("\n## ")
                .find(|text| text.starts_with(&format!("`{kind}`")));
            for field in fields {
                assert!(
                    section.unwrap().contains(&format!("| `{field}` |")),
                    "{kind}: {field}"
                );
            }
        }
    }
}
