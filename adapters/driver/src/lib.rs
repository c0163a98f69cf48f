//! The loops that perform a session's effects, and the ports they perform them through.
//!
//! A driver decides nothing: it hands inputs to [`Session::handle`], does the work that comes back
//! and hands in the answers. Three loops do so for three kinds of program.
//!
//! | module | for | who does the work |
//! | --- | --- | --- |
//! | [`blocking`] | one thread that owns its session | the caller, one piece after the other |
//! | [`threaded`] | a session that threads share | whichever caller is there, else a helper thread |
//! | `on_demand` (feature `async`) | async programs | a task that lives as long as there is something to do |
//!
//! There is no runtime here and nothing about OAuth. An adapter adds the [`ports`]: how to send,
//! listen, spawn and sleep. What they share beside that is here too: the hot path's [`publish`]
//! cell, the callers' own requests ([`exchange`], and [`authorize`] for those who send by
//! themselves), the [`vault`] of several servers and accounts, look-ups that respect the address
//! rule ([`dial`]), the checks on an answer's head ([`head`]), reading its body ([`reading`]), the
//! event stream decoder ([`sse`]), and one HTTP port for every async runtime (`hyper_http`, feature
//! `hyper`). On top of a session stand the MCP [`transport`]s.
//!
//! [`Session::handle`]: mcp_authz_core::Session::handle

pub mod arrivals;
pub mod authorize;
pub mod blocking;
pub mod clock;
mod desk;
pub mod dial;
pub mod entropy;
mod error;
pub mod exchange;
pub mod head;
#[cfg(feature = "hyper")]
pub mod hyper_http;
#[cfg(all(test, loom))]
mod loom_tests;
pub mod manager;
#[cfg(feature = "async")]
pub mod on_demand;
pub mod person;
pub mod ports;
pub mod publish;
pub mod reading;
pub mod sse;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
pub mod threaded;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tracing")]
pub mod traced;
#[cfg(feature = "transport")]
pub mod transport;
pub mod vault;
mod work;

pub use error::{DriveError, ResumeError};
