//! One call of the host's, from its request to the outcome.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use mcp_authz_core::failure::escaped;
use mcp_authz_tokio::driver::transport::TransportError;
use mcp_authz_tokio::driver::transport::codes::{NO_METHOD, UNSUPPORTED_VERSION};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::bridge::desk::{self, Outcome};
use crate::bridge::era::{self, Host, Input, Inputs};
use crate::bridge::error;
use crate::bridge::hub::{Hub, Phase};
use crate::bridge::link::{Up, is_legacy};
use crate::bridge::message::{self, BRIDGE, INVALID, PARAMS, Request, Said};
use crate::fault::Fault;
use crate::say::log;

/// How long the answer to `initialize` is waited for. Hosts wait for ten seconds or more.
const FIRST_ANSWER: Duration = Duration::from_secs(8);
/// How long a call waits for a login or for the connection. The SDKs give a call up after a minute.
const PATIENCE: Duration = Duration::from_secs(50);
/// Rounds of input for one call.
const MOST_ROUNDS: u32 = 64;
/// The longest pause before a call is repeated for which nothing was asked.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The outcome of one request of the host's.
pub(crate) async fn outcome(hub: &Arc<Hub>, request: &Request) -> Outcome {
    if request.method == "initialize" {
        return initialize(hub, &request.params).await;
    }
    if let Some(host) = Host::asking(&request.params) {
        return modern(hub, request, &host).await;
    }
    // A host may look for signs of life before it begins.
    if request.method == "ping" && matches!(hub.state().phase, Phase::New | Phase::Starting) {
        return Ok(json!({}));
    }
    match hub.phase().await {
        Phase::Legacy { early, .. } => legacy(hub, request, early).await,
        Phase::Modern => Err(message::error(
            PARAMS,
            "_meta names no io.modelcontextprotocol/protocolVersion",
            None,
        )),
        Phase::New | Phase::Starting => {
            Err(message::error(INVALID, "begin with initialize, or with server/discover", None))
        }
    }
}

/// Answers `initialize`, in time.
///
/// Most hosts stop a server for good whose `initialize` fails, and the person who then logs in is
/// left with a page that leads nowhere and a server that is off. So while a page waits for them, the
/// host gets an answer with empty lists and is told when they have changed; only a host that wants to
/// hear of it (`--fail-without-login`) gets an error, as every host does if nobody can be asked.
async fn initialize(hub: &Arc<Hub>, params: &Value) -> Outcome {
    let host = Host::initializing(params)?;
    {
        let mut state = hub.state();
        if matches!(state.phase, Phase::Starting | Phase::Legacy { .. }) {
            return Err(message::error(INVALID, "initialize came already", None));
        }
        state.phase = Phase::Starting;
    }
    hub.link.connect(&host);
    let version = host.agreed();
    let (phase, outcome) = match hub.link.ready(FIRST_ANSWER, true).await {
        Ok(up) => {
            let url = &hub.about.url;
            let told = era::initialized(&up.transport.server(), url, up.modern, version);
            (Phase::Legacy { version, early: false }, Ok(told))
        }
        Err(cause) if hub.login.waits().is_some() && !hub.strict => {
            log(&cause);
            let url = &hub.about.url;
            let words = format!(
                "{cause}. Until then this server offers nothing; its lists change when that is done."
            );
            let told = era::awaiting(url, version, &words);
            (Phase::Legacy { version, early: true }, Ok(told))
        }
        Err(cause) => (Phase::New, Err(error::of(&cause, &hub.about))),
    };
    hub.speaks(phase);
    outcome
}

/// A request of a host that describes itself in each.
async fn modern(hub: &Arc<Hub>, request: &Request, host: &Host) -> Outcome {
    hub.meets(host);
    let first = request.method == "server/discover";
    let patience = if first { FIRST_ANSWER } else { PATIENCE };
    let up = hub.link.ready(patience, true).await.map_err(|cause| error::of(&cause, &hub.about))?;
    let speaks = up.transport.protocol_version();
    if !up.modern {
        // No error of the newest revision: by that the host knows that it has to begin with
        // initialize, which it can if it speaks an older revision, too.
        let said = if is_legacy(&speaks) { &*speaks } else { "an older revision" };
        let text = format!("this server speaks {said}: begin with initialize");
        return Err(message::error(NO_METHOD, &text, None));
    }
    if host.version.as_deref() != Some(&speaks) {
        let data = json!({"supported": [speaks], "requested": host.version});
        return Err(message::error(
            UNSUPPORTED_VERSION,
            "Unsupported protocol version",
            Some(data),
        ));
    }
    let call = Call { hub, up: &up, request, translates: false };
    call.run(&request.params).await
}

