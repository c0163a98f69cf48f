//! The transport rule and the address rule for URLs that a server named: where they may lead, and
//! by http or https (SEC-01, SEC-02, SEC-05, D6).
//!
//! Decides by the text of a URL; the adapter decides again by the address it is about to dial,
//! since a name tells nothing about where it leads (SEC-07).

use core::fmt;
use std::sync::Arc;

use super::mcp_url::McpUrl;
use super::parts::{Parts, lists_host};
use crate::address::{Addresses, is_special_name};
use crate::failure::{Failure, Kind, Switch};

/// A deployment's own rule about URLs, asked after every rule of ours has passed (SEC-06). It is
/// asked about each URL that a server named and each redirect, before anything is sent there.
///
/// It must be a pure function of its arguments. Otherwise the same inputs would not give the same
/// effects.
pub trait UrlPolicy: fmt::Debug + Send + Sync {
    /// Returns true if requests may go to this scheme, host (as the URL writes it) and port.
    fn allows(&self, https: bool, host: &str, port: u16) -> bool;
}

/// The limits that one MCP URL and the caller's switches set to all URLs named by servers.
#[derive(Clone, Debug)]
pub struct Reach {
    pub(crate) own_origin: OwnOrigin,
    pub(crate) own_loopback: bool,
    pub(crate) plain_http: Vec<Box<str>>,
    pub(crate) private: Vec<Box<str>>,
    pub(crate) strict: bool,
    policy: Option<Arc<dyn UrlPolicy>>,
}

/// Scheme, host and port of the MCP URL.
#[derive(Clone, Debug)]
pub(crate) struct OwnOrigin {
    pub(crate) https: bool,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

/// Why a well-formed URL may not be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked {
    kind: Kind,
    rule: &'static str,
    switch: Option<Switch>,
}

impl Blocked {
    pub(super) fn failure(self, field: &'static str, parts: &Parts<'_>) -> Failure {
        let scheme = if parts.https { "https" } else { "http" };
        let failure = Failure::new(self.kind, self.rule)
            .with_subject(&format!("{field} {scheme}://{}{}", parts.host, parts.path));
        match self.switch {
            Some(switch) => failure.with_switch_for(switch, &[parts.host]),
            None => failure,
        }
    }
}

impl Reach {
    /// The limits for an MCP URL. `plain_http` and `private` are the hosts the caller switched on
    /// (D6); `strict` ignores both.
    #[must_use]
    pub fn new(
        mcp: &McpUrl,
        plain_http: Vec<Box<str>>,
        private: Vec<Box<str>>,
        strict: bool,
    ) -> Self {
        Self {
            own_origin: OwnOrigin {
                https: mcp.is_https(),
                host: mcp.host_str().into(),
                port: mcp.port(),
            },
            own_loopback: mcp.is_loopback(),
            plain_http,
            private,
            strict,
            policy: None,
        }
    }

    /// The same with a deployment's own rule beside ours.
    #[must_use]
    pub fn with_policy(self, policy: Option<Arc<dyn UrlPolicy>>) -> Self {
        Self { policy, ..self }
    }

    pub(super) fn own_host(&self) -> &str {
        &self.own_origin.host
    }

    pub(super) fn owns(&self, parts: &Parts<'_>) -> bool {
        let own = &self.own_origin;
        own.https == parts.https
            && own.port == parts.port
            && own.host.eq_ignore_ascii_case(parts.host)
    }

    /// Applies the transport rule before the address rule (HOST-042).
    pub(super) fn admit(&self, parts: &Parts<'_>) -> Result<Addresses, Blocked> {
        let admitted = self.judge(parts)?;
        let allows =
            |policy: &Arc<dyn UrlPolicy>| policy.allows(parts.https, parts.host, parts.port);
        if self.policy.as_ref().is_none_or(allows) {
            return Ok(admitted);
        }
        Err(Blocked { kind: Kind::AddressBlocked, rule: "SEC-06", switch: None })
    }

    fn judge(&self, parts: &Parts<'_>) -> Result<Addresses, Blocked> {
        if self.owns(parts) {
            return Ok(Addresses::Any);
        }
        let loopback = self.own_loopback && parts.is_loopback();
        let offered = |switch| (!self.strict).then_some(switch);
        if !parts.https && !loopback && !self.switched_on(&self.plain_http, parts.host) {
            return Err(Blocked {
                kind: Kind::InsecureTransport,
                rule: "SEC-01",
                switch: offered(Switch::PlainHttp),
            });
        }
        if loopback {
            return Ok(Addresses::Loopback);
        }
        let granted = if self.switched_on(&self.private, parts.host) {
            Addresses::Private
        } else {
            Addresses::Public
        };
        let (fits, helps) = match parts.address {
            Some(address) => (granted.allow(address), Addresses::Private.allow(address)),
            None => (granted == Addresses::Private || !is_special_name(parts.host), true),
        };
        if fits {
            return Ok(granted);
        }
        Err(Blocked {
            kind: Kind::AddressBlocked,
            rule: "SEC-05",
            switch: offered(Switch::PrivateAddress).filter(|_| helps),
        })
    }

    fn switched_on(&self, hosts: &[Box<str>], host: &str) -> bool {
        !self.strict && lists_host(hosts, host)
    }
}
