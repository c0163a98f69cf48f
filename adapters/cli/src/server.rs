//! One server as the options describe it: where its grant is kept, how it is reached, who is asked.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use mcp_authz_core::failure::escaped;
use mcp_authz_core::granted::Life;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_host::store::{FileStore, StoreError, data_folder};
use mcp_authz_tokio::driver::person::Person;
use mcp_authz_tokio::driver::ports::{Observer, Silent};
use mcp_authz_tokio::driver::proxy::Proxy;
use mcp_authz_tokio::driver::tasks::Messages;
use mcp_authz_tokio::driver::transport::codes::NO_METHOD;
use mcp_authz_tokio::driver::transport::{Bounds, RpcError, Settings, TransportError};
use mcp_authz_tokio::driver::vault::{Entry, Vault};
use mcp_authz_tokio::{
    Client, Config, Desktop, Granted, MemoryStore, Roots, Store, Terminal, Tokio,
};
use serde_json::{Value, json};

use crate::config_file::ConfigFile;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::through;
use crate::way::{Lender, Manager, Ports, Transport, Way};

/// A server, its options and the voice that tells of it.
pub(crate) struct Server {
    /// The MCP URL.
    pub(crate) url: String,
    pub(crate) options: Options,
    pub(crate) say: Say,
    pub(crate) manager: Manager,
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
        let person = say.to(somebody(&options, say));
        Self::made((url, options), say, config, (person, Silent), None)
    }

    /// The same with another person to ask, and somebody who is told of everything. With a lender
    /// nobody is asked, and nothing is kept.
    pub(crate) fn open_asking(
        url: String,
        options: Options,
        say: &Say,
        heard: (impl Person + 'static, impl Observer),
        lender: Option<Lender>,
    ) -> Result<Self, Fault> {
        let config = options.config(&url, |name| env::var(name).ok())?;
        let options = Options { no_login: options.no_login || lender.is_some(), ..options };
        Self::made((url, options), say, config, heard, lender)
    }

    fn made(
        (url, options): (String, Options),
        say: &Say,
        config: mcp_authz_core::config::ConfigBuilder,
        (person, observer): (impl Person + 'static, impl Observer),
        lender: Option<Lender>,
    ) -> Result<Self, Fault> {
        let told = say.clone();
        let store = match lender {
            Some(_) => Arc::new(MemoryStore::new()),
            None => store(&options)?,
        };
        let mut builder = through::builder(config)
            .store(store)
            .ports(ports(&options, lender)?)
            .observer(observer)
            .on_progress(move |progress| told.progress(progress));
        if !options.no_login {
            builder = builder.person(person);
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

    /// The result of a call of a tool, which says in it whether it failed.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value, Fault> {
        self.say.busy("connecting");
        let transport = self.connect().await?;
        self.say.busy(format!("calling {}", escaped(tool)));
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": "call"}});
        let result = self.heard(&transport, transport.request("tools/call", params)).await;
        self.say.idle();
        let _or_later = transport.close().await;
        self.manager.session().quiet().await;
        result
    }

    /// The result among the messages that come for a call; what the server says meanwhile is told.
    async fn heard(&self, transport: &Transport, mut messages: Messages) -> Result<Value, Fault> {
        while let Some(message) = messages.next().await {
            let mut message = message?;
            match (message.get("method").and_then(Value::as_str), message.get("id")) {
                // This program has no capability that a server could ask for.
                (Some(_), Some(id)) => {
                    let declined = json!({"code": NO_METHOD, "message": "not offered"});
                    let _or_it_waits = transport.respond(id, Err(declined)).await;
                }
                (Some("notifications/progress"), None) => self.progressed(&message),
                (Some(_), None) => {}
                (None, _) => {
                    if let Some(error) = message.get("error") {
                        return Err(TransportError::Rpc(RpcError::read(error)).into());
                    }
                    return Ok(message.get_mut("result").map(Value::take).unwrap_or_default());
                }
            }
        }
        Err(TransportError::Malformed("there was no response").into())
    }

    /// Tells how far a call has come.
    fn progressed(&self, message: &Value) {
        let of = |member: &str| message.get("params").and_then(|params| params.get(member));
        let number = |member: &str| of(member).and_then(Value::as_f64);
        let text = of("message").and_then(Value::as_str).map(escaped);
        let count = match (number("progress"), number("total")) {
            (Some(done), Some(total)) => format!("{done} of {total}"),
            (Some(done), None) => done.to_string(),
            _ => return,
        };
        let words = text.as_ref().map_or_else(|| count.clone(), |text| format!("{count}: {text}"));
        self.say.busy(&words);
        let line = json!({
            "event": "tool_progress",
            "progress": number("progress"),
            "total": number("total"),
            "message": text,
        });
        self.say.for_programs(&line);
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

/// The folder in which processes find each other, which is that of the store.
pub(crate) fn folder(options: &Options) -> Result<PathBuf, Fault> {
    match &options.store {
        Some(folder) => Ok(folder.clone()),
        None => data_folder().map_err(|error| in_the_way(&error)),
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

/// Every entry of every place where credentials are kept, with the options that its server has.
pub(crate) fn kept(file: &ConfigFile, given: &Options) -> Result<Vec<(Entry, Options)>, Fault> {
    let mut all = Vec::new();
    for place in file.places(given) {
        for entry in Vault::new(store(&place)?).entries()? {
            let asked = Options { account: entry.account.clone(), ..given.clone() };
            // A server that the file names twice is used as one that it does not name.
            let resolved = file.clone().resolve(&entry.mcp_url, asked);
            let options = resolved.map_or_else(|_| place.clone(), |(_, options)| options);
            let (store, keychain) = (place.store.clone(), place.keychain);
            all.push((entry, Options { store, keychain, ..options }));
        }
    }
    Ok(all)
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

/// The ports of a session with the network of the options.
pub(crate) fn ports(options: &Options, lender: Option<Lender>) -> Result<Ports, Fault> {
    let http = client(options)?.http().clone();
    let way = match lender {
        Some(lender) => Way::Lent(http, Arc::new(lender)),
        None => Way::Own(http),
    };
    Ok(through::ports(way, Tokio::new(tokio::runtime::Handle::current())))
}

/// The person at this machine: with a browser, or, over SSH, with no more than a terminal.
pub(crate) fn somebody(options: &Options, say: &Say) -> Arc<dyn Person> {
    if let Some(relay) = say.relay() {
        return relay.person(options.no_browser);
    }
    match (without_browser(options), say.is_json()) {
        // Whoever reads the lines has been shown the page by one of them.
        (true, true) => Arc::new(Terminal::new().say(|_| {})),
        // Somebody has asked for the page, and reads it.
        (true, false) => Arc::new(Terminal::new().say(|line| eprintln!("{line}"))),
        (false, true) => Arc::new(Desktop::new().say(|_| {})),
        (false, false) => Arc::new(Desktop::new()),
    }
}

/// Returns true if no browser of this machine is in front of the person.
pub(crate) fn over_ssh() -> bool {
    env::var_os("SSH_CONNECTION").is_some()
        && ["DISPLAY", "WAYLAND_DISPLAY"].iter().all(|name| env::var_os(name).is_none())
}

/// Returns true if a page is to be printed and not opened: somebody says so, or is not at this machine.
pub(crate) fn without_browser(options: &Options) -> bool {
    options.no_browser || over_ssh()
}

/// The end of a token, in seconds since 1970; `None` if nobody named one.
pub(crate) fn expiry(granted: &Granted) -> Option<i64> {
    match granted.life() {
        Life::Until { wall, .. } => wall.map(|wall| wall.unix()),
        Life::Unknown => None,
    }
}

/// The account of a configuration, for people.
pub(crate) fn as_account(account: Option<&str>) -> String {
    account.map_or_else(String::new, |name| format!(" as {}", escaped(name)))
}

/// A URL for people: without what may be a secret, and escaped.
pub(crate) fn shown(url: &str) -> String {
    escaped(&bare(url))
}

/// A URL without user name, password and query.
pub(crate) fn bare(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
}

/// Checks a URL and its options without opening anything.
pub(crate) fn checked(url: &str, options: &Options) -> Result<Arc<Config>, Fault> {
    let config = options.config(url, |name| env::var(name).ok())?;
    Ok(config.build().map_err(Arc::new)?)
}

/// The seconds that are left before a moment; 0 if it is over.
pub(crate) fn seconds_left(until: i64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(until).unwrap_or_default().saturating_sub(now.as_secs())
}
