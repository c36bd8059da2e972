//! What somebody who watches wants to see. It is asked before anything is copied.

use super::event::{LiveTopic, LiveTopics};
use super::people::{People, Pseudonyms};
use crate::accept::Who;
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::{Authority, Host};
use memchr::memmem;
use std::num::NonZeroU32;
use std::time::Instant;

/// What somebody who watches wants to see; what is `None` is of no matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveFilter {
    /// What events are about.
    pub topics: LiveTopics,
    /// A host, and all below it.
    pub host: Option<String>,
    /// A client, as clients are called here.
    pub client: Option<String>,
    /// A user, as users are called here.
    pub user: Option<String>,
    /// The number of a connection.
    pub connection: Option<u64>,
    /// The number of a WebSocket.
    pub websocket: Option<u64>,
    /// Messages that go this way.
    pub direction: Option<Direction>,
    /// Messages of this kind.
    pub opcode: Option<Opcode>,
    /// Messages and bodies that hold this.
    pub text: Option<String>,
    /// Messages and bodies of at least so many bytes.
    pub at_least: Option<u64>,
    /// Messages and bodies of at most so many bytes.
    pub at_most: Option<u64>,
    /// One of so many messages and exchanges.
    pub sample: Option<NonZeroU32>,
    /// Until then people are called by their names, whatever they are called for others.
    pub names_until: Option<Instant>,
}

/// What is about to be told, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// Its topic.
    pub topic: LiveTopic,
    /// Whose it is.
    pub who: Option<&'a Who>,
    /// The host that it is about.
    pub host: Option<&'a Authority>,
    /// The number of the WebSocket.
    pub websocket: Option<u64>,
    /// Which way it goes.
    pub direction: Option<Direction>,
    /// What kind of message it is.
    pub opcode: Option<Opcode>,
    /// Its content.
    pub data: Option<&'a [u8]>,
    /// The whole size of that in bytes.
    pub size: Option<u64>,
    /// The number of the exchange.
    pub exchange: Option<u64>,
}

