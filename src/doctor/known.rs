//! Services that the doctor knows by name. What is known of them has a date, and comes from what their vendors publish.

/// A service.
#[derive(Debug)]
pub struct Service {
    /// What it is called on the command line.
    pub name: &'static str,
    /// When these facts were last looked at.
    pub checked: &'static str,
    /// Where the vendor tests a connection, and says what it needs.
    pub page: &'static str,
    /// What is examined. Nobody logs in: an answer of the vendor's own that is no success is as good, and is compared
    /// with the one without the proxy.
    pub targets: &'static [ServiceProbe],
}

/// Something of a service's that can be asked without a login.
#[derive(Debug)]
pub struct ServiceProbe {
    /// Its address.
    pub url: &'static str,
    /// The status that it is documented to answer a GET with; `None` for what answers strangers as it likes.
    pub healthy: Option<u16>,
}

const fn probe(url: &'static str, healthy: Option<u16>) -> ServiceProbe {
    ServiceProbe { url, healthy }
}

/// All of them.
pub const SERVICES: [Service; 1] = [Service {
    name: "slack",
    checked: "2026-11-29",
    page: "https://my.slack.com/help/test (needs a login; a red line at WebSocket is this case)",
    targets: &[
        // Documented to answer without a token.
        probe("https://slack.com/api/api.test", Some(200)),
        probe("wss://wss-primary.slack.com/", None),
        probe("wss://wss-backup.slack.com/", None),
        probe("wss://wss-mobile.slack.com/", None),
    ],
}];

/// The service of this name.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}
