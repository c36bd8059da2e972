//! What a real Squid did, client by client and name by name; wsbump has to do the same with the policy written by hand.
//!
//! `tests/oracle/NAME.tsv` is what Squid 5.7 said. Each case runs in a network namespace of its own, in which every address
//! of the table is this machine's, so that policies name the very networks that Squid's named.

use crate::harness::certs::ROOT_NAME;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Plain, Wire, header, prepare, start_tls_with};
use crate::harness::{root, scratch};
use crate::imported::parents;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme, StreamOwned,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Set inside of a case's namespace.
const INSIDE: &str = "WSBUMP_ORACLE_INSIDE";
/// The networks of the tables.
const NETS: &str = "203.0.113.0/24 198.51.100.0/24 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16";
const UNTRUSTED_NAME: &str = "Not trusted by the proxy";

/// Where wsbump differs on purpose: the row, what it does, and why.
pub(crate) type Differences = &'static [(u32, &'static str, &'static str)];

const IS_TOLD: &str = "a denial is told before anything is dialled, where Squid agrees and then closes";
const ADDRESS_HAS_NAME: &str =
    "the address that was asked for is one of the SNI's: the name decides, whatever kind of list it is in";
const NOT_RESOLVED: &str =
    "rules go by names and by addresses that are asked for: nothing is resolved for a decision";

/// A row of Squid's table.
pub(crate) struct Row {
    pub(crate) id: u32,
    client: IpAddr,
    user: Option<String>,
    /// `connect` and `plain` through the proxy; `tls443` and `plain80` dialled to the origin, and caught; `claimed` as
    /// `connect`, by a load balancer that says who the client is.
    how: String,
    target: String,
    sni: Option<String>,
    /// What Squid did, in the words of [`ask`].
    squid: String,
}

/// Where the load balancer of `claimed` rows comes from.
const BALANCER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));

fn rows(name: &str) -> Vec<Row> {
    parse(&std::fs::read_to_string(root().join(format!("tests/oracle/{name}.tsv"))).unwrap())
}

/// Rows with Squid's verdicts, or without.
pub(crate) fn parse(text: &str) -> Vec<Row> {
    let mut lines = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let rows = lines.map(|cells| {
        assert_eq!(cells.len(), head.len(), "{cells:?}");
        let of = |name: &str| {
            head.iter()
                .position(|cell| *cell == name)
                .map_or("-", |at| cells[at])
        };
        let some = |name: &str| (of(name) != "-").then(|| of(name).to_owned());
        let has_verdict = head.contains(&"verdict");
        assert!(
            !has_verdict || (of("request"), of("at")) == ("GET /", "-"),
            "{cells:?}"
        );
        Row {
            id: of("id").parse().unwrap(),
            client: of("client").parse().unwrap(),
            user: some("user"),
            how: of("how").to_owned(),
            target: of("target").to_owned(),
            sni: some("sni"),
            squid: match has_verdict {
                true => squid(of("verdict"), of("status"), of("issuer"), of("seen")),
                false => String::new(),
            },
        }
    });
    rows.collect()
}

/// Squid's verdict in the words of [`ask`].
fn squid(verdict: &str, status: &str, issuer: &str, seen: &str) -> String {
    // Squid shows origins its clients' addresses unless it is told not to. wsbump has no such header.
    let seen = seen.replace(" x-forwarded-for=client", "");
    match verdict {
        "deny-connect" if status == "407" => {
            let offered = seen.strip_prefix("offered=").unwrap().replace('+', " ");
            format!("authenticate 407 {offered}")
        }
        // On a port that bumps, Squid says inside of a tunnel what wsbump answers to the CONNECT.
        "deny-connect" | "deny-inside" | "deny-plain" => format!("deny {status}"),
        "terminate" => "deny".to_owned(),
        // Squid answers 503. RFC 9209 section 2.3.17 recommends 502.
        "cert-error" => "cert-error".to_owned(),
        "plain" => format!("plain {status} {seen}"),
        "bump" | "splice" => format!("{verdict} {status} by {issuer}, {seen}"),
        other => panic!("{other}: no verdict"),
    }
}

