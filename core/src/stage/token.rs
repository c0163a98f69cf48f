//! One request to the token endpoint: a code, or a refresh token, for tokens (TOK, REF).
//!
//! Decides what may be sent again and when; refuses to decide what a refusal does to what is held.
//! A code is sent once. A refresh token is sent again only where the server cannot have seen it,
//! or, after an unknown outcome, once more with a pause between (HOST-227).

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::{Purpose, Reply, Why};
use crate::failure::{Failure, Kind, Outcome, Remedy};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::Note;
use crate::record::Grant;
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::stage::authorization::Approved;
use crate::time::{Awaited, Timestamp};
use crate::wire::client_auth::Credentials;
use crate::wire::redirect::RedirectUri;
use crate::wire::token::{self, GrantRequest, TokenRefusal, TokenRules, Tokens};
use crate::wire::url::ServerUrl;

/// Attempts of one refresh within one flow (HOST-074).
const MOST_ATTEMPTS: u8 = 3;
/// Attempts once the outcome of one is unknown (HOST-227).
const MOST_UNCERTAIN: u8 = 2;
/// The first pause; each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause a server can ask for within a flow; a longer one ends the flow instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The credential that is exchanged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Spent {
    Code {
        approved: Approved,
        redirect_uri: RedirectUri,
    },
    Refresh {
        #[serde(with = "crate::secret::written")]
        refresh_token: Secret,
    },
}

/// The parts of the request, all of them recorded when the login began (BIND-08).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) spend: Spent,
    pub(crate) endpoint: ServerUrl,
    pub(crate) credentials: Credentials,
    pub(crate) resource_parameter: Option<Arc<str>>,
    /// The scopes that a refresh names; none for the same as before (REF-13).
    #[serde(default)]
    pub(crate) scope: Option<Arc<ScopeSet>>,
}

impl Ask {
    /// The refresh of a grant.
    pub(crate) fn refresh(grant: &Grant, refresh_token: Secret, credentials: Credentials) -> Self {
        Self {
            spend: Spent::Refresh { refresh_token },
            endpoint: grant.token_endpoint.clone(),
            credentials,
            resource_parameter: grant.resource_parameter.clone(),
            scope: None,
        }
    }

    /// The secrets that a server could echo into an error, or send back as a token (HOST-303,
    /// HOST-320).
    fn secrets<'a>(&'a self, basic: &'a Option<Secret>) -> Vec<&'a Secret> {
        let client = self.credentials.secret.as_ref();
        let spent = match &self.spend {
            Spent::Code { approved, .. } => [Some(&approved.code), Some(&approved.verifier)],
            Spent::Refresh { refresh_token } => [Some(refresh_token), None],
        };
        spent.into_iter().chain([client, basic.as_ref()]).flatten().collect()
    }

    const fn refresh_token(&self) -> Option<&Secret> {
        match &self.spend {
            Spent::Code { .. } => None,
            Spent::Refresh { refresh_token } => Some(refresh_token),
        }
    }

    const fn purpose(&self) -> Purpose {
        match self.spend {
            Spent::Code { .. } => Purpose::CodeExchange,
            Spent::Refresh { .. } => Purpose::Refresh,
        }
    }
}

/// How the exchange ended.
#[derive(Debug)]
pub(crate) enum Minted {
    Tokens(Box<Tokens>),
    Refused(Box<TokenRefusal>),
}

/// The exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    ask: Ask,
    phase: Phase,
    attempts: u8,
    /// True if an attempt is out whose outcome nobody knows. A refusal after it proves nothing.
    uncertain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Start,
    Tokens,
    Backoff,
}

impl Token {
    pub(crate) const fn new(ask: Ask) -> Self {
        Self { ask, phase: Phase::Start, attempts: 0, uncertain: false }
    }

    /// The exchange of a refresh token that an ended process may have sent. It is sent once more
    /// (HOST-228).
    pub(crate) const fn recovering(ask: Ask) -> Self {
        let attempts = MOST_ATTEMPTS.saturating_sub(1);
        Self { ask, phase: Phase::Start, attempts, uncertain: true }
    }

