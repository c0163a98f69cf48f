//! What the benches measure: one whole login in memory, and a floor that does the same parsing,
//! hashing and encoding by hand with nothing around it.
#![allow(clippy::expect_used, clippy::panic, reason = "a bench that goes wrong must stop")]

pub mod canned;
pub mod floor;
pub mod flow;
