//! Connections that are kept for the next request under the same terms.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use http::Uri;
use http::uri::Scheme;
use mcp_authz_core::effect::Limits;

use super::line::Line;
use super::network::{Network, within};
use crate::dial;

/// Connections to one server that are kept: as many as a busy program has under way at once, or every
/// wave of requests begins with handshakes.
const MOST: usize = 256;
/// How long a connection is kept, give or take a round.
const LONGEST: Duration = Duration::from_secs(90);
/// How often it is looked what has been kept for too long.
const ROUND: Duration = Duration::from_secs(15);
/// How long a connection may take from the end of one body until it takes the next request. It has
/// nothing to wait for then.
const READY: Duration = Duration::from_millis(50);

/// The terms under which one connection is made. The address rule was asked when it was dialled, so
/// a connection that was made under one rule never serves a request under another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Terms {
    host: String,
    port: u16,
    plain: bool,
    addresses: u8,
    head: usize,
    fields: usize,
}

impl Terms {
    pub(super) fn of(uri: &Uri, limits: &Limits) -> Option<Self> {
        Some(Self {
            host: uri.host()?.to_ascii_lowercase(),
            port: dial::port(uri),
            plain: uri.scheme() == Some(&Scheme::HTTP),
            addresses: limits.addresses as u8,
            head: limits.head,
            fields: limits.fields,
        })
    }
}

/// The connections that are kept, and the runtime that looks after them.
pub(super) struct Idle<N> {
    network: N,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: HashMap<Terms, Vec<(Line, Instant)>>,
    /// A task looks after them.
    swept: bool,
}

impl<N: Network> Idle<N> {
    /// Nothing is kept yet.
    pub(super) fn new(network: N) -> Self {
        Self { network, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kept connection that takes a request.
    pub(super) async fn take(&self, terms: &Terms) -> Option<Line> {
        loop {
            // The one used last is the likeliest to live.
            let (mut line, _) = self.lock().lines.get_mut(terms).and_then(Vec::pop)?;
            if line.sender.is_ready() {
                return Some(line);
            }
            if matches!(within(&self.network, READY, line.sender.ready()).await, Some(Ok(()))) {
                return Some(line);
            }
        }
    }

    /// Keeps a connection whose last answer was read.
    pub(super) fn keep(self: &Arc<Self>, terms: Terms, line: Line) {
        if line.sender.is_closed() {
            return;
        }
        let mut kept = self.lock();
        let lines = kept.lines.entry(terms).or_default();
        if lines.len() < MOST {
            lines.push((line, Instant::now()));
        }
        if !core::mem::replace(&mut kept.swept, true) {
            drop(kept);
            self.network.spawn(sweep(Arc::downgrade(self), self.network.clone()));
        }
    }

    /// Drops what was kept for too long, or is dead; false if nothing is left.
    fn prune(&self) -> bool {
        let mut kept = self.lock();
        kept.lines.retain(|_, lines| {
            lines.retain(|(line, since)| !line.sender.is_closed() && since.elapsed() < LONGEST);
            !lines.is_empty()
        });
        kept.swept = !kept.lines.is_empty();
        kept.swept
    }
}

/// Lives as long as something is kept.
async fn sweep<N: Network>(idle: Weak<Idle<N>>, network: N) {
    loop {
        network.sleep(ROUND).await;
        if !idle.upgrade().is_some_and(|idle| idle.prune()) {
            return;
        }
    }
}
