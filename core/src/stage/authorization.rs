//! The person's visit: from the authorization URL to a code that belongs to it (AUTHZ, PKCE, ISS).
//!
//! Decides what a callback with this stage's `state` means; refuses to decide which stage a
//! callback belongs to. A callback that breaks a rule is refused and the login goes on waiting,
//! since otherwise any web page could end it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::config::Config;
use crate::effect::{Bound, ListenOn, Page, Parties, Purpose, Visit};
use crate::failure::{Failure, Kind};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::Note;
use crate::scope::ScopeSet;
use crate::secret::{Secret, same};
use crate::time::{Awaited, Monotonic};
use crate::wire::authorize::{self, AuthorizationRequest, CallbackParams};
use crate::wire::pkce;
use crate::wire::redirect::RedirectUri;
use crate::wire::url::ServerUrl;

/// Everything the request is made of, recorded before its URL leaves (BIND-08).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) endpoint: ServerUrl,
    pub(crate) token_host: Arc<str>,
    #[serde(default)]
    pub(crate) registration_host: Option<Arc<str>>,
    #[serde(default)]
    pub(crate) revocation_host: Option<Arc<str>>,
    pub(crate) issuer: Arc<str>,
    pub(crate) listed: Arc<str>,
    pub(crate) previous_issuer: Option<Arc<str>>,
    pub(crate) iss_promised: bool,
    pub(crate) legacy: bool,
    pub(crate) client_id: Arc<str>,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) listen: Option<ListenOn>,
    /// True if the listener of this flow runs; it does not after a restart.
    #[serde(skip)]
    pub(crate) bound: bool,
    pub(crate) resource: Arc<str>,
    pub(crate) resource_parameter: Option<Arc<str>>,
    pub(crate) scopes: Arc<ScopeSet>,
}

/// A code and the verifier that it takes to spend it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Approved {
    #[serde(with = "crate::secret::written")]
    pub(crate) code: Secret,
    #[serde(with = "crate::secret::written")]
    pub(crate) verifier: Secret,
}

impl Approved {
    /// 32 hexadecimal digits that stand for the login, made of the challenge that its URL showed
    /// anyway.
    pub(crate) fn login(&self) -> Arc<str> {
        const DIGITS: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
        let mut text = String::with_capacity(32);
        for byte in Sha256::digest(self.verifier.expose()).iter().take(16) {
            text.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        text.into()
    }
}

/// The visit itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Authorization {
    ask: Ask,
    sent: Option<Sent>,
    /// The last callback that had this `state` and was not believed (ISS-90).
    #[serde(default)]
    untrusted: Option<Untrusted>,
}

/// An answer that did not come from the issuer that was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Untrusted {
    /// The issuer that it named.
    received: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sent {
    #[serde(with = "crate::secret::written")]
    state: Secret,
    #[serde(with = "crate::secret::written")]
    verifier: Secret,
    until: Monotonic,
}

impl Untrusted {
    /// The failure that ends the login if nothing better comes.
    fn failure(&self, ask: &Ask) -> Failure {
        authorize::untrusted(&ask.issuer, self.received.as_deref())
            .with_purpose(Purpose::Authorization)
    }
}

impl Authorization {
    pub(crate) const fn new(ask: Ask) -> Self {
        Self { ask, sent: None, untrusted: None }
    }

    /// Returns true if a callback with this `state` is this visit's (ISS-03, ISS-04).
    pub(crate) fn awaits(&self, state: &Secret) -> bool {
        self.sent
            .as_ref()
            .is_some_and(|sent| same(sent.state.expose().as_bytes(), state.expose().as_bytes()))
    }

    /// Returns true if a bare code may be taken for this visit's (D11).
    pub(crate) fn takes_bare_code(&self) -> bool {
        self.sent.is_some() && !self.ask.iss_promised
    }

