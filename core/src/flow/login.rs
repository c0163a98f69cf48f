//! A grant from a person.

use crate::table::{FlowTable, MachineName as Stage, Row, SignalName as On, StateName as At};

pub(crate) const TABLE: FlowTable = FlowTable {
    flow: Stage::Login,
    purpose: "gets a grant from a person",
    states: &[
        (At::Finding, Stage::Discovery),
        (At::Enrolling, Stage::Registration),
        (At::KeepingClient, Stage::Save),
        (At::Asking, Stage::Authorization),
        (At::Noting, Stage::Intent),
        (At::Looking, Stage::Recall),
        (At::Exchanging, Stage::Token),
        (At::Keeping, Stage::Save),
        (At::Marking, Stage::Save),
    ],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Finding] },
        Row { from: At::Finding, on: On::Looked, targets: &[At::Enrolling, At::Failed] },
        Row { from: At::Finding, on: On::Failed, targets: &[At::Failed] },
        Row {
            from: At::Enrolling,
            on: On::Enrolled,
            targets: &[At::KeepingClient, At::Asking, At::Failed],
        },
        Row { from: At::Enrolling, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::KeepingClient, on: On::Saved, targets: &[At::Asking, At::Failed] },
        Row { from: At::Asking, on: On::Approved, targets: &[At::Noting, At::Exchanging] },
        Row { from: At::Asking, on: On::Failed, targets: &[At::Marking, At::Failed] },
        Row {
            from: At::Noting,
            on: On::Intended,
            targets: &[At::Exchanging, At::Looking, At::Marking, At::Failed],
        },
        // A copy of this login may have ended well before ours was taken up again (HOST-184).
        Row { from: At::Looking, on: On::Recalled, targets: &[At::Exchanging, At::Failed] },
        Row { from: At::Looking, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Looking, on: On::Resumed, targets: &[At::Noting] },
        // A client that the server has forgotten is registered once more (REG-21).
        Row {
            from: At::Exchanging,
            on: On::Minted,
            targets: &[At::Keeping, At::Enrolling, At::Marking, At::Done, At::Failed],
        },
        Row { from: At::Keeping, on: On::Saved, targets: &[At::Done, At::Failed] },
        // A failure tells whether the server knows the registration (REG-93).
        Row { from: At::Marking, on: On::Saved, targets: &[At::Failed] },
    ],
};
