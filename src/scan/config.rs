//! Scanners as the configuration has them.

use super::endpoint::Endpoint;
use super::icap::IcapUrl;
use crate::breaker::Thresholds;
use crate::handshake::ServiceTls;
use crate::inspect::OnFailure;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One scanner, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerConfig {
    /// Its name in rules, metrics and logs.
    pub name: String,
    /// What it is and where.
    pub kind: ScannerKind,
    /// The longest that one scan may take, waiting for its turn and connecting included.
    pub deadline: Duration,
    /// What happens to content that it could not scan.
    pub on_failure: OnFailure,
    /// How many scans may be under way at once, and so how many connections are open.
    pub concurrency: usize,
    /// The largest content in bytes that it is given; what is larger is [`ScanOutcome::Failed`] at once.
    ///
    /// [`ScanOutcome::Failed`]: crate::inspect::ScanOutcome::Failed
    pub max_size: usize,
    /// When it is left alone, and for how long.
    pub breaker: Thresholds,
    /// The scanners that stand in for it where it cannot change a message, by their names.
    pub standby: Vec<String>,
}

/// What a scanner is and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannerKind {
    /// An ICAP service.
    Icap(IcapConfig),
    /// A clamd, spoken to with INSTREAM.
    Clamd {
        /// Where it listens.
        address: Endpoint,
    },
}

/// How the services of an ICAP server are reached and what they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcapConfig {
    /// The service that is asked, with REQMOD for what goes to the origin, with RESPMOD for what comes from it.
    pub url: IcapUrl,
    /// The service for RESPMOD, where the server has two.
    pub respmod_url: Option<IcapUrl>,
    /// How the server of an `icaps://` URL is verified; without it there is no connection to one.
    pub tls: Option<Arc<ServiceTls>>,
    /// Whether the client's address is told, in `X-Client-IP`.
    pub tell_client_ip: bool,
    /// Whether the user's name is told: as it is in `X-Client-Username` (Squid's header), and as `Local://NAME` in
    /// base64 in `X-Authenticated-User` (draft-stecher-icap-subid section 3.4), which c-icap reads.
    pub tell_user: bool,
}

impl IcapConfig {
    /// Whether one of its URLs is `icaps://`.
    pub fn wants_tls(&self) -> bool {
        self.url.is_tls() || self.respmod_url.as_ref().is_some_and(IcapUrl::is_tls)
    }

    /// One service for both directions, which is told the client's address and not the user. An `icaps://` one needs
    /// its `tls` still.
    pub fn new(url: IcapUrl) -> Self {
        Self {
            url,
            respmod_url: None,
            tls: None,
            tell_client_ip: true,
            tell_user: false,
        }
    }
}

impl ScannerConfig {
    /// The longest deadline and the longest rest: more is a mistake.
    const TIME_MAX: Duration = Duration::from_secs(3600);
    /// So many connections are a mistake, not a scanner.
    const CONCURRENCY_MAX: usize = 1024;
    /// What clamd's protocol can say in one chunk; ICAP has no limit of its own.
    const SIZE_MAX: usize = u32::MAX as usize;

    /// The defaults for everything but name and place: 10 s, fail open, 16 at once, 25 MiB (clamd's own default
    /// for `StreamMaxLength` is 25 MB before version 1, 100 MB since).
    pub fn new(name: impl Into<String>, kind: ScannerKind) -> Self {
        Self {
            name: name.into(),
            kind,
            deadline: Duration::from_secs(10),
            on_failure: OnFailure::Pass,
            concurrency: 16,
            max_size: 25 << 20,
            breaker: Thresholds::default(),
            standby: Vec::new(),
        }
    }

    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let mut say = |key, message: String| problems.push(ConfigProblem { key, message });
        if self.name.is_empty()
            || self.name.len() > 64
            || !self
                .name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        {
            say(
                "name",
                "give it a name of 1 to 64 letters, digits, '-', '_' and '.': rules and metrics use it"
                    .to_owned(),
            );
        }
        if self.deadline.is_zero() || self.deadline > Self::TIME_MAX {
            say(
                "deadline",
                format!("must be more than 0 and at most {} s", Self::TIME_MAX.as_secs()),
            );
        }
        if !(1..=Self::CONCURRENCY_MAX).contains(&self.concurrency) {
            say("concurrency", format!("must be 1 to {}", Self::CONCURRENCY_MAX));
        }
        if !(1..=Self::SIZE_MAX).contains(&self.max_size) {
            say("max_size", format!("must be 1 to {} bytes", Self::SIZE_MAX));
        }
        if let ScannerKind::Icap(icap) = &self.kind
            && icap.wants_tls()
            && icap.tls.is_none()
        {
            say("url", "is icaps://, and nothing says how to verify it".to_owned());
        }
        if self.breaker.failures == 0 {
            say("breaker.failures", "must be at least 1".to_owned());
        }
        if self.breaker.rest.is_zero() || self.breaker.rest > Self::TIME_MAX {
            say(
                "breaker.rest",
                format!("must be more than 0 and at most {} s", Self::TIME_MAX.as_secs()),
            );
        }
        problems
    }
}

/// What is wrong with a scanner's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The key, as the configuration writes it.
    pub key: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for ConfigProblem {}

#[cfg(test)]
mod tests {
    use super::*;

    fn clamd() -> ScannerConfig {
        let address = Endpoint::parse("/run/clamd.sock", 3310).unwrap();
        ScannerConfig::new("clamav", ScannerKind::Clamd { address })
    }

    #[test]
    fn the_defaults_are_sound_and_every_mistake_is_named() {
        assert_eq!(clamd().problems(), []);
        let wrong = ScannerConfig {
            name: "two words".to_owned(),
            deadline: Duration::ZERO,
            concurrency: 0,
            max_size: 0,
            breaker: Thresholds {
                failures: 0,
                rest: Duration::from_secs(7200),
            },
            ..clamd()
        };
        let keys: Vec<&str> = wrong.problems().iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            [
                "name",
                "deadline",
                "concurrency",
                "max_size",
                "breaker.failures",
                "breaker.rest"
            ]
        );
        assert_eq!(wrong.problems()[2].to_string(), "concurrency: must be 1 to 1024");
    }
}
