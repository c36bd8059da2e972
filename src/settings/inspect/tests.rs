use super::*;
use crate::admit::Names;
use crate::inspect::{
    Action, AppFraming, Budgets, FileType, JsonTest, OnFailure, Rate, RuleSpec, Secret, Surface, Test,
};
use crate::inspect::{Mode, ScannerId};
use crate::scan::{IcapConfig, IcapUrl, ScannerKind, Thresholds};
use crate::settings::file::{File, notes_on};
use crate::settings::testing::deaf;
use crate::settings::{Problems, RuleSet, Settings, load as load_settings, load_rules};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod icaps;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn load(&self, text: &str) -> Result<Settings, Problems> {
        self.write("w.toml", text);
        load_settings(Some(&self.path("w.toml")), Some(&self.path("data")))
    }

    fn names(&self, text: &str) -> Vec<String> {
        let settings = self.load(text).unwrap();
        settings.rules.iter().map(|rule| rule.name.to_string()).collect()
    }

    /// The only problem: it stands at `place`, and says `what`.
    #[track_caller]
    fn refuses(&self, text: &str, place: &str, what: &str) {
        let found = self.load(text).expect_err(text).list;
        let dir = format!("{}/", self.0.path().display());
        let problems: Vec<_> = found
            .iter()
            .map(|problem| problem.to_string().replace(&dir, ""))
            .collect();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(
            problems[0].starts_with(&format!("{place}: ")),
            "wanted {place}: {}",
            problems[0]
        );
        assert!(problems[0].contains(what), "wanted {what:?}: {}", problems[0]);
    }
}

/// The specs of the rules in `text`, as they go to the engine.
fn specs(text: &str) -> Vec<RuleSpec> {
    let dir = Dir::new();
    dir.write("l", "^x:\n")
        .write("words/w.txt", "# comment\n\n  alpha  \nbeta # kept\n");
    let text = format!("{text}\n[[list]]\nname = 'l'\nfile = 'l'\n");
    let path = dir.path("w.toml");
    let mut notes = notes_on(&path, &text);
    let file = File::parse(&text, &mut notes);
    let scanners = file.inspect.scanners.iter();
    let names: Vec<_> = scanners.map(|table| table.name.value.clone()).collect();
    let rules = file.inspect.rules.into_iter();
    let specs = rules
        .map(|mut rule| {
            rule.resolve(&names, &Names::of(["CORP"]), &mut notes);
            rule.spec
        })
        .collect();
    assert_eq!(notes.problems, []);
    specs
}

