//! Which language a reader gets (RFC 9110 section 12.5.4), and what is said in those that are built in.

use crate::dial::DialOutcome;
use crate::error::Side;
use crate::http::error::HttpError;

/// The place of the language that fits Accept-Language best, by look-up (RFC 4647 section 3.4); `None` if none does.
pub(super) fn negotiate<'v>(
    accepted: impl Iterator<Item = &'v str>,
    languages: &[Box<str>],
) -> Option<usize> {
    let mut wanted: Vec<(u32, &str)> = accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight
                .trim()
                .strip_prefix("q=")
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            // In thousandths, of which a weight has no more.
            let weight = (f64::clamp(weight, 0.0, 1.0) * 1000.0) as u32;
            (weight > 0).then_some((weight, tag.trim()))
        })
        .collect();
    wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    for (_, tag) in wanted {
        let mut tag = tag;
        loop {
            if let Some(at) = languages.iter().position(|known| known.eq_ignore_ascii_case(tag)) {
                return Some(at);
            }
            match tag.rsplit_once('-') {
                Some((shorter, _)) => tag = shorter,
                None if tag == "*" => return None,
                None => break,
            }
        }
    }
    None
}

/// What a failure is called, in a language that is built in.
pub(super) fn title(error: HttpError, language: &str) -> &'static str {
    let (english, japanese) = match error {
        HttpError::CertificateError => (
            "This site's certificate cannot be trusted",
            "このサイトの証明書は信頼できません",
        ),
        HttpError::TlsError | HttpError::TlsAlert | HttpError::ClientCertificate => (
            "No secure connection to this site",
            "このサイトへの安全な接続を確立できません",
        ),
        HttpError::Timeout | HttpError::Slow(Side::Origin) | HttpError::Dial(DialOutcome::Timeout) => (
            "This site takes too long to answer",
            "このサイトからの応答に時間がかかりすぎています",
        ),
        HttpError::Dial(_) | HttpError::Terminated => {
            ("This site cannot be reached", "このサイトにアクセスできません")
        }
        HttpError::Refused => ("This is not allowed here", "このアクセスは許可されていません"),
        HttpError::NotAuthenticated => ("Please sign in to the proxy", "プロキシへのログインが必要です"),
        HttpError::AuthenticationUnavailable => (
            "Your sign-in cannot be checked right now",
            "現在、ログイン情報を確認できません",
        ),
        HttpError::Limited(_) => ("Too much at once", "同時アクセスが多すぎます"),
        HttpError::Misdirected => (
            "This request is for another site",
            "このリクエストは別のサイト宛てです",
        ),
        _ => (
            "The proxy could not serve this request",
            "プロキシはこのリクエストを処理できませんでした",
        ),
    };
    match language {
        "ja" => japanese,
        _ => english,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_language_that_there_is_is_chosen() {
        let languages: Vec<Box<str>> = ["en", "ja", "pt-BR"].map(Box::from).into();
        for (accepted, expected) in [
            ("ja", Some(1)),
            ("ja-JP,ja;q=0.9,en;q=0.8", Some(1)),
            ("JA-Hira-JP", Some(1)),
            ("fr, en;q=0.3, ja;q=0.7", Some(1)),
            ("fr;q=1, ja;q=0, en;q=0.001", Some(0)),
            ("pt-br", Some(2)),
            ("pt", None),
            ("*", None),
            ("fr, *;q=0.5, ja;q=0.1", None),
            ("", None),
            ("ja;q=x", None),
            (",,;;q,ja;q=2", Some(1)),
        ] {
            assert_eq!(
                negotiate([accepted].into_iter(), &languages),
                expected,
                "{accepted}"
            );
        }
        assert_eq!(negotiate(["fr", "ja;q=0.5"].into_iter(), &languages), Some(1));
    }
}