/// What a proxy at an address, whose CA has this name, does with a row.
pub(crate) fn ask(at: &str, ca: &str, row: &Row) -> String {
    let authorization = row.user.as_ref().map_or_else(String::new, |user| {
        let encoded = BASE64_STANDARD.encode(user);
        format!("Proxy-Authorization: Basic {encoded}\r\n")
    });
    let (host, port) = row.target.rsplit_once(':').unwrap();
    let named = row.sni.as_deref().unwrap_or(host);
    let named = if matches!(port, "80" | "443") {
        named.to_owned()
    } else {
        format!("{named}:{port}")
    };
    let head = format!("Host: {named}\r\nX-Secret: inner\r\nUser-Agent: oracle/1\r\nConnection: close\r\n");
    let is_caught = matches!(&*row.how, "tls443" | "plain80");
    let mut client = match (&*row.how, is_caught) {
        ("claimed", _) => dial_from(BALANCER, at),
        (_, true) => dial_from(row.client, &format!("{}:{port}", address_of(host))),
        _ => dial_from(row.client, at),
    };
    if row.how == "claimed" {
        client.send(format!("PROXY TCP4 {} 198.51.100.1 40000 3128\r\n", row.client));
    }
    if row.how.starts_with("plain") {
        let target = match is_caught {
            true => "/".to_owned(),
            false => format!("http://{named}/"),
        };
        client.send(format!("GET {target} HTTP/1.1\r\n{head}{authorization}\r\n"));
        let Some(answer) = client.try_answer() else {
            return "closed".to_owned();
        };
        return match (answer.status, String::from_utf8(answer.body.clone()).unwrap()) {
            (200, body) => format!("plain 200 {}{}", seen(&body), back(&answer.head)),
            (407, _) => asked(&answer.head),
            (status, _) => denied(status, &answer.head),
        };
    }
    if !is_caught {
        let target = &row.target;
        let asks = client.try_send(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"
        ));
        let Some(answer) = asks.ok().and_then(|()| client.head()) else {
            return "closed".to_owned();
        };
        match answer.split(' ').nth(1).unwrap() {
            "200" => {}
            "407" => return asked(&answer),
            status => return denied(status.parse().unwrap(), &answer),
        }
    }
    let name = format!("{}:{port}", row.sni.as_deref().unwrap_or(host));
    let mut client = start_tls_with(client, &name, believing(row.sni.is_some()));
    let StreamOwned { conn, sock } = &mut client.stream;
    while conn.is_handshaking() {
        if conn.complete_io(sock).is_err() {
            return "deny".to_owned();
        }
    }
    let issuer = issuer(&client.leaf());
    let (verdict, issuer) = match issuer.as_str() {
        ROOT_NAME => ("splice", "origin"),
        UNTRUSTED_NAME => ("bump", "proxy-untrusted"),
        _ if issuer.starts_with("Not trusted by ") => ("bump", "proxy-untrusted"),
        _ if issuer == ca => ("bump", "proxy"),
        other => panic!("a certificate of {other}"),
    };
    client.send(format!("GET / HTTP/1.1\r\n{head}\r\n"));
    let Some(answer) = client.try_answer() else {
        return "deny".to_owned();
    };
    if answer.status != 200 {
        assert_eq!(verdict, "bump", "{}", answer.head);
        return denied(answer.status, &answer.head);
    }
    format!(
        "{verdict} 200 by {issuer}, {}{}",
        seen(&String::from_utf8(answer.body.clone()).unwrap()),
        back(&answer.head)
    )
}

/// What has become of an origin's response, of the headers that cases are about.
fn back(head: &str) -> String {
    let mut back = String::new();
    if header(head, "x-origin").is_none() {
        back.push_str(" x-origin=removed");
    }
    if header(head, "x-adapted").is_some() {
        back.push_str(" adapted");
    }
    back
}

/// Where a name of the cases leads.
fn address_of(host: &str) -> String {
    let hosts = std::fs::read_to_string(root().join("tests/oracle/hosts")).unwrap();
    let line = hosts
        .lines()
        .find(|line| line.split(' ').skip(1).any(|name| name == host));
    line.and_then(|line| line.split(' ').next())
        .unwrap_or(host)
        .to_owned()
}

/// The schemes that wsbump offers.
fn asked(head: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let offers = lines.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authenticate"));
    let mut schemes: Vec<_> = offers
        .map(|(_, offer)| offer.split_whitespace().next().unwrap())
        .collect();
    schemes.sort_unstable();
    format!("authenticate 407 {}", schemes.join(" "))
}

