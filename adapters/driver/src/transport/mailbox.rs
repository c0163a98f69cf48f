//! Messages that wait for a listener: a bounded queue from the one reader of a stream.
//!
//! The reader waits while it is full, so that a slow listener slows the server down and nothing
//! else grows. The size of the messages in it decides when it is full, since a message may be small
//! or of megabytes. A channel whose sender is cloned for each message would not be bounded so:
//! every clone has a place of its own.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;

/// Where a reader posts.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    most: usize,
    /// The bytes that may wait; one item may be all of them.
    bytes: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(T, usize)>,
    /// The bytes of the messages that wait.
    bytes: usize,
    /// Nothing more is taken in.
    closed: bool,
    /// Wakes the reader that waits for room.
    poster: Option<Waker>,
    /// Wakes the listener that waits for something to come.
    listener: Option<Waker>,
}

/// The listener's end; dropping it closes the mailbox.
#[derive(Debug)]
pub(crate) struct Listener<T>(Arc<Mailbox<T>>);

impl<T> Mailbox<T> {
    /// A mailbox for that many, and for that many bytes.
    pub(crate) fn new(most: usize, bytes: usize) -> (Arc<Self>, Listener<T>) {
        let waiting = VecDeque::new();
        let state = State { waiting, bytes: 0, closed: false, poster: None, listener: None };
        let mailbox = Arc::new(Self { state: Mutex::new(state), most, bytes });
        (Arc::clone(&mailbox), Listener(mailbox))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something of that size has room; says whether anybody will fetch it. There is one
    /// reader, so that nobody else takes the room.
    pub(crate) async fn room(&self, bytes: usize) -> bool {
        poll_fn(|context| {
            let mut state = self.lock();
            let full =
                state.waiting.len() >= self.most || state.bytes.saturating_add(bytes) > self.bytes;
            if !state.closed && !state.waiting.is_empty() && full {
                state.poster = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(!state.closed)
        })
        .await
    }

    /// Puts something in; gives it back if nobody will fetch it.
    pub(crate) fn put(&self, item: T, bytes: usize) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        state.waiting.push_back((item, bytes));
        state.bytes = state.bytes.saturating_add(bytes);
        let listener = state.listener.take();
        drop(state);
        listener.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Nothing more comes; what is there can still be fetched.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = [state.poster.take(), state.listener.take()];
        drop(state);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

impl<T> Stream for Listener<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        match state.waiting.pop_front() {
            Some((item, bytes)) => {
                state.bytes = state.bytes.saturating_sub(bytes);
                let poster = state.poster.take();
                drop(state);
                poster.into_iter().for_each(Waker::wake);
                Poll::Ready(Some(item))
            }
            None if state.closed => Poll::Ready(None),
            None => {
                state.listener = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Listener<T> {
    fn drop(&mut self) {
        self.0.close();
        let unheard = core::mem::take(&mut self.0.lock().waiting);
        drop(unheard);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::parked::block_on;

    #[test]
    fn no_more_than_there_is_room_for_waits_for_a_listener_host_322() {
        let (mailbox, mut listener) = Mailbox::new(3, 100);
        let posted = |number: usize, bytes| {
            mailbox.room(bytes).now_or_never().map(|_| mailbox.put(number, bytes))
        };
        assert_eq!((0..10).filter_map(|number| posted(number, 1)).count(), 3);
        assert_eq!(block_on(listener.next()), Some(0));
        assert_eq!((posted(3, 1), posted(4, 1)), (Some(Ok(())), None));
        for _ in 0..3 {
            block_on(listener.next());
        }
        // By what it takes: one may be too much for all, and waits until it is alone.
        assert_eq!(
            (posted(5, 60), posted(6, 60), posted(6, 40)),
            (Some(Ok(())), None, Some(Ok(())))
        );
        assert_eq!((block_on(listener.next()), posted(7, 1000)), (Some(5), None));
        assert_eq!((block_on(listener.next()), posted(7, 1000)), (Some(6), Some(Ok(()))));
        assert_eq!(posted(8, 0), None);
        drop(listener);
        assert_eq!(posted(9, 1), Some(Err(9)), "it is given back");
    }

    #[test]
    fn a_poster_goes_on_when_there_is_room_or_nobody_left() {
        for closed in [false, true] {
            let (mailbox, mut listener) = Mailbox::new(1, 100);
            let poster = std::thread::spawn({
                let mailbox = Arc::clone(&mailbox);
                move || {
                    block_on(async {
                        let first = mailbox.room(1).await.then(|| mailbox.put(1, 1));
                        (first, mailbox.room(1).await.then(|| mailbox.put(2, 1)))
                    })
                }
            });
            while mailbox.lock().poster.is_none() {
                std::thread::yield_now();
            }
            if closed {
                mailbox.close();
            }
            assert_eq!(block_on(listener.next()), Some(1));
            let second = if closed { None } else { block_on(listener.next()) };
            assert_eq!(second, (!closed).then_some(2));
            let expected = if closed { None } else { Some(Ok(())) };
            assert_eq!(poster.join().unwrap(), (Some(Ok(())), expected));
        }
    }
}