#[test]
fn every_key_of_a_rule_reaches_the_engine() {
    let specs = specs(
        r#"
        [[inspect.scanner]]
        name = "av"
        url = "clamd://127.0.0.1:3310"
        [[inspect.rule]]
        name = "all"
        mode = "enforce"
        action = "redact"
        with = "***"
        in = ["upgrade", "head"]
        hosts = ["l"]
        except_hosts = ["l"]
        path = "^/a"
        direction = "to_client"
        opcode = "binary"
        subprotocol = ["v1"]
        origin = "b$"
        clients = ["10.0.0.0/8", "::1"]
        users = ["CORP\\Ann"]
        groups = ["Web-Full"]
        except_users = ["*"]
        content_type = ["text/"]
        regex = ["r+"]
        keywords = ["k"]
        keyword_files = ["words/w.txt"]
        ignore_case = true
        secrets = ["card_number", "us_ssn"]
        entropy = 4
        files = ["executable"]
        min_size = 1
        max_size = "2KiB"
        rate = "20/1m"
        json = [
          { pointer = "/a", equals = { b = [1, 2.5, true, "c"] } },
          { pointer = "/a/*", exists = true },
          { pointer = "/d", absent = true },
          { pointer = "/e", matches = "f" },
          { pointer = "/g", above = 1 },
          { pointer = "/h", below = -2.5 },
        ]
        scan = "av"
        decode = "graphql-ws"
        "#,
    );
    let [spec] = &specs[..] else { panic!("one rule") };
    assert_eq!(&*spec.name, "all");
    assert_eq!(spec.mode, Mode::Enforce);
    assert_eq!(spec.action, Action::Redact("***".into()));
    assert_eq!(spec.decode, Some(AppFraming::GraphQlWs));
    let place = &spec.place;
    assert_eq!(place.surfaces, [Surface::Upgrade, Surface::Head]);
    assert_eq!(
        (place.scope.hosts[0].name(), place.scope.except[0].name()),
        ("l", "l")
    );
    assert_eq!(
        (place.path.as_deref(), place.origin.as_deref()),
        (Some("^/a"), Some("b$"))
    );
    assert_eq!(place.direction, Some(Direction::ToClient));
    assert_eq!(place.opcode, Some(Opcode::Binary));
    assert_eq!(place.subprotocols, ["v1"]);
    assert_eq!(
        place.clients,
        ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]
    );
    assert_eq!(
        (&*place.users, &*place.content_types),
        (&["ann".to_owned()][..], &["text/".to_owned()][..])
    );
    assert_eq!(
        (&*place.groups, &*place.except_users),
        (&["web-full".to_owned()][..], &["*".to_owned()][..])
    );
    let what = &spec.what;
    assert_eq!(what.regex, ["r+"]);
    assert_eq!(what.keywords, ["k", "alpha", "beta # kept"]);
    assert!(what.ignore_case);
    assert_eq!(what.secrets, [Secret::CardNumber, Secret::UsSsn]);
    assert_eq!(what.entropy, Some(4.0));
    assert_eq!(what.files, [FileType::Executable]);
    assert_eq!((what.min_size, what.max_size), (Some(1), Some(2048)));
    assert_eq!(
        what.rate,
        Some(Rate {
            count: 20,
            per: Duration::from_secs(60)
        })
    );
    assert_eq!(what.scan, Some(ScannerId(0)));
    let test = |pointer: &str, test| JsonTest {
        pointer: pointer.into(),
        test,
    };
    assert_eq!(
        what.json,
        [
            test("/a", Test::Equals(serde_json::json!({"b": [1, 2.5, true, "c"]}))),
            test("/a/*", Test::Exists),
            test("/d", Test::Absent),
            test("/e", Test::Matches("f".into())),
            test("/g", Test::Above(1.0)),
            test("/h", Test::Below(-2.5)),
        ]
    );
}

#[test]
fn defaults_are_the_safe_ones() {
    let specs = specs(
        "[[inspect.rule]]\nname = 'a'\naction = 'redact'\n[[inspect.rule]]\nname = 'b'\naction = 'close'\n\
         [[inspect.rule]]\nname = 'c'\naction = 'redact'\nwith = ''\nrate = '5/s'\n",
    );
    assert!(specs.iter().all(|spec| spec.mode == Mode::Observe));
    assert_eq!(specs[0].action, Action::Redact("[redacted]".into()));
    assert_eq!(specs[1].action, Action::Close("blocked by policy".into()));
    assert_eq!(specs[2].action, Action::Redact(String::new()));
    assert_eq!(
        specs[2].what.rate,
        Some(Rate {
            count: 5,
            per: Duration::from_secs(1)
        })
    );
}

#[test]
fn budgets_and_policies_are_used_as_written() {
    let dir = Dir::new();
    dir.write("l", "^x:\n");
    let settings = dir
        .load(
            "[inspect]\nmessage_bytes = '8MiB'\nprocess_bytes = '64MiB'\ninflated_bytes = 100_000_000\non_budget = 'close'\nhold = '2s'\n\
             invalid_utf8 = 'close'\nopaque_extensions = ['l']\n[[list]]\nname = 'l'\nfile = 'l'\n",
        )
        .unwrap();
    assert_eq!(settings.warnings, [""; 0], "the list is used");
    let inspection = &settings.inspection;
    let budgets = Budgets {
        message: 8 << 20,
        inflated: 100_000_000,
        connection: 8 << 20,
        process: 64 << 20,
        spent: OnFailure::Close,
        hold: Duration::from_secs(2),
    };
    assert_eq!(
        inspection.budgets, budgets,
        "the connection's budget follows the message's"
    );
    assert_eq!(inspection.invalid_utf8, OnFailure::Close);
    assert_eq!(inspection.opaque_extensions[0].name(), "l");
    assert!(inspection.rules.is_empty());
}

