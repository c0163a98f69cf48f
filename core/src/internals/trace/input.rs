//! An input, as a plain value.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::effect::{Bound, Bytes, Record, Reply, Signature, Stored, TicketId, Visit, Why};
use crate::failure::Kind;
use crate::input::{
    Acquire, Answer, ArrivalId, Arrived, Callback, Challenge, Epoch, Had, Input, Refusal, Value,
    WaiterId,
};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// Bytes of a message: text where they are text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Raw {
    /// They are UTF-8.
    Text(String),
    /// They are not.
    Bytes(Vec<u8>),
}

impl Raw {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|not| Self::Bytes(not.into_bytes()), Self::Text)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// One thing that happened.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// A caller wants a grant.
    Acquire(Want),
    /// A caller wants a login.
    LogIn(Want),
    /// A caller's request was refused.
    Challenge(Refused),
    /// A URL or a query reached the redirect URI.
    Callback {
        /// The arrival.
        arrival: u64,
        /// The URL or the query.
        url: String,
    },
    /// A code came without its URL.
    Code {
        /// The arrival.
        arrival: u64,
        /// The code.
        code: String,
    },
    /// A page could be shown to nobody.
    Unshown {
        /// The page.
        url: String,
    },
    /// A piece of work is done.
    Answer {
        /// The ticket.
        ticket: u64,
        /// The proxy that the request went through.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proxy: Option<String>,
        /// The outcome.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// A caller no longer waits.
    Cancel {
        /// The caller.
        waiter: u64,
    },
    /// A log-out.
    Forget {},
    /// Time has passed.
    Wake {},
}

/// A caller that wants a grant.
#[derive(Clone, Serialize, Deserialize)]
pub struct Want {
    /// The caller.
    pub waiter: u64,
    /// The scopes.
    pub scopes: String,
    /// A person may be asked.
    pub may_ask: bool,
}

/// A refused request.
#[derive(Clone, Serialize, Deserialize)]
pub struct Refused {
    /// The caller.
    pub waiter: u64,
    /// The token that the request carried.
    pub epoch: Option<u64>,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, Raw)>,
    /// The operation.
    pub operation: String,
    /// The newest token that was let in.
    pub accepted: Option<u64>,
    /// The tokens that came for the request: renewals, logins, grants.
    pub had: (u8, u8, u8),
    /// A person may be asked.
    pub may_ask: bool,
}

/// The outcome of a piece of work.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An answer.
    Answered {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, Raw)>,
        /// The body.
        body: Raw,
        /// Why the body is not whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cut: Option<Why>,
    },
    /// Nothing was sent.
    NotSent(Why),
    /// Something may have been sent.
    MaybeSent(Why),
    /// A listener has this port.
    Listening(u16),
    /// Nothing listens.
    NotListening(Stopped),
    /// The store's answer.
    Stored(Kept),
    /// A signature; `None` without the key.
    Signed(Option<Vec<u8>>),
}

/// Why nothing listens.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// Another program has the port.
    Taken,
    /// The machine has nothing left.
    Exhausted,
    /// Another reason.
    Failed,
}

/// The store's answer.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The record and its generation.
    Loaded(Option<(u64, Raw)>),
    /// The record is written.
    Swapped,
    /// Another record is there.
    Conflict(Option<(u64, Raw)>),
    /// The lease is ours.
    Leased,
    /// The lease is another's.
    Busy,
    /// The intent is recorded.
    Intended,
    /// The intent was recorded before; true if its maker may live.
    Standing(bool),
    /// Given back.
    Released,
    /// The store failed.
    Failed(Kind),
}

