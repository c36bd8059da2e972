//! Basic: name and password (RFC 7617).

use super::challenge::Unproven;
use super::login::Login;
use super::names::Names;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use zeroize::Zeroizing;

/// Some clients leave the padding out.
const TOKEN: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest password, in bytes. Directories have lower limits.
const MAX_PASSWORD: usize = 1024;

const NO_NAME: &str = "the name is none: it is empty, too long, or has a control character or two domains";

/// A name and a password, in UTF-8.
pub(super) struct NameAndPassword {
    pub login: Login,
    pub password: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for NameAndPassword {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameAndPassword")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Credentials that cannot be asked about, and whose they claim to be where that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    pub why: Unproven,
    pub claimed: Option<String>,
    /// What is wrong, for the log; nothing of them is in it.
    pub detail: Option<&'static str>,
}

impl Unusable {
    const fn malformed(detail: &'static str) -> Self {
        Self {
            why: Unproven::Malformed,
            claimed: None,
            detail: Some(detail),
        }
    }
}

/// Reads what stands behind `Basic`.
pub(super) fn read(token: &[u8], names: &Names) -> Result<NameAndPassword, Unusable> {
    let decode = TOKEN.decode(token);
    let bytes = decode.map_err(|_| Unusable::malformed("what stands behind Basic is not base64"))?;
    let text = Zeroizing::new(decoded(bytes));
    let parts = text.split_once(':');
    let (name, password) = parts.ok_or(Unusable::malformed("there is no colon behind a name"))?;
    let login = names.login(name).ok_or(Unusable::malformed(NO_NAME))?;
    let of_login = |why, detail| Unusable {
        why,
        claimed: Some(login.canonical.clone()),
        detail,
    };
    if password.is_empty() {
        return Err(of_login(Unproven::EmptyPassword, None));
    }
    if password.len() > MAX_PASSWORD {
        return Err(of_login(Unproven::Malformed, Some("the password is too long")));
    }
    // RFC 7617 section 2: neither may have control characters. A NUL ends a password early in some directories.
    if password.contains(char::is_control) {
        let detail = "the password has a control character";
        return Err(of_login(Unproven::Malformed, Some(detail)));
    }
    let password = Zeroizing::new(password.as_bytes().to_vec());
    Ok(NameAndPassword { login, password })
}

/// As UTF-8, which the challenge asks for; what is none comes from a client that does not know of that, and is Latin-1.
fn decoded(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let bytes = Zeroizing::new(error.into_bytes());
        bytes.iter().copied().map(char::from).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    fn read_text(text: &[u8]) -> Result<(String, String), Unproven> {
        let token = BASE64_STANDARD.encode(text);
        let read = read(token.as_bytes(), &Names::default()).map_err(|unusable| unusable.why)?;
        let password = String::from_utf8(read.password.to_vec()).unwrap();
        Ok((read.login.canonical, password))
    }

    fn good(name: &str, password: &str) -> Result<(String, String), Unproven> {
        Ok((name.into(), password.into()))
    }

    #[test]
    fn the_example_of_the_rfc() {
        let read = read(b"QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &Names::default()).unwrap();
        assert_eq!(read.login.name, "Aladdin");
        assert_eq!(read.login.canonical, "aladdin");
        assert_eq!(*read.password, b"open sesame");
        assert!(!format!("{read:?}").contains("sesame"));
        // RFC 7617 section 2.1.
        assert_eq!(read_text("test:123\u{a3}".as_bytes()), good("test", "123\u{a3}"));
    }

    #[test]
    fn padding_may_be_left_out_and_nothing_else() {
        let read = |token: &[u8]| read(token, &Names::default()).map_err(|unusable| unusable.why);
        assert!(read(b"QWxhZGRpbjpvcGVuIHNlc2FtZQ").is_ok());
        for wrong in [
            &b""[..],
            b"=",
            b"QWxhZGRpbjpvcGVuIHNlc2FtZQ===",
            b"QWxh ZGRpbjpvcGVuIHNlc2FtZQ==",
            b"QWxhZGRpbjpvcGVuIHNlc2FtZ_==",
            b"!",
        ] {
            assert_eq!(read(wrong).unwrap_err(), Unproven::Malformed, "{wrong:?}");
        }
    }

    #[test]
    fn the_first_colon_splits() {
        assert_eq!(read_text(b"ada:a:b:"), good("ada", "a:b:"));
        assert_eq!(read_text(b"ada:::"), good("ada", "::"));
        assert_eq!(read_text(b"ada"), Err(Unproven::Malformed));
        assert_eq!(read_text(b":secret"), Err(Unproven::Malformed));
    }

    #[test]
    fn what_is_not_utf_8_is_latin_1() {
        assert_eq!(read_text(b"J\xf6rg:p\xe4ss"), good("jörg", "päss"));
        assert_eq!(read_text("Jörg:päss".as_bytes()), good("jörg", "päss"));
    }

    #[test]
    fn an_empty_password_is_refused_by_name() {
        let token = BASE64_STANDARD.encode("Ada:");
        let unusable = read(token.as_bytes(), &Names::default()).unwrap_err();
        assert_eq!(unusable.why, Unproven::EmptyPassword);
        assert_eq!(unusable.claimed.as_deref(), Some("ada"));
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_of_the_password() {
        let long = "x".repeat(2000);
        let much = format!("ada:{long}");
        for (text, claimed, told) in [
            ("ada", None, "no colon"),
            (":secret", None, "the name is none"),
            ("a@b@c:secret", None, "the name is none"),
            ("ADA:sec\0ret", Some("ada"), "a control character"),
            (long.as_str(), None, "no colon"),
            (much.as_str(), Some("ada"), "too long"),
        ] {
            let token = BASE64_STANDARD.encode(text);
            let unusable = read(token.as_bytes(), &Names::default()).unwrap_err();
            assert_eq!(unusable.claimed.as_deref(), claimed);
            let detail = unusable.detail.unwrap();
            assert!(
                detail.contains(told) && !detail.contains("secret"),
                "{told}: {detail}"
            );
        }
        let unusable = read(b"?", &Names::default()).unwrap_err();
        assert!(unusable.detail.unwrap().contains("base64"));
    }

    #[test]
    fn control_characters_and_lengths_are_refused() {
        for wrong in [
            "a\0da:x",
            "ada:x\0y",
            "ada:x\ny",
            "ada:x\u{7f}",
            "a\tda:x",
            "ada:\u{85}",
        ] {
            assert_eq!(read_text(wrong.as_bytes()), Err(Unproven::Malformed), "{wrong:?}");
        }
        let long = |length: usize| format!("ada:{}", "x".repeat(length));
        assert!(read_text(long(MAX_PASSWORD).as_bytes()).is_ok());
        assert_eq!(
            read_text(long(MAX_PASSWORD + 1).as_bytes()),
            Err(Unproven::Malformed)
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(token in any::<Vec<u8>>()) {
            let _ = read(&token, &Names::default());
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z0-9.-]{1,20}", password in "[ -~]{1,40}") {
            prop_assert_eq!(read_text(format!("{name}:{password}").as_bytes()), good(&name, &password));
        }
    }
}
