//! The server model: it lets the honest client in, refuses everybody else, and never depends on chance.

// Helpers outside of test functions may give up as loudly as these.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "model/authorize.rs"]
mod authorize;
#[path = "model/client.rs"]
mod client;
#[path = "model/documents.rs"]
mod documents;
#[path = "model/faults.rs"]
mod faults;
#[path = "model/flow.rs"]
mod flow;
#[path = "model/gate.rs"]
mod gate;
#[path = "model/refresh.rs"]
mod refresh;
#[path = "model/registration.rs"]
mod registration;
#[path = "model/sockets.rs"]
mod sockets;
#[path = "model/token.rs"]
mod token;
#[path = "model/token_answers.rs"]
mod token_answers;
#[path = "model/transport.rs"]
mod transport;
