//! Cases about a proxy that the program names.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Why};

use super::handshake::{identity, serve};
use super::server::{Server, ok, say};
use super::{Names, answered, limits, not_sent, post};
use crate::dial::Lookup;
use crate::ports::Http;
use crate::tls::Roots;

/// Makes the port under test, with this proxy.
pub type Make = fn(&str, Arc<dyn Lookup>, Roots) -> Box<dyn Http>;

fn named(server: &Server) -> String {
    format!("http://us%65r:pass@127.0.0.1:{}", server.address.port())
}

/// Where the proxy is, not where the servers are.
fn names() -> Arc<dyn Lookup> {
    Arc::new(Names::new(&[&["127.0.0.1"]]))
}

/// A proxy that opens a tunnel to this port, whatever it was asked for.
fn tunnel(to: u16) -> Server {
    Server::raw(move |_, mut stream, server| {
        if !server.hear(&mut stream) {
            return;
        }
        say(&mut stream, b"HTTP/1.1 200 Connection established\r\n\r\n");
        let there = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let (mut from, mut back) = (stream.try_clone().unwrap(), there.try_clone().unwrap());
        thread::spawn(move || pass(&mut from, &mut back));
        let (mut from, mut back) = (there, stream);
        pass(&mut from, &mut back);
    })
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

/// The proxy is asked for a tunnel and sees nothing of what goes through it. The server's own name is
/// the one that its certificate has to show.
pub fn https_goes_through_a_tunnel(make: Make) {
    let honest = identity("as.example", false);
    let server = serve(Arc::clone(&honest.config));
    let proxy = tunnel(server.address.port());
    let roots = || Roots::Only(Arc::new([honest.authority.clone()]));
    let http = make(&named(&proxy), names(), roots());
    let url = "https://as.example/token";
    let public = Limits { addresses: Addresses::Public, ..limits() };
    for _ in 0..2 {
        assert_eq!(answered(http.send(post(url, "CODE-CANARY"), &public)).body(), b"secret");
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
    not_sent(&http.send(post(other, "code=x"), &public), &[Why::Tls]);
}

/// A proxy that refuses, one that is none, one that is not there.
pub fn a_proxy_that_refuses_is_named(make: Make) {
    let refuses = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    for answer in [&refuses[..], b"HTTP/1.1 502 No\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b""] {
        let proxy = Server::saying(answer);
        let http = make(&named(&proxy), names(), Roots::Compiled);
        not_sent(&http.send(post("https://as.example/", "code=x"), &limits()), &[Why::Proxy]);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let http = make(&dead, names(), Roots::Compiled);
    for url in ["https://as.example/", "http://as.example/"] {
        not_sent(&http.send(post(url, "code=x"), &limits()), &[Why::Proxy]);
    }
    let nowhere = make("http://proxy.example:3128", Arc::new(Names::new(&[])), Roots::Compiled);
    not_sent(&nowhere.send(post("https://as.example/", "code=x"), &limits()), &[Why::Proxy]);
}

/// The proxy looks names up; addresses are still not what a server may choose.
pub fn literals_are_judged_before_a_proxy_is_asked_host_033(make: Make) {
    let proxy = Server::saying(ok("inside"));
    let http = make(&named(&proxy), names(), Roots::Compiled);
    let public = Limits { addresses: Addresses::Public, ..limits() };
    for url in ["http://127.0.0.1/", "https://10.0.0.1/", "http://[::1]/"] {
        not_sent(&http.send(post(url, "x"), &public), &[Why::AddressBlocked]);
    }
    assert_eq!(proxy.connections(), 0);
}
