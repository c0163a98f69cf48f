//! One contract for every runtime: the example clients do the whole job against the model server
//! over real sockets.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

#[path = "../glue/asynchronous.rs"]
mod asynchronous;
#[path = "../glue/blocking.rs"]
mod blocking;
#[path = "../glue/kept.rs"]
mod kept;

#[path = "contract/bad_input.rs"]
mod bad_input;
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
