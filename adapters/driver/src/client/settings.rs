//! The settings of the clients of all adapters, and the reasons why a client could not be set up.

use core::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;
use mcp_authz_core::failure::{Failure, Kind};

use crate::dial::{self, Lookup};
use crate::proxy::Proxies;
use crate::tls::{Roots, RootsUnusable};

/// The settings from which an adapter makes its ports.
#[derive(Clone)]
pub struct Settings {
    /// How names are looked up.
    pub lookup: Arc<dyn Lookup>,
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// Certificate authorities that are trusted beside those.
    pub added_roots: Vec<AddedRoots>,
    /// The `User-Agent` of every request that names none.
    pub user_agent: String,
    /// The proxies that requests go through.
    pub proxies: Proxies,
}

/// Root certificates that are trusted beside the others, in PEM.
#[derive(Clone)]
pub enum AddedRoots {
    /// The text itself.
    Pem(Vec<u8>),
    /// A file, which is read when the client is built.
    File(PathBuf),
}

impl Settings {
    /// All roots that are trusted.
    ///
    /// # Errors
    /// [`BuildError::Roots`] or [`BuildError::RootsFile`]: there is no certificate in what was added,
    /// or one that cannot be used.
    pub fn trusted(&self) -> Result<Roots, BuildError> {
        let mut roots = self.roots.clone();
        for added in &self.added_roots {
            roots = match added {
                AddedRoots::Pem(pem) => roots.and_pem(pem)?,
                AddedRoots::File(path) => {
                    let unusable = |unread| BuildError::RootsFile { path: path.clone(), unread };
                    let pem = std::fs::read(path).map_err(|error| unusable(Some(error.kind())))?;
                    roots.and_pem(&pem).map_err(|_| unusable(None))?
                }
            };
        }
        Ok(roots)
    }

