//! The MCP transports: JSON-RPC over an authorized session, Streamable HTTP of every revision and
//! HTTP+SSE (TRANS).
//!
//! | module | decides |
//! | --- | --- |
//! | `era` | which wire the server speaks, by what it answers |
//! | `manner` | which headers go with a message |
//! | `mirror` | which tool parameters are headers too |
//! | `answer` | what the head of an answer says of its body |
//! | `refused` | what an answer says that is no success, and whether a session is lost with it |
//! | `weight` | what a text takes once it is read |
//! | `resume` | after which event a broken stream goes on, and when it is given up |
//! | `endpoint` | where HTTP+SSE may have its messages posted |
//!
//! These are pure. Above them one engine does the asking; it is written once, async, and blocking
//! programs run the same on their own threads. Its faces are those of [`Transport`]. Tokens are the
//! session's business: a refusal is healed before an answer comes here, and a stream never notices
//! that its token was replaced.

mod answer;
mod asking;
mod bus;
pub mod codes;
mod endpoint;
mod engine;
mod era;
mod error;
pub(crate) mod face;
mod line;
mod link;
mod mailbox;
mod manner;
mod mirror;
mod opening;
mod refused;
mod request;
mod resume;
mod rpc;
mod settings;
mod tools;
mod weight;

#[cfg(feature = "async")]
pub(crate) use bus::Opened;
pub(crate) use era::Memory;
pub use error::{RpcError, TransportError};
#[cfg(feature = "async")]
pub(crate) use face::Over;
pub use face::Transport;
#[cfg(feature = "async")]
pub(crate) use line::Line;
pub(crate) use line::{Messages, Task};
#[cfg(feature = "async")]
pub(crate) use manner::{Manner, Wire, operation};
pub use mirror::DroppedTool;
pub use refused::words;
#[cfg(feature = "async")]
pub(crate) use rpc::is_courtesy;
pub use settings::{Bounds, Choice, Kind, Settings};
pub use tools::{Tool, ToolResult};
pub use weight::fits;

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test that goes wrong panics")]
mod timing;
