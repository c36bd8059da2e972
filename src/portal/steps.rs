//! How machines and programs come to trust the CA, one by one. The portal, the admin page, docs/ca-trust.md and the tests have
//! the same lines.

use super::text::Text;

/// What a line does to the roots that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The CA stands beside them, for all programs that ask the system.
    System,
    /// The CA stands beside them, for this program.
    Adds,
    /// The file takes their place: it has to hold them too.
    Replaces,
}

/// What is to be done for one system or program.
#[derive(Debug, Clone, Copy)]
pub struct SetupStep {
    /// Its name in links and tests.
    pub id: &'static str,
    /// Whom it is for.
    pub title: Text,
    /// What it does.
    pub effect: Effect,
    /// Lines for a shell, in the folder with the files; empty where there is nothing to be typed.
    pub lines: &'static str,
    /// What else is to be known.
    pub note: Text,
}

impl Effect {
    /// In words.
    pub const fn text(self) -> Text {
        match self {
            Self::System => Text {
                en: "for all programs that ask the system",
                ja: "システムの証明書を参照するすべてのプログラムに有効",
            },
            Self::Adds => Text {
                en: "adds the CA to the roots that are there",
                ja: "既存のルート証明書に CA を追加します",
            },
            Self::Replaces => Text {
                en: "takes the place of all roots that are there, and is therefore given the bundle",
                ja: "既存のルート証明書をすべて置き換えるため、バンドルを指定します",
            },
        }
    }
}

