//! What is written, when it is written again, and whose word counts where two have written.

use std::sync::Arc;

use crate::effect::Told;
use crate::failure::{Failure, Kind};
use crate::record::merge::{Over, alike};
use crate::record::{Binding, Client, Document, FORMAT, Grant, Held, Way};
use crate::session::lanes::{Flow, Goal, Lane};
use crate::session::{Now, Session};
use crate::stage::vault::{Saved, Write};

impl Session {
    /// What a flow writes: what came, and the binding that leads to it.
    pub(super) fn writes(&self, flow: &Flow) -> Vec<Write> {
        if let Goal::Keep(writes) = &flow.goal {
            return writes.clone();
        }
        if let Some(stale) = &flow.ground.stale {
            return vec![Write::Client(stale.clone(), false)];
        }
        let mut writes = Vec::with_capacity(2);
        match (&flow.ground.minted, &self.body.memory.grant) {
            (Some(minted), _) => {
                writes.push(Write::Grant(minted.clone(), flow.ground.over.clone()));
            }
            (None, Some(held)) => {
                let over = Over::Spent(held.value.refresh_token.iter().cloned().collect());
                writes.push(Write::Grant(held.clone(), over));
            }
            (None, None) => {}
        }
        // Without a grant they lead nowhere.
        let renewed = matches!(flow.goal, Goal::Refresh(_)) && !writes.is_empty();
        if renewed && self.body.memory.unsaved {
            writes.extend(self.way_there(self.body.memory.binding.clone()));
        }
        if matches!(flow.goal, Goal::Login(_)) {
            // The three belong together, whoever has written one of them meanwhile.
            writes.extend(self.granted_to(flow).map(|client| Write::Client(client, true)));
            writes.extend(self.binding(flow).map(Write::Binding));
        }
        writes
    }

    /// What leads to a grant: its client, if that was registered, and its binding.
    fn way_there(&self, binding: Option<Held<Binding>>) -> impl Iterator<Item = Write> + use<> {
        let dynamic = binding.as_ref().filter(|bound| bound.value.way == Way::Dynamic);
        let client = dynamic.and_then(|bound| self.body.memory.client(&bound.value.client_id));
        let client = client.map(|client| Write::Client(client.clone(), true));
        client.into_iter().chain(binding.map(Write::Binding))
    }

    /// The dynamic registration that a login was made with.
    fn granted_to(&self, flow: &Flow) -> Option<Held<Client>> {
        let enrolled = flow.ground.enrolled.as_ref().filter(|it| it.way == Way::Dynamic)?;
        let ours = || self.body.memory.client(&enrolled.credentials.client_id).cloned();
        let mut client = enrolled.client.clone().or_else(ours)?;
        client.value.succeeded();
        Some(client)
    }

    /// The binding that a login makes.
    pub(super) fn binding(&self, flow: &Flow) -> Option<Held<Binding>> {
        let ground = &flow.ground;
        let found = ground.found.as_ref()?;
        let enrolled = ground.enrolled.as_ref()?;
        let before = self.body.memory.binding.as_ref();
        Some(Held {
            generation: before.and_then(|held| held.generation),
            value: Binding {
                format: FORMAT,
                mcp_url: Arc::clone(&self.config.name),
                account: Arc::clone(&self.config.account),
                class: found.class,
                listed: found.listed.clone(),
                issuer: found.server.issuer.clone(),
                resource: self.resource(found),
                client_id: enrolled.credentials.client_id.clone(),
                way: enrolled.way,
                method: enrolled.credentials.method,
                redirect_set: enrolled.redirect.set.clone(),
                unknown: before.map(|held| held.value.unknown.clone()).unwrap_or_default(),
            },
        })
    }

    pub(super) fn saved(&mut self, flow: &mut Flow, saved: Saved, now: &mut Now) {
        // What a newer version has written is not ours to empty.
        let forgets = matches!(flow.goal, Goal::Forget);
        if forgets {
            self.body.memory.unforgotten(saved.refused);
        }
        self.body.memory.store_said(saved.silent, saved.refused.is_some());
        let marks = flow.ground.stale.is_some();
        flow.ground.kept |= marks;
        if !marks && saved.refused.is_some_and(|kind| !(forgets && kind == Kind::StoreVersion)) {
            flow.ground.unsaved = true;
        }
        if let Some(theirs) = saved.theirs {
            self.gave_way(flow, theirs, now);
        }
        for write in saved.written {
            match write {
                Write::Client(client, granted) => {
                    // It is another one, if another process was faster.
                    let chosen = self.chosen_method(flow);
                    if let Some(enrolled) = &mut flow.ground.enrolled
                        && !granted
                    {
                        // Nobody has seen yet whether the server knows that one (REG-93).
                        let ours = &enrolled.credentials.client_id;
                        enrolled.fresh &= *ours == client.value.credentials.client_id;
                        enrolled.credentials = client.value.credentials.clone().by(chosen);
                        enrolled.client = Some(client.clone());
                    }
                    self.body.memory.remember_client(client);
                    flow.ground.client_kept = true;
                }
                Write::Grant(held, _) => {
                    flow.ground.kept = true;
                    match &mut flow.ground.minted {
                        Some(minted) => *minted = held,
                        None if matches!(flow.goal, Goal::Keep(_)) => {}
                        None => self.body.memory.written(held),
                    }
                }
                Write::Binding(held) => self.body.memory.bind(Some(held)),
            }
        }
    }

