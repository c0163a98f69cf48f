//! The way in which the program's sessions send: by themselves, or with headers that an agent lends.

use std::sync::Arc;

use http::{Request, Uri};
use mcp_authz_core::effect::{Limits, Reply};
use mcp_authz_tokio::driver::ports::{AsyncHttp, Opened};
use mcp_authz_tokio::driver::{self, PortsOf, transport};
use mcp_authz_tokio::{TokioBody, TokioHttp};

use crate::through::{self, On};
#[cfg(unix)]
pub(crate) use lent::Lender;

pub(crate) type Manager = through::Manager<Way>;
pub(crate) type Session = driver::AuthSession<On<Way>>;
pub(crate) type Transport = transport::Transport<On<Way>>;
pub(crate) type Ports = Arc<PortsOf<On<Way>>>;

/// The HTTP port of the program's sessions.
#[derive(Clone)]
pub(crate) enum Way {
    /// The session has a grant of its own.
    Own(TokioHttp),
    /// The requests of the connection carry headers that an agent lends; the session has no grant.
    Lent(TokioHttp, Arc<Lender>),
}

/// There is no agent.
#[cfg(not(unix))]
pub(crate) enum Lender {}

impl Way {
    const fn http(&self) -> &TokioHttp {
        match self {
            Self::Own(http) | Self::Lent(http, _) => http,
        }
    }
}

impl AsyncHttp for Way {
    type Body = TokioBody;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        self.http().send(request, limits).await
    }

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        self.http().proxy(uri)
    }

    async fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<TokioBody> {
        match self {
            Self::Own(http) => http.open(request, limits).await,
            #[cfg(unix)]
            Self::Lent(http, lender) => lender.open(http, request, limits).await,
            #[cfg(not(unix))]
            Self::Lent(_, lender) => match **lender {},
        }
    }
}

#[cfg(unix)]
mod lent {
    use std::path::PathBuf;

    use http::header::HeaderName;
    use http::{HeaderValue, Request, StatusCode};
    use mcp_authz_core::effect::Limits;
    use mcp_authz_tokio::driver::ports::{AsyncHttp as _, Opened};
    use mcp_authz_tokio::{TokioBody, TokioHttp};

    use crate::agent::client::{Connection, Lent};
    use crate::agent::protocol::{Header, Target};
    use crate::command::agent::asked_of;
    use crate::fault::Fault;
    use crate::options::Options;
    use crate::say::log;

    /// An agent that lends headers for one server.
    pub(crate) struct Lender {
        path: PathBuf,
        of: Target,
        account: Option<String>,
    }

    impl Lender {
        /// The agent at this socket, for a server and its options. A restricted socket takes no
        /// options but the account.
        pub(crate) async fn at(path: PathBuf, url: &str, options: &Options) -> Result<Self, Fault> {
            let restricted = Connection::open(&path).await?.is_restricted();
            let (of, account) = if restricted {
                let of = Target { target: Some(url.to_owned()), ..Target::default() };
                (of, options.account.clone())
            } else {
                (asked_of(Some(url.to_owned()), options.clone(), None)?, None)
            };
            Ok(Self { path, of, account })
        }

        async fn headers(
            &self,
            request: &Request<Vec<u8>>,
            refused: Option<String>,
        ) -> Result<Lent, Fault> {
            let header = Header {
                of: self.of.clone(),
                method: request.method().to_string(),
                url: request.uri().to_string(),
                account: self.account.clone(),
                refused,
            };
            Connection::open(&self.path).await?.header(&header).await
        }

        /// Sends a request with lent headers, and once more if the server refuses the first. Without
        /// any it goes as it is: the server's refusal then says what is missing.
        pub(super) async fn open(
            &self,
            http: &TokioHttp,
            request: Request<Vec<u8>>,
            limits: &Limits,
        ) -> Opened<TokioBody> {
            let mut first = request.clone();
            let lent = match self.headers(&request, None).await {
                Ok(lent) => lent,
                Err(fault) => {
                    log(format_args!("the agent lends nothing: {fault}"));
                    return http.open(request, limits).await;
                }
            };
            wear(&mut first, &lent);
            let opened = http.open(first, limits).await?;
            if opened.status() != StatusCode::UNAUTHORIZED {
                return Ok(opened);
            }
            match self.headers(&request, Some(lent.mark.clone())).await {
                Ok(newer) if newer.mark != lent.mark => {
                    let mut second = request;
                    wear(&mut second, &newer);
                    http.open(second, limits).await
                }
                _ => Ok(opened),
            }
        }
    }

    fn wear(request: &mut Request<Vec<u8>>, lent: &Lent) {
        for (name, value) in &lent.headers {
            if let (Ok(name), Ok(mut value)) =
                (name.parse::<HeaderName>(), HeaderValue::try_from(value))
            {
                value.set_sensitive(true);
                request.headers_mut().insert(name, value);
            }
        }
    }
}
