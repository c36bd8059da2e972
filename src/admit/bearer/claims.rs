//! What a token that was verified says of its user, and whether it is for this proxy, now.

use super::config::BearerConfig;
use super::token::capped;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A user as its issuer spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admit) struct TokenUser {
    pub(in crate::admit) name: String,
    /// `None` if the token is not asked for them.
    pub(in crate::admit) groups: Option<Vec<String>>,
}

/// Why a token is not taken whose signature holds. In words, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is over.
    Expired(String),
    /// It has not begun.
    Early(String),
    /// It is of another issuer, or for somebody else.
    Foreign(String),
    /// It lacks what has to be there, or says what must not.
    Refused(String),
    /// Its groups are elsewhere.
    GroupsElsewhere,
}

/// Reads the claims (RFC 7519 section 4, and RFC 9068 section 4 of what has to be looked at).
pub(super) fn user(
    claims: &Map<String, Value>,
    config: &BearerConfig,
    now: SystemTime,
) -> Result<TokenUser, Unfit> {
    let issuer = claims.get("iss").and_then(Value::as_str);
    if issuer != Some(&*config.issuer) {
        let issuer = issuer.map_or_else(|| "nobody".to_owned(), capped);
        return Err(Unfit::Foreign(format!("it was issued by {issuer}")));
    }
    if !strings(claims.get("aud")).is_some_and(|aud| aud.iter().any(|aud| config.is_meant_by(aud))) {
        let aud = claims.get("aud").map_or_else(String::new, Value::to_string);
        return Err(Unfit::Foreign(format!("it is for the audience {}", capped(&aud))));
    }
    within(claims, config.leeway, now)?;
    if claims.contains_key("cnf") {
        // RFC 7800: whoever shows it has to prove that it has a key, which nobody can do by Bearer.
        let why = "it is bound to a key (cnf), and may not be shown without a proof";
        return Err(Unfit::Refused(why.to_owned()));
    }
    let name = find(claims, &config.name_claim).and_then(Value::as_str);
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Unfit::Refused(format!(
            "it has no name in {:?}",
            config.name_claim
        )));
    };
    if config.name_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
        let why = "its issuer has not verified the email address";
        return Err(Unfit::Refused(why.to_owned()));
    }
    Ok(TokenUser {
        name: name.to_owned(),
        groups: match &config.groups_claim {
            None => None,
            Some(claim) => Some(groups(claims, claim)?),
        },
    })
}

/// Whether it is the token's time (RFC 7519 sections 4.1.4 to 4.1.6).
fn within(claims: &Map<String, Value>, leeway: Duration, now: SystemTime) -> Result<(), Unfit> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let leeway = leeway.as_secs_f64();
    let date = |claim: &str| match claims.get(claim) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(date) => Ok(Some(date)),
            None => Err(Unfit::Refused(format!("its {claim} is no date"))),
        },
    };
    let Some(end) = date("exp")? else {
        return Err(Unfit::Refused("it has no end (exp)".to_owned()));
    };
    if now >= end + leeway {
        return Err(Unfit::Expired(format!("it ended {:.0} s ago", now - end)));
    }
    for claim in ["nbf", "iat"] {
        if let Some(begin) = date(claim)?
            && now + leeway < begin
        {
            let ahead = begin - now;
            return Err(Unfit::Early(format!("it begins in {ahead:.0} s ({claim})")));
        }
    }
    Ok(())
}

fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Vec<String>, Unfit> {
    let Some(found) = find(claims, claim) else {
        // A reference to where they are (OpenID Connect Core section 5.6.2): a rule could be about one of them.
        let elsewhere = claims.get("_claim_names").and_then(|names| names.get(claim));
        return match elsewhere {
            Some(_) => Err(Unfit::GroupsElsewhere),
            None => Ok(Vec::new()),
        };
    };
    // RFC 8693 section 4.2: one text, with spaces between.
    if let (Value::String(text), "scope" | "scp") = (found, claim) {
        return Ok(text.split(' ').map(str::to_owned).collect());
    }
    let names = strings(Some(found)).ok_or_else(|| Unfit::Refused(format!("its {claim:?} are no texts")))?;
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// One text, or a list of them.
fn strings(value: Option<&Value>) -> Option<Vec<&str>> {
    match value? {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => many.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A claim by its name, which may have dots in it, or by the way to it: `realm_access.roles`.
fn find<'v>(claims: &'v Map<String, Value>, claim: &str) -> Option<&'v Value> {
    if let Some(value) = claims.get(claim) {
        return Some(value);
    }
    let (first, rest) = claim.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

#[cfg(test)]
mod tests {
    use super::super::testing::config;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    fn judged(change: impl FnOnce(&mut Map<String, Value>)) -> Result<TokenUser, Unfit> {
        judged_by(&config(), change)
    }

    fn judged_by(
        config: &BearerConfig,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<TokenUser, Unfit> {
        let claims = json!({
            "iss": "https://login.example", "aud": "wsbump", "sub": "ada", "exp": NOW + 300,
            "realm_access": { "roles": ["web", "mail"] }, "https://example/groups": ["a.b"],
        });
        let mut claims = claims.as_object().unwrap().clone();
        change(&mut claims);
        user(&claims, config, UNIX_EPOCH + Duration::from_secs(NOW))
    }

    fn with(claim: &'static str, value: Value) -> Result<TokenUser, Unfit> {
        judged(move |claims| drop(claims.insert(claim.to_owned(), value)))
    }

    #[test]
    fn who_it_is_and_until_when() {
        assert_eq!(judged(|_| {}).unwrap().name, "ada");
        for (claim, value) in [
            ("aud", json!(["other", "wsbump"])),
            ("exp", json!(NOW - 59)),
            ("exp", json!(NOW as f64 + 0.5)),
            ("nbf", json!(NOW + 60)),
            ("iat", json!(NOW)),
        ] {
            assert!(with(claim, value.clone()).is_ok(), "{claim} {value}");
        }
        let expired = |value| matches!(with("exp", value), Err(Unfit::Expired(_)));
        assert!(expired(json!(NOW - 60)) && expired(json!(0)) && expired(json!(-1e300)));
        for claim in ["nbf", "iat"] {
            assert!(matches!(with(claim, json!(NOW + 61)), Err(Unfit::Early(_))));
        }
    }

    #[test]
    fn whoever_it_is_not_for_does_not_take_it() {
        for (claim, value) in [
            ("iss", json!("https://login.example/")),
            ("iss", json!("HTTPS://login.example")),
            ("iss", json!(["https://login.example"])),
            ("iss", Value::Null),
            ("aud", json!("wsbump2")),
            ("aud", json!(["other"])),
            ("aud", json!([])),
            ("aud", json!({ "wsbump": 1 })),
            ("aud", json!(["wsbump", 1])),
        ] {
            assert!(
                matches!(with(claim, value.clone()), Err(Unfit::Foreign(_))),
                "{claim} {value}"
            );
        }
        for claim in ["iss", "aud"] {
            assert!(matches!(
                judged(|claims| drop(claims.remove(claim))),
                Err(Unfit::Foreign(_))
            ));
        }
    }

    #[test]
    fn what_has_to_be_there_is() {
        for (claim, value) in [
            ("exp", json!("1900000000")),
            ("exp", Value::Null),
            ("nbf", json!("0")),
            ("sub", json!(7)),
            ("sub", json!("")),
            ("cnf", json!({ "jkt": "x" })),
        ] {
            assert!(
                matches!(with(claim, value.clone()), Err(Unfit::Refused(_))),
                "{claim} {value}"
            );
        }
        for claim in ["exp", "sub"] {
            let without = judged(|claims| drop(claims.remove(claim)));
            assert!(matches!(without, Err(Unfit::Refused(_))), "{claim}");
        }
    }

    #[test]
    fn groups_are_where_the_configuration_says() {
        let of = |claim: &str, change: fn(&mut Map<String, Value>)| {
            let config = BearerConfig {
                groups_claim: Some(claim.to_owned()),
                ..config()
            };
            judged_by(&config, change).map(|user| user.groups.unwrap())
        };
        let same = |_: &mut Map<String, Value>| {};
        assert_eq!(of("realm_access.roles", same).unwrap(), ["web", "mail"]);
        assert_eq!(of("https://example/groups", same).unwrap(), ["a.b"]);
        assert_eq!(of("sub", same).unwrap(), ["ada"]);
        assert_eq!(of("groups", same).unwrap(), [""; 0]);
        let scope = of("scope", |claims| {
            drop(claims.insert("scope".to_owned(), json!("openid web")));
        });
        assert_eq!(scope.unwrap(), ["openid", "web"]);
        let elsewhere = of("groups", |claims| {
            drop(claims.insert("_claim_names".to_owned(), json!({ "groups": "src1" })));
        });
        assert_eq!(elsewhere, Err(Unfit::GroupsElsewhere));
        let wrong = of("groups", |claims| {
            drop(claims.insert("groups".to_owned(), json!([1])));
        });
        assert!(matches!(wrong, Err(Unfit::Refused(_))));
        assert_eq!(judged(same).unwrap().groups, None);
    }

    #[test]
    fn an_address_that_nobody_verified_is_no_name() {
        let config = BearerConfig {
            name_claim: "email".to_owned(),
            ..config()
        };
        for (verified, holds) in [(None, true), (Some(true), true), (Some(false), false)] {
            let judged = judged_by(&config, |claims| {
                claims.insert("email".to_owned(), json!("ada@corp.example"));
                if let Some(verified) = verified {
                    claims.insert("email_verified".to_owned(), json!(verified));
                }
            });
            assert_eq!(judged.is_ok(), holds, "{verified:?}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_let_in_by_a_claim_of_another_kind(
            claim in prop::sample::select(vec!["iss", "aud", "exp"]),
            value in prop_oneof![
                Just(Value::Null), any::<bool>().prop_map(Value::from), "\\PC{0,20}".prop_map(Value::from),
                Just(json!([])), Just(json!({})), (-1e18..1.7e9).prop_map(|n: f64| json!(n)),
            ],
        ) {
            prop_assert!(with(claim, value).is_err());
        }
    }
}
