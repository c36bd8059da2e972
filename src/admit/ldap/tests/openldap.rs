use super::*;
use std::net::TcpListener;

const ALL: [&str; 4] = ["ring", "staff", "web, full", "web-users"];

/// Nobody may ask here: referrals lead to it.
fn trap() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn nobody_came(trap: &TcpListener) {
    assert_eq!(trap.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_user_is_searched_bound_and_described_and_referrals_are_left_alone() {
    let (trap, elsewhere) = trap();
    let slapd = Slapd::start(&elsewhere);
    let (ldap, told) = told(tls(&slapd));
    let (name, groups) = sorted(ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap());
    assert_eq!((name.as_str(), &groups[..]), ("ada", &ALL.map(str::to_owned)[..]));
    // As the directory spells it, and by another attribute.
    let (name, _) = sorted(ldap.verify(&login("ADA"), PASSWORD.as_bytes()).await.unwrap());
    assert_eq!(name, "ada");
    for ours in ["ada@corp.example", r"CORP\ADA"] {
        let verified = ldap.verify(&with_domain(ours), PASSWORD.as_bytes()).await;
        assert_eq!(sorted(verified.unwrap()).0, "ada");
    }
    // Not though the password is right.
    for other in ["ada@other.example", r"OTHER\ada"] {
        let verified = ldap.verify(&with_domain(other), PASSWORD.as_bytes()).await;
        assert!(no(verified).starts_with("no entry below"), "{other}");
    }
    let refused = no(ldap.verify(&login("ada"), b"wrong").await);
    assert_eq!(refused, "invalidCredentials");
    assert_eq!(told.take(), [""; 0], "no server has failed");
    nobody_came(&trap);
    // One connection for each purpose was enough for all of it.
    assert_eq!(
        slapd.log().matches("TLS established").count(),
        2,
        "{}",
        slapd.log()
    );
}

#[tokio::test]
async fn names_mean_only_themselves() {
    let (_trap, elsewhere) = trap();
    let slapd = Slapd::start(&elsewhere);
    let by_template = LdapConfig {
        bind: BindBy::Template(Template::bind_name(&format!("uid={{name}},ou=people,{BASE}")).unwrap()),
        ..tls(&slapd)
    };
    for config in [tls(&slapd), by_template] {
        let (ldap, _) = told(config);
        for name in ["a*a", r"wei(rd\name)", "Zoë, the +1"] {
            let verified = ldap.verify(&login(name), PASSWORD.as_bytes()).await.unwrap();
            assert_eq!(verified.expect(name).name, name);
        }
        for name in [
            "*",
            "a*",
            "ad*",
            "ada)(uid=*",
            "*)(uid=*))(|(uid=*",
            "ada\0",
            "\\61da",
            "ada,ou=people",
            "stranger",
            "stranger,ou=elsewhere,dc=corp,dc=example",
            "nobody",
            "mute",
            "",
            &"a".repeat(2000),
        ] {
            let refused = ldap.verify(&login(name), PASSWORD.as_bytes()).await;
            assert!(matches!(refused, Ok(Err(_))), "{name}: {refused:?}");
        }
        // An empty password would bind as nobody.
        for name in ["ada", "nobody", "mute"] {
            let refused = no(ldap.verify(&login(name), b"").await);
            assert_eq!(refused, "the password is empty");
        }
        let refused = no(ldap.verify(&login("ada"), b"\xff\xfe").await);
        assert_eq!(refused, "the password is not UTF-8");
    }
}

#[tokio::test]
async fn more_than_one_entry_is_nobody() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let (ldap, _) = told(tls(&slapd));
    let refused = no(ldap
        .verify(&with_domain("twin@corp.example"), PASSWORD.as_bytes())
        .await);
    assert!(refused.starts_with("more than one entry fits"), "{refused}");
    // The name alone is one of them only.
    assert!(
        ldap.verify(&login("twin"), PASSWORD.as_bytes())
            .await
            .unwrap()
            .is_ok()
    );
}

#[tokio::test]
async fn start_tls_is_verified_and_plain_is_only_what_is_asked_for() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let over_ldap = LdapConfig {
        servers: vec![slapd.ldap()],
        ..tls(&slapd)
    };
    let (ldap, _) = told(over_ldap.clone());
    assert!(
        ldap.verify(&login("ada"), PASSWORD.as_bytes())
            .await
            .unwrap()
            .is_ok()
    );
    assert!(slapd.log().contains("STARTTLS"));
    let unencrypted =
        slapd.log().matches("BIND dn=").count() - slapd.log().matches("TLS established").count();
    let plain = LdapConfig {
        tls: None,
        ..over_ldap.clone()
    };
    let (ldap, _) = told(plain);
    assert!(
        ldap.verify(&login("ada"), PASSWORD.as_bytes())
            .await
            .unwrap()
            .is_ok()
    );
    assert!(slapd.log().matches("BIND dn=").count() > unencrypted);

    let stranger = crate::tls::testing::Identity::new(&["127.0.0.1"]);
    let strangers = Some(Arc::new(
        ServiceTls::new(Some(vec![stranger.root]), None).unwrap(),
    ));
    for servers in [vec![slapd.ldap()], vec![slapd.ldaps()]] {
        let binds = slapd.log().matches("BIND dn=").count();
        let (ldap, told) = told(LdapConfig {
            servers,
            tls: strangers.clone(),
            ..config()
        });
        let unavailable = ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap_err();
        assert!(unavailable.text.contains("certificate"), "{}", unavailable.text);
        let told = told.take();
        assert!(told[0].starts_with("ldap ldap") && told.len() == 1, "{told:?}");
        assert_eq!(
            slapd.log().matches("BIND dn=").count(),
            binds,
            "no password was sent"
        );
    }
    // Nobody says how to verify it: it is not spoken to.
    let (ldap, _) = told(LdapConfig {
        servers: vec![slapd.ldaps()],
        ..config()
    });
    let unavailable = ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap_err();
    assert!(unavailable.text.contains("how to verify"), "{}", unavailable.text);
}

