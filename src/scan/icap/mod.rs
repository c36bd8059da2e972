//! An ICAP client (RFC 3507).
//!
//! The whole content is at hand, so `204` is always allowed. What an answer means:
//!
//! | answer | outcome |
//! |---|---|
//! | 204, or 200 with the very content that was sent | clean |
//! | 200 with `X-Infection-Found`, `X-Virus-ID` or `X-Violations-Found` | found, by that name |
//! | 200 with an HTTP response to REQMOD, another request, or an error or redirection in the place of a response | found |
//! | 200 with other content | replaced |
//! | anything else | failed |

mod adapt;
mod bounds;
mod chunked;
mod head;
mod message;
mod modification;
mod options;
mod outcome;
mod request;
mod service;
#[cfg(test)]
mod tests;
mod url;

pub(super) use bounds::AdaptBounds;
pub use url::IcapUrl;

use super::IcapConfig;
use super::answer::{ScanAnswer, ScanFailure};
use super::progress::Progress;
use crate::dial::ServiceNames;
use crate::inspect::{ScanItem, ScanOutcome};
use modification::Modification;
use request::{Tell, Wrapped};
use service::Service;
use std::sync::Arc;

/// The services of one ICAP server.
#[derive(Debug)]
pub(super) struct Icap {
    request: Arc<Service>,
    response: Arc<Service>,
    tell: Tell,
}

impl Icap {
    /// With at most `connections` at once for each service, and for content of at most `max_size` bytes.
    pub(super) fn new(
        config: &IcapConfig,
        names: &ServiceNames,
        connections: usize,
        max_size: usize,
    ) -> Self {
        let service = |url: &IcapUrl| {
            Arc::new(Service::new(
                url.clone(),
                config.tls.clone(),
                names.clone(),
                connections,
                max_size,
            ))
        };
        let request = service(&config.url);
        let response = match &config.respmod_url {
            Some(url) if *url != config.url => service(url),
            _ => Arc::clone(&request),
        };
        Self {
            request,
            response,
            tell: Tell {
                client_ip: config.tell_client_ip,
                user: config.tell_user,
            },
        }
    }

    pub(super) async fn scan(&self, item: &ScanItem, progress: &Progress) -> ScanAnswer {
        let modification = Modification::of(item.direction);
        let service = match modification {
            Modification::Request => &self.request,
            Modification::Response => &self.response,
        };
        let options = service.options(progress).await?;
        if !options.offers(modification) {
            return Err(ScanFailure::Content(format!(
                "{} does not offer {}: give the URL of a service that does",
                service.url(),
                modification.label()
            )));
        }
        let extension = request::extension(item);
        if options.ignores(extension) {
            return Ok(ScanOutcome::Clean);
        }
        let wrapped = Wrapped::new(item);
        let preview = wrapped.preview(&options, extension);
        let head = wrapped.head(service.url(), item, self.tell, preview);
        service.modify(&wrapped, head, preview, progress).await
    }
}
