//! The cases that the callback listener of every adapter has to pass.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use mcp_authz_core::effect::{ListenOn, LoopbackHost, Page, Parties};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Callback;

use super::{BlockOn, Blocking};
use crate::arrivals::{Arrivals, Listening, PageSink};
use crate::ports::{AsyncListener, Listener};

/// Makes the listener under test.
pub type MakeListener = fn() -> Box<dyn Listener>;

impl<A: AsyncListener, B: BlockOn> Listener for Blocking<A, B> {
    fn bind(&self, on: &ListenOn, arrivals: Arrivals) -> io::Result<Listening> {
        self.1.block_on(self.0.bind(on, arrivals))
    }
}

struct Open {
    listening: Listening,
    arrived: Receiver<(Callback, PageSink)>,
}

impl Open {
    fn new(make: MakeListener, host: LoopbackHost) -> Self {
        let on = ListenOn { host, port: None, path: "/callback".to_owned() };
        let (sender, arrived) = channel();
        let arrivals = Arrivals::new(move |callback, page| {
            let _over = sender.send((callback, page));
        });
        Self { listening: make().bind(&on, arrivals).unwrap(), arrived }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.listening.port()))
    }

    fn arrival(&self) -> PageSink {
        self.arrived.recv_timeout(Duration::from_secs(3)).unwrap().1
    }
}

fn parties() -> Parties {
    Parties {
        program: "listening".to_owned(),
        resource: "mcp.example".to_owned(),
        issuer: "as.example".to_owned(),
    }
}

