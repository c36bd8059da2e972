use super::*;
use crate::identity::Identity;
use crate::inspect::testing::facts;
use crate::inspect::{
    Action, AppFraming, Finding, JsonTest, LooksFor, Mode, Rate, Ruling, Secret, Test, Where,
};
use proptest::prelude::*;

fn rule(name: &str, action: Action, what: LooksFor) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        mode: Mode::Enforce,
        action,
        place: Where::default(),
        what,
        decode: None,
    }
}

fn words(words: &[&str]) -> LooksFor {
    LooksFor {
        keywords: words.iter().map(|&word| word.into()).collect(),
        ignore_case: true,
        ..LooksFor::default()
    }
}

fn session(specs: Vec<RuleSpec>) -> RuleSession {
    RuleSession::new(Arc::new(Rules::compile(specs).unwrap()), facts())
}

fn item(data: &[u8]) -> Subject<'_> {
    Subject {
        surface: Surface::Message,
        direction: Direction::ToOrigin,
        opcode: Some(Opcode::Text),
        data,
        size: data.len() as u64,
        head: None,
    }
}

fn done(session: &mut RuleSession, data: &[u8]) -> (Ruling, Vec<Finding>) {
    match session.judge(&item(data), Duration::ZERO, &[]) {
        Judging::Done(judgement) => (judgement.verdict, judgement.findings),
        Judging::Scan(id) => panic!("wants {id:?}"),
    }
}

#[test]
fn later_rules_see_what_was_redacted() {
    let mut rules = session(vec![
        rule(
            "redact",
            Action::Redact("[x]".into()),
            words(&["secret", "secrets"]),
        ),
        rule("drop", Action::Drop, words(&["secret"])),
    ]);
    let (verdict, findings) = done(&mut rules, b"my Secrets, no more");
    assert_eq!(verdict, Ruling::Replace(b"my [x], no more".to_vec()));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].excerpt.as_deref(), Some("my ****, no more"));
}

#[test]
fn observed_rules_change_nothing() {
    let mut observed = rule("observed", Action::Drop, words(&["a"]));
    observed.mode = Mode::Observe;
    let mut rules = session(vec![
        observed,
        rule("close", Action::Close("no".into()), words(&["b"])),
    ]);
    let (verdict, findings) = done(&mut rules, b"a");
    assert_eq!((verdict, findings[0].enforced), (Ruling::Pass, false));
    assert_eq!(done(&mut rules, b"ab").0, Ruling::Close("no".into()));
}

#[test]
fn allow_ends_the_asking() {
    let mut rules = session(vec![
        rule("allow", Action::Allow, words(&["good"])),
        rule("drop", Action::Drop, LooksFor::default()),
    ]);
    assert_eq!(done(&mut rules, b"good").0, Ruling::Pass);
    assert_eq!(done(&mut rules, b"bad").0, Ruling::Drop);
}

#[test]
fn scans_are_asked_for_last() {
    let mut what = words(&["file"]);
    what.scan = Some(ScannerId(3));
    let mut rules = session(vec![rule("scan", Action::Redact("-".into()), what)]);
    assert_eq!(done(&mut rules, b"nothing").0, Ruling::Pass);
    let first = rules.judge(&item(b"file"), Duration::ZERO, &[]);
    assert!(matches!(first, Judging::Scan(ScannerId(3))));
    let mut verdict = |outcome| match rules.judge(&item(b"file"), Duration::ZERO, &[(ScannerId(3), outcome)])
    {
        Judging::Done(judgement) => judgement.verdict,
        Judging::Scan(_) => panic!("asks again"),
    };
    assert_eq!(verdict(ScanOutcome::Clean), Ruling::Pass);
    assert_eq!(verdict(ScanOutcome::Failed("x".into())), Ruling::Pass);
    assert_eq!(
        verdict(ScanOutcome::Replaced(b"new"[..].to_vec().into())),
        Ruling::Replace(b"new".to_vec())
    );
    assert_eq!(
        verdict(ScanOutcome::Found("Eicar".into())),
        Ruling::Replace(b"-".to_vec())
    );
}

