//! The parts that the suites of mcp-authz share.
//!
//! - [`coverage`]: which tests prove which requirement.
//! - [`fuzz_bodies`]: what the fuzz targets do with their bytes.
//! - [`job`]: what the example clients share: arguments, steps, output.
//! - [`model`]: a complete MCP authorization server and protected MCP endpoint as a pure function.
//! - [`picture`]: the pictures of the pages.
//! - [`random`]: numbers without a pattern, the same in each run.
//! - [`rules`]: the rules with their sentences.
//! - [`schedule`]: random schedules of whole worlds against a small reference model.
//! - [`serve`]: the same model behind real sockets on the loopback interface.
//! - [`sim`]: the core against the model under a virtual clock; the language of the scripts.
#![forbid(unsafe_code)]

pub mod coverage;
#[allow(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is a finding"
)]
pub mod fuzz_bodies;
pub mod job;
pub mod model;
pub mod picture;
pub mod random;
pub mod rules;
#[allow(clippy::expect_used, reason = "the world's own assumptions are assertions")]
pub mod schedule;
pub mod serve;
#[allow(clippy::panic, clippy::expect_used, reason = "a script's expectation is an assertion")]
pub mod sim;

/// The code on the front page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
