//! The whole file as it is written: syntax, types and words are checked here, and lists are read.

use super::admin::AdminTable;
use super::auth::AuthTable;
use super::ca::CaTable;
use super::console::ConsoleTable;
use super::inspect::InspectTable;
use super::limits::{limits, timeouts};
use super::listen::ListenTable;
use super::listener::ListenerTable;
use super::lists::Lists;
use super::log::LogTable;
use super::metrics;
use super::network::NetworkSettings;
use super::origin::OriginTable;
use super::pac::PacTable;
use super::pages::PagesTable;
use super::parents::ParentTables;
use super::policy::{Named, PolicyTable};
use super::portal::portal;
use super::problem::Diagnostics;
use super::reader::Section;
use super::record::RecordTable;
use super::syntax::{Mistake, mistakes};
use super::view::ViewTable;
use crate::accept::ClientLimits;
use crate::decide::List;
use crate::handshake::forge::ForgeConfig;
use crate::journey::{ProxyLimits, Timeouts};
use crate::portal::PortalConfig;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeTable;

/// A configuration, table by table: what needs no other file is already what its stage takes.
#[derive(Debug)]
pub(super) struct File {
    pub listen: ListenTable,
    pub listeners: Vec<ListenerTable>,
    pub admin: AdminTable,
    pub console: ConsoleTable,
    pub ca: CaTable,
    pub origin: OriginTable,
    pub network: NetworkSettings,
    pub parents: ParentTables,
    pub lists: Lists,
    pub policy: PolicyTable,
    pub inspect: InspectTable,
    pub record: RecordTable,
    pub view: ViewTable,
    pub timeouts: Timeouts,
    pub limits: ProxyLimits,
    pub client_limits: ClientLimits,
    pub leaf_cache: ForgeConfig,
    pub log: LogTable,
    pub auth: AuthTable,
    pub pac: PacTable,
    pub pages: PagesTable,
    pub portal: PortalConfig,
    pub services: Vec<Arc<List>>,
}

impl File {
    /// Reads `text`; what is wrong goes to `notes`, and its default stands in.
    pub(super) fn parse(text: &str, notes: &mut Diagnostics) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Self::read(Some(document.get_ref()), notes, false);
        }
        // Keys cannot be told from the debris of a syntax error, so the rest waits until TOML can be read.
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.span().unwrap_or_default(), error.message().to_owned()))
            .collect();
        for Mistake { span, key, message } in mistakes(text, &found) {
            notes.add(&Some(span), key, message);
        }
        Self::absent(notes)
    }

    /// What holds without a file.
    pub(super) fn absent(notes: &mut Diagnostics) -> Self {
        Self::read(None, notes, false)
    }

    /// `probe` asks for the keys of tables that there may be several of, if there are none.
    fn read(document: Option<&DeTable<'_>>, notes: &mut Diagnostics, probe: bool) -> Self {
        let mut root = Section::root(document, notes);
        let listeners = root.tables("listener", "listener", probe, |section| {
            ListenerTable::read(section, probe)
        });
        let listen = ListenTable::read(root.table("listen"), !listeners.is_empty());
        let admin = AdminTable::read(root.table("admin"));
        let console = ConsoleTable::read(root.table("console"), probe);
        let auth = AuthTable::read(root.table("auth"));
        let ca = CaTable::read(root.table("ca"));
        let origin = OriginTable::read(root.table("origin"));
        let network = NetworkSettings::read(root.table("network"));
        let mut lists = Lists::read(&mut root, probe);
        let parents = ParentTables::read(&mut root, probe);
        let named = Named {
            lists: &mut lists,
            parents: &parents.names(),
        };
        let policy = PolicyTable::read(root.table("policy"), named, origin.via, probe);
        let inspect = InspectTable::read(root.table("inspect"), &mut lists, probe);
        let record = RecordTable::read(root.table("record"), &mut lists);
        let socket = ViewTable::socket(root.table("live"));
        let view = ViewTable::read(socket, root.table("view"), &mut lists);
        let timeouts = timeouts(root.table("timeouts"));
        let log = LogTable::read(root.table("log"));
        let pac = PacTable::read(root.table("pac"), &mut lists);
        let pages = PagesTable::read(root.table("pages"));
        let portal = portal(root.table("portal"));
        let services = metrics::services(root.table("metrics"), &mut lists);
        let (limits, client_limits, leaf_cache) = limits(root.table("limits"));
        root.finish();
        Self {
            listen,
            listeners,
            admin,
            console,
            auth,
            ca,
            origin,
            network,
            parents,
            lists,
            policy,
            inspect,
            record,
            view,
            timeouts,
            limits,
            client_limits,
            leaf_cache,
            log,
            pac,
            pages,
            portal,
            services,
        }
    }
}

/// The diagnostics of the configuration file, none yet.
pub(super) fn notes_on(file: &Path, text: &str) -> Diagnostics {
    Diagnostics::on(file, text, known_keys)
}

/// Every key that a file may have, as `section.key`.
pub(super) fn known_keys() -> Vec<String> {
    let mut notes = Diagnostics::default();
    File::read(None, &mut notes, true);
    notes.keys
}