#[test]
fn rates_slide_and_outlive_a_reload() {
    let what = || LooksFor {
        rate: Some(Rate {
            count: 2,
            per: Duration::from_secs(1),
        }),
        ..LooksFor::default()
    };
    let mut rules = session(vec![rule("rate", Action::Drop, what())]);
    let verdict = |rules: &mut RuleSession, ms| match rules.judge(&item(b""), Duration::from_millis(ms), &[])
    {
        Judging::Done(judgement) => judgement.verdict,
        Judging::Scan(_) => panic!("scans"),
    };
    assert_eq!(
        [0, 400, 800].map(|ms| verdict(&mut rules, ms)),
        [Ruling::Pass, Ruling::Pass, Ruling::Drop]
    );
    let new = Arc::new(Rules::compile(vec![rule("rate", Action::Drop, what())]).unwrap());
    assert!(!rules.is_for(&new));
    rules.renew(new.clone());
    assert!(rules.is_for(&new));
    assert_eq!(
        [1000, 2100].map(|ms| verdict(&mut rules, ms)),
        [Ruling::Drop, Ruling::Pass]
    );
}

#[test]
fn escapes_hide_nothing_from_a_rule_that_decodes() {
    let mut decoding = rule("json", Action::Redact("-".into()), words(&["secret"]));
    decoding.decode = Some(AppFraming::Json);
    let mut rules = session(vec![decoding]);
    let (verdict, findings) = done(&mut rules, br#"{"a":"\u0073ecret"}"#);
    assert_eq!(verdict, Ruling::Drop);
    assert!(findings[0].detail.is_some());
    assert_eq!(
        done(&mut rules, br#"{"a":"secret"}"#).0,
        Ruling::Replace(br#"{"a":"-"}"#.to_vec())
    );
}

#[test]
fn interest_is_as_strong_as_the_rules_that_may_act() {
    let interest =
        |rules: &RuleSession| rules.interest(Surface::Message, Direction::ToOrigin, Some(Opcode::Text));
    let mut observed = rule("o", Action::Close(String::new()), words(&["x"]));
    observed.mode = Mode::Observe;
    assert_eq!(interest(&session(vec![])), Interest::None);
    assert_eq!(interest(&session(vec![observed])), Interest::Watch);
    assert_eq!(
        interest(&session(vec![rule("a", Action::Allow, words(&["x"]))])),
        Interest::Watch
    );
    let mut elsewhere = rule("e", Action::Drop, LooksFor::default());
    elsewhere.place.path = Some("^/other".into());
    assert_eq!(interest(&session(vec![elsewhere])), Interest::None);
    let rules = session(vec![rule("d", Action::Drop, words(&["x"]))]);
    assert_eq!(interest(&rules), Interest::Hold);
    assert_eq!(
        rules.interest(Surface::Head, Direction::ToOrigin, None),
        Interest::None
    );
}

#[test]
fn every_error_of_every_rule_is_told() {
    let bad = LooksFor {
        regex: vec!["(".into(), "[".into()],
        keywords: vec![String::new()],
        json: vec![JsonTest {
            pointer: "a".into(),
            test: Test::Exists,
        }],
        entropy: Some(9.0),
        ..LooksFor::default()
    };
    let errors = Rules::compile(vec![
        rule("same", Action::Log, bad),
        rule("same", Action::Close("x".repeat(124)), LooksFor::default()),
    ])
    .unwrap_err();
    let keys: Vec<_> = errors.iter().map(|error| (error.rule, error.key)).collect();
    assert_eq!(
        keys,
        [
            (0, "keywords"),
            (0, "regex"),
            (0, "regex"),
            (0, "entropy"),
            (0, "json"),
            (1, "name"),
            (1, "action")
        ]
    );
}

#[test]
fn rules_that_never_fire_are_told() {
    let mut sizes = rule(
        "sizes",
        Action::Log,
        LooksFor {
            min_size: Some(2),
            max_size: Some(1),
            ..LooksFor::default()
        },
    );
    sizes.place.direction = Some(Direction::ToClient);
    let rules = Rules::compile(vec![
        sizes,
        rule("all", Action::Allow, LooksFor::default()),
        rule("late", Action::Drop, words(&["x"])),
    ])
    .unwrap();
    let at: Vec<usize> = rules.warnings().iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [0, 2]);
}

#[test]
fn ways_around_an_enforcing_rule_are_told() {
    let secret = |change: &dyn Fn(&mut RuleSpec)| {
        let mut spec = rule("secret", Action::Drop, words(&["x"]));
        change(&mut spec);
        spec
    };
    let told = |specs: Vec<RuleSpec>| {
        let warnings = Rules::compile(specs).unwrap().warnings();
        let texts: Vec<String> = warnings.into_iter().map(|(_, text)| text).collect();
        texts.join("; ")
    };
    let only = |surface| move |spec: &mut RuleSpec| spec.place.surfaces = vec![surface];
    let of = |change: &dyn Fn(&mut RuleSpec)| told(vec![secret(change)]);
    for (change, way) in [
        (
            &(|spec: &mut RuleSpec| spec.place.opcode = Some(Opcode::Text)) as &dyn Fn(&mut RuleSpec),
            "in a binary message, a ping",
        ),
        (
            &|spec| spec.place.opcode = Some(Opcode::Binary),
            "in a text message",
        ),
        (
            &|spec| spec.place.content_types = vec!["application/json".into()],
            "under another Content-Type",
        ),
        (&only(Surface::Body), "in a WebSocket message"),
        (&only(Surface::Message), "in an HTTP body"),
        (&|spec| spec.what.max_size = Some(100), "more than 100 bytes"),
        (&|spec| spec.place.origin = Some("a".into()), "another Origin"),
    ] {
        let text = of(change);
        assert!(
            text.starts_with("`secret` lets ") && text.contains(way) && !text.contains("; `"),
            "{way}: {text}"
        );
        // It says nothing of a rule that only observes, and of one that does not look for anything.
        let harmless = told(vec![
            secret(&|spec| {
                change(spec);
                spec.mode = Mode::Observe;
            }),
            secret(&|spec| {
                change(spec);
                (spec.name, spec.what.keywords, spec.action) = ("all".into(), Vec::new(), Action::Log);
            }),
        ]);
        assert_eq!(harmless, "", "{way}");
    }
    assert_eq!(of(&|_| {}), "");
    assert_eq!(of(&|spec| spec.place.surfaces = vec![Surface::Head]), "");
    // Two rules look at both.
    let mut messages = secret(&only(Surface::Message));
    messages.name = "messages".into();
    assert_eq!(told(vec![secret(&only(Surface::Body)), messages]), "");
}

#[test]
fn framings_that_a_rule_will_not_see_are_told() {
    let of = |framing, opcode| {
        let mut spec = rule("a", Action::Log, words(&["x"]));
        (spec.decode, spec.place.opcode) = (Some(framing), opcode);
        let warnings = Rules::compile(vec![spec]).unwrap().warnings();
        warnings.into_iter().map(|(_, text)| text).collect::<String>()
    };
    for (framing, what) in [
        (AppFraming::Mqtt, "MQTT packets are in binary ones"),
        (AppFraming::ZlibStream, "zlib streams are in binary ones"),
    ] {
        assert!(of(framing, Some(Opcode::Text)).ends_with(what));
        assert_eq!(of(framing, Some(Opcode::Binary)) + &of(framing, None), "");
    }
    assert_eq!(of(AppFraming::Stomp, Some(Opcode::Text)), "");
}

#[test]
fn secrets_are_found_by_rules() {
    let what = LooksFor {
        secrets: vec![Secret::CardNumber, Secret::GitHub],
        ..LooksFor::default()
    };
    let mut rules = session(vec![rule("secrets", Action::Redact("#".into()), what)]);
    let (verdict, findings) = done(&mut rules, b"a 4111 1111 1111 1111 b");
    assert_eq!(verdict, Ruling::Replace(b"a # b".to_vec()));
    assert_eq!(findings[0].excerpt.as_deref(), Some("a **** b"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn one_pass_finds_what_each_pattern_finds_alone(
        keywords in prop::collection::vec("[abAB]{1,5}", 0..12),
        regexes in prop::collection::vec(
            prop::sample::select(vec![
                "(?i)ak[- ]b", r"\d{3}-\d{2}", "ab+a", "(ab|ba)b{2}", r"\bab", "[^a]b", "a.c", "(?-u:\\xff)a",
                "s\u{e9}", r"\w\d", "(?i)kab", "a{2,3}b", "(a?b){2,}c", "x*abab", r"\d-\d\d",
            ]),
            0..8,
        ),
        ignore_case: bool,
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                &b"a"[..], b"b", b"A", b"B", b"ab", b"c", b"-", b" ", b"1", b"23", b"\xff", "\u{e9}".as_bytes(), b"s",
                "\u{212a}".as_bytes(), "\u{661}".as_bytes(), b"k",
            ]),
            0..24,
        ),
    ) {
        let data = pieces.concat();
        let mut specs = Vec::new();
        for (n, word) in keywords.iter().enumerate() {
            specs.push(rule(&format!("k{n}"), Action::Log, LooksFor {
                keywords: vec![word.clone()], ignore_case, ..LooksFor::default()
            }));
        }
        for (n, regex) in regexes.iter().enumerate() {
            specs.push(rule(&format!("r{n}"), Action::Log, LooksFor {
                regex: vec![(*regex).into()], ignore_case, ..LooksFor::default()
            }));
        }
        let mut expected = Vec::new();
        for (n, word) in keywords.iter().enumerate() {
            let there = data.windows(word.len()).any(|at| {
                if ignore_case { at.eq_ignore_ascii_case(word.as_bytes()) } else { at == word.as_bytes() }
            });
            expected.extend(there.then(|| format!("k{n}")));
        }
        for (n, regex) in regexes.iter().enumerate() {
            let regex = regex::bytes::RegexBuilder::new(regex).case_insensitive(ignore_case).build().unwrap();
            expected.extend(regex.is_match(&data).then(|| format!("r{n}")));
        }
        let (_, findings) = done(&mut session(specs), &data);
        let found: Vec<String> = findings.iter().map(|finding| finding.rule.to_string()).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_path_is_guarded_in_any_way_that_it_is_written_and_let_off_in_all() {
    for (path, guarded, let_off) in [
        ("/admin/x", true, true),
        ("/%61dmin/x?y", true, false),
        ("/free/../admin/x", true, false),
        ("//admin/x", true, false),
        ("/admin/../free/", true, false),
        ("/free/x//../../admin/", true, false),
        ("/admin/%C3%A4", true, true),
        ("/free/?/admin/", false, false),
    ] {
        let concerned = |action: Action| {
            let mut only = rule("only", action, LooksFor::default());
            only.place.path = Some("^/admin/".into());
            let last = rule("last", Action::Drop, LooksFor::default());
            let facts = SessionFacts {
                path: path.into(),
                ..(*facts()).clone()
            };
            let rules = Rules::compile(vec![only, last]).unwrap();
            let (_, findings) = done(&mut RuleSession::new(Arc::new(rules), Arc::new(facts)), b"x");
            &*findings[0].rule == "only"
        };
        assert_eq!(
            (concerned(Action::Log), concerned(Action::Allow)),
            (guarded, let_off),
            "{path}"
        );
    }
}

#[test]
fn a_rule_for_a_subprotocol_sees_it_among_several() {
    for (chosen, concerned) in [
        (None, false),
        (Some("chat"), true),
        (Some("chatty"), false),
        (Some("other, chat"), true),
        (Some("other, Chat"), false),
    ] {
        let mut only = rule("only", Action::Drop, LooksFor::default());
        only.place.subprotocols = vec!["chat".into()];
        let facts = SessionFacts {
            subprotocol: chosen.map(Into::into),
            websocket: None,
            ..(*facts()).clone()
        };
        let mut rules = RuleSession::new(Arc::new(Rules::compile(vec![only]).unwrap()), Arc::new(facts));
        let verdict = done(&mut rules, b"x").0;
        assert_eq!(verdict == Ruling::Drop, concerned, "{chosen:?}");
    }
}

#[test]
fn a_rule_is_about_users_and_groups() {
    let somebody = |name: &str, groups: &[&str]| {
        Some(Arc::new(Identity {
            groups: groups.iter().map(|&group| group.into()).collect(),
            ..name.into()
        }))
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let users = [
        None,
        somebody("ada", &["Staff"]),
        somebody("Max", &["guests", "others"]),
    ];
    // Whom a rule that guards is about, and whom one that lets off.
    for (users_of, groups, except, guarded, let_off) in [
        (&[][..], &[][..], &[][..], [true; 3], [true; 3]),
        (&["max"], &[], &[], [false, false, true], [false, false, true]),
        (&["*"], &[], &[], [false, true, true], [false, true, true]),
        (&[], &["staff"], &[], [false, true, false], [false, true, false]),
        (&["max"], &["staff"], &[], [false; 3], [false; 3]),
        (&[], &["*"], &["ada"], [false, false, true], [false, false, true]),
        (&[], &[], &["ada"], [true, false, true], [false, false, true]),
        (&[], &[], &["*"], [true, false, false], [false; 3]),
    ] {
        for (at, user) in users.iter().enumerate() {
            let about = |action: Action| {
                let mut only = rule("only", action, LooksFor::default());
                only.place.users = names(users_of);
                only.place.groups = names(groups);
                only.place.except_users = names(except);
                let facts = SessionFacts {
                    user: user.clone(),
                    ..(*facts()).clone()
                };
                let rules = Arc::new(Rules::compile(vec![only]).unwrap());
                !done(&mut RuleSession::new(rules, Arc::new(facts)), b"x")
                    .1
                    .is_empty()
            };
            assert_eq!(
                (about(Action::Log), about(Action::Allow)),
                (guarded[at], let_off[at]),
                "{users_of:?} {groups:?} {except:?} {user:?}"
            );
        }
    }
}