    fn send(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let grant = match &self.ask.spend {
            Spent::Code { approved, redirect_uri } => GrantRequest::Code {
                code: &approved.code,
                verifier: &approved.verifier,
                redirect_uri: redirect_uri.as_str(),
            },
            Spent::Refresh { refresh_token } => {
                GrantRequest::Refresh { refresh_token, scope: self.ask.scope.as_deref() }
            }
        };
        let resource = self.ask.resource_parameter.as_deref();
        let endpoint = &self.ask.endpoint;
        let request = token::token_request(endpoint, grant, resource, &self.ask.credentials)?;
        let addresses = cx.config.reach.addresses(endpoint);
        let parked = cx.call(request, self.ask.purpose(), addresses)?;
        self.attempts = self.attempts.saturating_add(1);
        self.phase = Phase::Tokens;
        Ok(Turn::Wait(self, parked))
    }

    /// The credentials of the client that sends the request.
    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.ask.credentials
    }

    pub(crate) const fn purpose(&self) -> Purpose {
        self.ask.purpose()
    }

    /// Reads an answer, in time or late; `None` if there is none, or it was cut before its refresh
    /// token (D19).
    pub(crate) fn read(
        &self,
        reply: &Reply,
        strict: bool,
        now: Timestamp,
        held: &[&Secret],
    ) -> Option<Result<Tokens, TokenRefusal>> {
        let Reply::Answered(response) = reply else { return None };
        if reply.lost().is_some() {
            let rescued = Some(token::read_cut(response)?);
            // The refresh token that came is saved, and sent with the next attempt.
            let failure = Failure::new(Kind::OutcomeUnknown, "HOST-320")
                .with_remedy(Remedy::Retry { after: None });
            return Some(Err(TokenRefusal { rescued, ..failure.into() }));
        }
        let basic = self.ask.credentials.basic();
        let rules = TokenRules {
            strict,
            code: self.purpose() == Purpose::CodeExchange,
            now,
            sent: &self.ask.secrets(&basic),
            held,
            spent: self.ask.refresh_token(),
        };
        Some(token::read_tokens(response, &rules))
    }

    fn heard(self, reply: &Reply, cx: &mut Cx<'_>) -> Turn<Self> {
        let purpose = self.purpose();
        if let Reply::Answered(response) = reply {
            let status = response.status().as_u16();
            if reply.lost().is_none() {
                cx.note(Note::Answered { purpose, status });
            }
            if let Some(read) = self.read(reply, cx.config.strict(), cx.wall, cx.secrets) {
                return self.answered(status, read, cx);
            }
        }
        match reply.lost() {
            Some((why, sent)) => self.lost(why, sent, cx),
            None => self.unknown(),
        }
    }

    fn answered(
        mut self,
        status: u16,
        read: Result<Tokens, TokenRefusal>,
        cx: &mut Cx<'_>,
    ) -> Turn<Self> {
        let purpose = self.purpose();
        let refusal = match read {
            Ok(tokens) => return Turn::Done(Minted::Tokens(Box::new(tokens))),
            Err(refusal) => refusal,
        };
        cx.evidence(purpose, self.ask.endpoint.shown(), Outcome::Status(status));
        let Remedy::Retry { after } = refusal.failure.remedy() else {
            return self.refused(refusal);
        };
        if purpose == Purpose::CodeExchange || refusal.brought() {
            return self.refused(refusal);
        }
        if status >= 500 {
            self.uncertain = true;
        }
        self.again(after, MOST_ATTEMPTS, refusal, cx)
    }

    fn lost(mut self, why: Why, sent: bool, cx: &mut Cx<'_>) -> Turn<Self> {
        let purpose = self.ask.purpose();
        cx.note(Note::Lost { purpose, why });
        cx.evidence(purpose, self.ask.endpoint.shown(), Outcome::Lost(why));
        if sent && purpose == Purpose::CodeExchange {
            return self.unknown();
        }
        self.uncertain |= sent;
        let unknown = sent && why != Why::Timeout;
        let kind = if unknown { Kind::OutcomeUnknown } else { why.kind() };
        let retry = why.remedy().retryable();
        let failure = Failure::new(kind, "REF-09").with_cause(why).with_remedy(why.remedy());
        let refusal = TokenRefusal::from(failure);
        if retry && purpose == Purpose::Refresh {
            let most = if sent { MOST_UNCERTAIN } else { MOST_ATTEMPTS };
            self.again(None, most, refusal, cx)
        } else {
            self.refused(refusal)
        }
    }

    /// Makes the next attempt, unless there were enough or the server wants a longer pause than a
    /// caller would wait.
    fn again(
        self,
        after: Option<Duration>,
        most: u8,
        refusal: TokenRefusal,
        cx: &mut Cx<'_>,
    ) -> Turn<Self> {
        let growth = 4u32.saturating_pow(u32::from(self.attempts.saturating_sub(1)));
        let pause = after.unwrap_or_default().max(FIRST_PAUSE.saturating_mul(growth));
        if self.attempts >= most || pause > LONGEST_PAUSE {
            return self.refused(refusal);
        }
        self.pause(pause, cx)
    }

    fn pause(mut self, pause: Duration, cx: &mut Cx<'_>) -> Turn<Self> {
        self.phase = Phase::Backoff;
        let parked = cx.backoff(pause);
        Turn::Wait(self, parked)
    }

    fn unknown(self) -> Turn<Self> {
        let failure = Failure::new(Kind::OutcomeUnknown, "TOK-04");
        self.refused(TokenRefusal::from(failure))
    }

    fn refused(self, mut refusal: TokenRefusal) -> Turn<Self> {
        refusal.failure = refusal.failure.with_purpose(self.ask.purpose());
        if self.uncertain && refusal.failure.kind() == Kind::GrantRejected {
            // The refused token may be the one an unanswered attempt has already replaced.
            refusal.failure = Failure::new(Kind::ReauthorizationRequired, "REF-08")
                .with_purpose(self.ask.purpose());
        }
        Turn::Done(Minted::Refused(Box::new(refusal)))
    }

    /// Goes on after a restart in mid-exchange. The process that sent the request is gone, and with
    /// it the answer. A process that dies each time it refreshes must not send the token each time
    /// it starts.
    fn resume(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        let sent = self.phase == Phase::Tokens;
        if self.ask.purpose() == Purpose::CodeExchange {
            return self.unknown();
        }
        self.uncertain |= sent;
        if sent && self.attempts >= MOST_UNCERTAIN {
            let failure = Failure::new(Kind::OutcomeUnknown, "HOST-228")
                .with_remedy(Remedy::Retry { after: None });
            return self.refused(TokenRefusal::from(failure));
        }
        self.pause(FIRST_PAUSE, cx)
    }
}

