//! A real OpenLDAP server, with a directory of its own.

use crate::admit::ldap::LdapUrl;
use crate::tls::testing::Identity;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(super) const BASE: &str = "dc=corp,dc=example";
pub(super) const SERVICE: &str = "cn=wsbump,dc=corp,dc=example";
pub(super) const PASSWORD: &str = "open sesame";

/// Users by uid. Everybody's password is [`PASSWORD`].
const USERS: [(&str, &str); 6] = [
    ("ada", "ou=people"),
    ("a*a", "ou=people"),
    (r"wei(rd\name)", "ou=people"),
    ("Zoë, the +1", "ou=people"),
    ("twin", "ou=people"),
    ("stranger", "ou=elsewhere"),
];

/// Groups, their members, and the groups that they are members of by `memberOf`. staff and ring hold each other.
const GROUPS: [(&str, &[&str], &[&str]); 4] = [
    (
        "staff",
        &["uid=ada,ou=people", "cn=ring,ou=groups"],
        &["web-users", "ring"],
    ),
    ("web-users", &["cn=staff,ou=groups"], &["web, full"]),
    ("web, full", &["cn=web-users,ou=groups"], &[]),
    ("ring", &["cn=staff,ou=groups"], &["staff"]),
];

pub(super) struct Slapd {
    folder: tempfile::TempDir,
    process: Child,
    pub(super) identity: Identity,
    plain: u16,
    tls: u16,
}

impl Slapd {
    /// Starts one, with referrals to `elsewhere`, and waits until it answers.
    pub(super) fn start(elsewhere: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::new(&["127.0.0.1"]);
        let path = folder.path();
        write_files(path, &identity, elsewhere);
        let loaded = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(path.join("slapd.conf"))
            .arg("-l")
            .arg(path.join("data.ldif"))
            .output()
            .unwrap();
        assert!(
            loaded.status.success(),
            "{}",
            String::from_utf8_lossy(&loaded.stderr)
        );
        let (process, plain, tls) = run(path);
        Self {
            folder,
            process,
            identity,
            plain,
            tls,
        }
    }

    pub(super) fn ldap(&self) -> LdapUrl {
        LdapUrl::parse(&format!("ldap://127.0.0.1:{}", self.plain)).unwrap()
    }

    pub(super) fn ldaps(&self) -> LdapUrl {
        LdapUrl::parse(&format!("ldaps://127.0.0.1:{}", self.tls)).unwrap()
    }

    /// Ends it and starts it again on the same ports.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.process = run_on(self.folder.path(), self.plain, self.tls).expect("it starts on the same ports");
    }

    pub(super) fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Its log so far.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// On free ports: another process may take one before slapd does.
fn run(folder: &Path) -> (Child, u16, u16) {
    for _ in 0..10 {
        // Both at once, so that they differ; they are free again at the end of the block.
        let [plain, tls] = {
            let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            free.map(|listener| listener.local_addr().unwrap().port())
        };
        if let Some(process) = run_on(folder, plain, tls) {
            return (process, plain, tls);
        }
    }
    panic!(
        "slapd does not start: {}",
        fs::read_to_string(folder.join("log")).unwrap()
    );
}

fn run_on(folder: &Path, plain: u16, tls: u16) -> Option<Child> {
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut process = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "--",
            "/usr/sbin/slapd",
            "-d",
            "stats",
            "-f",
        ])
        .arg(folder.join("slapd.conf"))
        .arg("-h")
        .arg(format!("ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{tls}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    loop {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        let log = fs::read_to_string(folder.join("log")).unwrap();
        // It says so before it listens.
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        if log.contains("slapd starting") && listens(plain) && listens(tls) {
            return Some(process);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn write_files(folder: &Path, identity: &Identity, elsewhere: &str) {
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("cert.pem"), pem(&identity.cert)).unwrap();
    fs::write(folder.join("key.pem"), identity.key.serialize_pem()).unwrap();
    let at = folder.display();
    let conf = format!(
        r#"include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {at}/pid
TLSCertificateFile {at}/cert.pem
TLSCertificateKeyFile {at}/key.pem
security simple_bind=0
database mdb
maxsize 16777216
suffix "{BASE}"
directory {at}/data
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=hidden,{BASE}" by * none
access to * by users read by * none
overlay memberof
"#
    );
    fs::write(folder.join("slapd.conf"), conf).unwrap();
    fs::write(folder.join("data.ldif"), data(elsewhere)).unwrap();
}

fn data(elsewhere: &str) -> String {
    let mut ldif = format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n\n\
         dn: {SERVICE}\nobjectClass: person\ncn: wsbump\nsn: wsbump\nuserPassword: {PASSWORD}\n\n"
    );
    for unit in ["people", "elsewhere", "groups"] {
        ldif += &format!("dn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n\n");
    }
    // What a client that follows referrals would ask as nobody.
    for (name, below) in [("away", "ou=people"), ("groups-away", "ou=groups")] {
        ldif += &format!(
            "dn: ou={name},{below},{BASE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: {name}\n\
             ref: {elsewhere}/ou={name}\n\n"
        );
    }
    for (uid, unit) in USERS {
        let groups: String = GROUPS
            .iter()
            .filter(|(_, members, _)| members.contains(&&*format!("uid={uid},{unit}")))
            .map(|(group, ..)| format!("memberOf: {}\n", group_dn(group)))
            .collect();
        let dn = base64(format!("uid={},{unit},{BASE}", ldap3::dn_escape(uid)));
        ldif += &format!(
            "dn:: {dn}\nobjectClass: inetOrgPerson\nuid:: {0}\ncn:: {0}\nsn:: {0}\nmail: {1}@corp.example\n\
             userPassword: {PASSWORD}\n{groups}\n",
            base64(uid),
            uid.chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>(),
        );
    }
    // A second one with the same mail address.
    ldif += &format!(
        "dn: uid=twin2,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: twin2\ncn: twin2\nsn: twin2\n\
         mail: twin@corp.example\nuserPassword: {PASSWORD}\n\n"
    );
    // One without a password.
    ldif += &format!(
        "dn: uid=mute,ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: mute\ncn: mute\nsn: mute\n\n"
    );
    for (name, members, parents) in GROUPS {
        let members: String = members
            .iter()
            .map(|dn| format!("member: {dn},{BASE}\n"))
            .collect();
        let parents: String = parents
            .iter()
            .map(|name| format!("memberOf: {}\n", group_dn(name)))
            .collect();
        ldif += &format!(
            "dn: {}\nobjectClass: groupOfNames\ncn: {name}\n{members}{parents}\n",
            group_dn(name)
        );
    }
    ldif
}

fn group_dn(name: &str) -> String {
    format!("cn={},ou=groups,{BASE}", ldap3::dn_escape(name))
}

fn pem(der: &[u8]) -> String {
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        base64(der)
    )
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
