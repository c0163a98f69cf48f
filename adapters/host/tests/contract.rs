//! The promises of a store: the stores of this crate keep them, and a store that breaks one is
//! found out.

#![cfg(feature = "contract")]
#![allow(clippy::unwrap_used, clippy::string_slice)]

use mcp_authz_host::contract;
use mcp_authz_host::store::MemoryStore;

#[path = "contract/flawed.rs"]
mod flawed;
#[cfg(unix)]
#[path = "contract/flawed_between.rs"]
mod flawed_between;
#[cfg(feature = "keychain")]
#[path = "contract/keychain.rs"]
mod keychain;

#[test]
fn memory_keeps_the_promises_of_a_store_host_240_host_286_host_300() {
    contract::in_process(MemoryStore::new);
}
