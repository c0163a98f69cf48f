//! Opening a connection, and opening it again when the server has forgotten it.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as Turn;
use http::{Response, StatusCode};
use mcp_authz_core::effect::Why;
use serde_json::{Value, json};

use super::answer::{self, Form};
use super::bus::{Bus, Delivery};
use super::engine::{Engine, Link, lost};
use super::era::{Ask, Heard, Opening};
use super::error::TransportError;
use super::line::Line;
use super::request::{Manner, with_meta};
use super::resume::Resume;
use super::rpc;
use super::settings::Settings;
use crate::ports::AsyncBody;

/// More than any opening takes.
const MOST_QUESTIONS: u32 = 10;

impl<L: Line> Engine<L> {
    pub(crate) async fn connect(line: L, settings: Settings) -> Result<Arc<Self>, TransportError> {
        if !settings.capabilities.is_object() {
            return Err(TransportError::Invalid("the capabilities of a client are an object"));
        }
        let remembered = !line.memory().is_empty();
        let opening = Opening::new(&settings, line.memory());
        let link = Link {
            manner: opening.manner().clone(),
            server: Arc::new(Value::Null),
            bus: None,
            farewells: 0,
            number: 0,
        };
        let engine = Arc::new(Self {
            line,
            settings,
            ids: AtomicU64::new(0),
            link: Mutex::new(Arc::new(link)),
            turn: Turn::new(()),
            tools: Mutex::default(),
            closed: AtomicBool::new(false),
            declining: Arc::default(),
        });
        match engine.establish(opening, 1).await {
            Err(error) if remembered && error.of_the_era() => {
                let memory = engine.line.memory();
                memory.forget();
                engine.establish(Opening::new(&engine.settings, memory), 1).await?;
            }
            other => other?,
        }
        Ok(engine)
    }

    /// Opens again what is gone, once for everybody who found out (TRANS-19).
    /// Aside, since a caller may leave off without being dropped: whoever has the turn must go on, or
    /// all others would wait for somebody who sleeps.
    pub(crate) async fn renew(self: &Arc<Self>, gone: u64) -> Result<(), TransportError> {
        let (done, renewed) = oneshot::channel();
        let engine = Arc::clone(self);
        self.line.spawn(Box::pin(async move {
            let _nobody_left = done.send(engine.open_again(gone).await);
        }));
        let not_begun = TransportError::Lost { why: Why::Abandoned, maybe_executed: false };
        renewed.await.unwrap_or(Err(not_begun))
    }

    async fn open_again(self: &Arc<Self>, gone: u64) -> Result<(), TransportError> {
        let _turn = self.turn.lock().await;
        let link = self.link();
        if link.number != gone {
            return Ok(());
        }
        let opening = Opening::again(&link.manner, &self.settings);
        self.establish(opening, gone.saturating_add(1)).await
    }

    async fn establish(
        self: &Arc<Self>,
        mut opening: Opening,
        number: u64,
    ) -> Result<(), TransportError> {
        let (mut bus, farewells) = (None, self.line.memory().farewells());
        for _ in 0..MOST_QUESTIONS {
            match opening.ask() {
                Some(Ask::Stream) => match Bus::open(self, opening.manner()).await {
                    Ok(opened) => {
                        bus = Some(opened);
                        opening.streaming();
                    }
                    Err(error) => return Err(opening.no_stream(error)),
                },
                Some(ask) => {
                    let heard = self.question(opening.manner(), bus.as_ref(), ask).await?;
                    opening.hear(ask, heard)?;
                }
                None => {
                    let (manner, server) = opening.finish();
                    self.line.memory().keep(&manner);
                    let server = Arc::new(server);
                    let link = Arc::new(Link { manner, server, bus, farewells, number });
                    *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
                    return Ok(());
                }
            }
        }
        Err(TransportError::Malformed("the connection is never open"))
    }