impl Given {
    /// The value of an input.
    #[must_use]
    pub fn of(input: &Input) -> Self {
        let want = |acquire: &Acquire| Want {
            waiter: acquire.waiter.0,
            scopes: acquire.scopes.as_str().to_owned(),
            may_ask: acquire.may_ask,
        };
        match input {
            Input::Acquire(acquire) => Self::Acquire(want(acquire)),
            Input::LogIn(acquire) => Self::LogIn(want(acquire)),
            Input::Challenge(challenge) => Self::Challenge(Refused::of(challenge)),
            Input::Callback { arrival, callback } => match &callback.0 {
                Arrived::Query(text) => {
                    Self::Callback { arrival: arrival.0, url: text.expose().to_owned() }
                }
                Arrived::BareCode(code) => {
                    Self::Code { arrival: arrival.0, code: code.expose().to_owned() }
                }
            },
            Input::Unshown(visit) => Self::Unshown { url: visit.url().to_owned() },
            Input::Answer(answer) => Self::Answer {
                ticket: answer.ticket.0,
                proxy: answer.proxy.as_deref().map(str::to_owned),
                outcome: Outcome::of(&answer.value),
            },
            Input::Cancel(waiter) => Self::Cancel { waiter: waiter.0 },
            Input::Forget => Self::Forget {},
            Input::Wake => Self::Wake {},
        }
    }

    /// The input; `None` if there can be no such input.
    #[must_use]
    pub fn input(self) -> Option<Input> {
        let acquire = |want: Want| {
            let scopes = ScopeSet::read(&want.scopes).ok()?;
            Some(Acquire { waiter: WaiterId(want.waiter), scopes, may_ask: want.may_ask })
        };
        let arrived = |arrival, callback| Input::Callback {
            arrival: ArrivalId(arrival),
            callback: Callback(callback),
        };
        Some(match self {
            Self::Acquire(want) => Input::Acquire(acquire(want)?),
            Self::LogIn(want) => Input::LogIn(acquire(want)?),
            Self::Challenge(refused) => Input::Challenge(refused.challenge()?),
            Self::Callback { arrival, url } => arrived(arrival, Arrived::Query(Secret::new(url))),
            Self::Code { arrival, code } => arrived(arrival, Arrived::BareCode(Secret::new(code))),
            Self::Unshown { url } => Input::Unshown(page(url)),
            Self::Answer { ticket, proxy, outcome } => Input::Answer(Answer {
                ticket: TicketId(ticket),
                value: outcome.value()?,
                proxy: proxy.map(Arc::from),
            }),
            Self::Cancel { waiter } => Input::Cancel(WaiterId(waiter)),
            Self::Forget {} => Input::Forget,
            Self::Wake {} => Input::Wake,
        })
    }
}

/// A page of which only the URL counts.
fn page(url: String) -> Visit {
    Visit {
        url: Secret::new(url),
        issuer: "".into(),
        previous_issuer: None,
        resource: "".into(),
        authorization_host: String::new(),
        token_host: String::new(),
        scopes: ScopeSet::empty(),
        client_id: "".into(),
        redirect_uri: String::new(),
        registration_host: None,
        revocation_host: None,
        reissued: false,
    }
}

pub(super) fn fields(headers: &HeaderMap) -> Vec<(String, Raw)> {
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), Raw::new(value.as_bytes().to_vec()))
    };
    headers.iter().map(field).collect()
}

fn headers(fields: Vec<(String, Raw)>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::try_from(name).ok()?;
        headers.try_append(name, HeaderValue::from_bytes(value.bytes()).ok()?).ok()?;
    }
    Some(headers)
}

impl Refused {
    fn of(challenge: &Challenge) -> Self {
        let refusal = &challenge.refusal;
        let Had { renewals, logins, grants } = refusal.had;
        Self {
            waiter: challenge.waiter.0,
            epoch: refusal.epoch.map(|epoch| epoch.0),
            status: refusal.status.as_u16(),
            headers: fields(&refusal.headers),
            operation: refusal.operation.clone(),
            accepted: refusal.accepted.map(|epoch| epoch.0),
            had: (renewals, logins, grants),
            may_ask: refusal.may_ask,
        }
    }

    fn challenge(self) -> Option<Challenge> {
        let (renewals, logins, grants) = self.had;
        let refusal = Refusal {
            epoch: self.epoch.map(Epoch),
            status: StatusCode::from_u16(self.status).ok()?,
            headers: headers(self.headers)?,
            operation: self.operation,
            accepted: self.accepted.map(Epoch),
            had: Had { renewals, logins, grants },
            may_ask: self.may_ask,
        };
        Some(Challenge { waiter: WaiterId(self.waiter), refusal })
    }
}

