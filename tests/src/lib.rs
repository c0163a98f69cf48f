//! What the suites of mcp-authz share.
//!
//! - [`model`]: a complete MCP authorization server and protected MCP endpoint as a pure function.
//! - [`serve`]: the same model behind real sockets on the loopback interface.
#![forbid(unsafe_code)]

pub mod model;
pub mod serve;