#[tokio::test]
async fn a_template_needs_neither_search_nor_account() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let (ldap, _) = told(LdapConfig {
        bind: BindBy::Template(Template::bind_name(&format!("uid={{name}},ou=people,{BASE}")).unwrap()),
        users: None,
        account: None,
        ..tls(&slapd)
    });
    let (name, groups) = sorted(ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap());
    assert_eq!((name.as_str(), &groups[..]), ("ada", &ALL.map(str::to_owned)[..]));
    let refused = no(ldap.verify(&login("ada"), b"wrong").await);
    assert_eq!(refused, "invalidCredentials");
    // Nothing says where users are found.
    let ada = Ticketed::User("ada".to_owned());
    assert_eq!(ldap.groups_of(&ada).await, Ok(Vec::new()));
}

#[tokio::test]
async fn groups_are_found_by_member_of_too_within_bounds() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let with = |change: fn(&mut GroupSearch)| {
        let mut config = tls(&slapd);
        change(&mut config.groups);
        told(config).0
    };
    let search: fn(&mut GroupSearch) = |_| {};
    let member_of: fn(&mut GroupSearch) = |groups| groups.by = GroupsBy::MemberOf;
    for by in [search, member_of] {
        let ldap = with(by);
        let (_, groups) = sorted(ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap());
        assert_eq!(groups, ALL);
        let (_, groups) = sorted(ldap.verify(&login("a*a"), PASSWORD.as_bytes()).await.unwrap());
        assert!(groups.is_empty(), "{groups:?}");
    }
    for (change, expected) in [
        (
            (|groups| groups.depth = 1) as fn(&mut GroupSearch),
            &["staff"][..],
        ),
        (
            |groups| (groups.by, groups.depth) = (GroupsBy::MemberOf, 2),
            &["ring", "staff", "web-users"],
        ),
        (|groups| groups.by = GroupsBy::None, &[]),
        // A filter by the name finds nothing that a DN is in.
        (
            |groups| {
                groups.by = GroupsBy::Search(Template::group_filter("(|(member={dn})(cn={name}))").unwrap())
            },
            &ALL,
        ),
    ] {
        let (_, groups) = sorted(
            with(change)
                .verify(&login("ada"), PASSWORD.as_bytes())
                .await
                .unwrap(),
        );
        assert_eq!(groups, expected);
    }
    for few in [(|groups| groups.most = 3) as fn(&mut GroupSearch), |groups| {
        (groups.by, groups.most) = (GroupsBy::MemberOf, 3)
    }] {
        let unavailable = with(few)
            .verify(&login("ada"), PASSWORD.as_bytes())
            .await
            .unwrap_err();
        assert!(
            unavailable.text.contains("more than 3 groups"),
            "{}",
            unavailable.text
        );
    }
}

#[tokio::test]
async fn groups_of_a_principal_are_those_of_its_entry() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let (ldap, _) = told(tls(&slapd));
    assert!(ldap.knows_groups());
    for (principal, groups) in [
        ("ada@corp.example", &ALL[..]),
        ("Ada", &ALL),
        ("*", &[]),
        ("*@corp.example", &[]),
        ("nobody)(uid=*", &[]),
    ] {
        let user = Ticketed::User(principal.to_owned());
        let mut found = ldap.groups_of(&user).await.unwrap();
        found.sort_unstable();
        assert_eq!(found, groups, "{principal}");
    }
    let none = GroupSearch {
        by: GroupsBy::None,
        ..config().groups
    };
    assert!(
        !told(LdapConfig {
            groups: none,
            ..tls(&slapd)
        })
        .0
        .knows_groups()
    );
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again_though_its_connections_are_gone() {
    let mut slapd = Slapd::start("ldap://127.0.0.1:9");
    let (ldap, _) = told(LdapConfig {
        rest: Duration::ZERO,
        ..tls(&slapd)
    });
    for _ in 0..2 {
        assert!(
            ldap.verify(&login("ada"), PASSWORD.as_bytes())
                .await
                .unwrap()
                .is_ok()
        );
        slapd.restart();
    }
    slapd.stop();
    let unavailable = ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap_err();
    assert!(
        unavailable.text.contains("cannot connect"),
        "{}",
        unavailable.text
    );
}

