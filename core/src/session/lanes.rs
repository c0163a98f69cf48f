//! The two lanes and what runs in them.
//!
//! One lane is for what needs only machines, the other for what waits for a person, so that a
//! refresh never waits behind a login (style: two lanes from the start). A lane runs one flow, a
//! flow one stage at a time.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::{Holder, Key, Parties, Spend, TicketId};
use crate::failure::{Evidence, Failure, Kind};
use crate::input::ArrivalId;
use crate::machine::{Budget, Cx, MachineName, Parked, Signal, SignalName, StateName, Turn, step};
use crate::record::merge::Over;
use crate::record::{Binding, Client, Grant, Held};
use crate::scope::ScopeSet;
use crate::stage::authorization::{Approved, Authorization};
use crate::stage::claim::{Claim, Intended, Intent, Release, Released};
use crate::stage::discovery::{Discovery, Found, Looked};
use crate::stage::recall::{Recall, Recalled};
use crate::stage::registration::{Enrolled, Redirected, Registration};
use crate::stage::revocation::{self, Given, Revocation};
use crate::stage::token::{Minted, Token};
use crate::stage::vault::{Save, Saved, Write};
use crate::time::{Awaited, Monotonic};
use crate::wire::url::ServerUrl;

/// The lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lane {
    /// Needs only machines.
    Machine,
    /// Waits for a person.
    Person,
}

/// One flow: a goal, the ground covered, and the stage it is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) goal: Goal,
    pub(crate) ground: Ground,
    pub(crate) stage: Option<Stage>,
    pub(crate) parking: Option<Parking>,
    pub(crate) budget: Budget,
    /// It was taken up from a snapshot, of which there may be copies.
    pub(crate) restored: bool,
    /// Its last caller has gone; it ends before it would show a page (HOST-195).
    pub(crate) orphaned: bool,
    /// The edge that it is taking: where it was, and what happened there.
    #[serde(skip)]
    pub(crate) leaving: Option<(StateName, SignalName)>,
    /// The refresh that failed before this release of its marks, and why: its callers hear of it
    /// once they are taken back.
    #[serde(skip)]
    pub(crate) untold: Option<Box<(Box<Flow>, Failure)>>,
    #[serde(skip)]
    pub(crate) evidence: Vec<Evidence>,
    /// Browsers that wait for the page that tells how it ended.
    #[serde(skip)]
    pub(crate) arrivals: Vec<(ArrivalId, Parties)>,
    /// The listener behind the redirect URI.
    #[serde(skip)]
    pub(crate) listener: Option<TicketId>,
}

impl Flow {
    /// Boxed, since most sessions rest most of the time and have none.
    pub(crate) fn new(goal: Goal) -> Box<Self> {
        Box::new(Self {
            goal,
            ground: Ground::default(),
            stage: None,
            parking: None,
            budget: Budget::new(),
            restored: false,
            orphaned: false,
            leaving: None,
            untold: None,
            evidence: Vec::new(),
            arrivals: Vec::new(),
            listener: None,
        })
    }

    /// Which flow it is.
    pub(crate) const fn name(&self) -> MachineName {
        match self.goal {
            Goal::Recall => MachineName::ReadAll,
            Goal::Refresh(_) => MachineName::Refresh,
            Goal::Relist => MachineName::Relist,
            Goal::Login(_) => MachineName::Login,
            Goal::Keep(_) => MachineName::SaveAgain,
            Goal::Release(_) => MachineName::GiveBack,
            Goal::Forget => MachineName::Forget,
            Goal::Revoke(_) => MachineName::Revoke,
        }
    }

    /// Where it is, by its table.
    pub(crate) fn state(&self) -> StateName {
        let Some(stage) = &self.stage else { return StateName::Start };
        let login = matches!(self.goal, Goal::Login(_));
        match stage {
            Stage::Recall(_) if matches!(self.goal, Goal::Recall | Goal::Forget) => {
                StateName::Reading
            }
            Stage::Recall(_) => StateName::Looking,
            Stage::Discovery(_) if login => StateName::Finding,
            Stage::Discovery(_) => StateName::Listing,
            Stage::Registration(_) => StateName::Enrolling,
            Stage::Authorization(_) => StateName::Asking,
            Stage::Claim(_) => StateName::Claiming,
            Stage::Intent(_) => StateName::Noting,
            Stage::Token(_) if login => StateName::Exchanging,
            Stage::Token(_) => StateName::Sending,
            Stage::Release(_) => StateName::Releasing,
            Stage::Revocation(_) => StateName::Revoking,
            Stage::Save(_) => self.saving(),
        }
    }

    /// What it saves.
    const fn saving(&self) -> StateName {
        match self.goal {
            Goal::Forget => StateName::Emptying,
            Goal::Login(_) | Goal::Refresh(_) if self.ground.stale.is_some() => StateName::Marking,
            Goal::Login(_) if self.ground.minted.is_none() => StateName::KeepingClient,
            Goal::Refresh(_) if self.ground.minted.is_none() => StateName::Rejecting,
            _ => StateName::Keeping,
        }
    }

