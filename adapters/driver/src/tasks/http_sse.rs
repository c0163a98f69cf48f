//! HTTP+SSE for programs that have a JSON-RPC of their own.

use core::fmt;
use core::future::Future;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::shared::Tasks;
use crate::exchange::Exchange;
use crate::ports::{AsyncHttp, AsyncListener, Runtime};
use crate::session::AuthSession;
use crate::session::engine::Waited;
use crate::transport::{
    Line as _, Manner, Opened, Over, Settings, TransportError, Wire, is_courtesy, operation,
};

/// An authorized HTTP+SSE stream, message by message: nothing is initialized, answered or opened
/// again here. [`Transport`](crate::transport::Transport) does all that.
pub struct HttpSse<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    opened: Opened<Waited<Tasks<H, L, R>>>,
    ready: VecDeque<Value>,
    over: bool,
    sender: HttpSseSender<H, L, R>,
}

/// Posts messages for an [`HttpSse`]; clones do so for the same one.
pub struct HttpSseSender<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    line: Arc<Over<Tasks<H, L, R>>>,
    endpoint: Arc<Url>,
    settings: Arc<Settings>,
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Clone for HttpSseSender<H, L, R> {
    fn clone(&self) -> Self {
        let Self { line, endpoint, settings } = self;
        Self {
            line: Arc::clone(line),
            endpoint: Arc::clone(endpoint),
            settings: Arc::clone(settings),
        }
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> HttpSse<H, L, R> {
    /// Opens the stream and waits for the endpoint that it announces.
    ///
    /// # Errors
    /// [`TransportError`]; [`TransportError::Endpoint`] if the endpoint is of another origin, to
    /// which nothing was sent (TRANS-33).
    pub async fn open(
        session: AuthSession<Tasks<H, L, R>>,
        settings: Settings,
    ) -> Result<Self, TransportError> {
        let line = Over(session);
        let request = manner().get(line.url(), None)?;
        let exchange = Exchange::new(request)
            .operation("GET")
            .may_ask(settings.may_ask)
            .limits(settings.within());
        let answer = line.open(exchange).await?;
        let (endpoint, opened) = Opened::read(answer, &line, &settings.bounds).await?;
        let sender = HttpSseSender {
            line: Arc::new(line),
            endpoint: Arc::new(endpoint),
            settings: Arc::new(settings),
        };
        Ok(Self { opened, ready: VecDeque::new(), over: false, sender })
    }

    /// Posts a message. The future borrows nothing, so that the next message can be awaited
    /// meanwhile.
    ///
    /// # Errors
    /// As [`HttpSseSender::send`].
    pub fn send(
        &self,
        message: Value,
    ) -> impl Future<Output = Result<(), TransportError>> + Send + use<H, L, R> {
        self.sender.send(message)
    }

    /// The half that posts, apart from the half that reads.
    #[must_use]
    pub fn sender(&self) -> HttpSseSender<H, L, R> {
        self.sender.clone()
    }

    /// The next message of the server; nothing after an error. A wait that is given up loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Result<Value, TransportError>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(Ok(message));
            }
            if self.over {
                return None;
            }
            match self.opened.messages().await {
                Ok(messages) => self.ready.extend(messages),
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> HttpSseSender<H, L, R> {
    /// Posts a message. Its response, if there is to be one, comes on the stream.
    ///
    /// # Errors
    /// [`TransportError`] says whether it may have been taken; [`TransportError::SessionLost`] if
    /// the server does not know the stream any more.
    pub fn send(
        &self,
        message: Value,
    ) -> impl Future<Output = Result<(), TransportError>> + Send + use<H, L, R> {
        let Self { line, endpoint, settings } = self.clone();
        async move {
            let request = manner().post(endpoint.as_str(), &message, Vec::new())?;
            let named = message.get("method").and_then(Value::as_str).unwrap_or("response");
            let named = operation(named, message.get("params").unwrap_or(&Value::Null));
            let exchange = Exchange::new(request)
                .operation(&named)
                .may_ask(settings.may_ask && !is_courtesy(&message))
                .limits(settings.within())
                .announced();
            let answer = line.open(exchange).await?;
            match answer.status() {
                status if status.is_success() => {
                    line.finish(answer.into_body()).await;
                    Ok(())
                }
                http::StatusCode::NOT_FOUND | http::StatusCode::GONE => {
                    Err(TransportError::SessionLost { maybe_executed: false })
                }
                status => Err(TransportError::Status { status, said: None }),
            }
        }
    }
}

fn manner() -> Manner {
    Manner { wire: Wire::HttpSse, version: String::new(), session: None }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> fmt::Debug for HttpSse<H, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSse").field("over", &self.over).finish_non_exhaustive()
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> fmt::Debug for HttpSseSender<H, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpSseSender")
    }
}
