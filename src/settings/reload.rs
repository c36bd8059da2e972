//! Loads the configuration again on SIGHUP, or when one of its files changes. Everything is built, then swapped;
//! a configuration that is wrong changes nothing.

use super::ca::CaSource;
use super::listen::{Listeners, Overrides};
use super::live::{Kept, ServedWatch};
use super::load::{Settings, load_with};
use super::problem::Problems;
use super::watch::{FileState, FileWatch, stamp, stamps};
use crate::journey::Config;
use crate::live::LiveSocket;
use crate::report::{AccessLog, AuditConfig, ReportConfig};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// An editor that saves writes, renames and touches; one reload is enough for all of it.
const SETTLE: Duration = Duration::from_millis(200);

/// Where a configuration comes from, to load it from there again.
#[derive(Debug, Clone, Default)]
pub struct ConfigSource {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The data directory.
    pub data_dir: Option<PathBuf>,
    /// What the command line says.
    pub overrides: Overrides,
}

impl ConfigSource {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self) -> Result<Settings, Problems> {
        load_with(self.config.as_deref(), self.data_dir.as_deref(), &self.overrides)
    }
}

/// What only a restart changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RestartOnly {
    listen: Listeners,
    access: AccessLog,
    audit: AuditConfig,
    connections: u64,
    admin_mode: u32,
    live_socket: Option<LiveSocket>,
}

impl RestartOnly {
    fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.listen.clone(),
            access: settings.report.access.clone(),
            audit: settings.report.audit.clone(),
            connections: settings.report.connection_limit,
            admin_mode: settings.admin_mode,
            live_socket: settings.live_socket.clone(),
        }
    }

    /// The keys that `new` has changed in vain.
    fn needing_restart(&self, new: &Self) -> Vec<&'static str> {
        let changed = [
            ("listen.proxy", self.listen.proxy != new.listen.proxy),
            ("listen.tls", self.listen.tls != new.listen.tls),
            ("[[listener]]", self.listen.named != new.listen.named),
            ("listen.admin", self.listen.admin != new.listen.admin),
            ("listen.console", self.listen.console != new.listen.console),
            ("log.access", self.access != new.access),
            ("log.audit", self.audit != new.audit),
            ("admin.socket_mode", self.admin_mode != new.admin_mode),
            ("live.socket", self.live_socket != new.live_socket),
            ("limits.connections", self.connections != new.connections),
        ];
        changed
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(key, _)| key)
            .collect()
    }
}

/// What a reload does to the running proxy.
pub trait Apply: Send + 'static {
    /// From now on, connections are served with this; `report` has the lists' names and the limits.
    fn swap(&self, live: Config, report: ReportConfig);
    /// From now on, the operational log has this level.
    fn level(&self, level: &str);
    /// SIGHUP came: logrotate may have moved the log files away.
    fn reopen_logs(&self);
    /// A reload ended; the text says what was wrong first. Everything that is wrong has been logged.
    fn reloaded(&self, result: Result<(), &str>);
}

/// Waits for a reason to reload, and reloads.
pub struct Reloader<A> {
    source: ConfigSource,
    apply: A,
    fixed: RestartOnly,
    kept: Kept,
    files: Vec<PathBuf>,
    stamps: Vec<FileState>,
    watch: FileWatch,
    hangup: Signal,
    watched: Arc<dyn ServedWatch>,
    asked: mpsc::Receiver<Asked>,
    ask: ReloadHandle,
}

/// Who waits to be told how a reload went.
type Asked = oneshot::Sender<Result<(), String>>;

/// Asks for a reload.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<Asked>);

impl ReloadHandle {
    /// Has the configuration loaded again.
    ///
    /// # Errors
    /// What is wrong with it; nothing has changed then.
    pub async fn reload(&self) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        let over = || "the proxy is about to end".to_owned();
        self.0.send(tell).await.map_err(|_| over())?;
        told.await.map_err(|_| over())?
    }
}