#[test]
fn rules_that_are_not_enabled_are_checked_and_not_used() {
    let dir = Dir::new();
    let rule = "[[inspect.rule]]\nname = 'a'\naction = 'log'\nkeywords = ['k']\n";
    let on = dir.load(rule).unwrap();
    assert!(!on.inspection.rules.is_empty());
    assert_eq!(on.report.rules, [("a".to_owned(), "log")]);
    let off = dir.load(&format!("[inspect]\nenabled = false\n{rule}")).unwrap();
    assert!(off.inspection.rules.is_empty());
    assert_eq!(off.rules.len(), 1);
    dir.refuses(
        &format!("[inspect]\nenabled = false\n{rule}opcode = 'txt'\n"),
        "w.toml:7:10: inspect.rule.opcode",
        "write \"text\" or \"binary\"",
    );
}

#[test]
fn every_mistake_has_its_line_and_advice() {
    let dir = Dir::new();
    for (rule, place, what) in [
        ("action = 'log'", "1:1: inspect.rule.name", "is missing"),
        (
            "name = 'a b'\naction = 'log'",
            "2:8: inspect.rule.name",
            "cannot name a rule",
        ),
        (
            "name = 'a'",
            "1:1: inspect.rule.action",
            "is missing; write \"log\"",
        ),
        (
            "name = 'a'\naction = 'rdact'",
            "3:10: inspect.rule.action",
            "did you mean \"redact\"?",
        ),
        (
            "name = 'a'\naction = 'log'\nwith = 'x'",
            "4:8: inspect.rule.with",
            "only for action = \"redact\"",
        ),
        (
            "name = 'a'\naction = 'drop'\nreason = 'x'",
            "4:10: inspect.rule.reason",
            "only for action = \"close\"",
        ),
        (
            "name = 'a'\naction = 'log'\nmode = 'on'",
            "4:8: inspect.rule.mode",
            "\"observe\" or \"enforce\"",
        ),
        (
            "name = 'a'\naction = 'log'\nregx = ['x']",
            "4:1: inspect.rule.regx",
            "did you mean \"regex\"?",
        ),
        (
            "name = 'a'\naction = 'log'\nregex = 'x'",
            "4:9: inspect.rule.regex",
            "[\"x\"]",
        ),
        (
            "name = 'a'\naction = 'log'\nsecrets = ['card']",
            "4:12: inspect.rule.secrets",
            "\"card_number\"",
        ),
        (
            "name = 'a'\naction = 'log'\nin = ['ping']",
            "4:7: inspect.rule.in",
            "\"message\" or \"upgrade\"",
        ),
        (
            "name = 'a'\naction = 'log'\nhosts = ['l']",
            "4:10: inspect.rule.hosts",
            "no list named",
        ),
        (
            "name = 'a'\naction = 'log'\nscan = 'av'",
            "4:8: inspect.rule.scan",
            "[[inspect.scanner]]",
        ),
        (
            "name = 'a'\naction = 'log'\nentropy = 'x'",
            "4:11: inspect.rule.entropy",
            "write a number",
        ),
        (
            "name = 'a'\naction = 'log'\nentropy = 40",
            "4:11: inspect.rule.entropy",
            "from 0 to 8",
        ),
        (
            "name = 'a'\naction = 'log'\nentropy = inf",
            "4:11: inspect.rule.entropy",
            "such as 4.5",
        ),
        (
            "name = 'a'\naction = 'log'\nmin_size = '1M'",
            "4:12: inspect.rule.min_size",
            "\"1MiB\"",
        ),
        (
            "name = 'a'\naction = 'log'\nrate = '20'",
            "4:8: inspect.rule.rate",
            "\"20/1s\"",
        ),
        (
            "name = 'a'\naction = 'log'\nrate = '20/0s'",
            "4:8: inspect.rule.rate",
            "no time at all",
        ),
        (
            "name = 'a'\naction = 'log'\nclients = ['10.0.0.1/8']",
            "4:12: inspect.rule.clients",
            "10.0.0.0/8",
        ),
        (
            "name = 'a'\naction = 'log'\njson = [{ exists = true }]",
            "4:9: inspect.rule.json.pointer",
            "is missing",
        ),
        (
            "name = 'a'\naction = 'log'\njson = [{ pointer = '/a' }]",
            "4:9: inspect.rule.json.",
            "one of equals",
        ),
        (
            "name = 'a'\naction = 'log'\njson = [{ pointer = '/a', exists = true, above = 1 }]",
            "4:9: inspect.rule.json.",
            "one of equals",
        ),
        (
            "name = 'a'\naction = 'log'\njson = [{ pointer = '/a', equals = 2020-01-01 }]",
            "4:36: inspect.rule.json.equals",
            "is a date",
        ),
        (
            "name = 'a'\naction = 'log'\nkeyword_files = ['no']",
            "4:18: inspect.rule.keyword_files",
            "no such file",
        ),
    ] {
        let text = format!("[[inspect.rule]]\n{rule}\n");
        // A test without a kind is also told so; the place is what matters here.
        dir.refuses(&text, &format!("w.toml:{}", place.trim_end_matches('.')), what);
    }
    let long = "x".repeat(124);
    dir.refuses(
        &format!("[[inspect.rule]]\nname = 'a'\naction = 'close'\nreason = '{long}'\n"),
        "w.toml:4:10: inspect.rule.reason",
        "has 124 bytes",
    );
    for (text, place, what) in [
        (
            "message_bytes = 10",
            "2:17: inspect.message_bytes",
            "\"1KiB\" to \"1GiB\"",
        ),
        (
            "connection_bytes = '512KiB'",
            "2:20: inspect.connection_bytes",
            "less than message_bytes",
        ),
        (
            "on_budget = 'drop'",
            "2:13: inspect.on_budget",
            "\"pass\" or \"close\"",
        ),
        ("hold = 30", "2:8: inspect.hold", "\"30s\""),
        (
            "opaque_extensions = ['l']",
            "2:22: inspect.opaque_extensions",
            "no list named",
        ),
        (
            "rule = { name = 'a', action = 'log' }",
            "2:8: inspect.rule",
            "[[inspect.rule]]",
        ),
        (
            "scanner = [{ url = 'clamd://127.0.0.1:1' }]",
            "2:12: inspect.scanner.name",
            "is missing",
        ),
        (
            "regex = ['x']",
            "2:1: inspect.regex",
            "it belongs under [inspect.rule]",
        ),
    ] {
        dir.refuses(&format!("[inspect]\n{text}\n"), &format!("w.toml:{place}"), what);
    }
}