/// What a proxy says of an answer of its own, or a service in its place.
fn denied(status: u16, head: &str) -> String {
    if header(head, "x-service").is_some() {
        return format!("service {status}");
    }
    if let Some(error) = header(head, "x-squid-error") {
        return match error.split(' ').next().unwrap() {
            "ERR_ACCESS_DENIED" => format!("deny {status}"),
            "ERR_SECURE_CONNECT_FAIL" => "cert-error".to_owned(),
            other => format!("{other} {status}"),
        };
    }
    let error = header(head, "proxy-status").unwrap_or_default();
    match status {
        502 if error.contains("tls_certificate_error") => "cert-error".to_owned(),
        403 if [
            "http_request_denied",
            "destination_ip_prohibited",
            "content_refused",
        ]
        .iter()
        .any(|known| error.contains(known)) =>
        {
            "deny 403".to_owned()
        }
        _ => panic!("{head}"),
    }
}

/// What an origin saw of a request, of the headers that the cases are about: its answer is the head of the request.
fn seen(head: &str) -> String {
    let peer = header(head, "x-peer").unwrap_or_default();
    let mut seen = match peer {
        "198.51.100.1" | "198.51.100.2" => "parent".to_owned(),
        peer if peer.starts_with("198.51.100.") => format!("from {peer}"),
        _ => "direct".to_owned(),
    };
    if header(head, "via").is_some() {
        seen.push_str(" via");
    }
    for name in [
        "restrict-access-to-tenants",
        "restrict-access-context",
        "x-allowed-domains",
    ] {
        if let Some(value) = header(head, name) {
            write!(seen, " {name}={value}").unwrap();
        }
    }
    if let Some(value) = header(head, "x-forwarded-for") {
        write!(seen, " x-forwarded-for={value}").unwrap();
    }
    match header(head, "user-agent") {
        Some("oracle/1") => {}
        other => write!(seen, " user-agent={}", other.unwrap_or_default()).unwrap(),
    }
    match header(head, "x-secret") {
        Some("inner") => {}
        None => seen.push_str(" x-secret=removed"),
        Some(other) => write!(seen, " x-secret={other}").unwrap(),
    }
    if let Some(value) = header(head, "proxy-authorization") {
        write!(seen, " proxy-authorization={value}").unwrap();
    }
    seen
}

/// A connection that comes from an address.
pub(crate) fn dial_from(client: IpAddr, to: &str) -> Plain {
    let to: SocketAddr = to.parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(client, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = socket.into();
    prepare(&stream);
    Wire::new(stream)
}

pub(crate) fn issuer(leaf: &CertificateDer<'_>) -> String {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
    let name = leaf.issuer().iter_common_name().next().unwrap();
    name.as_str().unwrap().to_owned()
}

/// The name of the CA in a file.
pub(crate) fn subject(ca: &Path) -> String {
    let ca = CertificateDer::from_pem_file(ca).unwrap();
    let (_, ca) = x509_parser::parse_x509_certificate(&ca).unwrap();
    let name = ca.subject().iter_common_name().next().unwrap();
    name.as_str().unwrap().to_owned()
}

/// A client that speaks HTTP/1.1 with whoever is there, and says whom it means or not.
pub(crate) fn believing(says_name: bool) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.enable_sni = says_name;
    Arc::new(config)
}

/// A client that looks at certificates and believes all of them.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The origins of all names, whose certificates are as good as their names say.
#[derive(Debug)]
pub(crate) struct Origins {
    good: Issuer<'static, KeyPair>,
    unknown: Issuer<'static, KeyPair>,
    made: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
    (Issuer::new(params, key), pem)
}

