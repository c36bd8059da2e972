use super::*;
use crate::admit::htpasswd::HtpasswdTable;
use crate::admit::testing::{TestDirectory, Told as Heard, straight};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::time::Duration;

const CLIENT: &str = "192.0.2.1";

struct Bench {
    directory: TestDirectory,
    heard: Arc<Heard>,
    admission: Arc<Admission>,
}

impl Bench {
    fn new(directory: TestDirectory, limits: PasswordLimits) -> Self {
        let heard = Arc::new(Heard::default());
        let config = AdmitConfig {
            names: Names::of(["CORP", "corp.example"]),
            basic: Some(BasicConfig {
                directory: DirectoryConfig::Tested(directory.clone()),
                limits,
            }),
            ..AdmitConfig::default()
        };
        Self {
            directory,
            admission: Arc::new(Admission::new(config, heard.clone())),
            heard,
        }
    }

    async fn judge(&self, name: &str, password: &str) -> Result<String, &'static str> {
        self.judge_from(name, password, CLIENT).await
    }

    async fn judge_from(&self, name: &str, password: &str, client: &str) -> Result<String, &'static str> {
        let shown = basic(name, password);
        said(
            &self
                .admission
                .judge(Some(shown.as_bytes()), client.parse().unwrap(), None)
                .await,
        )
    }
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

fn said(admitted: &Admitted) -> Result<String, &'static str> {
    match admitted {
        Admitted::Known(identity) => Ok(identity.name.to_string()),
        Admitted::Challenge(challenge) => {
            assert_eq!(challenge.lines.len(), 1);
            Err(challenge.why.label())
        }
        Admitted::Unsure(unsure) => Err(unsure.why.label()),
    }
}

fn ada() -> Result<String, &'static str> {
    Ok("ada".into())
}

const QUICK: PasswordLimits = PasswordLimits {
    throttle_attempts: 0,
    ..PasswordLimits::DEFAULT
};

/// No verdict is fresh, each is stale for long.
const ALWAYS_ASKING: PasswordLimits = PasswordLimits {
    accepted: Duration::ZERO,
    refused: Duration::ZERO,
    lockout_window: Duration::from_secs(600),
    ..QUICK
};

