//! TLS in front of a server that does not speak it.

use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::CertificateDer;

use super::handshake::{Identity, identity};

/// How long one side is listened to before it is the other's turn.
const TURN: Duration = Duration::from_millis(2);

/// A port on loopback that speaks TLS as `localhost`, or as a host that a proxy leads to.
#[derive(Debug)]
pub struct Front {
    listener: TcpListener,
    identity: Identity,
    origin: String,
}

impl Front {
    /// Binds a port, with a certificate of an authority of its own.
    #[must_use]
    pub fn bind() -> Self {
        let mut front = Self::of("localhost");
        front.origin = format!("https://localhost:{}", front.port());
        front
    }

    /// The same for a host that is reached through a proxy alone, on the port of https.
    #[must_use]
    pub fn of(host: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { listener, identity: identity(host, false), origin: format!("https://{host}") }
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        self.origin.clone()
    }

    /// The port that it is bound to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The certificate authority that vouches for it, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.identity.pem
    }

    /// The certificate authority that vouches for it.
    #[must_use]
    pub fn authority(&self) -> CertificateDer<'static> {
        self.identity.authority.clone()
    }

    /// Hands everything on to a server, for as long as the process lives.
    pub fn lead_to(self, server: SocketAddr) {
        thread::spawn(move || {
            for client in self.listener.incoming() {
                let config = Arc::clone(&self.identity.config);
                thread::spawn(move || {
                    let tls = rustls::ServerConnection::new(config).unwrap();
                    let client = rustls::StreamOwned::new(tls, client.unwrap());
                    let _one_of_them_is_gone = between(client, TcpStream::connect(server).unwrap());
                });
            }
        });
    }
}

/// Moves bytes both ways until one side ends.
fn between(
    mut client: rustls::StreamOwned<rustls::ServerConnection, TcpStream>,
    mut server: TcpStream,
) -> std::io::Result<()> {
    client.sock.set_read_timeout(Some(TURN))?;
    server.set_read_timeout(Some(TURN))?;
    let mut piece = [0; 16 * 1024];
    loop {
        match client.read(&mut piece) {
            Ok(0) => return server.shutdown(Shutdown::Both),
            Ok(length) => server.write_all(&piece[..length])?,
            Err(error) if quiet(&error) => {}
            Err(error) => return Err(error),
        }
        match server.read(&mut piece) {
            Ok(0) => {
                client.conn.send_close_notify();
                client.flush()?;
                return client.sock.shutdown(Shutdown::Both);
            }
            Ok(length) => {
                client.write_all(&piece[..length])?;
                client.flush()?;
            }
            Err(error) if quiet(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn quiet(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
