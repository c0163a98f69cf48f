//! Gives leases and intents back to the store, and withdraws the intents of codes that have served.

use crate::effect::{Key, TicketId};
use crate::flow::errands::{Lease, Task};
use crate::flow::{Course, Kept};
use crate::session::lanes::{Flow, Lane};
use crate::session::{Now, Session};
use crate::stage::Stage;

impl Session {
    /// Stops waiting for the store's answer about a lease or an intent.
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

    /// Withdraws the intent of a code that has brought a grant, once the store has that grant. The
    /// intent has served, and would keep a descriptor and a file for as long as the session lives.
    /// The intent of a code that brought nothing, or whose outcome is unknown, stays: it keeps
    /// copies of the login from sending the code again.
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

    /// The intents that have served are given back once everything is saved. A record that is being
    /// written is not saved yet.
    pub(super) fn owe_what_is_saved(&mut self) {
        if self.body.background.is_none() && !self.body.memory.unsaved() {
            self.owed.all_is_saved();
        }
    }

    /// Gives the next owed lease back.
    pub(super) fn give_back_owed(&mut self, now: &mut Now) {
        if let Some(lease) = self.owed.take() {
            self.launch(Lane::Background, Flow::errand(Task::GiveBack(lease)), now);
        }
    }
}
