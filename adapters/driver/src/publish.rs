//! The hot path: the grant that callers use, read without a lock.

use core::fmt;
use core::sync::atomic::Ordering;
use std::sync::Arc;

use mcp_authz_core::effect::Settlement;
use mcp_authz_core::granted::{Granted, Usable};
use mcp_authz_core::input::{Epoch, Had, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::time::Monotonic;

use crate::clock::Clock;
use crate::sync::AtomicU32;

mod cell;
#[cfg(all(test, loom))]
mod loom_tests;

use cell::Cell;

/// Holds the current grant. Readers take no lock and allocate nothing; the session's publications
/// replace it whole.
#[derive(Default)]
pub struct Published {
    granted: Cell<Granted>,
    /// When the session was woken last, in milliseconds, or never.
    nudged: AtomicU32,
    /// The newest epoch with which a request succeeded, or none.
    accepted: AtomicU32,
}

/// Settles a caller that finds the grant published. A caller that has not waited needs no name that
/// differs from those of the others.
#[inline]
pub(crate) fn at_once(granted: Arc<Granted>) -> Settlement {
    let (waiter, had) = (WaiterId(u64::MAX), Had::default());
    Settlement { waiter, unsaved: granted.unsaved(), outcome: Ok(granted), had }
}

/// A session that is told more than once a second that its token ages learns nothing new.
const BETWEEN_NUDGES: u32 = 1_000;

impl Published {
    /// Replaces what is published.
    pub fn publish(&self, granted: Option<Arc<Granted>>) {
        self.granted.store(granted);
    }

    /// The current grant, live or not.
    #[must_use]
    pub fn granted(&self) -> Option<Arc<Granted>> {
        self.granted.load()
    }

    /// The current grant if it can be used as it is, and whether the session should be woken to
    /// see that its token ages. Nothing if the session has to be asked.
    #[must_use]
    #[inline]
    pub fn live(&self, scopes: &ScopeSet, clock: &dyn Clock) -> Option<(Arc<Granted>, bool)> {
        let granted = self.granted.load()?;
        if granted.fresh_for(scopes).is_some_and(|fresh| clock.before(fresh)) {
            return Some((granted, false));
        }
        self.judge(granted, scopes, clock)
    }

    /// The current grant, if it is certainly fresh.
    #[inline]
    pub(crate) fn fresh(&self, clock: &dyn Clock) -> Option<Arc<Granted>> {
        let granted = self.granted.load()?;
        let fresh = granted.fresh_for(&ScopeSet::empty())?;
        clock.before(fresh).then_some(granted)
    }

    /// Judges a grant that is not certainly fresh.
    #[cold]
    fn judge(
        &self,
        granted: Arc<Granted>,
        scopes: &ScopeSet,
        clock: &dyn Clock,
    ) -> Option<(Arc<Granted>, bool)> {
        let (wall, mono) = (clock.wall(), clock.mono());
        match granted.usable(scopes, wall, mono) {
            Usable::Fresh => Some((granted, false)),
            Usable::Ageing => Some((granted, self.nudge(mono))),
            Usable::No => None,
        }
    }

    /// Notes that a request with the token of this epoch succeeded.
    #[inline]
    pub(crate) fn accepted_with(&self, epoch: Option<Epoch>) {
        let epoch = epoch.map_or(0, |Epoch(epoch)| u32::try_from(epoch).unwrap_or(u32::MAX));
        if self.accepted.load(Ordering::Relaxed) < epoch {
            self.accepted.fetch_max(epoch, Ordering::Relaxed);
        }
    }

    /// The newest epoch with which a request succeeded.
    pub(crate) fn accepted(&self) -> Option<Epoch> {
        let epoch = self.accepted.load(Ordering::Relaxed);
        (epoch > 0).then(|| Epoch(u64::from(epoch)))
    }

    /// Returns true if this caller is the one that tells the session.
    fn nudge(&self, now: Monotonic) -> bool {
        let last = self.nudged.load(Ordering::Relaxed);
        // The clock's low half, which is enough for a distance; zero means never.
        let now = u32::try_from(now.millis() & u64::from(u32::MAX)).unwrap_or(1).max(1);
        (last == 0 || now.wrapping_sub(last) >= BETWEEN_NUDGES)
            && self.nudged.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.granted()).finish()
    }
}
