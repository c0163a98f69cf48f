//! Leases and intents that the store granted after this session had given up waiting, or would not
//! take back: while they stand no other process can refresh, so they are given back until that is
//! done. The intents of codes are withdrawn here as well.

use crate::bounded::push_within;
use crate::effect::{Key, Spend, TicketId};
use crate::rare::Absent;
use crate::session::lanes::{Flow, Goal, Lane, Lease, Stage};
use crate::session::memory::SAVE_PAUSE;
use crate::session::{Now, Session};
use crate::time::Monotonic;

/// Answers that are waited for after they were given up, and leases that are owed.
const MOST: usize = 32;

/// What this session has at the store without using it. Not in a snapshot: it ends with the process.
#[derive(Default)]
pub(super) struct Owed {
    /// What a late answer would grant.
    late: Vec<(TicketId, Lease)>,
    leases: Vec<Lease>,
    /// Intents that stand until the store has what came for their tokens.
    until_saved: Vec<Lease>,
    /// Intents of credentials that brought nothing that is known, until the next login or log-out.
    unknown: Vec<Lease>,
    /// The store is not asked before this.
    after: Option<Monotonic>,
}

impl Absent for Owed {
    const ABSENT: &'static Self = &Self {
        late: Vec::new(),
        leases: Vec::new(),
        until_saved: Vec::new(),
        unknown: Vec::new(),
        after: None,
    };

    fn is_absent(&self) -> bool {
        // A pause is one before something.
        let Self { late, leases, until_saved, unknown, after: _ } = self;
        late.is_empty() && leases.is_empty() && until_saved.is_empty() && unknown.is_empty()
    }
}

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
            // It may stand already, and only the word of it be lost.
            if lease.withdraw.is_some() {
                self.owe(lease.clone(), None);
            }
            push_within(MOST, &mut self.owed.late, (ticket, lease));
        }
    }

    /// It has come after all, and granted this.
    pub(super) fn granted_late(&mut self, ticket: TicketId) {
        if let Some(at) = self.owed.late.iter().position(|(of, _)| *of == ticket) {
            let (_, lease) = self.owed.late.remove(at);
            self.owe(lease, None);
        }
    }

    /// An intent that keeps other processes from a spent token is given back when the store has what
    /// came for it.
    pub(super) fn owe_once_saved(&mut self, lease: Lease) {
        push_within(MOST, &mut self.owed.until_saved, lease);
    }

    /// Once a code has brought a grant, and the store has that, its intent has served: it would keep a
    /// descriptor and a file for as long as the session lives. That of one that brought nothing, or that
    /// nobody heard more of, keeps copies of the login from sending it again.
    pub(super) fn withdraw_code(&mut self, flow: &mut Flow) {
        let Some(holder) = self.holder else { return };
        let Ok((key, _)) = self.spending(flow) else { return };
        let Some(code @ Spend::Code { .. }) = flow.ground.intent.take() else { return };
        let lease = Lease { key, holder: holder.of_codes(), withdraw: Some(code) };
        if flow.ground.minted.is_none() {
            self.stands(lease);
        } else if flow.ground.unsaved {
            self.unknown_is_past(Self::owe_once_saved);
            self.owe_once_saved(lease);
        } else {
            self.unknown_is_past(|session, lease| session.owe(lease, None));
            self.owe(lease, None);
        }
    }

    /// The intent of a credential that was sent, and brought nothing that is known, stands until a login
    /// or log-out comes after it.
    pub(super) fn stands(&mut self, lease: Lease) {
        push_within(MOST, &mut self.owed.unknown, lease);
    }

    /// A login or log-out has come after the credentials of which nobody knows what became.
    pub(super) fn unknown_is_past(&mut self, mut then: impl FnMut(&mut Self, Lease)) {
        let mut unknown = Vec::new();
        self.owed.if_there(|owed| unknown.append(&mut owed.unknown));
        unknown.into_iter().for_each(|lease| then(self, lease));
    }

    /// Something is to be given back; after a pause if the store has just refused it.
    pub(super) fn owe(&mut self, lease: Lease, refused: Option<Monotonic>) {
        if !self.owed.leases.contains(&lease) {
            push_within(MOST, &mut self.owed.leases, lease);
        }
        self.owed.after = refused.map(|now| now.after(SAVE_PAUSE));
    }

    /// When the store is asked next.
    pub(super) fn owed_at(&self, now: Monotonic) -> Option<Monotonic> {
        (!self.owed.leases.is_empty()).then(|| self.owed.after.unwrap_or(now))
    }

    /// Once the store has what came for a token, its intent has served. A record that is being written
    /// is not saved yet.
    pub(super) fn owe_what_is_saved(&mut self) {
        if self.body.machine.is_none() && !self.body.memory.unsaved {
            let mut saved = Vec::new();
            self.owed.if_there(|owed| saved.append(&mut owed.until_saved));
            saved.into_iter().for_each(|lease| self.owe(lease, None));
        }
    }

    /// Gives the next of them back.
    pub(super) fn give_back_owed(&mut self, now: &mut Now) {
        if !self.owed.leases.is_empty() {
            let lease = self.owed.leases.remove(0);
            self.launch(Lane::Machine, Flow::new(Goal::Release(lease)), now);
        }
    }
}