impl Origins {
    /// Starts them on the ports of the tables; the roots that are to be trusted for them are in `folder`.
    pub(crate) fn start(folder: &Path) {
        let (good, root) = authority(ROOT_NAME);
        std::fs::write(folder.join("origins.pem"), root).unwrap();
        let origins = Arc::new(Self {
            good,
            unknown: authority(ROOT_NAME).0,
            made: Mutex::default(),
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(origins);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        for (port, tls) in [(80, None), (443, Some(&config)), (8443, Some(&config))] {
            let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
            let tls = tls.cloned();
            std::thread::spawn(move || {
                for socket in listener.incoming().flatten() {
                    prepare(&socket);
                    let peer = socket.peer_addr().unwrap().ip().to_string();
                    let tls = tls.clone();
                    std::thread::spawn(move || match tls {
                        None => serve(&peer, socket),
                        Some(config) => serve(
                            &peer,
                            StreamOwned::new(ServerConnection::new(config).unwrap(), socket),
                        ),
                    });
                }
            });
        }
    }
}

/// Answers each request with its head, and with the address that it came from.
fn serve(peer: &str, stream: impl Read + Write) {
    let mut wire = Wire::new(stream);
    while let Some(head) = wire.head() {
        let head = head.replacen("\r\n", &format!("\r\nX-Peer: {peer}\r\n"), 1);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Origin: yes\r\nContent-Length: {}\r\n\r\n{head}",
            head.len()
        );
        if wire.try_send(answer).is_err() {
            return;
        }
    }
}

impl ResolvesServerCert for Origins {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("default.example.com");
        let mut made = self.made.lock().unwrap();
        let make = || {
            let claimed = if name.starts_with("wronghost.") {
                "elsewhere.example.net"
            } else {
                name
            };
            let mut params = CertificateParams::new([claimed.to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2024, 1, 1);
            let until = if name.starts_with("expired.") { 2025 } else { 2034 };
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            params.use_authority_key_identifier_extension = true;
            let issuer = if name.starts_with("untrusted.") {
                &self.unknown
            } else {
                &self.good
            };
            let key = KeyPair::generate().unwrap();
            let leaf = params.signed_by(&key, issuer).unwrap().der().clone();
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            Arc::new(CertifiedKey::new(vec![leaf], any_supported_type(&key).unwrap()))
        };
        Some(Arc::clone(made.entry(name.to_owned()).or_insert_with(make)))
    }
}

/// A proxy with a policy that was written by hand.
fn start(policy: &str, folder: &Path) -> Proxy {
    let oracle = root().join("tests/oracle");
    let config = std::fs::read_to_string(oracle.join(format!("{policy}.toml"))).unwrap();
    // Of the domain of `tests/tickets`.
    let corp: serde_json::Value = serde_json::from_str(include_str!("../tickets/corp.json")).unwrap();
    let keytab = BASE64_STANDARD.decode(corp["keytab"].as_str().unwrap()).unwrap();
    std::fs::write(folder.join("http.keytab"), keytab).unwrap();
    let config = config.replace("http.keytab", &folder.join("http.keytab").display().to_string());
    start_with(&config, &oracle.join("lists"), folder)
}

/// A proxy with a configuration whose lists are in a folder.
pub(crate) fn start_with(config: &str, lists: &Path, folder: &Path) -> Proxy {
    let oracle = root().join("tests/oracle");
    let (_, untrusted) = authority(UNTRUSTED_NAME);
    std::fs::write(folder.join("untrusted.pem"), untrusted).unwrap();
    let mut setup = Setup::new()
        .config(config)
        .config("listen = { proxy = ['127.0.0.1:0'] }")
        .config(&format!(
            "[network]\nallow = ['203.0.113.0/24']\n[origin]\nextra_roots = ['{0}/origins.pem']\n\
             [ca]\nuntrusted_cert = '{0}/untrusted.pem'",
            folder.display()
        ))
        .folder("lists");
    for list in std::fs::read_dir(lists).into_iter().flatten() {
        let list = list.unwrap();
        let text = std::fs::read_to_string(list.path()).unwrap();
        setup = setup.file(&format!("lists/{}", list.file_name().display()), &text);
    }
    for line in std::fs::read_to_string(oracle.join("hosts")).unwrap().lines() {
        let mut words = line.split(' ');
        let address = words.next().unwrap();
        for name in words {
            setup = setup.host(name, address);
        }
    }
    setup.start()
}

/// Runs a case: the policy `policy` against Squid's verdicts in `table`.
fn hold(test: &str, policy: &str, table: &str, differences: Differences) {
    if !is_inside(&format!("oracle::{test}")) {
        return;
    }
    let folder = scratch();
    Origins::start(folder.path());
    parents();
    compare(&start(policy, folder.path()), table, differences);
}

/// Whether this is the run in the namespace; otherwise there has been one, and it has passed.
pub(crate) fn is_inside(test: &str) -> bool {
    let is_inside = std::env::var_os(INSIDE).is_some();
    if !is_inside {
        inside_a_namespace(test);
    }
    is_inside
}

/// Asks a proxy what Squid was asked.
pub(crate) fn compare(proxy: &Proxy, table: &str, differences: Differences) {
    let ca = subject(&proxy.ca);
    let rows = rows(table);
    let found = rows
        .iter()
        .map(|row| (row.id, ask(&proxy.address, &ca, row), row.squid.clone()));
    held(table, found, differences);
}

/// Holds what is done here, row by row, against what Squid did.
pub(crate) fn held(
    table: &str,
    found: impl Iterator<Item = (u32, String, String)>,
    differences: Differences,
) {
    let (mut wrong, mut known) = (String::new(), Vec::new());
    for (id, here, squid) in found {
        known.push(id);
        let squid = &squid;
        match differences.iter().find(|(row, ..)| *row == id) {
            None if here == *squid => {}
            Some((_, wanted, _)) if here == *wanted && here != *squid => {}
            None => writeln!(wrong, "{table}, row {id}: {here}; Squid: {squid}").unwrap(),
            Some((_, wanted, why)) => {
                writeln!(
                    wrong,
                    "{table}, row {id}: {here}; Squid: {squid}; here it is to be {wanted}, since {why}"
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let listed = differences.iter().all(|(id, ..)| known.contains(id));
    assert!(listed, "a row is listed that is not there");
}

/// Runs a test of this program once more, in a network namespace in which the tables' addresses are this machine's.
fn inside_a_namespace(test: &str) {
    let script = format!(
        "ip link set lo up && for net in {NETS}; do ip route add local $net dev lo || exit 1; done && exec \"$@\""
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--", "sh", "-c", &script, "sh"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]);
    command.env(INSIDE, "1");
    let process = Process::start(
        "the test in a namespace (user namespaces have to be allowed)",
        command,
    );
    let ended = process.finish();
    let said = || [ended.out.join("\n"), ended.err.join("\n")].join("\n");
    assert!(ended.status.success(), "{}", said());
    assert!(
        ended.out.iter().any(|line| line.contains("1 passed")),
        "{}",
        said()
    );
}

#[test]
fn an_explicit_proxy_with_users() {
    hold(
        "an_explicit_proxy_with_users",
        "01-explicit-ad",
        "01-explicit-ad",
        &[(15, "deny", "the SNI is known only once the tunnel has begun")],
    );
}

#[test]
fn an_allowlist_that_decrypts_nothing() {
    hold(
        "an_allowlist_that_decrypts_nothing",
        "03-egress-allowlist",
        "03-egress-allowlist",
        &[
            (3, "deny 403", IS_TOLD),
            (
                4,
                "deny 403",
                "a listed SNI carries no other host through: both names are held to the list",
            ),
        ],
    );
}

/// The same in Squid's reading.
#[test]
fn an_allowlist_that_believes_the_sni() {
    hold(
        "an_allowlist_that_believes_the_sni",
        "03-egress-allowlist-believed",
        "03-egress-allowlist",
        &[(
            11,
            "deny",
            "the SNI might have been listed, so that the tunnel has begun",
        )],
    );
}

#[test]
fn exceptions_from_decryption() {
    hold(
        "exceptions_from_decryption",
        "04-bump-all-exceptions",
        "04-bump-all-exceptions",
        &[
            (5, "bump 200 by proxy, direct via", NOT_RESOLVED),
            (
                9,
                "cert-error",
                "a wrong name is let through for hosts that a list names, and not for everybody",
            ),
        ],
    );
}

#[test]
fn the_policy_beside_parents() {
    hold(
        "the_policy_beside_parents",
        "06-parent-chain",
        "06-parent-chain",
        &[(8, "splice 200 by origin, parent", ADDRESS_HAS_NAME)],
    );
}

#[test]
fn headers_that_restrict_tenants() {
    hold(
        "headers_that_restrict_tenants",
        "08-tenant-restrictions",
        "08-tenant-restrictions",
        &[],
    );
}

#[test]
fn one_exception_in_five_ways() {
    hold(
        "one_exception_in_five_ways",
        "11-no-bump-lists",
        "11-no-bump-lists",
        &[
            (2, "splice 200 by origin, direct", ADDRESS_HAS_NAME),
            (
                12,
                "bump 200 by proxy, direct via",
                "a listed SNI carries no other host through",
            ),
            (13, "bump 200 by proxy, direct via", NOT_RESOLVED),
        ],
    );
}

#[test]
fn rules_of_squid_3() {
    hold("rules_of_squid_3", "12-old-style", "12-old-style", &[]);
}
