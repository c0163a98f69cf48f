//! Random bytes, fresh for every step.

use mcp_authz_core::entropy::Entropy;

/// Gives random bytes.
pub trait Random: Send + Sync + 'static {
    /// Bytes for one step, or nothing if the source is broken: then nothing is sent (HOST-164).
    fn draw(&self) -> Option<Entropy>;
}

/// The system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Random for System {
    fn draw(&self) -> Option<Entropy> {
        let mut bytes = [0; Entropy::BYTES];
        getrandom::fill(&mut bytes).ok().map(|()| Entropy::new(bytes))
    }
}
