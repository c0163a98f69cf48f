//! Redirect URIs of this client (NAT-01 to NAT-05, REG-22).
//!
//! Decides which URIs may be configured at all, and when two are the same except for the port.
//! Refuses to decide where to listen; that follows from the host's choice.

use core::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::parts::Parts;
use crate::failure::{Failure, Kind};

/// A redirect URI, kept as it is written: servers compare it character by character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri {
    raw: Arc<str>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An IP literal of this machine, whose port may vary (RFC 8252 §7.3).
    Literal,
    Localhost,
    Https,
    PrivateScheme,
}

impl RedirectUri {
    /// Reads a redirect URI out of a configuration: https, http on loopback, or, if the caller
    /// switched them on, a private-use scheme with a dot in its name (RFC 8252 §7.1).
    ///
    /// # Errors
    /// `config_invalid`; correct the configuration.
    pub fn read(text: &str, private_scheme_allowed: bool) -> Result<Self, Failure> {
        let refused = |rule| Failure::new(Kind::ConfigInvalid, rule).with_subject("redirect_uri");
        let form = match Parts::read(text, "") {
            Ok(parts) if parts.is_loopback() && parts.address.is_some() && !parts.https => {
                Form::Literal
            }
            Ok(parts) if parts.https => Form::Https,
            Ok(parts) if parts.is_loopback() => Form::Localhost,
            Ok(_) => return Err(refused("NAT-01")),
            Err(Kind::UrlScheme) if !private_scheme_allowed => return Err(refused("NAT-04")),
            Err(Kind::UrlScheme) if text.contains('#') => return Err(refused("NAT-05")),
            Err(Kind::UrlScheme) => match text.split_once(':') {
                Some((scheme, rest)) if scheme.contains('.') && rest.starts_with('/') => {
                    Form::PrivateScheme
                }
                _ => return Err(refused("NAT-04")),
            },
            Err(_) => return Err(refused("NAT-05")),
        };
        Ok(Self { raw: text.into(), form })
    }

    /// The redirect URI of a listener on this machine.
    ///
    /// # Errors
    /// `config_invalid` if the path does not make a URL; correct the configuration.
    pub fn loopback(host: LoopbackHost, port: u16, path: &str) -> Result<Self, Failure> {
        Self::read(&format!("http://{}:{port}{path}", host.as_str()), false)
    }

    /// The URI as it is sent and registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// Returns true if the URI leads to this machine over plain http, so that a listener can serve
    /// it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        matches!(self.form, Form::Literal | Form::Localhost)
    }

    /// Returns true if the URI is of a private-use scheme.
    #[must_use]
    pub fn is_private_scheme(&self) -> bool {
        self.form == Form::PrivateScheme
    }

    /// The key by which a registration is found: the URI, without the port if that may vary
    /// (REG-22).
    #[must_use]
    pub fn set_key(&self) -> String {
        match self.portless() {
            Some((head, tail)) => [head, tail].concat(),
            None => self.raw.to_string(),
        }
    }

    /// Returns true if a server that registered `registered` accepts this URI: the same one, or the
    /// same except for the port of a loopback literal (REG-15, CIMD-10).
    #[must_use]
    pub fn matches_registered(&self, registered: &str) -> bool {
        if *self.raw == *registered {
            return true;
        }
        let ours = self.portless();
        ours.is_some() && ours == portless(registered)
    }

    fn portless(&self) -> Option<(&str, &str)> {
        if self.form == Form::Literal { portless(&self.raw) } else { None }
    }
}

/// A loopback literal's URI without its port: scheme and host, and the part after the port.
fn portless(text: &str) -> Option<(&str, &str)> {
    let parts = Parts::read(text, "").ok()?;
    if parts.https || !parts.address.is_some_and(|address| address.is_loopback()) {
        return None;
    }
    let (head, tail) = text.split_at_checked("http://".len().saturating_add(parts.host.len()))?;
    let port = tail.bytes().take_while(|byte| *byte == b':' || byte.is_ascii_digit()).count();
    Some((head, tail.get(port..)?))
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl Serialize for RedirectUri {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.raw)
    }
}

impl<'de> Deserialize<'de> for RedirectUri {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<str>::deserialize(from)?;
        // The URI was configured once. The configuration decides whether private schemes are still
        // on.
        Self::read(&raw, true).map_err(|failure| serde::de::Error::custom(failure.kind().code()))
    }
}

/// The loopback host of a redirect URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoopbackHost {
    /// `127.0.0.1`.
    #[default]
    V4,
    /// `[::1]`.
    V6,
    /// `localhost`, for servers that want it registered so (NAT-03).
    Localhost,
}

impl LoopbackHost {
    /// The host as a URL writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "127.0.0.1",
            Self::V6 => "[::1]",
            Self::Localhost => "localhost",
        }
    }
}

#[cfg(test)]
mod tests;
