//! The server and the store: well, or broken on purpose.

use http::{Request, Response};
use mcp_authz_core::effect::{Holder, Purpose, RecordKind, Reply, StoreRequest, Stored, Why};
use mcp_authz_core::failure::Kind;

use super::Broken;
use super::ledger::form;
use super::meant::Meant;
use super::scene::{Form, Words};
use super::world::World;
use crate::model::{Answer, Body};

impl World {
    /// The server carries out a request: what it answers, and what it means by it.
    pub(super) fn serve(&mut self, request: &Request<Vec<u8>>, purpose: Purpose) -> (Reply, Meant) {
        if self.broken == Some(Broken::AnswerRepeated)
            && purpose == Purpose::Refresh
            && let Some((body, meant)) = &self.repeated
        {
            return (Reply::Answered(Response::new(body.clone())), meant.clone());
        }
        let now = self.wall_ms();
        let answer = self.model.handle(request, now);
        let words = purpose == Purpose::Refresh && self.odd.words != Words::InvalidGrant;
        let meant = Meant::of(&answer, words);
        self.count(request, purpose, &meant);
        let Answer { status, headers, body, .. } = answer;
        let Body::Whole(bytes) = body else { return (Reply::MaybeSent(Why::Broken), meant) };
        if matches!(purpose, Purpose::CodeExchange | Purpose::Refresh) {
            self.ledger.served(request, &meant);
            if purpose == Purpose::Refresh && meant.access_token().is_some() {
                self.repeated.get_or_insert_with(|| (bytes.clone(), meant.clone()));
            }
        } else if request.uri().path().ends_with("/revoke") && status.is_success() {
            self.ledger.revoke(&form(request, "token").unwrap_or_default());
        }
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        (Reply::Answered(response), meant)
    }

    /// Takes down what of all that may be odd has come about.
    fn count(&mut self, request: &Request<Vec<u8>>, purpose: Purpose, meant: &Meant) {
        let (odd, reached) = (self.odd, &mut self.reached);
        let granted = meant.access_token().is_some();
        match purpose {
            Purpose::Registration => reached.unregistered += usize::from(meant.failed()),
            Purpose::CodeExchange => {
                reached.unexchanged += usize::from(meant.failed() && !meant.rejected());
                reached.alone += usize::from(granted && meant.refresh_token().is_none());
            }
            Purpose::Refresh => {
                reached.kept += usize::from(granted && meant.refresh_token().is_none());
                reached.outages += usize::from(meant.passes());
                reached.reworded += usize::from(meant.reworded());
            }
            _ => return,
        }
        if purpose != Purpose::Registration {
            let proves = request.headers().contains_key(http::header::AUTHORIZATION)
                || form(request, "client_secret").is_some();
            reached.proofs += usize::from(proves);
            reached.known += usize::from(odd.client.known().is_some());
            reached.sloppy += usize::from(granted && odd.form != Form::Clean);
        }
    }

    /// The answer as a session hears it: a broken driver does not pass it on as it is.
    pub(super) fn misheard(&self, purpose: Purpose, reply: Reply, meant: &Meant) -> Reply {
        let (Reply::Answered(_), Some(broken)) = (&reply, self.broken) else { return reply };
        if purpose != Purpose::Refresh {
            return reply;
        }
        meant.misheard(broken, self.odd.form != Form::Clean).map_or(reply, Reply::Answered)
    }

    /// Why a connection does not come about.
    pub(super) const fn unsent(&mut self) -> Why {
        if self.odd.exhausted {
            self.reached.exhausted += 1;
            return Why::Exhausted;
        }
        Why::Connect
    }

    /// Why the store fails.
    pub(super) const fn store_failure(&mut self) -> Kind {
        if self.odd.exhausted {
            self.reached.exhausted += 1;
            return Kind::MachineExhausted;
        }
        Kind::StoreUnavailable
    }

    /// The store carries out an operation.
    pub(super) fn keep(&mut self, request: StoreRequest) -> Stored {
        let swap = matches!(request, StoreRequest::Swap { .. });
        let request = self.deform(request);
        let stored = match request {
            Ok(request) => self.store.perform(request),
            Err(stored) => Some(stored),
        };
        if swap {
            let grants = self.store.documents(RecordKind::Grant);
            let bindings = self.store.documents(RecordKind::Binding);
            let clients = self.store.documents(RecordKind::Client);
            self.ledger.stored(&grants, &bindings, &clients);
            if !grants.is_empty() {
                self.first.get_or_insert_with(|| self.store.backup());
            }
        }
        self.reached.exhausted +=
            usize::from(stored == Some(Stored::Failed(Kind::MachineExhausted)));
        stored.unwrap_or(Stored::Failed(Kind::StoreUnavailable))
    }

    /// The operation or the answer into which a broken store turns an operation.
    fn deform(&mut self, request: StoreRequest) -> Result<StoreRequest, Stored> {
        match (self.broken, request) {
            (Some(Broken::EverybodyLeased), StoreRequest::Lease { .. }) => Err(Stored::Leased),
            (Some(Broken::EverybodyLeased), StoreRequest::Intend { .. }) => Err(Stored::Intended),
            (Some(Broken::SwapForgotten), StoreRequest::Swap { .. }) => Err(Stored::Swapped),
            (Some(Broken::NothingFound), StoreRequest::Load { .. }) => Err(Stored::Loaded(None)),
            (Some(Broken::SwapBlind), StoreRequest::Swap { key, mut record, .. }) => {
                let there = self.store.perform(StoreRequest::Load { key: key.clone() });
                let expected = match there {
                    Some(Stored::Loaded(there)) => there.map(|there| there.generation),
                    _ => None,
                };
                record.generation = record.generation.max(expected.unwrap_or(0) + 1);
                Ok(StoreRequest::Swap { key, expected, record })
            }
            (Some(Broken::IntentsDie), StoreRequest::Intend { key, spend, holder }) => {
                self.intents.entry(holder).or_default().push((key.clone(), spend.clone()));
                Ok(StoreRequest::Intend { key, spend, holder })
            }
            (_, request) => Ok(request),
        }
    }

    pub(super) fn set_store(&mut self, fails: bool) {
        self.store_fails = fails;
        let kind = if self.odd.exhausted { Kind::MachineExhausted } else { Kind::StoreUnavailable };
        self.store.fail(fails.then_some(kind));
    }

    /// The store goes back to the first grant it had, where that is what is wrong with it.
    pub(super) fn roll_back(&mut self) {
        if self.broken != Some(Broken::StoreRolledBack) {
            return;
        }
        let Some(backup) = self.first.clone() else { return };
        self.store.put_back(backup);
        let bindings = self.store.documents(RecordKind::Binding);
        let clients = self.store.documents(RecordKind::Client);
        self.ledger.stored(&self.store.documents(RecordKind::Grant), &bindings, &clients);
    }

    /// The kernel ends what a process held, however the store is.
    pub(super) fn leave(&mut self, holder: Holder) {
        self.store.fail(None);
        match self.broken {
            Some(Broken::LeasesStay) => return,
            Some(Broken::IntentsDie) => {
                for (key, spend) in self.intents.remove(&holder).unwrap_or_default() {
                    let withdraw = Some(spend);
                    self.store.perform(StoreRequest::Release { key, holder, withdraw });
                }
            }
            _ => {}
        }
        self.store.perform(StoreRequest::Leave { holder });
        self.set_store(self.store_fails);
    }
}
