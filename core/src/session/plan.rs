//! Two pure choices: the answer to one caller, and the next chore of a free lane.
//!
//! [`verdict`] decides what one caller gets now. [`next_chore`] decides what a lane does that no
//! caller needs. Neither looks at a clock, a store or a message.

use crate::failure::Kind;
use crate::input::Epoch;
use crate::session::lanes::Lane;
use crate::time::Monotonic;

/// The wants of one caller, as far as the verdict needs them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// The grant must be newer than this one, which was refused.
    pub(crate) newer_than: Option<Epoch>,
    /// The request failed for want of scope, which a refresh cannot widen (REF-13).
    pub(crate) step_up: bool,
    /// The request was refused with a fresh token: only a change of issuer could explain it.
    pub(crate) again: bool,
    /// True if a person may be bothered.
    pub(crate) may_ask: bool,
}

/// The state of things, as far as the verdict needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The store has been read, or there is none.
    pub(crate) recalled: bool,
    /// Nobody has read the store since this caller came, and it may know of another process's
    /// login.
    pub(crate) unread: bool,
    /// The newest grant, if there is one with an access token.
    pub(crate) current: Option<Epoch>,
    /// The newest grant's lifetime is not over.
    pub(crate) live: bool,
    /// The newest grant came while this caller waited, from the server and not out of the store
    /// (STEP-90).
    pub(crate) renewed: bool,
    /// The newest grant was asked for with every scope that the caller needs.
    pub(crate) covers: bool,
    /// There is a refresh token that may be sent, and a client to send it.
    pub(crate) refreshable: bool,
    /// Enough time has passed since the last refresh (HOST-233).
    pub(crate) rested: bool,
    /// The newest token came from the server a moment ago, whatever its lifetime.
    pub(crate) minted: bool,
    /// The resource is known to have gone to another issuer (BIND-05).
    pub(crate) moved: bool,
}

/// The answer to one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The caller gets the current grant.
    Use,
    /// The caller waits for a lane's flow, which is started this way if the lane is free.
    Await(Lane, Start),
    /// The caller gets a failure of this kind, by this rule.
    Fail(Kind, &'static str),
}

/// The way to start a flow in a free lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Read the store.
    Recall,
    /// Refresh.
    Refresh,
    /// See whether the issuer is still listed.
    Relist,
    /// Ask the person.
    Login,
}

/// Decides what one caller gets now. A refresh is tried before a person is bothered, and a caller
/// who may not bother anyone is never made to wait for one.
pub(crate) fn verdict(wish: Wish, standing: Standing) -> Verdict {
    let Standing { recalled, unread, current, live, renewed, covers, .. } = standing;
    let Standing { refreshable, rested, minted, moved, .. } = standing;
    if !recalled {
        return Verdict::Await(Lane::Background, Start::Recall);
    }
    let newer = current.is_some() && wish.newer_than.is_none_or(|over| current > Some(over));
    if wish.again && !newer && !moved {
        return Verdict::Await(Lane::Background, Start::Relist);
    }
    if newer && covers {
        // A token whose life is over is attached all the same while no refresh may run: the server
        // decides. So is a token that came for this very caller with no lifetime at all (HOST-203).
        let stuck = !wish.step_up && if refreshable { !rested } else { minted };
        if live || renewed || stuck {
            return Verdict::Use;
        }
    }
    if refreshable && !wish.step_up && (covers || current.is_none()) {
        return Verdict::Await(Lane::Background, Start::Refresh);
    }
    // No person is asked for a grant that another process may have got from them already.
    if unread {
        return Verdict::Await(Lane::Background, Start::Recall);
    }
    if wish.may_ask {
        return Verdict::Await(Lane::Person, Start::Login);
    }
    Verdict::Fail(Kind::ReauthorizationRequired, "STEP-12")
}

/// A task for the lane of machines while no caller needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    /// A lease or an intent is given back to the store.
    GiveBack,
    /// The tokens of a log-out are given back to the server.
    Revoke,
    /// The record of a log-out is emptied.
    Forget,
    /// A record that the store refused is offered to it again.
    Save,
    /// The record of a dead refresh token is to say so.
    MarkDead,
    /// The token that is held is renewed ahead of its end.
    RefreshAhead,
}

/// The chores that are left, each with the moment before which it is not tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chores {
    pub(crate) give_back: Option<Monotonic>,
    pub(crate) revoke: Option<Monotonic>,
    pub(crate) forget: Option<Monotonic>,
    pub(crate) save: Option<Monotonic>,
    pub(crate) mark_dead: Option<Monotonic>,
    pub(crate) refresh_ahead: Option<Monotonic>,
}

