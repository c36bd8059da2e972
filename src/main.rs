//! The program: settings, bind, run, signal, drain.

use clap::Parser;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use wsbump::accept::{Entrance, HandedOver, ListenerConfig};
use wsbump::api::{self, ApiContext, ApiSocket, Operator};
use wsbump::cli::{self, Arguments, Command, CommandError, ConsoleAt, Listening, RunOptions};
use wsbump::console::{self, Console, LoginCodes};
use wsbump::journey::{self, Config, Proxy, Workers};
use wsbump::live::{LiveSocket, printable};
use wsbump::report::admin::{self, AdminAddress, AdminListener, AdminState, CaCertificate, Readiness};
use wsbump::report::{Event, Report, ReportConfig};
use wsbump::service_manager::ServiceManager;
use wsbump::settings::reload::{Apply, Reloader};
use wsbump::settings::{Problems, Settings};

/// How long cut connections may take to say so, and the access log's last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How long the recording's open entries may take to be written.
const LAST_RECORDS: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let done = match &Arguments::parse().command {
        Command::Run(options) => run(options),
        Command::Check(asked) => cli::check(asked).map(|()| ExitCode::SUCCESS),
        Command::Explain(options) => cli::explain(options).map(|()| ExitCode::SUCCESS),
        Command::AuthTest(options) => cli::auth_test(options).map(|known| u8::from(!known).into()),
        Command::Top(place) => cli::top(place).map(|()| ExitCode::SUCCESS),
        Command::Tail(options) => cli::tail(options).map(|()| ExitCode::SUCCESS),
        Command::Console(place) => cli::console(place).map(|()| ExitCode::SUCCESS),
        Command::TransparentRules(options) => {
            cli::transparent_rules(options).map(|whole| u8::from(!whole).into())
        }
        Command::Doctor(options) => cli::doctor(options).map(|well| u8::from(!well).into()),
        Command::TestRules(options) => cli::test_rules(options).map(|fired| u8::from(fired).into()),
        Command::Ca { command } => cli::ca(command).map(|()| ExitCode::SUCCESS),
        Command::Health(options) => cli::health(options).map(|well| u8::from(!well).into()),
        Command::Man { folder } => cli::man(folder).map(|()| ExitCode::SUCCESS),
        Command::Import(options) => cli::import(options).map(ExitCode::from),
        Command::Completions { shell } => cli::completions(*shell).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| {
        // What is wrong may be what others wrote, in their words.
        cli::tell(&printable(&format!("{failure}\n"), true));
        ExitCode::from(failure.code())
    })
}

fn run(options: &RunOptions) -> Result<ExitCode, CommandError> {
    let settings = options.source().load()?;
    let level = cli::log_to_stderr(&settings.level)?;
    raise_descriptor_limit(settings.report.connection_limit);
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    let served = runtime.block_on(serve(options, settings, Box::new(level)));
    runtime.shutdown_timeout(LAST_LINES);
    let (code, proxy) = served?;
    // Whatever has not ended by the drain's deadline is cut here, and states so in its last line.
    proxy.workers.stop();
    if !proxy.report.finish_recording(LAST_RECORDS) {
        warn!("the end of the recording is not written: it takes more than {LAST_RECORDS:?}");
    }
    proxy.report.flush(LAST_LINES);
    Ok(code)
}

