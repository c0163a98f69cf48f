//! Several servers and accounts in one program: what the store has of them.
//!
//! A vault only looks. Everything else is done by the session of an entry: it uses the entry's
//! tokens, renews them, and gives them back to the server when it logs out.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use mcp_authz_driver::ports::{Common, Store};
//! use mcp_authz_driver::vault::Vault;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store: Arc<dyn Store> = Arc::new(mcp_authz_host::store::MemoryStore::new());
//! let vault = Vault::new(Arc::clone(&store));
//! for entry in vault.entries().map_err(|kind| kind.sentence())? {
//!     println!("{entry}"); // https://mcp.example/mcp as work: authorized, by https://as.example
//! }
//!
//! // One is chosen, and logged out. Another program's adapter makes the session its own way.
//! let chosen = vault.find("https://mcp.example/mcp", Some("work"));
//! if let Some(entry) = chosen.map_err(|kind| kind.sentence())? {
//!     let config = entry.builder().persistent(true).build()?;
//!     let common = Common { store, ..Common::default() };
//!     let client = mcp_authz_ureq::Client::builder().build()?;
//!     client.session(config, common).forget()?;
//! }
//! # Ok(())
//! # }
//! ```

use core::fmt;
use std::sync::Arc;

use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::listing;
pub use mcp_authz_core::listing::{Entry, State};

use crate::clock::{self, Clock};
use crate::ports::Store;

/// The entries of a store, by server and account.
#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Vault {
    /// The vault of a store, by the system's clock.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::with_clock(store, Arc::new(clock::System::new()))
    }

    /// The vault of a store, by another clock.
    #[must_use]
    pub fn with_clock(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Every account at every server, sorted by both. Blocks as long as the store does.
    ///
    /// # Errors
    /// The store's code; `store_unavailable` also for a store that cannot list. Show its sentence
    /// to the person: nothing was changed.
    pub fn entries(&self) -> Result<Vec<Entry>, Kind> {
        let mut records = self.store.list(RecordKind::Binding)?;
        records.append(&mut self.store.list(RecordKind::Grant)?);
        Ok(listing::read(records, self.clock.wall()))
    }

    /// The entry of an MCP URL, in whatever spelling, and account; `None` is the account without a
    /// name.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn find(&self, mcp_url: &str, account: Option<&str>) -> Result<Option<Entry>, Kind> {
        Ok(self.entries()?.into_iter().find(|entry| entry.is_of(mcp_url, account)))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}
