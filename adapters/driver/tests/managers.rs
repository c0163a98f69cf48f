//! The managers, logins and HTTP clients of every adapter, against the server model over real sockets.
//!
//! The cases are written once, as a macro: with `await` for the async adapters, without for the
//! blocking one.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]
#![forbid(unsafe_code)]

#[path = "managers/cases.rs"]
#[macro_use]
mod cases;
#[path = "managers/connecting.rs"]
#[macro_use]
mod connecting;
#[path = "managers/parts.rs"]
mod parts;

managers!(ureq, mcp_authz_ureq, parts::here);
managers!(tokio, mcp_authz_tokio, parts::on_tokio, await);
managers!(async_std, mcp_authz_async_std, parts::on_async_std, await);

connecting!(connecting_on_ureq, mcp_authz_ureq, parts::here);
connecting!(connecting_on_tokio, mcp_authz_tokio, parts::on_tokio, await);
connecting!(connecting_on_async_std, mcp_authz_async_std, parts::on_async_std, await);
