//! The two clocks a session is given with every input.

use core::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mcp_authz_core::time::{Monotonic, Timestamp};

/// Tells the time. The monotonic reading never goes back.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock.
    fn wall(&self) -> Timestamp;
    /// The monotonic clock; its zero is the moment this clock was made.
    fn mono(&self) -> Monotonic;
}

/// The system's clocks.
#[derive(Clone, Copy)]
pub struct System {
    zero: Instant,
}

impl System {
    /// Starts the monotonic clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self { zero: Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for System {
    fn wall(&self) -> Timestamp {
        let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            // A clock before 1970 is passed on as it is: the session knows it for broken.
            Err(before) => i64::try_from(before.duration().as_secs())
                .map_or(i64::MIN, |seconds| seconds.saturating_neg().saturating_sub(1)),
        };
        Timestamp::from_unix(seconds)
    }

    fn mono(&self) -> Monotonic {
        Monotonic::from_millis(u64::try_from(self.zero.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("System")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clocks_are_plausible_host_312() {
        let clock = System::new();
        let (first, wall) = (clock.mono(), clock.wall());
        assert!(wall.plausible() && wall.unix() > 1_700_000_000);
        assert!(clock.mono() >= first);
    }
}
