//! Cases about proxies that the program or its environment names, and about the root certificates of
//! a company.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Why};

use super::front::Front;
use super::handshake::{identity, serve};
use super::server::{Server, ok, rerun, say};
use super::{Names, answered, limits, not_sent, post};
use crate::dial::Lookup;
use crate::ports::Http;
use crate::proxy::{Proxies, Proxy};
use crate::tls::Roots;

/// Makes the port under test, with these proxies.
pub type Make = fn(Proxies, Arc<dyn Lookup>, Roots) -> Box<dyn Http>;

/// Its user and password are in the URL, as people write them.
fn one(server: &Server) -> Proxies {
    Proxies::One(named(server))
}

pub(super) fn named(server: &Server) -> Proxy {
    Proxy::new(&format!("http://us%65r:pass@127.0.0.1:{}", server.address.port())).unwrap()
}

/// Where the proxy is, not where the servers are.
fn names() -> Arc<dyn Lookup> {
    Arc::new(Names::new(&[&["127.0.0.1"]]))
}

fn public() -> Limits {
    Limits { addresses: Addresses::Public, ..limits() }
}

/// A proxy that opens a tunnel to this port, whatever it was asked for.
fn tunnel(to: u16) -> Server {
    Server::raw(move |_, mut stream, server| {
        if server.hear(&mut stream) {
            lead(stream, to);
        }
    })
}

/// A company's proxy: it opens tunnels to these fronts, by their names, for whoever says
/// `Basic dXNlcjpwYXNz` (`user:pass`).
#[must_use]
pub fn company(fronts: &[Front]) -> Server {
    let known = fronts.iter().map(|front| {
        let host = front.origin().replace("https://", "");
        (format!("CONNECT {host}:443 HTTP/1.1\r\n"), front.port())
    });
    let known: Vec<_> = known.collect();
    Server::raw(move |_, mut stream, server| {
        let Some(asked) = server.heard(&mut stream) else { return };
        let to = known.iter().find(|(line, _)| asked.starts_with(line.as_str()));
        match to {
            _ if !asked.contains(": Basic dXNlcjpwYXNz\r\n") => {
                say(&mut stream, b"HTTP/1.1 407 No\r\nproxy-authenticate: Basic realm=x\r\n\r\n");
            }
            Some((_, to)) => lead(stream, *to),
            None => say(&mut stream, b"HTTP/1.1 403 No\r\n\r\n"),
        }
    })
}

fn lead(mut stream: TcpStream, to: u16) {
    say(&mut stream, b"HTTP/1.1 200 Connection established\r\n\r\n");
    let there = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let (mut from, mut back) = (stream.try_clone().unwrap(), there.try_clone().unwrap());
    thread::spawn(move || pass(&mut from, &mut back));
    let (mut from, mut back) = (there, stream);
    pass(&mut from, &mut back);
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    let mut piece = [0; 4096];
    loop {
        match from.read(&mut piece) {
            Ok(length) if length > 0 && to.write_all(&piece[..length]).is_ok() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    let _gone = to.shutdown(Shutdown::Write);
}

/// A proxy that answers for the server, whichever way it is asked: for a tunnel, or to read the
/// request itself.
fn speaks_for_the_server(stream: &mut (impl Read + Write), server: &Server, body: &str) {
    let Some(asked) = server.heard(stream) else { return };
    if asked.starts_with("CONNECT") {
        say(stream, b"HTTP/1.1 200 OK\r\n\r\n");
        server.hear(stream);
    }
    say(stream, &ok(body));
}

/// The proxy is asked for a tunnel and sees nothing of what goes through it. The server's own name is
/// the one that its certificate has to show.
pub fn https_goes_through_a_tunnel(make: Make) {
    let honest = identity("as.example", false);
    let server = serve(Arc::clone(&honest.config));
    let proxy = tunnel(server.address.port());
    let roots = || Roots::Only(Arc::new([honest.authority.clone()]));
    let http = make(one(&proxy), names(), roots());
    let url = "https://as.example/token";
    for _ in 0..2 {
        assert_eq!(answered(http.send(post(url, "CODE-CANARY"), &public())).body(), b"secret");
    }
    let seen = proxy.requests();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert!(seen.starts_with("CONNECT as.example:443 HTTP/1.1\r\n"), "{seen}");
        let fields = seen.to_ascii_lowercase();
        assert!(fields.contains("proxy-authorization: basic dxnlcjpwyxnz\r\n"), "{seen}");
        assert!(!seen.contains("CANARY"), "{seen}");
    }
    assert!(server.requests().iter().all(|seen| !seen.to_ascii_lowercase().contains("proxy-")));
    let other = "https://other.example/token";
    not_sent(&http.send(post(other, "code=x"), &public()), &[Why::Tls]);
}

/// The proxy itself is spoken to over TLS, and its certificate has to be trusted.
pub fn a_proxy_within_tls_is_trusted_by_a_companys_root(make: Make) {
    let company = identity("proxy.example", false);
    let config = Arc::clone(&company.config);
    let server = Server::raw(move |_, stream, server| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        speaks_for_the_server(&mut stream, server, "by way of TLS");
    });
    let proxy = || Proxy::new(&format!("https://proxy.example:{}", server.address.port())).unwrap();
    let roots = Roots::default().and_pem(company.pem.as_bytes()).unwrap();
    let http = make(Proxies::One(proxy()), names(), roots);
    let reply = http.send(post("http://as.example/", "x"), &public());
    assert_eq!(answered(reply).body(), b"by way of TLS");
    let strange = make(Proxies::One(proxy()), names(), Roots::default());
    not_sent(&strange.send(post("http://as.example/", "x"), &public()), &[Why::Proxy]);
}

