//! The states of a login, and the events that lead from one to the next.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::Spend;
use crate::failure::{Failure, Kind};
use crate::flow::{Deferred, End, Ended, Known, Next, Tried, Written, bug};
use crate::record::merge::Replaces;
use crate::record::{Client, Grant, Held, Way};
use crate::scope::ScopeSet;
use crate::stage::authorization::Approved;
use crate::stage::discovery::Found;
use crate::stage::registration::{Enrolled, Redirected};
use crate::wire::client_auth::Method;

/// The states of a login.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum State {
    Start,
    /// It searches for the authorization server.
    Finding,
    /// It becomes a client there. Where the server has forgotten its registration, it becomes one
    /// once more, with the redirect URI that it has (REG-21).
    Enrolling {
        place: Place,
        again: Option<Redirected>,
    },
    /// It saves the registration before the person is sent away with it.
    SavingClient {
        member: Box<Member>,
    },
    /// It asks the person.
    Asking {
        member: Box<Member>,
    },
    /// It records that the code is about to be sent.
    Noting {
        member: Box<Member>,
        approved: Approved,
        login: Arc<str>,
    },
    /// It looks whether a copy of it, taken up by another process, has ended before it (HOST-184).
    Looking {
        member: Box<Member>,
        approved: Approved,
        code: Code,
    },
    /// It sends the code.
    Exchanging {
        member: Box<Member>,
        approved: Sending,
        code: Code,
    },
    /// It saves what has come.
    Saving {
        member: Box<Member>,
        code: Code,
        held: Held<Grant>,
        replaces: Replaces,
        then: Option<Deferred>,
    },
    /// It has failed, and marks its registration: the failure tells whether the server knows it
    /// (REG-93).
    Marking {
        member: Box<Member>,
        code: Code,
        client: Held<Client>,
        verdict: Deferred,
    },
    /// It has ended.
    Over {
        left: Left,
    },
    /// Its state is being spent.
    #[default]
    Spent,
}

/// The place where the person is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The authorization server that discovery has found.
    pub(crate) found: Box<Found>,
    /// The resource named another issuer before.
    pub(crate) previous_issuer: Option<Arc<str>>,
    /// The scopes to ask for.
    pub(crate) scopes: Arc<ScopeSet>,
}

/// The client that a login has become.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The place where it is a client.
    pub(crate) place: Place,
    /// The client itself, and its redirect URI.
    pub(crate) enrolled: Enrolled,
    /// How often the login has registered.
    pub(crate) registration: Registration,
}

/// How often a login has registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Registration {
    /// Once.
    First,
    /// The server had forgotten the first one.
    Second,
}

/// The records in the store about a login's code.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Code {
    /// The name that tells this login from others. Without a store there are no others to tell it
    /// from.
    pub(crate) login: Option<Arc<str>>,
    /// The intent that the store has recorded.
    pub(crate) mark: Option<Spend>,
}

/// The code, until it is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Sending {
    /// It is still to be sent.
    Ready(Approved),
    /// It was taken to be sent.
    Sent,
}

impl Sending {
    /// Takes the code to be sent. It can be taken once.
    pub(crate) fn take(&mut self) -> Option<Approved> {
        match core::mem::replace(self, Self::Sent) {
            Self::Ready(approved) => Some(approved),
            Self::Sent => None,
        }
    }
}

/// The rest of a login that has ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) enum Left {
    /// It had not found where to go.
    #[default]
    Nothing,
    /// It had found where to go.
    Place(Place),
    /// It had become a client.
    Member(Box<Member>, Code),
}

/// An event that a login meets.
#[derive(Debug)]
pub(crate) enum Met {
    Begin,
    /// Discovery has ended.
    Found(Place),
    /// The session has become a client.
    Enrolled(Enrolled),
    /// The registration is in the store, or another process's is, or the store would not have it.
    /// The event holds the registration that counts, with the method that the host has chosen.
    ClientSaved(Option<(Held<Client>, Option<Method>)>),
    /// The person has agreed.
    Approved(Approved),
    /// The intent is recorded, so the code may be sent.
    Recorded(Spend),
    /// The intent is recorded in a login that was taken up from a snapshot. There may be copies of
    /// the snapshot.
    RecordedAgain(Spend),
    /// The store holds this very login already, or not.
    Read(Grown),
    /// A grant came, perhaps with a failure that its callers hear of once the grant is saved
    /// (HOST-232).
    Came {
        held: Held<Grant>,
        replaces: Replaces,
        then: Option<Failure>,
    },
    /// The server has forgotten the registration, so the login registers once more.
    Unregistered,
    /// The records were written, or the store would not have them.
    Saved(Written),
    /// It failed, and its registration is to be marked.
    Doubted(Held<Client>, Failure),
    /// A restart came while the store was looked into, so its answer may be old.
    Resumed,
}

/// Says whether the store holds the grant of this very login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grown {
    Here,
    NotYet,
}

impl Member {
    /// The dynamic registration that it is a client by.
    pub(crate) fn dynamic(&self) -> Option<&Enrolled> {
        Some(&self.enrolled).filter(|enrolled| enrolled.way == Way::Dynamic)
    }
}

impl State {
    /// The rest of a login that ends in this state.
    pub(super) fn left(self) -> Left {
        match self {
            Self::Start | Self::Finding | Self::Spent => Left::Nothing,
            Self::Enrolling { place, .. } => Left::Place(place),
            Self::SavingClient { member } | Self::Asking { member } => {
                Left::Member(member, Code::default())
            }
            Self::Noting { member, login, .. } => {
                Left::Member(member, Code { login: Some(login), mark: None })
            }
            Self::Looking { member, code, .. }
            | Self::Exchanging { member, code, .. }
            | Self::Saving { member, code, .. }
            | Self::Marking { member, code, .. } => Left::Member(member, code),
            Self::Over { left } => left,
        }
    }

