//! The one call with which a program on a person's machine connects.

use std::sync::Arc;

use mcp_authz_core::failure::Failure;
use mcp_authz_driver::manager::{ConnectError, Home};
use mcp_authz_driver::person::Person;
use mcp_authz_driver::ports::Store;
use mcp_authz_host::person::Desktop;
use mcp_authz_host::store::FileStore;

use crate::client::{ManagerBuilder, Transport};
use crate::runtime::AsyncStd;

impl Home for AsyncStd {
    fn store_at_home() -> Result<Arc<dyn Store>, Arc<Failure>> {
        Ok(Arc::new(FileStore::at_home()?))
    }

    fn person() -> Arc<dyn Person> {
        Arc::new(Desktop::new())
    }
}

/// Connects to an MCP server, for a program on a person's machine.
///
/// `server` is the server's MCP URL. Credentials are kept in files of the person's data folder
/// ([`FileStore::at_home`]), so the next run, and every other program that shares them, goes on
/// without a login. If the server wants one, the person at this machine is shown its page
/// ([`Desktop`]). From then on tokens are renewed without the program noticing.
///
/// A [`ManagerBuilder`] in place of the URL chooses another store or person, and hears of the
/// progress.
///
/// # Errors
/// [`ConnectError`] says what to do.
pub async fn connect(server: impl Into<ManagerBuilder>) -> Result<Transport, ConnectError> {
    server.into().connect().await
}
