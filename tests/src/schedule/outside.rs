//! The server and the store: well, or broken on purpose.

use http::{Request, Response};
use mcp_authz_core::effect::{Holder, Purpose, RecordKind, Reply, StoreRequest, Stored, Why};
use mcp_authz_core::failure::Kind;

use super::Broken;
use super::ledger::form;
use super::world::World;
use crate::model::{Answer, Body};

impl World {
    /// The server carries out a request.
    pub(super) fn serve(&mut self, request: &Request<Vec<u8>>, purpose: Purpose) -> Reply {
        if self.broken == Some(Broken::AnswerRepeated)
            && purpose == Purpose::Refresh
            && let Some(body) = &self.repeated
        {
            return Reply::Answered(Response::new(body.clone()));
        }
        let now = self.wall_ms();
        let Answer { status, headers, body, .. } = self.model.handle(request, now);
        let Body::Whole(bytes) = body else { return Reply::MaybeSent(Why::Broken) };
        if matches!(purpose, Purpose::CodeExchange | Purpose::Refresh) {
            let answer = serde_json::from_slice(&bytes).unwrap_or_default();
            self.ledger.served(request, status.as_u16(), &answer);
            if purpose == Purpose::Refresh && status.is_success() {
                self.repeated.get_or_insert_with(|| bytes.clone());
            }
        } else if request.uri().path().ends_with("/revoke") && status.is_success() {
            self.ledger.revoke(&form(request, "token").unwrap_or_default());
        }
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Reply::Answered(response)
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
        stored.unwrap_or(Stored::Failed(Kind::StoreUnavailable))
    }

    /// What a broken store makes of an operation.
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
        self.store.fail(fails.then_some(Kind::StoreUnavailable));
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
