//! The session's part of the errands: it hands the results of stages to the flows, and makes the
//! stages that they run.

use crate::failure::Failure;
use crate::flow::errands::{Errand, Met, Task};
use crate::flow::{Course, End, Kept, bug};
use crate::record::merge::Replaces;
use crate::session::lanes::Flow;
use crate::session::{Now, Session};
use crate::stage::claim::{Release, Released};
use crate::stage::discovery::{Discovery, Looked};
use crate::stage::recall::{Recall, Recalled};
use crate::stage::revocation::{Given, Revocation};
use crate::stage::vault::{Save, Write};
use crate::stage::{Brought, Stage};

impl Session {
    /// Takes in the result of a stage of an errand. Returns the end of the flow, if the flow ends
    /// with it.
    pub(super) fn errand_met(
        &mut self,
        flow: &mut Flow,
        brought: Brought,
        now: &mut Now,
    ) -> Option<End> {
        let met = match brought {
            Brought::Recalled(found) => self.everything_read(flow, found, now),
            Brought::Looked(Looked::Moved { to }) => {
                let failure = self.moved_away(&to, now);
                return Some(flow.course.fail(failure));
            }
            Brought::Looked(_) => Met::Listed,
            Brought::Released(Released(given)) => self.released(flow, given, now),
            Brought::Given(Given(result)) => {
                self.given_back(flow, result);
                Met::GivenBack
            }
            Brought::Saved(saved) => Met::Saved(self.saved(flow, saved, now)),
            _ => return Some(flow.course.fail(bug())),
        };
        match &mut flow.course {
            Course::Errand(errand) => errand.on(met),
            other => Some(other.fail(bug())),
        }
    }

    /// The store was read, for everybody or for a log-out.
    fn everything_read(&mut self, flow: &Flow, found: Recalled, now: &Now) -> Met {
        if !flow.course.errand().is_some_and(Errand::forgets) {
            self.body.memory.recall(found, &self.config);
            self.forget_what_was_found(now);
            return Met::Read(None);
        }
        self.forget_found(found, now);
        // Tokens that are to be given back go first.
        let first = self.body.log_out.to_revoke.is_empty();
        Met::Read(self.body.memory.parting.to_forget.first().filter(|_| first).cloned())
    }

    /// A lease was given back; if the store would not have it, it is asked again later.
    fn released(&mut self, flow: &Flow, given: bool, now: &Now) -> Met {
        if given {
            return Met::Released(Kept::Saved);
        }
        if let Some(Task::GiveBack(lease)) = flow.course.errand().map(|errand| &errand.task) {
            self.owed.owe(lease.clone(), Some(now.mono));
        }
        Met::Released(Kept::Unsaved)
    }

    /// The stage that an errand runs.
    pub(super) fn stage_of_errand(&self, flow: &Flow) -> Result<Stage, Failure> {
        let errand = flow.course.errand().ok_or_else(bug)?;
        Ok(match &errand.task {
            Task::ReadAll | Task::Forget => {
                Stage::Recall(Recall::all(self.config.mcp_url(), self.config.account()))
            }
            Task::Relist => Stage::Discovery(Discovery::new(self.discovery(None, None))),
            Task::SaveAgain { writes, .. } => Stage::Save(Save::new(writes.clone())),
            Task::Empty { emptied } => {
                let replaces = Replaces::OfLogin(emptied.value.login.clone());
                Stage::Save(Save::new(vec![Write::Grant(emptied.clone(), replaces)]))
            }
            Task::GiveBack(lease) => {
                let withdraw = lease.withdraw.clone();
                Stage::Release(Release::new(lease.key.clone(), lease.holder, withdraw))
            }
            Task::Revoke(ask) => Stage::Revocation(Revocation::new(ask.as_ref().clone())),
        })
    }
}
