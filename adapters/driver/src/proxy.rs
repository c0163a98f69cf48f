//! The proxies that requests go through: which one for which URL, and what is judged before it is
//! asked (SEC-05, SEC-07).
//!
//! A proxy looks names up itself, so the rule about addresses can only be asked about what the URL
//! says: literal addresses, and names that mean this machine or its network. Loopback is never behind
//! a proxy. All of it is decided once, for every runtime.

mod bypass;
mod environment;
mod tunnel;

use core::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use mcp_authz_core::effect::{Limits, Why};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_core::secret::Secret;
use url::Url;
use zeroize::Zeroizing;

use crate::client::BuildError;
use crate::{dial, exchange};

use bypass::Bypass;
pub use tunnel::Tunnel;

/// An HTTP proxy, reached over plain http or TLS. Its password is shown nowhere.
#[derive(Clone)]
pub struct Proxy {
    https: bool,
    host: String,
    port: u16,
    /// Host and port.
    name: Arc<str>,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Secret>,
    except: Bypass,
}

impl Proxy {
    /// Reads `http://user:password@host:port`, or the same with https. User and password may be
    /// missing, and so may the scheme. Characters that mean something in a URL are escaped (`%40` for
    /// `@`), or given to [`Proxy::credentials`] as they are.
    ///
    /// ```
    /// use mcp_authz_driver::proxy::Proxy;
    ///
    /// let proxy = Proxy::new("http://user:p%40ss@proxy.corp.example:3128")?;
    /// let proxy = proxy.except("10.0.0.0/8, .lab.example");
    /// assert_eq!(proxy.to_string(), "http://proxy.corp.example:3128");
    /// # Ok::<(), mcp_authz_driver::proxy::ProxyUnusable>(())
    /// ```
    ///
    /// # Errors
    /// [`ProxyUnusable`]: name the URL of an http or https proxy.
    pub fn new(url: &str) -> Result<Self, ProxyUnusable> {
        let whole = Zeroizing::new(if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        });
        let url = Url::parse(&whole).map_err(|_| ProxyUnusable)?;
        // A password with a slash would be a path, with its beginning in place of the host.
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyUnusable);
        }
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(ProxyUnusable),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ProxyUnusable)?.to_owned();
        let port = url.port_or_known_default().ok_or(ProxyUnusable)?;
        let proxy = Self {
            https,
            name: format!("{host}:{port}").into(),
            host,
            port,
            authorization: None,
            except: Bypass::default(),
        };
        let password = url.password();
        if url.username().is_empty() && password.is_none() {
            return Ok(proxy);
        }
        let user = decoded(url.username());
        Ok(proxy.known_as(&user, &decoded(password.unwrap_or_default())))
    }

    /// The user name and the password that the proxy wants, in place of those in its URL.
    #[must_use]
    pub fn credentials(self, user: &str, password: &Secret) -> Self {
        self.known_as(user.as_bytes(), password.expose().as_bytes())
    }

    fn known_as(mut self, user: &[u8], password: &[u8]) -> Self {
        let pair = Zeroizing::new([user, b":", password].concat());
        let basic = Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(&*pair))));
        self.authorization = Some(Secret::new(basic.as_str()));
        self
    }

    /// The hosts that are reached without the proxy, written as in `NO_PROXY`: names, which stand for
    /// everything below them too, addresses, networks as in `10.0.0.0/8`, or `*`, with commas between
    /// them. Each may end with a port.
    #[must_use]
    pub fn except(mut self, hosts: &str) -> Self {
        self.except = Bypass::read(hosts);
        self
    }

    /// Its host and port, as errors and notes name it.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// True if it is spoken to over TLS.
    #[must_use]
    pub const fn https(&self) -> bool {
        self.https
    }

    /// Its host, as the URL writes it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Proxy-Authorization`, marked sensitive: wiped when its last clone and the proxy
    /// are dropped.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        struct Sent(Secret);
        impl AsRef<[u8]> for Sent {
            fn as_ref(&self) -> &[u8] {
                self.0.expose().as_bytes()
            }
        }
        let text = Bytes::from_owner(Sent(self.authorization.clone()?));
        let mut value = HeaderValue::from_maybe_shared(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Undoes the escapes of a user name or a password.
fn decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digit =
            |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        if let (b'%', [high, low, after @ ..]) = (first, more)
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(*first);
            rest = more;
        }
    }
    out
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.name)
    }
}

/// Shows what `Display` shows: neither the password nor the user.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// A text is no URL of an http or https proxy. The text is not repeated, since it may hold a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProxyUnusable;

impl fmt::Display for ProxyUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this is no URL of an http or https proxy, or it has more than user, password, host and \
             port: write http://HOST:PORT",
        )
    }
}

/// As `Display`: a `main` that returns it shows this.
impl fmt::Debug for ProxyUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for ProxyUnusable {}

crate::diagnosed!(ProxyUnusable, this => Arc::new(
    Failure::new(Kind::ConfigInvalid, "SEC-07").with_hint(&this.to_string()),
));

/// The choice of proxies for a client.
#[derive(Clone, Debug, Default)]
pub enum Proxies {
    /// Those of the environment: `https_proxy` for https URLs, `http_proxy` for http URLs,
    /// `all_proxy` for both, and `no_proxy` for the hosts that are reached without them; the same in
    /// upper case. `HTTP_PROXY` is ignored where `REQUEST_METHOD` is set: in a CGI program it is the
    /// header `Proxy` of whoever sent the request. The environment is read once, when the client is
    /// built.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Never,
    /// This one for everything; nothing of the environment counts, `NO_PROXY` included.
    One(Proxy),
}

impl Proxies {
    /// The proxy for each URL.
    ///
    /// # Errors
    /// [`BuildError::ProxyVariable`] names the variable of the environment that names no proxy that
    /// could be used. To go on without one would send past a proxy what somebody wanted to go through
    /// it.
    pub fn routes(self) -> Result<Routes, BuildError> {
        match self {
            Self::Environment => environment::routes(std::env::var_os),
            Self::Never => Ok(Routes::default()),
            Self::One(proxy) => Ok(Routes { http: Some(proxy.clone()), https: Some(proxy) }),
        }
    }
}

/// The proxy for each URL.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    http: Option<Proxy>,
    https: Option<Proxy>,
}

impl Routes {
    /// The proxy that a request to this URL goes through; `None` if it goes through none.
    #[must_use]
    pub fn of(&self, uri: &Uri) -> Option<&Proxy> {
        self.judge(uri, &exchange::limits()).ok().flatten()
    }

    /// The same after everything was judged that can be judged by the text of the URL.
    ///
    /// # Errors
    /// [`Why::AddressBlocked`] for a literal, or for a special name that the proxy would look up;
    /// [`Why::ProxyForbidden`] if the limits allow no proxy; nothing is to be sent then.
    pub fn judge(&self, uri: &Uri, limits: &Limits) -> Result<Option<&Proxy>, Why> {
        dial::check_literal(uri, limits.addresses)?;
        let host = uri.host().ok_or(Why::Resolve)?;
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let proxy = if plain { &self.http } else { &self.https };
        let proxy = proxy.as_ref().filter(|proxy| !proxy.except.lists(host, dial::port(uri)));
        match proxy {
            Some(proxy) => Ok(limits.leave_to_proxy(host)?.then_some(proxy)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
