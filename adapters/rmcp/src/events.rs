//! Bodies that are streams, event by event.

use core::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::AsyncBody;
use mcp_authz_driver::reading::Incoming;
use mcp_authz_driver::sse::Decoder;
use mcp_authz_driver::transport::fits;
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
    /// The bytes that came and are not taken apart yet, since their events may take much more
    /// memory.
    piece: Bytes,
    largest: usize,
}

impl Events {
    pub(crate) const fn new(body: Body, largest: usize) -> Self {
        let decoder = Decoder::new(largest);
        Self { body: Some(body), decoder, retry: None, piece: Bytes::new(), largest }
    }

    /// The next event; `None` at the end of the stream. A wait that is given up loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Result<Sse, Error>> {
        loop {
            if let Some(event) = self.take() {
                return Some(event);
            }
            if self.body.is_some() && self.decoder.refused().is_some() {
                return self.too_large();
            }
            match self.body.as_mut()?.piece(Duration::MAX).await {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => self.body = None,
                Err(why) => {
                    self.body = None;
                    return Some(Err(Error::Broken(why)));
                }
            }
        }
    }

    fn too_large(&mut self) -> Option<Result<Sse, Error>> {
        self.body = None;
        self.piece = Bytes::new();
        Some(Err(Error::failed(Kind::LimitExceeded, "HOST-262")))
    }

    /// The next event of the piece. A refusal is told once everything before it is.
    fn take(&mut self) -> Option<Result<Sse, Error>> {
        let whole = core::mem::take(&mut self.piece);
        let mut piece = &*whole;
        let event = self.decoder.next_event(&mut piece).ok().flatten();
        let taken = whole.len().saturating_sub(piece.len());
        let heavy = event.as_ref().is_some_and(|event| {
            // A message that swells when it is read is as good as one that is too large.
            !fits(event.data.as_bytes(), self.largest)
        });
        let told = event.map(|event| Sse {
            event: Some(event.kind.into_owned()).filter(|kind| kind != "message"),
            data: Some(event.data.into_owned()),
            id: event.id.as_deref().map(str::to_owned),
            retry: None,
        });
        self.piece = whole.slice(taken..);
        if heavy {
            return self.too_large();
        }
        // Usually it stands beside an event without data of its own.
        if told.is_none() && self.decoder.retry() != self.retry {
            self.retry = self.decoder.retry();
            return Some(Ok(Sse { retry: self.retry, ..Sse::default() }));
        }
        told.map(Ok)
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