impl<A> fmt::Debug for Reloader<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader")
            .field("source", &self.source)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<A: Apply> Reloader<A> {
    /// Builds what `settings` describe. From here on, SIGHUP and changes of files are noticed, though acted
    /// upon only while [`Reloader::run`] runs. `apply` is made from what was built; `watched` hears of logins
    /// and look-ups.
    ///
    /// # Errors
    /// Something that `settings` name cannot be built, or the signal cannot be caught.
    pub fn start(
        source: ConfigSource,
        settings: Settings,
        watched: Arc<dyn ServedWatch>,
        apply: impl FnOnce(Config) -> A,
    ) -> Result<Self, Problems> {
        let hangup = signal(SignalKind::hangup())
            .map_err(|error| Problems::of_option("SIGHUP", format!("cannot be caught: {error}")))?;
        let fixed = RestartOnly::of(&settings);
        let files = settings.files.clone();
        let (live, kept) = settings.live(None, &watched)?;
        // After the CA was made, lest its making be taken for a change.
        let stamps = stamps(&files);
        let mut watch = FileWatch::new();
        watch.follow(&files);
        let (ask, asked) = mpsc::channel(1);
        Ok(Self {
            source,
            apply: apply(live),
            fixed,
            kept,
            files,
            stamps,
            watch,
            hangup,
            watched,
            asked,
            ask: ReloadHandle(ask),
        })
    }

    /// Asks for reloads while this runs.
    pub fn handle(&self) -> ReloadHandle {
        self.ask.clone()
    }

    /// The running proxy, as it was given to [`Reloader::start`].
    pub fn apply(&self) -> &A {
        &self.apply
    }

    /// Reloads for as long as it is polled.
    pub async fn run(mut self) {
        loop {
            let mut waiting = None;
            let asked = tokio::select! {
                who = self.asked.recv() => {
                    waiting = who;
                    true
                }
                received = self.hangup.recv() => {
                    self.apply.reopen_logs();
                    received.is_some()
                }
                () = self.watch.changed.notified() => {
                    tokio::time::sleep(SETTLE).await;
                    false
                }
            };
            // What changes while it is being loaded differs from these again.
            let stamps = stamps(&self.files);
            if asked || stamps != self.stamps {
                self.stamps = stamps;
                let result = self.reload().await;
                if let Some(waiting) = waiting {
                    // Whoever asked may have gone.
                    let _ = waiting.send(result);
                }
            }
            self.watch.follow(&self.files);
        }
    }

    async fn reload(&mut self) -> Result<(), String> {
        let (source, kept, watched) = (self.source.clone(), self.kept.clone(), self.watched.clone());
        let loaded = tokio::task::spawn_blocking(move || again(&source, &kept, &watched)).await;
        let result = match loaded {
            Ok(Ok(again)) => {
                for warning in &again.warnings {
                    tracing::warn!("{warning}");
                }
                for key in self.fixed.needing_restart(&again.fixed) {
                    tracing::warn!("{key} has changed: this needs a restart; the old one stays in use");
                }
                self.apply.level(&again.level);
                self.follow(again.files);
                self.kept = again.kept;
                let report = ReportConfig {
                    connection_limit: self.fixed.connections,
                    ..again.report
                };
                self.apply.swap(again.live, report);
                Ok(())
            }
            Ok(Err(problems)) => {
                // One alone is in the event's own line.
                if problems.list.len() > 1 {
                    for problem in &problems.list {
                        tracing::error!("{problem}");
                    }
                }
                // A file that was missing may appear, and one that is not named any more may be again.
                let files = self.files.iter().chain(&problems.files).cloned().collect();
                self.follow(files);
                Err(summary(&problems))
            }
            Err(error) => Err(error.to_string()),
        };
        self.apply
            .reloaded(result.as_ref().copied().map_err(String::as_str));
        result
    }

    /// Watches `files`; those that were watched before keep the stamp from before they were loaded.
    fn follow(&mut self, mut files: Vec<PathBuf>) {
        files.sort();
        files.dedup();
        let known: BTreeMap<_, _> = self.files.iter().zip(&self.stamps).collect();
        self.stamps = files
            .iter()
            .map(|file| known.get(file).map_or_else(|| stamp(file), |&stamp| *stamp))
            .collect();
        self.files = files;
    }
}

/// The first problem, and how many more there are.
fn summary(problems: &Problems) -> String {
    match &*problems.list {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// What a reload has built.
struct Again {
    live: Config,
    kept: Kept,
    report: ReportConfig,
    fixed: RestartOnly,
    level: String,
    files: Vec<PathBuf>,
    warnings: Vec<String>,
}

fn again(source: &ConfigSource, kept: &Kept, watched: &Arc<dyn ServedWatch>) -> Result<Again, Problems> {
    let mut settings = source.load()?;
    if let CaSource::Own { dir, ca: None, .. } = &settings.ca {
        // Clients trust the CA that is in use; a new one is not to be had by deleting a file.
        let message = format!(
            "{}: the CA's files are gone; put them back, or restart to have a new CA",
            dir.display()
        );
        return Err(Problems {
            files: settings.files,
            ..Problems::of_option("data directory", message)
        });
    }
    let fixed = RestartOnly::of(&settings);
    let (report, level) = (settings.report.clone(), std::mem::take(&mut settings.level));
    let (files, warnings) = (settings.files.clone(), std::mem::take(&mut settings.warnings));
    let (live, kept) = settings.live(Some(kept), watched)?;
    Ok(Again {
        live,
        kept,
        report,
        fixed,
        level,
        files,
        warnings,
    })
}

#[cfg(test)]
mod tests;
