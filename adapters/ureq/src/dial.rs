//! How ureq gets its connections: names are looked up under the address rule or left to a proxy, and
//! whatever fails before there is a connection is marked as certainly unsent.
//!
//! ureq's own proxies and TLS settings are not used. Its proxies are one for a whole agent, and its
//! root certificates are either the usual ones or others; here both are the driver's.

use core::cell::Cell;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::Why;
use mcp_authz_driver::dial::{self, Greeted, Lookup};
use mcp_authz_driver::proxy::{Proxy, Routes, Tunnel};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::http::uri::Scheme;
use ureq::http::{HeaderValue, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, TcpConnector, Transport,
    TransportAdapter,
};

thread_local! {
    /// How long the look-ups of the request under way took. ureq grants them and the connection a
    /// time each, where the limit is one for both; it does all of it on the calling thread.
    static LOOKED_UP: Cell<Duration> = const { Cell::new(Duration::ZERO) };

    /// When what this thread asks of ureq has to be over.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Asks something of ureq that has to be over in this time. ureq's own limits would be one for the
/// whole of an answer, which for a stream has no end, or one for each read, which a trickle never
/// meets.
pub(crate) fn within<T>(time: Duration, ask: impl FnOnce() -> T) -> T {
    LOOKED_UP.set(Duration::ZERO);
    UNTIL.set(Instant::now().checked_add(time));
    let answer = ask();
    UNTIL.set(None);
    answer
}

/// The most addresses that ureq keeps of a look-up.
const MOST_ADDRESSES: usize = 16;

/// The request certainly did not leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsent(pub(crate) Why);

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind().code())
    }
}

impl core::error::Error for Unsent {}

impl From<Unsent> for ureq::Error {
    fn from(unsent: Unsent) -> Self {
        Self::Other(Box::new(unsent))
    }
}

/// Looks names up and lets through what may be dialled. ureq asks for IP literals too.
pub(crate) struct Guarded {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) rule: Addresses,
    pub(crate) routes: Arc<Routes>,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(Unsent(Why::Resolve))?;
        let proxy = self.routes.of(uri);
        let (host, port, rule) = match proxy {
            // Where the proxy is, is the person's own choice; servers are what the rule is about.
            Some(proxy) => (proxy.host().to_owned(), proxy.port(), Addresses::Any),
            None => (host.to_owned(), dial::port(uri), self.rule),
        };
        let lookup = Arc::clone(&self.lookup);
        let (found, result) = mpsc::sync_channel(1);
        // The system's resolver cannot be interrupted; its thread is left behind when time is up.
        thread::Builder::new()
            .name("mcp-authz-lookup".to_owned())
            .spawn(move || found.send(dial::permitted(&*lookup, &host, rule)))
            .map_err(|_| Unsent(Why::Exhausted))?;
        let begun = Instant::now();
        let found = result.recv_timeout(timeout.after.saturating_sub(LOOKED_UP.get()));
        LOOKED_UP.set(LOOKED_UP.get().saturating_add(begun.elapsed()));
        let failed = |why| Unsent(if proxy.is_some() { dial::to_proxy(why) } else { why });
        let addresses = found.map_err(|_| Unsent(Why::Timeout))?.map_err(failed)?;
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            resolved.push(SocketAddr::new(address, port));
        }
        Ok(resolved)
    }
}

/// ureq's own connector to where the connection stands, the proxy's tunnel, and TLS; what they fail
/// with is certainly unsent.
pub(crate) struct Dialer {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) user_agent: HeaderValue,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Connector<()> for Dialer {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let left = details.timeout.after.saturating_sub(LOOKED_UP.get());
        if left.is_zero() {
            return Err(Unsent(Why::Timeout).into());
        }
        let host = details.uri.host().ok_or(Unsent(Why::Resolve))?;
        let proxy = self.routes.of(details.uri);
        let begun = Begun { details, until: Instant::now().checked_add(left) };
        let target = plain(details.uri).ok_or(Unsent(Why::Resolve))?;
        let timeout = begun.timeout()?;
        let connected = TcpConnector::default().connect(
            &ConnectionDetails {
                uri: &target,
                addrs: details.addrs.clone(),
                config: details.config,
                request_level: details.request_level,
                resolver: details.resolver,
                now: (details.current_time)(),
                timeout,
                current_time: Arc::clone(&details.current_time),
                run_connector: Arc::clone(&details.run_connector),
                register_shutdown: Arc::clone(&details.register_shutdown),
            },
            chained,
        );
        let connected = connected.map_err(|error| unconnected(&error, proxy.is_some()))?;
        let Some(stream) = connected else { return Ok(None) };
        let mut stream: Self::Out = Box::new(stream);
        if let Some(proxy) = proxy {
            stream = self.through(proxy, stream, &begun)?;
        }
        if details.needs_tls() {
            stream = self.shake_hands(host, stream, &begun)?;
        }
        Ok(Some(Box::new(Timed(stream))))
    }
}

