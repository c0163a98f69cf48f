//! Time as the core sees it: two readings that arrive with every input, and durations.
//!
//! The wall clock judges expiry and survives a restart; the monotonic clock drives every deadline
//! and cannot jump. All arithmetic saturates (SEC-17).

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall-clock time in whole seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest second that is believed to be a real clock reading: the end of the year 9999.
    const LATEST: i64 = 253_402_300_799;

    /// A reading in seconds since 1970-01-01T00:00:00Z; earlier times are negative.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This time and a duration later, in whole seconds.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX)))
    }

    /// How long it is from here until `later`; nothing if that is past.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// Whether this can be a real reading. A clock before 1970 or beyond the year 9999 is broken,
    /// and no lifetime is judged by it (HOST-312).
    #[must_use]
    pub const fn plausible(self) -> bool {
        0 <= self.0 && self.0 <= Self::LATEST
    }
}

/// Milliseconds of a clock that never goes back; its zero is any moment before the first input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Monotonic(u64);

impl Monotonic {
    /// A reading in milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The reading in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This reading and a duration later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long it is from here until `later`; nothing if that is past.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// When the session wants to hear [`Input::Wake`](crate::Input::Wake), and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The moment, on the monotonic clock.
    pub at: Monotonic,
    /// What is being waited for, so that a stuck flow explains itself.
    pub reason: Awaited,
}

/// What a parked stage waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Awaited {
    /// The answer to an HTTP request.
    Call,
    /// A listener on the redirect URI.
    Listen,
    /// An answer of the credential store.
    Store,
    /// A signature.
    Sign,
    /// The end of a pause in which nothing is out.
    Pause,
    /// The end of a pause before the next attempt; the answer to the last one may still come.
    Backoff,
    /// A person, and then the callback.
    Person,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_sec_17() {
        let far = Duration::from_secs(u64::MAX);
        assert_eq!(Timestamp::from_unix(i64::MAX).after(far).unix(), i64::MAX);
        assert_eq!(Timestamp::from_unix(5).until(Timestamp::from_unix(-5)), Duration::ZERO);
        assert_eq!(Monotonic::from_millis(7).after(far).millis(), u64::MAX);
        assert_eq!(Monotonic::from_millis(9).until(Monotonic::from_millis(3)), Duration::ZERO);
    }

    #[test]
    fn broken_clocks_are_recognised_host_312() {
        for broken in [-1, i64::MIN, i64::MAX] {
            assert!(!Timestamp::from_unix(broken).plausible());
        }
        assert!(Timestamp::from_unix(1_795_000_000).plausible());
    }
}
