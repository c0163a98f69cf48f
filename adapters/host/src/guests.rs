//! Which connections a listener holds, and which of them goes when one more comes.
//!
//! Any process of this machine can connect, as often as it likes and without an end, and must not
//! keep the one browser out that brings the code (HOST-191, HOST-321).

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

/// Connections that are held at once.
const MOST: usize = 16;
/// Time that a connection has to say something, since it was first listened to, before it goes for
/// another one: a browser's request is there as soon as the browser is.
const GRACE: Duration = Duration::from_millis(25);

/// The connections that are held, each with something that ends it.
#[derive(Debug)]
pub(crate) struct Guests<E> {
    present: VecDeque<Guest<E>>,
    count: u64,
}

#[derive(Debug)]
struct Guest<E> {
    id: u64,
    end: E,
    stage: Stage,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has listened to it yet.
    New,
    /// It is listened to since then, and its request is not whole.
    Silent(Instant),
    /// Its callback is reported, and its page awaited.
    Reported,
    /// It has its answer, or is being given it.
    Answered,
}

impl<E> Default for Guests<E> {
    fn default() -> Self {
        Self { present: VecDeque::new(), count: 0 }
    }
}

impl<E> Guests<E> {
    /// Makes room for one more, and answers what ends the connection that has to go, if one has to:
    /// the one that has had its answer longest, else the one that has said nothing for longest. A
    /// page that is awaited is nobody's to take away.
    ///
    /// # Errors
    /// For how long the new one is to wait before it is asked again.
    pub(crate) fn make_room(&mut self, now: Instant) -> Result<Option<E>, Duration> {
        if self.present.len() < MOST {
            return Ok(None);
        }
        let answered = self.present.iter().position(|guest| guest.stage == Stage::Answered);
        let silent = || {
            let silent = |(at, guest): (usize, &Guest<E>)| match guest.stage {
                Stage::Silent(since) => Some((at, now.saturating_duration_since(since))),
                _ => None,
            };
            let mut all = self.present.iter().enumerate().filter_map(silent);
            let (oldest, held) = all.next().ok_or(GRACE)?;
            if held < GRACE { Err(GRACE.saturating_sub(held)) } else { Ok(oldest) }
        };
        let goes = answered.map_or_else(silent, Ok)?;
        Ok(self.present.remove(goes).map(|guest| guest.end))
    }

    /// Lets one in; it is known by this number from now on.
    pub(crate) fn admit(&mut self, end: E) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.present.push_back(Guest { id: self.count, end, stage: Stage::New });
        self.count
    }

    /// From now on somebody listens to it.
    pub(crate) fn heard(&mut self, id: u64, now: Instant) {
        self.is_now(id, Stage::Silent(now));
    }

    /// From now on this one is answered even if the port is closed. False if it had to go.
    pub(crate) fn reported(&mut self, id: u64) -> bool {
        self.is_now(id, Stage::Reported)
    }

    /// It is given its answer now. False if it had to go.
    pub(crate) fn answered(&mut self, id: u64) -> bool {
        self.is_now(id, Stage::Answered)
    }

    fn is_now(&mut self, id: u64, stage: Stage) -> bool {
        let found = self.present.iter_mut().find(|guest| guest.id == id);
        found.map(|guest| guest.stage = stage).is_some()
    }

    pub(crate) fn leave(&mut self, id: u64) {
        self.present.retain(|guest| guest.id != id);
    }

    /// The handles that end the connections whose requests are not whole.
    pub(crate) fn silent(&self) -> impl Iterator<Item = &E> {
        let silent = |guest: &&Guest<E>| matches!(guest.stage, Stage::New | Stage::Silent(_));
        self.present.iter().filter(silent).map(|guest| &guest.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(now: Instant) -> Guests<usize> {
        let mut guests = Guests::default();
        for number in 0..MOST {
            assert_eq!(guests.make_room(now), Ok(None));
            let id = guests.admit(number);
            guests.heard(id, now);
        }
        guests
    }

    #[test]
    fn the_answered_go_first_and_the_awaited_never_host_321() {
        let begun = Instant::now();
        let mut guests = full(begun);
        let later = begun + GRACE;
        assert!(guests.reported(1));
        assert!(guests.answered(8) && guests.answered(4));
        assert_eq!(guests.make_room(later), Ok(Some(3)));
        guests.admit(16);
        assert_eq!(guests.make_room(later), Ok(Some(7)));
        guests.admit(17);
        // Then whoever has said nothing for longest; the first waits for its page.
        assert_eq!(guests.make_room(later), Ok(Some(1)));
        guests.admit(18);
        assert!(!guests.reported(2) && !guests.answered(2));
    }

    #[test]
    fn nobody_goes_before_there_was_time_to_speak_host_191() {
        let begun = Instant::now();
        let mut guests = full(begun);
        assert_eq!(guests.make_room(begun), Err(GRACE));
        assert_eq!(guests.make_room(begun + GRACE / 4), Err(GRACE - GRACE / 4));
        // A connection that nobody has listened to has had no time at all.
        assert_eq!(guests.make_room(begun + GRACE), Ok(Some(0)));
        guests.admit(16);
        for id in 2..=16 {
            assert!(guests.reported(id));
        }
        assert_eq!(guests.make_room(begun + 9 * GRACE), Err(GRACE));
        guests.leave(5);
        assert_eq!(guests.make_room(begun), Ok(None));
    }
}
