//! Bodies that are streams, event by event.

use core::time::Duration;
use std::collections::VecDeque;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::AsyncBody;
use mcp_authz_driver::reading::Incoming;
use mcp_authz_driver::sse::Decoder;
use mcp_authz_tokio::TokioBody;
use sse_stream::{Error as SseError, Sse};

use crate::Error;

/// The body of an answer on this adapter.
pub(crate) type Body = Incoming<TokioBody>;

/// An event stream that is read as it comes, however long nothing comes: dropping it closes its
/// connection.
pub(crate) struct Events {
    /// `None` once nothing more is to be read.
    body: Option<Body>,
    decoder: Decoder,
    retry: Option<u64>,
    ready: VecDeque<Sse>,
}

impl Events {
    pub(crate) const fn new(body: Body, largest: usize) -> Self {
        let decoder = Decoder::new(largest);
        Self { body: Some(body), decoder, retry: None, ready: VecDeque::new() }
    }

    /// The next event; `None` at the end of the stream. A wait that is given up loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Sse, Error>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.body.is_some() && self.decoder.refused().is_some() {
                self.body = None;
                return Some(Err(Error::failed(Kind::LimitExceeded, "HOST-262")));
            }
            match self.body.as_mut()?.piece(Duration::MAX).await {
                Ok(Some(piece)) => self.take(&piece),
                Ok(None) => self.body = None,
                Err(why) => {
                    self.body = None;
                    return Some(Err(Error::Broken(why)));
                }
            }
        }
    }

    fn take(&mut self, mut piece: &[u8]) {
        // A refusal is told once everything before it is.
        while let Ok(Some(event)) = self.decoder.next_event(&mut piece) {
            self.ready.push_back(Sse {
                event: Some(event.kind.into_owned()).filter(|kind| kind != "message"),
                data: Some(event.data.into_owned()),
                id: event.id.as_deref().map(str::to_owned),
                retry: None,
            });
        }
        // Usually it stands beside an event without data of its own.
        if self.decoder.retry() != self.retry {
            self.retry = self.decoder.retry();
            self.ready.push_back(Sse { retry: self.retry, ..Sse::default() });
        }
    }

    /// The form that rmcp reads.
    pub(crate) fn boxed(self) -> BoxStream<'static, Result<Sse, SseError>> {
        stream::unfold(self, |mut events| async {
            let next = events.next().await?;
            Some((next.map_err(|error| SseError::Body(Box::new(error))), events))
        })
        .boxed()
    }
}
