//! One connection, and what is asked on it.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::lock::Mutex as Turn;
use futures_util::stream::{self, BoxStream};
use http::header::HeaderName;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use mcp_authz_core::effect::{Limits, Why};
use serde_json::{Value, json};

use super::answer::{self, Form};
use super::bus::{Bus, Delivery};
use super::error::{RpcError, TransportError};
use super::flow::Flow;
use super::line::{Line, Task};
use super::mirror::{DroppedTool, Tools};
use super::request::{Manner, Wire, operation, with_meta};
use super::rpc::{self, Sort};
use super::settings::{Bounds, Kind, Settings};
use crate::exchange::Exchange;
use crate::reading;

/// What the server sends, as it comes.
pub(crate) type Messages = BoxStream<'static, Result<Value, TransportError>>;

/// How often one request begins a lost session anew (TRANS-19).
pub(crate) const MOST_RENEWALS: u32 = 2;
/// How many requests of the server's are declined at a time. Those beyond get no answer, or a server
/// could have a task, and a thread where those are threads, for each that fits into an event.
const MOST_DECLINED: usize = 16;
/// How long the server may take over a farewell.
const FAREWELL: Duration = Duration::from_secs(10);
/// Pages of the list of tools that are read for the sake of one call.
const MOST_PAGES: u32 = 32;

/// What was agreed with the server.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) manner: Manner,
    pub(crate) server: Arc<Value>,
    pub(crate) bus: Option<Bus>,
    /// How many users had gone before it: a session is its user's own (TRANS-26).
    pub(crate) farewells: u64,
    /// Which opening it came of.
    pub(crate) number: u64,
}

/// One connection, which its callers share.
pub(crate) struct Engine<L: Line> {
    pub(crate) line: L,
    pub(crate) settings: Settings,
    pub(super) ids: AtomicU64,
    pub(super) link: Mutex<Arc<Link>>,
    /// Whoever opens the connection again holds it; nobody else waits for them but who wants the
    /// same.
    pub(super) turn: Turn<()>,
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

