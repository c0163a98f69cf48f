//! `mcp-authz` on async-std and hyper.
//!
//! async-std is discontinued (RUSTSEC-2025-0052). This crate is for programs that are still on it;
//! new ones use tokio, or no runtime at all.
//!
//! ```no_run
//! # async fn tools() -> Result<(), Box<dyn std::error::Error>> {
//! let server = mcp_authz_async_std::connect("https://mcp.example/mcp").await?;
//! for tool in server.list_tools().await? {
//!     println!("{}", tool.name);
//! }
//! let said = server.call_tool("echo", serde_json::json!({"text": "hello"})).await?;
//! println!("{}", said.text());
//! # Ok(())
//! # }
//! ```
//!
//! [`connect`] keeps credentials in files of the person's data folder, and asks the person at this machine.
//! A program that chooses for itself begins with a manager:
//!
//! ```no_run
//! use mcp_authz_async_std::{AuthorizationManager, AuthorizedHttpClient, Desktop, Settings};
//!
//! # async fn tools() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = AuthorizationManager::new("https://mcp.example/mcp")?;
//! manager.log_in(&Desktop::new()).await?; // logs in, unless there is a usable grant
//! let server = manager.connect(Settings::new("my-client", "1.0")).await?;
//!
//! let client = AuthorizedHttpClient::new(manager, None); // for everything else at that server
//! let answer = client.get("https://mcp.example/mcp/report").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Underneath, a [`Client`] makes sessions of a [`Config`], for programs that want each step. The
//! [guide] goes through them, and leads to the pages that all adapters share: connections, credentials,
//! operations, security, rules.
//!
//! [guide]: mod@guide

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
#[cfg(all(feature = "desktop", feature = "files"))]
mod home;
mod listener;
mod net;
mod runtime;

#[cfg(doc)]
#[cfg_attr(not(doctest), doc = include_str!("guide.md"))]
///
/// [connections]: mcp_authz_driver::guide::connections
/// [credentials]: mcp_authz_driver::guide::credentials
/// [from_mcp_remote]: mcp_authz_driver::guide::from_mcp_remote
/// [operations]: mcp_authz_driver::guide::operations
/// [requests]: mcp_authz_driver::guide::requests
/// [revisions]: mcp_authz_driver::guide::revisions
/// [rules]: mcp_authz_driver::guide::rules
/// [security]: mcp_authz_driver::guide::security
pub mod guide {}

pub use client::{
    AuthSession, AuthorizationManager, AuthorizationSession, AuthorizedHttpClient, Client,
    ClientBuilder, HttpSse, HyperHttp, ManagerBuilder, Transport,
};
#[cfg(all(feature = "desktop", feature = "files"))]
pub use home::connect;
pub use listener::Loopback;
pub use mcp_authz_core::effect::{LoopbackHost, Page, Told, Visit};
pub use mcp_authz_core::failure::{Failure, Kind, Remedy};
pub use mcp_authz_core::granted::Granted;
pub use mcp_authz_core::note::Note;
pub use mcp_authz_core::scope::ScopeSet;
pub use mcp_authz_core::session::Snapshot;
pub use mcp_authz_core::{Config, config, failure, granted, scope};
pub use mcp_authz_driver as driver;
pub use mcp_authz_driver::authorize::{AuthorizeError, Authorized, Seen};
pub use mcp_authz_driver::client::BuildError;
pub use mcp_authz_driver::exchange::ExchangeError;
pub use mcp_authz_driver::manager::{ConnectError, SetupError};
pub use mcp_authz_driver::person::{Answers, Person};
pub use mcp_authz_driver::ports::{Observer, Store};
pub use mcp_authz_driver::progress::Progress;
pub use mcp_authz_driver::proxy::{Proxies, Proxy};
pub use mcp_authz_driver::tls::Roots;
pub use mcp_authz_driver::transport::{Settings, Tool, ToolResult, TransportError};
pub use mcp_authz_driver::vault::Vault;
pub use mcp_authz_host as host;
#[cfg(feature = "desktop")]
pub use mcp_authz_host::person::{Desktop, Terminal};
pub use mcp_authz_host::store::MemoryStore;
#[cfg(feature = "files")]
pub use mcp_authz_host::store::{FileStore, StoreError};
pub use runtime::AsyncStd;
