//! One server as the options describe it: where its grant is kept, how it is reached, who is asked.

use std::env;
use std::sync::Arc;

use mcp_authz_core::scope::ScopeSet;
use mcp_authz_host::store::{FileStore, StoreError};
use mcp_authz_tokio::driver::person::Person;
use mcp_authz_tokio::driver::proxy::Proxy;
use mcp_authz_tokio::driver::transport::{Bounds, Settings};
use mcp_authz_tokio::{
    AuthorizationManager, Client, Config, Desktop, Granted, Roots, Store, Terminal, Transport,
};

use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;

/// A server, its options and the voice that tells of it.
pub(crate) struct Server {
    /// The MCP URL.
    pub(crate) url: String,
    pub(crate) options: Options,
    pub(crate) say: Say,
    pub(crate) manager: AuthorizationManager,
}

impl Server {
    /// Opens the store and sets everything up; nothing is sent. `change` has the last word about
    /// the configuration.
    pub(crate) fn open(
        url: String,
        options: Options,
        say: &Say,
        change: impl FnOnce(
            mcp_authz_core::config::ConfigBuilder,
        ) -> mcp_authz_core::config::ConfigBuilder,
    ) -> Result<Self, Fault> {
        let config = change(options.config(&url, |name| env::var(name).ok())?);
        let told = say.clone();
        let mut builder = AuthorizationManager::builder(config)
            .store(store(&options)?)
            .ports(client(&options)?)
            .on_progress(move |progress| told.progress(progress));
        if let Some(recorder) = crate::trace::recorder() {
            builder = builder.recorder(recorder);
        }
        if !options.no_login {
            builder = builder.person(say.to(somebody(&options, say)));
        }
        let manager = builder.build()?;
        Ok(Self { url, options, say: say.clone(), manager })
    }

    /// The grant that is there, renewed if need be; nobody is asked.
    pub(crate) async fn grant(&self, scopes: &ScopeSet) -> Result<Arc<Granted>, Fault> {
        let settlement = self.manager.session().acquire(scopes, false).await?;
        Ok(settlement.outcome?)
    }

    /// An MCP connection.
    pub(crate) async fn connect(&self) -> Result<Transport, Fault> {
        let settings = Settings::new("mcp-authz", env!("CARGO_PKG_VERSION"));
        Ok(self.manager.connect(self.settings(settings)).await?)
    }

    /// Settings of a connection with the wire and the limits of the options.
    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        let mut settings = settings.may_ask(!self.options.no_login).repeat_reads(true);
        if let Some(wire) = self.options.transport {
            settings = settings.transport(wire.into());
        }
        if let Some(revision) = &self.options.protocol_version {
            settings = settings.revision(revision);
        }
        match self.options.timeout {
            Some(_) => {
                let time = self.options.request_time();
                settings.bounds(Bounds { head: time, idle: time, ..Bounds::default() })
            }
            None => settings,
        }
    }
}

/// The store that the options name: files of the user's data folder if they name none.
pub(crate) fn store(options: &Options) -> Result<Arc<dyn Store>, Fault> {
    if options.keychain {
        return crate::keychain::store(options);
    }
    let files = match &options.store {
        Some(folder) => FileStore::open(folder),
        None => FileStore::at_home(),
    };
    Ok(Arc::new(files.map_err(|error| in_the_way(&error))?))
}

pub(crate) fn in_the_way(error: &StoreError) -> Fault {
    Fault::new(error.kind().code(), &error.to_string(), error.kind().remedy())
}

/// The client with the network of the options.
pub(crate) fn client(options: &Options) -> Result<Client, Fault> {
    let mut builder = Client::builder();
    if options.platform_roots {
        builder = builder.roots(Roots::Platform);
    }
    for file in &options.add_roots {
        builder = builder.add_roots_file(file);
    }
    if let Some(url) = &options.proxy {
        let proxy = Proxy::new(url).map_err(|error| Fault::usage(&format!("--proxy: {error}")))?;
        builder = builder.proxy(proxy);
    }
    if options.no_proxy {
        builder = builder.no_proxy();
    }
    if let Some(text) = &options.user_agent {
        builder = builder.user_agent(text.as_str());
    }
    builder.build().map_err(|error| Fault::usage(&error.to_string()))
}

/// The person at this machine: with a browser, or, over SSH, with no more than a terminal.
pub(crate) fn somebody(options: &Options, say: &Say) -> Arc<dyn Person> {
    let over_ssh = env::var_os("SSH_CONNECTION").is_some()
        && ["DISPLAY", "WAYLAND_DISPLAY"].iter().all(|name| env::var_os(name).is_none());
    match (options.no_browser || over_ssh, say.is_json()) {
        // Whoever reads the lines has been shown the page by one of them.
        (true, true) => Arc::new(Terminal::new().say(|_| {})),
        (true, false) => Arc::new(Terminal::new()),
        (false, true) => Arc::new(Desktop::new().say(|_| {})),
        (false, false) => Arc::new(Desktop::new()),
    }
}

/// The account of a configuration, for people.
pub(crate) fn as_account(account: Option<&str>) -> String {
    account
        .map_or_else(String::new, |name| format!(" as {}", mcp_authz_core::failure::escaped(name)))
}

/// A URL for people: without its query, which may hold a key, and escaped.
pub(crate) fn shown(url: &str) -> String {
    mcp_authz_core::failure::escaped(url.split(['?', '#']).next().unwrap_or_default())
}

/// Checks a URL and its options without opening anything.
pub(crate) fn checked(url: &str, options: &Options) -> Result<Arc<Config>, Fault> {
    let config = options.config(url, |name| env::var(name).ok())?;
    Ok(config.build().map_err(Arc::new)?)
}
