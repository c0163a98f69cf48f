//! One connection, and what is asked on it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::lock::Mutex as AsyncMutex;
use http::header::HeaderName;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use mcp_authz_core::effect::Limits;
use serde_json::{Value, json};

use super::answer::{self, Form};
use super::bus::{Bus, Delivery};
use super::error::{TransportError, lost};
use super::line::{Line, Task};
use super::link::{Link, Untold};
use super::manner::{Manner, Wire, operation, with_meta};
use super::mirror::{DroppedTool, Tools};
use super::refused::{self, Loss, Refused};
use super::rpc;
use super::settings::{Bounds, Kind, Settings};
use crate::exchange::Exchange;
use crate::reading;

/// How many requests of the server's are declined at a time. Those beyond get no answer, or a server
/// could have a task, and a thread where those are threads, for each that fits into an event.
const MOST_DECLINED: usize = 16;
/// How long the server may take over a farewell.
const FAREWELL: Duration = Duration::from_secs(10);
/// One connection, which its callers share.
pub(crate) struct Engine<L: Line> {
    pub(crate) line: L,
    pub(crate) settings: Settings,
    pub(super) ids: AtomicU64,
    pub(super) link: Mutex<Arc<Link>>,
    /// The caller that opens the connection again holds it; only callers that want the same wait
    /// for it.
    pub(super) turn: AsyncMutex<()>,
    pub(super) tools: Mutex<Tools>,
    pub(super) closed: AtomicBool,
    /// Held once by each who declines a request.
    pub(super) declining: Arc<()>,
}