    /// Moves every deadline by what `shift` does to it.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic) + Copy) {
        if let Some(parking) = &mut self.parking {
            shift(&mut parking.until);
        }
        self.budget.shift(shift);
        if let Some(end) = &mut self.ground.claim_ends {
            shift(end);
        }
        match &mut self.stage {
            Some(Stage::Authorization(authorization)) => authorization.shift(shift),
            Some(Stage::Claim(claim)) => claim.shift(shift),
            _ => {}
        }
    }

    /// Whether the answer to this work is what the flow waits for.
    pub(crate) fn awaits(&self, ticket: TicketId) -> bool {
        self.parking.as_ref().is_some_and(|parking| parking.ticket == Some(ticket))
    }

    /// Whether the flow looks if the issuer of its refresh token is still listed.
    pub(crate) fn relisting(&self) -> bool {
        let looks = match &self.goal {
            Goal::Refresh(goal) => goal.pointer.is_some(),
            Goal::Relist => true,
            _ => false,
        };
        looks && !self.ground.relisted
    }

    /// Whether a restart has cost the flow the right to send its refresh token or code, which it then
    /// claims anew: the process that had it may be alive, and may have sent it.
    pub(crate) fn lost_its_turn(&mut self) -> bool {
        let refresh = matches!(self.stage, Some(Stage::Token(_))) && self.ground.claimed.is_some();
        let code = matches!(self.stage, Some(Stage::Recall(_))) && self.ground.approved.is_some();
        let lost = refresh || code;
        if lost {
            self.stage = None;
            self.parking = None;
            self.ground.unclaim();
        }
        lost
    }

    /// The grants that it has, or is about to write.
    pub(crate) fn grants(&self) -> Vec<Held<Grant>> {
        let mut grants: Vec<_> = self.ground.minted.iter().cloned().collect();
        if let Some(Stage::Save(save)) = &self.stage {
            grants.extend(save.grants().cloned());
        }
        grants
    }

    /// Whether the flow has sent something that cannot be had again if its answer is not heard.
    pub(crate) fn spending(&self) -> bool {
        match self.stage {
            Some(Stage::Token(_)) => true,
            Some(Stage::Save(_)) => self.ground.minted.is_some() || self.ground.stale.is_some(),
            _ => false,
        }
    }

    /// Whether a login has failed, and only writes down what that says of its registration. Who
    /// comes now did not wait for it.
    pub(crate) fn marking(&self) -> bool {
        matches!(self.goal, Goal::Login(_)) && self.ground.stale.is_some()
    }
}

/// What a flow is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Goal {
    /// To know what the store knows.
    Recall,
    /// A new access token for the refresh token.
    Refresh(RefreshGoal),
    /// To know whether the bound issuer is still listed, after a refresh that did not help (BIND-05).
    Relist,
    /// A grant from a person.
    Login(LoginGoal),
    /// Records written, for what happened outside a flow.
    Keep(Vec<Write>),
    /// A lease given back, once those who waited for its flow are settled.
    Release(Lease),
    /// The grant dropped, from the store too.
    Forget,
    /// The tokens of a log-out given back to the server.
    Revoke(Box<revocation::Ask>),
}

/// A lease to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) key: Key,
    pub(crate) holder: Holder,
    /// The intent of a credential whose outcome is known.
    pub(crate) withdraw: Option<Spend>,
}

/// What a refresh knows of its cause.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RefreshGoal {
    /// A challenge named metadata, so the issuer may have changed (BIND-05).
    pub(crate) pointer: Option<ServerUrl>,
}

/// What a login knows of its cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoginGoal {
    pub(crate) cause: Cause,
    pub(crate) pointer: Option<ServerUrl>,
    /// Scopes the caller named.
    pub(crate) wanted: ScopeSet,
    /// Scopes the challenge named.
    pub(crate) challenged: Option<ScopeSet>,
    /// The operation that was refused, for the limits of step-up.
    pub(crate) operation: Arc<str>,
}

/// Why a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// A caller asked for a grant.
    Asked,
    /// A caller asked for a login by name, and no request has gone before it (D18).
    Named,
    /// The server refused a request for want of a good token.
    Refused,
    /// The same, after it had let requests in with a token whose life is over now.
    Expired,
    /// The server refused a request for want of scope.
    StepUp,
}

