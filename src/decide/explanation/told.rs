//! How something is treated, and which way it goes, in sentences.

use crate::decide::facts::Facts;
use crate::decide::policy::Policy;
use crate::decide::setting::Says;
use crate::decide::treatment::{Direct, ParentOrder, ProxyProtocolOut, TellClient, WayOut};
use crate::decide::verdict::CertError;
use std::net::IpAddr;

impl Policy {
    /// Which way it goes, a sentence each.
    pub(super) fn told_way(&self, facts: &Facts<'_>, way: &WayOut) -> Vec<String> {
        let by = |has: &dyn Fn(&Says) -> bool| {
            (self.settings.spoken(facts, &self.lists, has))
                .map_or_else(String::new, |source| format!("\n  by {source}"))
        };
        let mut told = Vec::new();
        if !way.parents.is_empty() {
            let names: Vec<&str> = way.parents.iter().map(|name| &**name).collect();
            let (names, order) = (
                names.join(", "),
                match (names.len(), way.order) {
                    (1, _) => "",
                    (_, ParentOrder::First) => ", the first that leads there",
                    (_, ParentOrder::RoundRobin) => ", in turn",
                },
            );
            let direct = match way.direct {
                Direct::Never => "never directly",
                Direct::Last => "directly where none of them leads there",
            };
            told.push(format!(
                "It goes by the parent{} {names}{order}; {direct}{}",
                if way.parents.len() == 1 { "" } else { "s" },
                by(&|says| says.parents.is_some())
            ));
        }
        let leaving = &way.leaving;
        if way.as_client {
            told.push(format!(
                "Its connections to origins come from the client's own address, where both have one of the same family{}",
                by(&|says| says.as_client.is_some())
            ));
        }
        if let Some(sources) = leaving.source {
            let some = [sources.v4.map(IpAddr::V4), sources.v6.map(IpAddr::V6)];
            let some: Vec<String> = some.into_iter().flatten().map(|ip| ip.to_string()).collect();
            told.push(format!(
                "Its {}connections come from {}{}",
                if way.as_client { "other " } else { "" },
                some.join(" and "),
                by(&|says| says.source.is_some())
            ));
        }
        if way.proxy_protocol != ProxyProtocolOut::No {
            told.push(format!(
                "Its origins are told the client's address by the PROXY protocol ({}), before the first byte{}",
                way.proxy_protocol.label(),
                by(&|says| says.proxy_protocol.is_some())
            ));
        }
        if let Some(interface) = &leaving.interface {
            told.push(format!(
                "Its connections leave by {interface}{}",
                by(&|says| says.interface.is_some())
            ));
        }
        if let Some(dscp) = leaving.dscp {
            told.push(format!(
                "Its packets have the DSCP {dscp}{}",
                by(&|says| says.dscp.is_some())
            ));
        }
        if !way.denied.is_empty() {
            let denied: Vec<_> = way.denied.iter().map(ToString::to_string).collect();
            told.push(format!(
                "No origin in {} is dialled for it{}",
                denied.join(", "),
                by(&|says| !says.deny_networks.is_empty())
            ));
        }
        told
    }

    /// How what is decrypted is treated, a sentence each.
    pub(super) fn told_treatment(&self, facts: &Facts<'_>) -> Vec<String> {
        let treatment = self.treatment(facts);
        let by = |has: &dyn Fn(&Says) -> bool| {
            (self.settings.spoken(facts, &self.lists, has))
                .map_or_else(String::new, |source| format!("\n  by {source}"))
        };
        let mut told = vec![match treatment.cert_error {
            CertError::Allow => format!(
                "A certificate that does not verify is accepted{}",
                by(&|says| says.allow_invalid_certificate.is_some())
            ),
            CertError::Deny => {
                "A certificate that does not verify is answered with an error page.".to_owned()
            }
        }];
        if !treatment.may_speak_http2 {
            told.push(format!(
                "HTTP/2 is not offered{}",
                by(&|says| says.only_http1.is_some())
            ));
        }
        if !treatment.via && self.settings.usual().via {
            told.push(format!(
                "No Via header is added{}",
                by(&|says| says.via.is_some())
            ));
        }
        if !treatment.inspects {
            told.push(format!(
                "No rule looks at its content{}",
                by(&|says| says.inspect.is_some())
            ));
        }
        for (what, services, has) in [
            (
                "requests",
                &treatment.adapt_requests,
                (&|says: &Says| says.adapt_requests.is_some()) as &dyn Fn(&Says) -> bool,
            ),
            ("responses", &treatment.adapt_responses, &|says: &Says| {
                says.adapt_responses.is_some()
            }),
        ] {
            if !services.is_empty() {
                let names: Vec<&str> = services.iter().map(|name| &**name).collect();
                told.push(format!(
                    "Its {what} may be changed by {}{}",
                    names.join(", then "),
                    by(has)
                ));
            }
        }
        let field = match treatment.tell_client {
            TellClient::No => None,
            TellClient::XForwardedFor => Some("X-Forwarded-For"),
            TellClient::Forwarded => Some("Forwarded"),
        };
        if let Some(field) = field {
            let (place, has): (_, fn(&Says) -> bool) = match treatment.tells_client_alone {
                true => ("in the place of", |says| says.tell_client_alone.is_some()),
                false => ("behind", |says| says.tell_client.is_some()),
            };
            told.push(format!(
                "Its origins are told the client's address in {field}, {place} what the request says of it{}",
                by(&has)
            ));
        }
        for (of, edits) in [
            ("requests", &treatment.headers),
            ("responses", &treatment.response_headers),
        ] {
            told.extend(edits.iter().map(|edit| format!("In its {of} {edit}")));
        }
        if treatment.pages_for_connect {
            told.push(format!(
                "If it cannot be reached, its CONNECT is granted, and the reason told inside{}",
                by(&|says| says.pages_for_connect.is_some())
            ));
        }
        if treatment.client_certificate.is_some() {
            told.push(format!(
                "The origin is shown a client certificate{}",
                by(&|says| says.client_certificate.is_some())
            ));
        }
        told
    }
}