#[test]
fn names_are_unique_over_all_files() {
    let dir = Dir::new();
    dir.write("r.toml", "[[rule]]\nname = 'a'\naction = 'log'\n");
    dir.refuses(
        "[inspect]\ninclude = ['r.toml']\n[[inspect.rule]]\nname = 'a'\naction = 'log'\n",
        "r.toml:2:8: rule.name",
        "w.toml:3 too",
    );
}

#[test]
fn files_of_rules_come_after_the_main_file_in_their_order_and_once() {
    let dir = Dir::new();
    for name in ["b", "a", "c"] {
        dir.write(
            &format!("rules/{name}.toml"),
            &format!("[[rule]]\nname = '{name}'\naction = 'log'\n"),
        );
    }
    dir.write("rules/.hidden.toml", "nonsense")
        .write("rules/a.toml~", "nonsense");
    dir.write(
        "more/d.toml",
        "[[inspect.rule]]\nname = 'd'\naction = 'log'\nkeyword_files = ['words']\n",
    );
    dir.write("more/words", "x\n");
    let text = "[inspect]\ninclude = ['rules/c.toml', 'rules/*.toml', 'more/d.toml']\n\
                [[inspect.rule]]\nname = 'own'\naction = 'log'\n";
    assert_eq!(dir.names(text), ["own", "c", "a", "b", "d"]);
    let settings = dir.load(text).unwrap();
    for file in [
        "rules/a.toml",
        "rules/c.toml",
        "more/d.toml",
        "more/words",
        "rules",
    ] {
        assert!(
            settings.files.contains(&dir.path(file)),
            "{file} is watched: {:?}",
            settings.files
        );
    }
    assert_eq!(
        settings.rules[3].at,
        format!("{}:1", dir.path("rules/b.toml").display())
    );
}

