//! The body of an answer, and what becomes of its connection.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use mcp_authz_core::effect::Why;

use super::idle::{Idle, Terms};
use super::line::{Line, broken};
use super::network::{Network, within};
use crate::ports::AsyncBody;

/// A body that hyper reads. Dropping it closes its connection, unless it was read to its end.
pub struct HyperBody<N> {
    body: Incoming,
    network: N,
    /// Held while the body is read, since hyper ends a connection that nobody can use again.
    line: Option<Line>,
    back: Option<(Arc<Idle<N>>, Terms)>,
}

impl<N: Network> HyperBody<N> {
    pub(super) fn new(
        body: Incoming,
        line: Line,
        network: N,
        back: Option<(Arc<Idle<N>>, Terms)>,
    ) -> Self {
        let mut this = Self { body, network, line: Some(line), back };
        if this.body.is_end_stream() {
            this.give_back();
        }
        this
    }

    /// The connection is the next request's.
    fn give_back(&mut self) {
        if let (Some(line), Some((idle, terms))) = (self.line.take(), self.back.take()) {
            idle.keep(terms, line);
        }
    }
}

impl<N: Network> AsyncBody for HyperBody<N> {
    async fn piece(&mut self, time: Duration) -> Result<Option<Bytes>, Why> {
        let body = &mut self.body;
        let next = async {
            while let Some(frame) = body.frame().await {
                // Trailers say nothing that anybody asked for.
                if let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() {
                    return Ok(Some(piece));
                }
            }
            Ok(None)
        };
        let piece = within(&self.network, time, next).await.unwrap_or(Err(Why::Timeout));
        match &piece {
            Ok(None) => self.give_back(),
            // Not to be waited for by whoever holds this: it may stay open for ever.
            Err(why) if *why != Why::Timeout => self.line = None,
            _ => {}
        }
        piece
    }
}

impl<N> fmt::Debug for HyperBody<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperBody")
    }
}