/// The chore of a free lane, and its moment: the most urgent of those that are due, or the first
/// that will be.
pub(crate) fn next_chore(chores: Chores, now: Monotonic) -> Option<(Monotonic, Chore)> {
    let Chores { give_back, revoke, forget, save, mark_dead, refresh_ahead } = chores;
    // Other processes wait for what is given back, and the server is told before the record goes,
    // so that a program that ends between the two can still tell it (REVK-05).
    let by_urgency = [
        (give_back, Chore::GiveBack),
        (revoke, Chore::Revoke),
        (forget.filter(|_| revoke.is_none()), Chore::Forget),
        (save, Chore::Save),
        (mark_dead, Chore::MarkDead),
        (refresh_ahead, Chore::RefreshAhead),
    ];
    let left = || by_urgency.into_iter().filter_map(|(at, chore)| Some((at?, chore)));
    left().find(|(at, _)| *at <= now).or_else(|| left().min_by_key(|(at, _)| *at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Standing = Standing {
        recalled: true,
        unread: false,
        current: Some(Epoch(2)),
        live: true,
        renewed: false,
        covers: true,
        refreshable: true,
        rested: true,
        minted: false,
        moved: false,
    };
    const ASKS: Wish = Wish { newer_than: None, step_up: false, again: false, may_ask: true };
    const REFRESH: Verdict = Verdict::Await(Lane::Background, Start::Refresh);
    const LOGIN: Verdict = Verdict::Await(Lane::Person, Start::Login);

    #[test]
    fn the_whole_table_of_errands_host_229_revk_05() {
        let [now, later, last] = [10, 20, 30].map(|at| Some(Monotonic::from_millis(at)));
        let none = Chores::default();
        let all = Chores {
            give_back: now,
            revoke: now,
            forget: now,
            save: now,
            mark_dead: now,
            refresh_ahead: now,
        };
        for (case, chores, expected) in [
            ("nothing is left", none, None),
            ("a lease goes before all else", all, Some((10, Chore::GiveBack))),
            (
                "a lease that the store refused a moment ago waits",
                Chores { give_back: later, ..all },
                Some((10, Chore::Revoke)),
            ),
            (
                "tokens go before their record",
                Chores { revoke: later, forget: now, ..none },
                Some((20, Chore::Revoke)),
            ),
            (
                "a log-out goes before a save",
                Chores { give_back: None, revoke: None, ..all },
                Some((10, Chore::Forget)),
            ),
            (
                "a save goes before the mark of a dead token",
                Chores { save: now, mark_dead: now, ..none },
                Some((10, Chore::Save)),
            ),
            (
                "the mark of a dead token goes before a refresh",
                Chores { mark_dead: now, refresh_ahead: now, ..none },
                Some((10, Chore::MarkDead)),
            ),
            (
                "what is due goes before what is more urgent, later",
                Chores { give_back: later, forget: later, refresh_ahead: now, ..none },
                Some((10, Chore::RefreshAhead)),
            ),
            (
                "nothing is due: the first that will be",
                Chores { give_back: last, save: later, ..none },
                Some((20, Chore::Save)),
            ),
        ] {
            let at = Monotonic::from_millis(10);
            let expected = expected.map(|(at, chore)| (Monotonic::from_millis(at), chore));
            assert_eq!(next_chore(chores, at), expected, "{case}");
        }
    }

    #[test]
    fn the_whole_table_of_verdicts_step_12() {
        let gone = Standing { current: None, live: false, ..LIVE };
        let over = Standing { live: false, ..LIVE };
        let refused = Wish { newer_than: Some(Epoch(2)), ..ASKS };
        let refused_before = Wish { newer_than: Some(Epoch(1)), ..ASKS };
        let fail = Verdict::Fail(Kind::ReauthorizationRequired, "STEP-12");
        for (case, wish, standing, expected) in [
            (
                "unread store",
                ASKS,
                Standing { recalled: false, ..LIVE },
                Verdict::Await(Lane::Background, Start::Recall),
            ),
            ("live", ASKS, LIVE, Verdict::Use),
            ("over", ASKS, over, REFRESH),
            (
                "over, refreshed a moment ago",
                ASKS,
                Standing { rested: false, ..over },
                Verdict::Use,
            ),
            ("over, came for this caller", ASKS, Standing { renewed: true, ..over }, Verdict::Use),
            (
                "over a moment after it came, no refresh token",
                ASKS,
                Standing { refreshable: false, minted: true, ..over },
                Verdict::Use,
            ),
            ("over, no refresh token", ASKS, Standing { refreshable: false, ..over }, LOGIN),
            (
                "over, no refresh token, nobody may be asked",
                Wish { may_ask: false, ..ASKS },
                Standing { refreshable: false, ..over },
                fail,
            ),
            ("adopted, and over on arrival", refused_before, over, REFRESH),
            ("refused", refused, LIVE, REFRESH),
            (
                "refused, rate limit does not count",
                refused,
                Standing { rested: false, ..LIVE },
                REFRESH,
            ),
            (
                "refused with a fresh token",
                Wish { again: true, ..refused },
                LIVE,
                Verdict::Await(Lane::Background, Start::Relist),
            ),
            ("refused an old epoch", refused_before, LIVE, Verdict::Use),
            ("refused, no refresh token", refused, Standing { refreshable: false, ..LIVE }, LOGIN),
            (
                "nothing, but perhaps in the store",
                ASKS,
                Standing { refreshable: false, unread: true, ..gone },
                Verdict::Await(Lane::Background, Start::Recall),
            ),
            ("nothing", ASKS, Standing { refreshable: false, ..gone }, LOGIN),
            ("only a refresh token", ASKS, gone, REFRESH),
            (
                "nobody may be asked",
                Wish { may_ask: false, ..refused },
                Standing { refreshable: false, ..LIVE },
                fail,
            ),
            ("more scope", ASKS, Standing { covers: false, ..LIVE }, LOGIN),
            ("step-up", Wish { step_up: true, ..refused }, LIVE, LOGIN),
            (
                "step-up that another caller had done",
                Wish { step_up: true, newer_than: Some(Epoch(1)), ..ASKS },
                LIVE,
                Verdict::Use,
            ),
        ] {
            assert_eq!(verdict(wish, standing), expected, "{case}");
        }
    }
}
