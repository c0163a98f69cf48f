//! Scripts of the session: the core against the model, or against answers given by hand, with time
//! in the margin. Each runs twice, the second time with a restart after each step.
#![forbid(unsafe_code)]

#[path = "session/suite.rs"]
#[macro_use]
mod suite;

#[path = "session/login.rs"]
mod login;
#[path = "session/table.rs"]
mod table;