/// Of two authorities one is the usual one here, and the other is added.
pub fn a_companys_root_stands_beside_the_others(make: Make) {
    let [usual, company, other] = [(); 3].map(|()| identity("as.example", false));
    let roots = Roots::Only(Arc::new([usual.authority.clone()]));
    let roots = roots.and_pem(company.pem.as_bytes()).unwrap();
    let http = make(Proxies::Never, names(), roots);
    for (shown, trusted) in [(&usual, true), (&company, true), (&other, false)] {
        let server = serve(Arc::clone(&shown.config));
        let url = server.url("https", "as.example");
        let reply = http.send(post(&url, "x"), &limits());
        if trusted {
            assert_eq!(answered(reply).body(), b"secret");
        } else {
            not_sent(&reply, &[Why::Tls]);
        }
    }
    // Beside Mozilla's and, by the same way, beside nothing that it needs to know.
    let roots = Roots::default().and_pem(company.pem.as_bytes()).unwrap();
    let http = make(Proxies::Never, names(), roots);
    let server = serve(Arc::clone(&company.config));
    let reply = http.send(post(&server.url("https", "as.example"), "x"), &limits());
    assert_eq!(answered(reply).body(), b"secret");
}

/// A proxy that wants a password, with or without words of its own, and one that lets nobody through.
pub fn a_proxy_that_refuses_is_named(make: Make) {
    let wants =
        b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=x\r\n\
                  content-length: 4\r\n\r\nno!\n";
    for (answer, why) in [
        (&wants[..], Why::ProxyPassword),
        (b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n", Why::ProxyPassword),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", Why::Proxy),
        (b"HTTP/1.1 502 No\r\n\r\n", Why::ProxyFailed),
    ] {
        let proxy = Server::saying(answer);
        let http = make(one(&proxy), names(), Roots::Compiled);
        not_sent(&http.send(post("https://as.example/", "code=x"), &limits()), &[why]);
        let by = http.proxy(&"https://as.example/".parse().unwrap());
        assert_eq!(by.as_deref(), Some(&*proxy.address.to_string()));
        if why == Why::ProxyPassword {
            not_sent(&http.send(post("http://as.example/", "code=x"), &limits()), &[why]);
        }
    }
}

/// One that speaks something else, one that hangs up, one that is not there, one without an address.
pub fn a_proxy_that_is_none_or_not_there_is_named(make: Make) {
    for answer in [&b"SSH-2.0-x\r\n\r\n"[..], b""] {
        let proxy = Server::saying(answer);
        let http = make(one(&proxy), names(), Roots::Compiled);
        not_sent(&http.send(post("https://as.example/", "code=x"), &limits()), &[Why::Proxy]);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = Proxy::new(&listener.local_addr().unwrap().to_string()).unwrap();
    drop(listener);
    let http = make(Proxies::One(dead), names(), Roots::Compiled);
    for url in ["https://as.example/", "http://as.example/"] {
        not_sent(&http.send(post(url, "code=x"), &limits()), &[Why::ProxyUnreached]);
    }
    let nowhere = Proxies::One(Proxy::new("http://proxy.example:3128").unwrap());
    let nowhere = make(nowhere, Arc::new(Names::new(&[])), Roots::Compiled);
    not_sent(
        &nowhere.send(post("https://as.example/", "code=x"), &limits()),
        &[Why::ProxyUnreached],
    );
}

/// The proxy looks names up; where a server may send us is still judged by all that its URL says.
pub fn literals_and_special_names_are_judged_before_a_proxy_is_asked_host_033_host_036(make: Make) {
    let proxy = Server::saying(ok("inside"));
    let http = make(one(&proxy), names(), Roots::Compiled);
    for host in [
        "10.0.0.1",
        "169.254.169.254",
        "127.0.0.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "metadata.google.internal",
        "metadata",
        "printer.local",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}/");
            not_sent(&http.send(post(&url, "x"), &public()), &[Why::AddressBlocked]);
        }
    }
    assert_eq!(proxy.connections(), 0);
}

