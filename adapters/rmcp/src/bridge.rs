//! The stores of mcp-authz for programs that stay with rmcp's own authorization.
//!
//! Records that rmcp keeps in memory unless told otherwise go into whatever [`Store`] the program
//! has: the locked and atomic files, or the keychain. Any number of programs may share it, also
//! with sessions of mcp-authz, which neither see these records nor are seen.
//!
//! ```
//! use std::sync::Arc;
//!
//! use mcp_authz_rmcp::bridge::{Credentials, States};
//! use mcp_authz_rmcp::rmcp::transport::AuthorizationManager;
//!
//! # async fn manager(store: Arc<dyn mcp_authz_driver::ports::Store>) -> Result<(), Box<dyn std::error::Error>> {
//! let url = "https://mcp.example/mcp";
//! let mut manager = AuthorizationManager::new(url).await?;
//! manager.set_credential_store(Credentials::new(Arc::clone(&store), url, "work"));
//! manager.set_state_store(States::new(store, url, "work"));
//! if !manager.initialize_from_store().await? {
//!     // Nobody has logged in yet.
//! }
//! # Ok(())
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(manager(Arc::new(mcp_authz_host::store::MemoryStore::new())))
//! # }
//! ```
//!
//! Requests of rmcp go through its own HTTP client, whose TLS is a feature of rmcp (`reqwest`, or
//! one of its relatives). Nothing here turns one on.
//!
//! A record is replaced only if it is still what was read, otherwise the change is made anew to what
//! is there by then. One that cannot be read, or that a newer version wrote, is an error and is not
//! written over (HOST-269).

mod slot;

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use mcp_authz_core::effect::{Holder, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;
use rmcp::transport::{
    AuthError, CredentialRefreshGuard, CredentialStore, StateStore, StoredAuthorizationState,
    StoredCredentials,
};

use slot::Slot;

/// How long another program's refresh is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether that is over.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a login may take.
const LOGIN: u64 = 60 * 60;
/// Most logins under way of one account.
const MOST_LOGINS: usize = 32;

/// Keeps rmcp's credentials for one MCP server and account.
///
/// A refresh takes the record's lease: one program at a time spends the refresh token, and the next
/// one finds what that brought.
#[derive(Clone)]
pub struct Credentials {
    slot: Slot,
}

impl Credentials {
    /// The credentials for this MCP URL, in whatever spelling, and account, in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, mcp_url: &str, account: &str) -> Self {
        Self { slot: Slot::new(store, "credentials", mcp_url, account) }
    }
}

/// Shows nothing that is kept.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[async_trait]
impl CredentialStore for Credentials {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        self.slot.on_pool(|slot| slot.load()).await.map_err(failed)
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let save = move |slot: &Slot| slot.change(|_| Some(credentials.clone()));
        self.slot.on_pool(save).await.map_err(failed)
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.slot.on_pool(|slot| slot.clear()).await.map_err(failed)
    }

    async fn acquire_refresh_guard(&self) -> Result<Option<CredentialRefreshGuard>, AuthError> {
        let until = Instant::now().checked_add(PATIENCE);
        loop {
            match self.slot.on_pool(Lease::take).await.map_err(failed)? {
                Some(lease) => return Ok(Some(CredentialRefreshGuard::new(lease))),
                None if until.is_some_and(|until| until <= Instant::now()) => {
                    return Err(failed(Kind::StoreLocked));
                }
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// A lease of the record: given back wherever it is dropped, also on the way to a caller who is gone.
struct Lease {
    slot: Slot,
    holder: Holder,
}

impl Lease {
    /// `None` if another has it.
    fn take(slot: &Slot) -> Result<Option<Self>, Kind> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| Kind::EntropyUnavailable)?;
        let holder = Holder(Holder(u64::from_le_bytes(bytes)).session());
        match slot.store.perform(StoreRequest::Lease { key: slot.key.clone(), holder }) {
            Stored::Leased => Ok(Some(Self { slot: slot.clone(), holder })),
            Stored::Busy => Ok(None),
            other => Err(slot::kind(&other)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (key, holder) = (self.slot.key.clone(), self.holder);
        // A lease that cannot be given back ends with the process.
        let _given_back =
            self.slot.store.perform(StoreRequest::Release { key, holder, withdraw: None });
    }
}

/// Keeps what rmcp has to remember of a login until its callback comes, perhaps in another process.
///
/// All logins of one account are one record: those that nobody finished are dropped after an hour,
/// and the oldest ones before that if there are too many.
#[derive(Clone)]
pub struct States {
    slot: Slot,
}

/// The logins under way, by their `state`.
type Logins = BTreeMap<String, StoredAuthorizationState>;

impl States {
    /// The logins for this MCP URL, in whatever spelling, and account, in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, mcp_url: &str, account: &str) -> Self {
        Self { slot: Slot::new(store, "states", mcp_url, account) }
    }
}

/// Shows nothing that is kept.
impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("States")
    }
}

#[async_trait]
impl StateStore for States {
    async fn save(
        &self,
        csrf_token: &str,
        state: StoredAuthorizationState,
    ) -> Result<(), AuthError> {
        let name = csrf_token.to_owned();
        let save = move |slot: &Slot| {
            slot.change(|logins: Option<Logins>| {
                let mut logins = logins.unwrap_or_default();
                logins.retain(|_, login| under_way(login));
                while logins.len() >= MOST_LOGINS {
                    let oldest = logins.iter().min_by_key(|(_, login)| login.created_at);
                    let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
                    logins.remove(&oldest);
                }
                logins.insert(name.clone(), state.clone());
                Some(logins)
            })
        };
        self.slot.on_pool(save).await.map_err(failed)
    }

    async fn load(&self, csrf_token: &str) -> Result<Option<StoredAuthorizationState>, AuthError> {
        let logins: Option<Logins> = self.slot.on_pool(|slot| slot.load()).await.map_err(failed)?;
        Ok(logins.unwrap_or_default().remove(csrf_token).filter(under_way))
    }

    async fn delete(&self, csrf_token: &str) -> Result<(), AuthError> {
        let name = csrf_token.to_owned();
        let delete = move |slot: &Slot| {
            slot.change(|logins: Option<Logins>| {
                let mut logins = logins?;
                logins.remove(&name);
                Some(logins).filter(|logins| !logins.is_empty())
            })
        };
        self.slot.on_pool(delete).await.map_err(failed)
    }
}

fn under_way(login: &StoredAuthorizationState) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // A clock that went back ages nothing.
    now.saturating_sub(login.created_at) < LOGIN
}

/// The code, so that a program can tell; the sentence, so that a person can.
fn failed(kind: Kind) -> AuthError {
    AuthError::CredentialStoreError(format!("{}: {}", kind.code(), kind.sentence()))
}
