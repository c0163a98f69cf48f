//! The error codes of JSON-RPC and MCP that decide how a transport goes on.

/// The request's headers contradict its body (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;
/// The server needs a capability that the client has not named (2026-07-28).
pub const MISSING_CAPABILITY: i64 = -32021;
/// The server does not speak this revision (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// The server has no such method (JSON-RPC 2.0, section 5.1).
pub const NO_METHOD: i64 = -32601;
/// The session is not there; the same number is also used for a request that took too long.
pub const NO_SESSION: i64 = -32001;

/// Returns true if only a server of 2026-07-28 answers with this code (TRANS-27).
#[must_use]
pub const fn only_modern(code: i64) -> bool {
    matches!(code, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
}
