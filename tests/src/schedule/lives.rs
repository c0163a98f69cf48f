//! How processes end, begin again, and log out.

use std::sync::Arc;

use mcp_authz_core::Input;
use mcp_authz_core::session::{Session, Snapshot};

use super::action::Outage;
use super::process::{Running, Saved};
use super::world::{Caller, World};
use super::{Broken, Check, Rule, broken};

impl World {
    /// A process is gone. Of its outstanding work, this much was done.
    pub(super) fn kill(&mut self, process: usize, done: u8) -> Check<()> {
        let Some(mut running) = self.slot(process).running.take() else { return Ok(()) };
        self.reached.killed_amid += usize::from(running.amid());
        for (number, item) in running.out.iter_mut().enumerate() {
            if done & (1 << (number % 8)) != 0 && self.outage == Outage::Over {
                self.carry_out(item);
                self.withdrawn(running.life, item);
            }
        }
        if self.broken == Some(Broken::SessionRolledBack)
            && let Some(saved) = &mut self.slot(process).saved
        {
            saved.watch = running.watch.clone();
        }
        for holder in &running.holders {
            self.leave(*holder);
        }
        self.ledger.end(running.life);
        let slots = self.slots.len();
        for (number, caller) in self.callers.iter_mut().enumerate() {
            if number % slots == process {
                *caller = Caller::default();
            }
        }
        Ok(())
    }

    /// A process writes its session down.
    pub(super) fn write_snapshot(&mut self, process: usize) {
        let slot = self.slot(process);
        if let Some(running) = &slot.running {
            let (snapshot, watch) = (running.session.snapshot(), running.watch.clone());
            slot.saved = Some(Saved { snapshot, watch });
        }
    }

    /// A process that is gone starts again, afresh or from its last snapshot.
    pub(super) fn restart(&mut self, process: usize, from_snapshot: bool) -> Check<()> {
        if self.slot(process).running.is_some() {
            return Ok(());
        }
        let saved = self.slot(process).saved.as_ref().filter(|_| from_snapshot);
        let Some((snapshot, watch)) =
            saved.map(|saved| (saved.snapshot.clone(), saved.watch.clone()))
        else {
            self.begin(process);
            return Ok(());
        };
        let read = through_text(&snapshot);
        let life = self.ledger.begin();
        let clock = Running::clock(life);
        let env = self.env(clock);
        let restored = Session::restore(Arc::clone(&self.config), read, env);
        let (session, effects) = match restored {
            Ok(restored) => restored,
            Err(error) => return broken(Rule::NoFault, format!("a snapshot is refused: {error}")),
        };
        self.reached.restored += 1;
        self.slot(process).running = Some(Running::new(life, session, watch, true));
        self.step += 1;
        self.perform(process, effects)
    }

    /// A process logs out.
    pub(super) fn log_out(&mut self, process: usize) -> Check<()> {
        let Some(life) = self.running(process).map(|running| running.life) else { return Ok(()) };
        let logins = self.ledger.log_out(life);
        if let Some(running) = self.running(process) {
            running.causes += 1;
            running.watch.log_out(logins);
        }
        if self.broken == Some(Broken::LogOutIgnored) {
            return Ok(());
        }
        self.give(process, Input::Forget)
    }
}

/// A snapshot is kept as text.
fn through_text(snapshot: &Snapshot) -> Snapshot {
    let written = serde_json::to_vec(snapshot).expect("snapshots serialise");
    serde_json::from_slice(&written).expect("snapshots are read back")
}
