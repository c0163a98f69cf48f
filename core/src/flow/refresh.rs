//! The refresh: a flow that gets a new access token for the refresh token.

use serde::{Deserialize, Serialize};

use crate::effect::Spend;
use crate::failure::Failure;
use crate::flow::{Deferred, End, Ended, Gain, Known, Next, Tried, Turn, Written, bug, dead};
use crate::names::{MachineName as Stage, SignalName as On, StateName as At};
use crate::record::merge::{Brings, Replaces};
use crate::record::{Client, Grant, Held};
use crate::stage::claim::Intended;
use crate::table::{FlowTable, Row};
use crate::wire::url::ServerUrl;

/// A refresh, in its state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Refresh {
    /// It has not begun. `pointer` is the metadata URL that a challenge named, since the issuer may
    /// have changed (BIND-05).
    Start { pointer: Option<ServerUrl> },
    /// It sees whether the issuer is still listed.
    Listing { pointer: ServerUrl },
    /// It gets the lease of the grant's record, and reads that once more.
    Claiming { turn: Turn, tried: Tried, claim: Claim },
    /// It records that the refresh token is about to be sent.
    Noting { turn: Turn, tried: Tried },
    /// It sends the refresh token, with the right to do so if there is a store.
    Sending { turn: Option<Turn>, tried: Tried },
    /// The server has refused the token. It looks whether another process has renewed the grant
    /// (HOST-224).
    Looking { turn: Turn, verdict: Deferred },
    /// It marks a registration in the store that the server does not know any more.
    Marking { turn: Turn, client: Held<Client>, verdict: Deferred },
    /// It marks the grant in the store as dead.
    Rejecting { turn: Turn, tried: Tried, verdict: Deferred },
    /// It saves what has come.
    Saving { turn: Turn, held: Held<Grant>, replaces: Replaces, then: Option<Deferred> },
    /// It has ended.
    #[default]
    Over,
}

/// The kind of claim by which the lease is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Claim {
    /// A claim of its own: a late act of the store on an earlier claim leaves this one alone.
    Anew,
    /// The same claim once more, after a pause, since another process is spending the token.
    Elsewhere,
}

/// An event that a refresh meets.
#[derive(Debug)]
pub(crate) enum Met {
    Begin,
    /// The issuer is still listed, or nobody can say so now (STEP-12).
    Listed,
    /// The record was read, and memory has taken it over if it is newer.
    Read(Read),
    /// The store has said whether the refresh token may be sent.
    Intended(Intended),
    /// A grant came, perhaps with a failure that its callers hear of once the grant is saved
    /// (HOST-232).
    Came {
        held: Held<Grant>,
        replaces: Replaces,
        then: Option<Failure>,
    },
    /// The server would not renew the grant.
    Refused(Refused),
    /// The records were written, or the store would not have them.
    Saved(Written),
    /// A login or a late answer has replaced the grant meanwhile. The intent that was recorded last
    /// is taken back.
    Overtaken(Option<Spend>),
    /// A restart took the right to send. The process that had it may be alive, and may have sent
    /// the token.
    Resumed,
}

/// The meaning of a record that was read, for the refresh token that is held now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// The use of the record.
    pub(crate) brings: Brings,
    /// The generation under which the store was seen to have the token.
    pub(crate) seen_at: Option<u64>,
    /// True if the token was refused before, and is not sent again.
    pub(crate) dead: bool,
}

/// The meaning of a token endpoint's refusal to renew the grant.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The grant is dead (REF-08).
    Dead(Failure),
    /// The server refused in words of its own (REF-90).
    InWords(Failure),
    /// The server does not know the client any more, whose registration is to be marked so
    /// (REG-21).
    Client(Held<Client>, Failure),
    /// The server does not know the client any more, and there is no registration to be marked.
    Unmarked(Failure),
}

impl Refresh {
    /// The state of the flow, as its table names it.
    pub(crate) const fn state(&self) -> At {
        match self {
            Self::Start { .. } => At::Start,
            Self::Listing { .. } => At::Listing,
            Self::Claiming { .. } => At::Claiming,
            Self::Noting { .. } => At::Noting,
            Self::Sending { .. } => At::Sending,
            Self::Looking { .. } => At::Looking,
            Self::Marking { .. } => At::Marking,
            Self::Rejecting { .. } => At::Rejecting,
            Self::Saving { .. } => At::Saving,
            Self::Over => At::Done,
        }
    }

    /// The grant that came, and is not saved yet.
    pub(crate) const fn held(&self) -> Option<&Held<Grant>> {
        match self {
            Self::Saving { held, .. } => Some(held),
            _ => None,
        }
    }

