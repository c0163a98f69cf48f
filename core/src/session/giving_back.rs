//! Leases and intents are given back to the store, and those of a code withdrawn when they have served.

use crate::effect::{Key, TicketId};
use crate::flow::errands::{Lease, Task};
use crate::flow::{Course, Kept};
use crate::session::lanes::{Flow, Lane};
use crate::session::{Now, Session};
use crate::stage::Stage;

impl Session {
    /// The store's answer about a lease or an intent is waited for no longer.
    pub(super) fn await_late_mark(&mut self, flow: &Flow, ticket: TicketId) {
        let Some(holder) = self.holder else { return };
        let lease = |key: &Key, withdraw| Lease { key: key.clone(), holder, withdraw };
        let lease = match &flow.stage {
            Some(Stage::Claim(claim)) => claim.asks_for().map(|key| lease(key, None)),
            Some(Stage::Intent(intent)) => {
                intent.records().map(|(key, spend)| lease(key, Some(spend.clone())))
            }
            _ => None,
        };
        if let Some(lease) = lease {
            self.owed.await_late(ticket, lease);
        }
    }

    /// Once a code has brought a grant, and the store has that, its intent has served: it would keep a
    /// descriptor and a file for as long as the session lives. That of one that brought nothing, or that
    /// nobody heard more of, keeps copies of the login from sending it again.
    pub(super) fn withdraw_code(&mut self, flow: &mut Flow, came: Option<Kept>) {
        let (Some(holder), Course::Login(login)) = (self.holder, &mut flow.course) else { return };
        let Ok(key) = self.key_of_login(login) else { return };
        let Some(code) = login.take_mark() else { return };
        let lease = Lease { key, holder: holder.of_codes(), withdraw: Some(code) };
        let Some(kept) = came else { return self.owed.stands(lease) };
        self.owed.unknown_is_past(kept);
        match kept {
            Kept::Unsaved => self.owed.owe_once_saved(lease),
            Kept::Saved => self.owed.owe(lease, None),
        }
    }

    /// What has served is given back once everything is saved. A record that is being written is not
    /// saved yet.
    pub(super) fn owe_what_is_saved(&mut self) {
        if self.body.background.is_none() && !self.body.memory.unsaved() {
            self.owed.all_is_saved();
        }
    }

    /// Gives the next of them back.
    pub(super) fn give_back_owed(&mut self, now: &mut Now) {
        if let Some(lease) = self.owed.take() {
            self.launch(Lane::Background, Flow::errand(Task::GiveBack(lease)), now);
        }
    }
}
