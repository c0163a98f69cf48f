//! One stream of events over as many connections as it takes (TRANS-06, TRANS-23).
//!
//! Decides after which event a broken stream goes on, how long to wait and when to give up. Each
//! attempt without anything new waits twice as long as the one before (HOST-265).

use core::time::Duration;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use http::HeaderValue;

use super::error::TransportError;
use crate::sse::{Decoder, Event};

/// The first wait, unless the server wishes another.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Events that are remembered: what a server sends again after a resumption is dropped.
const REMEMBERED: usize = 256;

/// When and how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) wait: Duration,
    pub(crate) after: Option<HeaderValue>,
}

/// A stream and what it takes to resume it.
#[derive(Debug)]
pub(crate) struct Resume {
    decoder: Decoder,
    limit: usize,
    most: u32,
    attempts: u32,
    last: Option<Arc<str>>,
    /// True if this connection has named an identifier; only then can it take the last one back.
    named: bool,
    retry: Option<Duration>,
    recent: VecDeque<u64>,
    /// Set until the first new event after a resumption.
    replaying: bool,
}

impl Resume {
    pub(crate) fn new(limit: usize, most: u32) -> Self {
        Self {
            decoder: Decoder::new(limit),
            limit,
            most,
            attempts: 0,
            last: None,
            named: false,
            retry: None,
            recent: VecDeque::new(),
            replaying: false,
        }
    }

    /// Takes the next piece and gives the texts of the messages it completes.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<Vec<String>, TransportError> {
        let mut texts = Vec::new();
        loop {
            match self.decoder.next_event(&mut piece) {
                Ok(Some(event)) => {
                    if event.kind != "message"
                        || event.data.is_empty()
                        || repeated(&mut self.recent, &mut self.replaying, &event)
                    {
                        continue;
                    }
                    self.attempts = 0;
                    texts.push(event.data.into_owned());
                }
                Ok(None) => break,
                Err(_) if texts.is_empty() => return Err(TransportError::TooLarge),
                // The events that were whole before it are handed out first; the decoder stays
                // refused.
                Err(_) => break,
            }
        }
        // An identifier counts once its event is whole, or the event that a cut left unfinished would
        // be asked for no more.
        match self.decoder.last_event_id() {
            Some(id) => {
                self.named = true;
                if self.last.as_deref() != Some(id) {
                    self.last = Some(id.into());
                }
            }
            None if self.named => self.last = None,
            None => {}
        }
        if let Some(millis) = self.decoder.retry() {
            self.retry = Some(Duration::from_millis(millis));
        }
        Ok(texts)
    }

    /// The connection is gone: when to ask for the rest, or nothing if that is of no use.
    pub(crate) fn broke(&mut self) -> Option<Again> {
        let after = self.last.as_ref()?;
        let after = HeaderValue::from_bytes(after.as_bytes()).ok()?;
        self.next(Some(after))
    }

    /// The same for a stream that belongs to no request, and can always be opened anew. One that
    /// was merely silent does not count.
    pub(crate) fn broke_standing(&mut self, silent: bool) -> Option<Again> {
        if silent {
            self.attempts = 0;
        }
        let after = self.last.as_ref().and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok());
        self.next(after)
    }

    fn next(&mut self, after: Option<HeaderValue>) -> Option<Again> {
        if self.attempts >= self.most || self.decoder.refused().is_some() {
            return None;
        }
        let doubled = 2u32.saturating_pow(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        let wait = self.retry.unwrap_or(FIRST_WAIT).saturating_mul(doubled).min(LONGEST_WAIT);
        Some(Again { wait, after })
    }

    /// Returns true if the stream is over its limits, so that nothing more can be read from it.
    pub(crate) const fn is_refused(&self) -> bool {
        self.decoder.refused().is_some()
    }

    /// A new connection goes on with it.
    pub(crate) fn resumed(&mut self) {
        self.decoder = Decoder::new(self.limit);
        self.replaying = self.last.is_some();
        self.named = false;
    }
}

