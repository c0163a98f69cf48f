//! Tokens given back to the server at a log-out (RFC 7009).
//!
//! Decides in which order they go and when one is sent again; refuses to decide what becomes of the
//! record, which is removed in any case (REVK-05).

use core::time::Duration;

use http::Response;
use serde::{Deserialize, Serialize};

use crate::effect::{Purpose, Reply, Why};
use crate::failure::{Failure, Kind, Outcome, Remedy};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::Note;
use crate::record::Grant;
use crate::secret::{Secret, written_option};
use crate::time::Awaited;
use crate::wire::client_auth::Credentials;
use crate::wire::revocation::{TokenTypeHint, read_revocation, revocation_request};
use crate::wire::token::TokenRules;
use crate::wire::url::ServerUrl;

/// Attempts for one token; a person who logs out does not wait for long.
const MOST_ATTEMPTS: u8 = 2;
/// The pause between them, unless the server asks for another.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause a server can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The tokens to revoke, the endpoint, and the credentials of the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) endpoint: ServerUrl,
    pub(crate) credentials: Credentials,
    #[serde(with = "written_option")]
    pub(crate) refresh_token: Option<Secret>,
    #[serde(with = "written_option")]
    pub(crate) access_token: Option<Secret>,
}

impl Ask {
    /// The same for the tokens of this grant.
    pub(crate) fn for_tokens_of(&self, grant: &Grant) -> Self {
        Self {
            refresh_token: grant.refresh_token.clone(),
            access_token: grant.access_token.as_ref().map(|token| Secret::new(token.expose())),
            ..self.clone()
        }
    }

    /// The secrets that a server could echo into an error (HOST-303). It may know the token that
    /// goes later.
    fn secrets<'a>(&'a self, basic: &'a Option<Secret>) -> Vec<&'a Secret> {
        let tokens = self.refresh_token.iter().chain(&self.access_token);
        tokens.chain(&self.credentials.secret).chain(basic).collect()
    }

    /// The token that goes next: the refresh token first, since it usually takes the access tokens
    /// along (REVK-02).
    fn next(&self) -> Option<(&Secret, TokenTypeHint)> {
        let refresh = self.refresh_token.as_ref().map(|token| (token, TokenTypeHint::RefreshToken));
        refresh.or_else(|| self.access_token.as_ref().map(|it| (it, TokenTypeHint::AccessToken)))
    }
}

/// The outcome for the tokens: all are revoked, or the failure of one that is not.
#[derive(Debug)]
pub(crate) struct Given(pub(crate) Result<(), Failure>);

/// Revokes the tokens of one grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Revocation {
    ask: Ask,
    phase: Phase,
    attempts: u8,
    /// The kind of the failure to revoke a token. The server's words about it do not outlive a
    /// restart.
    failed: Option<Kind>,
    #[serde(skip)]
    said: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Start,
    Revoked,
    Pause,
}

impl Revocation {
    pub(crate) const fn new(ask: Ask) -> Self {
        Self { ask, phase: Phase::Start, attempts: 0, failed: None, said: None }
    }

    /// Sends the next token that can be sent at all, or ends if there is none.
    fn send(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        while let Some((token, hint)) = self.ask.next() {
            let Ask { endpoint, credentials, .. } = &self.ask;
            let addresses = cx.config.reach.addresses(endpoint);
            let parked = revocation_request(endpoint, token, hint, credentials)
                .and_then(|request| cx.call(request, Purpose::Revocation, addresses));
            match parked {
                Ok(parked) => {
                    self.attempts = self.attempts.saturating_add(1);
                    self.phase = Phase::Revoked;
                    return Turn::Wait(self, parked);
                }
                Err(failure) => self.done_with(Some(failure)),
            }
        }
        let unsaid = || self.failed.map(|kind| Failure::new(kind, "REVK-04"));
        let said = self.said.filter(|said| Some(said.kind()) == self.failed);
        Turn::Done(Given(said.or_else(unsaid).map_or(Ok(()), Err)))
    }

