//! Reading an answer to its end, or as far as somebody wants it, within the limits.

use core::future::Future;
use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http::response::Parts;
use mcp_authz_core::effect::{Limits, Reply, Why};

use crate::ports::{AsyncBody, Body, Opened};

/// Opens an answer and reads it, all of it within the limits. Each piece of the body is shown to
/// `enough`, and once that says yes the answer is what was read so far.
pub fn to_its_end<B: Body>(
    open: impl FnOnce() -> Opened<B>,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    let reading = Reading::new(limits);
    match open() {
        Ok(answer) => reading.rest(answer, enough),
        Err(unanswered) => unanswered.into(),
    }
}

/// [`to_its_end`] for async ports.
pub async fn to_its_end_async<B: AsyncBody>(
    open: impl Future<Output = Opened<B>> + Send,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    let reading = Reading::new(limits);
    match open.await {
        Ok(answer) => reading.rest_async(answer, enough).await,
        Err(unanswered) => unanswered.into(),
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
pub(crate) struct Reading {
    /// `None` is further away than clocks go.
    until: Option<Instant>,
    limit: usize,
    body: Vec<u8>,
    /// Set when nothing more is to be read.
    ended: Option<Result<(), Why>>,
}

impl Reading {
    /// The time runs from now on.
    pub(crate) fn new(limits: &Limits) -> Self {
        let until = Instant::now().checked_add(limits.total);
        Self { until, limit: limits.body, body: Vec::new(), ended: None }
    }

    /// Reads what is left of it.
    pub(crate) fn rest(
        mut self,
        answer: Response<impl Body>,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        let (head, mut body) = answer.into_parts();
        while let Some(within) = self.goes_on() {
            self.take(&head, body.piece(within), enough);
        }
        self.end(head)
    }

    /// [`Reading::rest`] for async ports.
    pub(crate) async fn rest_async(
        mut self,
        answer: Response<impl AsyncBody>,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        let (head, mut body) = answer.into_parts();
        while let Some(within) = self.goes_on() {
            self.take(&head, body.piece(within).await, enough);
        }
        self.end(head)
    }

    /// How long the next piece may take; `None` if there is to be no other.
    fn goes_on(&mut self) -> Option<Duration> {
        if self.ended.is_some() {
            return None;
        }
        let left = self.until.map_or(Duration::MAX, |until| until.duration_since(Instant::now()));
        if left.is_zero() {
            self.ended = Some(Err(Why::Timeout));
            return None;
        }
        Some(left)
    }

    fn take(
        &mut self,
        head: &Parts,
        piece: Result<Option<Bytes>, Why>,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) {
        self.ended = match piece {
            Err(why) => Some(Err(why)),
            Ok(None) => Some(Ok(())),
            Ok(Some(piece)) if self.body.len().saturating_add(piece.len()) > self.limit => {
                Some(Err(Why::BodyTooLarge))
            }
            Ok(Some(piece)) => {
                self.body.extend_from_slice(&piece);
                enough(head, &piece).then_some(Ok(()))
            }
        };
    }

    fn end(self, head: Parts) -> Reply {
        match self.ended {
            Some(Err(why)) => Reply::MaybeSent(why),
            _ => Reply::Answered(Response::from_parts(head, self.body)),
        }
    }
}
