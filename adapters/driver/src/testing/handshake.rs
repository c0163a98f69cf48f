//! Cases about TLS.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_authz_core::effect::{Limits, Why};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::server::{Server, ok, say};
use super::{Make, Names, answered, exchange, limits, maybe_sent, not_sent, post};
use crate::tls::{Roots, provider};

/// A certificate for a host, from an authority of its own.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) authority: CertificateDer<'static>,
    pub(super) config: Arc<ServerConfig>,
    /// The authority's certificate as companies hand it out.
    pub(super) pem: String,
}

pub(super) fn identity(host: &str, expired: bool) -> Identity {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let pem = pem(authority.der());
    Identity { authority: authority.der().clone(), config: Arc::new(config), pem }
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned());
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

/// Serves over TLS.
pub(super) fn serve(config: Arc<ServerConfig>) -> Server {
    Server::raw(move |_, stream: TcpStream, server| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        if server.hear(&mut stream) {
            say(&mut stream, &ok("secret"));
            stream.conn.send_close_notify();
            let _gone = stream.flush_all();
        }
    })
}

trait FlushAll {
    fn flush_all(&mut self) -> std::io::Result<()>;
}

impl FlushAll for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn flush_all(&mut self) -> std::io::Result<()> {
        while self.conn.wants_write() {
            self.conn.write_tls(&mut self.sock)?;
        }
        Ok(())
    }
}

fn trusting(make: Make, authority: &CertificateDer<'static>) -> Box<dyn crate::ports::Http> {
    let roots = Roots::Only(Arc::new([authority.clone()]));
    make(Arc::new(Names::new(&[&["127.0.0.1"]])), roots)
}

/// The control: an honest certificate of a trusted authority.
pub fn a_trusted_server_is_answered(make: Make) {
    let honest = identity("as.example", false);
    let server = serve(Arc::clone(&honest.config));
    let http = trusting(make, &honest.authority);
    let url = server.url("https", "as.example");
    assert_eq!(answered(http.send(post(&url, "code=x"), &limits())).body(), b"secret");
    let reply = exchange(&*http, post(&url, "code=x"), &limits(), &mut |_, _| false);
    assert_eq!(answered(reply).body(), b"secret");
}

/// Expired, for another host, of an unknown authority: nothing is sent, with or without TLS.
pub fn certificates_that_prove_nothing_host_075_prm_19_sec_12(make: Make) {
    let honest = identity("as.example", false);
    let expired = identity("as.example", true);
    let other = identity("evil.example", false);
    for (shown, trusted) in
        [(&expired, &expired.authority), (&other, &other.authority), (&honest, &other.authority)]
    {
        let server = serve(Arc::clone(&shown.config));
        let http = trusting(make, trusted);
        let url = server.url("https", "as.example");
        not_sent(&http.send(post(&url, "code=x"), &limits()), &[Why::Tls]);
        assert!(server.requests().is_empty());
    }
}

/// A server that knows no modern TLS, one that speaks none, and one that never answers.
pub fn protocols_that_are_too_old_or_none_host_075_sec_12(make: Make) {
    let authority = identity("as.example", false).authority;
    let http = trusting(make, &authority);
    // A fatal alert: protocol version.
    let alert = b"\x15\x03\x01\x00\x02\x02\x46".to_vec();
    for (bytes, expected) in [
        (alert, Why::Tls),
        (ok("plain"), Why::PlainHttp),
        (b"220 mail.example ESMTP\r\n".to_vec(), Why::Tls),
        (Vec::new(), Why::Tls),
    ] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let of_server = Arc::clone(&heard);
        let server = Server::raw(move |_, mut stream, _| {
            let mut hello = [0; 4096];
            let length = stream.read(&mut hello).unwrap();
            of_server.lock().unwrap().extend_from_slice(&hello[..length]);
            say(&mut stream, &bytes);
        });
        let url = server.url("https", "as.example");
        not_sent(&http.send(post(&url, "CODE-CANARY"), &limits()), &[expected]);
        let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
        assert!(!heard.contains("CANARY"));
        assert_eq!(server.connections(), 1);
    }
    let silent = Server::raw(|_, mut stream, _| {
        super::server::closed(&mut stream);
    });
    let connect = Duration::from_millis(400);
    let limits = Limits { connect, ..limits() };
    let url = silent.url("https", "as.example");
    not_sent(&http.send(post(&url, "code=x"), &limits), &[Why::Timeout]);
}

/// A port that speaks plain http: it reads a greeting that it does not understand, and hangs up with
/// or without a word. That something listens there is known by then.
pub fn a_port_that_speaks_plain_http_is_no_dead_one_host_332(make: Make) {
    const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
    let authority = identity("as.example", false).authority;
    let http = trusting(make, &authority);
    for (pieces, read, expected) in [
        (vec![BAD], true, Why::PlainHttp),
        (vec![&BAD[..2], &BAD[2..]], true, Why::PlainHttp),
        (Vec::new(), true, Why::Tls),
        // Bytes that are not read when the socket closes reset the connection.
        (Vec::new(), false, Why::Tls),
    ] {
        let server = Server::raw(move |_, mut stream, _| {
            if read {
                let _hello = stream.read(&mut [0; 4096]);
            } else {
                thread::sleep(Duration::from_millis(50));
            }
            for piece in &pieces {
                say(&mut stream, piece);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let url = server.url("https", "as.example");
        not_sent(&http.send(post(&url, "code=x"), &limits()), &[expected]);
        let reply = exchange(&*http, post(&url, "code=x"), &limits(), &mut |_, _| false);
        not_sent(&reply, &[expected]);
        assert_eq!(server.connections(), 2);
    }
}

/// A connection on which each byte takes its time.
struct Slow(TcpStream);

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        thread::sleep(Duration::from_millis(50));
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// No byte of a body can be read before the whole of its TLS record is there. That has no time of its
/// own either, of a request or of a piece.
pub fn a_record_that_trickles_times_out_host_068(make: Make) {
    let honest = identity("as.example", false);
    let config = Arc::clone(&honest.config);
    let server = Server::raw(move |_, stream: TcpStream, server| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        if server.hear(&mut stream) {
            say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
            let mut slow = rustls::StreamOwned::new(stream.conn, Slow(stream.sock));
            say(&mut slow, &[b'x'; 1000]);
        }
    });
    let http = trusting(make, &honest.authority);
    let url = server.url("https", "as.example");
    let time = Duration::from_millis(600);
    let within = |begun: Instant| begun.elapsed() >= time && begun.elapsed() < 5 * time;
    let begun = Instant::now();
    let reply = http.send(post(&url, "x"), &Limits { total: time, ..limits() });
    maybe_sent(reply, &[Why::Timeout]);
    assert!(within(begun), "{:?}", begun.elapsed());
    let mut body = http.open(post(&url, "x"), &limits()).unwrap().into_body();
    let begun = Instant::now();
    assert_eq!(body.piece(time), Err(Why::Timeout));
    assert!(within(begun), "{:?}", begun.elapsed());
}
