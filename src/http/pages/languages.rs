//! Which language a reader gets (RFC 9110 section 12.5.4), and what is said in those that are built in.

use crate::dial::DialOutcome;
use crate::error::Side;
use crate::http::error::HttpError;

/// The place of the language that fits Accept-Language best, by look-up (RFC 4647 section 3.4); `None` if none does.
pub fn negotiate<'v>(accepted: impl Iterator<Item = &'v str>, languages: &[Box<str>]) -> Option<usize> {
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

/// Why it failed, in a language that is built in and is not that of the log; `None` where the log's words are all there is.
pub(super) fn reason(error: HttpError, language: &str) -> Option<&'static str> {
    (language == "ja").then(|| japanese(error))
}

fn japanese(error: HttpError) -> &'static str {
    match error {
        HttpError::BadRequest => "ブラウザーまたはアプリが送信したリクエストの形式に誤りがあります。",
        HttpError::RequestTimeout => "リクエストが時間内に完了しませんでした。",
        HttpError::Misdirected => {
            "この接続は別のサイトのために開かれたものです。ページを再読み込みしてください。"
        }
        HttpError::Refused => "このサイトへのアクセスは、組織のポリシーで許可されていません。",
        HttpError::NotAuthenticated => "このサイトを利用するには、プロキシへのログインが必要です。",
        HttpError::AuthenticationUnavailable => {
            "認証サーバーが応答しないため、ログイン情報を確認できません。しばらくしてからもう一度お試しください。"
        }
        HttpError::BadUpgrade => "WebSocket の接続要求の形式に誤りがあります。",
        HttpError::BadUpgradeResponse => "WebSocket の接続要求に対するサイトの応答に誤りがあります。",
        HttpError::CertificateError => {
            "サイトの証明書を検証できませんでした。有効期限が切れているか、名前が一致しないか、発行者が信頼されていません。"
        }
        HttpError::TlsAlert => "サイトが安全な接続 (TLS) を拒否しました。",
        HttpError::ClientCertificate => {
            "このサイトはクライアント証明書を要求しますが、プロキシはそれを提示できません。"
        }
        HttpError::TlsError => "サイトとの安全な接続 (TLS) に失敗しました。",
        HttpError::Terminated => "安全な接続 (TLS) の確立中に、サイトが接続を閉じました。",
        HttpError::Dial(outcome) => match outcome {
            DialOutcome::DnsError => "サイトの名前が見つかりません。アドレスに誤りがないか確認してください。",
            DialOutcome::DnsTimeout => "サイトの名前の検索 (DNS) に時間がかかりすぎています。",
            DialOutcome::Forbidden => "このサイトのアドレスへの接続は、プロキシで許可されていません。",
            DialOutcome::Loop => "このアドレスはプロキシ自身のものです。",
            DialOutcome::Refused => "サイトのサーバーが接続を拒否しました。",
            DialOutcome::Timeout => "サイトのサーバーが時間内に応答しませんでした。",
            DialOutcome::ParentUnreachable => "上位プロキシに接続できませんでした。",
            DialOutcome::ParentTimeout => "上位プロキシが時間内に応答しませんでした。",
            DialOutcome::ParentRefused => "上位プロキシがサイトへの接続を拒否しました。",
            DialOutcome::ParentLogin => "上位プロキシへのログインに失敗しました。",
            DialOutcome::Ok => "サイトに接続できませんでした。",
        },
        HttpError::ConnectionLimit => {
            "プロキシの接続数が上限に達しています。しばらくしてからもう一度お試しください。"
        }
        HttpError::Timeout => "サイトが時間内に応答しませんでした。",
        HttpError::BadResponse => "サイトの応答の形式に誤りがあります。",
        HttpError::Inspected => "この内容は、組織の検査ルールにより許可されていません。",
        HttpError::Uninspected => "内容を検査できないため、組織のポリシーにより通過できません。",
        HttpError::NotTaken => "このリクエストは処理されませんでした。もう一度お試しください。",
        HttpError::Limited(_) => {
            "お使いのネットワークアドレスからのアクセスが上限に達しています。しばらくしてからもう一度お試しください。"
        }
        HttpError::Slow(Side::Client) => "送信が遅すぎるため、中断しました。",
        HttpError::Slow(Side::Origin) => "サイトからの受信が遅すぎるため、中断しました。",
        HttpError::Aborted(Side::Client) => "ブラウザーまたはアプリが通信を中断しました。",
        HttpError::Aborted(Side::Origin) => "サイトが通信を中断しました。",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_reason_of_its_own_in_japanese() {
        let mut reasons: Vec<_> = HttpError::all()
            .filter(|error| !matches!(error, HttpError::Limited(_)))
            .map(|error| reason(error, "ja").unwrap())
            .collect();
        assert!(reasons.iter().all(|reason| reason.ends_with('。')));
        let all = reasons.len();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), all);
        assert!(HttpError::all().all(|error| reason(error, "en").is_none() && reason(error, "fr").is_none()));
    }

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