    /// Returns true if the server would not renew the held grant. Its callers get no verdict before
    /// the store has been asked or told (REF-08, REF-91).
    pub(crate) const fn refused(&self) -> bool {
        matches!(self, Self::Looking { .. } | Self::Marking { .. } | Self::Rejecting { .. })
    }

    /// Returns true if a restart costs it the right to send.
    pub(crate) const fn loses_its_turn(&self) -> bool {
        matches!(self, Self::Sending { .. })
    }

    /// Its request is made: from now on the refresh token counts as sent.
    pub(crate) fn sends(&mut self) {
        if let Self::Sending { tried, .. } = self {
            *tried = (*tried).max(Tried::Sent);
        }
    }

    /// The right that it has or asks for, to be changed.
    pub(crate) const fn turn_mut(&mut self) -> Option<&mut Turn> {
        match self {
            Self::Sending { turn, .. } => turn.as_mut(),
            Self::Claiming { turn, .. }
            | Self::Noting { turn, .. }
            | Self::Looking { turn, .. }
            | Self::Marking { turn, .. }
            | Self::Rejecting { turn, .. }
            | Self::Saving { turn, .. } => Some(turn),
            Self::Start { .. } | Self::Listing { .. } | Self::Over => None,
        }
    }

    /// The right that it had, and how far the refresh token went.
    fn left(self) -> (Option<Turn>, Tried) {
        match self {
            Self::Start { .. } | Self::Listing { .. } | Self::Over => (None, Tried::Nothing),
            Self::Claiming { turn, tried, .. }
            | Self::Noting { turn, tried }
            | Self::Rejecting { turn, tried, .. } => (Some(turn), tried),
            Self::Sending { turn, tried } => (turn, tried),
            Self::Saving { turn, .. } => (Some(turn), Tried::Sent),
            Self::Looking { turn, .. } | Self::Marking { turn, .. } => (Some(turn), Tried::Refused),
        }
    }

    /// Ends the flow where it is.
    pub(crate) fn over(&mut self, ended: Ended) -> End {
        let (turn, tried) = core::mem::take(self).left();
        End { turn, tried, ended }
    }

    /// Takes in an event. Returns the end of the flow, if the flow ends with it.
    pub(crate) fn on(&mut self, met: Met, known: Known<'_>) -> Option<End> {
        core::mem::take(self).next(met, known).enter(self)
    }

    /// The next state, or the end, after an event.
    fn next(self, met: Met, known: Known<'_>) -> Next<Self> {
        match (self, met) {
            (state, Met::Overtaken(mark)) => state.overtaken(mark),
            (Self::Start { pointer: Some(pointer) }, Met::Begin) => {
                Next::Run(Self::Listing { pointer })
            }
            (Self::Start { .. }, Met::Begin) | (Self::Listing { .. }, Met::Listed) => {
                Self::claims(None, Tried::Nothing, known)
            }
            (Self::Claiming { turn, tried, .. }, Met::Read(read)) => {
                Self::claimed(turn, tried, read, known)
            }
            (Self::Noting { turn, tried }, Met::Intended(intended)) => {
                Self::noted(turn, tried, intended, known)
            }
            (Self::Sending { turn, .. }, Met::Came { held, replaces, then }) => {
                Self::came(turn, (held, replaces), then, known)
            }
            (Self::Sending { turn, tried }, Met::Refused(refused)) => {
                Self::not_renewed(turn, tried, refused)
            }
            (Self::Sending { turn, tried }, Met::Resumed) => {
                let mark = turn.and_then(|turn| turn.anew().mark);
                Self::claims(mark, tried, known)
            }
            (Self::Looking { turn, verdict }, Met::Read(read)) => {
                Self::looked(turn, verdict, read, known)
            }
            (Self::Marking { turn, verdict, .. }, Met::Saved(_)) => {
                end(Some(turn), Tried::Refused, Ended::failed(verdict.into()))
            }
            (Self::Rejecting { turn, tried, verdict }, Met::Saved(saved)) => match saved {
                Written::Adopted => end(Some(turn), tried, Ended::with(Gain::Adopted)),
                _ => end(Some(turn), tried, Ended::failed(verdict.into())),
            },
            (Self::Saving { turn, held, replaces, then }, Met::Saved(saved)) => {
                Self::kept(turn, (held, replaces), then, saved)
            }
            (mut state, _) => {
                let end = state.over(Ended::failed(bug()));
                Next::Over(Self::Over, end)
            }
        }
    }

