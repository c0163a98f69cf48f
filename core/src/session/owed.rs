//! The leases and intents that this session has at the store and does not use. The store granted
//! them after the session had stopped waiting, or would not take them back. No other process can
//! refresh while they stand, so the session gives them back until the store has taken them.

use crate::bounded::push_within;
use crate::effect::{Spend, TicketId};
use crate::flow::Kept;
use crate::flow::errands::Lease;
use crate::rare::{Absent, Rare};
use crate::session::parting::SAVE_PAUSE;
use crate::time::Monotonic;

/// The most entries in each list of [`Owed`]; the oldest give way.
const MOST: usize = 32;

/// The leases and intents to give back. They are not in a snapshot: they end with the process.
#[derive(Default)]
pub(super) struct Owed {
    /// The leases and intents that a late answer of the store would grant.
    late: Vec<(TicketId, Lease)>,
    /// The leases and intents that are given back next.
    leases: Vec<Lease>,
    /// Intents that stand until the store has the grants that came for their tokens.
    until_saved: Vec<Lease>,
    /// Intents of credentials with an unknown outcome, and of dead tokens whose record does not say
    /// so. They stand until the next login or log-out; the last of a code stands on.
    unknown: Vec<Lease>,
    /// The session asks the store to take nothing back before this time.
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
        // A pause means nothing while there is nothing to give back after it.
        let Self { late, leases, until_saved, unknown, after: _ } = self;
        late.is_empty() && leases.is_empty() && until_saved.is_empty() && unknown.is_empty()
    }
}

impl Owed {
    /// Stops waiting for the store's answer, and remembers the lease that it would grant.
    pub(super) fn await_late(&mut self, ticket: TicketId, lease: Lease) {
        // The intent may stand already, and only the store's answer be lost.
        if lease.withdraw.is_some() {
            self.owe(lease.clone(), None);
        }
        push_within(MOST, &mut self.late, (ticket, lease));
    }

    /// The store has granted the lease of this ticket after all.
    pub(super) fn granted_late(&mut self, ticket: TicketId) {
        if let Some(at) = self.late.iter().position(|(of, _)| *of == ticket) {
            let (_, lease) = self.late.remove(at);
            self.owe(lease, None);
        }
    }

    /// Adds a lease that is to be given back. `refused` is the current time if the store has just
    /// refused to take it; the store is then asked again after a pause.
    pub(super) fn owe(&mut self, lease: Lease, refused: Option<Monotonic>) {
        if !self.leases.contains(&lease) {
            push_within(MOST, &mut self.leases, lease);
        }
        self.after = refused.map(|now| now.after(SAVE_PAUSE));
    }

    /// Adds an intent that is given back once the store has the grant that came for its token.
    /// Until then the intent keeps other processes from the spent token.
    pub(super) fn owe_once_saved(&mut self, lease: Lease) {
        push_within(MOST, &mut self.until_saved, lease);
    }

    /// Adds the intent of a credential that was sent, and whose outcome is unknown or not in the
    /// store.
    pub(super) fn stands(&mut self, lease: Lease) {
        push_within(MOST, &mut self.unknown, lease);
    }

    /// The time at which the store is asked to take the next lease back; `None` if no lease is
    /// owed.
    pub(super) fn next(&self, now: Monotonic) -> Option<Monotonic> {
        (!self.leases.is_empty()).then(|| self.after.unwrap_or(now))
    }

    /// Removes the next lease from the list, to be given back.
    pub(super) fn take(&mut self) -> Option<Lease> {
        (!self.leases.is_empty()).then(|| self.leases.remove(0))
    }
}

impl Rare<Owed> {
    /// A login or log-out has come after the credentials with an unknown outcome. `kept` says
    /// whether the store has it.
    ///
    /// The intent of the last code stands on. Neither an empty record nor the grant of another
    /// login tells a copy of that login, restored from an older snapshot, that its code was sent.
    pub(super) fn unknown_is_past(&mut self, kept: Kept) {
        let mut past = Vec::new();
        self.if_there(|owed| {
            let code = |lease: &Lease| matches!(lease.withdraw, Some(Spend::Code { .. }));
            let last = owed.unknown.iter().rposition(code);
            let last = last.map(|at| owed.unknown.remove(at));
            past = core::mem::take(&mut owed.unknown);
            owed.unknown.extend(last);
        });
        for lease in past {
            match kept {
                Kept::Saved => self.owe(lease, None),
                Kept::Unsaved => self.owe_once_saved(lease),
            }
        }
    }

    /// The store has every grant that came, so the intents that waited for that are given back.
    pub(super) fn all_is_saved(&mut self) {
        let mut saved = Vec::new();
        self.if_there(|owed| saved.append(&mut owed.until_saved));
        saved.into_iter().for_each(|lease| self.owe(lease, None));
    }
}
