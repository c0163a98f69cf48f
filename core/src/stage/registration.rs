//! Becoming a client of an authorization server, with a redirect URI (REG, CIMD, CAUTH-02, NAT).
//!
//! Decides which of the ways is open and what the server's registration answer is worth; refuses
//! to decide what happens to an older registration. The port is bound before anything is
//! registered, so that the URI that is registered is one that works.

mod ask;
mod plan;
mod refusal;

use core::num::NonZeroU16;

use serde::{Deserialize, Serialize};

pub(crate) use self::ask::{Ask, Redirected};
use self::plan::{Plan, plan};
use self::refusal::mended;
use crate::config::{Config, Redirect};
use crate::effect::{Bound, ListenOn, Purpose, Reply, StoreRequest, Stored};
use crate::failure::{Failure, Kind, Outcome};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::{Choice, ClientWay, Note};
use crate::record::{self, Client, Held, Way};
use crate::stage::recall;
use crate::time::Awaited;
use crate::wire::client_auth::{Credentials, Method};
use crate::wire::redirect::RedirectUri;
use crate::wire::registration::{self, Asked, ClientMetadata, RegistrationRequest};

/// A client of the server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Enrolled {
    pub(crate) credentials: Credentials,
    pub(crate) way: Way,
    pub(crate) redirect: Redirected,
    /// The record, if the registration was dynamic; without a generation if it is new.
    pub(crate) client: Option<Held<Client>>,
    /// True if the registration was made just now and is not in the store.
    pub(crate) fresh: bool,
}

impl Enrolled {
    /// Takes up this registration. If another process has made it, nobody has seen yet whether the
    /// server knows it (REG-93).
    pub(crate) fn is(&mut self, client: Held<Client>, chosen: Option<Method>) {
        self.fresh &= self.credentials.client_id == client.value.credentials.client_id;
        self.credentials = client.value.credentials.clone().by(chosen);
        self.client = Some(client);
    }
}

/// The way to a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Registration {
    ask: Ask,
    plan: Option<Plan>,
    waiting: Waiting,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Waiting {
    Nothing,
    Redirect {
        on: ListenOn,
    },
    Client {
        redirect: Redirected,
    },
    /// `before` is the registration that the new one takes the place of.
    Registered {
        redirect: Redirected,
        before: Option<Held<Client>>,
    },
}

/// A port that stands for any, where only the rest of a redirect URI is looked at.
const ANY_PORT: u16 = 1;

impl Registration {
    pub(crate) const fn new(ask: Ask) -> Self {
        Self { ask, plan: None, waiting: Waiting::Nothing }
    }

    fn begin(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        self.plan = Some(plan(&self.ask, cx)?);
        if let Some(redirect) = self.ask.redirect.clone() {
            return self.redirected(redirect, cx);
        }
        match &cx.config.redirect {
            Redirect::Fixed(uri) => {
                let redirect =
                    Redirected { uri: uri.clone(), set: cx.config.redirect_set(uri), listen: None };
                self.redirected(redirect, cx)
            }
            Redirect::Loopback { host, port, path } => {
                let mut on = ListenOn { host: *host, port: *port, path: path.clone() };
                if on.port.is_none() && matches!(self.plan, Some(Plan::Register { .. })) {
                    on.port = self.registered_port(&on, cx)?;
                }
                Ok(self.listen(on, cx))
            }
        }
    }

    /// The port of a registration at hand. Many servers compare redirect URIs whole, whatever
    /// RFC 8252 says of ports, and refuse every other one.
    fn registered_port(&self, on: &ListenOn, cx: &Cx<'_>) -> Result<Option<u16>, Failure> {
        if self.ask.held.is_empty() {
            return Ok(None);
        }
        let uri = RedirectUri::loopback(on.host, ANY_PORT, &on.path)?;
        let redirect = Redirected { set: cx.config.redirect_set(&uri), uri, listen: None };
        let held = self.ask.held_for(&redirect).filter(|held| self.ask.takes(held, cx));
        Ok(held.filter(|_| !self.ask.anew).and_then(|held| held.value.port).map(NonZeroU16::get))
    }

