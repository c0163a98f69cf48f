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
    let mut reading = Reading::new(limits);
    let (head, mut body) = match open() {
        Ok(answer) => answer.into_parts(),
        Err(unanswered) => return unanswered.into(),
    };
    while let Some(within) = reading.goes_on() {
        reading.take(&head, body.piece(within), enough);
    }
    reading.end(head)
}

/// [`to_its_end`] for async ports.
pub async fn to_its_end_async<B: AsyncBody>(
    open: impl Future<Output = Opened<B>> + Send,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    let mut reading = Reading::new(limits);
    let (head, mut body) = match open.await {
        Ok(answer) => answer.into_parts(),
        Err(unanswered) => return unanswered.into(),
    };
    while let Some(within) = reading.goes_on() {
        reading.take(&head, body.piece(within).await, enough);
    }
    reading.end(head)
}

/// A body that is being read.
struct Reading {
    /// `None` is further away than clocks go.
    until: Option<Instant>,
    limit: usize,
    body: Vec<u8>,
    /// Set when nothing more is to be read.
    ended: Option<Result<(), Why>>,
}

impl Reading {
    /// The time runs from now on; so this is made before the request is sent.
    fn new(limits: &Limits) -> Self {
        let until = Instant::now().checked_add(limits.total);
        Self { until, limit: limits.body, body: Vec::new(), ended: None }
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
