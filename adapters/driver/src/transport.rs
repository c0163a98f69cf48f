//! The MCP transports: JSON-RPC over an authorized session, Streamable HTTP of every revision and
//! HTTP+SSE (TRANS).
//!
//! | module | decides |
//! | --- | --- |
//! | `era` | which wire the server speaks, by what it answers |
//! | `request` | which headers go with a message |
//! | `mirror` | which tool parameters are headers too |
//! | `answer` | what the head of an answer says of its body |
//! | `resume` | after which event a broken stream goes on, and when it is given up |
//! | `endpoint` | where HTTP+SSE may have its messages posted |
//!
//! These are pure. Above them one engine does the asking; it is written once, async, and blocking
//! programs run the same on their own threads. Its faces are [`on_demand::Transport`] and
//! [`threaded::Transport`]. Tokens are the session's business: a refusal is healed before an answer
//! comes here, and a stream never notices that its token was replaced.
//!
//! [`on_demand::Transport`]: crate::on_demand::Transport
//! [`threaded::Transport`]: crate::threaded::Transport

#![allow(dead_code, reason = "the engine that asks is the next step")]

mod answer;
mod endpoint;
mod era;
mod error;
mod mirror;
mod request;
mod resume;
mod rpc;
mod settings;

pub use error::{RpcError, TransportError};
pub use mirror::DroppedTool;
pub use settings::{Bounds, Choice, Kind, Settings};
