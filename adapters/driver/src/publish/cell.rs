//! One shared pointer, replaced and read whole.
//!
//! It is `arc_swap`'s, which loom cannot look into. For loom it is modelled by what that promises
//! and no more: one atomic word that says which of the stored values is the current one. Locks
//! would order more than the real one does, and hide what goes wrong without them.

use std::sync::Arc;

#[cfg(not(loom))]
pub(crate) struct Cell<T>(arc_swap::ArcSwapOption<T>);

#[cfg(not(loom))]
impl<T> Cell<T> {
    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }

    #[inline]
    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }
}

#[cfg(not(loom))]
impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self(arc_swap::ArcSwapOption::empty())
    }
}

/// Stores that one run of a model may make.
#[cfg(loom)]
const MOST_STORES: usize = 16;

#[cfg(loom)]
pub(crate) struct Cell<T> {
    current: loom::sync::atomic::AtomicUsize,
    claimed: core::sync::atomic::AtomicUsize,
    /// Nothing is stored in the first.
    values: [std::sync::OnceLock<Option<Arc<T>>>; MOST_STORES],
}

#[cfg(loom)]
impl<T> Cell<T> {
    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        use core::sync::atomic::Ordering;
        let at = self.claimed.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        if let Some(place) = self.values.get(at) {
            let _claimed_once = place.set(value);
        }
        self.current.swap(at, Ordering::AcqRel);
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        use core::sync::atomic::Ordering;
        self.values.get(self.current.load(Ordering::Acquire))?.get()?.clone()
    }
}

#[cfg(loom)]
impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self {
            current: loom::sync::atomic::AtomicUsize::new(0),
            claimed: core::sync::atomic::AtomicUsize::new(0),
            values: core::array::from_fn(|_| std::sync::OnceLock::new()),
        }
    }
}
