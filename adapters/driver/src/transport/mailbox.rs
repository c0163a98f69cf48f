//! What waits for a listener: a bounded queue from the one reader of a stream.
//!
//! Whoever posts waits while it is full, so that a listener who is slow slows the server down and
//! nothing else grows. A channel whose sender is cloned for each message would not: every clone has a
//! place of its own.

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
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// Nothing more is taken in.
    closed: bool,
    /// Who waits for room.
    poster: Option<Waker>,
    /// Who waits for something to come.
    listener: Option<Waker>,
}

/// Whoever listens; dropping it closes the mailbox.
#[derive(Debug)]
pub(crate) struct Listener<T>(Arc<Mailbox<T>>);

impl<T> Mailbox<T> {
    /// A mailbox for that many.
    pub(crate) fn new(most: usize) -> (Arc<Self>, Listener<T>) {
        let waiting = VecDeque::new();
        let state = State { waiting, closed: false, poster: None, listener: None };
        let mailbox = Arc::new(Self { state: Mutex::new(state), most });
        (Arc::clone(&mailbox), Listener(mailbox))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something in once there is room; gives it back if nobody will fetch it.
    pub(crate) async fn post(&self, item: T) -> Result<(), T> {
        let mut item = Some(item);
        poll_fn(|context| {
            let mut state = self.lock();
            if !state.closed && state.waiting.len() >= self.most {
                state.poster = Some(context.waker().clone());
                return Poll::Pending;
            }
            let Some(item) = item.take() else { return Poll::Ready(Ok(())) };
            if state.closed {
                return Poll::Ready(Err(item));
            }
            state.waiting.push_back(item);
            let listener = state.listener.take();
            drop(state);
            listener.into_iter().for_each(Waker::wake);
            Poll::Ready(Ok(()))
        })
        .await
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
            Some(item) => {
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

    use super::super::block_on;
    use super::*;

    #[test]
    fn no_more_than_there_is_room_for_waits_for_a_listener() {
        let (mailbox, mut listener) = Mailbox::new(3);
        let posted = |number| mailbox.post(number).now_or_never();
        assert_eq!((0..10).filter_map(posted).count(), 3);
        assert_eq!(block_on(listener.next()), Some(0));
        assert_eq!((posted(3), posted(4)), (Some(Ok(())), None));
        drop(listener);
        assert_eq!(posted(5), Some(Err(5)), "it is given back");
    }

    #[test]
    fn a_poster_goes_on_when_there_is_room_or_nobody_left() {
        for closed in [false, true] {
            let (mailbox, mut listener) = Mailbox::new(1);
            let poster = std::thread::spawn({
                let mailbox = Arc::clone(&mailbox);
                move || block_on(async { (mailbox.post(1).await, mailbox.post(2).await) })
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
            let expected = if closed { Err(2) } else { Ok(()) };
            assert_eq!(poster.join().unwrap(), (Ok(()), expected));
        }
    }
}
