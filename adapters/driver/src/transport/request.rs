//! The server's messages for one request, or on its own stream, over as many connections as it
//! takes.

use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::{Response, StatusCode};
use mcp_authz_core::effect::Why;
use mcp_authz_core::time::Monotonic;
use serde_json::Value;

use super::answer::{self, Form};
use super::bus::{Delivery, Mail};
use super::codes::{HEADER_MISMATCH, UNSUPPORTED_VERSION};
use super::engine::Engine;
use super::error::{TransportError, lost};
use super::line::Line;
use super::link::{Link, MOST_RENEWALS};
use super::manner::{Wire, only_reads, operation, with_meta};
use super::refused::{self, Loss, Refused};
use super::resume::{Again, Resume};
use super::rpc;
use crate::exchange::ExchangeError;
use crate::ports::AsyncBody;

/// One request under way, or a standing stream.
pub(crate) struct Request<L: Line> {
    engine: Arc<Engine<L>>,
    /// The request; nothing for a standing stream.
    asked: Option<Asked>,
    link: Option<Arc<Link>>,
    stage: Stage<L::Body>,
    /// The texts that came and are not read yet. One is read at a time, since it may take much more
    /// memory once it is read.
    texts: VecDeque<String>,
    ready: VecDeque<Value>,
    resume: Resume,
    renewals: u32,
    /// True if a session was lost after this request had been sent on it.
    lost: bool,
    /// True if the caller has seen anything of it.
    shown: bool,
    /// The server may be at work on it.
    pending: bool,
    answered: bool,
    /// When the response is late; never in a standing stream.
    until: Option<Monotonic>,
}

struct Asked {
    id: u64,
    method: String,
    params: Value,
    may_ask: bool,
    relisted: bool,
    repeated: bool,
}

enum Stage<B> {
    Start,
    Reading(B),
    Broken(Again),
    Mail(Mail),
    /// Nothing more comes than is there already.
    Ended,
    /// Nor does it, for this reason.
    Failed(TransportError),
    Over,
}

impl<L: Line> Request<L> {
    pub(crate) fn asking(
        engine: Arc<Engine<L>>,
        method: &str,
        params: Value,
        may_ask: bool,
    ) -> Self {
        let id = engine.fresh_id();
        let method = method.to_owned();
        let asked = Asked { id, method, params, may_ask, relisted: false, repeated: false };
        Self::new(engine, Some(asked), None, Stage::Start)
    }

    pub(crate) fn standing(engine: Arc<Engine<L>>, link: Arc<Link>, body: L::Body) -> Self {
        Self::new(engine, None, Some(link), Stage::Reading(body))
    }

    fn new(
        engine: Arc<Engine<L>>,
        asked: Option<Asked>,
        link: Option<Arc<Link>>,
        stage: Stage<L::Body>,
    ) -> Self {
        let bounds = engine.settings.bounds;
        let resume = Resume::new(bounds.event, bounds.reconnects);
        let ready = VecDeque::new();
        Self {
            engine,
            asked,
            link,
            stage,
            texts: VecDeque::new(),
            ready,
            resume,
            renewals: 0,
            lost: false,
            shown: false,
            pending: false,
            answered: false,
            until: None,
        }
    }

