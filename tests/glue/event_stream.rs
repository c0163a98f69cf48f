//! The driver's event stream decoder under the fuzz target `sse`.

use mcp_authz_driver::sse::{Decoder, Event};
use mcp_authz_tests::fuzz_bodies::{Seen, event_stream};

/// The body of the target.
pub(crate) fn sse(data: &[u8]) {
    event_stream(data, &[by_piece, by_event]);
}

fn by_piece(limit: usize, pieces: &[&[u8]]) -> Seen {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        let fed = decoder.feed(piece);
        assert!(fed.is_ok() || decoder.refused().is_some());
        events.extend(fed.unwrap_or_default());
    }
    seen(&decoder, events)
}

fn by_event(limit: usize, pieces: &[&[u8]]) -> Seen {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Ok(Some(event)) = decoder.next_event(&mut piece) {
            events.push(event.into_owned());
        }
        assert!(piece.is_empty() || decoder.refused().is_some());
    }
    seen(&decoder, events)
}

fn seen(decoder: &Decoder, events: Vec<Event<'_>>) -> Seen {
    let event = |event: Event<'_>| {
        let id = event.id.as_deref().unwrap_or_default().to_owned();
        (event.kind.into_owned(), event.data.into_owned(), id)
    };
    Seen {
        events: events.into_iter().map(event).collect(),
        last_event_id: decoder.last_event_id().unwrap_or_default().to_owned(),
        retry: decoder.retry(),
        refused: decoder.refused().map(|refused| format!("{refused:?}")),
    }
}