    /// Ends a refresh that was overtaken. Its result is about a grant that is no longer held, even
    /// if it is a refusal.
    fn overtaken(self, mark: Option<Spend>) -> Next<Self> {
        let (turn, tried) = self.left();
        let turn = turn.map(|turn| Turn { mark: mark.or(turn.mark), ..turn });
        end(turn, tried, Ended::with(Gain::Adopted))
    }

    /// Asks for the right to send, if others could send the token as well.
    fn claims(mark: Option<Spend>, tried: Tried, known: Known<'_>) -> Next<Self> {
        if !known.store {
            return Next::Run(Self::Sending { turn: None, tried });
        }
        match known.turn(mark) {
            Some(turn) => Next::Run(Self::Claiming { turn, tried, claim: Claim::Anew }),
            None => end(None, tried, Ended::failed(bug())),
        }
    }

    /// The session has the lease, and the record was read once more (REF-06).
    fn claimed(turn: Turn, tried: Tried, read: Read, known: Known<'_>) -> Next<Self> {
        match read.brings {
            Brings::Token => end(Some(turn), tried, Ended::with(Gain::Adopted)),
            // The token is not sent once more (REF-08).
            Brings::Refusal => Self::rejects(turn, tried, dead("REF-08").into()),
            _ if read.dead => Self::rejects(turn, tried, dead("REF-08").into()),
            Brings::Nothing | Brings::RefreshToken => Self::notes(turn, tried, read, known),
        }
    }

    /// Records in the store that the refresh token is about to be sent.
    fn notes(turn: Turn, tried: Tried, read: Read, known: Known<'_>) -> Next<Self> {
        match known.spend(read.seen_at) {
            Some(spend) => {
                let turn = Turn { mark: Some(spend), ..turn };
                Next::Run(Self::Noting { turn, tried })
            }
            None => end(Some(turn), tried, Ended::failed(bug())),
        }
    }

    /// Marks the grant in the store as dead.
    const fn rejects(turn: Turn, tried: Tried, verdict: Deferred) -> Next<Self> {
        Next::Run(Self::Rejecting { turn, tried, verdict })
    }

    /// The store has said whether the refresh token may be sent now (REF-17, HOST-228).
    fn noted(turn: Turn, tried: Tried, intended: Intended, known: Known<'_>) -> Next<Self> {
        match intended {
            Intended::Recorded(spend) => {
                let turn = Some(Turn { mark: Some(spend), ..turn });
                Next::Run(Self::Sending { turn, tried })
            }
            Intended::Elsewhere => {
                Next::Run(Self::Claiming { turn, tried, claim: Claim::Elsewhere })
            }
            Intended::Unclaimed => Self::claims(turn.mark, tried, known),
            Intended::Exhausted => Self::rejects(turn, tried, dead("HOST-228").into()),
            Intended::Unrecorded(spend, kind) => {
                let turn = Turn { mark: Some(spend), ..turn };
                end(Some(turn), tried, Ended::failed(Failure::new(kind, "REF-17")))
            }
        }
    }

    /// Tokens came. They are saved before anybody hears of them (REF-04).
    fn came(
        turn: Option<Turn>,
        (held, replaces): (Held<Grant>, Replaces),
        then: Option<Failure>,
        known: Known<'_>,
    ) -> Next<Self> {
        if known.store
            && let Some(turn) = turn.or_else(|| known.turn(None))
        {
            let then = then.map(Into::into);
            return Next::Run(Self::Saving { turn, held, replaces, then });
        }
        end(None, Tried::Sent, Written::NOWHERE.ends(held, replaces, then))
    }

    /// The server would not renew the grant. Where others share it, one of them may have spent the
    /// token, and saved what it got (HOST-224).
    fn not_renewed(turn: Option<Turn>, tried: Tried, refused: Refused) -> Next<Self> {
        let first = tried != Tried::Refused;
        match (turn, refused) {
            (Some(turn), Refused::Client(client, failure)) => {
                Next::Run(Self::Marking { turn, client, verdict: failure.into() })
            }
            (Some(turn), Refused::Dead(failure) | Refused::InWords(failure)) if first => {
                Next::Run(Self::Looking { turn, verdict: failure.into() })
            }
            (Some(turn), Refused::Dead(failure)) => {
                Self::rejects(turn, Tried::Refused, failure.into())
            }
            (
                turn,
                Refused::Dead(failure)
                | Refused::InWords(failure)
                | Refused::Client(_, failure)
                | Refused::Unmarked(failure),
            ) => end(turn, Tried::Refused, Ended::failed(failure)),
        }
    }

