//! The readers and writers of the wire, and other things that only the tests, benches and fuzzers
//! of this repository need. Nothing here is stable: it may change in any release.

use crate::failure::{Evidence, Failure, Setting, Switch};
use crate::purpose::Purpose;
pub use crate::wire::*;

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