    fn listen(mut self, on: ListenOn, cx: &mut Cx<'_>) -> Turn<Self> {
        let parked = cx.listen(on.clone());
        self.waiting = Waiting::Redirect { on };
        Turn::Wait(self, parked)
    }

    fn bound(self, port: u16, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Waiting::Redirect { on } = &self.waiting else {
            return Err(confused(cx));
        };
        let uri = RedirectUri::loopback(on.host, port, &on.path)?;
        let listen = Some(ListenOn { port: Some(port), ..on.clone() });
        let redirect = Redirected { set: cx.config.redirect_set(&uri), uri, listen };
        self.redirected(redirect, cx)
    }

    /// Goes on to the client, now that the redirect URI is certain.
    fn redirected(mut self, redirect: Redirected, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match &self.plan {
            Some(Plan::Given { credentials, way }) => {
                if *way == Way::Document {
                    listed_by_document(cx.config, &redirect.uri)?;
                }
                let credentials = credentials.clone();
                Ok(Turn::Done(Enrolled {
                    credentials,
                    way: *way,
                    redirect,
                    client: None,
                    fresh: false,
                }))
            }
            Some(Plan::Register { .. }) => {
                let mut held = self.ask.held_for(&redirect).cloned();
                if self.ask.anew {
                    // One refused code ends no grant of another account (HOST-217).
                    held.iter_mut().for_each(|held| held.value.stale = false);
                    return self.register(redirect, held, cx);
                }
                match held {
                    Some(held) if self.ask.takes(&held, cx) => {
                        Ok(stored(held, self.ask.chosen, redirect, cx))
                    }
                    _ if cx.config.persistent => {
                        self.waiting = Waiting::Client { redirect };
                        self.look(cx)
                    }
                    held => self.register(redirect, held, cx),
                }
            }
            None => Err(confused(cx)),
        }
    }

    /// Looks for a registration that an earlier run left in the store (REG-02).
    fn look(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Waiting::Client { redirect } = &self.waiting else {
            return Err(confused(cx));
        };
        let key = record::client_key(&self.ask.issuer, &redirect.set);
        let parked = cx.store(StoreRequest::Load { key });
        Ok(Turn::Wait(self, parked))
    }

    fn looked(mut self, stored: Stored, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let Waiting::Client { redirect } = self.waiting else {
            return Err(confused(cx));
        };
        self.waiting = Waiting::Nothing;
        let record = match stored {
            Stored::Loaded(record) => record,
            Stored::Failed(kind) => {
                cx.note(Note::Store { kind });
                None
            }
            _ => return Err(confused(cx)),
        };
        let key = record::client_key(&self.ask.issuer, &redirect.set);
        match recall::read::<Client>(record, &key, cx)? {
            Some(held) if self.ask.takes(&held, cx) => {
                let on = redirect.listen.clone().filter(|_| any_port(cx.config));
                let Some((on, port)) = on.zip(held.value.port.map(NonZeroU16::get)) else {
                    return Ok(self::stored(held, self.ask.chosen, redirect, cx));
                };
                if on.port == Some(port) {
                    return Ok(self::stored(held, self.ask.chosen, redirect, cx));
                }
                // The listener moves to the port that the server knows.
                self.ask.held.retain(|one| {
                    (&one.value.issuer, &one.value.redirect_set)
                        != (&held.value.issuer, &held.value.redirect_set)
                });
                self.ask.held.push(held);
                Ok(self.listen(ListenOn { port: Some(port), ..on }, cx))
            }
            found => {
                let before = found.or_else(|| self.ask.held_for(&redirect).cloned());
                self.register(redirect, before, cx)
            }
        }
    }

