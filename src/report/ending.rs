//! How connections end.

use crate::dial::DialOutcome;
use crate::handshake::HandshakeOutcome;
use crate::handshake::forge::ForgeError;
use crate::http::HttpError;
use crate::relay::{End, OpaqueEnd};

/// Makes [`Ending`] from words of its own and from what stages say: whatever is added is at zero in the metrics.
macro_rules! endings {
    (
        $(#[$about:meta])*
        own { $($(#[$meaning:meta])* $own:ident = $label:literal,)+ }
        of { $($(#[$whose:meta])* $stage:ident($kind:ty) = $all:expr,)+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Ending {
            $($(#[$meaning])* $own,)+
            $($(#[$whose])* $stage($kind),)+
        }

        impl Ending {
            /// Every ending, for metrics that start at zero. Some share a label.
            pub fn all() -> impl Iterator<Item = Self> {
                let own = [$(Self::$own),+].into_iter();
                $(let own = own.chain($all.into_iter().map(Self::$stage));)+
                own
            }

            /// The metric label and log word.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$own => $label,)+
                    $(Self::$stage(kind) => kind.label(),)+
                }
            }
        }

        $(impl From<$kind> for Ending {
            fn from(kind: $kind) -> Self {
                Self::$stage(kind)
            }
        })+
    };
}

endings! {
    /// How a client's connection ended: by a word of its own, or by what a stage says.
    own {
        /// Whoever ended it did so between requests, or after the Close of a WebSocket.
        Ok = "ok",
        /// The client left before it had asked for anything that could be decided.
        Closed = "closed",
        /// The proxy is draining, and the client had not asked for anything yet.
        Drained = "drained",
        /// The client did not send a whole request, or did not begin HTTP/2, in time.
        RequestTimeout = "request_timeout",
        /// Reading from the client or writing to it failed before a relay began.
        ClientIo = "client_io",
        /// The kernel does not know where a connection was meant to go.
        NoOriginalDestination = "no_original_destination",
        /// A peer that has to say whose connection it is by the PROXY protocol has not.
        ProxyProtocol = "proxy_protocol_error",
        /// TLS with the proxy itself failed; the metric of its handshakes knows the kinds.
        ListenerTlsFailed = "listener_tls_failed",
        /// No certificate could be made for the client.
        ForgeFailed = "forge_failed",
        /// The CA has expired, and signs nothing any more.
        CaExpired = "ca_expired",
        /// What was first sent is neither TLS nor HTTP, and the policy does not let that pass.
        Refused = "refused",
        /// The policy lets nobody reach the target.
        Denied = "http_request_denied",
        /// The proxy has as many connections as it may have.
        ConnectionLimitReached = "connection_limit_reached",
        /// The operator has closed it.
        ClosedByOperator = "closed_by_operator",
        /// It was given up before it had ended: a panic, or the end of a drain.
        Aborted = "aborted",
    }
    of {
        /// The origin could not be reached.
        Dial(DialOutcome) = DialOutcome::ALL,
        /// A TLS handshake with the client failed; one with the origin is what it is to its requests.
        Handshake(HandshakeOutcome) = HandshakeOutcome::ALL
            .into_iter()
            .filter(|outcome| outcome.may_fail_client()),
        /// HTTP ended in the middle of an exchange.
        Http(HttpError) = HttpError::all(),
        /// A relay ended.
        Relay(End) = End::all(),
    }
}

impl From<&ForgeError> for Ending {
    fn from(error: &ForgeError) -> Self {
        match error {
            ForgeError::CaExpired(_) => Self::CaExpired,
            ForgeError::Unreadable(_) | ForgeError::Mint(_) | ForgeError::Tls(_) => Self::ForgeFailed,
        }
    }
}

impl From<OpaqueEnd> for Ending {
    fn from(end: OpaqueEnd) -> Self {
        match end {
            OpaqueEnd::Done => Self::Ok,
            OpaqueEnd::Idle => Self::Relay(End::Idle),
            OpaqueEnd::Recalled(why) => Self::Relay(End::Recalled(why)),
            OpaqueEnd::Io(side, _) => Self::Relay(End::Io(side)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Side;
    use crate::wire::frame::Violation;

    #[test]
    fn endings_of_stages_have_the_stages_labels() {
        for (ending, label) in [
            (Ending::from(DialOutcome::Forbidden), "destination_ip_prohibited"),
            (
                Ending::from(HandshakeOutcome::ClientRefusedCa),
                "client_refused_ca",
            ),
            (Ending::from(HttpError::CertificateError), "tls_certificate_error"),
            (Ending::from(HttpError::Aborted(Side::Client)), "client_aborted"),
            (
                Ending::from(End::Violation(Side::Origin, Violation::Masked)),
                "protocol_error",
            ),
            (Ending::from(OpaqueEnd::Done), "ok"),
            (Ending::from(OpaqueEnd::Idle), "idle"),
            (Ending::Denied, "http_request_denied"),
        ] {
            assert_eq!(ending.label(), label);
            assert!(Ending::all().any(|known| known == ending), "{label}");
        }
        // A handshake that went well ends nothing.
        assert!(Ending::all().all(|ending| !["full", "resumed"].contains(&ending.label())));
    }

    #[test]
    fn the_docs_tell_every_ending_and_no_other() {
        let docs = include_str!("../../docs/access-log.md");
        let (_, table) = docs.split_once("### How connections end\n").unwrap();
        let rows = table
            .split("\n#")
            .next()
            .unwrap()
            .lines()
            .filter(|line| line.starts_with("| `"));
        let mut told: Vec<_> = rows
            .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
            .map(|word| word.trim().trim_matches('`'))
            .filter(|word| *word != "outcome")
            .collect();
        told.sort_unstable();
        let mut labels: Vec<_> = Ending::all().map(Ending::label).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(told, labels);
    }
}
