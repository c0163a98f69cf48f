//! The parts that a program on a person's machine adds to `mcp-authz`: the callback listener, the
//! browser and the stores. No runtime.
//!
//! | module | holds |
//! | --- | --- |
//! | [`conversation`] | what a listener says to a browser: bytes in, bytes out |
//! | [`page`] | what a person sees at the end of a login, and the words that a program brings for it |
//! | [`listener`] | the same on threads |
//! | `listen_async` | the same on any async runtime (feature `async`) |
//! | `browser` | showing the authorization page (feature `desktop`) |
//! | `terminal` | what is pasted into it (feature `desktop`) |
//! | `person` | the person at this machine, with a browser or a terminal (feature `desktop`) |
//! | [`store`] | where credentials are kept: memory, files (feature `files`), the keychain (feature `keychain`) |
//! | `contract` | the promises of a store, as tests for stores of one's own (feature `contract`) |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "desktop")]
pub mod browser;
#[cfg(feature = "contract")]
pub mod contract;
pub mod conversation;
mod guests;
#[cfg(feature = "async")]
pub mod listen_async;
pub mod listener;
mod loopback;
pub mod page;
#[cfg(feature = "desktop")]
pub mod person;
pub mod store;
#[cfg(feature = "desktop")]
pub mod terminal;
