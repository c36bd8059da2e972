//! What is made of the certificate that the program sees: who signed it, and who believes that.

use super::facts::{Road, Trust};
use super::verdict::{Case, Compared, Diagnosis, Whose};

impl Case<'_> {
    /// Whether the proxy decrypts what goes to this target, as the certificate shows; `None` where that cannot be told.
    pub(super) fn decrypts(&self) -> Option<bool> {
        let trust = self.findings.proxied.as_ref()?.trust()?;
        let direct = self.findings.direct.trust();
        match direct {
            // The way without a proxy may be decrypted too, by one that catches connections.
            Some(direct) if direct.leaf == trust.leaf => (!trust.is_by_wsbump).then_some(false),
            _ if trust.is_by_wsbump => Some(true),
            // Nobody who decrypts has a certificate by a public CA. A target may have several.
            _ if trust.public.is_none() => Some(false),
            Some(direct) if direct.issuer != trust.issuer => Some(true),
            _ => None,
        }
    }

    pub(super) fn trusted(&self, road: &Road) -> Option<Diagnosis> {
        let trust = road.trust()?;
        let problem = trust.problem()?;
        let direct = self.findings.direct.trust().filter(|_| self.is_proxied());
        let is_same = direct.is_some_and(|other| other.leaf == trust.leaf);
        let issuer = &trust.issuer;
        let verdict = |whose, is_sure, symptom, text: String, remedy: &str| {
            Some(Diagnosis {
                whose,
                is_sure,
                symptom,
                text,
                remedy: remedy.to_owned(),
            })
        };
        const INSTALL: &str = "install that CA where the program that fails looks for roots, or name it with --ca; beware: many programs have roots of their own";
        if trust.is_by_stranger() {
            return match (self.is_proxied(), direct) {
                (true, Some(_)) if is_same => verdict(
                    Whose::Origin,
                    true,
                    None,
                    format!(
                        "the target's certificate is by {issuer:?}, whom nobody here knows, without the proxy too"
                    ),
                    "name its CA with --ca if it is the right one",
                ),
                (true, Some(_)) => verdict(
                    Whose::Client,
                    true,
                    Some(18),
                    format!("the proxy decrypts, and signs as {issuer:?}, whom this machine does not trust"),
                    INSTALL,
                ),
                (true, None) => verdict(
                    Whose::Client,
                    false,
                    Some(18),
                    format!(
                        "the certificate is by {issuer:?}, whom this machine does not trust; most likely the proxy decrypts"
                    ),
                    INSTALL,
                ),
                (false, _) => verdict(
                    Whose::Client,
                    false,
                    Some(18),
                    format!(
                        "the certificate is by {issuer:?}, whom this machine does not trust: a CA of the target's own, or somebody decrypts on the way"
                    ),
                    INSTALL,
                ),
            };
        }
        let text = format!("the target's certificate (by {issuer:?}) is not valid: {problem}");
        let compared = match (self.is_proxied(), direct) {
            (false, _) => Compared::NoProxy,
            (true, Some(other)) if is_same || !other.is_accepted() => Compared::Same,
            (true, Some(_)) => Compared::OnlyProxied,
            // Nobody decrypts what a public CA has signed.
            (true, None) if trust.is_by_public_ca() => Compared::NoProxy,
            (true, None) => Compared::Alone,
        };
        let for_proxy = "look at the proxy's CA and at its clock";
        Some(self.blamed(
            &compared,
            None,
            text,
            for_proxy,
            "have the target's certificate renewed or corrected",
        ))
    }
}

/// What is worth a warning though it works: this machine's view of a chain that others will not share.
pub(super) fn warnings(trust: &Trust) -> Vec<String> {
    let mut found = Vec::new();
    if !trust.is_accepted() {
        return found;
    }
    if trust.public.is_some() {
        if trust.system.is_some() {
            found.push("only the file given by --ca vouches for it: programs need it too".to_owned());
        }
        if !trust.has_revocation {
            found.push("it names no place to ask for its revocation: Windows' own clients (curl.exe, updaters) may refuse it with CRYPT_E_NO_REVOCATION_CHECK".to_owned());
        }
        found.extend(trust.strict.iter().cloned());
    } else if trust.system.is_some() && trust.given.is_empty() {
        found.push("this machine's roots do not vouch for it, though the public ones do: its roots are old or missing".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::examine::Findings;
    use crate::doctor::facts::{Timed, Tls};
    use crate::doctor::target::Target;
    use std::time::Duration;

    /// A road whose certificate has this fingerprint and issuer, by a public CA or not, or by this machine's wsbump.
    fn road(leaf: u8, issuer: &str, is_public: bool, is_by_wsbump: bool) -> Road {
        let trust = Trust {
            issuer: issuer.to_owned(),
            leaf: vec![leaf],
            public: (!is_public).then(|| "its issuer is not known".to_owned()),
            is_by_wsbump,
            ..Trust::default()
        };
        Road {
            tls: Some(Timed {
                result: Ok(Tls {
                    trust,
                    ..Tls::default()
                }),
                took: Duration::ZERO,
            }),
            ..Road::default()
        }
    }

    #[test]
    fn the_certificate_tells_whether_a_proxy_decrypts() {
        let target = Target::parse("https://chat.example/").unwrap();
        let own = || road(1, "Public CA", true, false);
        let inside = || road(2, "Works CA", false, false);
        for (proxied, direct, decrypts) in [
            (Some(own()), own(), Some(false)),
            (Some(own()), Road::default(), Some(false)),
            // Two of its servers have certificates of their own.
            (Some(own()), road(3, "Public CA", true, false), Some(false)),
            (Some(inside()), inside(), Some(false)),
            (Some(inside()), own(), Some(true)),
            (
                Some(road(4, "wsbump CA", false, true)),
                Road::default(),
                Some(true),
            ),
            // Who is caught on the way without a proxy too sees the same there.
            (
                Some(road(4, "wsbump CA", false, true)),
                road(4, "wsbump CA", false, true),
                None,
            ),
            (Some(inside()), Road::default(), None),
            (Some(inside()), road(5, "Works CA", false, false), None),
            (None, own(), None),
        ] {
            let findings = Findings { proxied, direct };
            let case = Case {
                target: &target,
                has_credentials: false,
                has_ticket: false,
                healthy: None,
                findings: &findings,
            };
            assert_eq!(case.decrypts(), decrypts, "{findings:?}");
        }
    }
}