/// A request of a host that has sent `initialize`.
async fn legacy(hub: &Arc<Hub>, request: &Request, early: bool) -> Outcome {
    let method = &*request.method;
    let up = hub.link.up();
    if early
        && up.is_none()
        && let Some(list) = era::empty_list(method)
    {
        return Ok(list);
    }
    if method == "ping" && up.as_ref().is_none_or(|up| up.modern) {
        return Ok(json!({}));
    }
    let up = match up {
        Some(up) => up,
        None => {
            hub.link.ready(PATIENCE, true).await.map_err(|cause| error::of(&cause, &hub.about))?
        }
    };
    let is_setting =
        matches!(method, "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe");
    if up.modern && is_setting {
        hub.note_setting(request);
        return Ok(json!({}));
    }
    let call = Call { hub, up: &up, request, translates: up.modern };
    let outcome = call.translated().await;
    if is_setting && outcome.is_ok() {
        hub.note_setting(request);
    }
    match (outcome, early.then(|| era::empty_list(method)).flatten()) {
        // The lists that were announced before anything was known of the server.
        (Err(error), Some(list)) if error.get("code") == Some(&json!(NO_METHOD)) => Ok(list),
        (outcome, _) => outcome,
    }
}

/// A call, the connection that it goes on, and whether the two sides speak differently.
struct Call<'a> {
    hub: &'a Arc<Hub>,
    up: &'a Arc<Up>,
    request: &'a Request,
    translates: bool,
}

impl Call<'_> {
    /// The outcome for a legacy host: input that a modern server wants is asked of the host, and the
    /// call repeated with it.
    async fn translated(&self) -> Outcome {
        let mut params = self.request.params.clone();
        let mut pause = Duration::from_millis(100);
        for _ in 0..MOST_ROUNDS {
            let level = self.hub.state().level.clone().filter(|_| self.translates);
            if let Some(level) = level {
                params = era::with_log_level(params, &level);
            }
            let result = self.run(&params).await?;
            if !self.translates {
                return Ok(result);
            }
            let inputs = match era::outcome(&self.request.method, result) {
                era::Outcome::Complete(result) => return Ok(result),
                era::Outcome::Unusable(why) => return Err(message::error(BRIDGE, why, None)),
                era::Outcome::Inputs(inputs) => inputs,
            };
            if inputs.requests.is_empty() {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
            let answers = self.answers(&inputs).await?;
            params = inputs.repeated(&self.request.params, answers);
        }
        Err(message::error(BRIDGE, "the server wants input again and again", None))
    }

    /// Asks the host for every input, all at once.
    async fn answers(&self, inputs: &Inputs) -> Result<Map<String, Value>, Value> {
        let mut asked = Vec::new();
        for input in &inputs.requests {
            asked.push((input, Question::ask(self.hub, None, |id| as_request(input, id)).await?));
        }
        let mut answers = Map::new();
        for (input, question) in asked {
            let answer = match question.answered().await {
                Ok(answer) => answer,
                Err(error) => era::stands_for_error(&input.method).ok_or(error)?,
            };
            answers.insert(input.key.clone(), answer);
        }
        Ok(answers)
    }

    /// The outcome of the request with these parameters, logged in to if that is needed.
    async fn run(&self, params: &Value) -> Outcome {
        let Self { hub, up, request, .. } = self;
        if let Some(hidden) = self.hidden() {
            return Err(hidden);
        }
        let mut ended = self.once(params, false).await;
        if wants_login(&ended) {
            // The login goes on if this call does not wait for it any more.
            match tokio::time::timeout(PATIENCE, hub.login.need()).await {
                Ok(Ok(())) => ended = self.once(params, false).await,
                Ok(Err(cause)) => return Err(error::of(&cause, &hub.about)),
                Err(_) => {
                    let waits = hub.login.waits();
                    return Err(match (waits, ended) {
                        (Some(cause), _) => error::of(&cause, &hub.about),
                        (None, Err(failed)) => error::of_transport(&failed, &hub.about),
                        (None, Ok(outcome)) => return outcome,
                    });
                }
            }
        }
        // The grant is as good as it was: it is this request that needs more. Its challenge says what,
        // so that the session asks for it while the request is repeated.
        if wants_login(&ended) {
            let asked = hub.login.asking(self.once(params, true)).await;
            ended = asked.map_err(|cause| error::of(&cause, &hub.about))?;
        }
        if let Err(failed) = &ended {
            hub.link.doubt(up, failed);
        }
        hub.set_again(up).await;
        let mut outcome =
            ended.unwrap_or_else(|failed| Err(error::of_transport(&failed, &hub.about)));
        if let (Ok(result), "tools/list") = (&mut outcome, &*request.method) {
            hub.hidden.take_off(result);
        }
        outcome
    }

    fn hidden(&self) -> Option<Value> {
        let Request { method, params, .. } = self.request;
        let name = params.get("name").and_then(Value::as_str).filter(|_| method == "tools/call")?;
        self.hub.hidden.has(name).then(|| {
            let text = format!("Unknown tool: {} (left out by --ignore-tool)", escaped(name));
            message::error(PARAMS, &text, None)
        })
    }

    /// Sends the request once, and passes on all that comes before its response.
    async fn once(&self, params: &Value, may_ask: bool) -> Result<Outcome, TransportError> {
        let Self { hub, up, request, .. } = self;
        let transport = &up.transport;
        let mut messages = transport.request_asking(&request.method, params.clone(), may_ask);
        // Its end withdraws the questions that were asked for the sake of this request.
        let mut questions = JoinSet::new();
        while let Some(message) = messages.next().await {
            match message::said(message?) {
                Said::Response(outcome) => {
                    return Ok(outcome.map(|result| era::resubscribed(result, &request.id)));
                }
                Said::Notification { method, params } => {
                    let params = era::resubscribed(params, &request.id);
                    pass_on(hub, &method, params).await;
                }
                Said::Request { id, method, params } => {
                    questions.spawn(put(hub, up, id, &method, params).await);
                }
            }
            while questions.try_join_next().is_some() {}
        }
        Err(TransportError::Malformed("there was no response"))
    }
}

