//! The connection to the server: opened once the host has said who it is, and again if it has to be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_authz_core::failure::Remedy;
use mcp_authz_tokio::driver::transport::{Bounds, Settings, TransportError};
use serde_json::Value;
use tokio::sync::watch;

use crate::bridge::era::{Host, LEGACY, MODERN};
use crate::bridge::login::{Cause, Login};
use crate::bridge::message::HEAVIEST;
use crate::bridge::{error, headers};
use crate::fault::Fault;
use crate::say::log;
use crate::server::shown;
use crate::way::Transport;

/// How soon a connection that failed is tried again, if somebody wants it.
const REST: Duration = Duration::from_secs(1);
/// Logins for one connection: a server that refuses what it has just granted is not asked for ever.
const MOST_LOGINS: u32 = 2;

/// The connection to the server.
pub(crate) struct Link {
    login: Arc<Login>,
    headers: Vec<headers::Extra>,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
enum State {
    /// The host has not said who it is.
    Off,
    Opening(Host),
    Up(Arc<Up>),
    Down(Down),
}

/// A connection that failed.
#[derive(Clone, Debug)]
struct Down {
    host: Host,
    cause: Cause,
    at: Instant,
    /// Somebody wanted it, so that a person might be asked.
    asked: bool,
}

/// A connection that stands. It heals itself when the server forgets its session.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) transport: Transport,
    /// The server speaks 2026-07-28.
    pub(crate) modern: bool,
    host: Host,
}

impl Up {
    /// The server's capabilities, as it says them.
    pub(crate) fn capabilities(&self) -> Value {
        self.transport.server().get("capabilities").cloned().unwrap_or_default()
    }
}

impl Link {
    pub(crate) fn new(login: Arc<Login>, headers: Vec<headers::Extra>) -> Arc<Self> {
        Arc::new(Self { login, headers, state: watch::Sender::new(State::Off) })
    }

    /// Connects on behalf of this host, unless that is done or under way.
    pub(crate) fn connect(self: &Arc<Self>, host: &Host) {
        self.begin(host, true);
    }

    /// The same; without `asks` it is in nobody's name, and no person is asked for it.
    fn begin(self: &Arc<Self>, host: &Host, asks: bool) {
        let mut before = None;
        let begins = self.state.send_if_modified(|state| {
            let same = |other: &Host| {
                (&other.capabilities, &other.info) == (&host.capabilities, &host.info)
            };
            let stands = match state {
                State::Off => false,
                State::Opening(other) => same(other),
                State::Up(up) => same(&up.host),
                State::Down(_) => false,
            };
            if !stands {
                before = Some(core::mem::replace(state, State::Opening(host.clone())));
            }
            !stands
        });
        if let Some(State::Up(up)) = before {
            tokio::spawn(async move {
                let _or_later = up.transport.close().await;
            });
        }
        if begins {
            let (link, host) = (Arc::clone(self), host.clone());
            tokio::spawn(async move { link.open(host, asks).await });
        }
    }

    /// Connects on behalf of this host if nothing else was done yet.
    pub(crate) fn connect_unless_there(self: &Arc<Self>, host: &Host) {
        let is_off = matches!(*self.state.borrow(), State::Off);
        if is_off {
            self.connect(host);
        }
    }

    /// The server speaks otherwise than it did, as after an upgrade: the next call connects anew.
    pub(crate) fn doubt(self: &Arc<Self>, up: &Arc<Up>, error: &TransportError) {
        let is_another = matches!(
            error,
            TransportError::NoEndpoint(_) | TransportError::Version(_) | TransportError::Rpc(_)
        );
        let stands = self.up().is_some_and(|now| Arc::ptr_eq(&now, up));
        if is_another && stands {
            let host = up.host.clone();
            self.state.send_replace(State::Off);
            self.connect(&host);
        }
    }

    async fn open(self: Arc<Self>, host: Host, asked: bool) {
        let opened = self.opened(&host, asked).await;
        let ours = |state: &State| matches!(state, State::Opening(other) if *other == host);
        let mut unwanted = None;
        self.state.send_if_modified(|state| {
            let ours = ours(state);
            match opened {
                Ok(up) if ours => *state = State::Up(Arc::new(up)),
                Err(cause) if ours => {
                    if asked {
                        log(format_args!("no connection: {cause}"));
                    }
                    let (host, at) = (host.clone(), Instant::now());
                    *state = State::Down(Down { host, cause, at, asked });
                }
                Ok(up) => unwanted = Some(up),
                Err(_) => {}
            }
            ours
        });
        // Another host has introduced itself meanwhile.
        if let Some(up) = unwanted {
            let _or_later = up.transport.close().await;
        }
    }