    /// The record in the store is of a login or log-out of another process, so what a refresh
    /// brought was not written over it: it is taken over instead.
    pub(super) fn gave_way(&mut self, flow: &mut Flow, theirs: Held<Grant>, now: &mut Now) {
        let ground = &mut flow.ground;
        ground.kept = true;
        if matches!(flow.goal, Goal::Forget) {
            // Somebody has logged in since: that is not what was logged out of.
            return;
        }
        let memory = &mut self.body.memory;
        if !theirs.value.rejected && !memory.welcome(&theirs.value) {
            // What was logged out of does not come back by standing in the way.
            ground.unsaved = true;
            ground.over = Over::Anything;
            memory.may_go_over(Over::Anything);
            return memory.save_soon();
        }
        let ours = ground.minted.take();
        let keeps = matches!(flow.goal, Goal::Keep(_));
        let memory = &mut self.body.memory;
        let same =
            |held: &Held<Grant>| ours.as_ref().is_some_and(|ours| alike(&held.value, &ours.value));
        if keeps && !memory.grant.as_ref().is_some_and(same) {
            return memory.save_soon();
        }
        if theirs.value.rejected && theirs.value.refresh_token.is_none() {
            // Somebody has logged out while this came: it is part of what is given back (HOST-242).
            let credentials = memory.credentials(&self.config, now.wall);
            if let Some(ours) = &ours {
                let farewell = self.farewell(&ours.value, credentials);
                self.body.log_out.give_back(&farewell, &ours.value);
            }
        }
        let memory = &mut self.body.memory;
        if theirs.value.rejected {
            if !keeps {
                let failure = || Failure::new(Kind::ReauthorizationRequired, "REF-08");
                ground.refused = true;
                ground.verdict.get_or_insert_with(|| failure().into());
            }
            // What was logged out of elsewhere is handed out no more, least of all as if it were
            // saved.
            if memory.withdraw_published() {
                now.out.told.push(Told::Publish(None));
            }
        } else {
            ground.adopted = true;
            ground.verdict = None;
        }
        memory.give_way(theirs);
    }

    /// A login takes the place of what the other lane has written meanwhile, a refreshed grant or an
    /// emptied one. Answers whether it must be written once more.
    pub(super) fn catch_up(&mut self, minted: &mut Held<Grant>, now: &mut Now) -> bool {
        let key = minted.value.key();
        let known = self.body.memory.generation_for(&minted.value);
        let mut overwritten = known > minted.generation;
        minted.generation = minted.generation.max(known);
        // What was to be emptied is this record now.
        self.body.memory.taken_by_a_login(&key);
        let empties = |flow: &mut Box<Flow>| {
            let emptied = flow.ground.minted.as_ref();
            matches!(flow.goal, Goal::Forget) && emptied.is_some_and(|held| held.value.key() == key)
        };
        if let Some(mut flow) = self.body.machine.take_if(empties) {
            self.give_up_unfinished(&mut flow, now);
            overwritten = true;
        }
        overwritten
    }

    /// A grant that came outside a flow is written now. It counts only if it is still the one that
    /// is held.
    pub(super) fn kept(&mut self, minted: Held<Grant>, unsaved: bool, now: &mut Now) {
        let memory = &mut self.body.memory;
        if memory.saved(minted, unsaved, now.mono) && memory.unpublished() {
            self.publish(false, now);
        }
    }

    /// Writes a grant that came outside a flow, and the binding that leads to it.
    pub(super) fn keep(
        &mut self,
        held: Held<Grant>,
        over: Over,
        binding: Option<Held<Binding>>,
        now: &mut Now,
    ) {
        let mut writes = vec![Write::Grant(held.clone(), over)];
        writes.extend(self.way_there(binding));
        let mut flow = Flow::new(Goal::Keep(writes));
        flow.ground.minted = Some(held);
        self.launch(Lane::Machine, flow, now);
    }

    /// A record that the store refused is offered to it again while the process lives (HOST-229).
    pub(super) fn save_again(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if let Some(held) = memory.grant.clone() {
            memory.postpone_save(now.mono);
            let binding = memory.binding.clone();
            // A login that another process has saved meanwhile stays.
            let over = match memory.rewrite.over.clone() {
                Over::Anything => Over::Useless {
                    spent: memory.rewrite.spent.clone(),
                    left: memory.parting.left.clone(),
                },
                over => over,
            };
            self.keep(held, over, binding, now);
        }
    }
}