async fn serve(
    options: &RunOptions,
    settings: Settings,
    level: Level,
) -> Result<(ExitCode, Arc<Proxy>), CommandError> {
    let mut signals = Signals::catch()?;
    let manager = ServiceManager::from_environment()
        .map_err(|error| CommandError::Other(format!("NOTIFY_SOCKET: {error}")))?;
    let manager = Arc::new(manager);
    let ways_in = bind_all(&settings)?;
    let admin = bind_admin(&settings.listen.admin, settings.admin_mode).await?;
    let consoles = bind_consoles(&settings).await?;
    let mut listening = Listening {
        proxy: addresses(&ways_in, |config| &*config.name == "proxy")?,
        tls: addresses(&ways_in, |config| &*config.name == "tls")?,
        named: named(&ways_in)?,
        admin: admin
            .iter()
            .map(AdminListener::address)
            .collect::<Result<_, _>>()
            .map_err(no_address)?,
        portal: (settings.portal.host.as_ref()).map(|host| format!("http://{host}/")),
        ca: settings.ca.cert_path(),
        forged: settings.certificate.is_none(),
        console: consoles.iter().map(|(at, _)| at.clone()).collect(),
        live: None,
    };
    let live_socket = settings.live_socket.clone();
    let has_tokens = !settings.console.tokens.is_empty();
    let report =
        Report::new(settings.report.clone()).map_err(|error| CommandError::Other(error.to_string()))?;

    let workers = Workers::start().map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    let reloader = Reloader::start(options.source(), settings, report.clone(), |live| Running {
        proxy: Proxy::new(live, report, listening.own(), workers),
        level,
    })?;
    let proxy = reloader.apply().proxy.clone();
    let api = bind_api(live_socket.as_ref()).await?;
    listening.live = api.as_ref().map(|socket| socket.path().to_owned());
    let (ended, drain_asked) = (CancellationToken::new(), Arc::new(Notify::new()));
    let codes = LoginCodes::default();
    let operator = operator(&reloader, drain_asked.clone(), &listening.console, &codes);
    let context = ApiContext::new(proxy.clone(), operator, ended.clone());
    let site = console_of(&proxy, context.clone(), &codes);
    // Who has a token needs no code, and no log needs to have one.
    for at in listening.console.iter_mut().filter(|_| !has_tokens) {
        at.code = codes.code(None);
    }
    info!(instance = proxy.report.instance(), "started");
    cli::tell(&cli::announce(&listening));

    for listener in admin {
        let shutdown = ended.clone().cancelled_owned();
        tokio::spawn(admin::serve(
            listener,
            proxy.report.clone(),
            admin_state(&proxy),
            shutdown,
        ));
    }
    // What is shown takes its time to be masked and written, and a terminal may stand still: neither is to hold up who
    // comes in.
    let watched = beside("watched", async move {
        let mut served = JoinSet::new();
        if let Some(socket) = api {
            served.spawn(api::serve(socket, context));
        }
        for (at, listener) in consoles {
            let site = site.clone();
            served.spawn(async move {
                if let Err(error) = console::serve(listener, at.is_tls, site).await {
                    warn!("the console is not served: {error}");
                }
            });
        }
        served.join_all().await;
    })?;
    if options.tail {
        // Nobody waits for it: what it prints may go to somebody who does not read.
        beside("tail", cli::print_own(proxy.clone()))?;
    }
    for (config, listener) in ways_in {
        tokio::spawn(journey::serve(
            listener,
            config.name,
            config.entrance,
            proxy.clone(),
        ));
    }
    tokio::spawn(journey::keep_crls(proxy.clone()));
    tokio::spawn(journey::check_parents(proxy.clone()));
    let reloading = tokio::spawn(reloader.run());
    manager.ready();
    let alive = tokio::spawn(keep_alive(Arc::clone(&manager), proxy.clone()));

    let first = tokio::select! {
        first = signals.next() => first,
        () = drain_asked.notified() => SignalKind::terminate(),
    };
    reloading.abort();
    manager.stopping();
    let code = drain(&proxy, first, signals).await;
    alive.abort();
    ended.cancel();
    // A panic has been told of already.
    let _ = tokio::task::spawn_blocking(move || watched.join()).await;
    Ok((code, proxy))
}

