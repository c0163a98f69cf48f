//! The flows: what a stage is, one size up. A flow runs one stage at a time, and what the stage brings
//! decides which comes next, or that the flow is over.
//!
//! These are the tables: every state with the stage it runs, and every edge. The session notes each
//! edge that a flow takes, and the scripts take all of them and no other.

pub(crate) mod errands;
pub(crate) mod login;
pub(crate) mod refresh;

use crate::table::FlowTable;

impl FlowTable {
    /// The table of every flow, the two great ones first.
    pub const ALL: &'static [&'static Self] = &[
        &login::TABLE,
        &refresh::TABLE,
        &errands::READ_ALL,
        &errands::RELIST,
        &errands::SAVE_AGAIN,
        &errands::GIVE_BACK,
        &errands::REVOKE,
        &errands::FORGET,
    ];
}