fn as_request(input: &Input, id: u64) -> Value {
    message::request(id, &input.method, era::as_request(input, id))
}

fn wants_login(ended: &Result<Outcome, TransportError>) -> bool {
    matches!(ended, Err(TransportError::Authorization(failure)) if failure.mended_by_login())
}

/// Passes a notification of the server's on. One that withdraws a question has the question's id at
/// the host.
pub(crate) async fn pass_on(hub: &Arc<Hub>, method: &str, params: Value) {
    if method != "notifications/cancelled" {
        hub.out.send(&message::notification(method, params)).await;
        return;
    }
    let number = params.get("requestId").and_then(|theirs| hub.desk().withdrawn(theirs));
    if let Some(number) = number {
        let mut cancelled = desk::cancellation(number);
        if let (Some(reason), Some(told)) = (params.get("reason"), cancelled.get_mut("params")) {
            *told = json!({"requestId": number, "reason": reason});
        }
        hub.out.send(&cancelled).await;
    }
}

/// Puts a question of the server's to the host, before anything that the server says after it. What
/// is left to do is to wait for the answer, and to give it to the server.
pub(crate) async fn put(
    hub: &Arc<Hub>,
    up: &Arc<Up>,
    id: Value,
    method: &str,
    params: Value,
) -> impl Future<Output = ()> + Send + use<> {
    let openings = up.transport.openings();
    // Held until the answer is delivered: a server that takes none is asked no more.
    let place = Arc::clone(&hub.answering).try_acquire_owned().ok();
    let asked = match place {
        Some(_) => {
            Question::ask(hub, Some(id.clone()), |own| message::request(own, method, params)).await
        }
        None => Err(error::of(&owes(), &hub.about)),
    };
    let (hub, up) = (Arc::clone(hub), Arc::clone(up));
    async move {
        let _place = place;
        // Refusals are many only where a server wants to have them; those beyond are left out.
        let _refusal = match asked {
            Ok(_) => None,
            Err(_) => match hub.refusing.try_acquire() {
                Ok(refusal) => Some(refusal),
                Err(_) => return,
            },
        };
        let outcome = match asked {
            Ok(question) => match question.waits().await {
                Some(outcome) => outcome,
                // The server has withdrawn it.
                None => return,
            },
            Err(refused) => Err(refused),
        };
        // In another session the same id may be that of another question.
        if up.transport.openings() != openings {
            return;
        }
        if let Err(error) = up.transport.respond(&id, outcome).await {
            log(format_args!("the server did not take an answer of the host's: {error}"));
        }
    }
}

fn owes() -> Fault {
    exceeded("the host owes too many answers already")
}

fn exceeded(sentence: &str) -> Fault {
    let remedy = mcp_authz_core::failure::Remedy::Retry { after: None };
    Fault::new("limit_exceeded", sentence, remedy)
}

/// A question that the host was asked. Dropped before its answer, it is withdrawn.
struct Question {
    hub: Arc<Hub>,
    number: u64,
    answer: oneshot::Receiver<Outcome>,
}

impl Question {
    async fn ask(
        hub: &Arc<Hub>,
        theirs: Option<Value>,
        request: impl FnOnce(u64) -> Value,
    ) -> Result<Self, Value> {
        let question = hub.desk().question(theirs);
        let (number, answer) = question.ok_or_else(|| error::of(&owes(), &hub.about))?;
        let question = Self { hub: Arc::clone(hub), number, answer };
        if !hub.out.send(&request(number)).await {
            // The host has never heard of it, so that there is nothing to withdraw.
            hub.desk().withdraw(number);
            let fault = exceeded("the question is over 16 MiB");
            return Err(error::of(&fault, &hub.about));
        }
        Ok(question)
    }

    /// The answer; nothing if the question was withdrawn.
    async fn waits(mut self) -> Option<Outcome> {
        (&mut self.answer).await.ok()
    }

    async fn answered(self) -> Outcome {
        let gone = || message::error(BRIDGE, "the host has gone", None);
        self.waits().await.unwrap_or_else(|| Err(gone()))
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let told = self.hub.desk().withdraw(self.number);
        if let (Some(told), Ok(runtime)) = (told, Handle::try_current()) {
            let out = self.hub.out.clone();
            runtime.spawn(async move { out.send(&told).await });
        }
    }
}
