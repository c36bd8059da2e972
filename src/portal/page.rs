//! The portal's page.

use super::steps::{STEPS, SetupStep};
use super::text::{Language, Text};
use std::fmt::Write as _;

/// What the page shows.
pub(super) struct Shown<'a> {
    /// The portal's host.
    pub(super) host: &'a str,
    /// The host whose certificate tells whether the CA is trusted.
    pub(super) trust: &'a str,
    /// Whose proxy it is.
    pub(super) organisation: &'a str,
    /// Whom to ask.
    pub(super) contact: &'a str,
    /// What is inspected and why, in the operator's words.
    pub(super) purpose: &'a str,
    /// The CA's subject.
    pub(super) subject: &'a str,
    /// Its SHA-256.
    pub(super) fingerprint: &'a str,
    /// Its last day.
    pub(super) until: &'a str,
    /// Which step the reader's system is likely to need.
    pub(super) likely: &'static [&'static str],
}

/// The steps that a browser's machine is likely to need, by its User-Agent.
pub(super) fn likely(agent: &str) -> &'static [&'static str] {
    let says = |word: &str| agent.contains(word);
    match () {
        () if says("iPhone") || says("iPad") => &["ios"],
        () if says("Android") => &["android"],
        () if says("Windows") => &["windows"],
        () if says("Macintosh") => &["macos"],
        () if says("Firefox/") => &["debian", "firefox"],
        () if says("Linux") => &["debian", "chromium"],
        () => &[],
    }
}

const TITLE: Text = Text {
    en: "This network inspects its traffic",
    ja: "このネットワークでは通信を検査しています",
};
const WHAT: Text = Text {
    en: "What you send and receive through this proxy is decrypted, inspected and encrypted again, WebSockets included. Some sites may be exempt: their connections pass untouched, with their own certificates.",
    ja: "このプロキシを通る通信は、WebSocket を含めて復号され、検査された後、再び暗号化されます。検査の対象外のサイトへの接続は、そのサイトの証明書のまま、変更されずに通過します。",
};
const TRUST: Text = Text {
    en: "Does this browser trust it?",
    ja: "このブラウザーは信頼していますか?",
};
const NOT_YET: Text = Text {
    en: "Not yet: install the certificate below, then load this page again.",
    ja: "まだ信頼していません。下の証明書をインストールし、このページを再読み込みしてください。",
};
const CERTIFICATE: Text = Text {
    en: "The certificate",
    ja: "証明書",
};
const COMPARE: Text = Text {
    en: "This page is not encrypted. Before you trust the certificate, compare this fingerprint (SHA-256) with one that you got in another way.",
    ja: "このページは暗号化されていません。証明書を信頼する前に、別の方法で入手した値とこのフィンガープリント (SHA-256) を比べてください。",
};
const UNTIL: Text = Text {
    en: "valid until",
    ja: "有効期限",
};
const PROFILE: Text = Text {
    en: "profile for Apple's systems",
    ja: "Apple 製品用のプロファイル",
};
const BUNDLE: Text = Text {
    en: "The bundle, wsbump-bundle.pem, holds this certificate and the public roots. Some programs forget all other roots when they are given a file: with the certificate alone they could not reach exempt sites any more. Public roots change: load it anew now and then.",
    ja: "バンドル (wsbump-bundle.pem) には、この証明書と公開のルート証明書が入っています。ファイルを指定されるとほかのルート証明書をすべて無視するプログラムがあり、この証明書だけを指定すると検査の対象外のサイトに接続できなくなります。公開のルート証明書は更新されるので、ときどき取得し直してください。",
};
const INSTALL: Text = Text {
    en: "Install it",
    ja: "インストール",
};
const SCRIPT: Text = Text {
    en: "On Linux and macOS a script does it, once it has compared the fingerprint. Read it first, and give it the fingerprint that you got in another way:",
    ja: "Linux と macOS では、フィンガープリントを確認したうえでスクリプトがインストールします。内容を読んでから、別の方法で入手したフィンガープリントを指定して実行してください。",
};
const FETCH: Text = Text {
    en: "Lines are for a shell in the folder with the files; with the proxy in http_proxy, these fetch them:",
    ja: "コマンドは、ファイルのあるフォルダーで実行します。http_proxy にプロキシを設定していれば、次のコマンドで取得できます。",
};
const NEVER: Text = Text {
    en: "It is never needed to switch verification off (NODE_TLS_REJECT_UNAUTHORIZED=0, --trusted-host, http.sslVerify false).",
    ja: "証明書の検証を無効にする必要はありません (NODE_TLS_REJECT_UNAUTHORIZED=0、--trusted-host、http.sslVerify false など)。",
};
const PHONE: Text = Text {
    en: "On a phone that uses this proxy",
    ja: "このプロキシを使うスマートフォンで開く",
};
const CONTACT: Text = Text {
    en: "Questions:",
    ja: "お問い合わせ:",
};
/// What the picture says that only a browser sees that trusts the CA.
pub(super) const TRUSTED: Text = Text {
    en: "Yes: this browser trusts the certificate.",
    ja: "はい。このブラウザーは証明書を信頼しています。",
};

