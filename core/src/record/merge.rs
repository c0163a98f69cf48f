//! The choice between two records of a grant where two processes have written (REF-06, REF-08,
//! HOST-224, HOST-269, HOST-291).
//!
//! The choice depends on the two records and the occasion alone. It does not decide what follows
//! for a flow, or who hears of it. Every rule about two records of one grant stands here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Document, Grant, Held};
use crate::failure::Kind;
use crate::secret::Secret;
use crate::time::Timestamp;

/// The records of other processes that a grant may be written over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Replaces {
    /// Any grant: a person has just logged in, or out.
    #[default]
    Anything,
    /// A grant that is of no use, is of a login that was logged out of, or has a refresh token that
    /// was spent on the way to ours. Any other grant may be a login that another process has saved
    /// since.
    Useless {
        #[serde(with = "crate::secret::written_list")]
        spent: Vec<Secret>,
        left: Vec<Arc<str>>,
    },
    /// Only a grant with a refresh token that was spent on the way to ours.
    Spent(#[serde(with = "crate::secret::written_list")] Vec<Secret>),
    /// Only a grant of this login, renewed or not, which was logged out of. A login that came after
    /// it stays, since somebody wants it.
    OfLogin(Option<Arc<str>>),
}

impl Replaces {
    /// The tokens that were spent.
    pub(crate) fn spent(&self) -> &[Secret] {
        match self {
            Self::Spent(spent) | Self::Useless { spent, .. } => spent,
            Self::Anything | Self::OfLogin(_) => &[],
        }
    }
}

/// The moment at which two records meet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Occasion<'a> {
    /// Everything was read once more. The binding found there may be newer than ours.
    Read { newer_binding: bool },
    /// The grant alone was read, before its refresh token is spent, or after it was refused.
    Look {
        refused: bool,
        /// True if ours never reached the store: the record there is older, whatever its
        /// generation.
        unwritten: bool,
        /// Tokens that were spent on the way to ours.
        spent: [&'a [Secret]; 2],
    },
    /// Ours is about to be written at this time, and theirs was written first.
    Write { replaces: &'a Replaces, wall: Timestamp },
    /// A login has ended. Theirs is the grant that was read from the store meanwhile; `published`
    /// says that it is published already.
    LoginEnds { published: bool },
}

/// The record that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Ours: theirs is older, or may be written over.
    Ours,
    /// Theirs is taken over, or given way to.
    Theirs,
}

/// The use of a record that was taken over for a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brings {
    /// Another process was told that the grant is dead, or has logged out.
    Refusal,
    /// A live access token that we did not have.
    Token,
    /// A refresh token that was not refused.
    RefreshToken,
    /// Nothing that we did not have.
    Nothing,
}

/// Chooses the record that counts, of ours and one that another process has written.
pub(crate) fn merge(ours: &Held<Grant>, theirs: &Held<Grant>, occasion: Occasion<'_>) -> Word {
    let theirs_counts = match occasion {
        Occasion::Read { newer_binding } => {
            if ours.value.key() == theirs.value.key() {
                theirs.generation > ours.generation
            } else {
                newer_binding || ours.value.rejected
            }
        }
        Occasion::Look { refused, unwritten, spent } => {
            let helps = refused && !theirs.value.rejected;
            // Another login has begun the record anew, whatever its generation.
            let another = helps && theirs.value.login != ours.value.login;
            let newer = theirs.generation > ours.generation || numbers_end(ours, theirs);
            another || (newer && (!unwritten || helps || goes_on(ours, theirs, spent)))
        }
        Occasion::Write { replaces, wall } => !gives_way(ours, theirs, replaces, wall),
        Occasion::LoginEnds { published } => {
            let same = theirs.generation == ours.generation && published;
            same_login(ours, theirs) && (theirs.generation > ours.generation || same)
        }
    };
    if theirs_counts { Word::Theirs } else { Word::Ours }
}

/// Decides if ours may replace a record that cannot be read. It may do so only after a login or
/// log-out, since nobody but a person can say that the record is not wanted (HOST-269). It may
/// never do so where a newer version wrote the record (BIND-10).
///
/// # Errors
/// The reason why the record is left alone.
pub(crate) const fn merge_unreadable(kind: Kind, replaces: &Replaces) -> Result<(), Kind> {
    match (kind, replaces) {
        (Kind::StoreVersion, _) | (_, Replaces::Spent(_)) => Err(kind),
        _ => Ok(()),
    }
}

/// The use of a record that was taken over for the refresh of ours.
pub(crate) fn brings(ours: &Grant, theirs: &Grant, wall: Timestamp) -> Brings {
    let renewed = theirs.access_token.is_some() && theirs.access_token != ours.access_token;
    let alive = !theirs.expired(wall);
    match () {
        () if theirs.rejected => Brings::Refusal,
        () if renewed && alive => Brings::Token,
        // A login that brought no refresh token, and whose access token is over: nothing renews it.
        () if theirs.refresh_token.is_none() => Brings::Refusal,
        () if theirs.refresh_token != ours.refresh_token => Brings::RefreshToken,
        () => Brings::Nothing,
    }
}

/// Returns true if two grants hold the same tokens.
pub(crate) fn alike(held: &Grant, other: &Grant) -> bool {
    held.access_token == other.access_token && held.refresh_token == other.refresh_token
}

/// Returns true if both grants are of the same login.
fn same_login(ours: &Held<Grant>, theirs: &Held<Grant>) -> bool {
    theirs.value.login.is_some() && theirs.value.login == ours.value.login
}

/// Returns true if a write that was given up has reached the store after all, and another process
/// has gone on from it.
fn goes_on(ours: &Held<Grant>, theirs: &Held<Grant>, spent: [&[Secret]; 2]) -> bool {
    same_login(ours, theirs)
        && theirs.value.refresh_token.as_ref().is_some_and(|token| {
            ours.value.refresh_token.as_ref() != Some(token)
                && !spent.iter().any(|spent| spent.contains(token))
        })
}

/// Returns true if both records have the largest generation there is, and different refresh tokens.
/// That generation can only be written over with itself.
fn numbers_end(ours: &Held<Grant>, theirs: &Held<Grant>) -> bool {
    theirs.generation == Some(u64::MAX)
        && ours.generation == theirs.generation
        && ours.value.refresh_token != theirs.value.refresh_token
}

/// Returns true if theirs may be written over with ours.
fn gives_way(
    ours: &Held<Grant>,
    theirs: &Held<Grant>,
    replaces: &Replaces,
    wall: Timestamp,
) -> bool {
    // Somebody may have put an older copy back (HOST-291).
    let put_back = theirs.generation < ours.generation && theirs.value.login == ours.value.login;
    let on_the_way = |token: &Secret| {
        replaces.spent().contains(token) || ours.value.refresh_token.as_ref() == Some(token)
    };
    let spent = theirs.value.refresh_token.as_ref().is_some_and(on_the_way);
    match replaces {
        Replaces::Anything => true,
        _ if put_back || spent => true,
        Replaces::OfLogin(login) => theirs.value.login == *login,
        Replaces::Useless { left, .. } => {
            let left_behind = theirs.value.login.as_ref().is_some_and(|it| left.contains(it));
            let live = theirs.value.access_token.is_some() && !theirs.value.expired(wall);
            let empty = theirs.value.refresh_token.is_none() && !live;
            theirs.value.rejected || empty || left_behind
        }
        Replaces::Spent(_) => false,
    }
}

#[cfg(test)]
mod tests;
