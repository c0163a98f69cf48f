//! Cases about which address is dialled, if any.

use core::time::Duration;
use std::net::TcpListener;
use std::sync::Arc;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Why};

use super::server::{Server, ok, say};
use super::{Make, Names, answered, exchange, get, limits, not_sent, port, post};
use crate::dial;
use crate::tls::Roots;

fn under(addresses: Addresses) -> Limits {
    Limits { addresses, ..limits() }
}

fn with(make: Make, answers: &[&[&str]]) -> Box<dyn crate::ports::Http> {
    make(Arc::new(Names::new(answers)), Roots::Compiled)
}

/// A refused connection carried nothing.
pub fn a_dead_port_is_certainly_unsent(make: Make) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/token");
    not_sent(&port(make).send(post(&url, "code=x"), &limits()), &[Why::Connect]);
    let url = format!("http://as.example:{}/token", address.port());
    not_sent(&port(make).send(post(&url, "code=x"), &limits()), &[Why::Connect]);
}

/// So did a look-up that failed.
pub fn an_unknown_name_is_certainly_unsent(make: Make) {
    let http = with(make, &[]);
    not_sent(&http.send(get("http://nowhere.example/"), &limits()), &[Why::Resolve]);
}

/// Resolvers never see literals, so they are looked at first.
pub fn literals_are_judged_before_they_are_dialled_host_033(make: Make) {
    let server = Server::saying(ok("inside"));
    let http = port(make);
    let blocked = &[Why::AddressBlocked];
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"] {
        let url = server.url("http", host);
        not_sent(&http.send(get(&url), &under(Addresses::Public)), blocked);
        let reply = exchange(&*http, get(&url), &under(Addresses::Public), &mut |_, _| false);
        not_sent(&reply, blocked);
    }
    not_sent(
        &http.send(get(&server.url("http", "10.0.0.1")), &under(Addresses::Loopback)),
        blocked,
    );
    assert_eq!(server.connections(), 0);
    answered(http.send(get(&server.here()), &under(Addresses::Any)));
}

/// A name is judged by the addresses it leads to.
pub fn a_name_that_leads_inside_is_not_dialled_host_037(make: Make) {
    let server = Server::saying(ok("inside"));
    let url = server.url("http", "rebind.example");
    for found in ["127.0.0.1", "10.0.0.9", "169.254.169.254", "::1", "fe80::1", "0.0.0.0"] {
        let http = with(make, &[&[found]]);
        not_sent(&http.send(get(&url), &under(Addresses::Public)), &[Why::AddressBlocked]);
    }
    assert_eq!(server.connections(), 0);
}

/// Not even where the system's own table says what it is.
pub fn localhost_is_no_public_host_host_036(make: Make) {
    let server = Server::saying(ok("inside"));
    let http = make(Arc::new(dial::System), Roots::Compiled);
    let url = server.url("http", "localhost");
    not_sent(&http.send(get(&url), &under(Addresses::Public)), &[Why::AddressBlocked]);
    assert_eq!(server.connections(), 0);
    answered(http.send(get(&url), &under(Addresses::Loopback)));
}

/// The forbidden one of two is not tried even when the other does not answer.
pub fn only_the_permitted_address_is_dialled_host_038(make: Make) {
    let server = Server::saying(ok("inside"));
    let http = with(make, &[&["93.184.216.34", "127.0.0.1"]]);
    let connect = Duration::from_millis(400);
    let limits = Limits { connect, ..under(Addresses::Public) };
    let reply = http.send(get(&server.url("http", "two.example")), &limits);
    not_sent(&reply, &[Why::Connect, Why::Timeout]);
    assert_eq!(server.connections(), 0);
}

/// The addresses to which a name led before do not matter.
pub fn each_connection_is_judged_anew_host_039(make: Make) {
    let server = Server::saying(ok("hi"));
    let http = with(make, &[&["127.0.0.1"], &["169.254.169.254"]]);
    let url = server.url("http", "rebind.example");
    answered(http.send(get(&url), &under(Addresses::Loopback)));
    not_sent(&http.send(get(&url), &under(Addresses::Loopback)), &[Why::AddressBlocked]);
}

/// A connection made under one rule serves no request under a stricter one.
pub fn one_rule_never_widens_another_host_040(make: Make) {
    let server = Server::raw(|_, mut stream, server| {
        while server.hear(&mut stream) {
            say(&mut stream, &ok("hi"));
        }
    });
    let http = with(make, &[&["127.0.0.1"]]);
    let url = server.url("http", "mcp.example");
    answered(exchange(&*http, get(&url), &under(Addresses::Any), &mut |_, _| false));
    let strict = under(Addresses::Public);
    let blocked = &[Why::AddressBlocked];
    not_sent(&exchange(&*http, get(&url), &strict, &mut |_, _| false), blocked);
    not_sent(&http.send(get(&url), &strict), blocked);
    assert_eq!(server.requests().len(), 1);
}

/// A one-time request never rides on a connection that may have died meanwhile.
pub fn a_call_has_a_connection_of_its_own_host_065(make: Make) {
    let server = Server::raw(|_, mut stream, server| {
        while server.hear(&mut stream) {
            say(&mut stream, &ok("hi"));
        }
    });
    let http = port(make);
    answered(exchange(&*http, get(&server.here()), &limits(), &mut |_, _| false));
    for _ in 0..3 {
        answered(http.send(get(&server.here()), &limits()));
    }
    assert_eq!(server.connections(), 4);
}
