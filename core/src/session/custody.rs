//! Where the newest tokens are: whether the store has them, what it has said last, and what the next
//! write of them has to mind (REF-04, HOST-229, HOST-241).

use serde::{Deserialize, Serialize};

use crate::bounded::push_within;
use crate::flow::Kept;
use crate::rare::{Absent, Rare};
use crate::record::merge::Replaces;
use crate::secret::Secret;
use crate::session::parting::SAVE_PAUSE;
use crate::time::Monotonic;

/// Refresh tokens that are remembered as spent while none of what they brought could be saved.
const MOST_SPENT: usize = 16;

/// The custody of the newest tokens. Absent while the store has them, and nothing is to be minded.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Custody {
    kept: Kept,
    word: Word,
    /// What the next write may go over.
    replaces: Replaces,
    /// Refresh tokens that were spent while the store had refused what came of them.
    #[serde(with = "crate::secret::written_list")]
    spent: Vec<Secret>,
    /// They are not offered to the store again before this.
    after: Option<Monotonic>,
}

/// What the store has said of the last write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    /// What became of it.
    #[default]
    Said,
    /// Nothing: it may get there yet.
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
    /// Whether the store lacks the newest record, as far as is known.
    pub(crate) const fn unsaved(&self) -> bool {
        self.kept.unsaved()
    }

    /// Whether the store has not said what became of a write, which may get there yet.
    pub(crate) fn silent(&self) -> bool {
        self.word == Word::Silent
    }

    /// The refresh tokens that led to what is held.
    pub(crate) fn spent(&self) -> [&[Secret]; 2] {
        [self.replaces.spent(), &self.spent]
    }

    /// Those among them that came before a login.
    pub(crate) fn spent_before(&self) -> &[Secret] {
        &self.spent
    }

    /// When what the store lacks is offered to it again.
    pub(crate) fn next(&self, now: Monotonic) -> Option<Monotonic> {
        self.unsaved().then(|| self.after.unwrap_or(now))
    }

    /// What it may then be written over. A login that another process has saved meanwhile stays.
    pub(crate) fn over_again(&self, left: &[std::sync::Arc<str>]) -> Replaces {
        match &self.replaces {
            Replaces::Anything => {
                Replaces::Useless { spent: self.spent.clone(), left: left.to_vec() }
            }
            replaces => replaces.clone(),
        }
    }

    /// Moves every deadline by what `shift` does to it.
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
            // What is saved next sets out from here, and says itself what it may go over.
            Kept::Saved => self.if_there(|it| {
                it.kept = kept;
                it.spent.clear();
                it.replaces = Replaces::Anything;
            }),
        }
    }

    /// What the store has is not what is held: it is written as soon as may be.
    pub(crate) fn save_soon(&mut self) {
        self.kept = Kept::Unsaved;
        self.after = None;
    }

    /// It is not offered to the store again for a while.
    pub(crate) fn postpone(&mut self, now: Monotonic) {
        self.after = Some(now.after(SAVE_PAUSE));
    }

    /// What is held has not been offered to the store yet, if there is one.
    pub(crate) fn not_offered_yet(&mut self, persistent: bool) {
        if persistent {
            self.kept = Kept::Unsaved;
        } else {
            self.taken_from_the_store();
        }
    }

    /// What is held is what the store has, or nothing.
    pub(crate) fn taken_from_the_store(&mut self) {
        self.if_there(|it| it.kept = Kept::Saved);
    }

    /// What the grant that is held may be written over.
    pub(crate) fn may_go_over(&mut self, replaces: Replaces) {
        if self.replaces != replaces {
            self.replaces = replaces;
        }
    }

    /// What the store has said of records that were offered to it.
    pub(crate) fn store_said(&mut self, silent: bool, refused: bool) {
        if silent {
            self.word = Word::Silent;
        } else if !refused {
            self.if_there(|it| it.word = Word::Said);
        }
    }

    /// A token was sent that the store may get yet, without its word.
    pub(crate) fn sent_unasked(&mut self) {
        self.word = Word::Silent;
    }

    /// Another grant takes the place of one with this refresh token that the store has not got, and may
    /// get late: that one does not come back from there.
    pub(crate) fn superseded(&mut self, held: Option<&Secret>) {
        if self.unsaved() {
            let older = self.replaces.spent().to_vec();
            let tokens = older.into_iter().chain(held.cloned());
            tokens.for_each(|token| push_within(MOST_SPENT, &mut self.spent, token));
        }
    }

    /// What a rotation of this refresh token may be written over. While the store has refused one, what
    /// it holds is older than the token that is spent.
    pub(crate) fn spending(&mut self, held: Option<&Secret>) -> Replaces {
        if self.unsaved() && self.replaces == Replaces::Anything {
            // Of a login: the tokens are remembered for when it is offered to the store again.
            self.superseded(held);
            return Replaces::Anything;
        }
        // A write that was given up may reach the store yet, and is older than what comes now.
        let before = self.replaces.spent().iter().filter(|_| self.unsaved());
        let mut spent: Vec<Secret> = before.chain(held).cloned().collect();
        let surplus = spent.len().saturating_sub(MOST_SPENT);
        spent.drain(..surplus);
        Replaces::Spent(spent)
    }
}
