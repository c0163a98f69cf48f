//! The form every stage has: a state is spent by a signal and becomes a turn.
//!
//! The rules that move a state stand in that stage's module and in its [`Table`], and nowhere else.
//! Only `Cx` makes a `Parked`, so a stage that waits has exactly one effect and one deadline.

mod cx;
pub(crate) mod diagram;

use crate::failure::{Failure, Fault, Kind};
use crate::note::{Edge, Note};
use crate::outcome::{Bound, Reply, Signature};
use crate::store::Stored;
use crate::wire::authorize::CallbackParams;

pub(crate) use crate::names::{MachineName, SignalName, StateName};
pub(crate) use crate::table::{Row, State, Table};
pub(crate) use cx::{Budget, Cx, Parked};

/// A stage: a small machine for one exchange, its retries included.
pub(crate) trait Machine: Sized {
    /// The result of the stage.
    type Output;
    /// Its states and edges.
    const TABLE: &'static Table;
    /// The state that it is in.
    fn state(&self) -> StateName;
    /// Spends the state.
    ///
    /// # Errors
    /// The failure that ends the stage, and with it the flow.
    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure>;
}

/// The outcome of a state that was spent.
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Turn<M: Machine> {
    /// It waits for its one effect.
    Wait(M, Parked),
    /// The stage is over.
    Done(M::Output),
}

/// A signal to a stage.
#[derive(Debug)]
pub(crate) enum Signal {
    /// It starts.
    Begin,
    /// An HTTP request ended.
    Reply(Reply),
    /// A listener is bound, or could not be.
    Bound(Bound),
    /// A callback with this stage's `state` arrived.
    Callback(CallbackParams),
    /// The page could be shown to nobody.
    Unshown,
    /// The store answered.
    Stored(Stored),
    /// A signature was made, or not.
    #[allow(dead_code, reason = "no stage signs yet; the effect is public")]
    Signed(Signature),
    /// The deadline came first.
    Expired,
    /// The session was restored, perhaps in another process; the effect it waited for is gone.
    Resumed,
}

impl Signal {
    pub(crate) const fn name(&self) -> SignalName {
        match self {
            Self::Begin => SignalName::Begin,
            Self::Reply(_) => SignalName::Reply,
            Self::Bound(_) => SignalName::Bound,
            Self::Callback(_) => SignalName::Callback,
            Self::Unshown => SignalName::Unshown,
            Self::Stored(_) => SignalName::Stored,
            Self::Signed(_) => SignalName::Signed,
            Self::Expired => SignalName::Expired,
            Self::Resumed => SignalName::Resumed,
        }
    }
}

/// Gives a signal to a stage and notes the edge it took. A signal without a row is a bug of ours:
/// it is noted, and the stage sees it all the same, since every stage answers what it does not
/// expect with a failure.
pub(crate) fn step<M: Machine>(
    machine: M,
    signal: Signal,
    cx: &mut Cx<'_>,
) -> Result<Turn<M>, Failure> {
    let from = machine.state();
    let on = signal.name();
    if M::TABLE.row(from, on).is_none() {
        cx.note(Note::Fault(Fault::UnexpectedSignal));
    }
    let turn = machine.on(signal, cx);
    let to = match &turn {
        Ok(Turn::Wait(next, _)) => next.state(),
        Ok(Turn::Done(_)) => StateName::Done,
        Err(_) => StateName::Failed,
    };
    cx.note(Note::Step(Edge { machine: M::TABLE.machine, from, on, to }));
    turn
}

/// A signal that the table has no row for. The flow fails; the note asks for a report.
pub(crate) fn confused(cx: &mut Cx<'_>) -> Failure {
    cx.note(Note::Fault(Fault::UnexpectedSignal));
    Failure::new(Kind::Transient, "STEP-16")
}