fn knock(address: SocketAddr, target: &str) -> TcpStream {
    say(address, &format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

fn say(address: SocketAddr, words: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    stream
}

/// The status of the answer; zero if the connection ends without one.
fn status(mut stream: TcpStream) -> u16 {
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut text = String::new();
    let _reset = stream.read_to_string(&mut text);
    text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// A person with several programs sees which one has finished, and nothing of the request.
pub fn the_page_names_the_program_and_the_address_nat_10(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    let address = open.address();
    let mut browser = knock(address, "/callback?code=CODE&state=STATE");
    open.arrival().show(Page::Authorized(parties()));
    browser.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut page = String::new();
    browser.read_to_string(&mut page).unwrap();
    assert!(page.contains("<dd>listening</dd>"), "{page}");
    assert!(page.contains(&format!("<dd>{address}</dd>")), "{page}");
    assert!(!page.contains("CODE") && !page.contains("STATE"), "{page}");
}

/// A callback is reported, and its browser gets the page that the session chose.
pub fn a_callback_is_reported_and_answered(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    for (page, expected) in
        [(Page::Refused(Kind::StateMismatch), 400), (Page::Authorized(parties()), 200)]
    {
        let browser = knock(open.address(), "/callback?code=x&state=y");
        open.arrival().show(page);
        assert_eq!(status(browser), expected);
    }
    let browser = knock(open.address(), "/callback?code=x&state=y");
    drop(open.arrival());
    assert_eq!(status(browser), 410);
}

/// The request of a browser that comes back from another site, field by field as Chromium sends it.
pub fn a_browser_that_comes_back_is_a_callback_host_187(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    let address = open.address();
    let browser = say(
        address,
        &format!(
            "GET /callback?code=x&state=y HTTP/1.1\r\nHost: {address}\r\n\
             Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n\
             User-Agent: Mozilla/5.0\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\
             Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\n\
             Sec-Fetch-Dest: document\r\nReferer: https://as.example/\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\r\n"
        ),
    );
    open.arrival().show(Page::Authorized(parties()));
    assert_eq!(status(browser), 200);
    // It looks for an icon as well, which is there neither before nor after.
    assert_eq!(status(knock(address, "/favicon.ico")), 404);
}

/// Everything else is answered by the listener itself and ends nothing.
pub fn what_is_no_callback_ends_nothing_host_189_host_330(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    assert_eq!(status(knock(open.address(), "/favicon.ico")), 404);
    let long = format!("/callback?{}", "x".repeat(9 * 1024));
    assert_eq!(status(knock(open.address(), &long)), 400);
    let host = open.address();
    for (method, host, field, expected) in [
        ("POST", host.to_string(), "", 405),
        ("OPTIONS", host.to_string(), "", 405),
        ("GET", "evil.example".to_owned(), "", 421),
        ("GET", host.to_string(), "Sec-Fetch-Dest: image\r\n", 400),
        ("GET", host.to_string(), "Origin: https://evil.example\r\n", 400),
        ("GET", host.to_string(), "Content-Length: 5\r\n", 400),
        ("GET", host.to_string(), "Connection: upgrade\r\nUpgrade: websocket\r\n", 400),
        ("GET", host.to_string(), "Sec-Purpose: prefetch\r\n", 400),
    ] {
        let words = format!("{method} /callback?code=x HTTP/1.1\r\nHost: {host}\r\n{field}\r\n");
        assert_eq!(status(say(open.address(), &words)), expected, "{words}");
    }
    drop(TcpStream::connect(open.address()).unwrap());
    assert!(open.arrived.try_recv().is_err());
    let browser = knock(open.address(), "/callback?code=x&state=y");
    open.arrival().show(Page::Authorized(parties()));
    assert_eq!(status(browser), 200);
}

/// A port of one's own choice is the one that is bound. If it is taken that is said, and nothing
/// listens elsewhere instead.
pub fn a_chosen_port_is_that_port_or_none_host_197(make: MakeListener) {
    let on = |host, port| ListenOn { host, port: Some(port), path: "/callback".to_owned() };
    let bind = |on| make().bind(&on, Arrivals::new(|_, _| {}));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for host in [LoopbackHost::V4, LoopbackHost::Localhost] {
        let refused = bind(on(host, port)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "{host:?}");
    }
    drop(taken);
    for host in [LoopbackHost::V4, LoopbackHost::Localhost] {
        let begun = Instant::now();
        // The one before may take a moment to be gone.
        let listening = loop {
            match bind(on(host, port)) {
                Ok(listening) => break listening,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(2), "{error}"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(listening.port(), port);
    }
}

/// A browser may prefer either address of `localhost`.
pub fn localhost_is_served_on_every_address_there_is_nat_12(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::Localhost);
    let port = open.listening.port();
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for address in ["127.0.0.1", "[::1]"].iter().take(1 + usize::from(has_v6)) {
        let mut browser = TcpStream::connect(format!("{address}:{port}")).unwrap();
        write!(browser, "GET /callback HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").unwrap();
        open.arrival().show(Page::Denied(parties()));
        assert_eq!(status(browser), 200);
    }
}

/// The port is closed when the login is over; who has arrived by then is still answered.
pub fn the_port_closes_at_once_host_195(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    let address = open.address();
    let silent = TcpStream::connect(address).unwrap();
    let browser = knock(address, "/callback?code=x&state=y");
    let sink = open.arrival();
    let begun = Instant::now();
    drop(open.listening);
    while TcpStream::connect(address).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(1), "the port stays open");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(status(silent), 0);
    assert!(begun.elapsed() < Duration::from_secs(2));
    sink.show(Page::Authorized(parties()));
    assert_eq!(status(browser), 200);
}

/// Two hundred connections that trickle keep nobody waiting.
pub fn slow_connections_keep_no_browser_waiting_host_191(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    let mut slow: Vec<_> = (0..200).map(|_| TcpStream::connect(open.address()).unwrap()).collect();
    for stream in &mut slow {
        let _pushed_out = stream.write_all(b"G");
    }
    let begun = Instant::now();
    let browser = knock(open.address(), "/callback?code=x&state=y");
    open.arrival().show(Page::Authorized(parties()));
    assert_eq!(status(browser), 200);
    assert!(begun.elapsed() < Duration::from_secs(1));
    let held = slow.iter_mut().map(|stream| usize::from(!gone(stream))).sum::<usize>();
    assert!(held <= 16, "{held} are held");
}

fn gone(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => {
            !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        }
    }
}

/// A connection that says nothing is not held for ever, nor is one that never finishes, nor one that
/// never takes its answer.
pub fn silence_is_ended_host_190_to_host_192(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    let mut silent = TcpStream::connect(open.address()).unwrap();
    let mut trickling = TcpStream::connect(open.address()).unwrap();
    let mut deaf = knock(open.address(), "/favicon.ico");
    let begun = Instant::now();
    let mut held = true;
    while held {
        assert!(begun.elapsed() < Duration::from_secs(8));
        let _gone = trickling.write_all(b"G");
        // It has the answer by now and says so to nobody; only a write shows that it was let go.
        let heard = deaf.write_all(b"x").is_ok();
        held = heard | !gone(&mut silent) | !gone(&mut trickling);
    }
    assert!(begun.elapsed() > Duration::from_secs(3));
}

/// A flood of wrong callbacks costs the right one nothing.
pub fn a_flood_of_wrong_callbacks_host_193(make: MakeListener) {
    let open = Open::new(make, LoopbackHost::V4);
    let address = open.address();
    let flood = thread::spawn(move || {
        (0..300).filter(|_| status(knock(address, "/callback?state=wrong")) == 400).count()
    });
    let mut right = None;
    let mut refused = 0;
    while refused < 300 {
        let (_, sink) = open.arrived.recv_timeout(Duration::from_secs(5)).unwrap();
        sink.show(Page::Refused(Kind::StateMismatch));
        refused += 1;
        if refused == 150 {
            let browser = knock(address, "/callback?state=right");
            right = Some(thread::spawn(move || status(browser)));
        }
    }
    // One of the sinks above was the right one's, or it is the last.
    if let Ok((_, sink)) = open.arrived.recv_timeout(Duration::from_secs(5)) {
        sink.show(Page::Refused(Kind::StateMismatch));
    }
    assert_eq!(right.unwrap().join().unwrap(), 400);
    assert_eq!(flood.join().unwrap(), 300);
}

/// Connections that bring a whole callback each, stay after their answer and come again when they are
/// let go keep no browser out, however many they are.
pub fn who_stays_after_the_answer_keeps_no_browser_out_host_321(make: MakeListener) {
    for many in [16, 48] {
        let open = Open::new(make, LoopbackHost::V4);
        let address = open.address();
        let Open { listening, arrived } = open;
        let over = Arc::new(AtomicBool::new(false));
        let staying: Vec<_> = (0..many).map(|_| stay(address, Arc::clone(&over))).collect();
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            let answered = &answered;
            let answering = scope.spawn(move || {
                while let Ok((_, sink)) = arrived.recv_timeout(Duration::from_secs(2)) {
                    sink.show(Page::Authorized(parties()));
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
            while answered.load(Ordering::SeqCst) < 16 && !answering.is_finished() {
                thread::sleep(Duration::from_millis(1));
            }
            for _ in 0..20 {
                let begun = Instant::now();
                let status = status(knock(address, "/callback?state=right"));
                let took = begun.elapsed();
                over.store(status != 200, Ordering::SeqCst);
                assert_eq!(status, 200, "among {many}");
                assert!(took < Duration::from_secs(1), "{took:?} among {many}");
            }
            over.store(true, Ordering::SeqCst);
        });
        drop(listening);
        staying.into_iter().for_each(|staying| staying.join().unwrap());
    }
}

/// Brings a wrong callback and stays; comes again when it is let go, until it is over.
fn stay(address: SocketAddr, over: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !over.load(Ordering::SeqCst) {
            let Ok(mut stream) = TcpStream::connect(address) else { return };
            let words = format!("GET /callback?state=wrong HTTP/1.1\r\nHost: {address}\r\n\r\n");
            let _pushed_out = stream.write_all(words.as_bytes());
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            let _answered = stream.read_to_end(&mut Vec::new());
            // The answer has ended the other side's writing, and only a write shows that it is gone.
            while !over.load(Ordering::SeqCst) && stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(2));
            }
        }
    })
}

/// The tests of the callback listener. The argument is a
/// [`MakeListener`](crate::testing::listening::MakeListener).
#[macro_export]
macro_rules! listener_contract {
    ($make:expr) => {
        $crate::listener_contract! { @cases $make;
            a_callback_is_reported_and_answered,
            the_page_names_the_program_and_the_address_nat_10,
            a_browser_that_comes_back_is_a_callback_host_187,
            what_is_no_callback_ends_nothing_host_189_host_330,
            a_chosen_port_is_that_port_or_none_host_197,
            localhost_is_served_on_every_address_there_is_nat_12,
            the_port_closes_at_once_host_195,
            slow_connections_keep_no_browser_waiting_host_191,
            silence_is_ended_host_190_to_host_192,
            a_flood_of_wrong_callbacks_host_193,
            who_stays_after_the_answer_keeps_no_browser_out_host_321,
        }
    };
    (@cases $make:expr; $($case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                $crate::testing::listening::$case($make);
            }
        )*
    };
}
