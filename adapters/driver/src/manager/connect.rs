//! One call from a URL to a connection, for programs on a person's machine.

use core::fmt;
use std::sync::Arc;

use mcp_authz_core::failure::{Failure, Remedy};

use super::{Home, ManagerBuilder, SetupError, setup};
use crate::loops::Loop;
use crate::parked::block_on;
#[cfg(feature = "async")]
use crate::ports::{AsyncHttp, AsyncListener, Runtime};
use crate::ports::{Http, Listener};
#[cfg(feature = "async")]
use crate::tasks::Tasks;
use crate::threads::Threads;
use crate::transport::{Settings, Transport, TransportError, face};

/// There is no connection.
#[non_exhaustive]
pub enum ConnectError {
    /// The program's own settings or its store are in the way; nothing was sent.
    Setup(SetupError),
    /// The server, its authorization server or the person is in the way.
    Transport {
        /// The MCP URL, without its query.
        server: String,
        /// The error of the connection.
        error: TransportError,
    },
}

impl ConnectError {
    /// The stable code, in `snake_case`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup(error) => error.code(),
            Self::Transport { error, .. } => error.code(),
        }
    }

    /// The remedy: the action that may mend it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Setup(error) => error.remedy(),
            Self::Transport { error, .. } => error.remedy(),
        }
    }

    /// The failure behind it, which says which rule failed and what to do; `None` where the MCP
    /// server said what went wrong, or spoke otherwise than it must.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<Failure>> {
        match self {
            Self::Setup(error) => error.failure(),
            Self::Transport { error, .. } => error.failure(),
        }
    }
}

impl From<SetupError> for ConnectError {
    fn from(error: SetupError) -> Self {
        Self::Setup(error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Transport { server, error } => error.write(f, &format!(" ({server})")),
        }
    }
}

/// As `Display`: a `main` that returns it shows this.
impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for ConnectError {}

/// The program as it introduces itself to the server.
fn introduction() -> Settings {
    let name = setup::program();
    Settings::new(name.as_deref().unwrap_or("mcp-authz"), "unspecified")
}

/// Adds the home's store and person where none is named, and connects.
async fn connect<S>(mut builder: ManagerBuilder<S>) -> Result<Transport<S>, ConnectError>
where
    S: Loop<Adapter: Home<Loop = S>>,
{
    if builder.store.is_none() {
        let store = S::Adapter::store_at_home();
        builder.store = Some(store.map_err(SetupError::Store)?);
    }
    if builder.person.is_none() {
        builder.person = Some(S::Adapter::person());
    }
    let manager = builder.build()?;
    let session = manager.session();
    let server = session.mcp_url().split(['?', '#']).next().unwrap_or_default().to_owned();
    let connected = face::connect(session, introduction()).await;
    connected.map_err(|error| ConnectError::Transport { server, error })
}

#[cfg(feature = "async")]
impl<H: AsyncHttp, L: AsyncListener, R: Runtime> ManagerBuilder<Tasks<H, L, R>>
where
    Tasks<H, L, R>: Loop<Adapter: Home<Loop = Tasks<H, L, R>>>,
{
    /// Connects to the server. Where nothing else was said, credentials are kept in files of the
    /// person's data folder, and the person at this machine is asked if the server wants a login.
    ///
    /// # Errors
    /// [`ConnectError`] says what to do.
    pub async fn connect(self) -> Result<Transport<Tasks<H, L, R>>, ConnectError> {
        connect(self).await
    }
}

impl<H: Http, L: Listener> ManagerBuilder<Threads<H, L>>
where
    Threads<H, L>: Loop<Adapter: Home<Loop = Threads<H, L>>>,
{
    /// Connects to the server. Where nothing else was said, credentials are kept in files of the
    /// person's data folder, and the person at this machine is asked if the server wants a login.
    ///
    /// # Errors
    /// [`ConnectError`] says what to do.
    pub fn connect(self) -> Result<Transport<Threads<H, L>>, ConnectError> {
        block_on(connect(self))
    }
}
