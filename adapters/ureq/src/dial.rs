//! How ureq gets its connections: names are looked up under the address rule, and whatever fails
//! before there is a connection is marked as certainly unsent.

use core::cell::Cell;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::Why;
use mcp_authz_driver::dial::{self, Greeted, Lookup};
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, RustlsConnector,
    Transport,
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
    /// The proxy is the person's own choice, wherever it is; servers are what the rule is about.
    pub(crate) proxy: Option<(String, u16)>,
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
        let host = uri.host().ok_or(Unsent(Why::Resolve))?.to_owned();
        let port = dial::port(uri);
        let is_proxy = self.proxy.as_ref().is_some_and(|proxy| *proxy == (host.clone(), port));
        let rule = if is_proxy { Addresses::Any } else { self.rule };
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
        let addresses = found.map_err(|_| Unsent(Why::Timeout))?.map_err(Unsent)?;
        let mut resolved = self.empty();
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            resolved.push(SocketAddr::new(address, port));
        }
        Ok(resolved)
    }
}

/// ureq's own connectors, first to where the connection stands and then for TLS; what they fail with
/// is certainly unsent.
#[derive(Debug, Default)]
pub(crate) struct Dialer {
    stream: DefaultConnector,
    tls: RustlsConnector,
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
        let (uri, tls) = (details.uri, details.needs_tls());
        let target = plain(details.uri).ok_or(Unsent(Why::Resolve))?;
        let mut details = ConnectionDetails {
            uri: &target,
            addrs: details.addrs.clone(),
            config: details.config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: (details.current_time)(),
            timeout: NextTimeout { after: left.into(), ..details.timeout },
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let by_proxy = details.config.proxy().is_some();
        let connected = self.stream.connect(&details, chained);
        let connected =
            connected.map_err(|error| ureq::Error::from(Unsent(why(&error, by_proxy))))?;
        let Some(stream) = connected else { return Ok(None) };
        if !tls {
            return Ok(Some(Box::new(Timed(stream))));
        }
        let greeted = Arc::new(Mutex::new(Greeted::default()));
        let watched = Watched { stream, greeted: Arc::clone(&greeted) };
        let watched: Box<dyn Transport> = Box::new(watched);
        details.uri = uri;
        let connected = self.tls.connect(&details, Some(watched)).map_err(|error| {
            let greeted = greeted.lock().unwrap_or_else(PoisonError::into_inner);
            ureq::Error::from(Unsent(unshaken(&error, &greeted)))
        })?;
        Ok(connected.map(|transport| -> Self::Out { Box::new(Timed(Box::new(transport))) }))
    }
}

/// The same place without TLS, with its port written out.
fn plain(uri: &Uri) -> Option<Uri> {
    let authority = format!("{}:{}", uri.host()?, dial::port(uri));
    let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query("/");
    uri.build().ok()
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
fn why(error: &ureq::Error, by_proxy: bool) -> Why {
    match error {
        ureq::Error::Timeout(_) => Why::Timeout,
        ureq::Error::Io(error) if dial::exhausted(error) => Why::Exhausted,
        _ if by_proxy => Why::Proxy,
        ureq::Error::Other(other) => {
            other.downcast_ref::<Unsent>().map_or(Why::Connect, |unsent| unsent.0)
        }
        ureq::Error::HostNotFound => Why::Resolve,
        ureq::Error::Io(error) => dial::unconnected(error),
        _ => Why::Connect,
    }
}

/// Why the connection that stands has no TLS: after it, nothing that goes wrong is taken for a dead
/// port (HOST-332).
fn unshaken(error: &ureq::Error, greeted: &Greeted) -> Why {
    match error {
        ureq::Error::Timeout(_) => Why::Timeout,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Why::Timeout,
        _ => greeted.why(),
    }
}