#[tokio::test]
async fn who_shows_nothing_or_what_is_not_on_offer_is_challenged() {
    let bench = Bench::new(TestDirectory::of("secret"), QUICK);
    let judge = async |shown: Option<&str>| {
        let shown = shown.map(str::as_bytes);
        said(
            &bench
                .admission
                .judge(shown, CLIENT.parse().unwrap(), Some(&Bound::default()))
                .await,
        )
    };
    for (shown, why) in [
        (None, "nothing"),
        (Some("NTLM TlRMTVNTUAAB"), "ntlm"),
        (Some("Bearer x"), "unknown_scheme"),
        (Some(""), "unknown_scheme"),
        (Some("Basic"), "malformed"),
        (Some("Basic !"), "malformed"),
        (Some("Basic YWRh"), "malformed"),
        (Some("Basic YWRhOg=="), "empty_password"),
    ] {
        assert_eq!(judge(shown).await, Err(why), "{shown:?}");
    }
    assert_eq!(bench.directory.asked(), 0);
    assert_eq!(judge(Some("bAsIc \tYWRhOnNlY3JldA== ")).await, ada());
    let heard = bench.heard.take();
    assert_eq!(heard[0], "none nothing by credentials: -");
    assert_eq!(heard[7], "basic empty_password by credentials: ada");
    let challenges = bench.admission.challenges();
    assert_eq!(challenges, [r#"Basic realm="wsbump", charset="UTF-8""#]);
}

#[tokio::test]
async fn a_password_is_asked_about_once_however_the_name_is_written() {
    let bench = Bench::new(TestDirectory::of("secret"), QUICK);
    for name in ["ada", "ADA", r"CORP\Ada", "ada@corp.example"] {
        assert_eq!(bench.judge(name, "secret").await, ada());
    }
    assert_eq!(bench.directory.asked(), 1);
    assert_eq!(
        bench.heard.take()[..3],
        [
            "tested: accepted",
            "basic accepted by directory: ada",
            "basic accepted by cache: ada"
        ]
    );
    assert_eq!(
        bench.judge("ada@other.example", "secret").await,
        Ok("ada@other.example".into())
    );
    assert_eq!(bench.directory.asked(), 2);
}

#[tokio::test]
async fn what_is_known_is_remembered_without_asking() {
    let bench = Bench::new(TestDirectory::of("secret"), QUICK);
    let remembered = |name, password| {
        let shown = basic(name, password);
        let identity = bench
            .admission
            .remembered(Some(shown.as_bytes()), CLIENT.parse().unwrap(), None)?;
        Some((identity.name.to_string(), identity.groups[0].to_string()))
    };
    assert_eq!(remembered("ada", "secret"), None);
    bench.judge("ada", "secret").await.unwrap();
    assert_eq!(remembered("ADA", "secret"), Some(("ada".into(), "staff".into())));
    assert_eq!(remembered("ada", "wrong"), None);
    for shown in [None, Some(&b"Negotiate x"[..])] {
        let remembered = bench.admission.remembered(shown, CLIENT.parse().unwrap(), None);
        assert_eq!(remembered, None);
    }
    let heard = bench.heard.take();
    assert_eq!(heard[2..], ["basic accepted by cache: ada"], "{heard:?}");
    assert_eq!(bench.directory.asked(), 1);
}

#[tokio::test]
async fn a_wrong_password_of_a_known_user_fails_and_a_new_one_works_at_once() {
    let bench = Bench::new(TestDirectory::of("secret"), QUICK);
    assert_eq!(bench.judge("ada", "secret").await, ada());
    assert_eq!(bench.judge("ada", "wrong").await, Err("wrong_password"));
    bench.directory.set_password("new");
    assert_eq!(bench.judge("ada", "new").await, ada());
}

#[tokio::test]
async fn one_stale_password_locks_no_account() {
    let bench = Bench::new(TestDirectory::of("new"), QUICK);
    assert_eq!(bench.judge("ada", "new").await, ada());
    for _ in 0..100 {
        assert_eq!(
            bench.judge_from("ada", "old", "192.0.2.7").await,
            Err("wrong_password")
        );
    }
    assert_eq!(
        bench.directory.asked(),
        2,
        "the directory counts one wrong password"
    );
    // Distinct ones stop below the threshold, and whose password was right goes on.
    for guess in 0..100 {
        let said = bench.judge_from("ada", &guess.to_string(), "192.0.2.7").await;
        assert_eq!(said, Err(if guess < 3 { "wrong_password" } else { "locked_out" }));
    }
    assert_eq!(bench.directory.asked(), 5);
    assert_eq!(bench.judge("ada", "new").await, ada());
    let heard = bench.heard.take();
    let lockouts: Vec<_> = heard.iter().filter(|told| told.contains("locked out")).collect();
    assert_eq!(lockouts, ["ada locked out by 192.0.2.7 after 4"]);
}

#[tokio::test]
async fn whose_password_was_right_is_asked_about_again_during_a_lockout() {
    let bench = Bench::new(TestDirectory::of("secret"), ALWAYS_ASKING);
    assert_eq!(bench.judge("ada", "secret").await, ada());
    for guess in 0..4 {
        assert_eq!(
            bench.judge("ada", &guess.to_string()).await,
            Err("wrong_password")
        );
    }
    assert_eq!(bench.judge("ada", "other").await, Err("locked_out"));
    assert_eq!(bench.judge("ada", "secret").await, ada());
    assert_eq!(bench.directory.asked(), 6);
}

#[tokio::test]
async fn a_client_that_guesses_is_slowed_and_nobody_else_at_its_address() {
    let bench = Bench::new(TestDirectory::of("secret"), PasswordLimits::DEFAULT);
    assert_eq!(bench.judge("ada", "a").await, Err("wrong_password"));
    assert_eq!(bench.judge("ada", "b").await, Err("wrong_password"));
    assert_eq!(bench.judge("ada", "c").await, Err("throttled"));
    assert_eq!(bench.judge("grace", "secret").await, Ok("grace".into()));
    assert_eq!(bench.judge_from("ada", "secret", "192.0.2.2").await, ada());
    assert_eq!(bench.directory.asked(), 4);
}

#[tokio::test]
async fn many_tabs_ask_once_and_more_than_may_wait_are_told_so() {
    let limits = PasswordLimits { waiting: 30, ..QUICK };
    let bench = Arc::new(Bench::new(TestDirectory::silent("secret"), limits));
    let tab = || {
        let bench = bench.clone();
        tokio::spawn(async move { bench.judge("ada", "secret").await })
    };
    let tabs: Vec<_> = (0..30).map(|_| tab()).collect();
    while bench.directory.asked() == 0 {
        tokio::task::yield_now().await;
    }
    // All of them wait now: the runtime has one thread, and takes its tasks in turn.
    assert_eq!(bench.judge("ada", "secret").await, Err("busy"));
    bench.directory.answer(1);
    for tab in tabs {
        assert_eq!(tab.await.unwrap(), ada());
    }
    assert_eq!(bench.directory.asked(), 1);
    assert_eq!(bench.judge("ada", "secret").await, ada());
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_makes_nobody_type_passwords() {
    let bench = Bench::new(TestDirectory::of("secret"), ALWAYS_ASKING);
    assert_eq!(bench.judge("ada", "secret").await, ada());
    bench.directory.set_down(true);
    assert_eq!(bench.judge("ada", "secret").await, Err("directory_unavailable"));
    bench.directory.set_down(false);
    assert_eq!(bench.judge("ada", "secret").await, ada());
    let heard = bench.heard.take();
    assert!(heard.contains(&"tested: unavailable".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn a_silent_directory_is_given_up_and_harms_no_other_user() {
    let limits = PasswordLimits {
        timeout: Duration::from_millis(20),
        ..QUICK
    };
    let bench = Bench::new(TestDirectory::silent("secret"), limits);
    assert_eq!(bench.judge("ada", "secret").await, Err("directory_unavailable"));
    bench.directory.answer(1);
    assert_eq!(bench.judge("grace", "secret").await, Ok("grace".into()));
    assert_eq!(
        bench.judge("grace", "secret").await,
        Ok("grace".into()),
        "she is remembered"
    );
}

#[tokio::test]
async fn while_it_is_down_who_was_known_may_go_on() {
    let limits = PasswordLimits {
        stale: Some(Duration::from_secs(600)),
        ..ALWAYS_ASKING
    };
    let bench = Bench::new(TestDirectory::of("secret"), limits);
    assert_eq!(bench.judge("ada", "secret").await, ada());
    bench.directory.set_down(true);
    for _ in 0..10 {
        assert_eq!(bench.judge("ada", "secret").await, ada());
    }
    assert_eq!(bench.directory.asked(), 2, "it is not asked for each request");
    assert_eq!(bench.judge("ada", "wrong").await, Err("directory_unavailable"));
    assert_eq!(bench.judge("grace", "secret").await, Err("directory_unavailable"));
    let heard = bench.heard.take();
    assert!(heard.contains(&"basic accepted by stale_cache: ada".to_owned()));
}

#[tokio::test]
async fn a_reload_forgets_nothing_that_still_holds() {
    let bench = Bench::new(TestDirectory::of("secret"), QUICK);
    assert_eq!(bench.judge("ada", "secret").await, ada());
    for guess in 0..4 {
        let _ = bench.judge("grace", &guess.to_string()).await;
    }
    let again = |change: &dyn Fn(&mut AdmitConfig)| {
        let mut config = bench.admission.config.clone();
        change(&mut config);
        Bench {
            directory: bench.directory.clone(),
            heard: bench.heard.clone(),
            admission: Arc::new(Admission::again(
                config,
                bench.heard.clone(),
                &straight(),
                Some(&bench.admission),
            )),
        }
    };
    let asked = bench.directory.asked();
    let renamed = again(&|config| config.realm = Realm::new("other").unwrap());
    assert_eq!(renamed.judge("ada", "secret").await, ada());
    assert_eq!(renamed.judge("grace", "x").await, Err("locked_out"));
    assert_eq!(bench.directory.asked(), asked);
    let names = again(&|config| config.names = Names::default());
    assert_eq!(names.judge("ada", "secret").await, ada());
    assert_eq!(bench.directory.asked(), asked + 1, "ada may be another now");
    assert_eq!(names.judge("grace", "x").await, Err("locked_out"));
}

#[tokio::test]
async fn an_entry_that_changes_in_the_file_is_asked_about_again() {
    const SECRET: &str = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";
    const A: &str = "$apr1$x$16j9.5e7KiXmuYFAYpPJM/";
    let config = |text: &str| {
        let table = HtpasswdTable::read(text, &Names::default()).unwrap();
        AdmitConfig {
            basic: Some(BasicConfig {
                directory: DirectoryConfig::Htpasswd(Arc::new(table)),
                limits: QUICK,
            }),
            ..AdmitConfig::default()
        }
    };
    let heard = Arc::new(Heard::default());
    let judge = async |admission: &Admission, name, password| {
        let shown = basic(name, password);
        let client = CLIENT.parse().unwrap();
        said(&admission.judge(Some(shown.as_bytes()), client, None).await)
    };
    let before = Admission::new(config(&format!("ada:{SECRET}\nbob:{SECRET}")), heard.clone());
    assert_eq!(judge(&before, "ada", "secret").await, ada());
    assert_eq!(judge(&before, "bob", "secret").await, Ok("bob".into()));
    heard.take();
    let text = format!("ada:{A}\nbob:{SECRET}");
    let after = Admission::again(config(&text), heard.clone(), &straight(), Some(&before));
    assert_eq!(judge(&after, "bob", "secret").await, Ok("bob".into()));
    assert_eq!(heard.take(), ["basic accepted by cache: bob"]);
    assert_eq!(judge(&after, "ada", "secret").await, Err("wrong_password"));
    assert_eq!(judge(&after, "ada", "a").await, ada());
    let gone = Admission::again(
        config(&format!("ada:{A}")),
        heard.clone(),
        &straight(),
        Some(&after),
    );
    assert_eq!(judge(&gone, "bob", "secret").await, Err("wrong_password"));
}

#[tokio::test]
async fn new_credentials_count_on_a_connection_that_was_proven() {
    let bench = Bench::new(TestDirectory::of("secret"), QUICK);
    let bound = Bound::default();
    let judge = async |shown: Option<&str>| {
        let shown = shown.map(str::as_bytes);
        said(
            &bench
                .admission
                .judge(shown, CLIENT.parse().unwrap(), Some(&bound))
                .await,
        )
    };
    assert_eq!(judge(Some(&basic("max", "secret"))).await, Ok("max".into()));
    assert_eq!(judge(None).await, Err("nothing"), "Basic is of one request");
    bound.bind(Arc::new(Identity::from("ada")), None);
    assert_eq!(judge(None).await, ada());
    assert_eq!(judge(Some(&basic("max", "wrong"))).await, Err("wrong_password"));
    assert_eq!(judge(None).await, Err("nothing"));
}

mod negotiate {
    use super::*;
    use crate::admit::negotiate::testing::making::{self, Made};
    use crate::admit::negotiate::testing::{entry, file};
    use crate::admit::{Keytab, NegotiateConfig};

    /// Basic and Negotiate, with a keytab that has the key which tokens are made with.
    fn both(heard: Arc<Heard>) -> Admission {
        let keytab = file(&[entry(&["HTTP", "proxy"], 3, 18, &[1; 32], None)]);
        let config = AdmitConfig {
            names: Names::of(["CORP", "corp.example"]),
            basic: Some(BasicConfig {
                directory: DirectoryConfig::Tested(TestDirectory::of("secret")),
                limits: QUICK,
            }),
            negotiate: Some(NegotiateConfig {
                keytab: Arc::new(Keytab::read(&keytab).unwrap()),
            }),
            ..AdmitConfig::default()
        };
        Admission::new(config, heard)
    }

    /// What a client shows that has a ticket, just now.
    fn ticket(client: &'static str) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = now.as_secs().cast_signed();
        let made = Made {
            client,
            claims: client,
            start: now - 60,
            end: now + 60,
            client_time: now,
            ..Made::default()
        };
        format!("Negotiate {}", BASE64_STANDARD.encode(made.ap_req()))
    }

    async fn judge(admission: &Admission, shown: Option<&str>, bound: Option<&Bound>) -> Admitted {
        let client = CLIENT.parse().unwrap();
        admission.judge(shown.map(str::as_bytes), client, bound).await
    }

    fn name(admitted: Admitted) -> String {
        match admitted {
            Admitted::Known(identity) => identity.name.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn asked(admitted: Admitted) -> (Unproven, Vec<String>) {
        match admitted {
            Admitted::Challenge(challenge) => {
                let lines = challenge
                    .lines
                    .iter()
                    .map(|line| line.to_str().unwrap().to_owned());
                (challenge.why, lines.collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_ticket_counts_for_its_connection_until_something_else_is_shown() {
        let heard = Arc::new(Heard::default());
        let admission = both(heard.clone());
        let (one, other) = (Bound::default(), Bound::default());
        assert_eq!(
            name(judge(&admission, Some(&ticket("ada")), Some(&one)).await),
            "ada"
        );
        // The directory was asked for the groups.
        assert_eq!(
            heard.take(),
            ["tested: accepted", "negotiate accepted by credentials: ada"]
        );
        assert_eq!(name(judge(&admission, None, Some(&one)).await), "ada");
        assert_eq!(
            admission
                .remembered(None, CLIENT.parse().unwrap(), Some(&one))
                .unwrap()
                .name,
            "ada".into()
        );
        for bound in [Some(&other), None] {
            assert_eq!(asked(judge(&admission, None, bound).await).0, Unproven::Nothing);
            assert_eq!(admission.remembered(None, CLIENT.parse().unwrap(), bound), None);
        }
        // Somebody else on the same connection is somebody else.
        assert_eq!(
            name(judge(&admission, Some(&ticket("max")), Some(&one)).await),
            "max"
        );
        assert_eq!(name(judge(&admission, None, Some(&one)).await), "max");
        let basic = basic("bob", "secret");
        assert_eq!(name(judge(&admission, Some(&basic), Some(&one)).await), "bob");
        assert_eq!(
            asked(judge(&admission, None, Some(&one)).await).0,
            Unproven::Nothing
        );
        // Also where nobody wanted to know.
        assert_eq!(
            name(judge(&admission, Some(&ticket("ada")), Some(&one)).await),
            "ada"
        );
        assert_eq!(
            admission.remembered(Some(b"Negotiate YII="), CLIENT.parse().unwrap(), Some(&one)),
            None
        );
        assert_eq!(
            admission.remembered(None, CLIENT.parse().unwrap(), Some(&one)),
            None
        );
        // Streams of HTTP/2 have no connection that counts.
        assert_eq!(name(judge(&admission, Some(&ticket("ada")), None).await), "ada");
    }

    #[tokio::test]
    async fn whoever_has_no_ticket_is_led_on_to_passwords() {
        let heard = Arc::new(Heard::default());
        let admission = both(heard.clone());
        let bound = Bound::default();
        let lines = ["Negotiate", "Basic realm=\"wsbump\", charset=\"UTF-8\""];
        for shown in [
            "Negotiate TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw==",
            "NTLM TlRMTVNTUAABAAAA",
        ] {
            let (why, challenges) = asked(judge(&admission, Some(shown), Some(&bound)).await);
            assert_eq!(why, Unproven::Ntlm);
            assert_eq!(challenges, lines);
        }
        assert_eq!(heard.take()[0], "negotiate ntlm by credentials: -");
        let basic = basic("ada", "secret");
        assert_eq!(name(judge(&admission, Some(&basic), Some(&bound)).await), "ada");
        assert_eq!(asked(judge(&admission, None, Some(&bound)).await).1, lines);
        // A ticket is not on offer where there is no keytab.
        let without = Bench::new(TestDirectory::of("secret"), QUICK);
        let shown = judge(&without.admission, Some(&ticket("ada")), None).await;
        assert_eq!(asked(shown).0, Unproven::UnknownScheme);
    }

    #[tokio::test]
    async fn a_negotiation_goes_on_with_its_own_challenge_alone() {
        let admission = both(Arc::new(Heard::default()));
        let bound = Bound::default();
        let first = making::offer(&[making::NTLM, making::KERBEROS], None);
        let first = format!("Negotiate {}", BASE64_STANDARD.encode(first));
        let (why, lines) = asked(judge(&admission, Some(&first), Some(&bound)).await);
        assert_eq!(why, Unproven::Negotiating);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("Negotiate o"));
    }

    #[tokio::test]
    async fn a_reload_does_not_make_old_tokens_good() {
        let shown = ticket("ada");
        assert_eq!(
            name(judge(&both(Arc::default()), Some(&shown), None).await),
            "ada"
        );
        let again = judge(&both(Arc::default()), Some(&shown), None).await;
        assert_eq!(asked(again).0, Unproven::Replay);
    }
}

#[tokio::test]
async fn a_token_stands_beside_passwords_and_the_directory_knows_its_groups() {
    use crate::admit::bearer::testing::{ISSUER, claims, config};
    let (directory, heard) = (TestDirectory::of("secret"), Arc::new(Heard::default()));
    let config = AdmitConfig {
        names: Names::of(["corp.example"]),
        basic: Some(BasicConfig {
            directory: DirectoryConfig::Tested(directory.clone()),
            limits: QUICK,
        }),
        bearer: Some(config()),
        ..AdmitConfig::default()
    };
    let admission = Admission::new(config, heard.clone());
    let challenges = [
        r#"Bearer realm="wsbump""#,
        r#"Basic realm="wsbump", charset="UTF-8""#,
    ];
    assert_eq!(admission.challenges(), challenges);
    let judge = async |token: &str| {
        let shown = format!("bearer {token}");
        admission
            .judge(Some(shown.as_bytes()), CLIENT.parse().unwrap(), None)
            .await
    };
    let known = |admitted: &Admitted| match admitted {
        Admitted::Known(identity) => {
            let groups: Vec<_> = identity.groups.iter().map(|group| group.to_string()).collect();
            (identity.name.to_string(), groups.join(" "))
        }
        other => panic!("{other:?}"),
    };
    let ours = ISSUER.token(&claims("Ada@corp.example"));
    // Its groups are not at hand yet.
    let shown = format!("Bearer {ours}");
    assert!(
        admission
            .remembered(Some(shown.as_bytes()), CLIENT.parse().unwrap(), None)
            .is_none()
    );
    assert_eq!(
        known(&judge(&ours).await),
        ("ada".to_owned(), "of ada".to_owned())
    );
    // The directory knows nothing of strangers, and must not take them for ours.
    let theirs = ISSUER.token(&claims("ada@other.example"));
    assert_eq!(
        known(&judge(&theirs).await),
        ("ada@other.example".to_owned(), String::new())
    );
    assert_eq!(directory.asked(), 1);
    let refused = judge(&ours[..ours.len() - 2]).await;
    let Admitted::Challenge(challenge) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(challenge.why, Unproven::BadToken);
    assert_eq!(
        challenge.lines,
        [
            r#"Bearer realm="wsbump", error="invalid_token""#,
            r#"Basic realm="wsbump", charset="UTF-8""#
        ]
    );
    directory.set_down(true);
    let other = ISSUER.token(&claims("max"));
    assert_eq!(said(&judge(&other).await), Err("directory_unavailable"));
    assert_eq!(
        heard.take(),
        [
            "tested: accepted",
            "bearer accepted by credentials: ada",
            "bearer accepted by credentials: ada@other.example",
            "bearer bad_token by credentials: -",
            "tested: unavailable",
            "bearer directory_unavailable by directory: max",
        ]
    );
}
