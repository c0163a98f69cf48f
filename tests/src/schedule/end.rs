//! The end of a schedule: everything is well again, time passes, and everybody is served.

use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Epoch;

use super::action::{Fate, Outage, Person};
use super::process::Work;
use super::scene::Words;
use super::world::World;
use super::{Check, Rule, broken};

/// Moments that suffice to settle everybody.
const MOST_MOMENTS: usize = 600;
/// Milliseconds after which nothing that was asked of a person counts any more.
const QUIET: u64 = 900_000;

/// Registrations that never brought a grant are made once in so many milliseconds (REG-93).
const A_DAY: u64 = 24 * 3600 * 1000 + 1000;

impl World {
    /// Somebody logs in before the schedule begins.
    pub(super) fn log_in(&mut self) -> Check<()> {
        self.acquire(0, true, false)?;
        self.settle_all()
    }

    /// Everything is well again, and everybody who waits is settled.
    pub(super) fn heal(&mut self) -> Check<()> {
        self.set_store(false);
        self.outage = Outage::Over;
        self.model.heal();
        self.model.set(|settings| {
            settings.server.tokens.refresh_outages = 0;
            settings.server.tokens.refuses_exchange = None;
        });
        self.clear_late()?;
        for process in 0..self.slots.len() {
            self.restart(process, false)?;
        }
        self.settle_all()?;
        self.pass(QUIET)?;
        self.settle_all()?;
        self.roll_back();
        self.ledger.nothing_lost()
    }

    /// Work that sessions have given up is answered after all, or lost, by turns.
    fn clear_late(&mut self) -> Check<()> {
        for process in 0..self.slots.len() {
            for turn in 0.. {
                let Some(running) = self.running(process) else { break };
                let late = running.out.iter().position(|item| item.given_up);
                let Some(item) = late.map(|at| running.out.remove(at)) else { break };
                let call = matches!(item.work, Work::Call { .. });
                let fate = if call && turn % 2 == 1 { Fate::DroppedAfter } else { Fate::Answered };
                self.decide(process, item, fate)?;
            }
        }
        Ok(())
    }

    /// All work is done, every page is approved, and time passes until nobody waits for anything.
    pub(super) fn settle_all(&mut self) -> Check<()> {
        for _ in 0..MOST_MOMENTS {
            self.work_all()?;
            let mut visited = false;
            for process in 0..self.slots.len() {
                while self.running(process).is_some_and(|running| !running.visits.is_empty()) {
                    self.person(process, Person::Approves)?;
                    self.running(process).and_then(|running| running.visits.pop());
                    visited = true;
                }
            }
            if !visited && !self.reach_next_deadline()? {
                self.clear_late()?;
                return self.nobody_waits();
            }
        }
        broken(Rule::Bounded, "it does not come to rest".to_owned())
    }

    fn nobody_waits(&mut self) -> Check<()> {
        for process in 0..self.slots.len() {
            let Some(running) = self.running(process) else { continue };
            if let Some(waiter) = running.waiting.values().next() {
                let text = format!("caller {} is never settled", waiter.caller);
                return broken(Rule::SettledOnce, text);
            }
            if let (1.., 0) = running.watch.log_outs {
                let text = format!("process {process} never tells how its log-out ended");
                return broken(Rule::SettledOnce, text);
            }
        }
        Ok(())
    }

    /// Each process serves a caller that may ask nobody as it must, and one that may ask with a
    /// grant that works.
    pub(super) fn serve_everybody(&mut self) -> Check<()> {
        for caller in 0..self.slots.len().min(self.callers.len()) {
            self.caller(caller).held = None;
            let reworded = self.reached.reworded;
            self.acquire(caller, false, false)?;
            let quiet = self.outcome_of(caller)?;
            // A client is told so if its refresh was refused as that of an unknown client.
            let client = self.odd.words == Words::InvalidClient && self.reached.reworded > reworded;
            if let Err(kind) = quiet
                && kind != Kind::ReauthorizationRequired
                && !(client && kind == Kind::ClientRejected)
            {
                let text = format!("caller {caller} asks nobody and gets {}", kind.code());
                return broken(Rule::ServedInTheEnd, text);
            }
            let mut dead_pages = self.dead_pages();
            for _ in 0..2 {
                self.acquire(caller, true, false)?;
                let mut outcome = self.outcome_of(caller)?;
                while outcome == Err(Kind::CallbackTimeout) && dead_pages > 0 {
                    dead_pages -= 1;
                    self.pass(A_DAY)?;
                    self.acquire(caller, true, false)?;
                    outcome = self.outcome_of(caller)?;
                }
                if let Err(kind) = outcome {
                    let text = format!("caller {caller} may ask and gets {}", kind.code());
                    return broken(Rule::ServedInTheEnd, text);
                }
                // A token that the server has revoked is refused once.
                if self.use_token(caller, true, true)? {
                    break;
                }
                self.settle_all()?;
            }
            self.acquire(caller, true, false)?;
            let _: Result<Epoch, Kind> = self.outcome_of(caller)?;
            if !self.use_token(caller, true, true)? && !self.another_works(caller)? {
                let text = format!("the token that caller {caller} gets is refused twice");
                return broken(Rule::ServedInTheEnd, text);
            }
        }
        self.settle_all()?;
        self.ledger.nothing_lost()
    }

    /// Others may have used up a token that is good for a few requests; the next one is good.
    fn another_works(&mut self, caller: usize) -> Check<bool> {
        if self.model.settings().server.tokens.access_uses.is_none() {
            return Ok(false);
        }
        self.settle_all()?;
        self.use_token(caller, true, true)
    }

    /// Pages that lead nowhere, since the server has forgotten their client and says so to the person
    /// alone: after two in a row the client registers anew, once a day (REG-93). A registration that
    /// another process has saved is tried before that.
    fn dead_pages(&self) -> usize {
        let forgets = self.model.settings().server.tokens.forgets_clients;
        2 * forgets * self.slots.len()
    }

    fn outcome_of(&mut self, caller: usize) -> Check<Result<Epoch, Kind>> {
        self.settle_all()?;
        let failed = self.caller(caller).failed;
        let held = self.caller(caller).held.as_ref().map(|granted| granted.epoch());
        Ok(held.ok_or(failed.unwrap_or(Kind::Cancelled)))
    }
}
