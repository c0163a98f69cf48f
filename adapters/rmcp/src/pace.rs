//! How soon a stream may be asked for once more (HOST-265).
//!
//! rmcp reopens a stream as soon as the server lets it, however often that brings nothing. A stream
//! that has brought no event since it was opened last waits longer each time.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Longest pause, after which a stream counts as a new one.
const LONGEST: Duration = Duration::from_secs(60);
/// Most streams that are remembered.
const MOST: usize = 64;

/// The streams that were opened lately; clones remember together.
#[derive(Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<VecDeque<Opened>>>);

/// Session identifiers are nobody's to see (TRANS-26).
impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pace")
    }
}

struct Opened {
    session: Option<Box<str>>,
    after: Option<Box<str>>,
    /// When it may be, or was, opened last.
    at: Instant,
    times: u32,
}

impl Pace {
    /// How long to wait before a stream of this session is opened that goes on after this event.
    pub(crate) fn wait(
        &self,
        session: Option<&str>,
        after: Option<&str>,
        now: Instant,
    ) -> Duration {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|old| now.saturating_duration_since(old.at) < LONGEST);
        let same =
            |old: &&mut Opened| old.session.as_deref() == session && old.after.as_deref() == after;
        if let Some(old) = opened.iter_mut().find(same) {
            let pause = Duration::from_secs(1 << old.times.min(6)).min(LONGEST);
            old.times = old.times.saturating_add(1);
            old.at = (old.at + pause).max(now);
            return old.at.saturating_duration_since(now);
        }
        if opened.len() >= MOST {
            opened.pop_front();
        }
        let (session, after) = (session.map(Into::into), after.map(Into::into));
        opened.push_back(Opened { session, after, at: now, times: 0 });
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_brings_nothing_waits_longer_each_time_host_265() {
        let (pace, start) = (Pace::default(), Instant::now());
        let mut now = start;
        let mut opened = Vec::new();
        // The server closes it at once, every time.
        while now < start + Duration::from_secs(600) {
            now += pace.wait(Some("s"), None, now);
            opened.push(now.duration_since(start).as_secs());
        }
        assert_eq!(opened.get(..8), Some([0, 1, 3, 7, 15, 31, 63, 123].as_slice()));
        for (from, _) in opened.iter().enumerate() {
            let minute = opened.iter().skip(from).take_while(|at| **at < opened[from] + 60);
            assert!(minute.count() <= 10, "{opened:?}");
        }
        // Another event, session or hour is another matter.
        assert!(pace.wait(Some("s"), Some("1"), now).is_zero());
        assert!(pace.wait(Some("t"), None, now).is_zero());
        assert!(pace.wait(Some("s"), None, now + Duration::from_secs(3600)).is_zero());
    }

    #[test]
    fn a_stream_that_stood_for_a_while_is_reopened_at_once() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..4 {
            assert!(pace.wait(None, None, now).is_zero());
            now += Duration::from_secs(20);
        }
    }

    #[test]
    fn no_session_is_shown_trans_26() {
        let pace = Pace::default();
        pace.wait(Some("c4n4ry"), Some("c4n4ry"), Instant::now());
        assert!(!format!("{pace:?}").contains("c4n4ry"));
    }

    #[test]
    fn memory_is_bounded() {
        let (pace, now) = (Pace::default(), Instant::now());
        for number in 0..1000 {
            pace.wait(None, Some(&number.to_string()), now);
        }
        assert_eq!(pace.0.lock().unwrap().len(), MOST);
    }
}
