//! What this session has at the store without using it: leases and intents that the store granted
//! after nobody waited any more, or would not take back. While they stand no other process can refresh,
//! so they are given back until that is done.

use crate::bounded::push_within;
use crate::effect::TicketId;
use crate::flow::Kept;
use crate::flow::errands::Lease;
use crate::rare::{Absent, Rare};
use crate::session::parting::SAVE_PAUSE;
use crate::time::Monotonic;

/// Answers that are waited for after they were given up, and leases that are owed.
const MOST: usize = 32;

/// The leases and intents. Not in a snapshot: they end with the process.
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

impl Owed {
    /// The store's answer is waited for no longer; this is what it would grant.
    pub(super) fn await_late(&mut self, ticket: TicketId, lease: Lease) {
        // It may stand already, and only the word of it be lost.
        if lease.withdraw.is_some() {
            self.owe(lease.clone(), None);
        }
        push_within(MOST, &mut self.late, (ticket, lease));
    }

    /// It has come after all, and granted that.
    pub(super) fn granted_late(&mut self, ticket: TicketId) {
        if let Some(at) = self.late.iter().position(|(of, _)| *of == ticket) {
            let (_, lease) = self.late.remove(at);
            self.owe(lease, None);
        }
    }

    /// Something is to be given back; after a pause if the store has just refused it.
    pub(super) fn owe(&mut self, lease: Lease, refused: Option<Monotonic>) {
        if !self.leases.contains(&lease) {
            push_within(MOST, &mut self.leases, lease);
        }
        self.after = refused.map(|now| now.after(SAVE_PAUSE));
    }

    /// An intent that keeps other processes from a spent token is given back when the store has what
    /// came for it.
    pub(super) fn owe_once_saved(&mut self, lease: Lease) {
        push_within(MOST, &mut self.until_saved, lease);
    }

    /// The intent of a credential that was sent, and brought nothing that is known, stands until a login
    /// or log-out comes after it.
    pub(super) fn stands(&mut self, lease: Lease) {
        push_within(MOST, &mut self.unknown, lease);
    }

    /// What comes first to be given back, and when the store is asked to take it.
    pub(super) fn next(&self, now: Monotonic) -> Option<Monotonic> {
        (!self.leases.is_empty()).then(|| self.after.unwrap_or(now))
    }

    /// The next of them.
    pub(super) fn take(&mut self) -> Option<Lease> {
        (!self.leases.is_empty()).then(|| self.leases.remove(0))
    }
}

impl Rare<Owed> {
    /// A login or log-out has come after the credentials of which nobody knows what became, and the
    /// store has it or not.
    pub(super) fn unknown_is_past(&mut self, kept: Kept) {
        let mut unknown = Vec::new();
        self.if_there(|owed| unknown.append(&mut owed.unknown));
        for lease in unknown {
            match kept {
                Kept::Saved => self.owe(lease, None),
                Kept::Unsaved => self.owe_once_saved(lease),
            }
        }
    }

    /// Once the store has what came for a token, its intent has served.
    pub(super) fn all_is_saved(&mut self) {
        let mut saved = Vec::new();
        self.if_there(|owed| saved.append(&mut owed.until_saved));
        saved.into_iter().for_each(|lease| self.owe(lease, None));
    }
}
