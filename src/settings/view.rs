//! `[live]` and `[view]`: who may watch what, while it happens.

use super::files::relative_to;
use super::lists::Lists;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::inspect::{HostScope, Recording, Room};
use crate::live::{LiveSocket, People, SOCKET, TwoPersons, ViewConfig};
use crate::report::AccessLog;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Content is cut as it came and masked as it is read: a secret at the cut has to be whole for that.
const BEYOND: usize = 4096;

/// What copies for those who watch take at most, while they are made.
const UNDER_WAY: usize = 64 << 20;

/// Both tables as written.
#[derive(Debug)]
pub(super) struct ViewTable {
    socket: Option<At<String>>,
    scope: HostScope,
    config: ViewConfig,
    raw: Option<At<bool>>,
    is_unlocked: bool,
}

/// What may be unlocked by two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Locked {
    Raw,
    People,
}

/// The longest that one lets another see.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl ViewTable {
    /// Reads `[live]`.
    pub(super) fn socket(mut section: Section<'_, '_>) -> Option<At<String>> {
        let socket = section.text("socket");
        section.finish();
        socket
    }

    /// Reads `[view]`.
    pub(super) fn read(socket: Option<At<String>>, mut section: Section<'_, '_>, lists: &mut Lists) -> Self {
        let default = ViewConfig::default();
        let people = People::ALL.iter().map(|people| (people.label(), *people));
        let people: Vec<_> = people.collect();
        let content_bytes = section.size("content_bytes", 1..=16 << 20);
        let raw = section.flag_if_any("raw");
        let locked = section.choices("two_persons", &[("raw", Locked::Raw), ("people", Locked::People)]);
        let unlock = section.duration_at("unlock", default.unlock);
        if !(Duration::from_secs(60)..=LONGEST).contains(&unlock.value) {
            section.note(
                &unlock.span,
                "unlock",
                "is not between 1m and 24h; sight of people has an end",
            );
        }
        let table = Self {
            socket,
            scope: HostScope {
                hosts: lists.named(&mut section, "hosts"),
                except: lists.named(&mut section, "except_hosts"),
            },
            config: ViewConfig {
                content: section.flag("content", default.content),
                raw: raw.as_ref().is_some_and(|raw| raw.value),
                people: section.choice("people", &people, default.people),
                content_bytes: content_bytes.map_or(default.content_bytes, |bytes| {
                    usize::try_from(bytes).unwrap_or(usize::MAX)
                }),
                two_persons: TwoPersons {
                    raw: locked.contains(&Locked::Raw),
                    people: locked.contains(&Locked::People),
                },
                unlock: unlock.value,
            },
            is_unlocked: !locked.is_empty(),
            raw: raw.filter(|raw| raw.value),
        };
        section.finish();
        table
    }

    /// What may be watched and how, and by which socket.
    pub(super) fn resolve(
        self,
        audit: &AccessLog,
        data_dir: Option<&Path>,
        notes: &mut Diagnostics,
    ) -> (Option<Recording>, ViewConfig, Option<LiveSocket>) {
        if let Some(raw) = &self.raw {
            if *audit == AccessLog::Off {
                let message = "nobody would know who has looked: name a file in log.audit";
                notes.add(&raw.span, "view.raw", message);
            }
            notes.warn("view.raw is true: who uses the live socket may see passwords, cookies and other secrets in clear");
        }
        let locked = self.config.two_persons;
        if self.is_unlocked && *audit == AccessLog::Off {
            notes.warn("view.two_persons: nobody would know who has let whom: name a file in log.audit");
        }
        if locked.people && self.config.people == People::Show {
            notes.warn("view.two_persons has \"people\", and view.people shows them to everybody: write \"pseudonym\" or \"hide\"");
        }
        if locked.raw && !self.config.raw {
            notes.warn(
                "view.two_persons has \"raw\", and view.raw lets nobody see that: write view.raw = true",
            );
        }
        let socket = match self.socket {
            None => data_dir.map(|dir| LiveSocket {
                path: dir.join(SOCKET),
                is_asked_for: false,
            }),
            Some(At { value, .. }) if value == "off" => None,
            Some(At { value, .. }) => Some(LiveSocket {
                path: relative_to(notes.file(), Path::new(&value)),
                is_asked_for: true,
            }),
        };
        let view = self.config.content.then(|| Recording {
            scope: self.scope,
            body: self.config.content_bytes.saturating_add(BEYOND),
            room: Arc::new(Room::new(UNDER_WAY)),
        });
        (view, self.config, socket)
    }
}
