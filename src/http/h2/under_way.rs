//! A request under way on a stream.

use crate::decide::Treatment;
use crate::http::context::ExchangeContext;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::pace::Pace;
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::served::UpgradeHandler;
use crate::http::h2::leg::Activity;
use crate::http::inspected::adapting::Adapter;
use crate::http::inspected::exchange::InspectedExchange;
use crate::http::pages::Audience;
use crate::wire::names::Authority;
use ::h2::client::SendRequest;
use ::h2::server::SendResponse;
use bytes::Bytes;
use http::HeaderMap;
use http::uri::Scheme;
use std::pin::Pin;
use std::sync::Arc;

/// What the streams of one connection have in common.
#[derive(Clone)]
pub(in crate::http) struct StreamContext {
    pub(in crate::http) context: ExchangeContext,
    /// What their URLs begin with.
    pub(in crate::http) base: String,
    pub(in crate::http) scheme: Scheme,
    pub(in crate::http) target: Authority,
    pub(in crate::http) sni: Option<String>,
    pub(in crate::http) activity: Activity,
    pub(in crate::http) sender: SendRequest<Bytes>,
    /// Relays what leaves HTTP.
    pub(in crate::http) onward: Arc<dyn UpgradeHandler>,
}

/// How a stream ended, as far as its connection minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum StreamEnd {
    /// By itself.
    Regular,
    /// The client took it back.
    Reset,
}

/// What a stream came to.
pub(in crate::http) enum Done {
    /// It is over.
    Ended(StreamEnd),
    /// It has left HTTP, and is relayed by this to its end.
    GoesOn(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl StreamContext {
    /// The same for a request with these fields, which say whose it is where that is believed.
    pub(in crate::http) fn hearing(self: Arc<Self>, headers: &HeaderMap) -> Arc<Self> {
        if self.context.forwarded.is_none() {
            return self;
        }
        let context = self.context.apart();
        context.hear(headers);
        Arc::new(Self {
            context,
            ..Self::clone(&self)
        })
    }

    pub(in crate::http) fn destination(&self) -> Destination<'_> {
        Destination::new(self.scheme.clone(), &self.target, self.sni.as_deref())
    }
}

/// A request under way.
pub(in crate::http) struct StreamExchange<'a> {
    pub(in crate::http) shared: &'a StreamContext,
    pub(in crate::http) to: Destination<'a>,
    pub(in crate::http) audience: Audience,
    pub(in crate::http) respond: SendResponse<Bytes>,
    pub(in crate::http) inspected: Option<Box<InspectedExchange>>,
    pub(in crate::http) adapter: Option<Box<Adapter>>,
    pub(in crate::http) record: ExchangeRecord,
    pub(in crate::http) treatment: Arc<Treatment>,
    /// How fast its content has to come.
    pub(in crate::http) pace: Pace,
}
