//! The outcome of records that were written, and the next attempt to write them.

use crate::effect::Told;
use crate::failure::Kind;
use crate::flow::errands::Task;
use crate::flow::{Course, Kept, Written};
use crate::machine::StateName;
use crate::record::merge::{Replaces, alike};
use crate::record::{Binding, Held, Way};
use crate::record::{Client, Grant};
use crate::session::lanes::{Flow, Lane};
use crate::session::{Now, Session};
use crate::stage::vault::{self, Write};

impl Session {
    /// The writes of the records that lead to a grant: its client, if that was registered, and its
    /// binding.
    pub(super) fn way_there(
        &self,
        binding: Option<Held<Binding>>,
    ) -> impl Iterator<Item = Write> + use<> {
        let dynamic = binding.as_ref().filter(|bound| bound.value.way == Way::Dynamic);
        let client = dynamic.and_then(|bound| self.body.memory.client(&bound.value.client_id));
        let client = client.map(|client: &Held<Client>| Write::Client(client.clone(), true));
        client.into_iter().chain(binding.map(Write::Binding))
    }

    /// Memory takes in the outcome of the records that a flow has written.
    pub(super) fn saved(&mut self, flow: &Flow, saved: vault::Saved, now: &mut Now) -> Written {
        let forgets = forgets(flow);
        if forgets {
            self.body.memory.log_outs().unforgotten(saved.refused);
        }
        self.body.memory.custody().store_said(saved.silent, saved.refused.is_some());
        // A record that a newer version has written is not ours to empty.
        let ours = |kind: &Kind| !(forgets && *kind == Kind::StoreVersion);
        let marks = flow.state() == StateName::Marking;
        let refused = saved.refused.filter(ours).is_some_and(|_| !marks);
        let kept = if refused { Kept::Unsaved } else { Kept::Saved };
        if flow.state() == StateName::Rejecting {
            self.body.memory.marked_dead(kept);
        }
        let other = saved.theirs.map(|theirs| self.gave_way(flow, theirs, now));
        let mut held = None;
        for write in saved.written {
            match write {
                Write::Client(client, _) => self.body.memory.remember_client(client),
                Write::Grant(grant, _) if flow.course.held().is_some() => held = Some(grant),
                Write::Grant(grant, _) => self.body.memory.written(grant),
                Write::Binding(binding) => self.body.memory.bind(Some(binding)),
            }
        }
        other.flatten().unwrap_or(Written::Ours { held, kept })
    }

    /// Takes over the record of another process's login or log-out, which stands in the store in
    /// place of the flow's own. Returns `None` where that is as good as written.
    fn gave_way(&mut self, flow: &Flow, theirs: Held<Grant>, now: &mut Now) -> Option<Written> {
        if forgets(flow) {
            // Somebody has logged in since, and that login was not logged out of.
            return None;
        }
        let memory = &mut self.body.memory;
        if !theirs.value.rejected && !memory.welcome(&theirs.value) {
            // A login that was logged out of does not come back by standing in the way.
            memory.custody().may_go_over(Replaces::Anything);
            memory.custody().save_soon();
            return Some(Written::Blocked);
        }
        let ours = flow.course.held();
        let again = matches!(flow.course, Course::Errand(_));
        let same = |held: &Held<Grant>| ours.is_some_and(|ours| alike(&held.value, &ours.value));
        if again && !memory.grant.as_ref().is_some_and(same) {
            memory.custody().save_soon();
            return Some(Written::Passed);
        }
        if !theirs.value.rejected {
            memory.give_way(theirs);
            return Some(Written::Adopted);
        }
        if theirs.value.refresh_token.is_none()
            && let Some(ours) = ours
        {
            // Somebody has logged out while this grant came, so it is given back too (HOST-242).
            let credentials = memory.credentials(&self.config, now.wall);
            let farewell = self.farewell(&ours.value, credentials);
            self.body.log_out.give_back(&farewell, &ours.value);
        }
        // A grant that was logged out of elsewhere is handed out no more, least of all as if it
        // were saved.
        if self.body.memory.withdraw_published() {
            now.out.told.push(Told::Publish(None));
        }
        self.body.memory.give_way(theirs);
        Some(if again { Written::Passed } else { Written::Dead })
    }

    /// A login takes the place of the grant that the other lane has written meanwhile, renewed or
    /// emptied. Returns true if the login's grant must be written once more.
    pub(super) fn catch_up(&mut self, minted: &mut Held<Grant>, now: &mut Now) -> bool {
        let known = self.body.memory.generation_for(&minted.value);
        let mut overwritten = known > minted.generation;
        minted.generation = minted.generation.max(known);
        // The record that was to be emptied is the login's now.
        self.body.memory.log_outs().if_there(|it| it.taken_by_a_login(&minted.value));
        let empties = |flow: &mut Box<Flow>| {
            forgets(flow)
                && flow.course.held().is_some_and(|held| held.value.shares_record(&minted.value))
        };
        if let Some(mut flow) = self.body.background.take_if(empties) {
            self.give_up_unfinished(&mut flow, now);
            overwritten = true;
        }
        overwritten
    }

    /// Writes a grant that came outside a flow, and the binding that leads to it.
    pub(super) fn keep(
        &mut self,
        held: Held<Grant>,
        replaces: Replaces,
        binding: Option<Held<Binding>>,
        now: &mut Now,
    ) {
        let mut writes = vec![Write::Grant(held.clone(), replaces)];
        writes.extend(self.way_there(binding));
        self.launch(Lane::Background, Flow::errand(Task::SaveAgain { writes, held }), now);
    }

    /// A record that the store refused is offered to it again while the process lives (HOST-229).
    pub(super) fn save_again(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if let Some(held) = memory.grant.clone() {
            memory.custody().postpone(now.mono);
            let binding = memory.binding.clone();
            let replaces = memory.custody.over_again(&memory.parting.left);
            self.keep(held, replaces, binding, now);
        }
    }
}

/// Returns true if a flow empties the records of a log-out.
fn forgets(flow: &Flow) -> bool {
    flow.course.errand().is_some_and(crate::flow::Errand::forgets)
}
