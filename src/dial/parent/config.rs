//! What a parent is, as configured.

use crate::breaker::Thresholds;
use crate::handshake::ServiceTls;
use crate::wire::names::Authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A proxy that leads to origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentConfig {
    /// What settings, logs and metrics call it.
    pub name: Arc<str>,
    /// What it speaks.
    pub protocol: ParentProtocol,
    /// Where it is.
    pub address: Authority,
    /// How it is verified, if TLS is spoken with it.
    pub tls: Option<Arc<ServiceTls>>,
    /// Who the proxy is to it.
    pub login: Option<ParentLogin>,
    /// What shows that in the place of a login.
    pub tickets: Option<ParentTickets>,
    /// How plain requests are put to it.
    pub plain: PlainForm,
    /// How long it may take to be reached: its name, TCP, TLS and, with SOCKS, the login.
    pub connect: Duration,
    /// How long its answer may take, in which it dials itself.
    pub answer: Duration,
    /// When it is left alone, and for how long.
    pub breaker: Thresholds,
    /// How often it is looked at; `None` for never.
    pub check: Option<Duration>,
    /// What it is asked for then; `None` if reaching it is enough.
    pub check_target: Option<Authority>,
}

/// What is spoken with a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentProtocol {
    /// HTTP/1.1 (RFC 9110 section 9.3.6).
    Http,
    /// SOCKS5 (RFC 1928).
    Socks5,
}

/// How a parent is asked for what needs no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainForm {
    /// By CONNECT, as all else.
    #[default]
    Connect,
    /// By the absolute form (RFC 9112 section 3.2.2), since many parents forbid CONNECT to port 80.
    Absolute,
}

/// Shows who the proxy is, anew for each tunnel (RFC 4559).
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// A token in base64; or why there is none.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>>;
    /// The parent does not accept what it was shown.
    fn refused(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Tickets for a parent, and what they were configured from, which tells whether they are the same.
#[derive(Debug, Clone)]
pub struct ParentTickets {
    /// Equal for equal configurations.
    pub configured: u64,
    /// What makes tokens.
    pub of: Arc<dyn TokenSource>,
}

impl PartialEq for ParentTickets {
    fn eq(&self, other: &Self) -> bool {
        self.configured == other.configured
    }
}

impl Eq for ParentTickets {}

/// A user of a parent, and the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ParentLogin {
    user: String,
    password: String,
}

impl ParentLogin {
    /// As configured.
    pub fn new(user: String, password: String) -> Self {
        Self { user, password }
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// The value of `Proxy-Authorization` (RFC 7617 section 2).
    pub(super) fn basic(&self) -> String {
        let both = format!("{}:{}", self.user, self.password);
        format!("Basic {}", STANDARD.encode(both))
    }
}

impl fmt::Debug for ParentLogin {
    /// A password is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParentLogin({:?})", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_does_not_get_into_logs() {
        let login = ParentLogin::new("wsbump".into(), "s3cret".into());
        assert_eq!(format!("{login:?}"), "ParentLogin(\"wsbump\")");
        assert_eq!(login.basic(), "Basic d3NidW1wOnMzY3JldA==");
    }
}
