//! Cases about heads, and about what a connection does besides answering.

use core::time::Duration;
use std::time::Instant;

use mcp_authz_core::effect::{Limits, Reply, Why};

use super::server::{Server, closed, ok, say};
use super::{Make, answered, exchange, get, limits, maybe_sent, port, post};

/// One connection after the other serves as many requests as it can: their handshakes are most of
/// what a request costs.
pub fn connections_are_kept_for_the_next_request(make: Make) {
    let server = Server::raw(|_, mut stream, server| {
        while server.hear(&mut stream) {
            say(&mut stream, &ok("hi"));
        }
    });
    let http = port(make);
    for _ in 0..20 {
        let reply = exchange(&*http, post(&server.here(), "x"), &limits(), &mut |_, _| false);
        assert_eq!(answered(reply).body(), b"hi");
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 20));
}

/// A connection that the server has closed meanwhile carries nothing, and another is made.
pub fn a_kept_connection_that_has_died_is_replaced_host_254(make: Make) {
    let server = Server::saying(ok("hi"));
    let http = port(make);
    for _ in 0..3 {
        let reply = exchange(&*http, post(&server.here(), "x"), &limits(), &mut |_, _| false);
        assert_eq!(answered(reply).body(), b"hi");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((server.connections(), server.requests().len()), (3, 3));
}

/// Too many fields, a field too long, and a head too long in all.
pub fn heads_over_the_limit_host_069(make: Make) {
    let http = port(make);
    let long = "x".repeat(1 << 20);
    for fields in [
        "a: b\r\n".repeat(10_000),
        "a: b\r\n".repeat(300),
        "a: b\r\n".repeat(130),
        format!("a: {long}\r\n"),
        format!("a: {}\r\n", &long[..4000]).repeat(20),
    ] {
        let server =
            Server::saying(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nhi"));
        maybe_sent(http.send(get(&server.here()), &limits()), &[Why::HeadTooLarge]);
    }
    let fields = "a: b\r\n".repeat(90);
    let server = Server::saying(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nhi"));
    assert_eq!(answered(http.send(get(&server.here()), &limits())).body(), b"hi");
}

/// A line that is no status line is no answer.
pub fn status_lines_that_are_none_host_058(make: Make) {
    let http = port(make);
    for line in [
        "HTTP/1.1 0200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/3.0 200 OK",
        "HTTP/1.1 abc",
        "HTTP/1.1",
        "",
        "hello",
        "\x16\x03\x01\x02",
    ] {
        let server = Server::saying(format!("{line}\r\ncontent-length: 2\r\n\r\nhi"));
        let reply = http.send(get(&server.here()), &limits());
        maybe_sent(reply, &[Why::HeadMalformed, Why::Broken]);
    }
    let server = Server::saying("HTTP/1.1 999 What\r\ncontent-length: 2\r\n\r\nhi");
    match http.send(get(&server.here()), &limits()) {
        Reply::Answered(answer) => assert_eq!(answer.status().as_u16(), 999),
        reply => maybe_sent(reply, &[Why::HeadMalformed]),
    }
}

/// Lengths that two readers could read differently.
pub fn lengths_that_are_none_host_063(make: Make) {
    let http = port(make);
    for fields in [
        "content-length: 99999999999999999999",
        "content-length: -1",
        "content-length: +2",
        "content-length: 1,2",
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 0x2",
        "content-length:",
    ] {
        let server = Server::saying(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhi"));
        maybe_sent(http.send(get(&server.here()), &limits()), &[Why::HeadMalformed]);
    }
}

/// The answer is the redirect itself; nobody else hears of the request.
pub fn redirects_are_never_followed_host_047_to_host_053(make: Make) {
    let http = port(make);
    let elsewhere = Server::saying(ok("stolen"));
    for status in [301, 302, 303, 307, 308] {
        for location in [elsewhere.here(), "/other".to_owned(), "//evil.example/p".to_owned()] {
            let server = Server::saying(format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            ));
            for request in [get(&server.here()), post(&server.here(), "code=x")] {
                let answer = answered(http.send(request, &limits()));
                assert_eq!(answer.status().as_u16(), status);
                assert_eq!(answer.headers()["location"], location.as_str());
            }
            assert_eq!(server.requests().len(), 2);
        }
    }
    for location in [
        "".to_owned(),
        "location: \r\n".to_owned(),
        "location: /a\r\nlocation: /b\r\n".to_owned(),
        "location: javascript:x\r\n".to_owned(),
        "location: https:\\\\evil.example\r\n".to_owned(),
        format!("location: /{}\r\n", "x".repeat(10 * 1024)),
    ] {
        let server =
            Server::saying(format!("HTTP/1.1 302 Moved\r\n{location}content-length: 0\r\n\r\n"));
        assert_eq!(answered(http.send(get(&server.here()), &limits())).status().as_u16(), 302);
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// A cookie that a server sets is never seen again.
pub fn cookies_are_neither_kept_nor_sent_host_072(make: Make) {
    let http = port(make);
    let server = Server::saying(
        "HTTP/1.1 200 OK\r\nset-cookie: id=1; Path=/\r\ncontent-length: 2\r\n\r\nhi",
    );
    for _ in 0..2 {
        answered(http.send(get(&server.here()), &limits()));
        answered(exchange(&*http, get(&server.here()), &limits(), &mut |_, _| false));
    }
    assert!(!server.requests().concat().to_ascii_lowercase().contains("cookie"));
}

/// Answers before the answer are ignored.
pub fn interim_answers_are_skipped_host_268(make: Make) {
    let server = Server::saying(
        "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
         HTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    );
    assert_eq!(answered(port(make).send(get(&server.here()), &limits())).body(), b"hi");
}

/// Silence after the request is a time-out, and the request may have been acted on.
pub fn nothing_ever_sent_times_out_host_070(make: Make) {
    let server = Server::start(|_, stream| {
        closed(stream);
    });
    let limits = Limits { total: Duration::from_millis(400), ..limits() };
    let begun = Instant::now();
    maybe_sent(port(make).send(post(&server.here(), "x"), &limits), &[Why::Timeout]);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

/// The server may have acted before it closed. Nothing is sent a second time.
pub fn a_connection_closed_after_the_request_host_254(make: Make) {
    let http = port(make);
    let server = Server::start(|_, _| {});
    maybe_sent(http.send(post(&server.here(), "x"), &limits()), &[Why::Broken]);
    assert_eq!(server.connections(), 1);
    // On a connection that was kept, too.
    let server = Server::raw(|_, mut stream, server| {
        server.hear(&mut stream);
        say(&mut stream, &ok("hi"));
        server.hear(&mut stream);
    });
    answered(exchange(&*http, get(&server.here()), &limits(), &mut |_, _| false));
    let reply = exchange(&*http, post(&server.here(), "once"), &limits(), &mut |_, _| false);
    let seen = server.requests().iter().filter(|request| request.ends_with("once")).count();
    match reply {
        Reply::Answered(_) => assert_eq!(server.connections(), 2),
        reply => maybe_sent(reply, &[Why::Broken]),
    }
    assert_eq!(seen, 1);
}
