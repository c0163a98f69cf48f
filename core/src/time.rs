//! Time as the core sees it: two readings that arrive with every input, and durations.
//!
//! The wall clock judges expiry and survives a restart; the monotonic clock drives every deadline
//! and cannot jump. All arithmetic saturates (SEC-17).

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Wall-clock time in whole seconds since the Unix epoch.
///
/// It is stored as the distance from the earliest of all times, which is no reading. The distance
/// is never zero, so an absent time takes no more room than one that is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The latest second that is believed to be a real clock reading: the end of the year 9999.
    const LATEST: i64 = 253_402_300_799;

    /// A reading in seconds since 1970-01-01T00:00:00Z; earlier times are negative.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        match NonZeroU64::new(seconds.wrapping_sub(i64::MIN).cast_unsigned()) {
            Some(distance) => Self(distance),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0.get().cast_signed().wrapping_add(i64::MIN)
    }

    /// This time and a duration later, in whole seconds.
    #[must_use]
    pub(crate) fn after(self, wait: Duration) -> Self {
        let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.unix().saturating_add(wait))
    }

    /// The time from here until `later`; zero if that is past.
    #[must_use]
    pub(crate) fn until(self, later: Self) -> Duration {
        let seconds = later.unix().saturating_sub(self.unix());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// Returns true if this can be a real reading. A clock before 1970 or beyond the year 9999 is
    /// broken, and no lifetime is judged by it (HOST-312).
    #[must_use]
    pub(crate) const fn plausible(self) -> bool {
        0 <= self.unix() && self.unix() <= Self::LATEST
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.unix()).finish()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.unix())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        i64::deserialize(from).map(Self::from_unix)
    }
}

/// Milliseconds of a clock that never goes back; its zero is any moment before the first input.
///
/// It is stored as the reading plus one, which is never zero. An absent reading therefore takes no
/// more room than one that is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(NonZeroU64);

impl Monotonic {
    /// A reading in milliseconds. The last millisecond of a `u64` is read as the one before it.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// The reading in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0.get().wrapping_sub(1)
    }

    /// This reading and a duration later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from here until `later`; zero if that is past.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.get().saturating_sub(self.0.get()))
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monotonic").field(&self.millis()).finish()
    }
}

impl Serialize for Monotonic {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.millis())
    }
}

impl<'de> Deserialize<'de> for Monotonic {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u64::deserialize(from).map(Self::from_millis)
    }
}

/// When the session wants to hear [`Input::Wake`](crate::Input::Wake), and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The moment, on the monotonic clock.
    pub at: Monotonic,
    /// The event that is awaited, so that a stuck flow explains itself.
    pub reason: Awaited,
}

/// The event that a parked stage waits for.
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
        assert_eq!(Monotonic::from_millis(7).after(far).millis(), u64::MAX - 1);
        assert_eq!(Monotonic::from_millis(9).until(Monotonic::from_millis(3)), Duration::ZERO);
    }

    #[test]
    fn an_absent_reading_takes_no_room_and_every_other_keeps_its_number() {
        assert_eq!((size_of::<Option<Timestamp>>(), size_of::<Option<Monotonic>>()), (8, 8));
        let numbers = [i64::MIN + 1, -1, 0, 1, i64::MAX];
        assert_eq!(numbers.map(|number| Timestamp::from_unix(number).unix()), numbers);
        assert!(numbers.map(Timestamp::from_unix).is_sorted());
        assert_eq!(Timestamp::from_unix(i64::MIN).unix(), i64::MIN + 1);
        let numbers = [0, 1, u64::MAX - 1];
        assert_eq!(numbers.map(|number| Monotonic::from_millis(number).millis()), numbers);
        assert_eq!(Monotonic::from_millis(u64::MAX).millis(), u64::MAX - 1);
        let written = serde_json::to_string(&(Timestamp::from_unix(-5), Monotonic::from_millis(5)));
        assert_eq!(written.unwrap(), "[-5,5]");
    }

    #[test]
    fn broken_clocks_are_recognised_host_312() {
        for broken in [-1, i64::MIN, i64::MAX] {
            assert!(!Timestamp::from_unix(broken).plausible());
        }
        assert!(Timestamp::from_unix(1_795_000_000).plausible());
    }
}
