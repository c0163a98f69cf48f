//! The one thread that speaks to the keychain.
//!
//! A keychain may ask a person before it answers, and the person may be at lunch. A caller that
//! waits for it here waits only so long; the thread waits on, and when the prompt is answered the
//! store works again. There is one such thread however many callers give up, and not all keychains
//! bear more.

use core::fmt;
use core::time::Duration;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

type Job = Box<dyn FnOnce() + Send>;

/// The flag that says whether anybody still waits for a piece of work.
#[derive(Clone, Debug)]
pub(super) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    pub(super) fn still(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Does what it is given, one piece after the other.
pub(super) struct Worker {
    jobs: Sender<Job>,
    pub(super) limit: Duration,
}

impl Worker {
    /// Starts the thread. It ends when this is dropped, and it is not inside the keychain.
    pub(super) fn start(limit: Duration) -> io::Result<Self> {
        let (jobs, given) = mpsc::channel::<Job>();
        thread::Builder::new().name("mcp-authz-keychain".to_owned()).spawn(move || {
            for job in given {
                // A backend that panics has not answered; the next call may fare better.
                let _nobody_is_answered = panic::catch_unwind(AssertUnwindSafe(job));
            }
        })?;
        Ok(Self { jobs, limit })
    }

    /// Does a piece of work; `None` if it has not ended in time, or never will. One that was not
    /// begun in time is not begun at all.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Wanted) -> T + Send + 'static,
    ) -> Option<T> {
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let (done, ended) = mpsc::channel();
        let seen = wanted.clone();
        let job = move || {
            if seen.still() {
                let _nobody_waits = done.send(work(&seen));
            }
        };
        self.jobs.send(Box::new(job)).ok()?;
        let result = ended.recv_timeout(self.limit).ok();
        wanted.0.store(false, Ordering::Release);
        result
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("limit", &self.limit).finish_non_exhaustive()
    }
}