/// What a flow has covered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ground {
    /// The record whose lease was asked for.
    pub(crate) claimed: Option<Key>,
    /// How long it is waited for.
    pub(crate) claim_ends: Option<Monotonic>,
    /// Another process is spending the refresh token, or may have spent the code.
    pub(crate) elsewhere: bool,
    /// The number under which the store was seen to have what is about to be spent, whatever became of
    /// the records beside it.
    #[serde(default)]
    pub(crate) seen_at: Option<u64>,
    /// The intent that is recorded of what is about to be spent.
    pub(crate) intent: Option<Spend>,
    /// The one that the store was asked to record.
    pub(crate) asked: Option<Spend>,
    /// A refresh token was sent.
    pub(crate) spent: bool,
    pub(crate) looked: bool,
    /// The grant was looked at once more after it had been refused.
    pub(crate) looked_again: bool,
    pub(crate) relisted: bool,
    pub(crate) adopted: bool,
    pub(crate) refused: bool,
    pub(crate) client_kept: bool,
    pub(crate) kept: bool,
    pub(crate) reregistered: bool,
    pub(crate) unsaved: bool,
    /// How many logins and access tokens there had been when it began.
    pub(crate) logins: u64,
    #[serde(default)]
    pub(crate) epoch: u64,
    pub(crate) found: Option<Box<Found>>,
    pub(crate) previous_issuer: Option<Arc<str>>,
    pub(crate) scopes: ScopeSet,
    pub(crate) enrolled: Option<Enrolled>,
    /// The redirect URI of this flow, which a second registration keeps.
    pub(crate) redirect: Option<Redirected>,
    pub(crate) approved: Option<Approved>,
    /// Tells this login from others in the records.
    pub(crate) login: Option<Arc<str>>,
    /// The grant that came, not yet published.
    pub(crate) minted: Option<Held<Grant>>,
    /// A registration that the server does not know any more, or perhaps, to be marked so in the
    /// store.
    pub(crate) stale: Option<Held<Client>>,
    /// What it may be written over.
    #[serde(default)]
    pub(crate) over: Over,
    /// What the flow ends in once its records are written.
    #[serde(default)]
    pub(crate) verdict: Option<Verdict>,
}

/// The failure that a flow ends in once its records are written. A restart keeps its kind alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    kind: Kind,
    #[serde(skip)]
    failure: Option<Failure>,
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind(), failure: Some(failure) }
    }
}

impl From<Verdict> for Failure {
    fn from(verdict: Verdict) -> Self {
        verdict.failure.unwrap_or_else(|| Self::new(verdict.kind, "REF-91"))
    }
}

impl Ground {
    /// This emptied grant is written over what was logged out of.
    pub(crate) fn forgets(&mut self, emptied: Held<Grant>) {
        self.over = Over::OfLogin(emptied.value.login.clone());
        self.minted = Some(emptied);
    }

    /// As if nobody had asked for the lease yet.
    pub(crate) fn unclaim(&mut self) {
        self.claimed = None;
        self.claim_ends = None;
        self.intent = None;
        self.looked = false;
    }
}

/// A stage that waits, and what it brings home.
macro_rules! stages {
    ($($name:ident brings $output:ty as $brought:ident;)*) => {
        /// The stage a flow is in.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(crate) enum Stage { $($name($name),)* }

        /// What a stage brought home.
        #[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
        #[derive(Debug)]
        pub(crate) enum Brought { $($brought($output),)* }

        impl Brought {
            /// What it is called in the tables of flows.
            pub(crate) const fn name(&self) -> SignalName {
                match self { $(Self::$brought(_) => SignalName::$brought,)* }
            }
        }

        /// What became of a stage.
        #[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
        pub(crate) enum Moved {
            Wait(Stage, Parked),
            Done(Brought),
        }

        impl Stage {
            pub(crate) fn step(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Moved, Failure> {
                Ok(match self {
                    $(Self::$name(stage) => match step(stage, signal, cx)? {
                        Turn::Wait(stage, parked) => Moved::Wait(Self::$name(stage), parked),
                        Turn::Done(output) => Moved::Done(Brought::$brought(output)),
                    },)*
                })
            }
        }
    };
}

stages! {
    Recall brings Recalled as Recalled;
    Discovery brings Looked as Looked;
    Registration brings Enrolled as Enrolled;
    Authorization brings Approved as Approved;
    Claim brings Option<Held<Grant>> as Claimed;
    Intent brings Intended as Intended;
    Release brings Released as Released;
    Revocation brings Given as Given;
    Token brings Minted as Minted;
    Save brings Saved as Saved;
}

/// What a flow waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Parking {
    pub(crate) awaited: Awaited,
    pub(crate) until: Monotonic,
    #[serde(skip)]
    pub(crate) ticket: Option<TicketId>,
}

/// A token request that was given up: its answer is read and saved all the same (TOK-04).
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) ticket: TicketId,
    /// What it was sent by, which reads what comes.
    pub(crate) stage: Token,
    pub(crate) template: Grant,
    /// The binding that a login would have made.
    pub(crate) binding: Option<Held<Binding>>,
    /// How many logins and access tokens there had been when it was given up.
    pub(crate) logins: u64,
    pub(crate) epoch: u64,
    /// There was a log-out since. What comes is given back, if the server takes it (HOST-242).
    pub(crate) forgotten: Option<Farewell>,
}

/// How the tokens of a grant are given back.
#[derive(Clone, Debug)]
pub(crate) enum Farewell {
    /// Like this.
    Ask(Box<revocation::Ask>),
    /// The server does not take them.
    NotOffered,
}
