//! Small flows, for what no caller waits for or what takes one stage.

use crate::table::{FlowTable, MachineName as Stage, Row, SignalName as On, StateName as At};

pub(crate) const READ_ALL: FlowTable = FlowTable {
    flow: Stage::ReadAll,
    purpose: "learns what the store knows",
    states: &[(At::Reading, Stage::Recall)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Reading] },
        Row { from: At::Reading, on: On::Recalled, targets: &[At::Done] },
        Row { from: At::Reading, on: On::Failed, targets: &[At::Failed] },
    ],
};

pub(crate) const RELIST: FlowTable = FlowTable {
    flow: Stage::Relist,
    purpose: "sees whether the issuer is still listed",
    states: &[(At::Listing, Stage::Discovery)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Listing] },
        Row { from: At::Listing, on: On::Looked, targets: &[At::Done, At::Failed] },
        Row { from: At::Listing, on: On::Failed, targets: &[At::Done, At::Failed] },
    ],
};

pub(crate) const SAVE_AGAIN: FlowTable = FlowTable {
    flow: Stage::SaveAgain,
    purpose: "writes records outside a login or refresh",
    states: &[(At::Keeping, Stage::Save)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Keeping] },
        Row { from: At::Keeping, on: On::Saved, targets: &[At::Done] },
    ],
};

pub(crate) const GIVE_BACK: FlowTable = FlowTable {
    flow: Stage::GiveBack,
    purpose: "gives a lease or an intent back to the store",
    states: &[(At::Releasing, Stage::Release)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Releasing] },
        Row { from: At::Releasing, on: On::Released, targets: &[At::Done] },
    ],
};

pub(crate) const REVOKE: FlowTable = FlowTable {
    flow: Stage::Revoke,
    purpose: "gives the tokens of a log-out back to the server",
    states: &[(At::Revoking, Stage::Revocation)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Revoking] },
        Row { from: At::Revoking, on: On::Given, targets: &[At::Done] },
    ],
};

pub(crate) const FORGET: FlowTable = FlowTable {
    flow: Stage::Forget,
    purpose: "empties the record of a log-out",
    states: &[(At::Reading, Stage::Recall), (At::Emptying, Stage::Save)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Reading, At::Emptying] },
        Row { from: At::Reading, on: On::Recalled, targets: &[At::Emptying, At::Done] },
        Row { from: At::Reading, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Emptying, on: On::Saved, targets: &[At::Done] },
    ],
};