    /// The page that was shown, if it still waits for its callback.
    pub(crate) fn page(&self, config: &Config) -> Option<Visit> {
        self.sent.as_ref().and_then(|sent| self.visit(sent, true, config).ok())
    }

    /// The parties of the visit, as its page will name them.
    pub(crate) fn parties(&self, config: &Config) -> Parties {
        let endpoint = self.ask.endpoint.host_str();
        // Nearly always it is the same host, which is cheaper to see than to parse.
        let after = self.ask.issuer.strip_prefix("https://");
        let after = after.and_then(|after| after.strip_prefix(endpoint));
        let issuer = match after {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', ':']) => endpoint.to_owned(),
            _ => {
                let issuer = Url::parse(&self.ask.issuer).ok();
                issuer.as_ref().and_then(Url::host_str).unwrap_or(endpoint).to_owned()
            }
        };
        let program = config.metadata.client_name.clone();
        Parties { program, resource: config.mcp.host_str().to_owned(), issuer }
    }

    /// Moves the deadline into another process's clock.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        if let Some(sent) = &mut self.sent {
            shift(&mut sent.until);
        }
    }

    fn begin(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let until = cx.mono.after(cx.config.times.callback);
        let sent = Sent {
            state: authorize::state(cx.draw.bytes()),
            verifier: pkce::verifier(cx.draw.bytes()),
            until,
        };
        let visit = self.visit(&sent, false, cx.config)?;
        self.sent = Some(sent);
        let listen = self.ask.listen.clone().filter(|_| !self.ask.bound);
        let parked = cx.person(visit, cx.config.times.callback, listen);
        // The browsers that brought an answer to an earlier page of this login wait no longer
        // (REG-21). The page that the login goes on with is open by then: they ask for it at once.
        if !cx.arrivals.is_empty() {
            cx.answer_all(&Page::OneMoreStep(self.parties(cx.config)));
        }
        Ok(Turn::Wait(self, parked))
    }

    fn resume(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Some(sent) = &self.sent else {
            return Err(confused(cx));
        };
        let visit = self.visit(sent, true, cx.config)?;
        let parked = cx.person(visit, cx.mono.until(sent.until), self.ask.listen.clone());
        Ok(Turn::Wait(self, parked))
    }

    fn visit(&self, sent: &Sent, reissued: bool, config: &Config) -> Result<Visit, Failure> {
        let Ask { endpoint, issuer, client_id, redirect_uri, resource, scopes, .. } = &self.ask;
        let settings = || config.settings(&self.ask.listed, issuer);
        let consent =
            settings().any(|at| at.consent_for_offline) && scopes.contains("offline_access");
        let mut extra: Vec<_> = settings().flat_map(|at| at.parameters.iter().cloned()).collect();
        if consent && !extra.iter().any(|(name, _)| **name == *"prompt") {
            extra.push(("prompt".into(), "consent".into()));
        }
        let url = AuthorizationRequest {
            endpoint,
            client_id,
            redirect_uri: redirect_uri.as_str(),
            code_challenge: &pkce::challenge(&sent.verifier),
            state: sent.state.expose(),
            resource: self.ask.resource_parameter.as_deref(),
            scopes,
            extra: &extra,
        }
        .url()?;
        Ok(Visit {
            url: Secret::new(url),
            issuer: issuer.clone(),
            previous_issuer: self.ask.previous_issuer.clone(),
            resource: resource.clone(),
            authorization_host: endpoint.host_str().to_owned(),
            token_host: self.ask.token_host.to_string(),
            scopes: ScopeSet::clone(scopes),
            client_id: client_id.clone(),
            redirect_uri: redirect_uri.as_str().to_owned(),
            registration_host: self.ask.registration_host.clone(),
            revocation_host: self.ask.revocation_host.clone(),
            reissued,
        })
    }

    /// The issuer is checked before anything else of the answer is looked at (ISS-03, ISS-13).
    fn callback(
        mut self,
        callback: CallbackParams,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let Some(sent) = &self.sent else {
            return Err(confused(cx));
        };
        let until = sent.until;
        // A peer that has seen the page's URL, or knows our secrets, can repeat them (HOST-324).
        let ours = [&sent.state, &sent.verifier];
        let secrets: Vec<&Secret> = ours.into_iter().chain(cx.secrets.iter().copied()).collect();
        let rest = callback.rest;
        let Ask { issuer, iss_promised, legacy, .. } = &self.ask;
        let other = rest.as_ref().ok().filter(|params| !params.names(issuer));
        let received = other.and_then(|params| params.named_issuer(&secrets));
        let failure = match rest
            .and_then(|params| params.checked(issuer, *iss_promised, *legacy, &secrets))
        {
            Ok(authorize::Outcome::Code(code)) => {
                let verifier = sent.verifier.clone();
                return Ok(Turn::Done(Approved { code, verifier }));
            }
            Ok(authorize::Outcome::Error(said)) => {
                return Err(authorize::refusal(said).with_purpose(Purpose::Authorization));
            }
            Err(failure) => failure,
        };
        let (kind, rule) = (failure.kind(), failure.rule());
        if matches!(kind, Kind::IssMissing | Kind::IssMismatch) {
            cx.note(Note::Untrusted { kind, rule });
            let failure = self.untrusted.insert(Untrusted { received }).failure(&self.ask);
            let parties = self.parties(cx.config);
            cx.answer_last(Page::Untrusted { parties, failure: Arc::new(failure) });
        } else {
            cx.note(Note::Stray { kind, rule });
            cx.answer_last(Page::Refused(kind));
        }
        Ok(Turn::Wait(self, cx.still(Awaited::Person, until)))
    }

    /// The failure when the time is over: no callback came, or only one that was not believed.
    fn expired(&self) -> Failure {
        let late =
            || Failure::new(Kind::CallbackTimeout, "AUTHZ-11").with_purpose(Purpose::Authorization);
        self.untrusted.as_ref().map_or_else(late, |untrusted| untrusted.failure(&self.ask))
    }

    fn bound(self, bound: Bound, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match (bound, &self.sent) {
            (Bound::Port(_), Some(sent)) => {
                let parked = cx.still(Awaited::Person, sent.until);
                Ok(Turn::Wait(self, parked))
            }
            (Bound::Port(_), None) => Err(confused(cx)),
            (Bound::Taken | Bound::Exhausted | Bound::Failed, _) => match &self.ask.listen {
                Some(on) => Err(on.unavailable(bound)),
                None => Err(confused(cx)),
            },
        }
    }
}

impl Machine for Authorization {
    type Output = Approved;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Authorization,
        purpose: "sends the person to the server and waits for the callback",
        states: &[State { name: At::Callback, awaits: Awaited::Person }],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Callback, At::Failed] },
            Row {
                from: At::Callback,
                on: On::Callback,
                targets: &[At::Callback, At::Done, At::Failed],
            },
            Row { from: At::Callback, on: On::Unshown, targets: &[At::Failed] },
            Row { from: At::Callback, on: On::Bound, targets: &[At::Callback, At::Failed] },
            Row { from: At::Callback, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Callback, on: On::Resumed, targets: &[At::Callback] },
        ],
    };

    fn state(&self) -> At {
        if self.sent.is_some() { At::Callback } else { At::Start }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match signal {
            Signal::Begin => self.begin(cx),
            Signal::Resumed => self.resume(cx),
            Signal::Callback(callback) => self.callback(callback, cx),
            Signal::Bound(bound) => self.bound(bound, cx),
            Signal::Unshown => {
                Err(Failure::new(Kind::BrowserRefused, "HOST-169")
                    .with_purpose(Purpose::Authorization))
            }
            Signal::Expired => Err(self.expired()),
            _ => Err(confused(cx)),
        }
    }
}