    /// The record was read after the refusal. Only a record that is newer than ours helps.
    fn looked(turn: Turn, verdict: Deferred, read: Read, known: Known<'_>) -> Next<Self> {
        match read.brings {
            Brings::Token => end(Some(turn.anew()), Tried::Refused, Ended::with(Gain::Adopted)),
            Brings::RefreshToken => Self::notes(turn, Tried::Refused, read, known),
            Brings::Refusal => Self::rejects(turn.anew(), Tried::Refused, verdict),
            Brings::Nothing if read.dead => Self::rejects(turn, Tried::Refused, verdict),
            // The server refused in words of its own, so there is nothing to write (REF-90).
            Brings::Nothing => end(Some(turn), Tried::Refused, Ended::failed(verdict.into())),
        }
    }

    /// The grant that came is in the store, or has given way to the store's.
    fn kept(
        turn: Turn,
        (held, replaces): (Held<Grant>, Replaces),
        then: Option<Deferred>,
        saved: Written,
    ) -> Next<Self> {
        let tried = if matches!(saved, Written::Dead) { Tried::Refused } else { Tried::Sent };
        let ended = saved.ends(held, replaces, then.map(Into::into));
        end(Some(turn), tried, ended)
    }
}

/// The end of a refresh.
const fn end(turn: Option<Turn>, tried: Tried, ended: Ended) -> Next<Refresh> {
    Next::Over(Refresh::Over, End { turn, tried, ended })
}

/// The table of a refresh.
pub(crate) const TABLE: FlowTable = FlowTable {
    flow: Stage::Refresh,
    purpose: "renews the grant with its refresh token",
    states: &[
        (At::Listing, Stage::Discovery),
        (At::Claiming, Stage::Claim),
        (At::Noting, Stage::Intent),
        (At::Sending, Stage::Token),
        (At::Looking, Stage::Recall),
        (At::Marking, Stage::Save),
        (At::Rejecting, Stage::Save),
        (At::Saving, Stage::Save),
    ],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Listing, At::Claiming, At::Sending] },
        Row {
            from: At::Listing,
            on: On::Looked,
            targets: &[At::Claiming, At::Sending, At::Failed],
        },
        // A server that cannot say now whether the issuer is still listed stops no refresh
        // (STEP-12).
        Row {
            from: At::Listing,
            on: On::Failed,
            targets: &[At::Claiming, At::Sending, At::Failed],
        },
        Row {
            from: At::Claiming,
            on: On::Claimed,
            targets: &[At::Noting, At::Rejecting, At::Done],
        },
        Row { from: At::Claiming, on: On::Failed, targets: &[At::Failed] },
        Row {
            from: At::Noting,
            on: On::Intended,
            targets: &[At::Sending, At::Claiming, At::Rejecting, At::Failed],
        },
        Row {
            from: At::Sending,
            on: On::Minted,
            targets: &[At::Saving, At::Looking, At::Marking, At::Rejecting, At::Done, At::Failed],
        },
        Row { from: At::Sending, on: On::Failed, targets: &[At::Failed] },
        // Another process may have spent the token, and saved what it got (HOST-224).
        Row {
            from: At::Looking,
            on: On::Recalled,
            targets: &[At::Noting, At::Rejecting, At::Done, At::Failed],
        },
        Row { from: At::Looking, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Marking, on: On::Saved, targets: &[At::Failed] },
        Row { from: At::Rejecting, on: On::Saved, targets: &[At::Done, At::Failed] },
        Row { from: At::Saving, on: On::Saved, targets: &[At::Done, At::Failed] },
        // A login or a late answer has replaced the grant meanwhile.
        Row { from: At::Listing, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Claiming, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Noting, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Sending, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Looking, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Marking, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Rejecting, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Saving, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Listing, on: On::Resumed, targets: &[At::Listing] },
        Row { from: At::Claiming, on: On::Resumed, targets: &[At::Claiming] },
        Row { from: At::Noting, on: On::Resumed, targets: &[At::Noting] },
        Row { from: At::Sending, on: On::Resumed, targets: &[At::Sending, At::Claiming] },
        Row { from: At::Looking, on: On::Resumed, targets: &[At::Looking] },
        Row { from: At::Marking, on: On::Resumed, targets: &[At::Marking] },
        Row { from: At::Rejecting, on: On::Resumed, targets: &[At::Rejecting] },
        Row { from: At::Saving, on: On::Resumed, targets: &[At::Saving] },
    ],
};
