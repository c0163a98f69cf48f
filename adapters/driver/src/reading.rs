//! Reading an answer to its end, or as far as somebody wants it, within the limits.

use core::future::Future;
use core::time::Duration;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_core::time::Monotonic;

use crate::clock::{Clock, System};
use crate::parked::block_on;
use crate::ports::{Answer, AsyncBody, Body, Opened};

/// Longest time for the body of a refusal.
const REFUSAL: Duration = Duration::from_secs(10);

/// Opens an answer and reads it, all of it within the limits. Each piece of the body is shown to
/// `enough`, and once that says yes the answer is what was read so far.
pub fn to_its_end<B: Body>(
    open: impl FnOnce() -> Opened<B> + Send,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    let open = async { open().map(|answer| answer.map(Here)) };
    block_on(to_its_end_async(open, limits, enough))
}

/// [`to_its_end`] for async ports.
pub async fn to_its_end_async<B: AsyncBody>(
    open: impl Future<Output = Opened<B>> + Send,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    let clock = System::new();
    let reading = Reading::new(&clock, limits);
    match open.await {
        Ok(answer) => reading.rest(answer, enough).await,
        Err(unanswered) => unanswered.into(),
    }
}

/// Reads a body to its end: no more than so many bytes, in no more than this time for all of it and
/// `idle` for each piece.
///
/// # Errors
/// [`Why::BodyTooLarge`], [`Why::Timeout`], or what cut it off.
pub async fn whole_async(
    mut body: impl AsyncBody,
    limit: usize,
    within: Duration,
    idle: Duration,
    clock: &dyn Clock,
) -> Result<Vec<u8>, Why> {
    let mut reading = Reading::within(clock, limit, within);
    while let Some(left) = reading.goes_on() {
        reading.take(body.piece(left.min(idle)).await, |_| false);
    }
    reading.outcome()
}

/// A body that is waited for where it is polled.
struct Here<B>(B);

impl<B: Body> AsyncBody for Here<B> {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        self.0.piece(within)
    }
}

/// An answer to a caller's own request, whose body is read as it comes.
pub type Streamed<B> = Response<Incoming<B>>;

/// The body of an answer to a caller's own request: as it comes, or read already if the answer was a
/// refusal about which nothing could be done.
#[derive(Debug)]
pub struct Incoming<B>(Source<B>);

#[derive(Debug)]
enum Source<B> {
    Whole(Option<Bytes>),
    Open(B),
}

impl<B> Incoming<B> {
    pub(crate) fn whole(body: Vec<u8>) -> Self {
        Self(Source::Whole(Some(body.into()).filter(|body: &Bytes| !body.is_empty())))
    }

    pub(crate) const fn open(body: B) -> Self {
        Self(Source::Open(body))
    }
}

impl<B: Body> Body for Incoming<B> {
    fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        match &mut self.0 {
            Source::Whole(body) => Ok(body.take()),
            Source::Open(body) => body.piece(within),
        }
    }
}

impl<B: AsyncBody> AsyncBody for Incoming<B> {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        match &mut self.0 {
            Source::Whole(body) => Ok(body.take()),
            Source::Open(body) => body.piece(within).await,
        }
    }
}

/// An answer that is being read, from before its request was sent.
pub(crate) struct Reading<'a> {
    clock: &'a dyn Clock,
    until: Monotonic,
    limit: usize,
    body: Vec<u8>,
    /// Set when nothing more is to be read.
    ended: Option<Result<(), Why>>,
}

impl<'a> Reading<'a> {
    /// The time runs from now on.
    pub(crate) fn new(clock: &'a dyn Clock, limits: &Limits) -> Self {
        Self::within(clock, limits.body, limits.total)
    }

    fn within(clock: &'a dyn Clock, limit: usize, time: Duration) -> Self {
        Self { clock, until: clock.mono().after(time), limit, body: Vec::new(), ended: None }
    }

    /// Reads what is left of it.
    pub(crate) async fn rest(
        mut self,
        answer: Response<impl AsyncBody>,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        let (head, mut body) = answer.into_parts();
        while let Some(within) = self.goes_on() {
            self.take(body.piece(within).await, |piece| enough(&head, piece));
        }
        self.end(head)
    }