impl Outcome {
    fn of(value: &Value) -> Self {
        match value {
            Value::Reply(Reply::Answered(response)) => {
                let cut = match value {
                    Value::Reply(reply) => reply.lost().map(|(why, _)| why),
                    _ => None,
                };
                Self::Answered {
                    status: response.status().as_u16(),
                    headers: fields(response.headers()),
                    body: Raw::new(response.body().clone()),
                    cut,
                }
            }
            Value::Reply(Reply::NotSent(why)) => Self::NotSent(*why),
            Value::Reply(Reply::MaybeSent(why)) => Self::MaybeSent(*why),
            Value::Bound(bound) => match bound {
                Bound::Port(port) => Self::Listening(*port),
                Bound::Taken => Self::NotListening(Stopped::Taken),
                Bound::Exhausted => Self::NotListening(Stopped::Exhausted),
                Bound::Failed => Self::NotListening(Stopped::Failed),
            },
            Value::Stored(stored) => Self::Stored(Kept::of(stored)),
            Value::Signed(Signature::Made(bytes)) => Self::Signed(Some(bytes.clone())),
            Value::Signed(Signature::Unavailable) => Self::Signed(None),
        }
    }

    fn value(self) -> Option<Value> {
        Some(match self {
            Self::Answered { status, headers: fields, body, cut } => {
                let mut response = http::Response::new(body.bytes().to_vec());
                *response.status_mut() = StatusCode::from_u16(status).ok()?;
                *response.headers_mut() = headers(fields)?;
                Value::Reply(match cut {
                    Some(why) => Reply::cut(response, why),
                    None => Reply::Answered(response),
                })
            }
            Self::NotSent(why) => Value::Reply(Reply::NotSent(why)),
            Self::MaybeSent(why) => Value::Reply(Reply::MaybeSent(why)),
            Self::Listening(port) => Value::Bound(Bound::Port(port)),
            Self::NotListening(Stopped::Taken) => Value::Bound(Bound::Taken),
            Self::NotListening(Stopped::Exhausted) => Value::Bound(Bound::Exhausted),
            Self::NotListening(Stopped::Failed) => Value::Bound(Bound::Failed),
            Self::Stored(kept) => Value::Stored(kept.stored()),
            Self::Signed(Some(bytes)) => Value::Signed(Signature::Made(bytes)),
            Self::Signed(None) => Value::Signed(Signature::Unavailable),
        })
    }
}

impl Kept {
    fn of(stored: &Stored) -> Self {
        let pair = |record: &Option<Record>| {
            record.as_ref().map(|it| (it.generation, Raw::new(it.bytes.0.clone())))
        };
        match stored {
            Stored::Loaded(record) => Self::Loaded(pair(record)),
            Stored::Swapped => Self::Swapped,
            Stored::Conflict(record) => Self::Conflict(pair(record)),
            Stored::Leased => Self::Leased,
            Stored::Busy => Self::Busy,
            Stored::Intended => Self::Intended,
            Stored::Standing { made_by_the_living } => Self::Standing(*made_by_the_living),
            Stored::Released => Self::Released,
            Stored::Failed(kind) => Self::Failed(*kind),
        }
    }

    fn stored(self) -> Stored {
        let record = |pair: Option<(u64, Raw)>| {
            pair.map(|(generation, raw)| Record { generation, bytes: Bytes(raw.bytes().to_vec()) })
        };
        match self {
            Self::Loaded(pair) => Stored::Loaded(record(pair)),
            Self::Swapped => Stored::Swapped,
            Self::Conflict(pair) => Stored::Conflict(record(pair)),
            Self::Leased => Stored::Leased,
            Self::Busy => Stored::Busy,
            Self::Intended => Stored::Intended,
            Self::Standing(made_by_the_living) => Stored::Standing { made_by_the_living },
            Self::Released => Stored::Released,
            Self::Failed(kind) => Stored::Failed(kind),
        }
    }
}
