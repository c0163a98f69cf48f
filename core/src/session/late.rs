//! Answers to token requests that had been given up: their tokens are not lost (TOK-04, HOST-241).

use crate::bounded::push_within;
use crate::effect::{Purpose, Stored, TicketId, Told};
use crate::failure::Kind;
use crate::flow::Kept;
use crate::machine::Signal;
use crate::note::Note;
use crate::record::merge::Replaces;
use crate::record::{Grant, Held};
use crate::secret::Secret;
use crate::session::lanes::{self, Flow, Lane, Late};
use crate::session::{Now, Session};
use crate::stage::Stage;
use crate::time::Awaited;
use crate::wire::token::{TokenRefusal, Tokens};

impl Session {
    /// Remembers a token request that is given up, so that its late answer is not lost (TOK-04).
    pub(super) fn give_up(&mut self, flow: &Flow, now: &mut Now) {
        // During a pause nothing is out: what came before it was answered, or given up then.
        let out = flow.parking.as_ref().filter(|parking| parking.awaited != Awaited::Backoff);
        let Some(ticket) = out.and_then(|parking| parking.ticket) else {
            return;
        };
        now.out.told.push(Told::Abandon(ticket));
        self.await_late(flow, ticket, self.body.memory.epoch);
        self.await_late_mark(flow, ticket);
    }

    /// Remembers the token request of a flow, if one is out, so that its late answer is read.
    /// `epoch` is that of the newest grant that the answer is newer than.
    pub(super) fn await_late(&mut self, flow: &Flow, ticket: TicketId, epoch: u64) {
        if let Some(Stage::Token(stage)) = &flow.stage
            && let Some(template) = self.template(flow)
        {
            let stage = stage.clone();
            /// The most late answers that are waited for; the oldest give way.
            const MOST_LATE: usize = 4;
            let binding = flow.course.login().and_then(|login| self.binding(login));
            let logins = self.body.memory.logins;
            let forgotten = None;
            let late = lanes::Late { ticket, stage, template, binding, logins, epoch, forgotten };
            push_within(MOST_LATE, &mut self.late, late);
        }
    }

    /// The grant that the tokens of a flow go into.
    pub(super) fn template(&self, flow: &Flow) -> Option<Grant> {
        match flow.course.login() {
            Some(login) => self.login_template(login),
            None => self.body.memory.grant.as_ref().map(|held| held.value.clone()),
        }
    }

    /// Takes in the answer to work that no flow waits for any more.
    pub(super) fn late(&mut self, ticket: TicketId, signal: Signal, now: &mut Now) {
        let at = self.late.iter().position(|late| late.ticket == ticket);
        let Some(late) = at.map(|at| self.late.remove(at)) else {
            return self.late_word(ticket, &signal, now);
        };
        let Signal::Reply(reply) = &signal else { return now.note(Note::Late { kept: false }) };
        let held = self.body.memory.secrets(&self.config);
        let held: Vec<&Secret> = held.iter().collect();
        let read = late.stage.read(reply, self.config.strict(), now.wall, &held);
        if let Some(farewell) = &late.forgotten {
            if let Some(grant) = self.brought(&late, read.as_ref(), now) {
                self.body.log_out.give_back(farewell, &grant);
            }
            return now.note(Note::Late { kept: false });
        }
        let login = late.stage.purpose() == Purpose::CodeExchange;
        let passed = self.passed(&late);
        // The refresh of this request may still be trying. It ends with this answer, if the answer
        // brought something. An error may be about a token that the attempt after it replaces.
        let tried = |flow: &mut Box<Flow>| !login && matches!(flow.stage, Some(Stage::Token(_)));
        let brings = |read: &Result<_, TokenRefusal>| {
            read.as_ref().map_or_else(TokenRefusal::brought, |_: &Tokens| true)
        };
        if !passed
            && read.as_ref().is_some_and(brings)
            && let Some(mut flow) = self.body.background.take_if(tried)
        {
            if let Some(ticket) = flow.parking.take().and_then(|parking| parking.ticket) {
                now.out.told.push(Told::Abandon(ticket));
                // The newer request was sent later, so it brings something newer than this answer
                // does.
                self.await_late(&flow, ticket, self.body.memory.epoch.saturating_add(1));
            }
            return self.run(Lane::Background, flow, signal, now);
        }
        if let Some(Err(refusal)) = &read
            && !login
            && refusal.failure.kind() == Kind::GrantRejected
        {
            self.body.memory.refused_dead(late.template.refresh_token.clone());
        }
        // The record tells copies of this login that it has ended. Where nothing came, only the
        // intents tell them.
        if login && !passed && read.as_ref().is_some_and(brings) {
            self.owed.unknown_is_past(Kept::Unsaved);
        }
        let grant = if passed { None } else { self.brought(&late, read.as_ref(), now) };
        let kept = grant.is_some();
        if let Some(grant) = grant {
            self.adopt_late(late, grant, now);
        }
        now.note(Note::Late { kept });
    }

    /// Takes in the answer to work that nobody waits for any more. A lease or an intent that it
    /// grants is given back.
    fn late_word(&mut self, ticket: TicketId, signal: &Signal, now: &mut Now) {
        match signal {
            // A store that says that it failed may have done it all the same.
            Signal::Stored(Stored::Leased | Stored::Intended | Stored::Failed(_)) => {
                self.owed.granted_late(ticket);
            }
            Signal::Stored(Stored::Released) => return,
            _ => {}
        }
        now.note(Note::Late { kept: false });
    }

    /// Returns true if a held grant is newer than any grant that the answer to this request could
    /// bring. For a login only a newer login counts, not the refreshes of the grant before it.
    pub(super) fn passed(&self, late: &Late) -> bool {
        let memory = &self.body.memory;
        let login = late.stage.purpose() == Purpose::CodeExchange;
        memory.logins != late.logins || (!login && memory.epoch > late.epoch)
    }

    /// The grant that a late answer brought, as it is from now on.
    fn brought(
        &self,
        late: &Late,
        read: Option<&Result<Tokens, TokenRefusal>>,
        now: &mut Now,
    ) -> Option<Grant> {
        let login = late.stage.purpose() == Purpose::CodeExchange;
        self.filled_by(late.template.clone(), read?.as_ref(), login, now)
    }

    /// Takes over the grant of a late answer: its tokens are the newest there are.
    fn adopt_late(&mut self, late: Late, grant: Grant, now: &mut Now) {
        let memory = &mut self.body.memory;
        let replaces = if late.stage.purpose() == Purpose::CodeExchange {
            Replaces::Anything
        } else {
            memory.spending()
        };
        let mut held = Held { generation: memory.generation_for(&grant), value: grant };
        if late.binding.is_some() {
            memory.bind(late.binding.clone());
            memory.logged_in(true);
            self.catch_up(&mut held, now);
        }
        let memory = &mut self.body.memory;
        let has_token = held.value.access_token.is_some();
        memory.issued(held.clone(), replaces.clone());
        // The grant is stored first, as any other rotation is, if the store is free to be asked
        // (REF-04).
        if self.config.persistent && self.body.background.is_none() {
            self.keep(held, replaces, late.binding, now);
        } else {
            memory.custody().not_offered_yet(self.config.persistent);
            if has_token {
                self.publish(false, now);
            }
        }
    }
}