    /// Asks one of the questions that open a connection.
    async fn question(
        self: &Arc<Self>,
        manner: &Manner,
        bus: Option<&Bus>,
        ask: Ask,
    ) -> Result<Heard, TransportError> {
        let (method, params) = match ask {
            Ask::Initialized => ("notifications/initialized", Value::Null),
            Ask::Initialize => {
                let params = json!({
                    "protocolVersion": manner.version,
                    "capabilities": self.settings.capabilities,
                    "clientInfo": self.settings.info(),
                });
                ("initialize", params)
            }
            Ask::Discover | Ask::Stream => {
                ("server/discover", with_meta(&Value::Null, &manner.version, &self.settings)?)
            }
        };
        let id = (ask != Ask::Initialized).then(|| self.fresh_id());
        let message = rpc::message(id, method, &params)?;
        if let Some(bus) = bus {
            return self.question_on(bus, manner, id, &message, method).await;
        }
        let answer = self.post(manner, &message, Vec::new(), method, true).await?;
        let status = answer.status();
        let begins = ask == Ask::Initialize && status.is_success();
        let session = if begins { answer::session_id(answer.headers())? } else { None };
        let response = match id {
            Some(id) => self.response(answer, id).await?,
            None => {
                self.drain(answer).await;
                None
            }
        };
        Ok(Heard { status, response, session })
    }

    async fn question_on(
        &self,
        bus: &Bus,
        manner: &Manner,
        id: Option<u64>,
        message: &Value,
        method: &str,
    ) -> Result<Heard, TransportError> {
        let not_asked = TransportError::Lost { why: Why::Broken, maybe_executed: false };
        let mail = id.map(|id| bus.expect(id).ok_or(not_asked)).transpose()?;
        let (status, response) = match self.deliver(bus, manner, message, method, true).await? {
            Delivery::Accepted => match mail {
                Some(mail) => {
                    let (mail, late) =
                        (pin!(mail.wait()), pin!(self.line.sleep(self.settings.bounds.head)));
                    match select(mail, late).await {
                        Either::Left((response, _)) => (StatusCode::OK, Some(response?)),
                        Either::Right(_) => return Err(lost(Why::Timeout)),
                    }
                }
                None => (StatusCode::ACCEPTED, None),
            },
            Delivery::Gone => (StatusCode::NOT_FOUND, None),
            Delivery::Refused(status, response) => (status, response),
        };
        Ok(Heard { status, response, session: None })
    }

    /// The one response in an answer to the opening of a connection, if it is one.
    async fn response(
        &self,
        answer: Response<L::Body>,
        id: u64,
    ) -> Result<Option<Value>, TransportError> {
        if !answer.status().is_success() {
            let body = self.whole(answer).await.unwrap_or_default();
            return Ok(rpc::failure(&body).map(|failure| rpc::under(failure, id)));
        }
        match answer::form(answer.headers()) {
            Form::Other => Ok(None),
            Form::Json => {
                let body = self.whole(answer).await?;
                let messages = rpc::messages(&body).unwrap_or_default();
                Ok(messages.into_iter().find(|message| rpc::answers(message, id)))
            }
            Form::Events => {
                let mut events = Resume::new(self.settings.bounds.event, 0);
                let mut body = answer.into_body();
                // Everybody else may wait for this one, so that it must not go on for ever.
                let bounds = &self.settings.bounds;
                let until = Instant::now().checked_add(bounds.head);
                loop {
                    let left = until.map_or(bounds.idle, |until| {
                        until.saturating_duration_since(Instant::now()).min(bounds.idle)
                    });
                    if left.is_zero() {
                        return Err(lost(Why::Timeout));
                    }
                    let piece = body.piece(left).await;
                    let piece = piece.map_err(lost)?.ok_or_else(|| lost(Why::Broken))?;
                    for text in events.feed(&piece)? {
                        let found = rpc::messages(text.as_bytes())?;
                        let mut found = found.into_iter();
                        if let Some(found) = found.find(|message| rpc::answers(message, id)) {
                            return Ok(Some(found));
                        }
                    }
                }
            }
        }
    }
}
