//! `mcp-authz` for programs without an async runtime, on ureq.
//!
//! ```no_run
//! let server = mcp_authz_ureq::connect("https://mcp.example/mcp")?;
//! for tool in server.list_tools()? {
//!     println!("{}", tool.name);
//! }
//! let said = server.call_tool("echo", serde_json::json!({"text": "hello"}))?;
//! println!("{}", said.text());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`connect`] keeps credentials in files of the person's data folder, and asks the person at this machine.
//! A program that chooses for itself begins with a manager:
//!
//! ```no_run
//! use mcp_authz_ureq::{AuthorizationManager, AuthorizedHttpClient, Desktop, Settings};
//!
//! let manager = AuthorizationManager::new("https://mcp.example/mcp")?;
//! manager.log_in(&Desktop::new())?; // logs in, unless there is a usable grant
//! let server = manager.connect(Settings::new("my-client", "1.0"))?;
//!
//! let client = AuthorizedHttpClient::new(manager, None); // for everything else at that server
//! let answer = client.get("https://mcp.example/mcp/report")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Underneath, a [`Client`] makes sessions of a [`Config`], for programs that want each step. The
//! [guide] goes through them, and leads to the pages that all adapters share: connections, credentials,
//! operations, security, rules.
//!
//! [guide]: mod@guide
//!
//! Never log `ureq_proto` at level trace: it writes down the bytes of requests and answers, tokens
//! included. Every lower level is free of them.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod dial;
#[cfg(all(feature = "desktop", feature = "files"))]
mod home;
mod http;

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

#[cfg(feature = "transport")]
pub use client::Transport;
pub use client::{
    AuthSession, AuthorizationManager, AuthorizationSession, AuthorizedHttpClient, Client,
    ClientBuilder, ManagerBuilder,
};
#[cfg(all(feature = "desktop", feature = "files", feature = "transport"))]
pub use home::connect;
pub use http::UreqHttp;
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
#[cfg(feature = "transport")]
pub use mcp_authz_driver::manager::ConnectError;
pub use mcp_authz_driver::manager::SetupError;
pub use mcp_authz_driver::person::{Answers, Person};
pub use mcp_authz_driver::ports::{Observer, Store};
pub use mcp_authz_driver::progress::Progress;
pub use mcp_authz_driver::proxy::{Proxies, Proxy};
pub use mcp_authz_driver::tls::Roots;
#[cfg(feature = "transport")]
pub use mcp_authz_driver::transport::{Settings, Tool, ToolResult, TransportError};
pub use mcp_authz_driver::vault::Vault;
pub use mcp_authz_host as host;
#[cfg(feature = "desktop")]
pub use mcp_authz_host::person::{Desktop, Terminal};
pub use mcp_authz_host::store::MemoryStore;
#[cfg(feature = "files")]
pub use mcp_authz_host::store::{FileStore, StoreError};
