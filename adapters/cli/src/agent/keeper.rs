//! Everything that the connections of an agent share, first of all the servers in use.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcp_authz_core::failure::Remedy;
use mcp_authz_tokio::Granted;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::audit::Audit;
use super::protocol::{self, Command, RESTRICTED_CONNECTIONS, Target};
use crate::config_file::ConfigFile;
use crate::fault::Fault;
use crate::options::Options;
use crate::relay::{Logins, Relay};
use crate::say::Say;
use crate::server::Server;

/// How long a server is used before the store is looked at anew: a log-out by another program ends
/// what is lent here as well.
const FRESH: Duration = Duration::from_secs(30);
/// The least time between two renewals that peers ask for: a hostile one would have the
/// authorization server turn the person away.
const APART: Duration = Duration::from_secs(30);
/// The servers that are kept; one more is made for its request alone.
const MOST: usize = 256;

/// Performs a command for somebody who asked. What it prints goes through the voice.
pub(crate) type Perform =
    fn(Command, Resolved, Say) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// What a command is about.
pub(crate) struct Resolved {
    /// The MCP URL; empty for every server.
    pub(crate) url: String,
    /// The options: for every server, without those of the file.
    pub(crate) options: Options,
    pub(crate) file: ConfigFile,
}

/// The shared part of an agent.
pub(crate) struct Agent {
    /// The configuration file, read anew for each request.
    pub(crate) config: Option<PathBuf>,
    /// The options of every server, below those of a request.
    pub(crate) options: Options,
    pub(crate) audit: Audit,
    pub(crate) perform: Perform,
    pub(crate) logins: Logins,
    /// The connections that restricted sockets may still take.
    pub(crate) guests: Arc<Semaphore>,
    /// Told once the agent is to end, and seen by every connection.
    pub(crate) ending: watch::Sender<bool>,
    pub(crate) stop: Notify,
    kept: Mutex<HashMap<String, (Instant, Arc<Server>)>>,
    renewed: Mutex<HashMap<String, Instant>>,
    /// Makes marks of tokens, which are of no use to anybody else.
    marks: RandomState,
}

impl Agent {
    pub(crate) fn new(
        config: Option<PathBuf>,
        options: Options,
        audit: Audit,
        perform: Perform,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            options,
            audit,
            perform,
            logins: Logins::default(),
            guests: Arc::new(Semaphore::new(RESTRICTED_CONNECTIONS)),
            ending: watch::Sender::new(false),
            stop: Notify::new(),
            kept: Mutex::default(),
            renewed: Mutex::default(),
            marks: RandomState::new(),
        })
    }

    /// The MCP URL of a request's server and its options: those of the request, of the agent and of
    /// the configuration file, in this order.
    pub(crate) fn resolve(&self, of: &Target, target: &str) -> Result<(String, Options), Fault> {
        self.file(of)?.resolve(target, self.given(of))
    }

    /// The configuration file of a request.
    pub(crate) fn file(&self, of: &Target) -> Result<ConfigFile, Fault> {
        ConfigFile::read(of.config.as_deref().or(self.config.as_deref()))
    }

    /// The options of a request and of the agent.
    pub(crate) fn given(&self, of: &Target) -> Options {
        let mut options = of.options.clone().or(self.options.clone());
        options.asker_secret.clone_from(&of.client_secret);
        options
    }

    /// The server, which asks nobody and says nothing.
    pub(crate) fn server(&self, url: &str, options: &Options) -> Result<Arc<Server>, Fault> {
        let options = Options { no_login: true, ..options.clone() };
        // A secret is not kept longer than its request.
        let key = options.asker_secret.is_none().then(|| key(url, &options));
        let mut kept = lock(&self.kept);
        kept.retain(|_, (made, _)| made.elapsed() < FRESH);
        if let Some((_, server)) = key.as_ref().and_then(|key| kept.get(key)) {
            return Ok(Arc::clone(server));
        }
        let (nobody, _) = mpsc::unbounded_channel();
        let silent = Say::through(Relay::new(nobody, Arc::clone(&self.logins)));
        let server = Server::open(url.to_owned(), options, &silent, |config| config)?;
        let server = Arc::new(server);
        if let Some(key) = key.filter(|_| kept.len() < MOST) {
            kept.insert(key, (Instant::now(), Arc::clone(&server)));
        }
        Ok(server)
    }

    /// Forgets what is kept: somebody has logged in or out.
    pub(crate) fn look_anew(&self) {
        lock(&self.kept).clear();
    }

    /// The mark by which a peer names a token that was refused.
    pub(crate) fn mark(&self, granted: &Granted) -> String {
        format!("{:016x}", self.marks.hash_one(granted.access_token().expose()))
    }

    /// Lets a peer have a token renewed before its end, now and then.
    pub(crate) fn may_renew(&self, server: &Server) -> Result<(), Fault> {
        let mut renewed = lock(&self.renewed);
        renewed.retain(|_, at| at.elapsed() < APART);
        let key = key(&server.url, &server.options);
        if renewed.contains_key(&key) {
            let text = "a token of this server was renewed moments ago, and is refused again";
            return Err(Fault::new("refused_again", text, Remedy::Retry { after: Some(APART) }));
        }
        renewed.insert(key, Instant::now());
        Ok(())
    }

    /// Waits, within this time, until what was granted is saved.
    pub(crate) async fn quiet(&self, within: Duration) {
        let kept: Vec<_> = lock(&self.kept).drain().map(|(_, (_, server))| server).collect();
        let all = async {
            for server in kept {
                server.manager.session().quiet().await;
            }
        };
        let _or_the_next_process_goes_on = timeout(within, all).await;
    }
}

/// The same server with the same options has the same key. There is no secret in it.
fn key(url: &str, options: &Options) -> String {
    let options = serde_json::to_value(options).unwrap_or(Value::Null);
    format!("{url} {options}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the agent is to end.
pub(crate) async fn end(ending: &mut watch::Receiver<bool>) {
    let _or_it_has_ended = ending.wait_for(|ending| *ending).await.map(|_| ());
}

/// The fault of an answer that would take too long.
pub(crate) fn too_late(after: Duration) -> Fault {
    let text = format!("there was no answer within {} s", after.as_secs());
    Fault::new("too_late", &text, Remedy::Retry { after: None })
}

/// The fault of a request for which the agent has no time any more.
pub(crate) fn ending() -> Fault {
    let text = "the agent has ended";
    Fault::new("agent_ended", text, Remedy::Retry { after: None }).advised(protocol::START_ADVICE)
}
