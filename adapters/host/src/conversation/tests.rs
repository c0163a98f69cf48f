use super::*;

fn rule() -> Rule {
    let on = ListenOn { host: LoopbackHost::V4, port: None, path: "/callback".to_owned() };
    Rule::new(&on, 4711, PageText::new())
}

/// The status of the answer, or 0 for a callback, or 1 if more is awaited.
fn status(request: &str) -> u16 {
    bytes_status(request.as_bytes())
}

fn bytes_status(request: &[u8]) -> u16 {
    let rule = rule();
    match Conversation::new(&rule).hear(request) {
        Heard::More => 1,
        Heard::Arrived(_) => 0,
        Heard::Answer(answer) => {
            let text = String::from_utf8(answer).unwrap();
            text.split(' ').nth(1).unwrap().parse().unwrap()
        }
    }
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n{fields}\r\n")
}

#[test]
fn a_browser_coming_back_is_a_callback() {
    assert_eq!(status(&get("/callback?code=x&state=y", "")), 0);
    assert_eq!(status(&get("/callback", "")), 0);
    let fields = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    assert_eq!(status(&get("/callback?code=x", fields)), 0);
}

#[test]
fn a_rebound_name_is_refused_host_185() {
    for host in ["evil.example", "127.0.0.1:4712", "127.0.0.1", "localhost:4711", "[::1]:4711"] {
        let request = format!("GET /callback?code=x HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&request), 421, "{host}");
    }
}

#[test]
fn hosts_and_targets_that_two_readers_could_read_differently_host_186() {
    assert_eq!(status("GET /callback?code=x HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status(&get("/callback", "Host: 127.0.0.1:4711\r\n")), 400);
    assert_eq!(status(&get("http://127.0.0.1:4711/callback?code=x", "")), 400);
}

#[test]
fn only_a_navigation_counts_host_187() {
    for fields in [
        "Sec-Fetch-Mode: no-cors\r\n",
        "Sec-Fetch-Dest: image\r\n",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
        "sec-fetch-mode: cors\r\nsec-fetch-dest: document\r\n",
    ] {
        assert_eq!(status(&get("/callback?code=x&state=y", fields)), 400, "{fields}");
    }
}

#[test]
fn only_a_plain_get_counts_host_330() {
    for fields in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "origin: http://127.0.0.1:4712\r\n",
        "Origin: http://127.0.0.1:4711\r\nOrigin: https://evil.example\r\n",
        "Content-Length: 1\r\n",
        "Content-Length: 0\r\nContent-Length: 7\r\n",
        "Content-Length: +0\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Upgrade: h2c\r\n",
        "Sec-Purpose: prefetch\r\n",
        "sec-purpose: prefetch;prerender\r\n",
        "Purpose: prefetch\r\n",
        "X-Purpose: preview\r\n",
        "X-Moz: prefetch\r\n",
    ] {
        assert_eq!(status(&get("/callback?code=x&state=y", fields)), 400, "{fields}");
    }
    let pipelined = get("/callback?code=x", "") + &get("/callback?code=y", "");
    assert_eq!(status(&pipelined), 400);
    let fields = "Origin: http://127.0.0.1:4711\r\nContent-Length: 0\r\n\
                  Upgrade-Insecure-Requests: 1\r\nConnection: keep-alive\r\n";
    assert_eq!(status(&get("/callback?code=x&state=y", fields)), 0);
}

#[test]
fn other_methods_are_refused_without_cors_host_188() {
    for method in ["POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "get"] {
        let request = format!("{method} /callback?code=x HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n");
        assert_eq!(status(&request), 405, "{method}");
        let rule = rule();
        let Heard::Answer(answer) = Conversation::new(&rule).hear(request.as_bytes()) else {
            panic!("{method} is no callback");
        };
        let text = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert!(!text.contains("access-control"));
    }
}

#[test]
fn other_paths_are_refused_host_189() {
    for path in [
        "/callback/",
        "/CALLBACK",
        "//callback",
        "/x/../callback",
        "/callback%2f",
        "/favicon.ico",
        "/",
        "/callback#x",
    ] {
        assert_eq!(status(&get(path, "")), 404, "{path}");
    }
}

#[test]
fn noise_and_heads_over_the_limit_host_190() {
    assert_eq!(status(&get(&format!("/callback?{}", "x".repeat(9 * 1024)), "")), 400);
    assert_eq!(status(&get("/callback", &format!("A: {}\r\n", "x".repeat(9 * 1024)))), 400);
    assert_eq!(status(&get("/callback", &"A: b\r\n".repeat(100))), 400);
    assert_eq!(bytes_status(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]), 400);
    assert_eq!(bytes_status(&[0xff; 64]), 400);
    assert_eq!(status("GET /callback?code=x HTTP/1.1\nHost: 127.0.0.1:4711\n\n"), 400);
    assert_eq!(status("GET /callback?code=x HTTP/1.1\r\nHost: 127.0.0.1:4711\n\r\n"), 400);
    let rule = rule();
    let mut slow = Conversation::new(&rule);
    let mut heard = 0;
    while matches!(slow.hear(b"x"), Heard::More) {
        heard += 1;
        assert!(heard <= HEAD && slow.held.len() <= HEAD);
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let request = get("/callback?code=x&state=y", "Accept: */*\r\n");
    let rule = rule();
    let mut conversation = Conversation::new(&rule);
    for (at, byte) in request.bytes().enumerate() {
        match conversation.hear(&[byte]) {
            Heard::More => assert!(at + 1 < request.len()),
            Heard::Arrived(_) => assert_eq!(at + 1, request.len()),
            Heard::Answer(_) => panic!("refused at {at}"),
        }
    }
}
