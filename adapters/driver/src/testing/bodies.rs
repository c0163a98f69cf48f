//! Cases about the bodies of answers.

use core::time::Duration;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use mcp_authz_core::effect::{Limits, Reply, Why};

use super::server::{Server, closed, ok, say};
use super::{Make, answered, exchange, get, limits, maybe_sent, port, post};

/// The method, path, query and body arrive; nothing is added that says more than it must.
pub fn plain_requests_arrive_whole_and_unadorned(make: Make) {
    let server = Server::saying(ok("hello"));
    let http = port(make);
    let mut request = post(&server.here(), "grant_type=x");
    let fields = request.headers_mut();
    fields.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    fields.insert("accept-encoding", "identity".parse().unwrap());
    let answer = answered(http.send(request, &limits()));
    assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (200, &b"hello"[..]));
    let seen = server.requests().concat().to_ascii_lowercase();
    assert!(seen.starts_with("post /path?query=1 http/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\ngrant_type=x"), "{seen}");
    for once in ["host: 127.0.0.1:", "content-length: 12\r\n", "accept-encoding: identity\r\n"] {
        assert_eq!(seen.matches(once).count(), 1, "{once} in {seen}");
    }
    for never in ["cookie", "referer", "origin", "authorization", "gzip"] {
        assert!(!seen.contains(never), "{never} in {seen}");
    }
    let answer = answered(exchange(&*http, get(&server.here()), &limits(), &mut |_, _| false));
    assert_eq!(answer.body().as_slice(), b"hello");
}

/// A length over the limit is refused before a byte of the body is there.
pub fn a_body_over_its_announced_limit_is_not_read_host_064(make: Make) {
    let server = Server::start(|_, stream| {
        say(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n");
        closed(stream);
    });
    let begun = Instant::now();
    let reply = port(make).send(get(&server.here()), &limits());
    maybe_sent(reply, &[Why::BodyTooLarge]);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

/// The connection is closed after the limit and little more.
pub fn an_endless_body_is_cut_off_and_its_connection_closed_host_065(make: Make) {
    let sent = Arc::new(Mutex::new(None));
    let of_server = Arc::clone(&sent);
    let server = Server::start(move |_, stream| {
        say(stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = [&b"1000\r\n"[..], &[b'x'; 4096], b"\r\n"].concat();
        let mut count = 0usize;
        while count < 1 << 28 && stream.write_all(&chunk).is_ok() {
            count += 4096;
        }
        *of_server.lock().unwrap() = Some(count);
    });
    let http = port(make);
    maybe_sent(http.send(get(&server.here()), &limits()), &[Why::BodyTooLarge]);
    let begun = Instant::now();
    while sent.lock().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the connection stays open");
        thread::sleep(Duration::from_millis(10));
    }
    // The system decides how much the sockets' buffers took besides.
    assert!(sent.lock().unwrap().unwrap() < 32 << 20);
}

/// Nothing is inflated, whatever it claims to be.
pub fn an_encoded_body_is_refused_host_066_host_067(make: Make) {
    let http = port(make);
    for encoding in ["gzip", "gzip, gzip", "utf-8, GZIP", "br", "zstd", "deflate"] {
        let server = Server::saying(format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 4\r\n\r\n\x1f\x0b12"
        ));
        maybe_sent(http.send(get(&server.here()), &limits()), &[Why::Encoded]);
    }
    // A value that names no coding encodes nothing (HOST-320).
    for plain in ["identity", "utf-8", "", "UTF8"] {
        let server = Server::saying(format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {plain}\r\ncontent-length: 2\r\n\r\nhi"
        ));
        assert_eq!(answered(http.send(get(&server.here()), &limits())).body(), b"hi", "{plain}");
    }
}