/// Returns true if an event came already, before the stream was resumed. Its identifier alone does
/// not tell: an event without one of its own has that of the event before it.
fn repeated(recent: &mut VecDeque<u64>, replaying: &mut bool, event: &Event<'_>) -> bool {
    let Some(id) = &event.id else { return false };
    let mut hasher = DefaultHasher::new();
    (id, &event.data).hash(&mut hasher);
    let event = hasher.finish();
    if *replaying && recent.contains(&event) {
        return true;
    }
    *replaying = false;
    if recent.len() >= REMEMBERED {
        recent.pop_front();
    }
    recent.push_back(event);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resume() -> Resume {
        Resume::new(1024, 3)
    }

    fn after(resume: &mut Resume) -> Option<String> {
        resume.broke()?.after.map(|id| id.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_stream_goes_on_after_its_last_whole_event_trans_23() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "id: 1-0;data:;;id: 1-1;data: a;;id: 1-2;data: b;;".replace(';', end);
            // However much of it came, and in whatever pieces.
            for cut in 0..=text.len() {
                for size in [1, 2, 7, text.len()] {
                    let mut resume = resume();
                    let part = text.as_bytes().get(..cut).unwrap();
                    let mut read = Vec::new();
                    for piece in part.chunks(size) {
                        read.extend(resume.feed(piece).unwrap());
                    }
                    let found = after(&mut resume);
                    let first_is_whole = cut >= text.find(&format!("id: 1-1{end}")).unwrap();
                    assert!(found.is_some() || !first_is_whole, "{end:?} {cut} {size}");
                    resume.resumed();
                    let next = match found.as_deref() {
                        None => 0,
                        Some("1-0") => text.find("id: 1-1").unwrap(),
                        Some("1-1") => text.find("id: 1-2").unwrap(),
                        Some(_) => text.len(),
                    };
                    let rest = text.get(next..).unwrap();
                    read.extend(resume.feed(rest.as_bytes()).unwrap());
                    assert_eq!(read, ["a", "b"], "{end:?} {cut} {size}: none lost, none twice");
                }
            }
        }
    }

    #[test]
    fn an_event_without_data_is_a_place_to_go_on_from_too() {
        let mut priming = resume();
        assert!(priming.feed(b"id: p\n\n").unwrap().is_empty());
        assert_eq!(after(&mut priming).as_deref(), Some("p"));
        let mut split = resume();
        for piece in [&b"id: p"[..], b"\n", b"\nid: q\nda"] {
            split.feed(piece).unwrap();
        }
        assert_eq!(after(&mut split).as_deref(), Some("p"));
    }

    #[test]
    fn an_identifier_that_was_taken_back_is_not_resumed_after() {
        let mut resume = resume();
        resume.feed(b"id: 1\ndata: a\n\n").unwrap();
        resume.broke().unwrap();
        resume.resumed();
        resume.feed(b"data: b\n\n").unwrap();
        assert_eq!(after(&mut resume).as_deref(), Some("1"), "a new connection need not name it");
        resume.resumed();
        resume.feed(b"id: 2\ndata: c\n\n").unwrap();
        resume.feed(b"id\ndata: d\n\n").unwrap();
        assert_eq!(resume.broke(), None, "or what came since would come again");
    }

    #[test]
    fn what_is_sent_again_after_a_resumption_is_dropped() {
        let mut resume = resume();
        let two = b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n";
        assert_eq!(resume.feed(two).unwrap(), ["a", "b"]);
        resume.broke().unwrap();
        resume.resumed();
        assert_eq!(resume.feed(two).unwrap(), [""; 0]);
        assert_eq!(resume.feed(b"id: 3\ndata: c\n\nid: 3\ndata: d\n\n").unwrap(), ["c", "d"]);
        assert_eq!(after(&mut resume).as_deref(), Some("3"));
    }

    #[test]
    fn what_is_new_under_an_old_identifier_is_not_taken_for_a_repetition() {
        // Identifiers on the priming events alone, and a server that counts anew per connection.
        for (first, second) in [
            ("id: p\n\ndata: a\n\n", "id: p\n\ndata: b\n\ndata: c\n\n"),
            ("id: 1\ndata: a\n\n", "id: 1\ndata: a\n\ndata: b\n\ndata: c\n\n"),
            ("id: 1\ndata: a\n\n", "id: 1\ndata: b\n\nid: 2\ndata: c\n\n"),
        ] {
            let mut resume = resume();
            assert_eq!(resume.feed(first.as_bytes()).unwrap(), ["a"]);
            resume.broke().unwrap();
            resume.resumed();
            assert_eq!(resume.feed(second.as_bytes()).unwrap(), ["b", "c"], "{second:?}");
        }
    }

    #[test]
    fn without_an_identifier_nothing_is_resumed_host_263() {
        let long = format!("id: {}\ndata: a\n\n", "x".repeat(8 * 1024));
        for stream in
            ["data: a\n\n", "id: a\0b\ndata: a\n\n", long.as_str(), "id: a\u{1}\ndata: a\n\n"]
        {
            let mut resume = Resume::new(64 * 1024, 3);
            assert_eq!(resume.feed(stream.as_bytes()).unwrap(), ["a"]);
            assert_eq!(resume.broke(), None, "{stream:.20}");
        }
    }

    #[test]
    fn waits_grow_and_end_unless_something_new_comes_host_264_host_265() {
        let mut resume = Resume::new(1024, 4);
        resume.feed(b"retry: 500\nid: 1\ndata: a\n\n").unwrap();
        let wait = |resume: &mut Resume| resume.broke().map(|again| again.wait.as_millis());
        assert_eq!([wait(&mut resume), wait(&mut resume)], [Some(500), Some(1000)]);
        resume.resumed();
        resume.feed(b": still here\n\nid: 2\ndata:\n\n").unwrap();
        assert_eq!(wait(&mut resume), Some(2000), "a connection alone is no progress");
        resume.feed(b"id: 3\ndata: b\n\n").unwrap();
        let rest: Vec<_> = (0..5).map(|_| wait(&mut resume)).collect();
        assert_eq!(rest, [Some(500), Some(1000), Some(2000), Some(4000), None]);
        for (wish, first) in [("0", 100), ("-1", 250), ("99999999999", 60_000), ("x", 250)] {
            let mut resume = Resume::new(1024, 1);
            resume.feed(format!("retry: {wish}\nid: 1\ndata: a\n\n").as_bytes()).unwrap();
            assert_eq!(wait(&mut resume), Some(first), "{wish}");
        }
        let mut storm = Resume::new(1024, u32::MAX);
        storm.feed(b"retry: 1\nid: 1\n\n").unwrap();
        let first_ten: u128 = (0..10).filter_map(|_| wait(&mut storm)).sum();
        assert!(first_ten > 60_000, "at most ten in a minute");
        assert!((0..100).all(|_| wait(&mut storm).is_some_and(|wait| wait <= 60_000)));
    }

    #[test]
    fn an_event_over_its_limit_ends_it_host_262() {
        let mut resume = Resume::new(1024, 3);
        let piece = [b'x'; 256];
        resume.feed(b"data: ").unwrap();
        let refused = (0..8).find_map(|_| resume.feed(&piece).err());
        assert_eq!(refused.unwrap().code(), "limit_exceeded");
    }
}
