use super::*;

fn all(bytes: &[u8]) -> Vec<Event<'static>> {
    Decoder::new(1024).feed(bytes).unwrap()
}

fn event(kind: &'static str, data: &str, id: &str) -> Event<'static> {
    let id = (!id.is_empty()).then(|| Arc::from(id));
    Event { kind: Cow::Borrowed(kind), data: Cow::Owned(data.to_owned()), id }
}

/// The events that come of the pieces, and the refusal that ends them.
fn fed<'a>(
    limit: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event<'static>>, Option<TooLarge>) {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(decoder.feed(piece).unwrap_or_default());
    }
    (events, decoder.refused())
}

#[test]
fn the_examples_of_the_standard_trans_06() {
    assert_eq!(all(b"data: YHOO\ndata: +2\ndata: 10\n\n"), [event("message", "YHOO\n+2\n10", "")]);
    assert_eq!(
        all(b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"),
        [event("message", "first event", "1"), event("message", "second event", "")]
    );
    assert_eq!(
        all(b"data\n\ndata\ndata\n\ndata:"),
        [event("message", "", ""), event("message", "\n", "")]
    );
    assert_eq!(
        all(b"data:test\n\ndata: test\n\n"),
        [event("message", "test", ""), event("message", "test", "")]
    );
}

#[test]
fn line_ends_byte_order_mark_and_unknown_fields_trans_06() {
    for stream in [
        &b"event: a\ndata: 1\n\n"[..],
        b"event: a\rdata: 1\r\r",
        b"event: a\r\ndata: 1\r\n\r\n",
        b"event: a\rdata: 1\n\r\n",
        b"\xef\xbb\xbfevent: a\ndata: 1\n\n",
        b"\xef\xbb\xbf\nevent: a\ndata: 1\n\n",
        b"event: a\nunknown: x\n: remark\ndata: 1\n\n",
        b"event: b\nevent: a\ndata: 1\n\n",
        b"event:a\nEvent: b\n event: b\nevent : b\ndata:1\nDATA: 2\ndatum: 3\n\n",
    ] {
        assert_eq!(all(stream), [event("a", "1", "")], "{:?}", String::from_utf8_lossy(stream));
    }
    assert_eq!(all(b"event: lonely\n\ndata: 1\n\n"), [event("message", "1", "")]);
    assert_eq!(all(b"event: a\nevent\ndata: 1\n\n"), [event("message", "1", "")]);
}

#[test]
fn a_byte_order_mark_counts_at_the_start_alone_trans_06() {
    for (stream, data) in [
        (&b"\xef\xbb\xbfdata: x\n\n"[..], Some("x")),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", None),
        (b"\n\xef\xbb\xbfdata: x\n\n", None),
        (b"data: x\n\xef\xbb\xbfdata: y\n\n", Some("x")),
        (b"data: \xef\xbb\xbfx\n\n", Some("\u{feff}x")),
        (b"\xef\xbbdata: x\n\n", None),
    ] {
        for pieces in [vec![stream], stream.chunks(1).collect()] {
            let (events, _) = fed(1024, pieces);
            assert_eq!(events.first().map(|event| &*event.data), data, "{stream:?}");
        }
    }
}

#[test]
fn what_is_no_text_is_replaced_as_the_standard_replaces_it_trans_06() {
    for (bytes, text) in [
        (&b"\xff"[..], "\u{fffd}"),
        (b"\xc3\xa9", "\u{e9}"),
        (b"\xc3", "\u{fffd}"),
        (b"\xe2\x82\xac", "\u{20ac}"),
        (b"\xe2\x82", "\u{fffd}"),
        (b"\xe2\x82A", "\u{fffd}A"),
        (b"\xe2\x82\xe2\x82\xac", "\u{fffd}\u{20ac}"),
        (b"\xe2\xff\x82", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xc0\x80", "\u{fffd}\u{fffd}"),
        (b"\xf0\x9f\x98\x80!", "\u{1f600}!"),
        (b"\xf0\x9f\x98", "\u{fffd}"),
        (b"\xf0\x9f\xf0\x9f\x98\x80", "\u{fffd}\u{1f600}"),
        (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        (b"a\0b", "a\0b"),
    ] {
        let stream = [b"event: ", bytes, b"\ndata: ", bytes, b"\ndata: -\nid: ", bytes, b"\n\n"];
        let stream = stream.concat();
        let expected = Event {
            kind: Cow::Owned(text.to_owned()),
            data: Cow::Owned(format!("{text}\n-")),
            id: Some(Arc::from(text)).filter(|_| !text.contains('\0')),
        };
        for size in [1, 2, 3, 5, stream.len()] {
            let (events, _) = fed(1024, stream.chunks(size));
            assert_eq!(events.as_slice(), core::slice::from_ref(&expected), "{bytes:?} by {size}");
        }
    }
}

#[test]
fn comments_keep_alive_and_do_nothing_else_trans_07() {
    let stream =
        b":\n: ping\n:data: 1\n\n\n:\r\n\r\ndata: 2\n:\xff\n: retry: 5\ndata: 3\n:\n\n:\n\n";
    for size in [1, 4, stream.len()] {
        let mut decoder = Decoder::new(1024);
        let mut events = Vec::new();
        for piece in stream.chunks(size) {
            events.extend(decoder.feed(piece).unwrap());
        }
        assert_eq!(events, [event("message", "2\n3", "")]);
        assert_eq!(decoder.retry(), None);
    }
    // A comment is not kept, however long it is on its way.
    let mut decoder = Decoder::new(1024 * 1024);
    for _ in 0..1000 {
        assert_eq!(decoder.feed(b": and so on").unwrap(), []);
    }
    assert!(decoder.line.capacity() < 64);
}

#[test]
fn every_way_to_cut_a_stream_gives_the_same_events_trans_06() {
    let stream =
        "\u{feff}id: 7\r\nevent: endpoint\rdata: \u{20ac}1\ndata: 2\r\n\r\n: x\r\rdata: z\n\n\
                  retry: 700\nidx: 8\n\nevent\ndata\n\n"
            .as_bytes();
    let whole = all(stream);
    assert_eq!(
        whole,
        [
            event("endpoint", "\u{20ac}1\n2", "7"),
            event("message", "z", "7"),
            event("message", "", "7")
        ]
    );
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(fed(1024, pieces), (whole.clone(), None), "{first} {second}");
        }
    }
}

#[test]
fn data_that_lies_in_the_piece_as_one_line_is_lent_trans_06() {
    for (stream, data, is_lent) in [
        (&b"data: x\n\n"[..], "x", true),
        (b"data:\n\n", "", true),
        (b"data\n\n", "", true),
        (b"data:x\r\rmore", "x", true),
        (b"event: message\ndata: x\n\n", "x", true),
        (b"event: message\r\ndata: x\r\n\r\n", "x", true),
        (b"data: x\nevent: message\n: remark\n\n", "x", true),
        (b"data: \xe2\x82\xac\n\n", "\u{20ac}", true),
        (b"data: \xe2\x82\n\n", "\u{fffd}", false),
        (b"data: x\ndata: y\n\n", "x\ny", false),
    ] {
        let expected = event("message", data, "");
        // At a stream's start, and where an event has gone before.
        for mut before in [&b""[..], b"data: 0\n\n", b"data: 0\r\n\r\n", b"data: 0\n\r"] {
            let mut decoder = Decoder::new(1024);
            while decoder.next_event(&mut before).unwrap().is_some() {}
            let mut piece = stream;
            let found = decoder.next_event(&mut piece).unwrap().unwrap();
            assert_eq!(found, expected, "{stream:?}");
            assert_eq!(matches!(found.data, Cow::Borrowed(_)), is_lent, "{stream:?}");
            assert!(matches!(found.kind, Cow::Borrowed(_)));
            assert!(matches!(found.into_owned().data, Cow::Owned(_)));
        }
        for cut in 1..stream.len().saturating_sub(1) {
            let (mut first, mut rest) = stream.split_at(cut);
            let mut decoder = Decoder::new(1024);
            if decoder.next_event(&mut first).unwrap().is_none() {
                let found = decoder.next_event(&mut rest).unwrap();
                assert_eq!(found, Some(expected.clone()), "{stream:?} at {cut}");
            }
        }
    }
}

#[test]
fn an_endless_line_or_event_is_refused_host_262() {
    for line in ["", ":", "data: ", "event: ", "id: ", "whatever: "] {
        let mut decoder = Decoder::new(1024);
        assert!(decoder.feed(line.as_bytes()).is_ok());
        let mut taken = line.len();
        while decoder.feed(&[b'x'; 100]).is_ok() {
            taken += 100;
            assert!(taken <= 1024, "{line}");
            assert!(decoder.line.capacity() <= 1024);
            assert!(decoder.data.as_ref().map_or(0, String::capacity) <= 1024);
        }
        assert_eq!(decoder.refused(), Some(TooLarge::Line), "{line}");
    }
    let mut decoder = Decoder::new(1024);
    assert!((0..200).any(|_| decoder.feed(b"data: 0123456789\n").is_err()));
    assert_eq!(decoder.refused(), Some(TooLarge::Event));
}

#[test]
fn the_limits_are_exact_host_262() {
    for (stream, refused) in [
        ("data: 01234567\n\n", None),
        ("data:012345678\n\n", None),
        ("data: 012345678\n\n", Some(TooLarge::Line)),
        ("event: message\ndata: 0123456\n\n", None),
        ("event: message\ndata: 01234567\n\n", Some(TooLarge::Event)),
        (":0123456789abc\n\n", None),
        (":0123456789abcd\n\n", Some(TooLarge::Line)),
        ("data: 01234567\ndata:01234\n\n", None),
        ("data: 01234567\ndata:012345\n\n", Some(TooLarge::Event)),
        ("event: 012345\ndata:01234567\n\n", None),
        ("event: 012345\ndata: 01234567\ndata\n\n", Some(TooLarge::Event)),
        ("data: 01234567\nevent: 0123456\n\n", Some(TooLarge::Event)),
        // Three bytes stand for each that is no text.
        ("data:\u{1}\u{1}\u{1}\u{1}\n\n", None),
        ("data:\u{1}\u{1}\u{1}\u{1}\u{1}\n\n", Some(TooLarge::Event)),
        ("event:\u{1}\u{1}\u{1}\u{1}\u{1}\n\n", Some(TooLarge::Event)),
    ] {
        let bytes: Vec<u8> =
            stream.bytes().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
        for size in 1..=bytes.len() {
            let found = fed(14, bytes.chunks(size));
            assert_eq!(found.1, refused, "{stream:?} by {size}");
            assert_eq!(found.0.len(), usize::from(refused.is_none() && stream.contains("data")));
            // The second event of a stream has a way of its own.
            let again = fed(14, [&b"data: 0\n\n"[..]].into_iter().chain(bytes.chunks(size)));
            assert_eq!((again.0.len(), again.1), (found.0.len() + 1, refused), "{stream:?}");
        }
    }
}

#[test]
fn events_before_a_refusal_are_not_lost_and_nothing_comes_after_it_host_262() {
    let mut decoder = Decoder::new(16);
    let piece = b"id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\n: and now it is too much\ndata: 3\n\n";
    assert_eq!(
        decoder.feed(piece).unwrap(),
        [event("message", "1", "1"), event("message", "2", "2")]
    );
    assert_eq!(decoder.refused(), Some(TooLarge::Line));
    for piece in [&b""[..], b"\n\n", b"data: 4\n\n"] {
        assert_eq!(decoder.feed(piece), Err(TooLarge::Line));
    }
    decoder.reconnected();
    assert_eq!(decoder.feed(b"data: 4\n\n"), Err(TooLarge::Line));
    assert_eq!(decoder.last_event_id(), Some("2"));
}

/// Each byte is looked at a fixed number of times: the bench has the figures, this only what would
/// take minutes.
#[test]
fn tiny_pieces_of_a_long_line_cost_what_large_ones_do_host_262() {
    const LONG: usize = 4 * 1024 * 1024;
    for head in ["data: ", "event: ", ": "] {
        let mut decoder = Decoder::new(LONG + 16);
        decoder.feed(head.as_bytes()).unwrap();
        for _ in 0..LONG {
            assert!(decoder.feed(b"x").unwrap().is_empty());
        }
        let events = decoder.feed(b"\n\n").unwrap();
        let data: usize = events.iter().map(|event| event.data.len()).sum();
        assert_eq!(data, if head == "data: " { LONG } else { 0 });
    }
}

#[test]
fn identifiers_that_could_harm_are_not_sent_back_host_263() {
    let mut decoder = Decoder::new(16 * 1024);
    decoder.feed(b"id: good\ndata: 1\n\n").unwrap();
    decoder.feed(b"id: ba\0d\ndata: 1\n\n").unwrap();
    assert_eq!(decoder.last_event_id(), Some("good"));
    for length in [LONGEST_ID + 1, 8 * 1024] {
        let events = decoder.feed(format!("id: {}\ndata: 1\n\n", "x".repeat(length)).as_bytes());
        assert_eq!(events.unwrap(), [event("message", "1", "good")]);
    }
    // The characters that replace the bytes may be longer than the bytes are.
    let long = [b"id: ".as_slice(), &[0xff; LONGEST_ID - 1], b"\ndata: 1\n\n"].concat();
    assert_eq!(decoder.feed(&long).unwrap(), [event("message", "1", "good")]);
    decoder.feed(format!("id: {}\ndata: 1\n\n", "x".repeat(LONGEST_ID)).as_bytes()).unwrap();
    assert_eq!(decoder.last_event_id().map(str::len), Some(LONGEST_ID));
    decoder.feed(b"id\ndata: 1\n\n").unwrap();
    assert_eq!(decoder.last_event_id(), None);
    assert_eq!(decoder.feed(b"id: a\rid: b\n\n").unwrap(), []);
    assert_eq!(decoder.last_event_id(), Some("b"));
}

#[test]
fn an_identifier_is_in_force_from_the_empty_line_on_trans_23() {
    let mut decoder = Decoder::new(1024);
    // An event that is there for its identifier alone, with data and without.
    assert_eq!(decoder.feed(b"id: 1\ndata:\n\n").unwrap(), [event("message", "", "1")]);
    assert_eq!(decoder.feed(b"id: 2\n\n").unwrap(), []);
    assert_eq!(decoder.last_event_id(), Some("2"));
    assert_eq!(decoder.feed(b"data: a\nid: 3\ndata: b\n").unwrap(), []);
    assert_eq!(decoder.last_event_id(), Some("2"), "the event has not come whole");
    assert_eq!(decoder.feed(b"\n").unwrap(), [event("message", "a\nb", "3")]);
    assert_eq!(decoder.last_event_id(), Some("3"));
}

#[test]
fn a_stream_goes_on_over_a_new_connection_trans_23() {
    let mut decoder = Decoder::new(1024);
    decoder.feed(b"retry: 2000\nid: 1\ndata: 1\n\nid: 2\nevent: a\ndata: lo\ndata: st\r").unwrap();
    decoder.reconnected();
    assert_eq!((decoder.last_event_id(), decoder.retry()), (Some("1"), Some(2000)));
    assert_eq!(
        decoder.feed(b"\n\xef\xbb\xbfdata: x\ndata: y\n\n").unwrap(),
        [event("message", "y", "1")],
        "the line end is one, and the mark after it none"
    );
    for cut in ["\u{feff}da", "data: \u{20ac}", "event: b", ": remark"] {
        decoder.feed(&cut.as_bytes()[..cut.len() - 1]).unwrap();
        decoder.reconnected();
        let events = decoder.feed(b"\xef\xbb\xbfdata: y\n\n").unwrap();
        assert_eq!(events, [event("message", "y", "1")], "{cut}");
    }
}

#[test]
fn pauses_within_reason_host_264_trans_23() {
    for (text, expected) in [
        ("0", Some(100)),
        ("3000", Some(3_000)),
        ("0003000", Some(3_000)),
        ("99999999999", Some(60_000)),
        ("99999999999999999999999999", Some(60_000)),
        ("-1", None),
        ("+1", None),
        ("x", None),
        ("", None),
        ("1.5", None),
        (" 5", None),
        ("5 ", None),
        ("\u{663}", None),
    ] {
        let mut decoder = Decoder::new(1024);
        decoder.feed(format!("retry: {text}\n").as_bytes()).unwrap();
        assert_eq!(decoder.retry(), expected, "{text}");
        decoder.feed(b"retry: 500\nretry: no\nretry\n").unwrap();
        assert_eq!(decoder.retry(), Some(500));
    }
}