const ATTEMPT: Text = Text {
    en: "Try it with this browser",
    ja: "このブラウザーで確かめる",
};
const WEBSOCKETS: Text = Text {
    en: "Do WebSockets get through from here?",
    ja: "ここから WebSocket は通りますか?",
};
const WEBSOCKETS_WHAT: Text = Text {
    en: "This page opens WebSockets between this browser and the proxy itself. If they work and a chat does not, the cause lies beyond the proxy, or in a program of its own. If they do not, something between this browser and the proxy is the cause: an antivirus program, an extension, or another proxy.",
    ja: "このページは、このブラウザーとプロキシとの間で WebSocket を開きます。ここで成功してもチャットが動かない場合、原因はプロキシより先か、そのプログラム自体にあります。失敗する場合、原因はブラウザーとプロキシの間 (ウイルス対策ソフト、拡張機能、別のプロキシなど) にあります。",
};
const IN_CLEAR: Text = Text {
    en: "Without encryption",
    ja: "暗号化なし",
};
const DECRYPTED: Text = Text {
    en: "Encrypted, and decrypted by the proxy",
    ja: "暗号化あり (プロキシが復号)",
};
const WAITING: Text = Text { en: "...", ja: "..." };
const GOOD: Text = Text {
    en: "Yes: 200 B and 200 KiB came back, in {} ms.",
    ja: "はい。200 B と 200 KiB が {} ミリ秒で戻ってきました。",
};
const BAD: Text = Text {
    en: "No.",
    ja: "いいえ。",
};
/// Where the proxy's own WebSocket is.
pub(super) const ECHO: &str = "/echo";

/// Whether an address of http or https is on this host, by the usual port.
pub(super) fn has_host(url: &str, host: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split('/').next());
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// The page that opens WebSockets, in this language.
pub(super) fn websocket(host: &str, language: Language) -> String {
    let say = |text: Text| escape(text.get(language));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{}</p>\n",
        language.tag(),
        say(WEBSOCKETS_WHAT),
        title = say(WEBSOCKETS),
    );
    for (scheme, title) in [("ws", IN_CLEAR), ("wss", DECRYPTED)] {
        let _ = write!(
            out,
            "<h2>{}</h2>\n<p aria-live=\"polite\" data-url=\"{scheme}://{}{ECHO}\" data-good=\"{}\" data-bad=\"{}\">{}</p>\n",
            say(title),
            escape(host),
            say(GOOD),
            say(BAD),
            say(WAITING),
        );
    }
    out.push_str("</main>\n<script src=\"/websocket.js\"></script>\n</body>\n</html>\n");
    out
}

/// The page, in this language.
pub(super) fn page(shown: &Shown<'_>, language: Language) -> String {
    let say = |text: Text| escape(text.get(language));
    let mut out = String::with_capacity(24 << 10);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <p class=\"languages\"><a href=\"/?lang=en\" lang=\"en\">English</a> · <a href=\"/?lang=ja\" lang=\"ja\">日本語</a></p>\n\
         <main>\n<p class=\"quiet\">{organisation}</p>\n<h1>{title}</h1>\n<p>{what}</p>\n",
        tag = language.tag(),
        title = say(TITLE),
        organisation = escape(shown.organisation),
        what = say(WHAT),
    );
    if !shown.purpose.is_empty() {
        let _ = writeln!(out, "<p class=\"purpose\">{}</p>", escape(shown.purpose));
    }
    if !shown.contact.is_empty() {
        let _ = writeln!(out, "<p>{} {}</p>", say(CONTACT), escape(shown.contact));
    }
    let _ = write!(
        out,
        "<h2>{trust}</h2>\n<p><img class=\"trust\" src=\"https://{at}/trusted.svg?lang={tag}\" alt=\"{not_yet}\"></p>\n\
         <h2>{certificate}</h2>\n<p>{subject}<br>{until} {last}</p>\n<p>{compare}</p>\n\
         <p><code class=\"fingerprint\">{fingerprint}</code></p>\n<p>\
         <a class=\"button\" href=\"/ca.pem\">wsbump-ca.pem</a>\
         <a class=\"button\" href=\"/ca.crt\">wsbump-ca.crt (DER)</a>\
         <a class=\"button\" href=\"/ca.mobileconfig\">wsbump-ca.mobileconfig ({profile})</a>\
         <a class=\"button\" href=\"/bundle.pem\">wsbump-bundle.pem</a>\
         <a class=\"button\" href=\"/policies.json\">policies.json (Firefox)</a></p>\n<p class=\"quiet\">{bundle}</p>\n\
         <h2>{install}</h2>\n<p>{script}</p>\n<pre>{install_line}</pre>\n<p class=\"quiet\">{fetch}</p>\n<pre>{files}</pre>\n<p class=\"quiet\">{never}</p>\n",
        trust = say(TRUST),
        at = escape(shown.trust),
        tag = language.tag(),
        not_yet = say(NOT_YET),
        certificate = say(CERTIFICATE),
        subject = escape(shown.subject),
        until = say(UNTIL),
        last = escape(shown.until),
        compare = say(COMPARE),
        fingerprint = escape(shown.fingerprint),
        profile = say(PROFILE),
        bundle = say(BUNDLE),
        install = say(INSTALL),
        script = say(SCRIPT),
        install_line = escape(&installing(&format!("http://{}", shown.host))),
        fetch = say(FETCH),
        files = escape(&fetching(&format!("http://{}", shown.host))),
        never = say(NEVER),
    );
    for step in &STEPS {
        let open = if shown.likely.contains(&step.id) {
            " open"
        } else {
            ""
        };
        let _ = write!(
            out,
            "<details id=\"{}\"{open}>\n{}</details>\n",
            step.id,
            shown_step(step, language)
        );
    }
    let _ = write!(
        out,
        "<h2>{websockets}</h2>\n<p><a href=\"/websocket?lang={tag}\">{attempt}</a></p>\n<h2>{phone}</h2>\n<p><img class=\"qr\" src=\"/qr.svg\" alt=\"http://{host}/\"></p>\n</main>\n</body>\n</html>\n",
        websockets = say(WEBSOCKETS),
        attempt = say(ATTEMPT),
        tag = language.tag(),
        phone = say(PHONE),
        host = escape(shown.host),
    );
    out
}