    /// Ends the login with a failure.
    fn fails(self, failure: Failure) -> Next<Self> {
        self.ends(Ended::failed(failure))
    }

    /// Ends the login with this result.
    fn ends(self, ended: Ended) -> Next<Self> {
        let left = self.left();
        Next::Over(Self::Over { left }, End { turn: None, tried: Tried::Nothing, ended })
    }

    /// The next state, or the end, after an event.
    pub(super) fn on(self, met: Met, known: Known<'_>) -> Next<Self> {
        match (self, met) {
            (Self::Start, Met::Begin) => Next::Run(Self::Finding),
            (Self::Finding, Met::Found(place)) => Next::Run(Self::Enrolling { place, again: None }),
            (Self::Enrolling { place, again }, Met::Enrolled(enrolled)) => {
                Self::enrolled(place, again.is_some(), enrolled, known)
            }
            (Self::SavingClient { mut member }, Met::ClientSaved(saved)) => {
                if let Some((client, chosen)) = saved {
                    member.enrolled.is(client, chosen);
                }
                Next::Run(Self::Asking { member })
            }
            (Self::Asking { member }, Met::Approved(approved)) => {
                Self::approved(member, approved, known)
            }
            (state, Met::Doubted(client, failure)) => state.doubted(client, failure),
            (state, met) => state.on_with_code(met, known),
        }
    }

    /// Does the same as [`on`](Self::on), once the person has agreed.
    fn on_with_code(self, met: Met, known: Known<'_>) -> Next<Self> {
        match (self, met) {
            (Self::Noting { member, approved, login }, Met::Recorded(mark)) => {
                let code = Code { login: Some(login), mark: Some(mark) };
                let approved = Sending::Ready(approved);
                Next::Run(Self::Exchanging { member, approved, code })
            }
            (Self::Noting { member, approved, login }, Met::RecordedAgain(mark)) => {
                let code = Code { login: Some(login), mark: Some(mark) };
                Next::Run(Self::Looking { member, approved, code })
            }
            (Self::Looking { member, approved, code }, Met::Read(Grown::NotYet)) => {
                let approved = Sending::Ready(approved);
                Next::Run(Self::Exchanging { member, approved, code })
            }
            (state @ Self::Looking { .. }, Met::Read(Grown::Here)) => {
                state.fails(Failure::new(Kind::CallbackUsed, "TOK-04"))
            }
            (Self::Looking { member, approved, code }, Met::Resumed) => match code.login {
                Some(login) => Next::Run(Self::Noting { member, approved, login }),
                None => Self::Asking { member }.fails(bug()),
            },
            (Self::Exchanging { member, code, .. }, Met::Came { held, replaces, then }) => {
                Self::came(member, code, (held, replaces), then, known)
            }
            (Self::Exchanging { member, .. }, Met::Unregistered) => {
                let Member { place, enrolled, .. } = *member;
                Next::Run(Self::Enrolling { place, again: Some(enrolled.redirect) })
            }
            (Self::Saving { member, code, held, replaces, then }, Met::Saved(saved)) => {
                let ended = saved.ends(held, replaces, then.map(Into::into));
                Self::Over { left: Left::Member(member, code) }.ends(ended)
            }
            (Self::Marking { member, code, verdict, .. }, Met::Saved(_)) => {
                Self::Over { left: Left::Member(member, code) }.fails(verdict.into())
            }
            (state, _) => state.fails(bug()),
        }
    }

    /// The session is a client. Its registration is saved before the person is sent away with it.
    fn enrolled(place: Place, second: bool, enrolled: Enrolled, known: Known<'_>) -> Next<Self> {
        let registration = if second { Registration::Second } else { Registration::First };
        let saves = known.store && enrolled.fresh;
        let member = Box::new(Member { place, enrolled, registration });
        Next::Run(if saves { Self::SavingClient { member } } else { Self::Asking { member } })
    }

    /// The person has agreed.
    fn approved(member: Box<Member>, approved: Approved, known: Known<'_>) -> Next<Self> {
        Next::Run(if known.store {
            let login = approved.login();
            Self::Noting { member, approved, login }
        } else {
            let (approved, code) = (Sending::Ready(approved), Code::default());
            Self::Exchanging { member, approved, code }
        })
    }

    /// Tokens came. They are saved before anybody hears of them (REF-04).
    fn came(
        member: Box<Member>,
        code: Code,
        (held, replaces): (Held<Grant>, Replaces),
        then: Option<Failure>,
        known: Known<'_>,
    ) -> Next<Self> {
        if known.store {
            let then = then.map(Into::into);
            return Next::Run(Self::Saving { member, code, held, replaces, then });
        }
        let ended = Written::NOWHERE.ends(held, replaces, then);
        Self::Over { left: Left::Member(member, code) }.ends(ended)
    }

    /// Marks the registration of a login that has failed, before the login ends.
    fn doubted(self, client: Held<Client>, failure: Failure) -> Next<Self> {
        match self.left() {
            Left::Member(member, code) => {
                let verdict = failure.into();
                Next::Run(Self::Marking { member, code, client, verdict })
            }
            left => Self::Over { left }.fails(failure),
        }
    }
}