impl Machine for Token {
    type Output = Minted;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Token,
        purpose: "exchanges a code or a refresh token for tokens",
        states: &[
            State { name: At::Tokens, awaits: Awaited::Call },
            State { name: At::Backoff, awaits: Awaited::Backoff },
        ],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Tokens, At::Failed] },
            Row { from: At::Tokens, on: On::Reply, targets: &[At::Backoff, At::Done] },
            Row { from: At::Tokens, on: On::Expired, targets: &[At::Backoff, At::Done] },
            Row { from: At::Tokens, on: On::Resumed, targets: &[At::Backoff, At::Done] },
            Row { from: At::Backoff, on: On::Reply, targets: &[At::Backoff, At::Done] },
            Row { from: At::Backoff, on: On::Expired, targets: &[At::Tokens] },
            Row { from: At::Backoff, on: On::Resumed, targets: &[At::Backoff] },
        ],
    };

    fn state(&self) -> At {
        match self.phase {
            Phase::Start => At::Start,
            Phase::Tokens => At::Tokens,
            Phase::Backoff => At::Backoff,
        }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match (signal, self.phase) {
            (Signal::Begin, _) | (Signal::Expired, Phase::Backoff) => self.send(cx),
            (Signal::Reply(reply), _) => Ok(self.heard(&reply, cx)),
            (Signal::Expired, _) => Ok(self.lost(Why::Timeout, true, cx)),
            (Signal::Resumed, _) => Ok(self.resume(cx)),
            _ => Err(confused(cx)),
        }
    }
}
