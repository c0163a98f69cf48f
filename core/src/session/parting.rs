//! The traces of log-outs, and the work that is left to do for them.

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bounded::push_within;
use crate::failure::Kind;
use crate::rare::Absent;
use crate::record::{Grant, Held};
use crate::time::Monotonic;

/// The most logins that are remembered as logged out of.
const MOST_LEFT: usize = 8;
/// A record that the store refused is offered to it again after this long.
pub(super) const SAVE_PAUSE: Duration = Duration::from_secs(30);

/// The traces of log-outs, and the work that is left to do for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Parting {
    /// Emptied grants that a log-out has not got into the store yet. The store may be writing the
    /// first.
    #[serde(default)]
    pub(super) to_forget: Vec<Held<Grant>>,
    /// True if a log-out must also drop the grant that is in the store.
    #[serde(default)]
    pub(super) forget_found: bool,
    /// The store is not asked to forget again before this time.
    #[serde(default)]
    pub(super) forget_after: Option<Monotonic>,
    /// The logins that this session was told to forget. A record of theirs that the store has kept
    /// never comes back.
    #[serde(default)]
    pub(super) left: Vec<Arc<str>>,
    /// Why the store would not empty a record.
    #[serde(skip)]
    pub(super) unforgotten: Option<Kind>,
    /// The emptied record, from whose generation the next login goes on.
    #[serde(default)]
    pub(super) emptied: Option<Box<Held<Grant>>>,
}

impl Absent for Parting {
    const ABSENT: &'static Self = &Self {
        to_forget: Vec::new(),
        forget_found: false,
        forget_after: None,
        left: Vec::new(),
        unforgotten: None,
        emptied: None,
    };

    fn is_absent(&self) -> bool {
        let Self { to_forget, forget_found, forget_after, left, unforgotten, emptied } = self;
        let done = to_forget.is_empty() && !forget_found && forget_after.is_none();
        done && left.is_empty() && unforgotten.is_none() && emptied.is_none()
    }
}

impl Parting {
    /// Adds a grant whose record is to be emptied. While the first one is under way, another one
    /// for the same record waits behind it: a write that was out when the first was sent may land
    /// between the two.
    pub(crate) fn must_forget(&mut self, held: Held<Grant>, under_way: bool) {
        let mut others = self.to_forget.iter_mut().skip(usize::from(under_way));
        match others.find(|other| other.value.shares_record(&held.value)) {
            Some(other) => {
                let generation = other.generation.max(held.generation);
                *other = Held { generation, ..held };
            }
            None => self.to_forget.push(held),
        }
    }

    /// A record is durably empty.
    pub(crate) fn forgot(&mut self, held: Held<Grant>) {
        if let Some(at) =
            self.to_forget.iter().position(|other| other.value.shares_record(&held.value))
        {
            self.to_forget.remove(at);
        }
        self.emptied = Some(Box::new(held));
        self.forget_after = None;
    }

    /// The store is not asked again for a while.
    pub(crate) fn postpone(&mut self, now: Monotonic) {
        self.forget_after = Some(now.after(SAVE_PAUSE));
    }

    /// The store would not empty a record, for this reason; `None` if it would. A record that a
    /// newer version has written is not ours to remove.
    pub(crate) fn unforgotten(&mut self, kind: Option<Kind>) {
        self.unforgotten = kind;
    }

    /// The store could not even be read for a log-out.
    pub(crate) fn unread_to_forget(&mut self, kind: Kind) {
        self.unforgotten = Some(kind);
        self.forget_found &= kind != Kind::StoreVersion;
    }

    /// Moves the first grant to the end, since the others are not to wait for a record that cannot
    /// be emptied.
    pub(crate) fn forget_another_first(&mut self) {
        let most = self.to_forget.len().min(1);
        self.to_forget.rotate_left(most);
    }

    /// A login has taken this record, which is not to be emptied any more.
    pub(crate) fn taken_by_a_login(&mut self, grant: &Grant) {
        self.to_forget.retain(|held| !held.value.shares_record(grant));
    }

    /// Nothing of this login comes back.
    pub(crate) fn never_again(&mut self, grant: &Grant) {
        if let Some(login) = &grant.login
            && !self.left.contains(login)
        {
            push_within(MOST_LEFT, &mut self.left, Arc::clone(login));
        }
    }

    /// The grant in the store is to be dropped too, even if nobody has read it yet.
    pub(crate) fn forget_what_is_found(&mut self) {
        self.forget_found = true;
        self.forget_after = None;
    }

    /// A login has come since, so the grant that is found is not the one that was to be dropped.
    pub(crate) const fn nothing_found(&mut self) {
        self.forget_found = false;
    }

    /// Returns true if the grant that was found just now is to be dropped. It returns true once.
    pub(crate) const fn takes_what_is_found(&mut self) -> bool {
        core::mem::replace(&mut self.forget_found, false)
    }

    /// The store is asked as soon as possible.
    pub(crate) const fn at_once(&mut self) {
        self.forget_after = None;
    }

    /// Remembers the record that a new login takes the place of.
    pub(crate) fn replaces(&mut self, held: Held<Grant>) {
        self.never_again(&held.value);
        self.emptied = Some(Box::new(held));
    }

    /// Returns true if a record is of a login that was logged out of.
    pub(crate) fn has_left(&self, grant: &Grant) -> bool {
        grant.login.as_ref().is_some_and(|login| self.left.contains(login))
    }

    /// Returns true if a log-out has not reached the store yet.
    pub(crate) const fn unfinished(&self) -> bool {
        self.forget_found || !self.to_forget.is_empty()
    }

    /// The time at which a record that was logged out of is emptied, if one is left.
    pub(crate) fn at(&self, now: Monotonic) -> Option<Monotonic> {
        self.unfinished().then(|| self.forget_after.unwrap_or(now))
    }

    /// Applies `shift` to every deadline.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        self.forget_after.iter_mut().for_each(shift);
    }
}

/// A grant without its tokens, as it is kept after a log-out.
pub(super) fn emptied(mut held: Held<Grant>) -> Held<Grant> {
    held.value.access_token = None;
    held.value.refresh_token = None;
    held.value.rejected = true;
    held
}
