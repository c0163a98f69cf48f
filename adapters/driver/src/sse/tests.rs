use super::*;

fn all(bytes: &[u8]) -> Vec<Event> {
    Decoder::new(1024).feed(bytes).unwrap()
}

fn event(kind: &str, data: &str, id: &str) -> Event {
    Event { kind: kind.to_owned(), data: data.to_owned(), id: id.to_owned() }
}

#[test]
fn the_examples_of_the_standard() {
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
fn line_ends_byte_order_mark_and_unknown_fields() {
    for stream in [
        &b"event: a\ndata: 1\n\n"[..],
        b"event: a\rdata: 1\r\r",
        b"event: a\r\ndata: 1\r\n\r\n",
        b"event: a\rdata: 1\n\r\n",
        b"\xef\xbb\xbfevent: a\ndata: 1\n\n",
        b"event: a\nunknown: x\n: remark\ndata: 1\n\n",
    ] {
        assert_eq!(all(stream), [event("a", "1", "")], "{:?}", String::from_utf8_lossy(stream));
    }
    assert_eq!(all(b"data: x\n\xef\xbb\xbfdata: y\n\n"), [event("message", "x", "")]);
    assert_eq!(all(b"data: \xff\n\n"), [event("message", "\u{fffd}", "")]);
    assert_eq!(all(b"event: lonely\n\n"), []);
}

#[test]
fn every_way_to_cut_a_stream_gives_the_same_events() {
    let stream =
        "\u{feff}id: 7\r\nevent: endpoint\rdata: \u{20ac}1\ndata: 2\r\n\r\n: x\r\rdata: z\n\n"
            .as_bytes();
    let whole = all(stream);
    assert_eq!(whole, [event("endpoint", "\u{20ac}1\n2", "7"), event("message", "z", "7")]);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let mut decoder = Decoder::new(1024);
            let mut events = decoder.feed(&stream[..first]).unwrap();
            events.extend(decoder.feed(&stream[first..second]).unwrap());
            events.extend(decoder.feed(&stream[second..]).unwrap());
            assert_eq!(events, whole, "{first} {second}");
        }
    }
}

#[test]
fn an_endless_line_or_event_is_refused_host_262() {
    let mut decoder = Decoder::new(1024);
    let mut fed = 0;
    while decoder.feed(&[b'x'; 100]).is_ok() {
        fed += 100;
        assert!(fed <= 1024);
    }
    let mut decoder = Decoder::new(1024);
    assert!((0..200).any(|_| decoder.feed(b"data: 0123456789\n").is_err()));
}

#[test]
fn identifiers_that_could_harm_are_not_sent_back_host_263() {
    let mut decoder = Decoder::new(16 * 1024);
    decoder.feed(b"id: good\ndata: 1\n\n").unwrap();
    decoder.feed(b"id: ba\0d\ndata: 1\n\n").unwrap();
    assert_eq!(decoder.last_event_id(), Some("good"));
    decoder.feed(format!("id: {}\ndata: 1\n\n", "x".repeat(8 * 1024)).as_bytes()).unwrap();
    assert_eq!(decoder.last_event_id(), Some("good"));
    decoder.feed(b"id\ndata: 1\n\n").unwrap();
    assert_eq!(decoder.last_event_id(), None);
}

#[test]
fn pauses_within_reason_host_264() {
    for (text, expected) in [
        ("0", Some(100)),
        ("3000", Some(3_000)),
        ("99999999999", Some(60_000)),
        ("99999999999999999999999999", Some(60_000)),
        ("-1", None),
        ("x", None),
        ("", None),
        ("1.5", None),
    ] {
        let mut decoder = Decoder::new(1024);
        decoder.feed(format!("retry: {text}\n").as_bytes()).unwrap();
        assert_eq!(decoder.retry(), expected, "{text}");
    }
}
