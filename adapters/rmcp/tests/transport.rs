//! An rmcp client over the authorized transports, against the model server on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

#[path = "transport/auto.rs"]
mod auto;
#[path = "transport/errors.rs"]
mod errors;
#[path = "transport/http_sse.rs"]
mod http_sse;
#[path = "transport/manager.rs"]
mod manager;
#[path = "transport/renewal.rs"]
mod renewal;
#[path = "transport/streamable.rs"]
mod streamable;
