//! One contract for every runtime: the example clients do the whole job against the model server
//! over real sockets.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![allow(clippy::duplicate_mod, reason = "each example brings what it shares with the others")]
#![forbid(unsafe_code)]

#[path = "../../adapters/async-std/examples/async_std_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod async_std_client;
#[path = "../../adapters/ureq/examples/blocking_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod blocking_client;
#[path = "../../adapters/tokio/examples/oauth_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod oauth_client;

#[path = "contract/bad_input.rs"]
mod bad_input;
#[path = "contract/calls.rs"]
mod calls;
#[path = "contract/canary.rs"]
mod canary;
#[path = "contract/pages.rs"]
mod pages;
#[path = "contract/runtimes.rs"]
mod runtimes;
#[path = "contract/same.rs"]
mod same;
#[path = "contract/stores.rs"]
mod stores;
#[path = "contract/token_use.rs"]
mod token_use;
