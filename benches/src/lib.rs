//! The subjects of the benches: one whole login in memory, a caller with a live token, and beside
//! each a floor that does the same by hand with nothing around it; crowds of callers, and of
//! sessions.
#![allow(clippy::expect_used, clippy::panic, reason = "a bench that goes wrong must stop")]

pub mod canned;
pub mod crowd;
pub mod floor;
pub mod flow;
pub mod live;
pub mod renewal;
mod rush;
pub mod slow;
