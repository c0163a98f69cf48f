//! Opening a connection, and opening it again when the server has forgotten it.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as AsyncMutex;
use http::{Response, StatusCode};
use mcp_authz_core::effect::Why;
use serde_json::{Value, json};

use super::answer::{self, Form};
use super::bus::{Bus, Delivery, Opened};
use super::engine::Engine;
use super::era::{Ask, Heard, Opening};
use super::error::{TransportError, lost};
use super::line::{Line, Within};
use super::link::{Begun, Link};
use super::manner::{Manner, with_meta};
use super::refused::{Loss, Refused};
use super::resume::Resume;
use super::rpc;
use super::settings::{Bounds, Settings};

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
            begun: Begun::first(line.now()),
            worked: AtomicBool::new(false),
        };
        let engine = Arc::new(Self {
            line,
            settings,
            ids: AtomicU64::new(0),
            link: Mutex::new(Arc::new(link)),
            turn: AsyncMutex::new(()),
            tools: Mutex::default(),
            closed: AtomicBool::new(false),
            declining: Arc::default(),
        });
        match engine.establish(opening, 1, Begun::first(engine.line.now())).await {
            Err(error) if remembered && error.of_the_era() => {
                let memory = engine.line.memory();
                memory.forget();
                let (anew, begun) =
                    (Opening::new(&engine.settings, memory), Begun::first(engine.line.now()));
                engine.establish(anew, 1, begun).await?;
            }
            other => other?,
        }
        Ok(engine)
    }

    /// Opens again what is gone, once for everybody who found out (TRANS-19).
    /// Aside, since a caller may leave off without being dropped: whoever has the turn must go on, or
    /// all others would wait for somebody who sleeps.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        gone: u64,
        why: Loss,
    ) -> Result<(), TransportError> {
        let (done, renewed) = oneshot::channel();
        let engine = Arc::clone(self);
        self.line.spawn(Box::pin(async move {
            let _nobody_left = done.send(engine.open_again(gone, why).await);
        }));
        let not_begun = TransportError::Lost { why: Why::Abandoned, maybe_executed: false };
        renewed.await.unwrap_or(Err(not_begun))
    }

    async fn open_again(self: &Arc<Self>, gone: u64, why: Loss) -> Result<(), TransportError> {
        let _turn = self.turn.lock().await;
        let link = self.link();
        if link.number != gone {
            return Ok(());
        }
        let now = self.line.now();
        let begun = if self.is_another_users(&link) {
            Begun::first(now)
        } else {
            let lost = TransportError::SessionLost { maybe_executed: false };
            link.begun.again(now, link.has_worked(), why).ok_or(lost)?
        };
        let opening = Opening::again(&link.manner, &self.settings);
        self.establish(opening, gone.saturating_add(1), begun).await
    }

    async fn establish(
        self: &Arc<Self>,
        mut opening: Opening,
        number: u64,
        begun: Begun,
    ) -> Result<(), TransportError> {
        let (mut bus, farewells) = (None, self.line.memory().farewells());
        for _ in 0..MOST_QUESTIONS {
            match opening.ask() {
                Some(Ask::Stream) => match self.stream(opening.manner()).await {
                    Ok(opened) => {
                        bus = Some(opened);
                        opening.streaming();
                    }
                    Err(error) => return Err(opening.no_stream(error)),
                },
                Some(ask) => {
                    let heard = self.question(opening.manner(), bus.as_ref(), ask).await;
                    let heard = heard.and_then(|heard| opening.hear(ask, heard));
                    heard.map_err(|error| ask.refused(error))?;
                }
                None => {
                    let (manner, server) = opening.finish();
                    self.line.memory().keep(&manner);
                    let server = Arc::new(server);
                    let worked = AtomicBool::new(false);
                    let link = Link { manner, server, bus, farewells, number, begun, worked };
                    let link = Arc::new(link);
                    *self.link.lock().unwrap_or_else(PoisonError::into_inner) = link;
                    return Ok(());
                }
            }
        }
        Err(TransportError::Malformed("the connection is never open"))
    }

    /// Opens the stream of HTTP+SSE (TRANS-30..33).
    async fn stream(self: &Arc<Self>, manner: &Manner) -> Result<Bus, TransportError> {
        let request = manner.get(self.line.url(), None)?;
        let answer = self.line.open(self.exchange(request, "GET")).await?;
        let (endpoint, opened) = Opened::read(answer, &self.line, &self.settings.bounds).await?;
        let asker = Arc::downgrade(self);
        let decline = move |request: Value| {
            if let Some(engine) = asker.upgrade() {
                engine.decline(&request);
            }
        };
        Ok(Bus::new(&self.line, endpoint, opened, decline))
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
        let may_ask = self.settings.may_ask;
        let answer = self.post(manner, &message, Vec::new(), method, may_ask).await?;
        let status = answer.status();
        let begins = ask == Ask::Initialize && status.is_success();
        let session = if begins { answer::session_id(answer.headers())? } else { None };
        if !status.is_success() {
            let refused = self.refused(answer).await;
            let response = refused.response.zip(id).map(|(failure, id)| rpc::under(failure, id));
            return Ok(Heard { status, response, session, said: refused.said });
        }
        let response = match id {
            Some(id) => self.response(answer, id).await?,
            None => {
                self.drain(answer).await;
                None
            }
        };
        Ok(Heard { status, response, session, said: None })
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
        let may_ask = self.settings.may_ask;
        let refused = match self.deliver(bus, manner, message, method, may_ask).await? {
            Delivery::Accepted => match mail {
                Some(mail) => {
                    let (mail, late) =
                        (pin!(mail.wait()), pin!(self.line.sleep(self.settings.bounds.head)));
                    match select(mail, late).await {
                        Either::Left((response, _)) => {
                            let response = Some(response?);
                            Refused { response, ..Refused::bare(StatusCode::OK) }
                        }
                        Either::Right(_) => return Err(lost(Why::Timeout)),
                    }
                }
                None => Refused::bare(StatusCode::ACCEPTED),
            },
            Delivery::Gone => Refused::bare(StatusCode::NOT_FOUND),
            Delivery::Refused(refused) => refused,
        };
        let Refused { status, response, said } = refused;
        Ok(Heard { status, response, session: None, said })
    }

    /// The one response in an answer to the opening of a connection, if it is one.
    async fn response(
        &self,
        answer: Response<L::Body>,
        id: u64,
    ) -> Result<Option<Value>, TransportError> {
        match answer::form(answer.headers()) {
            Form::Other => Ok(None),
            Form::Json => {
                let body = self.whole(answer).await?;
                let messages = match rpc::messages(&body, self.settings.bounds.event) {
                    Err(TransportError::TooLarge) => return Err(TransportError::TooLarge),
                    read => read.unwrap_or_default(),
                };
                Ok(messages.into_iter().find(|message| rpc::answers(message, id)))
            }
            Form::Events => {
                let mut events = Resume::new(self.settings.bounds.event, 0);
                let mut body = answer.into_body();
                // Everybody else may wait for this one, so that it must not go on for ever.
                let Bounds { event, head, idle, .. } = self.settings.bounds;
                let within = Within::new(self.line.now(), head, idle);
                loop {
                    let piece = within.piece(self.line.now(), &mut body).await;
                    let piece = piece.map_err(lost)?.ok_or_else(|| lost(Why::Broken))?;
                    for text in events.feed(&piece)? {
                        let found = rpc::messages(text.as_bytes(), event)?;
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
