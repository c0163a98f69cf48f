//! A thousand callers at once on tokio, and a token endpoint in this process that answers after a
//! fixed time.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode, Uri};
use mcp_authz_core::effect::{Limits, Reply};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::time::{Monotonic, Timestamp};
use mcp_authz_driver::AuthSession;
use mcp_authz_driver::authorize::Seen;
use mcp_authz_driver::clock::{self, Clock};
use mcp_authz_driver::ports::Ports;
use mcp_authz_driver::ports::{AsyncHttp, Common, NoBody, NoListener, Opened};
use mcp_authz_driver::tasks::Tasks;
use mcp_authz_tokio::Tokio;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

use crate::rush::rush;
use crate::{canned, flow, live};

/// How long the token endpoint takes.
pub const DELAY: Duration = Duration::from_millis(50);

/// When a refusal comes in a flight of many.
pub const LATE: Duration = Duration::from_millis(5);

/// A token endpoint that takes [`DELAY`].
#[derive(Clone, Debug, Default)]
pub struct Endpoint(Arc<AtomicUsize>);

impl Endpoint {
    /// How many tokens were asked for.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl AsyncHttp for Endpoint {
    type Body = NoBody;

    async fn send(&self, request: Request<Vec<u8>>, _: &Limits) -> Reply {
        assert_eq!(request.uri().path(), "/oauth2/token");
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(DELAY).await;
        let body = format!(
            r#"{{"access_token":"new-{count}","token_type":"Bearer","expires_in":3600,
                "refresh_token":"rotated-{count}"}}"#
        );
        Reply::Answered(canned::answer(200, &body))
    }

    async fn open(&self, _: Request<Vec<u8>>, _: &Limits) -> Opened<NoBody> {
        unreachable!("the callers have a client of their own")
    }
}

/// The system's clocks, so many seconds later.
#[derive(Debug, Default)]
struct Turned {
    real: clock::System,
    later: AtomicU64,
}

impl Turned {
    fn later(&self) -> Duration {
        Duration::from_secs(self.later.load(Ordering::SeqCst))
    }
}

impl Clock for Turned {
    fn wall(&self) -> Timestamp {
        Timestamp::from_unix(
            self.real.wall().unix().saturating_add_unsigned(self.later().as_secs()),
        )
    }
    fn mono(&self) -> Monotonic {
        self.real.mono().after(self.later())
    }
}

/// One session, and the endpoint that it renews its token at.
#[derive(Debug)]
pub struct Crowd {
    /// Counts.
    pub endpoint: Endpoint,
    session: AuthSession<Tasks<Endpoint, NoListener, Tokio>>,
    runtime: Runtime,
}

impl Crowd {
    fn new(common: Common) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (config, endpoint) = (flow::config(), Endpoint::default());
        let ports = Ports {
            http: endpoint.clone(),
            listener: NoListener,
            runtime: Tokio::new(runtime.handle().clone()),
        };
        let (snapshot, _) = live::logged_in(&config);
        let session = AuthSession::resume(config, snapshot, ports, common).expect("resumes");
        Self { endpoint, session, runtime }
    }

    /// A session whose token has just expired.
    ///
    /// # Panics
    /// If there is no runtime to be had.
    #[must_use]
    pub fn expired() -> Self {
        let clock = Arc::new(Turned::default());
        let crowd = Self::new(Common { clock: Arc::<Turned>::clone(&clock), ..Common::default() });
        clock.later.store(4_000, Ordering::SeqCst);
        crowd
    }

    /// A session whose token looks alive and is revoked.
    ///
    /// # Panics
    /// If there is no runtime to be had.
    #[must_use]
    pub fn revoked() -> Self {
        Self::new(Common::default())
    }

    /// So many callers ask at once; how long it takes until all have a token.
    ///
    /// # Panics
    /// If one gets none.
    #[must_use]
    pub fn acquire(&self, callers: usize) -> Duration {
        rush(&self.runtime, callers, || {
            let session = self.session.clone();
            async move {
                let settled = session.acquire(&ScopeSet::empty(), false).await.expect("a driver");
                assert!(settled.outcome.is_ok());
            }
        })
    }

    /// So many callers send a request with the revoked token and are refused [`LATE`]; how long it
    /// takes from there until all have headers to repeat it with.
    ///
    /// # Panics
    /// If one gets none.
    #[must_use]
    pub fn be_refused(&self, callers: usize) -> Duration {
        // A caller that came after the others' refresh would be refused the new token, and need one more.
        let all_sent = Arc::new(Barrier::new(callers));
        let whole = rush(&self.runtime, callers, || {
            let (session, all_sent) = (self.session.clone(), Arc::clone(&all_sent));
            async move {
                let uri = Uri::from_static(canned::MCP_URL);
                let sent = session.authorize(&Method::POST, &uri).await.expect("headers");
                all_sent.wait().await;
                tokio::time::sleep(LATE).await;
                let seen = session.seen(&sent, StatusCode::UNAUTHORIZED, &HeaderMap::new()).await;
                let Ok(Seen::Again(again)) = seen else { panic!("{seen:?}") };
                assert!(again.epoch() > sent.epoch());
            }
        });
        whole.saturating_sub(LATE)
    }
}
