//! Running what is written async on a thread of a program without a runtime.

use core::cell::Cell;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    /// The earliest moment that a sleep of this thread's future waits for.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

struct Unpark {
    thread: Thread,
    /// Others may take the thread's token while it blocks in a poll; this they cannot take.
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future to its end on this thread, which sleeps while there is nothing to do. Nothing is set
/// aside for one that is ready when it is first polled, as what blocks there is.
#[inline]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // A future may run another one while it is polled, which is to leave its sleeps alone.
    let outer = UNTIL.take();
    let first = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let output = match first {
        Poll::Ready(output) => output,
        Poll::Pending => wait(future),
    };
    UNTIL.set(outer);
    output
}

fn wait<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Arc::clone(&unpark).into();
    let mut context = Context::from_waker(&waker);
    loop {
        UNTIL.set(None);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let until = UNTIL.get();
        while !unpark.woken.swap(false, Ordering::Acquire) {
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

/// A sleep under [`block_on`].
#[cfg(feature = "transport")]
pub(crate) struct Sleep(Option<Instant>);

#[cfg(feature = "transport")]
impl Sleep {
    pub(crate) fn new(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }
}

#[cfg(feature = "transport")]
impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // A moment that is further away than clocks go never comes.
        let Some(until) = self.0 else { return Poll::Pending };
        if Instant::now() >= until {
            return Poll::Ready(());
        }
        UNTIL.set(Some(UNTIL.get().map_or(until, |other| other.min(until))));
        Poll::Pending
    }
}

#[cfg(all(test, feature = "transport"))]
mod tests {
    use futures_channel::oneshot;
    use futures_util::future::{Either, select};

    use super::*;

    #[test]
    fn a_future_is_run_to_its_end_across_threads() {
        let (sender, receiver) = oneshot::channel();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            sender.send(7).unwrap();
        });
        assert_eq!(block_on(receiver), Ok(7));
        other.join().unwrap();
    }

    #[test]
    fn sleeps_end_in_their_order() {
        let begun = Instant::now();
        let first = block_on(async {
            let long = pin!(Sleep::new(Duration::from_secs(60)));
            let short = pin!(Sleep::new(Duration::from_millis(20)));
            matches!(select(long, short).await, Either::Right(_))
        });
        assert!(first && begun.elapsed() >= Duration::from_millis(20));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_sleep_is_not_forgotten_over_another_future_that_is_run_meanwhile() {
        let begun = Instant::now();
        block_on(async {
            let short = pin!(Sleep::new(Duration::from_millis(20)));
            let nested = pin!(core::future::poll_fn(|_| {
                block_on(Sleep::new(Duration::from_millis(1)));
                Poll::<()>::Pending
            }));
            select(short, nested).await;
        });
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_wake_is_not_lost_to_somebody_who_parks_in_between() {
        let mut polled = 0;
        let future = core::future::poll_fn(|context: &mut Context<'_>| {
            polled += 1;
            // The first poll has nobody to wake.
            if polled > 2 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            // As a blocking body may, which has nothing to do with this future.
            thread::park_timeout(Duration::from_millis(1));
            Poll::Pending
        });
        block_on(future);
        assert_eq!(polled, 3);
    }
}