impl<L: Line> Engine<L> {
    pub(crate) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.link().manner.wire {
            Wire::HttpSse => Kind::HttpSse,
            Wire::Modern | Wire::Session => Kind::StreamableHttp,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn fresh_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(crate) fn dropped_tools(&self) -> Vec<DroppedTool> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).dropped()
    }

    /// Takes note of the tools in a result, and takes away those that must not be used.
    pub(crate) fn learn(&self, result: &mut Value) {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).learn(result);
    }

    pub(crate) fn mirrored(&self, params: &Value) -> Vec<(HeaderName, HeaderValue)> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).headers(params)
    }

    /// Returns true if the user to whom the session belongs has gone (TRANS-26).
    pub(crate) fn is_another_users(&self, link: &Link) -> bool {
        link.farewells != self.line.memory().farewells()
    }

    fn is_gone(&self, link: &Link) -> bool {
        self.is_another_users(link) || link.bus.as_ref().is_some_and(Bus::is_over)
    }

    /// The connection, opened again if it is known to be gone.
    pub(crate) async fn ready(self: &Arc<Self>) -> Result<Arc<Link>, TransportError> {
        if self.is_closed() {
            return Err(TransportError::Closed);
        }
        let link = self.link();
        if self.is_gone(&link) {
            self.renew(link.number, Loss::Gone).await?;
            return Ok(self.link());
        }
        Ok(link)
    }

    pub(crate) fn exchange(&self, mut request: Request<Vec<u8>>, operation: &str) -> Exchange {
        self.settings.add_headers(&mut request);
        Exchange::new(request)
            .operation(operation)
            .may_ask(self.settings.may_ask)
            .limits(self.settings.within())
    }

    pub(crate) async fn post(
        &self,
        manner: &Manner,
        message: &Value,
        mirrored: Vec<(HeaderName, HeaderValue)>,
        operation: &str,
        may_ask: bool,
    ) -> Result<Response<L::Body>, TransportError> {
        let request = manner.post(self.line.url(), message, mirrored)?;
        let exchange = self.exchange(request, operation);
        Ok(self.line.open(exchange.may_ask(may_ask)).await?)
    }

    /// Posts a message where HTTP+SSE wants it.
    pub(crate) async fn deliver(
        &self,
        bus: &Bus,
        manner: &Manner,
        message: &Value,
        operation: &str,
        may_ask: bool,
    ) -> Result<Delivery, TransportError> {
        let request = manner.post(bus.endpoint(), message, Vec::new())?;
        let exchange = self.exchange(request, operation).announced();
        let answer = self.line.open(exchange.may_ask(may_ask)).await?;
        let status = answer.status();
        if status.is_success() {
            self.drain(answer).await;
            return Ok(Delivery::Accepted);
        }
        if refused::is_gone(status) {
            return Ok(Delivery::Gone);
        }
        let refused = self.refused(answer).await;
        match refused.loss() {
            Loss::Gone | Loss::Told => Ok(Delivery::Gone),
            Loss::Perhaps | Loss::None => Ok(Delivery::Refused(refused)),
        }
    }

    /// A body to its end, within the bounds.
    pub(crate) async fn whole(&self, answer: Response<L::Body>) -> Result<Vec<u8>, TransportError> {
        let Bounds { event, head, idle, .. } = self.settings.bounds;
        let clock = self.line.clock();
        reading::whole_async(answer.into_body(), event, head, idle, clock).await.map_err(lost)
    }

    /// Reads what nobody needs, so that the connection can be used again. An event stream is left.
    pub(super) async fn drain(&self, answer: Response<L::Body>) {
        if answer::form(answer.headers()) != Form::Events {
            let _the_status_said_it_all = self.whole(answer).await;
        }
    }

    /// Reads an answer that is no success.
    pub(crate) async fn refused(&self, answer: Response<L::Body>) -> Refused {
        let (head, body) = answer.into_parts();
        let body = self.whole(Response::new(body)).await.unwrap_or_default();
        Refused::read(&Response::from_parts(head, ()), &body, self.settings.bounds.event)
    }

    /// Answers a request that nobody hears, aside.
    pub(crate) fn decline(self: &Arc<Self>, request: &Value) {
        if self.link().manner.wire == Wire::Modern {
            return;
        }
        if Arc::strong_count(&self.declining) > MOST_DECLINED {
            return;
        }
        let (engine, response) = (Arc::clone(self), rpc::declined(request));
        let declining = Arc::clone(&self.declining);
        self.line.spawn(Box::pin(async move {
            let _one_more = declining;
            let _or_the_server_waits = engine.say(&response, false).await;
        }));
    }

    /// Tells the server that nobody waits for a response any more (TRANS-24). In a session that is
    /// gone there is nothing to cancel, and none is begun for it.
    pub(crate) fn cancelled(self: &Arc<Self>, link: &Arc<Link>, id: u64) {
        let method = "notifications/cancelled";
        let params = json!({"requestId": id, "reason": "nobody waits for it any more"});
        let Ok(message) = rpc::message(None, method, &params) else { return };
        let (engine, link) = (Arc::clone(self), Arc::clone(link));
        let task: Task = Box::pin(async move {
            if !engine.is_closed() && !engine.is_gone(&link) {
                let _or_it_goes_on = engine.say_on(&link, &message, method, false).await;
            }
        });
        self.line.spawn(task);
    }

    pub(crate) async fn notify(
        self: &Arc<Self>,
        method: &str,
        params: Value,
    ) -> Result<(), TransportError> {
        let mut lost = false;
        loop {
            let link = self.ready().await?;
            let params = match link.manner.wire {
                Wire::Modern => with_meta(&params, &link.manner.version, &self.settings)?,
                Wire::Session | Wire::HttpSse => params.clone(),
            };
            let message = rpc::message(None, method, &params)?;
            let (operation, may_ask) = (operation(method, &params), self.settings.may_ask);
            match self.say_on(&link, &message, &operation, may_ask).await {
                Ok(()) => return Ok(()),
                Err(Untold { loss, .. }) if loss != Loss::None && !lost => {
                    lost = true;
                    self.renew(link.number, loss).await?;
                }
                Err(Untold { error, .. }) => return Err(error),
            }
        }
    }

    /// Answers a request of the server's.
    pub(crate) async fn respond(
        self: &Arc<Self>,
        id: &Value,
        outcome: Result<Value, Value>,
    ) -> Result<(), TransportError> {
        if self.link().manner.wire == Wire::Modern {
            return Err(TransportError::Unsupported("this revision has no requests of servers"));
        }
        self.say(&rpc::response(id, outcome), self.settings.may_ask).await
    }

    /// Answers a request of the server's. In a lost session it would mean nothing.
    async fn say(self: &Arc<Self>, message: &Value, may_ask: bool) -> Result<(), TransportError> {
        if self.is_closed() {
            return Err(TransportError::Closed);
        }
        let link = self.link();
        if self.is_gone(&link) {
            return Err(TransportError::SessionLost { maybe_executed: false });
        }
        match self.say_on(&link, message, "response", may_ask).await {
            Err(Untold { loss: Loss::Gone | Loss::Told, .. }) => {
                Err(TransportError::SessionLost { maybe_executed: false })
            }
            said => said.map_err(|untold| untold.error),
        }
    }

    async fn say_on(
        self: &Arc<Self>,
        link: &Link,
        message: &Value,
        operation: &str,
        may_ask: bool,
    ) -> Result<(), Untold> {
        let gone = TransportError::SessionLost { maybe_executed: false };
        if let Some(bus) = &link.bus {
            return match self.deliver(bus, &link.manner, message, operation, may_ask).await? {
                Delivery::Accepted => Ok(()),
                Delivery::Gone => {
                    bus.gone();
                    Err(Untold::new(Loss::Gone, gone))
                }
                Delivery::Refused(refused) => Err(refused.error().into()),
            };
        }
        let answer = self.post(&link.manner, message, Vec::new(), operation, may_ask).await?;
        if answer.status().is_success() {
            self.drain(answer).await;
            return Ok(());
        }
        let (loss, error) = self.lost(link, answer).await;
        Err(Untold::new(loss, error))
    }

    /// The error of an answer that is no success, and whether the session is lost. The body is not
    /// read if the status alone says that the session is lost.
    pub(crate) async fn lost(
        &self,
        link: &Link,
        answer: Response<L::Body>,
    ) -> (Loss, TransportError) {
        if link.manner.session.is_some() && refused::is_gone(answer.status()) {
            return (Loss::Gone, TransportError::SessionLost { maybe_executed: false });
        }
        let refused = self.refused(answer).await;
        (link.loss(&refused, self.line.now()), refused.error())
    }

    /// Ends the session (TRANS-21). No person is asked for that.
    pub(crate) async fn close(&self) -> Result<(), TransportError> {
        self.closed.store(true, Ordering::Release);
        let link = self.link();
        if let Some(bus) = &link.bus {
            bus.stop();
        }
        let none = link.manner.wire != Wire::Session || link.manner.session.is_none();
        if none || self.is_another_users(&link) {
            return Ok(());
        }
        let request = link.manner.delete(self.line.url())?;
        let limits = self.settings.within();
        let limits = Limits { total: limits.total.min(FAREWELL), ..limits };
        let exchange = self.exchange(request, Method::DELETE.as_str()).may_ask(false);
        let answer = self.line.open(exchange.limits(limits)).await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            // Whatever it says of a session that is gone, or else, nothing waits for it.
            _ => match self.lost(&link, answer).await {
                (Loss::None, error) => Err(error),
                _ => Ok(()),
            },
        }
    }
}
