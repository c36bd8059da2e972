//! An Active Directory domain of the tests' own, which all tests share: `tests/peers/ad_domain.py`.

use super::process::Process;
use super::{root, scratch};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A domain whose controller runs.
pub(crate) struct Domain {
    facts: Value,
    /// Ticket caches.
    folder: PathBuf,
    _controller: Process,
}

/// The one domain; it takes some seconds to make.
pub(crate) fn domain() -> &'static Domain {
    static DOMAIN: OnceLock<Domain> = OnceLock::new();
    DOMAIN.get_or_init(|| {
        // It is shared, and so outlives each test.
        let folder = scratch().keep();
        let mut command = python("ad_domain.py");
        command.arg(folder.join("domain"));
        let controller = Process::start("ad_domain.py", command);
        let facts = controller.out("the facts of the domain", |line| serde_json::from_str(line).ok());
        Domain {
            facts,
            folder,
            _controller: controller,
        }
    })
}

/// A script in `tests/peers/`, run by the system's own Python, which has the modules of Samba and Kerberos.
fn python(script: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(root().join("tests/peers").join(script));
    command
}

impl Domain {
    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    /// The keytab of the proxy's account: HTTP/localhost and HTTP/proxy.corp.example.
    pub(crate) fn keytab(&self) -> &Path {
        Path::new(self.fact("keytab"))
    }

    /// The keytab of `ada`, who logs in by it.
    pub(crate) fn own_keytab(&self) -> &Path {
        Path::new(self.fact("own_keytab"))
    }

    /// Where tickets are had.
    pub(crate) fn kdc(&self) -> &str {
        self.fact("address")
    }

    /// The identifier of a group.
    pub(crate) fn sid(&self, group: &str) -> &str {
        self.facts["groups"][group].as_str().unwrap()
    }

    /// Where its directory is asked.
    pub(crate) fn ldaps(&self) -> String {
        format!("ldaps://{}", self.fact("address"))
    }

    /// Who signed the certificate of its directory.
    pub(crate) fn ca(&self) -> &Path {
        Path::new(self.fact("ca"))
    }

    /// The entry that everything is below.
    pub(crate) fn base(&self) -> &str {
        self.fact("base")
    }

    /// Everybody's password.
    pub(crate) fn password(&self) -> &str {
        self.fact("password")
    }

    /// The environment of somebody who has logged in, which clients find the tickets in.
    pub(crate) fn login(&self, user: &str) -> [(&'static str, String); 2] {
        let cache = scratch().keep().join("tickets");
        let env = self.env(&cache);
        let mut command = Command::new("kinit");
        command.args(["-E", user]).envs(env.clone());
        let mut kinit = Process::start("kinit", command);
        kinit.say(self.password());
        let done = kinit.finish();
        assert!(done.status.success(), "{:?} {:?}", done.out, done.err);
        env
    }

    /// The environment of somebody who knows the domain, and has no ticket.
    pub(crate) fn stranger(&self) -> [(&'static str, String); 2] {
        self.env(&self.folder.join("none"))
    }

    fn env(&self, cache: &Path) -> [(&'static str, String); 2] {
        [
            ("KRB5_CONFIG", self.fact("krb5_conf").to_owned()),
            ("KRB5CCNAME", format!("FILE:{}", cache.display())),
        ]
    }

    /// A client that tells a token for the proxy at `localhost`, and then reads what the proxy answers; it ends well if
    /// that proves that it is the proxy.
    pub(crate) fn verifier(&self, env: &[(&'static str, String); 2]) -> Process {
        let mut command = python("gssapi_token.py");
        command.args(["localhost", "verify"]).envs(env.clone());
        Process::start("gssapi_token.py", command)
    }

    /// A token for the proxy at `localhost`, in base64, by a ticket that `login` got.
    pub(crate) fn token(&self, env: &[(&'static str, String); 2]) -> String {
        let mut command = python("gssapi_token.py");
        command.arg("localhost").envs(env.clone());
        let done = Process::start("gssapi_token.py", command).finish();
        assert!(done.status.success(), "{:?}", done.err);
        done.out.join("")
    }
}
