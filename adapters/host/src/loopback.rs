//! Binding the loopback addresses that a redirect URI's host means, and no others (NAT-08, NAT-12).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io::{self, ErrorKind};
use std::net::TcpListener;

use mcp_authz_core::effect::{ListenOn, LoopbackHost};

/// How often another free port is tried when the first is taken on the other address family.
const TRIES: usize = 8;

pub(crate) struct Bound {
    pub(crate) port: u16,
    pub(crate) listeners: Vec<TcpListener>,
}

pub(crate) fn bind(on: &ListenOn) -> io::Result<Bound> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    match on.host {
        LoopbackHost::V4 => one(v4, on.port.unwrap_or(0)),
        LoopbackHost::V6 => one(v6, on.port.unwrap_or(0)),
        LoopbackHost::Localhost => {
            let tries = if on.port.is_some() { 1 } else { TRIES };
            let mut last = Err(ErrorKind::AddrInUse.into());
            for _ in 0..tries {
                last = both(v4, v6, on.port.unwrap_or(0));
                match &last {
                    Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                    _ => break,
                }
            }
            last
        }
    }
}

fn one(address: IpAddr, port: u16) -> io::Result<Bound> {
    let listener = TcpListener::bind(SocketAddr::new(address, port))?;
    Ok(Bound { port: listener.local_addr()?.port(), listeners: vec![listener] })
}

/// One port on both addresses. A machine may lack one of them; but a port that somebody else holds
/// on one would hand that process the code of a browser that prefers it.
fn both(v4: IpAddr, v6: IpAddr, port: u16) -> io::Result<Bound> {
    let mut bound = match one(v4, port) {
        Ok(bound) => bound,
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
        Err(_) => return one(v6, port),
    };
    match one(v6, bound.port) {
        Ok(second) => bound.listeners.extend(second.listeners),
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
        Err(_) => {}
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(host: LoopbackHost, port: Option<u16>) -> ListenOn {
        ListenOn { host, port, path: "/callback".to_owned() }
    }

    #[test]
    fn only_loopback_is_bound_host_196() {
        for host in [LoopbackHost::V4, LoopbackHost::Localhost] {
            let bound = bind(&on(host, None)).unwrap();
            for listener in &bound.listeners {
                let address = listener.local_addr().unwrap();
                assert!(address.ip().is_loopback());
                assert_eq!(address.port(), bound.port);
            }
        }
    }

    #[test]
    fn a_taken_port_fails_on_either_address_host_197() {
        let taken = bind(&on(LoopbackHost::V4, None)).unwrap();
        assert!(bind(&on(LoopbackHost::V4, Some(taken.port))).is_err());
        assert!(bind(&on(LoopbackHost::Localhost, Some(taken.port))).is_err());
        if let Ok(taken) = bind(&on(LoopbackHost::V6, None)) {
            assert!(bind(&on(LoopbackHost::Localhost, Some(taken.port))).is_err());
        }
    }
}
