//! The two lanes and what runs in them.
//!
//! One lane is for flows that need only machines, the other for flows that wait for a person, so
//! that a refresh never waits behind a login (style: two lanes from the start). A lane runs one
//! flow, a flow one stage at a time.

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
    /// The lane of flows that need no person.
    Background,
    /// The lane of flows that wait for a person.
    Person,
}

/// One flow, the stage it runs, and the values that stand beside its state while it lasts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// The flow, in its state.
    pub(crate) course: Course,
    /// The stage that it runs.
    pub(crate) stage: Option<Stage>,
    /// The effect or the pause that it waits for.
    pub(crate) parking: Option<Parking>,
    /// The requests that it may still send.
    pub(crate) budget: Budget,
    /// How many logins there had been when it began.
    pub(crate) logins: u64,
    /// How many access tokens there had been when it began.
    pub(crate) epoch: u64,
    /// It was taken up from a snapshot, of which there may be copies.
    pub(crate) restored: bool,
    /// Its last caller has gone; it ends before it would show a page (HOST-195).
    pub(crate) orphaned: bool,
    /// The edge that it is taking: the state where it was, and the signal that came there.
    #[serde(skip)]
    pub(crate) leaving: Option<(StateName, SignalName)>,
    /// The refresh that failed before this release of its intent, and its failure. The refresh's
    /// callers hear of the failure once the intent is taken back.
    #[serde(skip)]
    pub(crate) untold: Option<Box<Untold>>,
    /// The answers that came on the way, to be shown by its failure.
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
    /// How far it went with a refresh token.
    pub(crate) tried: Tried,
    pub(crate) failure: Failure,
}

impl Flow {
    /// A flow that has not begun. It is boxed, since most sessions rest most of the time and have
    /// no flow.
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

    /// A flow for a small task.
    pub(crate) fn errand(task: Task) -> Box<Self> {
        Self::new(Course::Errand(Errand::new(task)))
    }

    /// The name of the flow.
    pub(crate) const fn name(&self) -> MachineName {
        self.course.name()
    }

    /// The state of the flow, as its table names it.
    pub(crate) const fn state(&self) -> StateName {
        self.course.state()
    }

    /// Applies `shift` to every deadline.
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

    /// Returns true if the flow waits for the answer to this work.
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

    /// Returns true if a login has sent something that cannot be had again if its answer is not
    /// heard.
    pub(crate) fn spends(&self) -> bool {
        self.course.login().is_some_and(crate::flow::Login::spends)
    }

    /// Returns true if a restart has cost the flow the right to send its refresh token or code. The
    /// flow then claims that right anew: the process that had it may be alive, and may have sent
    /// the credential.
    pub(crate) const fn loses_its_turn(&self, store: bool) -> bool {
        match &self.course {
            Course::Refresh(refresh) => store && refresh.loses_its_turn(),
            Course::Login(login) => login.loses_its_turn(),
            Course::Errand(_) => false,
        }
    }

    /// Returns true if a login has failed, and only writes down what that says of its registration.
    /// A caller that comes now did not wait for it.
    pub(crate) fn marks(&self) -> bool {
        self.state() == StateName::Marking
    }
}

/// The effect or the pause that a flow waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Parking {
    /// The kind of effect or pause.
    pub(crate) awaited: Awaited,
    /// The deadline.
    pub(crate) until: Monotonic,
    /// The work that is out.
    #[serde(skip)]
    pub(crate) ticket: Option<TicketId>,
}

/// A token request that was given up: its answer is read and saved all the same (TOK-04).
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) ticket: TicketId,
    /// The stage that sent it, which reads the answer.
    pub(crate) stage: Token,
    /// The grant that the tokens of the answer go into.
    pub(crate) template: Grant,
    /// The binding that a login would have made.
    pub(crate) binding: Option<Held<Binding>>,
    /// How many logins there had been when it was given up.
    pub(crate) logins: u64,
    /// How many access tokens there had been when it was given up.
    pub(crate) epoch: u64,
    /// There was a log-out since. The tokens that come are given back in this way, if the server
    /// takes them (HOST-242).
    pub(crate) forgotten: Option<Farewell>,
}
