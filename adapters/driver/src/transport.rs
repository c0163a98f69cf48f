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

mod answer;
mod bus;
mod endpoint;
mod engine;
mod era;
mod error;
mod flow;
mod line;
mod mailbox;
mod mirror;
mod opening;
mod parked;
mod request;
mod resume;
mod rpc;
mod settings;

#[cfg(feature = "async")]
pub(crate) use bus::Opened;
pub(crate) use engine::{Engine, Messages};
pub(crate) use era::Memory;
pub use error::{RpcError, TransportError};
pub(crate) use line::{Line, Task};
pub use mirror::DroppedTool;
pub(crate) use parked::{Sleep, block_on};
#[cfg(feature = "async")]
pub(crate) use request::{Manner, Wire, operation};
#[cfg(feature = "async")]
pub(crate) use rpc::is_courtesy;
pub use settings::{Bounds, Choice, Kind, Settings};
