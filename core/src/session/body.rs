//! Everything of a session but its callers.

use serde::{Deserialize, Serialize};

use crate::rare::Rare;
use crate::secret::Secret;
use crate::session::farewell::LogOut;
use crate::session::history::History;
use crate::session::lanes::Flow;
use crate::session::memory::Memory;
use crate::session::recent::{Recent, stands_for};
use crate::time::{Monotonic, Timestamp};

/// Everything of a session but its callers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    /// The wall clock at the last step.
    pub(crate) wall: Timestamp,
    /// The monotonic clock at the last step.
    pub(crate) mono: Monotonic,
    /// The marks of the last steps' random bytes, to tell when bytes are repeated.
    pub(crate) marks: Recent<6>,
    /// The records, and the grant that is published.
    pub(crate) memory: Memory,
    /// The pages that were shown lately.
    pub(crate) history: History,
    /// The log-outs whose outcome has not been told yet.
    #[serde(default)]
    pub(crate) log_out: Rare<LogOut>,
    /// The flow in the lane that needs no person.
    pub(crate) background: Option<Box<Flow>>,
    /// The flow in the lane that waits for a person.
    pub(crate) person: Option<Box<Flow>>,
    /// The marks of the last `state` values that were spent, to tell a repeated callback from a
    /// strange one.
    pub(crate) spent: Recent<4>,
}

impl Body {
    pub(crate) fn new() -> Self {
        Self {
            wall: Timestamp::from_unix(0),
            mono: Monotonic::from_millis(0),
            marks: Recent::NONE,
            memory: Memory::default(),
            history: History::default(),
            log_out: Rare::default(),
            background: None,
            person: None,
            spent: Recent::NONE,
        }
    }

    /// A step begins at this time, with random bytes of this mark.
    pub(crate) fn enter(&mut self, wall: Timestamp, mono: Monotonic, mark: u64) {
        self.wall = wall;
        self.mono = self.mono.max(mono);
        self.marks.push(mark);
    }

    /// Remembers the `state` of a callback as spent.
    pub(crate) fn spend(&mut self, state: Option<&Secret>) {
        state.into_iter().for_each(|state| self.spent.push(stands_for(state)));
    }

    /// Returns true if this `state` was spent lately.
    pub(crate) fn has_spent(&self, state: &Secret) -> bool {
        self.spent.contains(stands_for(state))
    }

    /// Frees empty parts.
    pub(crate) fn tidy(&mut self) {
        self.memory.tidy();
        self.history.tidy();
        self.log_out.tidy();
    }

    /// Moves every reading of the old monotonic clock to the new one.
    pub(super) fn shift(&mut self, to: Monotonic) {
        let from = self.mono;
        let shift = |at: &mut Monotonic| {
            // A moment in the past is kept as far in the past as the new clock reaches.
            let moved =
                i128::from(at.millis()) - i128::from(from.millis()) + i128::from(to.millis());
            *at = Monotonic::from_millis(u64::try_from(moved.max(0)).unwrap_or(u64::MAX));
        };
        self.memory.shift(shift);
        self.history.shift(shift);
        for flow in [&mut self.background, &mut self.person].into_iter().flatten() {
            flow.shift(shift);
        }
        self.mono = to;
    }
}