    fn register(
        mut self,
        redirect: Redirected,
        before: Option<Held<Client>>,
        cx: &mut Cx<'_>,
    ) -> Result<Turn<Self>, Failure> {
        let Some(Plan::Register { endpoint, method }) = &self.plan else {
            return Err(confused(cx));
        };
        cx.note(Note::Chose(Choice::Client(ClientWay::Dynamic)));
        let config = cx.config;
        let uris = core::slice::from_ref(&redirect.uri);
        let scopes = self.ask.registered_scopes(config)?;
        let metadata = ClientMetadata { scope: scopes, ..config.metadata.clone() };
        let request = registration::registration_request(RegistrationRequest {
            endpoint,
            metadata: &metadata,
            redirect_uris: &[redirect.uri.as_str()],
            application_type: registration::application_type(uris)?,
            method: *method,
            refresh: config.refresh_tokens && !self.ask.no_refresh,
            initial_access_token: config.initial_access_token.as_ref(),
        })?;
        let addresses = config.reach.addresses(endpoint);
        let parked = cx.call(request, Purpose::Registration, addresses)?;
        self.waiting = Waiting::Registered { redirect, before };
        Ok(Turn::Wait(self, parked))
    }

    fn registered(self, reply: Reply, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let (Waiting::Registered { redirect, before }, Some(Plan::Register { endpoint, method })) =
            (self.waiting, &self.plan)
        else {
            return Err(confused(cx));
        };
        let response = match reply {
            Reply::Answered(response) => response,
            Reply::NotSent(why) | Reply::MaybeSent(why) => {
                cx.note(Note::Lost { purpose: Purpose::Registration, why });
                cx.evidence(Purpose::Registration, endpoint.shown(), Outcome::Lost(why));
                return Err(Failure::lost(why, "REG-17").with_purpose(Purpose::Registration));
            }
        };
        let status = response.status().as_u16();
        cx.note(Note::Answered { purpose: Purpose::Registration, status });
        let legacy = self.ask.legacy;
        let listed = self.ask.methods;
        let sent = cx.secrets;
        let asked = Asked { method: *method, listed, redirect_uri: &redirect.uri, sent, legacy };
        let mut read = registration::read_registration(&response, &asked, cx.wall)
            .and_then(|read| self.ask.met_by(read))
            .map_err(|failure| {
                cx.evidence(Purpose::Registration, endpoint.shown(), Outcome::Status(status));
                let scoped = self.ask.registered_scopes(cx.config);
                let scoped = scoped.is_ok_and(|scopes| !scopes.is_empty());
                mended(failure, &self.ask.issuer, scoped).with_purpose(Purpose::Registration)
            })?;
        for note in &read.notes {
            cx.dropped(note);
        }
        let mut client = self.ask.record(&mut read, &redirect, cx.config)?;
        client.begins(before.as_ref().map(|held| &held.value), cx.wall);
        Ok(Turn::Done(Enrolled {
            credentials: read.credentials.by(self.ask.chosen),
            way: Way::Dynamic,
            redirect,
            // The new registration takes the place of the other one in the store, too.
            client: Some(Held { value: client, generation: before.and_then(|it| it.generation) }),
            fresh: true,
        }))
    }

    /// Goes on after a restart. A listener is gone with its process and is bound again, on the same
    /// port where a port was fixed. A registration that may have been made is an orphan, and
    /// another one is made.
    fn resume(mut self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match core::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => Err(confused(cx)),
            Waiting::Redirect { on } => Ok(self.listen(on, cx)),
            Waiting::Client { redirect } | Waiting::Registered { redirect, .. } => {
                match redirect.listen.clone() {
                    Some(on) => Ok(self.listen(on, cx)),
                    None => self.redirected(redirect, cx),
                }
            }
        }
    }
}

fn stored(
    held: Held<Client>,
    chosen: Option<Method>,
    redirect: Redirected,
    cx: &mut Cx<'_>,
) -> Turn<Registration> {
    cx.note(Note::Chose(Choice::Client(ClientWay::Stored)));
    Turn::Done(Enrolled {
        credentials: held.value.credentials.clone().by(chosen),
        way: Way::Dynamic,
        redirect,
        client: Some(held),
        fresh: false,
    })
}

