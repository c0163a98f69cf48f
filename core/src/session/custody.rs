//! The custody of the newest tokens: whether the store has them, its last answer, and the records
//! that the next write may replace (REF-04, HOST-229, HOST-241).

use serde::{Deserialize, Serialize};

use crate::bounded::push_within;
use crate::flow::Kept;
use crate::rare::{Absent, Rare};
use crate::record::merge::Replaces;
use crate::secret::Secret;
use crate::session::parting::SAVE_PAUSE;
use crate::time::Monotonic;

/// The most refresh tokens that are remembered as spent while the store lacks the grants that they
/// brought.
const MOST_SPENT: usize = 16;

/// The custody of the newest tokens. It is absent while the store has them and the next write has
/// nothing to mind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Custody {
    /// Says whether the store has the newest record.
    kept: Kept,
    /// The store's answer to the last write.
    word: Word,
    /// The records that the next write may replace.
    replaces: Replaces,
    /// Refresh tokens that were spent while the store had refused the grants that they brought.
    #[serde(with = "crate::secret::written_list")]
    spent: Vec<Secret>,
    /// The newest tokens are not offered to the store again before this time.
    after: Option<Monotonic>,
}

/// The store's answer to a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    /// The store has said how the write ended.
    #[default]
    Said,
    /// The store has said nothing, and the write may still reach it.
    Silent,
}

impl Absent for Custody {
    const ABSENT: &'static Self = &Self {
        kept: Kept::Saved,
        word: Word::Said,
        replaces: Replaces::Anything,
        spent: Vec::new(),
        after: None,
    };

    fn is_absent(&self) -> bool {
        let Self { kept, word, replaces, spent, after } = self;
        let settled =
            *kept == Kept::Saved && *word == Word::Said && *replaces == Replaces::Anything;
        settled && spent.is_empty() && after.is_none()
    }
}

impl Custody {
    /// Returns true if the store lacks the newest record, as far as is known.
    pub(crate) const fn unsaved(&self) -> bool {
        self.kept.unsaved()
    }

    /// Returns true if the store has not said how a write ended. Such a write may still reach it.
    pub(crate) fn silent(&self) -> bool {
        self.word == Word::Silent
    }

    /// The refresh tokens that led to the held grant.
    pub(crate) fn spent(&self) -> [&[Secret]; 2] {
        [self.replaces.spent(), &self.spent]
    }

    /// The refresh tokens that led to the held grant and came before a login.
    pub(crate) fn spent_before(&self) -> &[Secret] {
        &self.spent
    }

    /// The time at which the record that the store lacks is offered to it again; `None` if the
    /// store has it.
    pub(crate) fn next(&self, now: Monotonic) -> Option<Monotonic> {
        self.unsaved().then(|| self.after.unwrap_or(now))
    }

    /// The records that this offer may replace. A login that another process has saved meanwhile
    /// stays. `left` names the logins that were logged out of.
    pub(crate) fn over_again(&self, left: &[std::sync::Arc<str>]) -> Replaces {
        match &self.replaces {
            Replaces::Anything => {
                Replaces::Useless { spent: self.spent.clone(), left: left.to_vec() }
            }
            replaces => replaces.clone(),
        }
    }

    /// Applies `shift` to every deadline.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        self.after.iter_mut().for_each(shift);
    }
}

impl Rare<Custody> {
    /// The store has the newest record or lacks it, as its flow found out just now.
    pub(crate) fn found_out(&mut self, kept: Kept, now: Monotonic) {
        match kept {
            Kept::Unsaved => {
                self.kept = kept;
                self.postpone(now);
            }
            // The next record to be saved starts from here, and names the records that it may
            // replace.
            Kept::Saved => self.if_there(|it| {
                it.kept = kept;
                it.spent.clear();
                it.replaces = Replaces::Anything;
            }),
        }
    }

    /// The store does not have the held grant, which is written as soon as possible.
    pub(crate) fn save_soon(&mut self) {
        self.kept = Kept::Unsaved;
        self.after = None;
    }

    /// The held grant is not offered to the store again for a while.
    pub(crate) fn postpone(&mut self, now: Monotonic) {
        self.after = Some(now.after(SAVE_PAUSE));
    }

    /// The held grant has not been offered to the store yet. `persistent` says that there is a
    /// store.
    pub(crate) fn not_offered_yet(&mut self, persistent: bool) {
        if persistent {
            self.kept = Kept::Unsaved;
        } else {
            self.taken_from_the_store();
        }
    }

    /// The held grant is the one in the store, or no grant is held.
    pub(crate) fn taken_from_the_store(&mut self) {
        self.if_there(|it| it.kept = Kept::Saved);
    }

    /// Sets the records that the held grant may replace.
    pub(crate) fn may_go_over(&mut self, replaces: Replaces) {
        if self.replaces != replaces {
            self.replaces = replaces;
        }
    }

    /// Takes in the store's answer about records that were offered to it.
    pub(crate) fn store_said(&mut self, silent: bool, refused: bool) {
        if silent {
            self.word = Word::Silent;
        } else if !refused {
            self.if_there(|it| it.word = Word::Said);
        }
    }

    /// A token was sent without the store's word, and the store may still get it.
    pub(crate) fn sent_unasked(&mut self) {
        self.word = Word::Silent;
    }

    /// Another grant takes the place of one with this refresh token. The store has not got that
    /// one, and may get it late, so its tokens are remembered: it does not come back from there.
    pub(crate) fn superseded(&mut self, held: Option<&Secret>) {
        if self.unsaved() {
            let older = self.replaces.spent().to_vec();
            let tokens = older.into_iter().chain(held.cloned());
            tokens.for_each(|token| push_within(MOST_SPENT, &mut self.spent, token));
        }
    }

    /// The records that a rotation of this refresh token may replace. While the store has refused a
    /// rotation, its own record is older than the token that is spent.
    pub(crate) fn spending(&mut self, held: Option<&Secret>) -> Replaces {
        if self.unsaved() && self.replaces == Replaces::Anything {
            // The grant is of a login. Its tokens are remembered for the time when it is offered to
            // the store again.
            self.superseded(held);
            return Replaces::Anything;
        }
        // A write that was given up may still reach the store, and is older than the grant that
        // comes now.
        let before = self.replaces.spent().iter().filter(|_| self.unsaved());
        let mut spent: Vec<Secret> = before.chain(held).cloned().collect();
        let surplus = spent.len().saturating_sub(MOST_SPENT);
        spent.drain(..surplus);
        Replaces::Spent(spent)
    }
}
