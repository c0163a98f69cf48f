//! The HTTP port: the driver's own on hyper, or a client of the program's own (feature `reqwest`).

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::hyper_http::{HyperBody, HyperHttp};
use mcp_authz_driver::ports::{AsyncBody, AsyncHttp, Opened};
#[cfg(feature = "reqwest")]
use mcp_authz_driver::reading;

use crate::runtime::Tokio;

/// Sends. Clones share their connections.
#[derive(Clone)]
pub struct TokioHttp(Sender);

#[derive(Clone)]
enum Sender {
    /// Ours.
    Hyper(HyperHttp<Tokio>),
    /// A client of the program's own, for everything.
    #[cfg(feature = "reqwest")]
    Ready(reqwest::Client),
}

impl From<HyperHttp<Tokio>> for TokioHttp {
    fn from(http: HyperHttp<Tokio>) -> Self {
        Self(Sender::Hyper(http))
    }
}

/// Sends everything through this client as it is. Its resolver, redirects, proxies, cookies and
/// connection limits are beyond reach: names are not judged by the addresses they lead to, and an
/// answer whose URL is another than was asked for is refused only after the client went there.
#[cfg(feature = "reqwest")]
impl From<reqwest::Client> for TokioHttp {
    fn from(client: reqwest::Client) -> Self {
        Self(Sender::Ready(client))
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct TokioBody(Reader);

#[derive(Debug)]
enum Reader {
    Hyper(HyperBody<Tokio>),
    #[cfg(feature = "reqwest")]
    Ready(crate::ready_made::Body),
}

impl AsyncBody for TokioBody {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        match &mut self.0 {
            Reader::Hyper(body) => body.piece(within).await,
            #[cfg(feature = "reqwest")]
            Reader::Ready(body) => body.piece(within).await,
        }
    }
}

impl AsyncHttp for TokioHttp {
    type Body = TokioBody;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        match &self.0 {
            Sender::Hyper(http) => http.send(request, limits).await,
            #[cfg(feature = "reqwest")]
            Sender::Ready(_) => {
                let open = self.open(request, limits);
                reading::to_its_end_async(open, limits, &mut |_, _| false).await
            }
        }
    }

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        match &self.0 {
            Sender::Hyper(http) => http.proxy(uri),
            #[cfg(feature = "reqwest")]
            Sender::Ready(_) => None,
        }
    }

    async fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<TokioBody> {
        match &self.0 {
            Sender::Hyper(http) => {
                let opened = http.open(request, limits).await?;
                Ok(opened.map(|body| TokioBody(Reader::Hyper(body))))
            }
            #[cfg(feature = "reqwest")]
            Sender::Ready(client) => {
                let opened = crate::ready_made::open(client, request, limits).await?;
                Ok(opened.map(|body| TokioBody(Reader::Ready(body))))
            }
        }
    }
}

impl fmt::Debug for TokioHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokioHttp")
    }
}