impl<'a> Passing<'a> {
    /// Of nobody and about nothing yet.
    pub const fn of(topic: LiveTopic) -> Self {
        Self {
            topic,
            who: None,
            host: None,
            websocket: None,
            direction: None,
            opcode: None,
            data: None,
            size: None,
            exchange: None,
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn who(self, who: &'a Who) -> Self {
        Self {
            who: Some(who),
            ..self
        }
    }

    /// The host that it is about.
    #[must_use]
    pub const fn host(self, host: Option<&'a Authority>) -> Self {
        Self { host, ..self }
    }
}

impl LiveFilter {
    /// Whether content of this host may be wanted, whoever its client is.
    pub fn wants_content_of(&self, name: &Authority) -> bool {
        self.topics.has_content() && self.is_host(&name.host)
    }

    /// Whether it is wanted, as far as that can be told before it is masked.
    pub fn wants(&self, passing: &Passing<'_>, people: People, pseudonyms: &Pseudonyms) -> bool {
        let Self {
            topics,
            host,
            client,
            user,
            connection,
            websocket,
            direction,
            opcode,
            text,
            at_least,
            at_most,
            // Of what is wanted, the subscription counts.
            sample: _,
            names_until,
        } = self;
        let people = people.until(*names_until);
        let who = passing.who;
        let is =
            |wanted: &Option<String>, called: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(called);
        topics.contains(passing.topic)
            && connection.is_none_or(|wanted| who.is_some_and(|who| who.connection == wanted))
            && websocket.is_none_or(|wanted| passing.websocket == Some(wanted))
            && direction.is_none_or(|wanted| passing.direction.is_none_or(|way| way == wanted))
            && opcode.is_none_or(|wanted| passing.opcode.is_none_or(|kind| kind == wanted))
            && at_least.is_none_or(|wanted| passing.size.is_none_or(|size| size >= wanted))
            && at_most.is_none_or(|wanted| passing.size.is_none_or(|size| size <= wanted))
            && (host.is_none() || passing.host.is_some_and(|name| self.is_host(&name.host)))
            && is(client, &|wanted| {
                let called = who.and_then(|who| pseudonyms.client(people, who.client));
                called.is_some_and(|called| called == wanted)
            })
            && is(user, &|wanted| {
                let user = who.and_then(|who| who.user.as_deref());
                let called = user.and_then(|user| pseudonyms.user(people, user));
                called.is_some_and(|called| called.eq_ignore_ascii_case(wanted))
            })
            && is(text, &|wanted| match passing.data {
                // A mask puts asterisks where none were. What is behind a mask is asked of again once it is masked.
                Some(data) => wanted.contains('*') || memmem::find(data, wanted.as_bytes()).is_some(),
                None => true,
            })
    }

    fn is_host(&self, host: &Host) -> bool {
        let Some(wanted) = self.host.as_deref() else {
            return true;
        };
        match host {
            Host::Name(name) => {
                let at = name.len().checked_sub(wanted.len());
                at.and_then(|at| Some((name.get(..at)?, name.get(at..)?)))
                    .is_some_and(|(above, end)| {
                        end.eq_ignore_ascii_case(wanted) && (above.is_empty() || above.ends_with('.'))
                    })
            }
            Host::Ip(address) => wanted
                .parse()
                .is_ok_and(|wanted: std::net::IpAddr| wanted == *address),
        }
    }
}

/// The host of a URL.
pub fn host_of(url: &str) -> Option<Authority> {
    let (scheme, rest) = url.split_once("://")?;
    let port = if scheme.ends_with('s') { 443 } else { 80 };
    Authority::parse(rest.split(['/', '?', '#']).next()?, Some(port))
}

/// A host of which only the name is known; nearly all are asked by HTTPS.
pub fn host_named(name: &str) -> Option<Authority> {
    Authority::parse(name, Some(443))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use std::sync::Arc;

    fn who() -> Who {
        Who {
            connection: 7,
            client: "192.0.2.1".parse().unwrap(),
            user: Some(Arc::new(Identity::from("ada"))),
        }
    }

    fn wants(people: People, filter: impl FnOnce(&mut LiveFilter)) -> bool {
        let mut all = LiveFilter {
            topics: LiveTopics::NONE.with(LiveTopic::Messages),
            ..LiveFilter::default()
        };
        filter(&mut all);
        let (who, host) = (
            who(),
            Authority::parse("wss-primary.slack.com", Some(443)).unwrap(),
        );
        let passing = Passing {
            websocket: Some(3),
            direction: Some(Direction::ToClient),
            opcode: Some(Opcode::Text),
            data: Some(b"hello there"),
            size: Some(11),
            ..Passing::of(LiveTopic::Messages).who(&who).host(Some(&host))
        };
        all.wants(&passing, people, &Pseudonyms::default())
    }

    #[test]
    fn each_part_of_a_filter_must_hold() {
        let host = |name: &'static str| move |filter: &mut LiveFilter| filter.host = Some(name.into());
        assert!(wants(People::Show, |_| {}));
        for (name, right) in [
            ("slack.com", true),
            ("SLACK.com", true),
            ("wss-primary.slack.com", true),
            ("primary.slack.com", false),
            ("notslack.com", false),
            ("com.example", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(wants(People::Show, host(name)), right, "{name}");
        }
        for (right, filter) in [
            (
                true,
                &(|it: &mut LiveFilter| it.client = Some("192.0.2.1".into())) as &dyn Fn(&mut LiveFilter),
            ),
            (false, &|it| it.client = Some("192.0.2.2".into())),
            (true, &|it| it.user = Some("Ada".into())),
            (false, &|it| it.user = Some("ben".into())),
            (true, &|it| it.connection = Some(7)),
            (false, &|it| it.connection = Some(8)),
            (true, &|it| it.websocket = Some(3)),
            (false, &|it| it.websocket = Some(4)),
            (true, &|it| it.direction = Some(Direction::ToClient)),
            (false, &|it| it.direction = Some(Direction::ToOrigin)),
            (false, &|it| it.opcode = Some(Opcode::Binary)),
            (true, &|it| it.text = Some("lo th".into())),
            (false, &|it| it.text = Some("bye".into())),
            (true, &|it| it.text = Some("****".into())),
            (true, &|it| it.at_least = Some(11)),
            (false, &|it| it.at_least = Some(12)),
            (true, &|it| it.at_most = Some(11)),
            (false, &|it| it.at_most = Some(10)),
            (false, &|it| it.topics = LiveTopics::rows()),
        ] {
            assert_eq!(wants(People::Show, filter), right);
        }
    }

    #[test]
    fn whoever_is_called_by_another_word_is_not_found_by_name() {
        for people in [People::Pseudonym, People::Hide] {
            assert!(!wants(people, |it| it.user = Some("ada".into())));
            assert!(!wants(people, |it| it.client = Some("192.0.2.1".into())));
        }
    }
}
