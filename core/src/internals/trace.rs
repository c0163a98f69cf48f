//! A session's configuration, inputs and effects as plain values, which a trace can hold.
//!
//! Decides how each is written down and read back. The values hold every secret as it is: whoever
//! takes them has to put placeholders in the place of what nobody may see.

mod config;
mod effects;
mod failure;
mod input;

pub use config::{AtIssuer, Known, Listed, Setup};
pub use effects::written;
pub use input::{Given, Kept, Outcome, Raw, Refused, Stopped, Want};

use crate::secret::Secret;
use crate::session::Env;

/// The part of a step's random bytes that tells it from others. It is no secret.
#[must_use]
pub fn mark(env: &Env) -> u64 {
    env.entropy.mark()
}

/// The number by which a session remembers a `state` that was spent.
#[must_use]
pub fn stands_for(state: &str) -> u64 {
    crate::session::stands_for(&Secret::new(state))
}
