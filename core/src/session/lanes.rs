//! The two lanes and what runs in them.
//!
//! One lane is for what needs only machines, the other for what waits for a person, so that a
//! refresh never waits behind a login (style: two lanes from the start). A lane runs one flow, a
//! flow one stage at a time.

use serde::{Deserialize, Serialize};

use crate::effect::{Parties, TicketId};
use crate::failure::{Evidence, Failure};
use crate::flow::errands::Task;
use crate::flow::{Course, Errand, Tried};
use crate::input::ArrivalId;
use crate::machine::{Budget, MachineName, SignalName, StateName};
use crate::record::{Binding, Grant, Held};
use crate::session::farewell::Farewell;
use crate::stage::Stage;
use crate::stage::token::Token;
use crate::time::{Awaited, Monotonic};

/// The lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lane {
    /// Needs no person.
    Background,
    /// Waits for a person.
    Person,
}

/// One flow, the stage it runs, and what stands beside its state while it lasts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) course: Course,
    pub(crate) stage: Option<Stage>,
    pub(crate) parking: Option<Parking>,
    pub(crate) budget: Budget,
    /// How many logins and access tokens there had been when it began.
    pub(crate) logins: u64,
    pub(crate) epoch: u64,
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
    pub(crate) untold: Option<Box<Untold>>,
    #[serde(skip)]
    pub(crate) evidence: Vec<Evidence>,
    /// Browsers that wait for the page that tells how it ended.
    #[serde(skip)]
    pub(crate) arrivals: Vec<(ArrivalId, Parties)>,
    /// The listener behind the redirect URI.
    #[serde(skip)]
    pub(crate) listener: Option<TicketId>,
}

/// A flow that has failed, and whose callers have not heard of it yet.
#[derive(Clone, Debug)]
pub(crate) struct Untold {
    pub(crate) flow: Box<Flow>,
    pub(crate) tried: Tried,
    pub(crate) failure: Failure,
}

impl Flow {
    /// Boxed, since most sessions rest most of the time and have none.
    pub(crate) fn new(course: Course) -> Box<Self> {
        Box::new(Self {
            course,
            stage: None,
            parking: None,
            budget: Budget::new(),
            logins: 0,
            epoch: 0,
            restored: false,
            orphaned: false,
            leaving: None,
            untold: None,
            evidence: Vec::new(),
            arrivals: Vec::new(),
            listener: None,
        })
    }

    pub(crate) fn errand(task: Task) -> Box<Self> {
        Self::new(Course::Errand(Errand::new(task)))
    }

    /// Which flow it is.
    pub(crate) const fn name(&self) -> MachineName {
        self.course.name()
    }

    /// Where it is, by its table.
    pub(crate) const fn state(&self) -> StateName {
        self.course.state()
    }

    /// Moves every deadline by what `shift` does to it.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic) + Copy) {
        if let Some(parking) = &mut self.parking {
            shift(&mut parking.until);
        }
        self.budget.shift(shift);
        self.course.shift(shift);
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

    /// The grants that it has, or is about to write.
    pub(crate) fn grants(&self) -> Vec<Held<Grant>> {
        let mut grants: Vec<_> = self.course.held().into_iter().cloned().collect();
        if let Some(Stage::Save(save)) = &self.stage {
            grants.extend(save.grants().cloned());
        }
        grants
    }

    /// Whether a login has sent something that cannot be had again if its answer is not heard.
    pub(crate) fn spends(&self) -> bool {
        self.course.login().is_some_and(crate::flow::Login::spends)
    }

    /// Whether a restart has cost the flow the right to send its refresh token or code, which it then
    /// claims anew: the process that had it may be alive, and may have sent it.
    pub(crate) const fn loses_its_turn(&self) -> bool {
        match &self.course {
            Course::Refresh(refresh) => refresh.loses_its_turn(),
            Course::Login(login) => login.loses_its_turn(),
            Course::Errand(_) => false,
        }
    }

    /// Whether a login has failed, and only writes down what that says of its registration. Who
    /// comes now did not wait for it.
    pub(crate) fn marks(&self) -> bool {
        self.state() == StateName::Marking
    }
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