#[tokio::test]
async fn the_next_server_answers_for_a_dead_one_which_is_left_alone() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    // It was free a moment ago, and nobody listens there.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = LdapUrl::parse(&format!("ldaps://{dead}")).unwrap();
    let (ldap, told) = told(LdapConfig {
        servers: vec![dead, slapd.ldaps()],
        ..tls(&slapd)
    });
    for _ in 0..3 {
        assert!(
            ldap.verify(&login("ada"), PASSWORD.as_bytes())
                .await
                .unwrap()
                .is_ok()
        );
    }
    let told = told.take();
    assert_eq!(told.len(), 1, "it was tried once: {told:?}");
    assert!(told[0].starts_with("ldap ldaps://127.0.0.1:"), "{told:?}");
}

#[tokio::test]
async fn a_password_that_one_server_refuses_is_not_shown_to_another() {
    let (trap, elsewhere) = trap();
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let other = LdapUrl::parse(&elsewhere).unwrap();
    let (ldap, _) = told(LdapConfig {
        servers: vec![slapd.ldaps(), other.clone()],
        ..tls(&slapd)
    });
    no(ldap.verify(&login("ada"), b"wrong").await);
    nobody_came(&trap);
    assert_eq!(slapd.log().matches("BIND dn=\"uid=ada").count(), 1);

    // The service account's counts as well, and is not tried again at once.
    let mut config = tls(&slapd);
    config.servers.push(other);
    config.account = Some(ServiceAccount {
        name: SERVICE.to_owned(),
        password: Secret("wrong".to_owned()),
    });
    let (ldap, _) = told(config);
    let before = slapd.log().matches("BIND dn=\"cn=wsbump").count();
    for word in [
        "the service account is refused",
        "not tried again yet",
        "not tried again yet",
    ] {
        let unavailable = ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap_err();
        assert!(unavailable.text.contains(word), "{}", unavailable.text);
        assert!(!unavailable.text.contains("wrong"), "{}", unavailable.text);
    }
    nobody_came(&trap);
    assert_eq!(slapd.log().matches("BIND dn=\"cn=wsbump").count(), before + 1);
}

#[tokio::test]
async fn many_at_once_share_few_connections() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let (ldap, _) = told(LdapConfig {
        connections: 2,
        ..tls(&slapd)
    });
    let ldap = Arc::new(ldap);
    let asked: Vec<_> = (0..40)
        .map(|n| {
            let ldap = Arc::clone(&ldap);
            tokio::spawn(async move {
                let password = if n % 2 == 0 { PASSWORD } else { "wrong" };
                let verified = ldap.verify(&login("ada"), password.as_bytes()).await.unwrap();
                assert_eq!(verified.is_ok(), n % 2 == 0);
            })
        })
        .collect();
    for asked in asked {
        asked.await.unwrap();
    }
    let connections = slapd.log().matches("TLS established").count();
    assert!(connections <= 4, "{connections}");
}

#[tokio::test]
async fn what_the_directory_is_set_up_wrongly_for_is_said() {
    let slapd = Slapd::start("ldap://127.0.0.1:9");
    let mut nowhere = tls(&slapd);
    nowhere.users.as_mut().unwrap().base = "dc=nowhere".to_owned();
    let mut groups_nowhere = tls(&slapd);
    groups_nowhere.groups.base = format!("ou=nowhere,{BASE}");
    let mut away = tls(&slapd);
    away.users.as_mut().unwrap().base = format!("ou=away,ou=people,{BASE}");
    let mut unnamed = tls(&slapd);
    unnamed.users.as_mut().unwrap().name = "displayName".to_owned();
    for (config, word) in [
        (nowhere, "noSuchObject"),
        (groups_nowhere, "noSuchObject"),
        (away, "referrals are not followed"),
        (unnamed, "has no displayName"),
    ] {
        let (ldap, _) = told(config);
        let unavailable = ldap.verify(&login("ada"), PASSWORD.as_bytes()).await.unwrap_err();
        assert!(unavailable.text.contains(word), "{}", unavailable.text);
    }
}

#[test]
fn no_password_is_shown() {
    let (ldap, _) = told(config());
    let shown = format!("{ldap:?}");
    assert!(shown.contains(SERVICE) && !shown.contains(PASSWORD), "{shown}");
}