    /// Reads the body of a refusal as far as it comes, and comes soon: it was refused by its head,
    /// whether its body is cut, too large, or a stream without an end.
    pub(crate) async fn refusal(mut self, answer: Response<impl AsyncBody>) -> Answer {
        self.until = self.until.min(self.clock.mono().after(REFUSAL));
        let (head, mut body) = answer.into_parts();
        while let Some(within) = self.goes_on() {
            self.take(body.piece(within).await, |_| false);
        }
        Response::from_parts(head, self.body)
    }

    /// How long the next piece may take; `None` if there is to be no other.
    fn goes_on(&mut self) -> Option<Duration> {
        if self.ended.is_some() {
            return None;
        }
        let left = self.clock.mono().until(self.until);
        if left.is_zero() {
            self.ended = Some(Err(Why::Timeout));
            return None;
        }
        Some(left)
    }

    fn take(&mut self, piece: Result<Option<Bytes>, Why>, enough: impl FnOnce(&[u8]) -> bool) {
        self.ended = match piece {
            Err(why) => Some(Err(why)),
            Ok(None) => Some(Ok(())),
            Ok(Some(piece)) if self.body.len().saturating_add(piece.len()) > self.limit => {
                Some(Err(Why::BodyTooLarge))
            }
            Ok(Some(piece)) => {
                self.body.extend_from_slice(&piece);
                enough(&piece).then_some(Ok(()))
            }
        };
    }

    fn outcome(self) -> Result<Vec<u8>, Why> {
        self.ended.unwrap_or(Ok(())).map(|()| self.body)
    }

    /// The part of a cut body that came goes on too: there may be a token in it.
    fn end(self, head: Parts) -> Reply {
        let answer = Response::from_parts(head, self.body);
        match self.ended.unwrap_or(Ok(())) {
            Ok(()) => Reply::Answered(answer),
            Err(why) => Reply::cut(answer, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;

    use mcp_authz_core::time::Timestamp;

    use super::*;
    use crate::exchange::limits;

    /// A body of these pieces.
    struct Pieces(Vec<Result<&'static [u8], Why>>);

    impl Body for Pieces {
        fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
            assert!(within <= REFUSAL);
            if self.0.is_empty() {
                return Ok(None);
            }
            self.0.remove(0).map(|piece| Some(Bytes::from_static(piece)))
        }
    }

    #[test]
    fn a_refusal_stands_whatever_becomes_of_its_body() {
        let small = Limits { body: 4, ..limits() };
        for (pieces, read) in [
            (vec![Ok(&b"no"[..])], "no"),
            (vec![Ok(&b"no"[..]), Err(Why::Broken)], "no"),
            (vec![Ok(&b"no"[..]), Ok(&b"body"[..])], "no"),
            (vec![Err(Why::Timeout)], ""),
        ] {
            let answer = Response::builder().status(401).body(Pieces(pieces)).unwrap();
            let clock = System::new();
            let refusal = Reading::new(&clock, &small).refusal(answer.map(Here));
            let answer = block_on(refusal);
            assert_eq!(
                (answer.status().as_u16(), answer.body().as_slice()),
                (401, read.as_bytes())
            );
        }
    }

    /// Milliseconds that pass with each piece.
    #[derive(Clone, Default)]
    struct Passing(Arc<AtomicU64>);

    impl Clock for Passing {
        fn wall(&self) -> Timestamp {
            Timestamp::from_unix(1_795_000_000)
        }

        fn mono(&self) -> Monotonic {
            Monotonic::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    impl AsyncBody for Passing {
        async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
            let took = within.min(Duration::from_secs(3));
            self.0.fetch_add(u64::try_from(took.as_millis()).unwrap(), Ordering::SeqCst);
            if took < Duration::from_secs(3) {
                return Err(Why::Timeout);
            }
            Ok(Some(Bytes::from_static(b"x")))
        }
    }

    #[test]
    fn a_body_is_read_in_the_time_of_the_clock_it_is_given() {
        let clock = Passing::default();
        let reading = Reading::new(&clock, &limits());
        let refused = Response::builder().status(401).body(clock.clone()).unwrap();
        assert_eq!(block_on(reading.refusal(refused)).body(), b"xxx");
        assert_eq!(clock.mono().millis(), 10_000, "a refusal has ten seconds");
        let reading = Reading::new(&clock, &limits());
        let answer = Response::new(clock.clone());
        let reply = block_on(reading.rest(answer, &mut |_, _| false));
        assert!(matches!(reply.whole(), Reply::MaybeSent(Why::Timeout)));
        assert_eq!(clock.mono().millis(), 10_000 + 300_000, "an answer its whole limit");
    }
}
