//! The two clocks a session is given with every input.

use core::fmt;
use core::time::Duration;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mcp_authz_core::granted::Fresh;
use mcp_authz_core::time::{Monotonic, Timestamp};

/// Tells the time. The monotonic reading never goes back.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock.
    fn wall(&self) -> Timestamp;
    /// The monotonic clock; its zero is the moment this clock was made.
    fn mono(&self) -> Monotonic;
    /// Returns true if both clocks are before these moments; `false` also if that is not certain.
    /// Every caller with a live token asks.
    fn before(&self, fresh: Fresh) -> bool {
        fresh.wall.is_none_or(|at| self.wall() < at) && fresh.mono.is_none_or(|at| self.mono() < at)
    }
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
        let since = self.zero.elapsed();
        let millis = since.as_secs().saturating_mul(1_000);
        Monotonic::from_millis(millis.saturating_add(u64::from(since.subsec_millis())))
    }

    /// It costs less to add to the moments than to take the readings apart.
    fn before(&self, fresh: Fresh) -> bool {
        let moment = |at: Monotonic| self.zero.checked_add(Duration::from_millis(at.millis()));
        fresh.mono.is_none_or(|at| moment(at).is_some_and(|at| Instant::now() < at))
            && fresh.wall.is_none_or(|at| day(at).is_some_and(|at| SystemTime::now() < at))
    }
}

fn day(at: Timestamp) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(at.unix()).ok()?))
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
        assert!(wall.unix() > 1_700_000_000);
        assert!(clock.mono() >= first);
    }

    #[test]
    fn what_is_before_a_moment_is_so_by_the_readings_host_313() {
        let clock = System::new();
        let (hour, now) = (Duration::from_secs(3600), clock.wall());
        let (past, later) =
            (Timestamp::from_unix(now.unix() - 2), Timestamp::from_unix(now.unix() + 3_600));
        let (gone, to_come) = (clock.mono(), clock.mono().after(hour));
        let before = |wall, mono| clock.before(Fresh { wall, mono });
        assert!(before(None, None));
        assert!(before(Some(later), Some(to_come)));
        assert!(!before(Some(past), Some(to_come)));
        assert!(!before(Some(later), Some(gone)));
        // Not certain, so the readings are looked at.
        assert!(!before(Some(Timestamp::from_unix(-1)), None));
    }
}