/// As Strict has it.
pub fn a_proxy_that_is_forbidden_is_not_asked(make: Make) {
    let proxy = Server::saying(ok("inside"));
    let http = make(one(&proxy), names(), Roots::Compiled);
    let limits = Limits { proxy: false, ..public() };
    for url in ["http://as.example/", "https://as.example/"] {
        not_sent(&http.send(post(url, "x"), &limits), &[Why::ProxyForbidden]);
    }
    assert_eq!(proxy.connections(), 0);
}

/// Their names are looked up here, and the rule is asked about their addresses.
pub fn hosts_that_are_left_out_are_dialled(make: Make) {
    let (server, proxy) = (Server::saying(ok("direct")), Server::saying(ok("by proxy")));
    let except = Proxies::One(named(&proxy).except("corp.example"));
    let http = make(except, names(), Roots::Compiled);
    let url = server.url("http", "mcp.corp.example");
    assert_eq!(http.proxy(&url.parse().unwrap()), None);
    assert_eq!(answered(http.send(post(&url, "x"), &limits())).body(), b"direct");
    not_sent(&http.send(post(&url, "x"), &public()), &[Why::AddressBlocked]);
    assert_eq!(proxy.connections(), 0);
}

/// However the proxy was named.
pub fn loopback_is_behind_no_proxy(make: Make) {
    let (server, proxy) = (Server::saying(ok("direct")), Server::saying(ok("by proxy")));
    let http = make(one(&proxy), names(), Roots::Compiled);
    for host in ["127.0.0.1", "localhost", "mcp.localhost"] {
        let url = server.url("http", host);
        assert_eq!(answered(http.send(post(&url, "x"), &limits())).body(), b"direct");
    }
    assert_eq!(proxy.connections(), 0);
}

/// Where a run of [`as_the_environment_says`] finds the body that it is to be answered with.
const EXPECTED: &str = "MCP_AUTHZ_EXPECTED_ANSWER";
const SERVER: &str = "MCP_AUTHZ_SERVER";

/// Asks for a URL that the environment names, and for the answer that it names. Without it there is
/// nothing to ask: [`the_environment_names_the_proxy`] runs this again with one.
pub fn as_the_environment_says(make: Make) {
    let (Ok(expected), Ok(url)) = (std::env::var(EXPECTED), std::env::var(SERVER)) else { return };
    let http = make(Proxies::Environment, names(), Roots::Compiled);
    let reply = http.send(post(&url, "x"), &limits());
    assert_eq!(answered(reply).body(), expected.as_bytes());
}

/// `HTTP_PROXY` and `NO_PROXY`, and a CGI program, which believes neither of its callers.
///
/// # Panics
/// If it does not.
pub fn the_environment_names_the_proxy(module: &str) {
    let server = Server::saying(ok("direct"));
    let proxy = Server::raw(|_, mut stream, server| {
        speaks_for_the_server(&mut stream, server, "by proxy");
    });
    let by = format!("http://user:pass@{}", proxy.address);
    let url = server.url("http", "mcp.corp.example");
    let here = server.here();
    for (variables, url, answer) in [
        (&[][..], &url, "direct"),
        (&[("HTTP_PROXY", &*by)], &url, "by proxy"),
        (&[("http_proxy", &by)], &url, "by proxy"),
        (&[("ALL_PROXY", &by)], &url, "by proxy"),
        (&[("HTTPS_PROXY", &by)], &url, "direct"),
        (&[("ALL_PROXY", &by), ("NO_PROXY", "a.example,.corp.example")], &url, "direct"),
        (&[("HTTP_PROXY", &by), ("REQUEST_METHOD", "GET")], &url, "direct"),
        (&[("ALL_PROXY", &by)], &here, "direct"),
    ] {
        let mut variables = variables.to_vec();
        variables.extend([(EXPECTED, answer), (SERVER, url)]);
        rerun(module, "as_the_environment_says", &variables);
    }
    assert_eq!(proxy.connections(), 3);
}
