//! `mcp-authz` inside `rmcp`, the Rust SDK of MCP.
//!
//! A program written with rmcp gives its client a transport from here instead of one of rmcp's own,
//! and has nothing else to do with authorization: the token goes on every request, a refusal leads to
//! a refresh, a login or a step-up, once for all requests that wait, and the request is sent again.
//!
//! ```no_run
//! use mcp_authz_rmcp::create_authorized_transport;
//! use mcp_authz_tokio::AuthorizationManager;
//! use mcp_authz_tokio::host::person::Desktop;
//! use rmcp::ServiceExt as _;
//! use rmcp::model::ClientConfig;
//!
//! # async fn tools() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "https://mcp.example/mcp";
//! let manager = AuthorizationManager::builder(url).person(Desktop::new()).build()?;
//! let transport = create_authorized_transport(url, manager, None);
//! let service = ClientConfig::default().serve(transport).await?;
//! for tool in service.peer().list_all_tools().await? {
//!     println!("{}", tool.name);
//! }
//! service.cancel().await?;
//! # Ok(())
//! # }
//! ```
//!
//! | | |
//! | --- | --- |
//! | [`create_authorized_transport`] | Streamable HTTP, both wire eras |
//! | [`StreamableHttp`] | the same as an HTTP client for a transport that the program makes itself |
//! | `HttpSse` | HTTP+SSE of 2024-11-05 (feature `http-sse`) |
//! | `Auto` | the first, and the second for servers that speak no other (feature `http-sse`) |
//! | `bridge` | the stores of mcp-authz for programs that stay with rmcp's own authorization (feature `bridge`) |
//!
//! The [guide](mod@guide) finds each name of rmcp's own authorization here.
//!
//! Every failure is an [`Error`], which [`Error::within`] finds inside those of rmcp.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "http-sse")]
mod auto;
#[cfg(feature = "bridge")]
pub mod bridge;
mod doubt;
mod error;
mod events;
#[cfg(feature = "http-sse")]
mod http_sse;
mod pace;
mod streamable;
mod wire;

#[cfg(doc)]
#[cfg_attr(not(doctest), doc = include_str!("../README.md"))]
///
/// [rules]: mcp_authz_driver::guide::rules
pub mod guide {}

#[cfg(feature = "http-sse")]
pub use auto::Auto;
pub use error::Error;
#[cfg(feature = "http-sse")]
pub use http_sse::HttpSse;
use mcp_authz_tokio::AuthorizationManager;
pub use rmcp;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
pub use streamable::StreamableHttp;

/// A transport for the MCP server at this URL, over Streamable HTTP, with the manager's token on every
/// request. If a request needs a login, the manager's own person is asked; without one it fails with
/// `reauthorization_required`. The configuration's own URL is not looked at, and it must have no
/// `auth_header`.
///
/// To be called within a tokio runtime, like rmcp's own transports.
#[must_use]
pub fn create_authorized_transport(
    url: &str,
    manager: AuthorizationManager,
    config: Option<StreamableHttpClientTransportConfig>,
) -> StreamableHttpClientTransport<StreamableHttp> {
    let client = StreamableHttp::new(manager.session()).may_ask(manager.may_ask());
    StreamableHttpClientTransport::with_client(client, at(url, config))
}

fn at(
    url: &str,
    config: Option<StreamableHttpClientTransportConfig>,
) -> StreamableHttpClientTransportConfig {
    let mut config = config.unwrap_or_default();
    config.uri = url.into();
    config
}
