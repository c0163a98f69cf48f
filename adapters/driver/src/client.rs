//! The client of every adapter: what all sessions of a program share.

use core::fmt;
use std::sync::Arc;

use mcp_authz_core::config::Config;
use mcp_authz_core::session::Snapshot;

use crate::error::ResumeError;
use crate::loops::{Loop, PortsOf};
use crate::manager::Platform;
use crate::ports::Common;
use crate::session::AuthSession;

pub(crate) mod settings;

pub use settings::{AddedRoots, BuildError, Settings};

/// The ports that all sessions of a program share, by which it reaches the outside. Clones share
/// them, too.
///
/// A manager takes a client as its ports: `AuthorizationManager::builder(url).ports(client)`.
pub struct Client<S: Loop> {
    ports: Arc<PortsOf<S>>,
}

impl<S: Loop<Adapter: Platform<Loop = S>>> Client<S> {
    /// Starts with the adapter's sound defaults: the proxies of the environment, Mozilla's roots, and
    /// the runtime that one is in.
    #[must_use]
    pub fn builder() -> <S::Adapter as Platform>::Builder {
        Default::default()
    }
}

impl<S: Loop> Client<S> {
    /// A client of these ports.
    pub fn new(ports: impl Into<Arc<PortsOf<S>>>) -> Self {
        Self { ports: ports.into() }
    }

    /// A session for one MCP URL and account, with a store and an observer of its own. Nothing is read
    /// or sent yet.
    #[must_use]
    pub fn session(&self, config: Arc<Config>, common: impl Into<Arc<Common>>) -> AuthSession<S> {
        AuthSession::new(config, Arc::clone(&self.ports), common)
    }

    /// Goes on with a session where a snapshot was taken.
    ///
    /// # Errors
    /// As [`AuthSession::resume`].
    pub fn resume(
        &self,
        config: Arc<Config>,
        from: Snapshot,
        common: impl Into<Arc<Common>>,
    ) -> Result<AuthSession<S>, ResumeError> {
        AuthSession::resume(config, from, Arc::clone(&self.ports), common)
    }

    /// The HTTP port alone, for a driver of one's own.
    #[must_use]
    pub fn http(&self) -> &S::Http {
        &self.ports.http
    }
}

impl<S: Loop> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self { ports: Arc::clone(&self.ports) }
    }
}

impl<S: Loop> From<Client<S>> for Arc<PortsOf<S>> {
    fn from(client: Client<S>) -> Self {
        client.ports
    }
}

impl<S: Loop> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