impl Dialer {
    /// A tunnel of the proxy to the server, also where the server speaks plain http: ureq writes no
    /// other requests.
    fn through(
        &self,
        proxy: &Proxy,
        mut stream: Box<dyn Transport>,
        begun: &Begun<'_>,
    ) -> Result<Box<dyn Transport>, Unsent> {
        if proxy.https() {
            let tls = self.shake_hands(proxy.host(), stream, begun);
            stream = tls.map_err(|Unsent(why)| Unsent(dial::to_proxy(why)))?;
        }
        let uri = begun.details.uri;
        let ask = proxy.ask(uri.host().unwrap_or_default(), dial::port(uri), &self.user_agent);
        let mut stream = begun.adapted(stream)?;
        let broken = |error: io::Error| unconnected(&error.into(), true);
        stream.write_all(&ask).map_err(broken)?;
        let mut tunnel = Tunnel::default();
        let mut piece = [0; 1024];
        loop {
            let length = stream.read(&mut piece).map_err(broken)?;
            if tunnel.see(piece.get(..length).unwrap_or_default()).map_err(Unsent)? {
                // Of TLS with the proxy, ureq must not take it for TLS with the server.
                return Ok(Box::new(Tunnelled(stream.into_inner())));
            }
        }
    }

    /// After the connection stands, nothing that goes wrong is taken for a dead port (HOST-332).
    fn shake_hands(
        &self,
        host: &str,
        stream: Box<dyn Transport>,
        begun: &Begun<'_>,
    ) -> Result<Box<dyn Transport>, Unsent> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| Unsent(Why::Tls))?;
        let connection = ClientConnection::new(Arc::clone(&self.tls), name);
        let mut connection = connection.map_err(|_| Unsent(Why::Tls))?;
        let greeted = Arc::new(Mutex::new(Greeted::default()));
        let watched = Watched { stream, greeted: Arc::clone(&greeted) };
        let mut stream = begun.adapted(Box::new(watched))?;
        connection.complete_io(&mut stream).map_err(|error| {
            let greeted = greeted.lock().unwrap_or_else(PoisonError::into_inner);
            Unsent(unshaken(&error.into(), &greeted))
        })?;
        let config = begun.details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Box::new(Tls { buffers, stream: StreamOwned::new(connection, stream) }))
    }
}

/// A connection that is being made, all of it within one time.
struct Begun<'a> {
    details: &'a ConnectionDetails<'a>,
    until: Option<Instant>,
}

impl Begun<'_> {
    fn timeout(&self) -> Result<NextTimeout, Unsent> {
        let Some(until) = self.until else { return Ok(self.details.timeout) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Unsent(Why::Timeout));
        }
        Ok(NextTimeout { after: left.into(), ..self.details.timeout })
    }

    fn adapted(&self, stream: Box<dyn Transport>) -> Result<TransportAdapter, Unsent> {
        let mut adapted = TransportAdapter::new(stream, Arc::clone(&self.details.current_time));
        adapted.set_timeout(self.timeout()?);
        Ok(adapted)
    }
}

/// The same place without TLS, with its port written out.
fn plain(uri: &Uri) -> Option<Uri> {
    let authority = format!("{}:{}", uri.host()?, dial::port(uri));
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query("/");
    uri.build().ok()
}

/// A connection within TLS.
struct Tls {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let length = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// A tunnel, whatever it leads through.
#[derive(Debug)]
struct Tunnelled(Box<dyn Transport>);

impl Transport for Tunnelled {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        false
    }
}

/// Sees whether the peer begins with plain http.
#[derive(Debug)]
struct Watched {
    stream: Box<dyn Transport>,
    greeted: Arc<Mutex<Greeted>>,
}

impl Transport for Watched {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.stream.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let before = self.stream.buffers().input().len();
        let came = self.stream.await_input(timeout)?;
        let input = self.stream.buffers().input();
        let mut greeted = self.greeted.lock().unwrap_or_else(PoisonError::into_inner);
        greeted.see(input.get(before..).unwrap_or_default());
        drop(greeted);
        Ok(came)
    }

    fn is_open(&mut self) -> bool {
        self.stream.is_open()
    }

    fn is_tls(&self) -> bool {
        false
    }
}

/// A connection that nobody waits for longer than [`within`] allows.
#[derive(Debug)]
struct Timed(Box<dyn Transport>);

impl Timed {
    fn limit(timeout: NextTimeout) -> Result<NextTimeout, ureq::Error> {
        let Some(until) = UNTIL.get() else { return Ok(timeout) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ureq::Error::Timeout(timeout.reason));
        }
        Ok(if left < *timeout.after {
            NextTimeout { after: left.into(), ..timeout }
        } else {
            timeout
        })
    }
}

impl Transport for Timed {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, Self::limit(timeout)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(Self::limit(timeout)?)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}

/// Why there is no connection.
fn unconnected(error: &ureq::Error, to_proxy: bool) -> Unsent {
    let why = match error {
        ureq::Error::Timeout(_) => Why::Timeout,
        ureq::Error::Other(other) => {
            other.downcast_ref::<Unsent>().map_or(Why::Connect, |unsent| unsent.0)
        }
        ureq::Error::HostNotFound => Why::Resolve,
        ureq::Error::Io(error) => dial::unconnected(error),
        _ => Why::Connect,
    };
    Unsent(if to_proxy { dial::to_proxy(why) } else { why })
}

/// Why the connection that stands has no TLS: after it, nothing that goes wrong is taken for a dead
/// port (HOST-332).
fn unshaken(error: &ureq::Error, greeted: &Greeted) -> Why {
    match error {
        ureq::Error::Timeout(_) => Why::Timeout,
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Why::Timeout,
        _ => greeted.why(),
    }
}
