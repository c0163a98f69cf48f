//! The agreement with the server, and the end of it.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use mcp_authz_core::time::Monotonic;
use serde_json::Value;

use super::bus::Bus;
use super::error::TransportError;
use super::manner::Manner;
use super::refused::{Loss, Refused};
use crate::exchange::ExchangeError;

/// How often one request opens the connection anew, and how many sessions in a row are begun of
/// which nothing comes (TRANS-19, TRANS-90).
pub(crate) const MOST_RENEWALS: u32 = 3;
/// Sessions that were begun longer ago than this are in no row with those that come.
const ROW: Duration = Duration::from_secs(4);
/// The agreement with the server.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) manner: Manner,
    pub(crate) server: Arc<Value>,
    pub(crate) bus: Option<Bus>,
    /// How many users had gone before it: a session is its user's own (TRANS-26).
    pub(crate) farewells: u64,
    /// Which opening it came of.
    pub(crate) number: u64,
    pub(crate) begun: Begun,
    /// True if any request went well on it.
    pub(crate) worked: AtomicBool,
}

impl Link {
    /// A request went well.
    pub(crate) fn works(&self) {
        self.worked.store(true, Ordering::Release);
    }

    pub(crate) fn has_worked(&self) -> bool {
        self.worked.load(Ordering::Acquire)
    }

    /// The meaning of an answer for the session, if the request carried its id.
    pub(crate) fn loss(&self, refused: &Refused, now: Monotonic) -> Loss {
        if self.manner.session.is_none() {
            return Loss::None;
        }
        match refused.loss() {
            // Once: what is wrong with the next session too is the request. After a while the session
            // may be what is lost all the same, and stays so.
            Loss::Perhaps if self.begun.doubted_lately(now) && !self.has_worked() => Loss::None,
            loss => loss,
        }
    }
}

/// Why and when a connection was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    at: Monotonic,
    /// How many there have been in a row, of which nothing came.
    row: u32,
    /// True if it was only guessed that the connection before it is lost.
    doubted: bool,
}

impl Begun {
    pub(crate) const fn first(now: Monotonic) -> Self {
        Self { at: now, row: 0, doubted: false }
    }

    /// Returns true if it was opened a moment ago on the mere guess that the one before it is lost.
    fn doubted_lately(&self, now: Monotonic) -> bool {
        self.doubted && self.at.until(now) < ROW
    }

    /// The next one, unless the row is too long.
    pub(crate) fn again(&self, now: Monotonic, worked: bool, why: Loss) -> Option<Self> {
        let in_a_row = !worked && self.at.until(now) < ROW;
        let row = if in_a_row { self.row.saturating_add(1) } else { 1 };
        let doubted = why == Loss::Perhaps;
        (row <= MOST_RENEWALS).then_some(Self { at: now, row, doubted })
    }
}

/// Why something was not taken.
pub(crate) struct Untold {
    pub(crate) loss: Loss,
    pub(crate) error: TransportError,
}

impl From<TransportError> for Untold {
    fn from(error: TransportError) -> Self {
        Self { loss: Loss::None, error }
    }
}

impl From<ExchangeError> for Untold {
    fn from(error: ExchangeError) -> Self {
        Self::from(TransportError::from(error))
    }
}

impl Untold {
    pub(crate) const fn new(loss: Loss, error: TransportError) -> Self {
        Self { loss, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_counts_for_a_while_trans_90() {
        let at = |seconds: u64| Monotonic::from_millis(seconds * 1_000);
        let guessed = Begun::first(at(0)).again(at(1), true, Loss::Perhaps).unwrap();
        assert!(guessed.doubted_lately(at(4)) && !guessed.doubted_lately(at(5)));
        let told = Begun::first(at(0)).again(at(1), true, Loss::Gone).unwrap();
        assert!(!told.doubted_lately(at(1)));
    }

    #[test]
    fn no_more_than_three_in_a_row_are_begun_of_which_nothing_comes_trans_90() {
        let at = |seconds: u64| Monotonic::from_millis(seconds * 1_000);
        let mut begun = Begun::first(at(0));
        for number in 1..=3 {
            begun = begun.again(at(number), false, Loss::Gone).unwrap();
        }
        assert!(begun.again(at(4), false, Loss::Gone).is_none());
        assert!(begun.again(at(6), false, Loss::Gone).is_none());
        // One that worked, or stood for a while, ends the row.
        assert_eq!(begun.again(at(4), true, Loss::Gone).unwrap().row, 1);
        assert_eq!(begun.again(at(7), false, Loss::Gone).unwrap().row, 1);
    }
}