/// The whole request has one time limit, however often a byte comes.
pub fn a_body_that_trickles_times_out_host_068(make: Make) {
    let server = Server::start(|_, stream| {
        say(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let total = Duration::from_millis(600);
    let begun = Instant::now();
    let reply = port(make).send(get(&server.here()), &Limits { total, ..limits() });
    maybe_sent(reply, &[Why::Timeout]);
    assert!(begun.elapsed() >= total && begun.elapsed() < Duration::from_secs(4));
}

/// Half a body is no body, but what came of it is handed on: there may be a token in it.
pub fn a_body_cut_short_is_no_answer_host_062(make: Make) {
    let http = port(make);
    for (half, came) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789", "0123456789"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe", "hello"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello", ""),
        ("HTTP/1.1 200 OK\r\ncontent-len", ""),
    ] {
        let server = Server::saying(half);
        let reply = http.send(post(&server.here(), "x"), &limits());
        let handed = match &reply {
            Reply::Answered(answer) => answer.body().as_slice(),
            _ => b"",
        };
        assert!(handed.starts_with(came.as_bytes()), "{half}: {reply:?}");
        maybe_sent(reply, &[Why::Broken, Why::HeadMalformed]);
    }
}

/// Bytes that come unasked answer nothing, on neither kind of connection.
pub fn a_second_answer_is_dropped_with_its_connection_host_071(make: Make) {
    let http = port(make);
    for reuse in [false, true] {
        let server = Server::raw(|number, mut stream, server| {
            while server.hear(&mut stream) {
                let answer = ok(&format!("true {number}"));
                say(&mut stream, &[answer.as_slice(), &ok("forged")].concat());
            }
        });
        for number in 0..3 {
            // Time for the forgery to be seen before the connection could be used again.
            thread::sleep(Duration::from_millis(50));
            let reply = if reuse {
                exchange(&*http, get(&server.here()), &limits(), &mut |_, _| false)
            } else {
                http.send(get(&server.here()), &limits())
            };
            assert_eq!(answered(reply).body().as_slice(), format!("true {number}").as_bytes());
        }
    }
}

/// The answer is what was read when the caller had enough.
pub fn an_open_event_stream_can_be_left(make: Make) {
    let server = Server::start(|_, stream| {
        say(
            stream,
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
              transfer-encoding: chunked\r\n\r\n",
        );
        say(stream, b"9\r\ndata: 1\n\n\r\n");
        thread::sleep(Duration::from_millis(100));
        say(stream, b"9\r\ndata: 2\n\n\r\n");
        closed(stream);
    });
    let http = port(make);
    let mut events = crate::sse::Decoder::new(1024);
    let begun = Instant::now();
    let answer = answered(exchange(&*http, get(&server.here()), &limits(), &mut |head, piece| {
        assert_eq!(head.headers["content-type"], "text/event-stream");
        events.feed(piece).unwrap().iter().any(|event| event.data == "2")
    }));
    assert_eq!(answer.body().as_slice(), b"data: 1\n\ndata: 2\n\n");
    assert!(begun.elapsed() < Duration::from_secs(3));
    // The stream that was left serves nobody else.
    let reply = exchange(&*http, get(&server.here()), &limits(), &mut |_, piece| !piece.is_empty());
    assert_eq!(answered(reply).body().as_slice(), b"data: 1\n\n");
    assert_eq!(server.connections(), 2);
}

/// The head is there before the body is, and each piece has a time of its own: a stream may last longer
/// than any request.
pub fn a_stream_is_read_as_it_comes(make: Make) {
    let server = Server::start(|_, stream| {
        say(
            stream,
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
              transfer-encoding: chunked\r\n\r\n",
        );
        for _ in 0..4 {
            thread::sleep(Duration::from_millis(400));
            say(stream, b"9\r\ndata: 1\n\n\r\n");
        }
        closed(stream);
    });
    let http = port(make);
    let limits = Limits { total: Duration::from_secs(1), body: usize::MAX, ..limits() };
    let begun = Instant::now();
    let (head, mut body) = http.open(get(&server.here()), &limits).unwrap().into_parts();
    assert!(head.status.is_success() && begun.elapsed() < Duration::from_millis(350));
    let mut read = Vec::new();
    while read.len() < 36 {
        let piece = body.piece(Duration::from_secs(3)).unwrap().unwrap();
        read.extend_from_slice(&piece);
    }
    assert_eq!(read, b"data: 1\n\n".repeat(4));
    assert!(begun.elapsed() > Duration::from_millis(1_500));
    let begun = Instant::now();
    assert_eq!(body.piece(Duration::from_millis(300)), Err(Why::Timeout));
    assert!((300..2_000).contains(&begun.elapsed().as_millis()));
}

/// A body that was read to its end leaves its connection for the next request; a body that was not
/// closes its own.
pub fn a_stream_that_ends_is_told_from_one_that_is_cut(make: Make) {
    // It hangs up in the second answer only: a connection that ends while the next request is on its
    // way brings no answer at all.
    let server = Server::raw(|number, mut stream, server| {
        let mut whole = number == 0;
        while server.hear(&mut stream) {
            say(&mut stream, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n");
            if !core::mem::take(&mut whole) {
                return;
            }
            say(&mut stream, b"0\r\n\r\n");
        }
    });
    let http = port(make);
    for end in [Ok(None), Err(Why::Broken)] {
        let mut body = http.open(get(&server.here()), &limits()).unwrap().into_body();
        let second = Duration::from_secs(3);
        assert_eq!(body.piece(second).unwrap().as_deref(), Some(&b"hi"[..]));
        assert_eq!(body.piece(second), end);
    }
}

/// Statuses without a body are answers like others.
pub fn bodiless_answers_are_answers_host_057(make: Make) {
    let http = port(make);
    for (status, text) in [
        (204, "HTTP/1.1 204 No Content\r\n\r\n"),
        (206, "HTTP/1.1 206 Partial Content\r\ncontent-length: 0\r\n\r\n"),
        (304, "HTTP/1.1 304 Not Modified\r\ncontent-length: 99999999\r\n\r\n"),
        (200, "HTTP/1.0 200 OK\r\n\r\n"),
        (503, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"),
    ] {
        let server = Server::saying(text);
        let reply = http.send(get(&server.here()), &limits());
        let Reply::Answered(answer) = reply else { panic!("{status}: {reply:?}") };
        assert_eq!((answer.status().as_u16(), answer.body().len()), (status, 0));
    }
}
