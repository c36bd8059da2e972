//! Users who are named without a password: by tokens, certificates, and the address of a login before; and the groups of those who
//! are named without any.

use super::Admission;
use crate::admit::bearer::{Borne, TokenUser};
use crate::admit::certificate::Certified;
use crate::admit::challenge::{Admitted, Scheme, Unproven, Unsure};
use crate::admit::login::{Ticketed, Verified};
use crate::admit::watch::Source;
use crate::identity::{Identity, Proof};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

impl Admission {
    /// Whom a token shows, if nobody has to be asked for that.
    pub(super) fn borne_at_hand(&self, token: &[u8], client: IpAddr) -> Option<Arc<Identity>> {
        let user = self.bearer.as_ref()?.remembered(token, SystemTime::now())?;
        let (identity, asked) = self.token_user(user)?;
        let identity = Arc::new(self.with_groups_at_hand(identity, asked)?);
        self.accepted(Scheme::Bearer, &identity, Source::Credentials, client);
        Some(identity)
    }

    /// Whether clients of a listener that speaks TLS are asked for certificates.
    pub fn asks_certificates_at(&self, listener: &str) -> bool {
        let certificate = self.config.certificate.as_ref();
        certificate.is_some_and(|certificate| certificate.asks_at(listener))
    }

    /// Who a connection is of whose client has shown this certificate, which was verified; `None` if it names nobody.
    pub fn certified(&self, leaf: &[u8], client: IpAddr) -> Option<Arc<Certified>> {
        match self.config.certificate.as_ref()?.read(leaf, &self.config.names) {
            Ok(certified) => Some(Arc::new(certified)),
            Err(why) => {
                self.bad_certificate(client, &why);
                None
            }
        }
    }

    /// A client's certificate was not accepted, or there was none where there has to be one.
    pub fn bad_certificate(&self, client: IpAddr, why: &str) {
        self.challenge(
            Scheme::Certificate,
            Unproven::BadCertificate,
            Source::Credentials,
            client,
            None,
            Some(why),
        );
    }

    /// Who it is by the certificate of its connection, if nobody has to be asked for its groups.
    pub fn certified_at_hand(&self, certified: &Certified, client: IpAddr) -> Option<Arc<Identity>> {
        let (identity, asked) = self.groups_to_ask(certified.identity.clone());
        let identity = Arc::new(self.with_groups_at_hand(identity, asked)?);
        self.accepted(Scheme::Certificate, &identity, Source::Connection, client);
        Some(identity)
    }

    /// Who it is by the certificate of its connection.
    pub async fn judge_certified(&self, certified: &Certified, client: IpAddr) -> Admitted {
        let (identity, asked) = self.groups_to_ask(certified.identity.clone());
        match self.with_groups(identity, asked).await {
            Ok(identity) => self.accept(
                Scheme::Certificate,
                Arc::new(identity),
                Source::Connection,
                client,
            ),
            Err((name, unsure)) => self.unsure(
                Scheme::Certificate,
                Source::Directory,
                unsure,
                client,
                Some(&name),
            ),
        }
    }

    pub(super) async fn borne(&self, borne: Borne, client: IpAddr) -> Admitted {
        let unproven = |why, detail: &str| {
            self.challenge(
                Scheme::Bearer,
                why,
                Source::Credentials,
                client,
                None,
                Some(detail),
            )
        };
        match borne {
            Borne::User(user) => {
                let Some((identity, asked)) = self.token_user(user) else {
                    return unproven(Unproven::BadToken, "the user's name in it cannot be one here");
                };
                match self.with_groups(identity, asked).await {
                    Ok(identity) => {
                        self.accept(Scheme::Bearer, Arc::new(identity), Source::Credentials, client)
                    }
                    Err((name, unsure)) => {
                        self.unsure(Scheme::Bearer, Source::Directory, unsure, client, Some(&name))
                    }
                }
            }
            Borne::Unproven { why, detail } => unproven(why, &detail),
            Borne::Unsure(unsure, source) => self.unsure(Scheme::Bearer, source, unsure, client, None),
        }
    }

    /// The user of a token, and what a directory may be asked for its groups, which knows nothing of users of other domains.
    fn token_user(&self, user: TokenUser) -> Option<(Identity, Option<Ticketed>)> {
        let asks = user.groups.is_none();
        let identity = self.config.names.identity(
            &Verified {
                name: user.name,
                groups: user.groups.unwrap_or_default(),
            },
            Proof::Bearer,
        )?;
        match asks {
            true => Some(self.groups_to_ask(identity)),
            false => Some((identity, None)),
        }
    }

    /// What a directory may be asked for the groups of somebody who has shown none.
    fn groups_to_ask(&self, identity: Identity) -> (Identity, Option<Ticketed>) {
        let is_ours = self.groups.is_some() && !identity.name.contains('@');
        let asked = is_ours.then(|| Ticketed::User(identity.name.to_string()));
        (identity, asked)
    }

    /// The user with its groups, if nobody has to be asked for them.
    fn with_groups_at_hand(&self, identity: Identity, asked: Option<Ticketed>) -> Option<Identity> {
        match (&self.groups, asked) {
            (Some(groups), Some(asked)) => {
                let names = groups.at_hand(&asked)?;
                let groups = identity.groups.iter().chain(&*names).cloned().collect();
                Some(Identity { groups, ..identity })
            }
            _ => Some(identity),
        }
    }

    /// The user with the names of its groups beside their identifiers, where there is a directory that knows them.
    pub(super) async fn with_groups(
        &self,
        mut identity: Identity,
        asked: Option<Ticketed>,
    ) -> Result<Identity, (Arc<str>, Unsure)> {
        if let (Some(groups), Some(asked)) = (&self.groups, asked) {
            match groups.of(&asked).await {
                Ok(names) => identity.groups = identity.groups.iter().chain(&*names).cloned().collect(),
                Err(unsure) => return Err((identity.name, unsure)),
            }
        }
        Ok(identity)
    }

    /// Who has logged in from this address before, not too long ago.
    pub fn by_address(&self, client: IpAddr) -> Option<Arc<Identity>> {
        let identity = self.addresses.as_ref()?.user(client, Instant::now())?;
        self.accepted(Scheme::Address, &identity, Source::Address, client);
        Some(identity)
    }
}