    /// The `User-Agent` as a field holds it.
    ///
    /// # Errors
    /// [`BuildError::UserAgent`].
    pub fn user_agent_field(&self) -> Result<HeaderValue, BuildError> {
        let printable = self.user_agent.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let field = HeaderValue::from_str(&self.user_agent).ok();
        field.filter(|_| printable && !self.user_agent.is_empty()).ok_or(BuildError::UserAgent)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lookup: Arc::new(dial::System),
            roots: Roots::default(),
            added_roots: Vec::new(),
            user_agent: concat!("mcp-authz/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("roots", &self.roots)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// Gives the builder of an adapter's client the setters that all of them have; `reach` is its field
/// with the [`Settings`]. Time limits are none of them: those of a session's own requests are
/// [`times`](mcp_authz_core::config::ConfigBuilder::times) of its configuration, and a caller's own requests
/// carry [`Limits`](mcp_authz_core::effect::Limits).
#[doc(hidden)]
#[macro_export]
macro_rules! client_setters {
    ($builder:ident) => {
        impl $builder {
            /// How names are looked up.
            #[must_use]
            pub fn lookup(mut self, lookup: ::std::sync::Arc<dyn $crate::dial::Lookup>) -> Self {
                self.reach.lookup = lookup;
                self
            }

            /// Which certificate authorities are trusted: Mozilla's list unless said.
            #[must_use]
            pub fn roots(mut self, roots: $crate::tls::Roots) -> Self {
                self.reach.roots = roots;
                self
            }

            /// Trusts these root certificates, in PEM, beside the others: those of a company, as a
            /// rule. May be called more than once.
            #[must_use]
            pub fn add_roots_pem(mut self, pem: impl Into<::std::vec::Vec<u8>>) -> Self {
                let added = $crate::client::AddedRoots::Pem(pem.into());
                self.reach.added_roots.push(added);
                self
            }

            /// Does the same with the certificates of a PEM file, which is read when the client is
            /// built.
            #[must_use]
            pub fn add_roots_file(mut self, path: impl Into<::std::path::PathBuf>) -> Self {
                let added = $crate::client::AddedRoots::File(path.into());
                self.reach.added_roots.push(added);
                self
            }

            /// Sends everything through this proxy, except for loopback and for the hosts that the
            /// proxy itself is [told to leave out](mcp_authz_driver::proxy::Proxy::except). Nothing of the
            /// environment counts then. The proxy looks names up: literal addresses and names that
            /// mean this machine or its network are judged here, other names cannot be.
            #[must_use]
            pub fn proxy(self, proxy: $crate::proxy::Proxy) -> Self {
                self.proxies($crate::proxy::Proxies::One(proxy))
            }

            /// Sends everything without a proxy, whatever the environment says.
            #[must_use]
            pub fn no_proxy(self) -> Self {
                self.proxies($crate::proxy::Proxies::Never)
            }

            /// The proxies that requests go through: those of the environment unless said.
            #[must_use]
            pub fn proxies(mut self, proxies: $crate::proxy::Proxies) -> Self {
                self.reach.proxies = proxies;
                self
            }

            /// The `User-Agent` of every request that names none. It has to be printable ASCII.
            #[must_use]
            pub fn user_agent(mut self, user_agent: impl Into<::std::string::String>) -> Self {
                self.reach.user_agent = user_agent.into();
                self
            }
        }

        impl ::core::fmt::Debug for $builder {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($builder))
                    .field("reach", &self.reach)
                    .finish_non_exhaustive()
            }
        }
    };
}

/// The settings make no client.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Built outside a runtime: name one, or build inside.
    NoRuntime,
    /// No given root certificate can be used, or one of those that were added: name others.
    Roots,
    /// A file with root certificates cannot be read, or holds none that can be used: name another.
    RootsFile {
        /// The file.
        path: PathBuf,
        /// The reason why it cannot be read; `None` if it was read and holds no such certificate.
        unread: Option<io::ErrorKind>,
    },
    /// A variable of the environment names no http or https proxy. Change it, or build the client with
    /// a proxy of its own or with `no_proxy()`. Its value may hold a password and is not repeated.
    ProxyVariable(&'static str),
    /// The `User-Agent` is no printable ASCII text.
    UserAgent,
}

impl From<RootsUnusable> for BuildError {
    fn from(_: RootsUnusable) -> Self {
        Self::Roots
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuntime => f.write_str("there is no runtime here"),
            Self::Roots => RootsUnusable.fmt(f),
            Self::RootsFile { path, unread: Some(why) } => {
                write!(f, "{} cannot be read: {why}; name another file", path.display())
            }
            Self::RootsFile { path, unread: None } => {
                write!(f, "{} holds {RootsUnusable}; name a PEM file of one", path.display())
            }
            Self::ProxyVariable(name) => write!(
                f,
                "{name} names no http or https proxy: change it, or build the client with \
                 no_proxy() or a proxy of its own"
            ),
            Self::UserAgent => f.write_str("the User-Agent is no printable ASCII text"),
        }
    }
}

/// As `Display`: a `main` that returns it shows this.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for BuildError {}

crate::diagnosed!(BuildError, this => {
    let rule = if matches!(this, BuildError::ProxyVariable(_)) { "SEC-07" } else { "SEC-12" };
    Arc::new(Failure::new(Kind::ConfigInvalid, rule).with_hint(&this.to_string()))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_client_are_named() {
        let file = PathBuf::from("/nowhere/company.pem");
        let missing =
            Settings { added_roots: vec![AddedRoots::File(file.clone())], ..Settings::default() };
        let unread = missing.trusted().unwrap_err();
        assert_eq!(
            unread,
            BuildError::RootsFile { path: file, unread: Some(io::ErrorKind::NotFound) }
        );
        assert!(unread.to_string().starts_with("/nowhere/company.pem cannot be read"));
        let empty = AddedRoots::Pem(b"no certificate".to_vec());
        let empty = Settings { added_roots: vec![empty], ..Settings::default() };
        assert_eq!(empty.trusted().unwrap_err(), BuildError::Roots);
        for (user_agent, fits) in
            [("mine/1 (x; y)", true), ("", false), ("a\nb", false), ("ä", false)]
        {
            let settings = Settings { user_agent: user_agent.to_owned(), ..Settings::default() };
            let field = settings.user_agent_field();
            assert_eq!(field.is_ok(), fits, "{user_agent}");
        }
    }
}
