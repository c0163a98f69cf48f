//! The HTTP port on ureq.

use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::client::{self, BuildError};
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::ports::{Body, Http, Opened, Unanswered};
use mcp_authz_driver::proxy::Routes;
use mcp_authz_driver::{head, reading, tls};
use rustls::ClientConfig;
use ureq::config::AutoHeaderValue;
use ureq::{Agent, AsSendBody, BodyReader};

use crate::dial::{Dialer, Guarded, Unsent, within};

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

enum Shared {
    /// Agents of ours, each for its terms.
    Made { settings: Box<Settings>, agents: Mutex<HashMap<Terms, Agent>> },
    /// An agent of the program's own, for everything.
    Ready(Agent),
}

struct Settings {
    lookup: Arc<dyn Lookup>,
    tls: Arc<ClientConfig>,
    routes: Arc<Routes>,
    user_agent: HeaderValue,
    /// The same as text.
    text: Arc<String>,
}

/// The terms under which one agent is made. The address rule is its resolver's, so connections made
/// under one rule never serve a request under another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Terms {
    addresses: u8,
    connect: Duration,
    head: usize,
}

/// Sends everything through this agent. Its resolver, proxies, cookies and connections are beyond
/// reach: names are not judged by the addresses they lead to, and how long a body may take is the
/// agent's own affair.
impl From<Agent> for UreqHttp {
    fn from(agent: Agent) -> Self {
        Self { shared: Arc::new(Shared::Ready(agent)) }
    }
}

impl UreqHttp {
    pub(crate) fn new(settings: client::Settings) -> Result<Self, BuildError> {
        let tls = Arc::new(tls::client_config(&settings.trusted()?)?);
        let user_agent = settings.user_agent_field()?;
        let client::Settings { lookup, user_agent: text, proxies, .. } = settings;
        let (routes, text) = (Arc::new(proxies.routes()?), Arc::new(text));
        let settings = Box::new(Settings { lookup, tls, routes, user_agent, text });
        Ok(Self { shared: Arc::new(Shared::Made { settings, agents: Mutex::default() }) })
    }

    fn agent(&self, limits: &Limits, reuse: bool) -> Agent {
        let (settings, agents) = match &*self.shared {
            Shared::Made { settings, agents } => (settings, agents),
            Shared::Ready(agent) => return agent.clone(),
        };
        let terms = Terms {
            addresses: limits.addresses as u8,
            connect: limits.connect.min(limits.total),
            head: limits.head,
        };
        if !reuse {
            return settings.make(terms, limits.addresses, 0);
        }
        let mut agents = agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&terms) {
            return agent.clone();
        }
        if agents.len() >= MOST_AGENTS {
            agents.clear();
        }
        let agent = settings.make(terms, limits.addresses, KEPT);
        agents.insert(terms, agent.clone());
        agent
    }

    /// Our own agents are made with these settings; a request to another agent has them set one by
    /// one.
    fn settled<B: AsSendBody>(
        &self,
        agent: &Agent,
        request: Request<B>,
        limits: &Limits,
    ) -> Request<B> {
        if matches!(&*self.shared, Shared::Made { .. }) {
            return request;
        }
        let settled = agent.configure_request(request);
        settled
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(limits.connect.min(limits.total)))
            .timeout_recv_response(Some(limits.total))
            .build()
    }

    fn run(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
    ) -> Opened<Box<dyn Body>> {
        let unsent = |why| Unanswered { why, sent: false };
        match &*self.shared {
            Shared::Made { settings, .. } => {
                settings.routes.judge(request.uri(), limits).map_err(unsent)?;
            }
            Shared::Ready(_) => {
                dial::check_literal(request.uri(), limits.addresses).map_err(unsent)?;
            }
        }
        let agent = self.agent(limits, reuse);
        let bodiless = request.body().is_empty()
            && !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
        let answer = within(limits.total, || {
            if bodiless {
                agent.run(self.settled(&agent, request.map(|_| ()), limits))
            } else {
                agent.run(self.settled(&agent, request, limits))
            }
        });
        let (head, body) = answer.map_err(|error| unanswered(&error))?.into_parts();
        head::check(&head, limits).map_err(|why| Unanswered { why, sent: true })?;
        let body = UreqBody { reader: body.into_reader(), piece: vec![0; PIECE] };
        Ok(Response::from_parts(head, Box::new(body)))
    }
}

impl Settings {
    fn make(&self, terms: Terms, rule: Addresses, kept: usize) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Where there is one, the dialer knows it.
            .proxy(None)
            .user_agent(AutoHeaderValue::Provided(Arc::clone(&self.text)))
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::Provided(Arc::new("identity".to_owned())))
            // The whole has a time of its own: see `within`.
            .timeout_resolve(Some(terms.connect))
            .timeout_connect(Some(terms.connect))
            .max_response_header_size(terms.head)
            .max_idle_connections(kept)
            .max_idle_connections_per_host(kept)
            .build();
        let dialer = Dialer {
            tls: Arc::clone(&self.tls),
            routes: Arc::clone(&self.routes),
            user_agent: self.user_agent.clone(),
        };
        let (lookup, routes) = (Arc::clone(&self.lookup), Arc::clone(&self.routes));
        Agent::with_parts(config, dialer, Guarded { lookup, rule, routes })
    }
}

impl Http for UreqHttp {
    fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        reading::to_its_end(|| self.run(request, limits, false), limits, &mut |_, _| false)
    }

    fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<Box<dyn Body>> {
        self.run(request, limits, true)
    }

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        match &*self.shared {
            Shared::Made { settings, .. } => {
                settings.routes.of(uri).map(|proxy| Arc::clone(proxy.name()))
            }
            Shared::Ready(_) => None,
        }
    }
}

/// A body that ureq reads.
struct UreqBody {
    reader: BodyReader<'static>,
    piece: Vec<u8>,
}

impl Body for UreqBody {
    fn piece(&mut self, time: Duration) -> Result<Option<Bytes>, Why> {
        let length = within(time, || self.reader.read(&mut self.piece));
        let length = length.map_err(|error| broken(&ureq::Error::from(error)))?;
        let piece = self.piece.get(..length).unwrap_or_default();
        Ok((length > 0).then(|| Bytes::copy_from_slice(piece)))
    }
}

impl fmt::Debug for UreqHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UreqHttp")
    }
}

/// There is no head: either nothing was sent, or nobody knows.
fn unanswered(error: &ureq::Error) -> Unanswered {
    let maybe_sent = |why| Unanswered { why, sent: true };
    match error {
        ureq::Error::Other(other) => match other.downcast_ref::<Unsent>() {
            Some(unsent) => Unanswered { why: unsent.0, sent: false },
            None => maybe_sent(Why::Broken),
        },
        // ureq keeps its own parser's error type to itself.
        ureq::Error::Protocol(error) if error.to_string().contains("too many headers") => {
            maybe_sent(Why::HeadTooLarge)
        }
        ureq::Error::Protocol(_) => maybe_sent(Why::HeadMalformed),
        ureq::Error::LargeResponseHeader(..) => maybe_sent(Why::HeadTooLarge),
        other => maybe_sent(broken(other)),
    }
}

fn broken(error: &ureq::Error) -> Why {
    match error {
        ureq::Error::Timeout(_) => Why::Timeout,
        _ => Why::Broken,
    }
}
