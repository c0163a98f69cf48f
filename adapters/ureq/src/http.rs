//! The HTTP port on ureq.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use http::response::Parts;
use http::{Method, Request, Response};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::head;
use mcp_authz_driver::ports::Http;
use mcp_authz_driver::tls::{self, CertificateDer, Roots, RootsUnusable};
use ureq::config::AutoHeaderValue;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::dial::{Dialer, Guarded, Unsent, begin};

/// Agents that are kept; a program has a handful of limits, not a handful per request.
const MOST_AGENTS: usize = 16;
/// Idle connections that one agent keeps.
const KEPT: usize = 4;
/// Bytes of a body that are read at once.
const PIECE: usize = 16 * 1024;

/// Sends through ureq. Clones share their connections.
///
/// ureq keeps cookies per agent if any crate of the program enables its `cookies` feature, which
/// cannot be switched off here. The session's calls have an agent each, so none of them sees a
/// cookie; callers' own requests share agents with their connections, and then would. Don't enable
/// it.
#[derive(Clone)]
pub struct UreqHttp {
    shared: Arc<Shared>,
}

struct Shared {
    lookup: Arc<dyn Lookup>,
    tls: TlsConfig,
    proxy: Option<ureq::Proxy>,
    user_agent: String,
    agents: Mutex<HashMap<Terms, Agent>>,
}

/// What one agent is made for: the address rule is its resolver's, so connections made under one
/// rule never serve a request under another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Terms {
    addresses: u8,
    connect: Duration,
    total: Duration,
    head: usize,
}

impl UreqHttp {
    pub(crate) fn new(
        lookup: Arc<dyn Lookup>,
        roots: &Roots,
        proxy: Option<ureq::Proxy>,
        user_agent: String,
    ) -> Result<Self, RootsUnusable> {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(tls::provider())
            .root_certs(root_certs(roots)?)
            .build();
        let agents = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { lookup, tls, proxy, user_agent, agents }) })
    }

    fn agent(&self, limits: &Limits, reuse: bool) -> Agent {
        let shared = &*self.shared;
        let terms = Terms {
            addresses: limits.addresses as u8,
            connect: limits.connect.min(limits.total),
            total: limits.total,
            head: limits.head,
        };
        if !reuse {
            return shared.make(terms, limits.addresses, 0);
        }
        let mut agents = shared.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&terms) {
            return agent.clone();
        }
        if agents.len() >= MOST_AGENTS {
            agents.clear();
        }
        let agent = shared.make(terms, limits.addresses, KEPT);
        agents.insert(terms, agent.clone());
        agent
    }

    fn run(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        if let Err(why) = dial::check_literal(request.uri(), limits.addresses) {
            return Reply::NotSent(why);
        }
        let agent = self.agent(limits, reuse);
        begin();
        let bodiless = request.body().is_empty()
            && !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
        let answer = if bodiless { agent.run(request.map(|_| ())) } else { agent.run(request) };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return unanswered(&error),
        };
        let (head, body) = answer.into_parts();
        if let Err(why) = head::check(&head, limits) {
            return Reply::MaybeSent(why);
        }
        match read(&head, body, limits.body, enough) {
            Ok(body) => Reply::Answered(Response::from_parts(head, body)),
            Err(why) => Reply::MaybeSent(why),
        }
    }
}

impl Shared {
    fn make(&self, terms: Terms, rule: Addresses, kept: usize) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(self.proxy.clone())
            .tls_config(self.tls.clone())
            .user_agent(AutoHeaderValue::Provided(Arc::new(self.user_agent.clone())))
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::Provided(Arc::new("identity".to_owned())))
            .timeout_global(Some(terms.total))
            .timeout_resolve(Some(terms.connect))
            .timeout_connect(Some(terms.connect))
            .max_response_header_size(terms.head)
            .max_idle_connections(kept)
            .max_idle_connections_per_host(kept)
            .build();
        let proxy = self.proxy.as_ref().map(|proxy| (proxy.host().to_owned(), proxy.port()));
        let lookup = Arc::clone(&self.lookup);
        Agent::with_parts(config, Dialer::default(), Guarded { lookup, rule, proxy })
    }
}

impl Http for UreqHttp {
    fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        self.run(request, limits, false, &mut |_, _| false)
    }

    fn exchange(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        self.run(request, limits, true, enough)
    }
}

impl fmt::Debug for UreqHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UreqHttp")
    }
}

fn root_certs(roots: &Roots) -> Result<RootCerts, RootsUnusable> {
    let owned = |der: &CertificateDer<'static>| Certificate::from_der(der).to_owned();
    Ok(match roots {
        Roots::Compiled => RootCerts::WebPki,
        Roots::Only(certificates) => {
            RootCerts::Specific(Arc::new(certificates.iter().map(owned).collect()))
        }
        #[cfg(feature = "platform-verifier")]
        Roots::Platform => RootCerts::PlatformVerifier,
        // Another crate's features may know a kind that ureq was not built for. Never trust others
        // than were asked for.
        _ => return Err(RootsUnusable),
    })
}

fn read(
    head: &Parts,
    mut body: Body,
    limit: usize,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Result<Vec<u8>, Why> {
    let mut reader = body.as_reader();
    let mut read = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = match reader.read(&mut piece) {
            Ok(0) => return Ok(read),
            Ok(length) => length,
            Err(error) => return Err(broken(&ureq::Error::from(error))),
        };
        let more = piece.get(..length).unwrap_or_default();
        if read.len().saturating_add(length) > limit {
            return Err(Why::BodyTooLarge);
        }
        read.extend_from_slice(more);
        if enough(head, more) {
            return Ok(read);
        }
    }
}

/// There is no head: either nothing was sent, or nobody knows.
fn unanswered(error: &ureq::Error) -> Reply {
    match error {
        ureq::Error::Other(other) => match other.downcast_ref::<Unsent>() {
            Some(unsent) => Reply::NotSent(unsent.0),
            None => Reply::MaybeSent(Why::Broken),
        },
        // ureq keeps its own parser's error type to itself.
        ureq::Error::Protocol(error) if error.to_string().contains("too many headers") => {
            Reply::MaybeSent(Why::HeadTooLarge)
        }
        ureq::Error::Protocol(_) => Reply::MaybeSent(Why::HeadMalformed),
        ureq::Error::LargeResponseHeader(..) => Reply::MaybeSent(Why::HeadTooLarge),
        other => Reply::MaybeSent(broken(other)),
    }
}

fn broken(error: &ureq::Error) -> Why {
    match error {
        ureq::Error::Timeout(_) => Why::Timeout,
        _ => Why::Broken,
    }
}
