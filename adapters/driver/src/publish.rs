//! The hot path: the grant that callers use, read without a lock.

use core::fmt;
use core::sync::atomic::Ordering;
use std::sync::Arc;

use mcp_authz_core::effect::Settlement;
use mcp_authz_core::granted::{Granted, Usable};
use mcp_authz_core::input::WaiterId;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::time::Monotonic;

use crate::clock::Clock;
use crate::sync::AtomicU64;

mod cell;
#[cfg(all(test, loom))]
mod loom_tests;

use cell::Cell;

/// Holds the current grant. Readers take no lock and allocate nothing; the session's publications
/// replace it whole.
#[derive(Default)]
pub struct Published {
    granted: Cell<Granted>,
    nudged: AtomicU64,
}

/// Settles whoever finds the grant published. Who has not waited is not among those whose names
/// must differ.
#[inline]
pub(crate) fn at_once(granted: Arc<Granted>) -> Settlement {
    Settlement { waiter: WaiterId(u64::MAX), unsaved: granted.unsaved(), outcome: Ok(granted) }
}

/// A session that is told more than once a second that its token ages learns nothing new.
const BETWEEN_NUDGES: u64 = 1_000;

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
        if granted.serves(scopes) && clock.before(granted.fresh()) {
            return Some((granted, false));
        }
        self.judge(granted, scopes, clock)
    }

    /// What is not certainly fresh.
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

    /// Whether it is this caller who tells the session.
    fn nudge(&self, now: Monotonic) -> bool {
        let last = self.nudged.load(Ordering::Relaxed);
        // One more than the clock, so that zero means never.
        let now = now.millis().saturating_add(1);
        (last == 0 || now.saturating_sub(last) >= BETWEEN_NUDGES)
            && self.nudged.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.granted()).finish()
    }
}
