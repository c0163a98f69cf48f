//! The event stream decoder, beside two others and beside a bound: line ends found, text checked and
//! data copied once, by hand, for this one shape of stream.
//!
//! One by one, the decoder lends the data of an event that lies in a piece whole, and `into_owned` or
//! `feed` copies it; the two others and the bound give every event strings of its own. All that is
//! done with an event is the same for all: it is seen, and its data is measured.
//!
//! Streams are of events as most MCP servers write them, with `event: message` before the data; fed
//! in pieces of 16 KiB, and as one piece.
#![allow(clippy::expect_used, reason = "a bench that goes wrong must stop")]

use std::convert::Infallible;
use std::fmt;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use eventsource_stream::Eventsource as _;
use futures_executor::block_on;
use futures_util::{Stream, StreamExt as _, stream};
use mcp_authz_driver::sse::Decoder;
use memchr::memchr2;
use sse_stream::SseByteStream;

fn main() {
    divan::main();
}

const STREAM: usize = 1024 * 1024;
const LIMIT: usize = 4 * 1024 * 1024;

/// The size of an event and that of a piece.
#[derive(Clone, Copy)]
struct Shape(usize, usize);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let piece = if self.1 == STREAM { "one piece" } else { "16 KiB pieces" };
        write!(f, "{} B, {piece}", self.0)
    }
}

const SHAPES: [Shape; 6] = [
    Shape(120, 16 * 1024),
    Shape(120, STREAM),
    Shape(4 * 1024, 16 * 1024),
    Shape(4 * 1024, STREAM),
    Shape(256 * 1024, 16 * 1024),
    Shape(256 * 1024, STREAM),
];

struct Input {
    bytes: Vec<u8>,
    piece: usize,
    /// The bytes of data that have to come out.
    data: usize,
}

impl Input {
    fn new(Shape(size, piece): Shape) -> Self {
        let head = "event: message\ndata: {\"method\":\"notifications/message\",\"params\":\"";
        let tail = "\"}\n\n";
        let filling = size - head.len() - tail.len();
        let words = "The quick brown fox jumps over the lazy dog. ";
        let filling: String = words.chars().cycle().take(filling).collect();
        let event = [head, &filling, tail].concat();
        let times = STREAM / size;
        let data = times * (size - "event: message\ndata: \n\n".len());
        Self { bytes: event.repeat(times).into_bytes(), piece, data }
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.piece)
    }

    fn stream(&self) -> impl Stream<Item = Result<&[u8], Infallible>> + Unpin {
        stream::iter(self.pieces().map(Ok))
    }
}

fn measure(bencher: Bencher<'_, '_>, shape: Shape, decode: impl Fn(&Input) -> usize) {
    let input = Input::new(shape);
    assert_eq!(decode(&input), input.data);
    bencher.counter(BytesCount::new(input.bytes.len())).bench_local(|| decode(black_box(&input)));
}

/// The decoder, one event made after the other was dealt with. It lends what it can.
#[divan::bench(args = SHAPES)]
fn next_event(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, shape, |input| {
        let mut decoder = Decoder::new(LIMIT);
        let mut data = 0;
        for mut piece in input.pieces() {
            while let Some(event) = decoder.next_event(&mut piece).expect("within its limits") {
                data += black_box(&event).data.len();
            }
        }
        data
    });
}

/// The same, and each event made the caller's own.
#[divan::bench(args = SHAPES)]
fn next_event_owned(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, shape, |input| {
        let mut decoder = Decoder::new(LIMIT);
        let mut data = 0;
        for mut piece in input.pieces() {
            while let Some(event) = decoder.next_event(&mut piece).expect("within its limits") {
                data += black_box(&event.into_owned()).data.len();
            }
        }
        data
    });
}

/// The decoder, all events of a piece at once, each the caller's own.
#[divan::bench(args = SHAPES)]
fn feed(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, shape, |input| {
        let mut decoder = Decoder::new(LIMIT);
        let mut data = 0;
        for piece in input.pieces() {
            for event in decoder.feed(piece).expect("within its limits") {
                data += black_box(&event).data.len();
            }
        }
        data
    });
}

/// The bound. Takes it that lines end in one byte, that an event has one line of data and that nothing is too
/// large, and hands out no name and no identifier.
#[divan::bench(args = SHAPES)]
fn bound(bencher: Bencher<'_, '_>, shape: Shape) {
    let copy =
        |text: &mut String, value: &[u8]| text.push_str(str::from_utf8(value).expect("ASCII"));
    measure(bencher, shape, |input| {
        let mut text = String::new();
        // Of a line that a piece's end has cut: whether it is data, and its start if it is not.
        let (mut in_data, mut start) = (false, Vec::new());
        let mut data = 0;
        for mut piece in input.pieces() {
            while let Some(end) = memchr2(b'\n', b'\r', piece) {
                let (line, rest) = piece.split_at(end);
                piece = rest.get(1..).unwrap_or_default();
                if in_data {
                    in_data = false;
                    copy(&mut text, line);
                } else if !start.is_empty() {
                    start.extend_from_slice(line);
                    if let Some(value) = start.strip_prefix(b"data: ") {
                        copy(&mut text, value);
                    }
                    start.clear();
                } else if let Some(value) = line.strip_prefix(b"data: ") {
                    copy(&mut text, value);
                } else if line.is_empty() {
                    data += black_box(std::mem::take(&mut text)).len();
                }
            }
            if in_data {
                copy(&mut text, piece);
            } else if let Some(value) = piece.strip_prefix(b"data: ") {
                in_data = true;
                copy(&mut text, value);
            } else {
                start.extend_from_slice(piece);
            }
        }
        data
    });
}

#[divan::bench(args = SHAPES)]
fn sse_stream(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, shape, |input| {
        block_on(async {
            let mut events = SseByteStream::new(input.stream());
            let mut data = 0;
            while let Some(event) = events.next().await {
                let event = event.expect("an event");
                data += black_box(&event).data.as_ref().map_or(0, String::len);
            }
            data
        })
    });
}

/// Its time grows with the square of a piece's length.
#[divan::bench(args = SHAPES, max_time = 1)]
fn eventsource_stream(bencher: Bencher<'_, '_>, shape: Shape) {
    measure(bencher, shape, |input| {
        block_on(async {
            let mut events = input.stream().eventsource();
            let mut data = 0;
            while let Some(event) = events.next().await {
                data += black_box(&event.expect("an event")).data.len();
            }
            data
        })
    });
}
