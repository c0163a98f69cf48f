//! What the test knows of the server's requests, and its hand on the token endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mcp_authz_tests::model::{Endpoint, Seen};

use crate::program::PATIENCE;

/// Told of every request after the model has dealt with it and before its answer leaves.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Token requests whose answers are to be held back.
    to_hold: usize,
    /// Those that are held back now.
    held: usize,
    refreshes: usize,
    /// Refresh tokens and codes, each as often as it was sent.
    spent: [BTreeMap<String, usize>; 2],
    logins: usize,
    /// Calls that were refused and not yet repeated, by MCP session and JSON-RPC id.
    refused: BTreeSet<(String, u64)>,
    /// Calls answered since the last mark, by MCP session.
    answered: BTreeMap<String, usize>,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that has failed still lets go of what it holds back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self, what: &str, is: impl Fn(&State) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut state = self.state();
        while !is(&state) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: {} refreshes", state.refreshes);
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub(crate) fn told(self: &Arc<Self>, seen: &Seen) {
        match seen.endpoint {
            Endpoint::Authorize => self.state().logins += 1,
            Endpoint::Token => self.token(seen),
            Endpoint::Mcp if seen.rpc() == Some("tools/list") => self.call(seen),
            _ => return,
        }
        self.changed.notify_all();
    }

    fn token(&self, seen: &Seen) {
        let mut state = self.state();
        state.refreshes += usize::from(seen.param("refresh_token").is_some());
        for (spent, name) in state.spent.iter_mut().zip(["refresh_token", "code"]) {
            if let Some(credential) = seen.param(name) {
                *spent.entry(credential.to_owned()).or_default() += 1;
            }
        }
        if state.to_hold == 0 {
            return;
        }
        state.to_hold -= 1;
        state.held += 1;
        self.changed.notify_all();
        let (mut state, timeout) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.held > 0).unwrap();
        if timeout.timed_out() {
            state.held = 0;
        }
    }

    fn call(&self, seen: &Seen) {
        let session = seen.headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
        let id = seen.json.as_ref().and_then(|json| json["id"].as_u64());
        let (Some(session), Some(id)) = (session, id) else { return };
        let mut state = self.state();
        let key = (session.to_owned(), id);
        match seen.status {
            401 => {
                state.refused.insert(key);
            }
            _ => {
                state.refused.remove(&key);
                *state.answered.entry(key.0).or_default() += 1;
            }
        }
    }

    /// Holds back the answer to the next token request.
    pub(crate) fn hold(&self) {
        self.state().to_hold = 1;
    }

    /// Waits until that request is there and dealt with.
    pub(crate) fn reached(&self) {
        self.until("no token request came", |state| state.held > 0);
    }

    /// Lets held answers go, and holds no more.
    pub(crate) fn let_go(&self) {
        let mut state = self.state();
        state.to_hold = 0;
        state.held = 0;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until this many MCP sessions have had this many calls answered since the last mark, and none of
    /// their calls is still refused: whoever is called now has the newest token.
    pub(crate) fn settled(&self, sessions: usize, calls: usize) {
        self.until("the callers do not go on", |state| {
            let mut active = state.answered.iter().filter(|(_, answered)| **answered >= calls);
            let settled = |(session, _): (&String, &usize)| {
                !state.refused.iter().any(|(of, _)| of == session)
            };
            active.clone().count() == sessions && active.all(settled)
        });
    }

    /// Counts answered calls from here.
    pub(crate) fn mark(&self) {
        self.state().answered.clear();
    }

    /// How many requests with a refresh token have come.
    pub(crate) fn refreshes(&self) -> usize {
        self.state().refreshes
    }

    /// How often the refresh token that was sent most often was sent.
    pub(crate) fn most_sent(&self) -> usize {
        self.state().spent[0].values().copied().max().unwrap_or_default()
    }

    /// The same of codes.
    pub(crate) fn most_sent_code(&self) -> usize {
        self.state().spent[1].values().copied().max().unwrap_or_default()
    }

    pub(crate) fn logins(&self) -> usize {
        self.state().logins
    }
}