    async fn opened(&self, host: &Host, asks: bool) -> Result<Up, Cause> {
        let mut logins = 0;
        loop {
            match self.attempt(host).await {
                Ok(transport) => {
                    let version = transport.protocol_version();
                    log(format_args!("connected; the server speaks {version}"));
                    let modern = version.as_str() >= MODERN;
                    return Ok(Up { transport, modern, host: host.clone() });
                }
                Err(TransportError::Authorization(failure))
                    if asks && failure.mended_by_login() && logins < MOST_LOGINS =>
                {
                    logins += 1;
                    self.login.need().await?;
                }
                Err(error) => return Err(Arc::new(error::fault(&error))),
            }
        }
    }

    /// A host of an older revision is best served by a server that speaks the same, so that is asked
    /// for first; a server without it is asked what it speaks.
    async fn attempt(&self, host: &Host) -> Result<Transport, TransportError> {
        let server = self.login.server();
        let settings = self.settings(host)?;
        let legacy = host.version.as_deref().is_none_or(|version| version < MODERN);
        if server.options.protocol_version.is_none() && legacy {
            let named = settings.clone().revision(host.agreed());
            match server.manager.connect(named).await {
                Err(error) if is_of_the_era(&error) => {}
                other => return other,
            }
        }
        server.manager.connect(settings).await
    }

    fn settings(&self, host: &Host) -> Result<Settings, TransportError> {
        let settings = Settings::new("mcp-authz", env!("CARGO_PKG_VERSION"))
            .client_info(host.info.clone())
            .capabilities(host.capabilities.clone());
        let server = self.login.server();
        // A login is this program's business, and not each request's.
        let settings = server.settings(settings).may_ask(false);
        let bounds = match server.options.timeout {
            Some(_) => {
                let time = server.options.request_time();
                Bounds { head: time, idle: time, ..Bounds::default() }
            }
            None => Bounds::default(),
        };
        let settings = settings.bounds(Bounds { event: HEAVIEST, ..bounds });
        let add = |settings: Settings, extra: &headers::Extra| {
            settings.header(&extra.name, extra.value.expose())
        };
        self.headers.iter().try_fold(settings, add)
    }

    /// The connection, if it stands now.
    pub(crate) fn up(&self) -> Option<Arc<Up>> {
        match &*self.state.borrow() {
            State::Up(up) => Some(Arc::clone(up)),
            _ => None,
        }
    }

    /// The connection, once it stands. One that failed is tried again, and a person asked for it if
    /// `asks` says that somebody wants it.
    pub(crate) async fn ready(
        self: &Arc<Self>,
        patience: Duration,
        asks: bool,
    ) -> Result<Arc<Up>, Cause> {
        let until = tokio::time::Instant::now() + patience;
        let mut state = self.state.subscribe();
        loop {
            let failed = match &*state.borrow() {
                State::Down(down) if (asks && !down.asked) || down.at.elapsed() >= REST => {
                    Some(down.host.clone())
                }
                _ => None,
            };
            if let Some(host) = failed {
                self.begin(&host, asks);
            }
            let over = |state: &State| matches!(state, State::Up(_) | State::Down(_));
            match tokio::time::timeout_at(until, state.wait_for(over)).await {
                Ok(Ok(state)) => match &*state {
                    State::Up(up) => return Ok(Arc::clone(up)),
                    State::Down(down) if down.asked || !asks => {
                        return Err(Arc::clone(&down.cause));
                    }
                    _ => {}
                },
                _ => return Err(self.login.waits().unwrap_or_else(|| self.silent())),
            }
        }
    }

    fn silent(&self) -> Cause {
        let url = shown(&self.login.server().url);
        let sentence = format!("{url} has not answered yet");
        Arc::new(Fault::new("no_answer", &sentence, Remedy::Retry { after: None }))
    }

    /// Ends the session at the server.
    pub(crate) async fn close(&self) {
        if let Some(up) = self.up() {
            let _or_it_forgets_by_itself = up.transport.close().await;
        }
    }
}

/// Returns true if the server may speak another revision than it was asked for.
fn is_of_the_era(error: &TransportError) -> bool {
    match error {
        TransportError::NoEndpoint(_)
        | TransportError::Version(_)
        | TransportError::Malformed(_)
        | TransportError::Rpc(_) => true,
        TransportError::Status { status, .. } => status.is_client_error(),
        _ => false,
    }
}

/// The revisions of a server without the newest, for a host that speaks that alone.
pub(crate) fn is_legacy(version: &str) -> bool {
    LEGACY.contains(&version)
}
