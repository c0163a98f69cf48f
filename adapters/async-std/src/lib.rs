//! `mcp-authz` on async-std and hyper.
//!
//! async-std is discontinued (RUSTSEC-2025-0052). This crate is for programs that are still on it;
//! new ones use tokio, or no runtime at all.
//!
//! ```no_run
//! use mcp_authz_core::{Config, scope::ScopeSet};
//!
//! # async fn login() -> Result<(), Box<dyn std::error::Error>> {
//! let client = mcp_authz_async_std::Client::builder().build()?;
//! let session = client.session(Config::builder("https://mcp.example/mcp").build()?);
//! let settled = session.acquire(&ScopeSet::empty(), true).await?;
//! let granted = settled.outcome?;
//! # Ok(())
//! # }
//! ```

mod client;
mod dial;
mod http;
mod listener;
mod runtime;

pub use client::{
    AuthSession, AuthorizationManager, AuthorizationSession, AuthorizedHttpClient, Builder, Client,
    HttpSse, Transport,
};
pub use http::HyperHttp;
pub use listener::Loopback;
pub use mcp_authz_core::effect::Visit;
pub use mcp_authz_core::{Config, config, failure, granted, scope};
pub use mcp_authz_driver as driver;
pub use mcp_authz_host as host;
pub use runtime::AsyncStd;
