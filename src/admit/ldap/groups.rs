//! The groups of a user, nested ones included.

use super::config::GroupsBy;
use super::session::{Failure, Searcher, Session, texts};
use super::sid;
use super::template::{Template, Values};
use ldap3::{Scope, SearchEntry};
use std::collections::HashSet;

/// How many objects one filter asks for.
const BATCH: usize = 40;

/// Groups found so far. Groups may hold each other; each is met once.
struct GroupWalk {
    names: Vec<String>,
    seen: HashSet<String>,
    most: usize,
}

impl GroupWalk {
    fn new(most: usize) -> Self {
        Self {
            names: Vec::new(),
            seen: HashSet::new(),
            most,
        }
    }

    /// Whether this group is met for the first time.
    fn meets(&mut self, dn: &str) -> Result<bool, Failure> {
        let new = self.seen.insert(dn.to_lowercase());
        if self.seen.len() > self.most {
            return Err(too_many(self.most));
        }
        Ok(new)
    }
}

fn too_many(most: usize) -> Failure {
    Failure::Directory(format!("the user is in more than {most} groups"))
}

impl Session<'_> {
    /// The names of the groups of the user whose entry is `dn`.
    pub(super) async fn groups(
        &self,
        searcher: &mut Searcher,
        dn: &str,
        name: &str,
    ) -> Result<Vec<String>, Failure> {
        match &self.config.groups.by {
            GroupsBy::None => Ok(Vec::new()),
            GroupsBy::Ad => self.token_groups(searcher, dn).await,
            GroupsBy::MemberOf => self.member_of(searcher, dn).await,
            GroupsBy::Search(filter) => self.groups_with(searcher, filter, dn, name).await,
        }
    }

    /// AD has worked them out ([MS-ADTS] section 3.1.1.4.5.19).
    async fn token_groups(&self, searcher: &mut Searcher, dn: &str) -> Result<Vec<String>, Failure> {
        let entry = self.read(searcher, dn, &["tokenGroups"]).await?;
        let sids = entry.map(|entry| bytes(entry, "tokenGroups")).unwrap_or_default();
        self.names_of(searcher, &sids).await
    }

    /// The names of the groups with these security identifiers. One that is of no group below the base has none: those
    /// of other domains, and well-known ones.
    pub(super) async fn names_of(
        &self,
        searcher: &mut Searcher,
        sids: &[Vec<u8>],
    ) -> Result<Vec<String>, Failure> {
        let groups = &self.config.groups;
        if sids.len() > groups.most {
            return Err(too_many(groups.most));
        }
        let mut names = Vec::new();
        for batch in sids.chunks(BATCH) {
            let any: String = batch.iter().map(|bytes| sid::filter(bytes)).collect();
            let at = (groups.base.as_str(), Scope::Subtree, &*format!("(|{any})"));
            let found = self.search(searcher, at, &[&groups.name], 0).await?;
            self.succeeded(&found.result, &groups.base)?;
            for entry in &found.entries {
                names.extend(texts(entry, &groups.name).first().cloned());
            }
        }
        Ok(names)
    }

    /// By the attribute `memberOf`, level by level.
    async fn member_of(&self, searcher: &mut Searcher, dn: &str) -> Result<Vec<String>, Failure> {
        const MEMBER_OF: &str = "memberOf";
        let config = &self.config.groups;
        let mut groups = GroupWalk::new(config.most);
        let user = self.read(searcher, dn, &[MEMBER_OF]).await?;
        let mut level = user
            .map(|entry| parents(&entry, MEMBER_OF))
            .transpose()?
            .unwrap_or_default();
        for _ in 0..config.depth {
            let mut next = Vec::new();
            for dn in level {
                if !groups.meets(&dn)? {
                    continue;
                }
                // It may have been deleted meanwhile, or be no business of ours.
                let Some(entry) = self.read(searcher, &dn, &[&config.name, MEMBER_OF]).await? else {
                    continue;
                };
                groups.names.extend(texts(&entry, &config.name).first().cloned());
                next.extend(parents(&entry, MEMBER_OF)?);
            }
            level = next;
        }
        Ok(groups.names)
    }

    /// By searches for the groups that name the members, level by level.
    async fn groups_with(
        &self,
        searcher: &mut Searcher,
        filter: &Template,
        dn: &str,
        name: &str,
    ) -> Result<Vec<String>, Failure> {
        let config = &self.config.groups;
        let mut groups = GroupWalk::new(config.most);
        let member = |dn: &str, name: &str| filter.filter(Values { name, dn, domain: "" });
        let mut filters = vec![member(dn, name)];
        for _ in 0..config.depth {
            let mut next = Vec::new();
            for batch in filters.chunks(BATCH) {
                let at = (
                    config.base.as_str(),
                    Scope::Subtree,
                    &*format!("(|{})", batch.concat()),
                );
                let found = self
                    .search(searcher, at, &[&config.name], config.most + 1)
                    .await?;
                // What is not told could be what a rule denies.
                if found.result.rc == 4 {
                    return Err(too_many(config.most));
                }
                self.succeeded(&found.result, &config.base)?;
                for entry in &found.entries {
                    if groups.meets(&entry.dn)? {
                        groups.names.extend(texts(entry, &config.name).first().cloned());
                        // Where members are names, they are users: a group has none, and a DN is nobody's.
                        next.push(member(&entry.dn, &entry.dn));
                    }
                }
            }
            filters = next;
        }
        Ok(groups.names)
    }
}

/// The groups that an entry is a member of.
fn parents(entry: &SearchEntry, attribute: &str) -> Result<Vec<String>, Failure> {
    // AD tells 1500 of them and keeps the rest for another question ([MS-ADTS] section 3.1.1.3.1.3.3).
    let cut = |name: &String| name.to_ascii_lowercase().starts_with("memberof;range=");
    if entry.attrs.keys().any(cut) {
        let text = format!(
            "{} is a member of too many groups for memberOf; use groups = \"ad\"",
            entry.dn
        );
        return Err(Failure::Directory(text));
    }
    Ok(texts(entry, attribute).to_vec())
}

/// The values of a binary attribute. The library takes them for texts if they look like it.
fn bytes(entry: SearchEntry, attribute: &str) -> Vec<Vec<u8>> {
    let is = |name: &str| name.eq_ignore_ascii_case(attribute);
    let texts = entry.attrs.into_iter().filter(|(name, _)| is(name));
    let texts = texts.flat_map(|(_, values)| values.into_iter().map(String::into_bytes));
    let binary = entry.bin_attrs.into_iter().filter(|(name, _)| is(name));
    texts.chain(binary.flat_map(|(_, values)| values)).collect()
}
