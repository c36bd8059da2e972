//! A connection to one directory server, and what is asked over it.

use super::config::LdapLimits;
use super::guard::{Why, guard, start_tls};
use super::url::LdapUrl;
use crate::accept::Socket;
use crate::handshake::ServiceTls;
use crate::wire::names::Host;
use ldap3::{
    LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry, SearchOptions, StdStream,
};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A connection on which one thing is asked at a time.
pub(super) struct Connection {
    ldap: ldap3::Ldap,
    /// The library's task: it ends with the connection.
    driver: JoinHandle<()>,
    why: Why,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(super) struct QuestionFailed {
    pub(super) text: String,
    /// The connection had ended: another one may do better.
    pub(super) ended: bool,
}

/// What a search has found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entries: Vec<SearchEntry>,
    pub(super) result: LdapResult,
}

impl Connection {
    /// Connects. Unencrypted where there is no `tls`, and never in place of it.
    pub(super) async fn open(
        url: &LdapUrl,
        tls: Option<&ServiceTls>,
        limits: &LdapLimits,
    ) -> Result<Self, String> {
        let mut tcp = within(limits.connect, "no connection", connect(url)).await?;
        let far = match tls {
            None if url.tls => return Err("nothing says how to verify it".to_owned()),
            None => Socket::Tcp(tcp),
            Some(tls) => {
                let secured = async {
                    if !url.tls {
                        start_tls(&mut tcp).await?;
                    }
                    tls.connect(tcp, url.host()).await.map_err(|error| error.text)
                };
                Socket::inner(within(limits.tls, "no TLS handshake", secured).await?)
            }
        };
        Self::over(far).await.map_err(|error| error.to_string())
    }

    async fn over(far: Socket) -> Result<Self, LdapError> {
        let (near, library) = UnixStream::pair()?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(library.into_std()?));
        let (driven, ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await?;
        let why = Why::default();
        let driver = tokio::spawn(async move {
            // How it ended is known to the guard.
            let _ = driven.drive().await;
        });
        tokio::spawn(guard(near, far, Arc::clone(&why)));
        Ok(Self { ldap, driver, why })
    }

    /// Whether it can still be used, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        !self.driver.is_finished() && self.why.get().is_none()
    }

    /// Binds (RFC 4511 section 4.2). What is neither a name nor a password is not sent: it would bind as nobody, and
    /// succeed (RFC 4513 section 5.1.2).
    pub(super) async fn bind(
        &mut self,
        name: &str,
        password: &str,
        limit: Duration,
    ) -> Result<LdapResult, QuestionFailed> {
        if name.is_empty() || password.is_empty() {
            return Err(QuestionFailed {
                text: "no bind without a name and a password".to_owned(),
                ended: false,
            });
        }
        let bound = timeout(limit, self.ldap.simple_bind(name, password)).await;
        self.said(bound, "bind", limit)
    }

    /// Searches. Referrals are left alone.
    pub(super) async fn search(
        &mut self,
        (base, scope, filter): (&str, Scope, &str),
        attributes: &[&str],
        most: usize,
        limit: Duration,
    ) -> Result<Found, QuestionFailed> {
        let seconds = i32::try_from(limit.as_secs()).unwrap_or(i32::MAX).max(1);
        let options = SearchOptions::new()
            .sizelimit(i32::try_from(most).unwrap_or(i32::MAX))
            .timelimit(seconds);
        self.ldap.with_search_options(options);
        let found = timeout(limit, self.ldap.search(base, scope, filter, attributes)).await;
        let found = self.said(found, "search", limit)?;
        let entries = found
            .0
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        Ok(Found {
            entries: entries.map(SearchEntry::construct).collect(),
            result: found.1,
        })
    }

    fn said<T>(
        &self,
        said: Result<Result<T, LdapError>, tokio::time::error::Elapsed>,
        what: &str,
        limit: Duration,
    ) -> Result<T, QuestionFailed> {
        match said {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(QuestionFailed {
                ended: !matches!(error, LdapError::FilterParsing),
                text: match self.why.get() {
                    Some(why) => why.clone(),
                    None => error.to_string(),
                },
            }),
            Err(_) => Err(QuestionFailed {
                text: format!("no answer to a {what} within {limit:?}"),
                ended: false,
            }),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_open", &self.is_open())
            .finish_non_exhaustive()
    }
}

async fn connect(url: &LdapUrl) -> Result<TcpStream, String> {
    let port = url.authority.port;
    let stream = match url.host() {
        Host::Ip(ip) => TcpStream::connect((*ip, port)).await,
        Host::Name(name) => TcpStream::connect((name.as_str(), port)).await,
    };
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

async fn within<T>(
    limit: Duration,
    what: &str,
    step: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match timeout(limit, step).await {
        Ok(done) => done,
        Err(_) => Err(format!("{what} within {limit:?}")),
    }
}