    fn done_with(&mut self, failed: Option<Failure>) {
        self.attempts = 0;
        self.failed = self.failed.or(failed.as_ref().map(Failure::kind));
        self.said = self.said.take().or(failed);
        if self.ask.refresh_token.take().is_none() {
            self.ask.access_token = None;
        }
    }

    fn answered(mut self, response: &Response<Vec<u8>>, cx: &mut Cx<'_>) -> Turn<Self> {
        let status = response.status().as_u16();
        cx.note(Note::Answered { purpose: Purpose::Revocation, status });
        let basic = self.ask.credentials.basic();
        let sent = self.ask.secrets(&basic);
        let rules = TokenRules {
            strict: cx.config.strict(),
            code: false,
            now: cx.wall,
            sent: &sent,
            held: cx.secrets,
            spent: None,
        };
        let read = read_revocation(response, &rules);
        let Err(failure) = read else {
            self.done_with(None);
            return self.send(cx);
        };
        cx.evidence(Purpose::Revocation, self.ask.endpoint.shown(), Outcome::Status(status));
        self.again(failure, cx)
    }

    fn lost(mut self, why: Why, cx: &mut Cx<'_>) -> Turn<Self> {
        cx.note(Note::Lost { purpose: Purpose::Revocation, why });
        let lost = Outcome::Lost(why);
        cx.evidence(Purpose::Revocation, self.ask.endpoint.shown(), lost);
        let failure = Failure::lost(why, "REVK-04");
        if why == Why::Timeout {
            // The person who logs out has waited long enough, and the record is still there.
            self.ask.refresh_token = None;
            self.done_with(Some(failure.with_purpose(Purpose::Revocation)));
            return self.send(cx);
        }
        self.again(failure, cx)
    }

    /// Revoking twice does no harm, so an unknown outcome is simply tried again.
    fn again(mut self, failure: Failure, cx: &mut Cx<'_>) -> Turn<Self> {
        let pause = match failure.remedy() {
            Remedy::Retry { after } => after.unwrap_or_default().max(PAUSE),
            _ => Duration::MAX,
        };
        if self.attempts >= MOST_ATTEMPTS || pause > LONGEST_PAUSE {
            self.done_with(Some(failure.with_purpose(Purpose::Revocation)));
            return self.send(cx);
        }
        self.phase = Phase::Pause;
        let parked = cx.pause(pause);
        Turn::Wait(self, parked)
    }
}

impl Machine for Revocation {
    type Output = Given;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Revocation,
        purpose: "gives tokens back to the server",
        states: &[
            State { name: At::Revoked, awaits: Awaited::Call },
            State { name: At::Pause, awaits: Awaited::Pause },
        ],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Revoked, At::Done] },
            Row { from: At::Revoked, on: On::Reply, targets: &[At::Revoked, At::Pause, At::Done] },
            Row { from: At::Revoked, on: On::Expired, targets: &[At::Done] },
            Row { from: At::Revoked, on: On::Resumed, targets: &[At::Revoked] },
            Row { from: At::Pause, on: On::Expired, targets: &[At::Revoked] },
            Row { from: At::Pause, on: On::Resumed, targets: &[At::Revoked] },
        ],
    };

    fn state(&self) -> At {
        match self.phase {
            Phase::Start => At::Start,
            Phase::Revoked => At::Revoked,
            Phase::Pause => At::Pause,
        }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        Ok(match (signal, self.phase) {
            (Signal::Begin, _) | (Signal::Expired | Signal::Resumed, Phase::Pause) => self.send(cx),
            (Signal::Resumed, _) => {
                // The same attempt is made again, and is not counted twice.
                let attempts = self.attempts.saturating_sub(1);
                Self { attempts, ..self }.send(cx)
            }
            (Signal::Reply(Reply::Answered(response)), _) => self.answered(&response, cx),
            (Signal::Reply(Reply::NotSent(why) | Reply::MaybeSent(why)), _) => self.lost(why, cx),
            (Signal::Expired, _) => self.lost(Why::Timeout, cx),
            _ => return Err(confused(cx)),
        })
    }
}