/// Every step, systems first.
pub const STEPS: [SetupStep; 19] = [
    SetupStep {
        id: "windows",
        title: Text {
            en: "Windows",
            ja: "Windows",
        },
        effect: Effect::System,
        lines: "certutil -addstore -f Root wsbump-ca.crt",
        note: Text {
            en: "As administrator. By hand: open wsbump-ca.crt, Install Certificate, Local Machine, \"Place all certificates in the following store\", Trusted Root Certification Authorities. The wizard says that it was successful with any other store too. Many machines: Group Policy, Computer Configuration > Policies > Windows Settings > Security Settings > Public Key Policies > Trusted Root Certification Authorities.",
            ja: "管理者として実行します。手動の場合: wsbump-ca.crt を開き、「証明書のインストール」、「ローカル コンピューター」、「証明書をすべて次のストアに配置する」、「信頼されたルート証明機関」の順に選びます。別のストアを選んでも「成功しました」と表示されるので注意してください。多数の端末にはグループ ポリシー (公開キーのポリシー) を使います。",
        },
    },
    SetupStep {
        id: "macos",
        title: Text {
            en: "macOS",
            ja: "macOS",
        },
        effect: Effect::System,
        lines: "sudo security add-trusted-cert -d -r trustRoot -p ssl -p basic -k /Library/Keychains/System.keychain wsbump-ca.pem",
        note: Text {
            en: "By hand: Keychain Access > System, import it, open it, Trust > SSL > Always Trust: importing alone trusts nothing. Many machines: the profile, by device management.",
            ja: "手動の場合: キーチェーンアクセスの「システム」に読み込み、開いて「信頼」>「SSL」>「常に信頼」を選びます。読み込むだけでは信頼されません。多数の端末には MDM でプロファイルを配布します。",
        },
    },
    SetupStep {
        id: "ios",
        title: Text {
            en: "iPhone and iPad",
            ja: "iPhone・iPad",
        },
        effect: Effect::System,
        lines: "",
        note: Text {
            en: "1. Open this page in Safari and load the profile (wsbump-ca.mobileconfig). 2. Settings > General > VPN & Device Management: install it. 3. Settings > General > About > Certificate Trust Settings: switch it on. Without the third step nothing trusts it.",
            ja: "1. このページを Safari で開き、プロファイル (wsbump-ca.mobileconfig) をダウンロードします。2.「設定」>「一般」>「VPN とデバイス管理」でインストールします。3.「設定」>「一般」>「情報」>「証明書信頼設定」でオンにします。3 を行わないと信頼されません。",
        },
    },
    SetupStep {
        id: "android",
        title: Text {
            en: "Android",
            ja: "Android",
        },
        effect: Effect::Adds,
        lines: "",
        note: Text {
            en: "Load wsbump-ca.crt; Settings > Security > Encryption & credentials > Install a certificate > CA certificate (names differ by maker). Chrome trusts it then. Most other apps do not ask this store: their hosts have to be exempt.",
            ja: "wsbump-ca.crt をダウンロードし、「設定」>「セキュリティ」>「暗号化と認証情報」>「証明書のインストール」>「CA 証明書」を選びます (名称は機種により異なります)。Chrome はこれを信頼しますが、ほかの多くのアプリはこのストアを参照しません。それらの接続先は検査の対象外にする必要があります。",
        },
    },
    SetupStep {
        id: "debian",
        title: Text {
            en: "Debian, Ubuntu, Alpine",
            ja: "Debian・Ubuntu・Alpine",
        },
        effect: Effect::System,
        lines: "sudo cp wsbump-ca.pem /usr/local/share/ca-certificates/wsbump-ca.crt\nsudo update-ca-certificates",
        note: Text {
            en: "The name has to end in .crt, and each file holds one certificate. WSL, containers and virtual machines have stores of their own.",
            ja: "ファイル名は .crt で終わり、1 ファイルに証明書は 1 つです。WSL、コンテナー、仮想マシンにはそれぞれ別のストアがあります。",
        },
    },
    SetupStep {
        id: "fedora",
        title: Text {
            en: "Fedora, RHEL",
            ja: "Fedora・RHEL",
        },
        effect: Effect::System,
        lines: "sudo cp wsbump-ca.pem /etc/pki/ca-trust/source/anchors/\nsudo update-ca-trust",
        note: Text {
            en: "Arch: sudo trust anchor --store wsbump-ca.pem. openSUSE: /etc/pki/trust/anchors and update-ca-certificates.",
            ja: "Arch では sudo trust anchor --store wsbump-ca.pem、openSUSE では /etc/pki/trust/anchors と update-ca-certificates を使います。",
        },
    },
    SetupStep {
        id: "chromium",
        title: Text {
            en: "Chromium, Chrome, Edge and Electron apps on Linux",
            ja: "Linux の Chromium・Chrome・Edge・Electron アプリ",
        },
        effect: Effect::Adds,
        lines: "mkdir -p \"$HOME/.pki/nssdb\"\ncertutil -d sql:\"$HOME/.pki/nssdb\" -A -t C,, -n wsbump -i wsbump-ca.pem",
        note: Text {
            en: "certutil is in Debian's libnss3-tools and Fedora's nss-tools. On other systems these browsers ask the system.",
            ja: "certutil は Debian の libnss3-tools、Fedora の nss-tools にあります。ほかの OS では、これらのブラウザーはシステムの証明書を参照します。",
        },
    },
    SetupStep {
        id: "firefox",
        title: Text {
            en: "Firefox on Linux",
            ja: "Linux の Firefox",
        },
        effect: Effect::Adds,
        lines: "sudo cp wsbump-ca.pem /usr/local/share/ca-certificates/wsbump-ca.crt\nsudo mkdir -p /etc/firefox/policies\nsudo cp policies.json /etc/firefox/policies/policies.json",
        note: Text {
            en: "about:policies shows whether it was read; a restart is needed. By hand: Settings > Privacy & Security > Certificates > View Certificates > Authorities > Import. On Windows, macOS and Android, Firefox takes what the system trusts.",
            ja: "about:policies で読み込まれたか確認できます。再起動が必要です。手動の場合:「設定」>「プライバシーとセキュリティ」>「証明書を表示」>「認証局証明書」>「インポート」。Windows・macOS・Android の Firefox はシステムの証明書を使います。",
        },
    },
    SetupStep {
        id: "curl",
        title: Text {
            en: "curl",
            ja: "curl",
        },
        effect: Effect::Replaces,
        lines: "export CURL_CA_BUNDLE=\"$PWD/wsbump-bundle.pem\"",
        note: Text {
            en: "On most systems curl asks the system, and nothing is to be done.",
            ja: "多くの環境では curl はシステムの証明書を参照するため、何もする必要はありません。",
        },
    },
    SetupStep {
        id: "wget",
        title: Text {
            en: "wget",
            ja: "wget",
        },
        effect: Effect::Replaces,
        lines: "echo \"ca_certificate = $PWD/wsbump-bundle.pem\" >> ~/.wgetrc",
        note: Text { en: "", ja: "" },
    },
    SetupStep {
        id: "git",
        title: Text { en: "git", ja: "git" },
        effect: Effect::Replaces,
        lines: "git config --global http.sslCAInfo \"$PWD/wsbump-bundle.pem\"",
        note: Text {
            en: "On Windows, git config --global http.sslBackend schannel asks the system instead.",
            ja: "Windows では git config --global http.sslBackend schannel でシステムの証明書を参照します。",
        },
    },
    SetupStep {
        id: "node",
        title: Text {
            en: "Node, npm, pnpm, Yarn",
            ja: "Node・npm・pnpm・Yarn",
        },
        effect: Effect::Adds,
        lines: "export NODE_EXTRA_CA_CERTS=\"$PWD/wsbump-ca.pem\"",
        note: Text {
            en: "It is read once, when the program starts. npm's cafile would replace the roots.",
            ja: "プログラムの起動時に一度だけ読み込まれます。npm の cafile はルート証明書を置き換えるので使いません。",
        },
    },
    SetupStep {
        id: "python",
        title: Text {
            en: "Python, requests, httpx, pip, the AWS command line",
            ja: "Python・requests・httpx・pip・AWS CLI",
        },
        effect: Effect::Replaces,
        lines: "export SSL_CERT_FILE=\"$PWD/wsbump-bundle.pem\"\nexport REQUESTS_CA_BUNDLE=\"$PWD/wsbump-bundle.pem\"\nexport PIP_CERT=\"$PWD/wsbump-bundle.pem\"\nexport AWS_CA_BUNDLE=\"$PWD/wsbump-bundle.pem\"",
        note: Text {
            en: "pip since 24.2 asks the system too.",
            ja: "pip 24.2 以降はシステムの証明書も参照します。",
        },
    },
    SetupStep {
        id: "openssl",
        title: Text {
            en: "Go, Ruby, and other programs on OpenSSL or rustls",
            ja: "Go・Ruby・OpenSSL や rustls を使うプログラム",
        },
        effect: Effect::Replaces,
        lines: "export SSL_CERT_FILE=\"$PWD/wsbump-bundle.pem\"",
        note: Text {
            en: "They ask the system where it is not set.",
            ja: "設定しない場合はシステムの証明書を参照します。",
        },
    },
    SetupStep {
        id: "apt",
        title: Text { en: "apt", ja: "apt" },
        effect: Effect::Replaces,
        lines: "echo \"Acquire::https::CAInfo \\\"$PWD/wsbump-bundle.pem\\\";\" | sudo tee /etc/apt/apt.conf.d/90wsbump",
        note: Text {
            en: "Only where the system does not trust the CA: apt asks it otherwise. The file has to be readable for the user _apt.",
            ja: "システムが CA を信頼していれば不要です。ファイルはユーザー _apt が読める場所に置きます。",
        },
    },
    SetupStep {
        id: "cargo",
        title: Text {
            en: "cargo",
            ja: "cargo",
        },
        effect: Effect::Replaces,
        lines: "export CARGO_HTTP_CAINFO=\"$PWD/wsbump-bundle.pem\"",
        note: Text {
            en: "The same as http.cainfo in ~/.cargo/config.toml.",
            ja: "~/.cargo/config.toml の http.cainfo と同じです。",
        },
    },
    SetupStep {
        id: "uv",
        title: Text { en: "uv", ja: "uv" },
        effect: Effect::System,
        lines: "export UV_SYSTEM_CERTS=true",
        note: Text {
            en: "Once the system trusts the CA. Without it, uv goes by SSL_CERT_FILE, or by roots of its own.",
            ja: "先にシステムに CA をインストールします。設定しない場合、uv は SSL_CERT_FILE か独自のルート証明書を使います。",
        },
    },
    SetupStep {
        id: "java",
        title: Text {
            en: "Java",
            ja: "Java",
        },
        effect: Effect::Adds,
        lines: "keytool -importcert -cacerts -storepass changeit -noprompt -alias wsbump -file wsbump-ca.pem",
        note: Text {
            en: "For each JDK, as whoever owns it. Java that Debian installed follows the system. Daemons, such as Gradle's, have to be started anew. -Djavax.net.ssl.trustStore would replace the roots.",
            ja: "JDK ごとに、その所有者の権限で実行します。Debian の Java はシステムの証明書に従います。Gradle などのデーモンは再起動が必要です。-Djavax.net.ssl.trustStore はルート証明書を置き換えるので使いません。",
        },
    },
    SetupStep {
        id: "docker",
        title: Text {
            en: "Docker images (Debian, Alpine)",
            ja: "Docker イメージ (Debian・Alpine)",
        },
        effect: Effect::System,
        lines: "COPY wsbump-ca.pem /usr/local/share/ca-certificates/wsbump-ca.crt\nRUN update-ca-certificates\nENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates/wsbump-ca.crt\nENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\nENV REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt",
        note: Text {
            en: "In the Dockerfile, in each stage, before the first download. The Docker daemon itself asks its machine, and has to be started anew.",
            ja: "Dockerfile の各ステージで、最初のダウンロードより前に書きます。Docker デーモン自体はホストの証明書を参照し、再起動が必要です。",
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_replaces_roots_is_given_the_bundle_and_what_adds_the_ca() {
        for step in STEPS {
            let (ca, bundle) = (
                step.lines.contains("wsbump-ca."),
                step.lines.contains("wsbump-bundle."),
            );
            match step.effect {
                Effect::Replaces => assert!(bundle && !ca, "{}", step.id),
                Effect::System | Effect::Adds => assert!(!bundle, "{}", step.id),
            }
        }
    }

    #[test]
    fn each_step_has_a_name_of_its_own_and_says_something_in_both_languages() {
        let mut ids: Vec<_> = STEPS.iter().map(|step| step.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), STEPS.len());
        for step in STEPS {
            assert_eq!(step.note.en.is_empty(), step.note.ja.is_empty(), "{}", step.id);
            assert!(!step.lines.is_empty() || !step.note.en.is_empty(), "{}", step.id);
        }
    }

    /// The documentation has every line, and tells of whatever stands here.
    #[test]
    fn the_docs_have_every_line() {
        let docs = include_str!("../../docs/ca-trust.md");
        for step in STEPS {
            assert!(docs.contains(step.title.en), "{}", step.title.en);
            for line in step.lines.lines() {
                assert!(docs.contains(line), "docs/ca-trust.md lacks {line:?}");
            }
        }
    }
}