/// Does `work` on an event loop and a thread of its own.
fn beside(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, CommandError> {
    let failed = |error| CommandError::Other(format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(move || runtime.block_on(work)).map_err(failed)
}

/// Tells the service manager that the process is alive as long as each event loop comes round.
async fn keep_alive(manager: Arc<ServiceManager>, proxy: Arc<Proxy>) {
    let Some(within) = manager.watchdog() else { return };
    loop {
        proxy.workers.come_round().await;
        manager.alive();
        tokio::time::sleep(within / 3).await;
    }
}

/// Open connections may end until the deadline; before that, new ones are told for a while to go elsewhere, if the
/// operator has asked for it. Another signal does not wait for either.
async fn drain(proxy: &Proxy, first: SignalKind, mut signals: Signals) -> ExitCode {
    let (lame_duck, deadline) = {
        let timeouts = proxy.config.load().timeouts;
        (timeouts.lame_duck, timeouts.drain)
    };
    if first == SignalKind::terminate() && lame_duck > Duration::ZERO {
        info!(
            "ending in {} s: new connections are still served, and not ready for more",
            lame_duck.as_secs_f32()
        );
        proxy.drain.announce();
        tokio::select! {
            () = tokio::time::sleep(lame_duck) => {}
            _ = signals.next() => {}
        }
    }
    info!(
        "draining: open connections have {} s to end; a second signal exits at once",
        deadline.as_secs_f32()
    );
    // The last that are told have as much time again to answer.
    let ending = async {
        proxy.end(deadline / 2).await;
        std::future::pending().await
    };
    tokio::select! {
        never = ending => never,
        cut = proxy.drain.finished(deadline) => {
            match cut {
                0 => info!("drained: every connection has ended"),
                cut => warn!("drained: {cut} connections were cut at the deadline"),
            }
            ExitCode::SUCCESS
        }
        _ = signals.next() => {
            warn!("second signal: exiting at once");
            ExitCode::from(130)
        }
    }
}

type Level = Box<dyn Fn(&str) + Send + Sync>;

/// What a reload works on.
struct Running {
    proxy: Arc<Proxy>,
    level: Level,
}

impl Apply for Running {
    fn swap(&self, live: Config, report: ReportConfig) {
        self.proxy.report.declare(&report);
        self.proxy.adopt(live);
    }

    fn level(&self, level: &str) {
        (self.level)(level);
    }

    fn reopen_logs(&self) {
        self.proxy.report.reopen_logs();
    }

    fn reloaded(&self, result: Result<(), &str>) {
        self.proxy.report.state(&Event::Reloaded(result));
    }
}

fn admin_state(proxy: &Arc<Proxy>) -> AdminState {
    let (ca, portal, access, readiness) = (proxy.clone(), proxy.clone(), proxy.clone(), proxy.clone());
    AdminState {
        ca: Arc::new(move || {
            let ca = ca.config.load().ca.clone();
            Arc::new(CaCertificate {
                pem: ca.root_pem(),
                der: ca.root_der().to_vec(),
                subject: ca.subject().to_owned(),
                fingerprint_sha256: ca.root_fingerprint_sha256(),
            })
        }),
        portal: Arc::new(move || portal.config.load().portal.clone()),
        access: Arc::new(move || access.config.load().admin.clone()),
        readiness: Arc::new(move || match readiness.drain.is_announced() {
            true => Readiness::Draining,
            false => Readiness::Ready,
        }),
    }
}

/// What the process does when an operator asks for it.
fn operator(
    reloader: &Reloader<Running>,
    drain: Arc<Notify>,
    consoles: &[ConsoleAt],
    codes: &LoginCodes,
) -> Operator {
    let reload = reloader.handle();
    let (consoles, codes) = (consoles.to_vec(), codes.clone());
    Operator {
        reload: Arc::new(move || {
            let reload = reload.clone();
            Box::pin(async move { reload.reload().await })
        }),
        drain: Arc::new(move || drain.notify_one()),
        login: Arc::new(move || cli::login(&consoles, &codes)),
    }
}

fn console_of(proxy: &Arc<Proxy>, context: ApiContext, codes: &LoginCodes) -> Console {
    let (access, tls) = (proxy.clone(), proxy.clone());
    Console::new(
        context,
        codes,
        move || access.config.load().console.clone(),
        move || tls.config.load().listeners.of("console").tls.clone(),
    )
}

/// A socket that clients come in by, and what is known of it.
type WayIn = (ListenerConfig, TcpListener);

/// Listens wherever clients are to come in, or nowhere.
fn bind_all(settings: &Settings) -> Result<Vec<WayIn>, CommandError> {
    let mut handed = HandedOver::take().map_err(CommandError::Other)?;
    let mut listeners = Vec::new();
    for config in settings.listen.all() {
        for address in &config.addresses {
            let listener = config
                .listen(*address)
                .map_err(|error| cannot_listen_at(&config, address, &error))?;
            listeners.push((config.clone(), listener));
        }
        let Some(name) = &config.socket else { continue };
        let sockets = handed.named(name);
        if sockets.is_empty() {
            return Err(CommandError::Other(format!(
                "listener {:?}: the service manager has handed over no socket {name:?}: write FileDescriptorName={name} into the socket unit, and start by it",
                config.name
            )));
        }
        for socket in sockets {
            let listener = config.adopt(socket).map_err(no_address)?;
            listeners.push((config.clone(), listener));
        }
    }
    for name in handed.rest() {
        warn!("the service manager has handed over the socket {name:?}, and no [[listener]] has it");
    }
    Ok(listeners)
}

fn cannot_listen_at(config: &ListenerConfig, address: &SocketAddr, error: &io::Error) -> CommandError {
    match &*config.name {
        "proxy" => cannot_listen(address, error, "listen.proxy or --listen ADDR"),
        "tls" => cannot_listen(address, error, "listen.tls or --listen-tls ADDR"),
        name => cannot_listen(
            address,
            error,
            &format!("the address of the [[listener]] {name:?}"),
        ),
    }
}

/// The same for the operator's listeners.
async fn bind_admin(wanted: &[AdminAddress], mode: u32) -> Result<Vec<AdminListener>, CommandError> {
    let mut listeners = Vec::with_capacity(wanted.len());
    for address in wanted {
        let listener = AdminListener::bind(address, mode).await.map_err(|error| match address {
            AdminAddress::Tcp(address) => cannot_listen(address, &error, "listen.admin or --admin ADDR"),
            AdminAddress::Unix(path) => CommandError::Other(format!(
                "cannot listen on {address}: {error}; another program may use it, or {} may not be there or not be writable: choose another with listen.admin or --admin",
                path.parent().unwrap_or(path).display()
            )),
        });
        listeners.push(listener?);
    }
    Ok(listeners)
}

/// Listens for the console. Elsewhere than on this machine alone it speaks TLS.
async fn bind_consoles(settings: &Settings) -> Result<Vec<(ConsoleAt, TcpListener)>, CommandError> {
    let mut consoles = Vec::new();
    for wanted in &settings.listen.console {
        let mut bound = TcpListener::bind(wanted).await;
        if settings.listen.console_is_offered && bound.is_err() {
            bound = TcpListener::bind(SocketAddr::new(wanted.ip(), 0)).await;
        }
        let listener =
            bound.map_err(|error| cannot_listen(wanted, &error, "listen.console or --console ADDR"))?;
        let address = listener.local_addr().map_err(no_address)?;
        let is_tls = settings.console_is_secure() || !address.ip().to_canonical().is_loopback();
        let at = ConsoleAt {
            address,
            is_tls,
            code: None,
        };
        consoles.push((at, listener));
    }
    Ok(consoles)
}

/// Listens for those who look, in the file system. That nobody can stops nothing, unless the configuration asks for it.
async fn bind_api(socket: Option<&LiveSocket>) -> Result<Option<ApiSocket>, CommandError> {
    let Some(socket) = socket else { return Ok(None) };
    match ApiSocket::bind(socket).await {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if socket.is_asked_for => Err(CommandError::Other(error.to_string())),
        Err(error) => {
            warn!("nobody can watch what happens: {error}");
            Ok(None)
        }
    }
}

fn cannot_listen(address: &SocketAddr, error: &io::Error, place: &str) -> CommandError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program listens there (`ss -ltnp` shows which); choose another port with {place}"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one with {place}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine does not have that address; choose another with {place}")
        }
        // It says itself what is wrong.
        io::ErrorKind::Other => return CommandError::Other(format!("cannot listen on {address}: {error}")),
        _ => format!("choose another address with {place}"),
    };
    CommandError::Other(format!("cannot listen on {address}: {error}; {advice}"))
}