    /// Whether the user has gone to whom the session belongs (TRANS-26).
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
            self.renew(link.number).await?;
            return Ok(self.link());
        }
        Ok(link)
    }

    pub(crate) fn exchange(&self, request: Request<Vec<u8>>, operation: &str) -> Exchange {
        Exchange::new(request)
            .operation(operation)
            .may_ask(self.settings.may_ask)
            .limits(self.settings.within())
    }

    /// What nobody waits for bothers nobody, whatever the program allows.
    const fn asking(&self, exchange: Exchange, may_ask: bool) -> Exchange {
        exchange.may_ask(self.settings.may_ask && may_ask)
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
        Ok(self.line.open(self.asking(exchange, may_ask)).await?)
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
        let answer = self.line.open(self.asking(exchange, may_ask)).await?;
        let status = answer.status();
        if status.is_success() {
            self.drain(answer).await;
            return Ok(Delivery::Accepted);
        }
        let body = self.whole(answer).await.unwrap_or_default();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Ok(Delivery::Gone);
        }
        Ok(Delivery::Refused(status, rpc::failure(&body)))
    }

    /// A body to its end, within the bounds.
    pub(crate) async fn whole(&self, answer: Response<L::Body>) -> Result<Vec<u8>, TransportError> {
        let Bounds { event, head, idle, .. } = self.settings.bounds;
        reading::whole_async(answer.into_body(), event, head, idle).await.map_err(lost)
    }

    /// Reads what nobody needs, so that the connection can be used again. An event stream is left.
    pub(super) async fn drain(&self, answer: Response<L::Body>) {
        if answer::form(answer.headers()) != Form::Events {
            let _the_status_said_it_all = self.whole(answer).await;
        }
    }

    /// What the body of a failed answer says.
    async fn failure(&self, answer: Response<L::Body>) -> TransportError {
        let status = answer.status();
        let body = self.whole(answer).await.unwrap_or_default();
        said(status, rpc::failure(&body).as_ref())
    }

    /// Everything the server sends for one request, the response last.
    pub(crate) fn request(self: &Arc<Self>, method: &str, params: Value) -> Messages {
        flowing(Flow::asking(Arc::clone(self), method, params))
    }

    /// The result of one request. What the server asks meanwhile is declined.
    pub(crate) async fn call(
        self: &Arc<Self>,
        method: &str,
        params: Value,
    ) -> Result<Value, TransportError> {
        let mut flow = Flow::asking(Arc::clone(self), method, params);
        while let Some(message) = flow.next().await {
            let mut message = message?;
            match rpc::sort(&message) {
                Some(Sort::Response) if flow.is_answered() => {
                    if let Some(error) = message.get("error") {
                        return Err(TransportError::Rpc(RpcError::read(error)));
                    }
                    let result = message.get_mut("result").map(Value::take);
                    return Ok(result.unwrap_or_default());
                }
                Some(Sort::Request) => self.decline(&message),
                _ => {}
            }
        }
        Err(TransportError::Malformed("there was no response"))
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
        for _ in 0..=MOST_RENEWALS {
            let link = self.ready().await?;
            let params = match link.manner.wire {
                Wire::Modern => with_meta(&params, &link.manner.version, &self.settings)?,
                Wire::Session | Wire::HttpSse => params.clone(),
            };
            let message = rpc::message(None, method, &params)?;
            match self.say_on(&link, &message, &operation(method, &params), true).await {
                Err(TransportError::SessionLost { .. }) => self.renew(link.number).await?,
                other => return other,
            }
        }
        Err(TransportError::SessionLost { maybe_executed: false })
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
        self.say(&rpc::response(id, outcome), true).await
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
        self.say_on(&link, message, "response", may_ask).await
    }

    async fn say_on(
        self: &Arc<Self>,
        link: &Link,
        message: &Value,
        operation: &str,
        may_ask: bool,
    ) -> Result<(), TransportError> {
        let gone = TransportError::SessionLost { maybe_executed: false };
        if let Some(bus) = &link.bus {
            return match self.deliver(bus, &link.manner, message, operation, may_ask).await? {
                Delivery::Accepted => Ok(()),
                Delivery::Gone => {
                    bus.gone();
                    Err(gone)
                }
                Delivery::Refused(status, response) => Err(said(status, response.as_ref())),
            };
        }
        let answer = self.post(&link.manner, message, Vec::new(), operation, may_ask).await?;
        match answer.status() {
            status if status.is_success() => {
                self.drain(answer).await;
                Ok(())
            }
            StatusCode::NOT_FOUND if link.manner.session.is_some() => Err(gone),
            _ => Err(self.failure(answer).await),
        }
    }

    /// The server's own stream, if it has one (TRANS-22).
    pub(crate) async fn listen(self: &Arc<Self>) -> Result<Option<Messages>, TransportError> {
        for _ in 0..=MOST_RENEWALS {
            let link = self.ready().await?;
            match (link.manner.wire, &link.bus) {
                (Wire::Modern, _) => return Ok(None),
                (_, Some(bus)) => return Ok(Some(bus.listen())),
                (Wire::HttpSse, None) => return Err(TransportError::Closed),
                (Wire::Session, None) => {}
            }
            let request = link.manner.get(self.line.url(), None)?;
            let answer = self.line.open(self.exchange(request, "GET")).await?;
            match answer.status() {
                StatusCode::METHOD_NOT_ALLOWED => return Ok(None),
                StatusCode::NOT_FOUND if link.manner.session.is_some() => {
                    self.renew(link.number).await?;
                }
                StatusCode::NOT_FOUND => return Ok(None),
                status if !status.is_success() => return Err(self.failure(answer).await),
                _ if answer::form(answer.headers()) != Form::Events => {
                    return Err(TransportError::Malformed("it is no stream of events"));
                }
                _ => {
                    let flow = Flow::standing(Arc::clone(self), link, answer.into_body());
                    return Ok(Some(flowing(flow)));
                }
            }
        }
        Err(TransportError::SessionLost { maybe_executed: false })
    }

    /// Reads the list of tools once more, for the sake of one call (TRANS-14).
    pub(crate) fn relist(
        self: &Arc<Self>,
    ) -> core::pin::Pin<Box<dyn Future<Output = Result<(), TransportError>> + Send>> {
        let engine = Arc::clone(self);
        Box::pin(async move {
            let mut params = json!({});
            for _ in 0..MOST_PAGES {
                let result = engine.call("tools/list", params).await?;
                match result.get("nextCursor") {
                    Some(cursor) if cursor.is_string() => params = json!({"cursor": cursor}),
                    _ => break,
                }
            }
            Ok(())
        })
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
            status if status.is_success() => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => Ok(()),
            // Whatever else it says, nothing waits for it.
            status => Err(TransportError::Status(status)),
        }
    }
}

/// A flow as a stream. A wait for it that is given up loses nothing.
fn flowing<L: Line>(flow: Flow<L>) -> Messages {
    stream::unfold(flow, async |mut flow| flow.next().await.map(|message| (message, flow))).boxed()
}

pub(crate) const fn lost(why: Why) -> TransportError {
    match why {
        Why::BodyTooLarge => TransportError::TooLarge,
        _ => TransportError::Lost { why, maybe_executed: true },
    }
}

/// What a failed answer says.
pub(crate) fn said(status: StatusCode, response: Option<&Value>) -> TransportError {
    match response.and_then(|response| response.get("error")) {
        Some(error) => TransportError::Rpc(RpcError::read(error)),
        None => TransportError::Status(status),
    }
}
