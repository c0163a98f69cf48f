//! `mcp-authz` for programs without an async runtime, on ureq.
//!
//! ```no_run
//! use mcp_authz_core::{Config, scope::ScopeSet};
//!
//! let client = mcp_authz_ureq::Client::builder().build()?;
//! let session = client.session(Config::builder("https://mcp.example/mcp").build()?);
//! let settled = session.acquire(&ScopeSet::empty(), true)?;
//! let granted = settled.outcome?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Never log `ureq_proto` at level trace: it writes down the bytes of requests and answers, tokens
//! included. Every lower level is free of them.

mod client;
mod dial;
mod http;

#[cfg(feature = "transport")]
pub use client::Transport;
pub use client::{
    AuthSession, AuthorizationManager, AuthorizationSession, AuthorizedHttpClient, Builder, Client,
};
pub use http::UreqHttp;
pub use mcp_authz_core::effect::Visit;
pub use mcp_authz_core::{Config, config, failure, granted, scope};
pub use mcp_authz_driver as driver;
pub use mcp_authz_host as host;