#[test]
fn files_of_rules_are_checked_like_the_main_file() {
    let dir = Dir::new();
    let text = "[inspect]\ninclude = ['r.toml']\n";
    for (rules, place, what) in [
        (
            "[[rule]]\nname = 'a'\naction = 'lgo'\n",
            "r.toml:3:10: rule.action",
            "\"log\"",
        ),
        (
            "[[inspect.rule]]\nname = 'a'\naction = 'lgo'\n",
            "r.toml:3:10: inspect.rule.action",
            "\"log\"",
        ),
        (
            "[[rules]]\nname = 'a'\n",
            "r.toml:1:3: rules",
            "did you mean [[rule]]?",
        ),
        (
            "[listen]\n",
            "r.toml:1:2: listen",
            "belongs in the configuration file",
        ),
        (
            "[inspect]\nhold = '1s'\n",
            "r.toml:2:1: inspect.hold",
            "unknown key",
        ),
        ("[[rule]\n", "r.toml:1:", "not TOML"),
        (
            "[[rule]]\nname = 'a'\naction = 'log'\nkeyword_files = ['n']\n",
            "r.toml:4:18: rule.keyword_files",
            "no such file",
        ),
    ] {
        dir.write("r.toml", rules);
        let problems = dir.load(text).expect_err(rules).to_string();
        assert!(
            problems.contains(place) && problems.contains(what),
            "{rules}: {problems}"
        );
    }
    fs::write(dir.path("r.toml"), b"# \xff\n").unwrap();
    dir.refuses(text, "r.toml:1:3", "is not UTF-8");
    dir.refuses(
        "[inspect]\ninclude = ['none.toml']\n",
        "w.toml:2:12: inspect.include",
        "no such file",
    );
    dir.refuses(
        "[inspect]\ninclude = ['none/*.toml']\n",
        "w.toml:2:12: inspect.include",
        "no such file",
    );
    dir.refuses(
        "[inspect]\ninclude = ['*/a.toml']\n",
        "w.toml:2:12: inspect.include",
        "directory's name",
    );
    let settings = dir.load("[inspect]\ninclude = ['*.rules']\n").unwrap();
    assert!(
        settings.warnings[0].contains("no file matches"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn rules_are_loaded_alone_or_with_the_lists_of_a_configuration() {
    let dir = Dir::new();
    let names = |set: RuleSet| {
        set.rules
            .iter()
            .map(|rule| rule.name.to_string())
            .collect::<Vec<_>>()
    };
    dir.write("plain.toml", "[[rule]]\nname = 'p'\naction = 'log'\n");
    dir.write(
        "listed.toml",
        "[[rule]]\nname = 'l'\naction = 'log'\nhosts = ['l']\n",
    );
    dir.write("l", "^x:\n");
    // The CA's key is not there, and not needed.
    let config = "[ca]\ncert = 'none.pem'\n[[list]]\nname = 'l'\nfile = 'l'\n[inspect]\nenabled = false\n\
                  [[inspect.rule]]\nname = 'own'\naction = 'log'\n";
    dir.write("w.toml", config);
    let load = |rules: Option<&str>, config: Option<&str>| {
        let path = |name: Option<&str>| name.map(|name| dir.path(name));
        load_rules(path(rules).as_deref(), path(config).as_deref())
    };
    assert_eq!(names(load(Some("plain.toml"), None).unwrap()), ["p"]);
    assert_eq!(names(load(Some("w.toml"), None).unwrap()), ["own"]);
    assert_eq!(names(load(None, Some("w.toml")).unwrap()), ["own"]);
    assert_eq!(names(load(Some("listed.toml"), Some("w.toml")).unwrap()), ["l"]);
    assert!(
        !load(None, Some("w.toml")).unwrap().inspection.rules.is_empty(),
        "they are tried, enabled or not"
    );
    let error = load(Some("listed.toml"), None).unwrap_err().to_string();
    assert!(error.contains("listed.toml:4:10: rule.hosts"), "{error}");
    let error = load(Some("none.toml"), None).unwrap_err().to_string();
    assert!(error.contains("there is no such file"), "{error}");
}

#[test]
fn a_rule_says_which_destinations_it_concerns() {
    let dir = Dir::new();
    dir.write("in", "^a\\.test:\n^b\\.test:\n")
        .write("out", "^b\\.test:\n");
    let settings = dir
        .load(
            "[[list]]\nname = 'in'\nfile = 'in'\n[[list]]\nname = 'out'\nfile = 'out'\n\
             [[inspect.rule]]\nname = 'r'\naction = 'log'\nhosts = ['in']\nexcept_hosts = ['out']\n",
        )
        .unwrap();
    let concerns = |host: &str| settings.rules[0].concerns(&Authority::parse(host, None).unwrap());
    assert!(concerns("a.test:443"));
    assert!(!concerns("b.test:443"));
    assert!(!concerns("c.test:443"));
    assert!(
        settings
            .warnings
            .iter()
            .all(|warning| !warning.contains("not used"))
    );
}

#[test]
fn no_cut_or_mutation_of_the_shipped_rules_panics() {
    for file in ["secrets", "uploads", "downloads"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/rules/{file}.toml"));
        let text = fs::read_to_string(path).unwrap();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let mut notes = notes_on(Path::new("r.toml"), &text[..end]);
            include::parse(&text[..end], &mut Lists::default(), &mut notes);
        }
    }
}

#[test]
fn scanners_are_built_once_and_kept_while_they_stay_the_same() {
    let dir = Dir::new();
    let scanner = |name: &str, url: &str| format!("[[inspect.scanner]]\nname = '{name}'\nurl = '{url}'\n");
    let (tcp, unix) = (
        scanner("a", "clamd://localhost"),
        scanner("b", "clamd+unix:/run/clamd.ctl"),
    );
    let icap = scanner("c", "icap://127.0.0.1/avscan") + "deadline = '1s'\non_failure = 'close'\n";
    let (live, kept) = dir
        .load(&format!("{tcp}{unix}{icap}"))
        .unwrap()
        .live(None, &deaf())
        .unwrap();
    let before = &live.inspection.scanners;
    let names: Vec<_> = before.iter().map(|scanner| scanner.name()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(before[2].on_failure(), OnFailure::Close);
    let changed = icap.replace("'1s'", "'2s'");
    let (again, _) = dir
        .load(&format!("{changed}{tcp}"))
        .unwrap()
        .live(Some(&kept), &deaf())
        .unwrap();
    let after = &again.inspection.scanners;
    assert!(
        Arc::ptr_eq(&before[0], &after[1]),
        "what it knows and its connections live on"
    );
    assert!(!Arc::ptr_eq(&before[2], &after[0]));
    for (url, what) in [
        ("127.0.0.1:3310", "clamd://HOST:PORT"),
        ("clam://127.0.0.1", "did you mean \"clamd\"?"),
        ("clamd://a b", "such as clamd://127.0.0.1:3310"),
        ("clamd+unix:run/x", "full path"),
        ("icap://127.0.0.1", "names no service"),
        ("icaps://127.0.0.1", "names no service"),
        ("icapd://127.0.0.1/x", "did you mean \"icap\"?"),
        ("https://127.0.0.1/x", "icaps://HOST:PORT/SERVICE"),
    ] {
        dir.refuses(&scanner("a", url), "w.toml:3:7: inspect.scanner.url", what);
    }
    dir.refuses(
        &format!("{tcp}{tcp}"),
        "w.toml:5:8: inspect.scanner.name",
        "two scanners named \"a\"",
    );
}

#[test]
fn every_key_of_a_scanner_reaches_it() {
    let dir = Dir::new();
    let configs = |text: &str, asks_names: bool| {
        let path = dir.path("w.toml");
        let mut notes = notes_on(&path, text);
        let file = File::parse(text, &mut notes);
        let configs = scanner::configs(file.inspect.scanners, asks_names, &mut notes);
        assert_eq!(notes.problems, []);
        (configs, notes.warnings)
    };
    let text = r#"
        [[inspect.scanner]]
        name = "full"
        url = "icap://a/req"
        respmod_url = "icap://b:1345/resp"
        deadline = "7s"
        on_failure = "close"
        concurrency = 3
        max_size = "2KiB"
        breaker_failures = 2
        breaker_rest = "250ms"
        tell_client_ip = false
        tell_user = true
        standby = ["plain"]
        [[inspect.scanner]]
        name = "plain"
        url = "icap://a/req"
        "#;
    let (all, warnings) = configs(text, true);
    let url = |text: &str| IcapUrl::parse(text).unwrap();
    let full = ScannerConfig {
        name: "full".to_owned(),
        kind: ScannerKind::Icap(IcapConfig {
            url: url("icap://a/req"),
            respmod_url: Some(url("icap://b:1345/resp")),
            tls: None,
            tell_client_ip: false,
            tell_user: true,
        }),
        deadline: Duration::from_secs(7),
        on_failure: OnFailure::Close,
        concurrency: 3,
        max_size: 2048,
        breaker: Thresholds {
            failures: 2,
            rest: Duration::from_millis(250),
        },
        standby: vec!["plain".to_owned()],
    };
    let plain = ScannerConfig {
        deadline: Duration::from_secs(5),
        ..ScannerConfig::new("plain", ScannerKind::Icap(IcapConfig::new(url("icap://a/req"))))
    };
    assert_eq!(all, [full, plain]);
    assert_eq!(warnings, [""; 0]);
    let (_, warnings) = configs(text, false);
    assert!(
        warnings[0].contains("inspect.scanner.tell_user: there is no name to tell"),
        "{warnings:?}"
    );
}

#[test]
fn mistakes_in_a_scanner_are_refused_where_they_stand() {
    let dir = Dir::new();
    let refuses = |url: &str, line: &str, place: &str, what: &str| {
        let text = format!("[[inspect.scanner]]\nname = 'a'\nurl = '{url}'\n{line}\n");
        dir.refuses(&text, &format!("w.toml:{place}"), what);
    };
    for (line, place, what) in [
        (
            "breaker_failures = 0",
            "4:20: inspect.scanner.breaker_failures",
            "from 1 to 1000000",
        ),
        (
            "breaker_failures = '5'",
            "4:20: inspect.scanner.breaker_failures",
            "without quotes",
        ),
        (
            "breaker_rest = 10",
            "4:16: inspect.scanner.breaker_rest",
            "\"10s\"",
        ),
        (
            "breaker_rest = '2h'",
            "4:16: inspect.scanner.breaker_rest",
            "at most 3600 s",
        ),
        (
            "respmod_url = 'icap://b'",
            "4:15: inspect.scanner.respmod_url",
            "names no service",
        ),
        (
            "tell_client_ip = 'no'",
            "4:18: inspect.scanner.tell_client_ip",
            "true or false",
        ),
        (
            "tell_user = 1",
            "4:13: inspect.scanner.tell_user",
            "true or false",
        ),
        (
            "standby = ['b']",
            "4:12: inspect.scanner.standby",
            "there is no scanner named \"b\"",
        ),
        (
            "standby = ['a']",
            "4:12: inspect.scanner.standby",
            "is the scanner itself",
        ),
        (
            "breaker_fails = 1",
            "4:1: inspect.scanner.breaker_fails",
            "did you mean",
        ),
    ] {
        refuses("icap://a/x", line, place, what);
    }
    for (key, value) in [
        ("respmod_url", "'icap://b/x'"),
        ("tell_client_ip", "true"),
        ("tell_user", "false"),
    ] {
        let place = format!("4:{}: inspect.scanner.{key}", key.len() + 4);
        refuses(
            "clamd://127.0.0.1",
            &format!("{key} = {value}"),
            &place,
            "is a clamd",
        );
    }
}

#[test]
fn every_format_of_secrets_has_a_word_and_each_has_one() {
    let known: Vec<_> = rule::SECRETS.iter().map(|(_, secret)| *secret).collect();
    assert_eq!(known, Secret::ALL);
    let words: std::collections::BTreeSet<_> = rule::SECRETS.iter().map(|(word, _)| *word).collect();
    assert_eq!(words.len(), known.len());
}

#[test]
fn a_rule_may_have_a_rate_of_its_own_in_the_audit_log() {
    let dir = Dir::new();
    let rule = |name: &str, more: &str| format!("[[inspect.rule]]\nname = '{name}'\naction = 'log'\n{more}");
    let text = rule("own", "audit_sample = 50\n") + &rule("none", "");
    let settings = dir.load(&text).unwrap();
    assert_eq!(settings.report.audit_samples, [("own".to_owned(), 50)]);
    for (line, what) in [
        ("audit_sample = 0\n", "from 1 to 1000000"),
        ("audit_sample = '2'\n", "without quotes"),
    ] {
        dir.refuses(&rule("a", line), "w.toml:4:16: inspect.rule.audit_sample", what);
    }
}

#[test]
fn a_word_of_others_for_an_action_is_answered_with_what_there_is() {
    Dir::new().refuses(
        "[[inspect.rule]]\nname = 'a'\naction = 'block'\nregex = ['a']",
        "w.toml:3:10: inspect.rule.action",
        "is called \"drop\" or \"close\" here",
    );
}

#[test]
fn an_expression_of_several_lines_is_shown_with_them() {
    Dir::new().refuses(
        "[[inspect.rule]]\nname = 'a'\naction = 'log'\nregex = [\"\"\"(?x)\n  foo\n  (bar\"\"\"]",
        "w.toml:4:9: inspect.rule.regex",
        "\n    3:   (bar\n         ^\n    error: unclosed group",
    );
}
