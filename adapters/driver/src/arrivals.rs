//! Callbacks that reach a listener, and the way back for the page that each of them gets.
//!
//! A listener reports each callback with a [`PageSink`]; the driver keeps the sink until the session
//! says which page that arrival gets. A sink dropped unanswered tells the listener that nobody waits
//! for that answer any more.

use core::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use mcp_authz_core::effect::{Bound, Page};
use mcp_authz_core::input::Callback;

use crate::dial::exhausted;

/// Where the page for one arrival goes.
pub struct PageSink(Box<dyn FnOnce(Page) + Send>);

impl PageSink {
    /// A sink that calls a function, at most once and from any thread. It must not wait.
    pub fn new(show: impl FnOnce(Page) + Send + 'static) -> Self {
        Self(Box::new(show))
    }

    pub(crate) fn show(self, page: Page) {
        (self.0)(page);
    }
}

impl fmt::Debug for PageSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageSink")
    }
}

/// Where a listener reports what arrives.
#[derive(Clone)]
pub struct Arrivals(Arc<dyn Fn(Callback, PageSink) + Send + Sync>);

impl Arrivals {
    /// Reports go to this function.
    pub fn new(report: impl Fn(Callback, PageSink) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Reports one callback. Returns at once; the page comes through the sink, or the sink is
    /// dropped because nobody is there any more.
    pub fn report(&self, callback: Callback, page: PageSink) {
        (self.0)(callback, page);
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arrivals")
    }
}

/// A bound port. Dropping it closes the port; arrivals that were reported still get their page.
pub struct Listening {
    port: u16,
    _guard: Box<dyn Send>,
}

impl Listening {
    /// A port that is bound, and whatever closes it when dropped.
    pub fn new(port: u16, guard: impl Send + 'static) -> Self {
        Self { port, _guard: Box::new(guard) }
    }

    /// Which port it is.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The outcome of an attempt to bind, as the session is told it.
    pub(crate) fn outcome(listening: &io::Result<Self>) -> Bound {
        match listening {
            Ok(listening) => Bound::Port(listening.port),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Bound::Taken,
            Err(error) if exhausted(error) => Bound::Exhausted,
            Err(_) => Bound::Failed,
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_told_why_nothing_is_bound_nat_08_host_281() {
        let failed = |kind: ErrorKind| Listening::outcome(&Err(io::Error::from(kind)));
        assert_eq!(Listening::outcome(&Ok(Listening::new(4711, ()))), Bound::Port(4711));
        assert_eq!(failed(ErrorKind::AddrInUse), Bound::Taken);
        assert_eq!(failed(ErrorKind::OutOfMemory), Bound::Exhausted);
        assert_eq!(failed(ErrorKind::PermissionDenied), Bound::Failed);
    }
}