    /// The next message; nothing after the response or an error.
    pub(crate) async fn next(&mut self) -> Option<Result<Value, TransportError>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                // The response to another request settles nothing here.
                let asked = self.asked.as_ref();
                if asked.is_some_and(|asked| rpc::is_of_another(&message, asked.id)) {
                    continue;
                }
                self.shown = true;
                return Some(Ok(self.told(message).await));
            }
            if let Some(text) = self.texts.pop_front() {
                match rpc::messages(text.as_bytes(), self.engine.settings.bounds.event) {
                    Ok(messages) => self.ready.extend(messages),
                    Err(error) => {
                        self.texts.clear();
                        self.stage = Stage::Failed(error);
                    }
                }
                continue;
            }
            // The step that is under way puts the stage back at its end; a wait that is given up is
            // taken up again.
            let step = match core::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Start => self.start().await,
                Stage::Reading(body) => self.read(body).await,
                Stage::Broken(again) => self.reconnect(again).await,
                Stage::Mail(mail) => self.collect(mail).await,
                Stage::Ended => Err(TransportError::Malformed("the response is not among it")),
                Stage::Failed(error) => Err(error),
                Stage::Over => return None,
            };
            match step {
                Ok(stage) => self.stage = stage,
                Err(error) => {
                    self.pending = false;
                    return Some(Err(error));
                }
            }
        }
    }

    /// A message on its way to the caller. After the response nothing comes.
    async fn told(&mut self, mut message: Value) -> Value {
        let Some(asked) = self.asked.as_ref().filter(|asked| rpc::answers(&message, asked.id))
        else {
            return message;
        };
        let modern = self.link.as_ref().is_some_and(|link| link.manner.wire == Wire::Modern);
        if modern
            && asked.method == "tools/list"
            && let Some(result) = message.get_mut("result")
        {
            self.engine.learn(result);
        }
        self.pending = false;
        self.answered = true;
        self.ready.clear();
        self.texts.clear();
        if let Stage::Reading(body) = core::mem::replace(&mut self.stage, Stage::Over) {
            self.engine.line.finish(body).await;
        }
        message
    }

    /// Returns true if the message that came last is the response.
    pub(crate) const fn is_answered(&self) -> bool {
        self.answered
    }

    async fn start(&mut self) -> Result<Stage<L::Body>, TransportError> {
        let link = self.engine.ready().await?;
        self.link = Some(Arc::clone(&link));
        let Some(asked) = &self.asked else { return Ok(Stage::Over) };
        let modern = link.manner.wire == Wire::Modern;
        let params = if modern {
            with_meta(&asked.params, &link.manner.version, &self.engine.settings)?
        } else {
            asked.params.clone()
        };
        let (id, may_ask) = (asked.id, asked.may_ask);
        let operation = operation(&asked.method, &params);
        let message = rpc::message(Some(id), &asked.method, &params)?;
        let mirrored = if modern && asked.method == "tools/call" {
            self.engine.mirrored(&params)
        } else {
            Vec::new()
        };
        self.pending = true;
        let Some(bus) = &link.bus else {
            let answer =
                self.engine.post(&link.manner, &message, mirrored, &operation, may_ask).await?;
            self.until = Some(self.due());
            return self.head(&link, answer).await;
        };
        let Some(mail) = bus.expect(id) else { return self.renew(&link, Loss::Gone).await };
        match self.engine.deliver(bus, &link.manner, &message, &operation, may_ask).await? {
            Delivery::Accepted => {
                self.until = Some(self.due());
                link.works();
                Ok(Stage::Mail(mail))
            }
            Delivery::Gone => {
                bus.gone();
                self.lost(&link, Loss::Gone).await
            }
            Delivery::Refused(refused) => self.refused(&link, refused).await,
        }
    }

    /// When the response to what was just sent is late.
    fn due(&self) -> Monotonic {
        self.engine.line.now().after(self.engine.settings.bounds.response)
    }

    /// The session is gone with the request in it. It is sent twice and no more (TRANS-90).
    async fn lost(&mut self, link: &Link, loss: Loss) -> Result<Stage<L::Body>, TransportError> {
        if self.lost {
            return Err(TransportError::SessionLost { maybe_executed: false });
        }
        self.lost = true;
        self.renew(link, loss).await
    }

    /// The session does not know the request, so it was not executed: a new one gets it.
    async fn renew(&mut self, link: &Link, loss: Loss) -> Result<Stage<L::Body>, TransportError> {
        if self.renewals >= MOST_RENEWALS {
            return Err(TransportError::SessionLost { maybe_executed: false });
        }
        self.renewals = self.renewals.saturating_add(1);
        self.pending = false;
        self.engine.renew(link.number, loss).await?;
        Ok(Stage::Start)
    }

    async fn head(
        &mut self,
        link: &Link,
        answer: Response<L::Body>,
    ) -> Result<Stage<L::Body>, TransportError> {
        let status = answer.status();
        if refused::is_gone(status) && link.manner.session.is_some() {
            return self.lost(link, Loss::Gone).await;
        }
        if !status.is_success() {
            let refused = self.engine.refused(answer).await;
            return match link.loss(&refused, self.engine.line.now()) {
                // An error about the second session as well is an error about the request.
                loss if loss != Loss::None && !self.lost => self.lost(link, loss).await,
                _ => self.refused(link, refused).await,
            };
        }
        link.works();
        match answer::form(answer.headers()) {
            Form::Events => Ok(Stage::Reading(answer.into_body())),
            Form::Json => {
                let body = self.engine.whole(answer).await?;
                let ours = self.asked.as_ref().map(|asked| asked.id);
                let named = |message| match ours {
                    Some(id) if rpc::is_nameless(&message) => rpc::under(message, id),
                    _ => message,
                };
                let messages = rpc::messages(&body, self.engine.settings.bounds.event)?;
                self.ready.extend(messages.into_iter().map(named));
                Ok(Stage::Ended)
            }
            Form::Other => Err(TransportError::Malformed("it is neither JSON nor events")),
        }
    }

    /// An HTTP error, with a response in it or without one.
    async fn refused(
        &mut self,
        link: &Link,
        refused: Refused,
    ) -> Result<Stage<L::Body>, TransportError> {
        self.pending = false;
        let (Some(response), Some(asked)) = (refused.response.clone(), &mut self.asked) else {
            return Err(refused.error());
        };
        let modern = link.manner.wire == Wire::Modern;
        let code = rpc::code(&response);
        if modern && code == HEADER_MISMATCH && asked.method == "tools/call" && !asked.relisted {
            asked.relisted = true;
            self.engine.relist().await?;
            return Ok(Stage::Start);
        }
        if modern && code == UNSUPPORTED_VERSION {
            // The next connection finds out the revision anew (TRANS-29).
            self.engine.line.memory().forget();
        }
        self.ready.push_back(rpc::under(response, asked.id));
        Ok(Stage::Ended)
    }

    async fn read(&mut self, mut body: L::Body) -> Result<Stage<L::Body>, TransportError> {
        let idle = self.engine.settings.bounds.idle;
        let Some(left) = self.left() else { return Err(self.late()) };
        let why = match body.piece(idle.min(left)).await {
            Ok(Some(piece)) => {
                self.texts.extend(self.resume.feed(&piece)?);
                return Ok(Stage::Reading(body));
            }
            Ok(None) => Why::Broken,
            Err(_) if self.left().is_none() => return Err(self.late()),
            Err(why) => why,
        };
        drop(body);
        self.broken(why)
    }

    /// The stream is gone before its end.
    fn broken(&mut self, why: Why) -> Result<Stage<L::Body>, TransportError> {
        if self.resume.is_refused() {
            return Err(TransportError::TooLarge);
        }
        let wire = self.link.as_ref().map(|link| link.manner.wire);
        let Some(asked) = &mut self.asked else {
            if self.engine.is_closed() {
                return Ok(Stage::Over);
            }
            let again = self.resume.broke_standing(why == Why::Timeout);
            return again.map(Stage::Broken).ok_or_else(|| lost(why));
        };
        if wire == Some(Wire::Session) {
            return self.resume.broke().map(Stage::Broken).ok_or_else(|| lost(why));
        }
        let repeats = self.engine.settings.repeat_reads && only_reads(&asked.method);
        if repeats && !asked.repeated && !self.shown {
            asked.repeated = true;
            asked.id = self.engine.fresh_id();
            let bounds = self.engine.settings.bounds;
            self.resume = Resume::new(bounds.event, bounds.reconnects);
            return Ok(Stage::Start);
        }
        Err(lost(why))
    }

    /// Goes on with a stream where it broke (TRANS-23). Refused tokens are replaced on the way.
    async fn reconnect(&mut self, again: Again) -> Result<Stage<L::Body>, TransportError> {
        let Some(left) = self.left() else { return Err(self.late()) };
        self.engine.line.sleep(again.wait.min(left)).await;
        let Some(link) = self.link.clone() else { return Ok(Stage::Over) };
        if self.engine.is_another_users(&link) {
            return Err(TransportError::SessionLost { maybe_executed: self.asked.is_some() });
        }
        let request = link.manner.get(self.engine.line.url(), again.after.as_ref())?;
        let exchange = self.engine.exchange(request, "GET");
        let answer = match self.engine.line.open(exchange).await {
            Ok(answer) => answer,
            Err(ExchangeError::Lost { why, .. }) => return self.broken(why),
            Err(error) => return Err(error.into()),
        };
        let gone = TransportError::SessionLost { maybe_executed: self.asked.is_some() };
        match answer.status() {
            status if refused::is_gone(status) && link.manner.session.is_some() => Err(gone),
            // A server that closes its own stream and then has none any more has nothing to say.
            StatusCode::METHOD_NOT_ALLOWED if self.asked.is_none() => Ok(Stage::Over),
            status
                if status.is_server_error()
                    || status == StatusCode::TOO_MANY_REQUESTS
                    || status == StatusCode::REQUEST_TIMEOUT =>
            {
                self.broken(Why::Broken)
            }
            status if status.is_success() && answer::form(answer.headers()) == Form::Events => {
                self.resume.resumed();
                Ok(Stage::Reading(answer.into_body()))
            }
            status if status.is_success() => Err(lost(Why::Broken)),
            // An event that the server does not know is an error of another kind.
            _ => match self.engine.lost(&link, answer).await {
                (Loss::Gone | Loss::Told, _) => Err(gone),
                _ => Err(lost(Why::Broken)),
            },
        }
    }

    async fn collect(&mut self, mail: Mail) -> Result<Stage<L::Body>, TransportError> {
        let response = match self.until {
            None => Some(mail.wait().await),
            Some(until) => {
                let left = self.engine.line.now().until(until);
                let late = pin!(self.engine.line.sleep(left));
                match select(pin!(mail.wait()), late).await {
                    Either::Left((response, _)) => Some(response),
                    Either::Right(_) => None,
                }
            }
        };
        let Some(response) = response else { return Err(self.late()) };
        self.ready.push_back(response?);
        Ok(Stage::Ended)
    }

    /// The rest of the time for the response; nothing if it is over.
    fn left(&self) -> Option<Duration> {
        let Some(until) = self.until else { return Some(Duration::MAX) };
        Some(self.engine.line.now().until(until)).filter(|left| !left.is_zero())
    }

    fn late(&mut self) -> TransportError {
        self.cancel();
        lost(Why::Timeout)
    }

    /// Says that nobody waits any more, once. In the modern revision the closed stream says so
    /// (TRANS-17); before it a message does (TRANS-24).
    fn cancel(&mut self) {
        let legacy = self.link.as_ref().filter(|link| link.manner.wire != Wire::Modern);
        if let (true, Some(link), Some(asked)) = (self.pending, legacy, &self.asked) {
            self.engine.cancelled(link, asked.id);
        }
        self.pending = false;
    }
}

/// The caller that waited has gone.
impl<L: Line> Drop for Request<L> {
    fn drop(&mut self) {
        self.cancel();
    }
}
