//! A keychain in memory that can be short of room, locked, slow, dead or in two minds.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use keyring_core::api::{CredentialApi, CredentialStoreApi};
use keyring_core::{Credential, CredentialStore, Entry, Error, Result};

/// One item of the keychain. Several may have one name, in different collections.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) collection: u32,
    pub(super) secret: Vec<u8>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) items: Vec<Item>,
    /// Calls that were begun.
    pub(super) calls: usize,
    /// Calls that still succeed; then none does.
    pub(super) left: Option<usize>,
    /// After so many calls another program has put other items there.
    pub(super) then: Option<(usize, Vec<Item>)>,
    /// The error that every call returns.
    pub(super) fault: Option<fn() -> Error>,
    /// A prompt is open, and nobody answers it.
    pub(super) prompt: bool,
    /// How much an item takes.
    pub(super) limit: Option<u32>,
    /// How much an item takes without saying so.
    pub(super) cut: Option<usize>,
}

#[derive(Clone, Default)]
pub(super) struct Backend(Arc<(Mutex<State>, Condvar)>);

impl Backend {
    pub(super) fn store(&self) -> Arc<CredentialStore> {
        Arc::new(self.clone())
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    pub(super) fn items(&self) -> Vec<Item> {
        let mut items = self.state().items.clone();
        items.sort_by(|one, other| {
            (&one.name, one.collection).cmp(&(&other.name, other.collection))
        });
        items
    }

    /// The person comes back.
    pub(super) fn answer_prompt(&self) {
        self.state().prompt = false;
        self.0.1.notify_all();
    }

    /// Nothing is wrong any longer.
    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.left = None;
        state.fault = None;
    }

    fn enter(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.0.1.wait_while(self.state(), |state| state.prompt).unwrap();
        state.calls += 1;
        if let Some(fault) = state.fault {
            drop(state);
            return Err(fault());
        }
        if let Some((_, items)) = state.then.take_if(|(calls, _)| *calls == 0) {
            state.items = items;
        } else if let Some((calls, _)) = &mut state.then {
            *calls -= 1;
        }
        if let Some(left) = &mut state.left {
            *left = left.checked_sub(1).ok_or_else(|| Error::PlatformFailure("dead".into()))?;
        }
        Ok(state)
    }
}

impl CredentialStoreApi for Backend {
    fn vendor(&self) -> String {
        "test".to_owned()
    }

    fn id(&self) -> String {
        "test".to_owned()
    }

    fn build(&self, _: &str, user: &str, _: Option<&HashMap<&str, &str>>) -> Result<Entry> {
        let named = Named { backend: self.clone(), name: user.to_owned(), collection: None };
        Ok(Entry::new_with_credential(Arc::new(named)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}

/// The items of a name, or the one in a collection.
struct Named {
    backend: Backend,
    name: String,
    collection: Option<u32>,
}

impl Named {
    /// Where the only item is.
    fn only(&self, state: &State) -> Result<usize> {
        let own = |item: &Item| {
            item.name == self.name && self.collection.is_none_or(|of| of == item.collection)
        };
        let mut places = (0..state.items.len()).filter(|place| own(&state.items[*place]));
        match (places.next(), places.next()) {
            (None, _) => Err(Error::NoEntry),
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => {
                let all = state.items.iter().filter(|item| own(item)).map(|item| item.collection);
                let wrap = |collection| {
                    let (backend, name) = (self.backend.clone(), self.name.clone());
                    let named = Self { backend, name, collection: Some(collection) };
                    Entry::new_with_credential(Arc::new(named))
                };
                Err(Error::Ambiguous(all.map(wrap).collect()))
            }
        }
    }
}

impl CredentialApi for Named {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        let mut state = self.backend.enter()?;
        if let Some(limit) = state.limit.filter(|limit| secret.len() > *limit as usize) {
            return Err(Error::TooLong("secret".to_owned(), limit));
        }
        let kept = secret[..secret.len().min(state.cut.unwrap_or(usize::MAX))].to_vec();
        match self.only(&state) {
            Ok(place) => state.items[place].secret = kept,
            Err(Error::NoEntry) => {
                let name = self.name.clone();
                state.items.push(Item { name, collection: 0, secret: kept });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        let state = self.backend.enter()?;
        self.only(&state).map(|place| state.items[place].secret.clone())
    }

    fn delete_credential(&self) -> Result<()> {
        let mut state = self.backend.enter()?;
        let place = self.only(&state)?;
        state.items.remove(place);
        Ok(())
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.get_secret().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Named")
    }
}
