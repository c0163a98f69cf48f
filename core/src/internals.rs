//! The readers and writers of the wire, and other things that only the tests, benches and fuzzers
//! of this repository need. Nothing here is stable: it may change in any release.

pub mod trace;

use crate::failure::{Evidence, Failure, Setting, Switch};
use crate::flow::{errands, login, refresh};
use crate::machine::{Machine, diagram};
use crate::purpose::Purpose;
use crate::stage::authorization::Authorization;
use crate::stage::claim::{Claim, Intent, Release};
use crate::stage::discovery::Discovery;
use crate::stage::recall::Recall;
use crate::stage::registration::Registration;
use crate::stage::revocation::Revocation;
use crate::stage::token::Token;
use crate::stage::vault::Save;
pub use crate::table::{FlowTable, Row, State, Table};
pub use crate::wire::*;

/// The table of every stage, in the order a login goes through them.
pub const STAGES: &[&Table] = &[
    Recall::TABLE,
    Discovery::TABLE,
    Registration::TABLE,
    Authorization::TABLE,
    Claim::TABLE,
    Intent::TABLE,
    Token::TABLE,
    Save::TABLE,
    Release::TABLE,
    Revocation::TABLE,
];

/// The table of every flow, with the login and the refresh first.
pub const FLOWS: &[&FlowTable] = &[
    &login::TABLE,
    &refresh::TABLE,
    &errands::READ_ALL,
    &errands::RELIST,
    &errands::SAVE_AGAIN,
    &errands::GIVE_BACK,
    &errands::REVOKE,
    &errands::FORGET,
];

/// The whole machine as a Mermaid state diagram. It has a box for each flow, with the stages that
/// its states run, and one for each stage, with the events that its states wait for. Each box shows
/// the signals that lead from one state to another.
#[must_use]
pub fn mermaid() -> String {
    diagram::mermaid(FLOWS, STAGES)
}

/// A failure with the parts that the core alone can set, for the tests of programs that show
/// failures.
#[must_use]
pub fn furnished(
    failure: Failure,
    purpose: Purpose,
    switches: &[(Switch, &[&str])],
    settings: &[(Setting, Option<&str>)],
    evidence: Vec<Evidence>,
) -> Failure {
    let mut failure = failure.with_purpose(purpose).with_evidence(evidence);
    for (switch, words) in switches {
        failure = failure.with_switch_for(*switch, words);
    }
    for (setting, issuer) in settings {
        failure = failure.with_setting(*setting, *issuer);
    }
    failure
}