/// Returns true if the port of the redirect URI is ours to choose.
fn any_port(config: &Config) -> bool {
    matches!(config.redirect, Redirect::Loopback { port: None, .. })
}

/// Checks that the redirect URI is one of the document's (CIMD-10). Where the configuration does
/// not say which those are, the server decides.
fn listed_by_document(config: &Config, uri: &RedirectUri) -> Result<(), Failure> {
    let listed = config.document.as_ref().map_or(&[][..], |document| &document.redirect_uris);
    if listed.is_empty() || listed.iter().any(|one| uri.matches_registered(one.as_str())) {
        return Ok(());
    }
    Err(Failure::new(Kind::ConfigInvalid, "CIMD-10").with_subject(uri.as_str()))
}

impl Machine for Registration {
    type Output = Enrolled;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Registration,
        purpose: "becomes a client of the server, with a redirect URI",
        states: &[
            State { name: At::Redirect, awaits: Awaited::Listen },
            State { name: At::Client, awaits: Awaited::Store },
            State { name: At::Registered, awaits: Awaited::Call },
        ],
        rows: &[
            Row {
                from: At::Start,
                on: On::Begin,
                targets: &[At::Redirect, At::Client, At::Registered, At::Done, At::Failed],
            },
            Row {
                from: At::Redirect,
                on: On::Bound,
                targets: &[At::Redirect, At::Client, At::Registered, At::Done, At::Failed],
            },
            Row { from: At::Redirect, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Redirect, on: On::Resumed, targets: &[At::Redirect] },
            Row {
                from: At::Client,
                on: On::Stored,
                targets: &[At::Redirect, At::Registered, At::Done, At::Failed],
            },
            Row { from: At::Client, on: On::Expired, targets: &[At::Registered, At::Failed] },
            Row { from: At::Client, on: On::Resumed, targets: &[At::Redirect, At::Client] },
            Row { from: At::Registered, on: On::Reply, targets: &[At::Done, At::Failed] },
            Row { from: At::Registered, on: On::Expired, targets: &[At::Failed] },
            Row {
                from: At::Registered,
                on: On::Resumed,
                targets: &[At::Redirect, At::Client, At::Registered, At::Failed],
            },
        ],
    };

    fn state(&self) -> At {
        match self.waiting {
            Waiting::Nothing => At::Start,
            Waiting::Redirect { .. } => At::Redirect,
            Waiting::Client { .. } => At::Client,
            Waiting::Registered { .. } => At::Registered,
        }
    }

    fn on(mut self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match (signal, &self.waiting) {
            (Signal::Begin, _) => self.begin(cx),
            (Signal::Resumed, _) => self.resume(cx),
            (Signal::Bound(Bound::Port(port)), _) => self.bound(port, cx),
            // Another port will do at servers that keep to RFC 8252 (REG-22).
            (Signal::Bound(_), Waiting::Redirect { on })
                if on.port.is_some() && any_port(cx.config) =>
            {
                let on = ListenOn { port: None, ..on.clone() };
                Ok(self.listen(on, cx))
            }
            (Signal::Bound(bound), Waiting::Redirect { on }) => Err(on.unavailable(bound)),
            (Signal::Expired, Waiting::Redirect { on }) => Err(on.unavailable(Bound::Failed)),
            (Signal::Stored(stored), _) => self.looked(stored, cx),
            (Signal::Expired, Waiting::Client { .. }) => {
                self.looked(Stored::Failed(Kind::StoreUnavailable), cx)
            }
            (Signal::Reply(reply), _) => self.registered(reply, cx),
            (Signal::Expired, Waiting::Registered { .. }) => {
                self.registered(Reply::MaybeSent(crate::effect::Why::Timeout), cx)
            }
            _ => {
                self.waiting = Waiting::Nothing;
                Err(confused(cx))
            }
        }
    }
}