fn no_address(error: io::Error) -> CommandError {
    CommandError::Other(format!("a listener has no address: {error}"))
}

/// Where they really listen: port 0 has become a real one.
fn addresses(
    ways_in: &[WayIn],
    of: impl Fn(&ListenerConfig) -> bool,
) -> Result<Vec<SocketAddr>, CommandError> {
    let wanted = ways_in.iter().filter(|(config, _)| of(config));
    let addresses: io::Result<_> = wanted.map(|(_, listener)| listener.local_addr()).collect();
    addresses.map_err(no_address)
}

/// The same of those with names of their own.
fn named(ways_in: &[WayIn]) -> Result<Vec<(Arc<str>, Entrance, SocketAddr)>, CommandError> {
    let mut named = Vec::new();
    for (config, listener) in ways_in {
        if !["proxy", "tls"].contains(&&*config.name) {
            let address = listener.local_addr().map_err(no_address)?;
            named.push((config.name.clone(), config.entrance, address));
        }
    }
    Ok(named)
}

/// The signals that end the program.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> Result<Self, Problems> {
        let catch = |kind, name: &str| {
            signal(kind).map_err(|error| Problems::of_option(name, format!("cannot be caught: {error}")))
        };
        Ok(Self {
            terminate: catch(SignalKind::terminate(), "SIGTERM")?,
            interrupt: catch(SignalKind::interrupt(), "SIGINT")?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}

/// Each connection takes two descriptors, and the default limit of 1024 is there for programs that use select(2).
fn raise_descriptor_limit(connections: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!("the limit of open files stays as it is: {error}");
    }
    // Listeners, logs and the runtime need a few as well.
    let needed = connections.saturating_mul(2).saturating_add(64);
    if let Some(limit) = getrlimit(Resource::Nofile)
        .current
        .filter(|limit| *limit < needed)
    {
        warn!(
            "limits.connections is {connections}, which takes {needed} open files, and {limit} are allowed: raise the limit (LimitNOFILE= in systemd) or lower the key"
        );
    }
}