fn shown_step(step: &SetupStep, language: Language) -> String {
    let mut out = format!(
        "<summary>{}</summary>\n<p class=\"quiet\">{}</p>\n",
        escape(step.title.get(language)),
        escape(step.effect.text().get(language))
    );
    if !step.lines.is_empty() {
        let _ = writeln!(out, "<pre>{}</pre>", escape(step.lines));
    }
    if !step.note.en.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escape(step.note.get(language)));
    }
    out
}

/// Lines that fetch the files from `base`, such as `http://wsbump.internal`.
pub fn fetching(base: &str) -> String {
    format!(
        "curl -fsS -o wsbump-ca.pem {base}/ca.pem\ncurl -fsS -o wsbump-ca.crt {base}/ca.crt\n\
         curl -fsS -o wsbump-bundle.pem {base}/bundle.pem\ncurl -fsS -o policies.json {base}/policies.json"
    )
}

/// Lines that fetch the script from `base` and run it.
pub fn installing(base: &str) -> String {
    format!("curl -fsS -o wsbump-install.sh {base}/install.sh\nsudo -E sh wsbump-install.sh FINGERPRINT")
}

/// What a browser shows that trusts the CA.
pub(super) fn trusted(language: Language) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"460\" height=\"40\" viewBox=\"0 0 460 40\" role=\"img\">\
         <path d=\"M0 8h460v26H0z\" fill=\"#1a7f37\"/><text x=\"12\" y=\"26\" font-family=\"sans-serif\" font-size=\"15\" \
         fill=\"#fff\">{}</text></svg>",
        escape(TRUSTED.get(language))
    )
}

/// Text as HTML and XML have it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_shown_is_escaped_in_both_languages() {
        let bad = "<script>\"'&";
        let shown = Shown {
            host: "wsbump.internal",
            trust: "trust.wsbump.internal",
            organisation: bad,
            contact: bad,
            purpose: bad,
            subject: bad,
            fingerprint: "AA:BB",
            until: "2036-01-01",
            likely: &["ios"],
        };
        for language in Language::ALL {
            let page = page(&shown, language);
            assert!(!page.contains("<script"), "{page}");
            assert_eq!(
                page.matches("&lt;script&gt;&quot;&#39;&amp;").count(),
                4,
                "{page}"
            );
            assert_eq!(page.matches("<details").count(), STEPS.len());
            assert_eq!(page.matches("<details id=\"ios\" open>").count(), 1);
            assert!(page.contains(&format!("<html lang=\"{}\">", language.tag())));
        }
    }

    #[test]
    fn a_readers_system_is_known_by_its_browser() {
        for (agent, wanted) in [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/130", "windows"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari",
                "ios",
            ),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari", "macos"),
            ("Mozilla/5.0 (Linux; Android 15) Chrome/130", "android"),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko Firefox/128.0",
                "firefox",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64) Chrome/130", "chromium"),
        ] {
            assert!(likely(agent).contains(&wanted), "{agent}");
        }
        assert!(likely("curl/8").is_empty());
    }
}
