//! The settings of the clients of all adapters, and the reasons why a client could not be set up.

use core::fmt;
use std::sync::Arc;

use http::HeaderValue;
use mcp_authz_core::failure::{Failure, Kind};

use crate::dial::{self, Lookup};
use crate::tls::{Roots, RootsUnusable};

/// The settings from which an adapter makes its ports.
#[derive(Clone)]
pub struct Settings {
    /// How names are looked up.
    pub lookup: Arc<dyn Lookup>,
    /// Which certificate authorities are trusted.
    pub roots: Roots,
    /// The `User-Agent` of every request that names none.
    pub user_agent: HeaderValue,
    /// The URL of the proxy of every request.
    pub proxy: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let user_agent = concat!("mcp-authz/", env!("CARGO_PKG_VERSION"));
        Self {
            lookup: Arc::new(dial::System),
            roots: Roots::default(),
            user_agent: HeaderValue::from_static(user_agent),
            proxy: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// Gives the builder of an adapter's client the setters that all of them have; `reach` is its field
/// with the [`Settings`].
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

            /// Which certificate authorities are trusted.
            #[must_use]
            pub fn roots(mut self, roots: $crate::tls::Roots) -> Self {
                self.reach.roots = roots;
                self
            }

            /// Sends everything through an HTTP proxy, which then looks names up itself: the address
            /// rule is asked about IP literals only.
            #[must_use]
            pub fn proxy(mut self, url: &str) -> Self {
                self.reach.proxy = Some(url.to_owned());
                self
            }

            /// The `User-Agent` of every request that names none.
            #[must_use]
            pub fn user_agent(mut self, user_agent: ::http::HeaderValue) -> Self {
                self.reach.user_agent = user_agent;
                self
            }
        }

        impl ::core::fmt::Debug for $builder {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("Builder").field("reach", &self.reach).finish_non_exhaustive()
            }
        }
    };
}

/// The settings make no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Built outside a runtime: name one, or build inside.
    NoRuntime,
    /// No given root certificate can be used: name others.
    Roots,
    /// The proxy is none that the adapter can use: name its http or https URL.
    Proxy,
    /// The `User-Agent` is no ASCII text, and the adapter can send no other.
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
            Self::Proxy => f.write_str("the proxy cannot be used: it is no http or https URL"),
            Self::UserAgent => f.write_str("the User-Agent is no ASCII text"),
        }
    }
}

impl core::error::Error for BuildError {}

crate::diagnosed!(BuildError, this => Arc::new(
    Failure::new(Kind::ConfigInvalid, "SEC-12").with_hint(&this.to_string()),
));
