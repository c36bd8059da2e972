//! What a directory's answer to a bind means, and the words for it. Pure.

use ldap3::LdapResult;

/// What an answer to a user's bind means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BindAnswer {
    /// The password is right.
    Right,
    /// The user is not let in. The text is for the log.
    Refused(String),
    /// The server has not judged, and says why.
    Unjudged(String),
}

/// What the result of a bind means (RFC 4511 appendix A.1).
pub(super) fn judge(result: &LdapResult) -> BindAnswer {
    match result.rc {
        0 => BindAnswer::Right,
        // noSuchObject, invalidDNSyntax: the name is none of the directory's. inappropriateAuthentication: the entry has no
        // password. constraintViolation and unwillingToPerform are how 389 DS and OpenLDAP say that an account is locked.
        19 | 32 | 34 | 48 | 49 | 53 => BindAnswer::Refused(words(result)),
        _ => BindAnswer::Unjudged(words(result)),
    }
}

/// A result in words, with what AD says of the reason.
pub(super) fn words(result: &LdapResult) -> String {
    let name = result_name(result.rc);
    let said = printable(&result.text);
    let mut text = match data_code(&said).and_then(reason) {
        Some(reason) => format!("{reason} ({name})"),
        None if said.is_empty() => name.to_owned(),
        None => format!("{name}: {said}"),
    };
    if name == "other" {
        text = format!("{text} (result {})", result.rc);
    }
    if result.rc == 10 {
        text.push_str("; referrals are not followed");
    }
    text
}

/// The number in AD's `AcceptSecurityContext error, data 52e, v4563`.
fn data_code(said: &str) -> Option<u32> {
    let (_, after) = said.split_once("data ")?;
    let digits = after.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u32::from_str_radix(digits, 16).ok()
}

/// The words for a Windows error ([MS-ERREF] section 2.2) that AD refuses a bind with.
const fn reason(code: u32) -> Option<&'static str> {
    Some(match code {
        0x525 => "there is no such user",
        0x52e => "the password is wrong",
        0x52f => "the account is restricted",
        0x530 => "not at this time of the day",
        0x531 => "not from this workstation",
        0x532 => "the password has expired",
        0x533 => "the account is disabled",
        0x568 => "the user is in too many groups",
        0x701 => "the account has expired",
        0x773 => "the password must be changed first",
        0x775 => "the account is locked",
        _ => return None,
    })
}

const fn result_name(code: u32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        19 => "constraintViolation",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => "other",
    }
}

/// The beginning of what a server says, without what could break a line.
fn printable(said: &str) -> String {
    let said = said.trim_end_matches('\0').trim();
    let clean = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rc: u32, text: &str) -> LdapResult {
        LdapResult {
            rc,
            matched: String::new(),
            text: text.to_owned(),
            refs: Vec::new(),
            ctrls: Vec::new(),
        }
    }

    #[test]
    fn ads_numbers_become_words() {
        let said = |code: &str| {
            let text = format!(
                "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {code}, v4563\0"
            );
            words(&result(49, &text))
        };
        for (code, word) in [
            ("52e", "the password is wrong"),
            ("532", "the password has expired"),
            ("533", "disabled"),
            ("701", "the account has expired"),
            ("773", "must be changed"),
            ("775", "locked"),
        ] {
            assert!(said(code).contains(word), "{}", said(code));
            assert!(said(code).ends_with("(invalidCredentials)"));
        }
        assert!(said("9999").contains("data 9999"), "{}", said("9999"));
    }

    #[test]
    fn only_what_is_about_the_account_is_a_no() {
        assert_eq!(judge(&result(0, "")), BindAnswer::Right);
        for code in [19, 32, 34, 48, 49, 53] {
            assert!(
                matches!(judge(&result(code, "x")), BindAnswer::Refused(_)),
                "{code}"
            );
        }
        for code in [1, 2, 3, 7, 8, 10, 11, 13, 14, 50, 51, 52, 80, 118] {
            assert!(
                matches!(judge(&result(code, "x")), BindAnswer::Unjudged(_)),
                "{code}"
            );
        }
        assert_eq!(words(&result(80, "")), "other (result 80)");
        assert_eq!(words(&result(51, "a\nb")), "busy: a b");
        assert!(words(&result(10, "")).contains("not followed"));
    }
}
