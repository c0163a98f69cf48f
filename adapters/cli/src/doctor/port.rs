//! The way to send of an examination: the program's own, with a record beside it.
//!
//! While a server is only looked at, nothing passes but what asks: the first request, without a token,
//! and metadata. A registration stops here (D18), and so would anything that spends a code or a token.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Request, Response, Uri};
use mcp_authz_core::effect::{Limits, Purpose, Reply, Why};
use mcp_authz_tokio::driver::ports::{AsyncHttp, Opened};
use mcp_authz_tokio::{TokioBody, TokioHttp};
use serde_json::Value;

use super::log::{Answered, End, Log};

/// Answers that are kept for the rounds after the first, so that a server is asked once for each.
type Answers = HashMap<(Method, Uri), Response<Vec<u8>>>;

/// Sends as the program does, and writes each request down.
#[derive(Clone)]
pub(super) struct Watched {
    http: TokioHttp,
    log: Log,
    /// True once everything may be sent: a person has asked for a login.
    acts: Arc<AtomicBool>,
    answers: Arc<Mutex<Answers>>,
}

impl Watched {
    /// Sends through `http` and writes into `log`.
    pub(super) fn new(http: TokioHttp, log: Log) -> Self {
        Self { http, log, acts: Arc::default(), answers: Arc::default() }
    }

    /// Lets everything pass from now on, and remembers no answer.
    pub(super) fn acts(&self) {
        self.acts.store(true, Ordering::SeqCst);
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns true if a request for this may leave.
    fn passes(&self, purpose: Option<Purpose>) -> bool {
        self.acts.load(Ordering::SeqCst) || purpose.is_some_and(asks)
    }

    fn held(&self, key: &(Method, Uri)) -> Option<Reply> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).cloned().map(Reply::Answered)
    }

    fn hold(&self, key: (Method, Uri), response: Response<Vec<u8>>) {
        if !self.acts.load(Ordering::SeqCst) {
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, response);
        }
    }
}

/// Returns true for requests that only ask, and change nothing anywhere.
const fn asks(purpose: Purpose) -> bool {
    matches!(purpose, Purpose::FirstRequest | Purpose::ResourceMetadata | Purpose::ServerMetadata)
}

const fn is_document(purpose: Option<Purpose>) -> bool {
    matches!(purpose, Some(Purpose::ResourceMetadata | Purpose::ServerMetadata))
}

/// Returns true if a token answer has a refresh token, of which nothing is kept. The session reads
/// answers that are no JSON, too, so that the name alone counts there.
fn is_renewable(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"refresh_token\"";
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => {
            answer.get("refresh_token").and_then(Value::as_str).is_some_and(|it| !it.is_empty())
        }
        Err(_) => body.windows(NAME.len()).any(|window| window == NAME),
    }
}

impl AsyncHttp for Watched {
    type Body = TokioBody;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        let key = (request.method().clone(), request.uri().clone());
        let purpose = self.log.purpose(&key.0, &key.1);
        if let Some(reply) = self.held(&key) {
            return reply;
        }
        let number = self.log.leaves(purpose, &key.0, &key.1);
        if !self.passes(purpose) {
            self.log.ends(number, End::Withheld, Duration::ZERO);
            return Reply::NotSent(Why::Abandoned);
        }
        let began = Instant::now();
        let reply = self.http.send(request, limits).await;
        let end = match &reply {
            Reply::Answered(response) => {
                let mut answered = Answered::read(response.status().as_u16(), response.headers());
                answered.bytes = Some(response.body().len());
                if is_document(purpose) {
                    answered.document = serde_json::from_slice(response.body()).ok();
                }
                if purpose == Some(Purpose::CodeExchange) {
                    answered.renewable = is_renewable(response.body());
                }
                self.hold(key, response.clone());
                End::Answered(answered)
            }
            Reply::NotSent(why) | Reply::MaybeSent(why) => End::Lost(*why),
        };
        self.log.ends(number, end, began.elapsed());
        reply
    }

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        self.http.proxy(uri)
    }

    async fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<TokioBody> {
        let number = self.log.leaves(None, request.method(), request.uri());
        let began = Instant::now();
        let opened = self.http.open(request, limits).await;
        let end = match &opened {
            Ok(response) => {
                End::Answered(Answered::read(response.status().as_u16(), response.headers()))
            }
            Err(unanswered) => End::Lost(unanswered.why),
        };
        self.log.ends(number, end, began.elapsed());
        opened
    }
}
