//! A new access token for the refresh token.

use crate::table::{FlowTable, MachineName as Stage, Row, SignalName as On, StateName as At};

pub(crate) const TABLE: FlowTable = FlowTable {
    flow: Stage::Refresh,
    purpose: "renews the grant with its refresh token",
    states: &[
        (At::Listing, Stage::Discovery),
        (At::Claiming, Stage::Claim),
        (At::Noting, Stage::Intent),
        (At::Sending, Stage::Token),
        (At::Looking, Stage::Recall),
        (At::Marking, Stage::Save),
        (At::Rejecting, Stage::Save),
        (At::Keeping, Stage::Save),
    ],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Listing, At::Claiming, At::Sending] },
        Row {
            from: At::Listing,
            on: On::Looked,
            targets: &[At::Claiming, At::Sending, At::Failed],
        },
        // A server that cannot say now whether the issuer is still listed stops no refresh (STEP-12).
        Row {
            from: At::Listing,
            on: On::Failed,
            targets: &[At::Claiming, At::Sending, At::Failed],
        },
        Row {
            from: At::Claiming,
            on: On::Claimed,
            targets: &[At::Noting, At::Rejecting, At::Done],
        },
        Row { from: At::Claiming, on: On::Failed, targets: &[At::Failed] },
        Row {
            from: At::Noting,
            on: On::Intended,
            targets: &[At::Sending, At::Claiming, At::Rejecting, At::Failed],
        },
        Row {
            from: At::Sending,
            on: On::Minted,
            targets: &[At::Keeping, At::Looking, At::Marking, At::Rejecting, At::Done, At::Failed],
        },
        Row { from: At::Sending, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Sending, on: On::Resumed, targets: &[At::Claiming] },
        // Another process may have spent the token, and saved what it got (HOST-224).
        Row {
            from: At::Looking,
            on: On::Recalled,
            targets: &[At::Noting, At::Rejecting, At::Done, At::Failed],
        },
        Row { from: At::Looking, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Marking, on: On::Saved, targets: &[At::Failed] },
        Row { from: At::Rejecting, on: On::Saved, targets: &[At::Done, At::Failed] },
        Row { from: At::Keeping, on: On::Saved, targets: &[At::Done, At::Failed] },
        // A login or a late answer has replaced the grant meanwhile.
        Row { from: At::Listing, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Claiming, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Noting, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Sending, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Looking, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Marking, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Rejecting, on: On::Overtaken, targets: &[At::Done] },
        Row { from: At::Keeping, on: On::Overtaken, targets: &[At::Done] },
    ],
};
