//! The loops that perform a session's effects, and the ports they perform them through.
//!
//! A driver decides nothing: it hands inputs to [`Session::handle`], does the work that comes back
//! and hands in the answers. Three loops do so for three kinds of program.
//!
//! | module | for | who does the work |
//! | --- | --- | --- |
//! | [`single`] | one thread that owns its session | the caller, one piece after the other |
//! | [`threads`] | a session that threads share | whichever caller is there, else a helper thread |
//! | `tasks` (feature `async`) | async programs | a task that lives as long as there is something to do |
//!
//! The layers above the last two are written once, async, and have a face for each:
//! [`AuthSession`], [`AuthorizationManager`], [`AuthorizedHttpClient`] and the MCP [`transport`]s.
//! The futures of threads block where they are polled.
//!
//! There is no runtime here and nothing about OAuth. An adapter adds the [`ports`]: how to send,
//! listen, spawn and sleep. The parts that adapters share beside that are here too: the hot path's
//! [`publish`] cell, the callers' own requests ([`exchange`], and [`authorize`] for those who send
//! by themselves), the [`vault`] of several servers and accounts, look-ups that respect the address
//! rule ([`dial`]), which proxy a request goes through (`proxy`, feature `tls`), the checks on an answer's head ([`head`]), reading its body ([`reading`]), the
//! event stream decoder ([`sse`]), one HTTP port for every async runtime (`hyper_http`, feature
//! `hyper`), and traces of sessions, which replay (`trace`, feature `trace`).
//!
//! The [`guide`] is for programs: connections, credentials, operations, security, the rules by id.
//!
//! [`Session::handle`]: mcp_authz_core::Session::handle

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod arrivals;
pub mod authorize;
#[cfg(feature = "tls")]
pub mod client;
pub mod clock;
pub mod dial;
pub mod entropy;
mod error;
pub mod exchange;
mod faces;
pub mod guide;
pub mod head;
mod http_client;
#[cfg(feature = "hyper")]
pub mod hyper_http;
#[cfg(all(test, loom))]
mod loom_tests;
mod loops;
pub mod manager;
mod outbox;
mod parked;
pub mod person;
pub mod ports;
pub mod progress;
#[cfg(feature = "tls")]
pub mod proxy;
pub mod publish;
pub mod reading;
pub mod rules;
mod session;
pub mod single;
pub mod sse;
mod sync;
#[cfg(feature = "async")]
pub mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threads;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "trace")]
pub mod trace;
#[cfg(feature = "tracing")]
pub mod traced;
#[cfg(feature = "transport")]
pub mod transport;
pub mod vault;
mod work;

pub use error::{DriveError, ResumeError};
pub use http_client::AuthorizedHttpClient;
pub use loops::PortsOf;
pub use manager::{AuthorizationManager, AuthorizationSession};
pub use session::AuthSession;
