//! The words of a session, held against the model.

use mcp_authz_core::effect::{Settlement, TicketId, Told};
use mcp_authz_core::note::Note;

use super::process::{Waiter, Work};
use super::world::World;
use super::{Broken, Check, Rule, broken};

/// How long a caller may wait while the machine is awake, in milliseconds.
const LONGEST_WAIT: u64 = 3_600_000;

impl World {
    /// A session tells something.
    pub(super) fn hear(&mut self, process: usize, told: Told) -> Check<()> {
        match told {
            Told::Publish(granted) => {
                if let Some(granted) = &granted {
                    let Some(slot) = self.slots.get_mut(process) else { return Ok(()) };
                    if let Some(running) = &mut slot.running {
                        running.watch.published(granted, &self.ledger)?;
                    }
                }
                self.say(|| match &granted {
                    Some(granted) => format!("process {process} publishes {:?}", granted.epoch()),
                    None => format!("process {process} publishes nothing"),
                });
                if let Some(running) = self.running(process) {
                    running.published = granted;
                }
            }
            Told::Settle(settlement) => self.settle(process, settlement)?,
            Told::Open(visit) => {
                if !visit.reissued {
                    self.login_is_needed(process)?;
                }
                self.say(|| format!("process {process} shows a page"));
                self.reached.pages += 1;
                if let Some(running) = self.running(process) {
                    running.visits.retain(|shown| shown.url() != visit.url());
                    running.visits.push(visit);
                }
            }
            Told::Forgotten(forgotten) => {
                self.say(|| format!("process {process} has logged out: {forgotten:?}"));
                // It is about whatever the store has had until it is over.
                self.ledger.logged_out(forgotten.unremoved.is_some());
                if let Some(running) = self.running(process) {
                    running.watch.log_out_ended()?;
                }
            }
            Told::Abandon(ticket) => self.give_up(process, ticket),
            Told::Note(Note::Fault(fault)) => {
                return broken(Rule::NoFault, format!("it reports a bug of its own: {fault:?}"));
            }
            Told::Note(Note::Step(_) | Note::Asked { .. } | Note::Answered { .. }) => {}
            Told::Note(note) => {
                // A session cannot be asked to know a thing that the store would not say.
                if let (Note::Store { .. }, Some(running)) = (&note, self.running(process)) {
                    running.blind = true;
                }
                self.say(|| format!("process {process} notes: {note}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn give_up(&mut self, process: usize, ticket: TicketId) {
        let Some(slot) = self.slots.get_mut(process) else { return };
        let Some(running) = &mut slot.running else { return };
        // A listener is closed; what may have been sent can still be answered.
        running.out.retain(|item| item.id != ticket || !matches!(item.work, Work::Listen { .. }));
        if let Some(item) = running.out.iter_mut().find(|item| item.id == ticket) {
            item.given_up = true;
            if let Work::Call { sent: Some(sent), .. } = &item.work {
                self.ledger.given_up(sent);
            }
        }
    }

    fn settle(&mut self, process: usize, mut settlement: Settlement) -> Check<()> {
        match self.broken {
            Some(Broken::SettlementLost) if settlement.waiter.0.is_multiple_of(3) => return Ok(()),
            Some(Broken::UnsavedHidden) => settlement.unsaved = false,
            _ => {}
        }
        let (step, now, slept) = (self.step, self.now, self.slept);
        let Some(slot) = self.slots.get_mut(process) else { return Ok(()) };
        let Some(running) = &mut slot.running else { return Ok(()) };
        let waiter = running.settle(&settlement, &self.ledger)?;
        if self.broken == Some(Broken::SettledTwice) {
            running.settle(&settlement, &self.ledger)?;
        }
        self.reached.unsaved += usize::from(settlement.unsaved);
        let Some(Waiter { caller, refused, since, .. }) = waiter else { return Ok(()) };
        let waited = (now - slept).saturating_sub(since.1);
        if waited > LONGEST_WAIT {
            let text = format!("caller {caller} has waited {waited} ms, {} steps", step - since.0);
            return broken(Rule::Bounded, text);
        }
        self.say(|| match &settlement.outcome {
            Ok(granted) => format!(
                "caller {caller} gets {:?}{}",
                granted.epoch(),
                if settlement.unsaved { ", unsaved" } else { "" }
            ),
            Err(failure) => format!("caller {caller} gets {}", failure.kind().code()),
        });
        let caller = self.caller(caller);
        caller.waiting = None;
        caller.repeats = Some(settlement.had).filter(|_| refused && settlement.outcome.is_ok());
        caller.failed = settlement.outcome.as_ref().err().map(|failure| failure.kind());
        caller.held = settlement.outcome.ok();
        Ok(())
    }

    /// A page is shown only where no refresh token in the store could have done, at some moment
    /// since the first caller that wants it began to wait.
    fn login_is_needed(&mut self, process: usize) -> Check<()> {
        let without = self.without;
        let Some(running) = self.running(process) else { return Ok(()) };
        let asking = running.waiting.values().filter(|waiter| waiter.may_ask);
        let since = asking.map(|waiter| waiter.since.0).min();
        let needed = match since {
            Some(since) => {
                without >= since || running.unhelped || running.watch.parted || running.blind
            }
            None => false,
        };
        running.blind = false;
        if needed || running.restored {
            return Ok(());
        }
        match self.ledger.usable() {
            Some(token) => broken(
                Rule::LoginOnlyIfNeeded,
                format!("process {process} shows a page while the store has {token}"),
            ),
            None => Ok(()),
        }
    }
}
